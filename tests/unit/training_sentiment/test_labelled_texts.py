"""Labelled texts as people have them: what is read, and what is refused with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from training.errors import TrainingRefused
from training.sentiment.labelled import Labelled, read_labelled, read_texts


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


def test_grades_of_chosen_rows_are_cut_where_those_of_the_whole_file_are(tmp_path: Path) -> None:
    rows = "\n".join(f"t{i},0.{i},{'high' if i > 5 else 'low'}" for i in range(1, 10))
    place = written(tmp_path, "a.csv", f"text,score,half\n{rows}\n")
    whole = {row.text: row.label for row in read_labelled(place)}
    high = {row.text: row.label for row in read_labelled(f"{place}?half=high")}
    assert high == {text: whole[text] for text in high}
    assert len(high) == 4


def test_a_row_tells_its_own_source(tmp_path: Path) -> None:
    text = "text,label,source\na,neutral,wire\nb,neutral,\n"
    found = read_labelled(written(tmp_path, "a.csv", text))
    assert [row.source for row in found] == ["wire", "a.csv"]
    (row,) = read_labelled(written(tmp_path, "b.csv", "set,text,label\nfpb,a,neutral\n"))
    assert row.source == "fpb"


def test_only_a_number_after_the_last_at_is_a_weight(tmp_path: Path) -> None:
    folder = tmp_path / "me@2024"
    folder.mkdir()
    place = written(folder, "a@b.csv", "text,label,by\nx,neutral,me@home\n")
    assert [row.weight for row in read_labelled(place)] == [1.0]
    assert [row.weight for row in read_labelled(f"{place}@0.5")] == [0.5]
    assert [row.weight for row in read_labelled(f"{place}?by=me@home@2")] == [2.0]


@pytest.mark.parametrize("weight", ["nan", "-3", "0", "inf", "1.2.3"])
def test_a_weight_that_weighs_nothing_is_refused(tmp_path: Path, weight: str) -> None:
    place = written(tmp_path, "a.csv", "text,label\nx,neutral\n")
    with pytest.raises(
        TrainingRefused, match=f"expected a weight above 0 after the @, got {weight}"
    ):
        read_labelled(f"{place}@{weight}")


def test_texts_without_labels(tmp_path: Path) -> None:
    lines = [{"headline": "one", "text": None}, {"text": " "}, {"title": "two"}, {"id": 7}]
    place = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert read_texts(place) == ["one", "two"]
    with pytest.raises(TrainingRefused, match="line 1: expected a text, got 5"):
        read_texts(written(tmp_path, "b.jsonl", '{"text": 5}'))


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
        ("a.jsonl", "\n[1]\n", "line 2: expected labelled texts .* an object a line"),
        ("a.jsonl", '\n\n{"text": "x", "label": "odd"}\n', "line 3: expected a label"),
        ("a.jsonl", '{"text": null, "label": 1}', "line 1: expected a text, got None"),
        (
            "a.jsonl",
            '{"text": "x", "label": 1}\n{"headline": "y", "label": 1}',
            "line 2: expected a text, got None",
        ),
        ("a.csv", "label,text\nneutral,x\nneutral\n", "line 3: expected a text, got None"),
        ("a.csv", "text,label\nx,neutral\ny\n", "line 3: expected a label .* got None"),
        ("a.csv", "text,label\n,neutral\nhttps://t.co/x,neutral\n", "2 rows without a word"),
        ("a.csv", "text,score\nx,0.5\ny,\n", "line 3: .* got score ''"),
        ("a.csv", "text,score\nx,nan\n", "line 2: .* got score 'nan'"),
        ("a.jsonl", '{"text": "x", "score": 1}\n{"text": "y"}', "line 2: .* got score None"),
        ("a.csv", "text,negative,neutral,positive\nx,nan,0,1\n", "line 2: .* got shares"),
        ("a.jsonl", '{"text": "x", "negative": 1, "neutral": 0}', "line 1: .* got shares"),
        ("a.csv.gz", None, "expected labelled texts"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, text: str | None, why: str
) -> None:
    place = str(tmp_path / name) if text is None else written(tmp_path, name, text)
    with pytest.raises(TrainingRefused, match=why):
        read_labelled(place)


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    place = Path(written(tmp_path, "a.csv.gz", "text,label\n" + "profit rises,positive\n" * 99))
    place.write_bytes(place.read_bytes()[:-9])
    with pytest.raises(TrainingRefused, match=r"a\.csv\.gz: expected labelled texts"):
        read_labelled(str(place))
