"""Labelled texts as people have them: what is read, and what is refused with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from training.errors import TrainingRefused
from training.sentiment.labelled import Labelled, read_labelled


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("negative", 0),
        ("Bearish", 0),
        ("-1", 0),
        ("neutral", 1),
        ("0", 1),
        ("BULLISH", 2),
        ("1", 2),
    ],
)
def test_labels_under_their_common_names(tmp_path: Path, label: str, expected: int) -> None:
    (row,) = read_labelled(written(tmp_path, "a.csv", f"id,text,label\n7,shares rise,{label}\n"))
    assert (row.label, sum(row.target), row.weight, row.score) == (expected, 1.0, 1.0, None)


def test_rows_are_chosen_and_weighted(tmp_path: Path) -> None:
    text = "split,sentence,label\ntrain,one,neutral\nvalid,two,positive\ntrain,three,negative\n"
    place = written(tmp_path, "a.csv.gz", text)
    assert [row.text for row in read_labelled(f"{place}?split=train@0.25")] == ["one", "three"]
    assert {row.weight for row in read_labelled(f"{place}?split=train@0.25")} == {0.25}
    assert len(read_labelled(place)) == 3


def test_texts_are_cleaned_as_the_role_cleans_them(tmp_path: Path) -> None:
    lines = [
        {"headline": "AT&amp;T wins https://t.co/x", "label": 2 - 1},
        {"headline": " ", "label": 0},
    ]
    place = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert [row.text for row in read_labelled(place)] == ["AT&T wins"]


def test_grades_become_classes_at_their_own_percentiles_and_are_kept(tmp_path: Path) -> None:
    scores = [-0.9, -0.5, -0.2, 0.0, 0.05, 0.3, 0.6, 0.7, 0.9]
    rows = "\n".join(f"t{i},{score}" for i, score in enumerate(scores))
    found = read_labelled(written(tmp_path, "a.csv", f"text,score\n{rows}\n"))
    assert [row.score for row in found] == scores
    assert [row.label for row in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    weak = "\n".join(f"t{i},0.0{i}" for i in range(1, 9))  # none is really negative
    found = read_labelled(written(tmp_path, "b.csv", f"text,score\n{weak}\n"))
    assert {row.label for row in found} == {1}


def test_shares_of_a_teacher_stay_soft(tmp_path: Path) -> None:
    line = json.dumps({"text": "mixed", "negative": 0.25, "neutral": 0.25, "positive": 0.5})
    (row,) = read_labelled(written(tmp_path, "a.jsonl.gz", line))
    assert row == Labelled("mixed", (0.25, 0.25, 0.5), 1.0, "a.jsonl.gz")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "text,label\nx,good\n", "line 2: expected a label .* got 'good'"),
        ("a.csv", "text,label\nx,neutral\ny,\n", "line 3"),
        ("a.csv", "text,score\nx,1.5\n", "score in -1..1.*1.5"),
        ("a.csv", "words,label\nx,neutral\n", "expected a column text or sentence"),
        ("a.csv", "text,label\n", "expected labelled rows, found none"),
        ("a.csv", "text,negative,neutral,positive\nx,0.5,0.5,0.5\n", "three shares"),
        ("a.jsonl", "{", "expected labelled texts as CSV or JSONL"),
        ("a.csv.gz", None, "expected labelled texts"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, text: str | None, why: str
) -> None:
    place = str(tmp_path / name) if text is None else written(tmp_path, name, text)
    with pytest.raises(TrainingRefused, match=why):
        read_labelled(place)
