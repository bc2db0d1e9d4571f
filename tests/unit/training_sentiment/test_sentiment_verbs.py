"""`tapewire sentiment evaluate` and `label` with the lexicon, and verbs that lack their extra."""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.sentiment.lexicon import Lexicon
from stream.cli.app import app
from stream.errors import Refused
from tests.unit.sentiment import tiny
from training.sentiment.evaluate import NAMES
from training.sentiment.labelled import read_labelled
from training.sentiment.train import held_out

_TEXTS = [
    ("profit rises on strong growth", "positive"),
    ("shares plunge after a fraud probe", "negative"),
    ("results will be published in May", "neutral"),
    ("a record quarter, outlook upgraded", "positive"),
    ("bankruptcy looms as losses widen", "negative"),
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    rows = "\n".join(f'"{text}",{label}' for text, label in _TEXTS)
    (tmp_path / "texts.csv").write_text(f"text,label\n{rows}\n", "utf-8")
    return tmp_path / "texts.csv"


def said(*words: str) -> str:
    return CliRunner().invoke(app, ["sentiment", *words], catch_exceptions=False).stdout


def test_evaluate_compares_with_the_labels(texts: Path) -> None:
    found = json.loads(said("evaluate", "lexicon", "--data", str(texts), "--json"))
    (figures,) = found.values()
    right = [
        max(range(3), key=score.__getitem__) == row.label
        for row, score in zip(
            read_labelled(str(texts)),
            Lexicon().probabilities([text for text, _ in _TEXTS]),
            strict=True,
        )
    ]
    assert figures["texts"] == len(_TEXTS)
    assert figures["accuracy"]["value"] == sum(right) / len(right) > 0.5
    assert sum(map(sum, figures["confusion"])) == len(_TEXTS)


@pytest.mark.parametrize("verb", ["evaluate --data", "label --out soft.jsonl --texts"])
def test_a_model_of_articles_in_sections_does_not_read_single_texts(
    texts: Path, tmp_path: Path, verb: str
) -> None:
    folder = tiny.onnx_folder(tmp_path / "m", template="sections-1")
    name, *rest = verb.split()
    with pytest.raises(Refused, match=r"reads single texts, got one that reads articles as sectio"):
        said(name, f"onnx:{folder}", *rest, str(texts))


def test_evaluate_can_keep_to_what_train_does_not_learn_from(tmp_path: Path) -> None:
    words = ("".join(each) for each in product("abcde", repeat=3))
    rows = (f"{word} {word[::-1] * 2},{NAMES[i % 3]}" for i, word in enumerate(words))
    data = str(tmp_path / "many.csv")
    Path(data).write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")
    found = json.loads(said("evaluate", "lexicon", "--data", data, "--held-out", "--json"))
    assert found[data]["texts"] == len(held_out(read_labelled(data))) < 30


def test_evaluate_prints_a_table_and_writes_a_page(texts: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "more.csv").write_text(
        "text,label\nprofit rises by 5 \N{EURO SIGN},negative\n", "utf-8"
    )
    more = str(tmp_path / "more.csv")
    table = said("evaluate", "lexicon", "--data", str(texts), "--data", more, "--report", str(page))
    assert "macro F1" in table
    assert "profit rises by 5 \N{EURO SIGN}" in page.read_text("utf-8")


def test_evaluate_without_a_report_needs_no_plotly(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("plotly")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("training.page", "training.sentiment.report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    words = ("evaluate", "lexicon", "--data", str(texts), "--json")
    assert json.loads(said(*words))
    with pytest.raises(Refused, match=r"expected the extra train, plotly.* is missing; run pip"):
        said(*words, "--report", str(tmp_path / "page.html"))


def test_train_without_torch_says_what_to_install(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("training.sentiment")]:
        monkeypatch.delitem(sys.modules, name)
    for missing, words in (
        ("torch", ("train", "--data", str(texts), "--out", str(tmp_path / "m"))),
        ("sklearn", ("evaluate", "lexicon", "--data", str(texts))),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            if missing == "sklearn":
                patch.setitem(sys.modules, "sklearn.metrics", None)
                patch.delitem(sys.modules, "training.sentiment.evaluate", raising=False)
            with pytest.raises(Refused, match=f"expected the extra .*{missing}.* is missing; run"):
                said(*words)


def test_a_model_or_file_that_cannot_be_had(texts: Path, tmp_path: Path) -> None:
    for words in (("evaluate", "oracle", "--data"), ("evaluate", "lexicon", "--data")):
        with pytest.raises(Refused, match=r"sentiment model: expected|none\.csv: expected"):
            said(*words, str(tmp_path / "none.csv"))


def test_label_writes_what_the_model_says(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "soft.jsonl"
    told = said("label", "lexicon", "--texts", str(texts), "--texts", str(texts), "--out", str(out))
    assert told.replace("\n", "") == f"{out}: 5 texts labelled by lexicon-1"
    rows = read_labelled(str(out))
    assert [row.text for row in rows] == [text for text, _ in _TEXTS]
    expected = Lexicon().probabilities([row.text for row in rows])
    assert [row.target for row in rows] == [pytest.approx(each, abs=1e-9) for each in expected]
    words = ("label", "lexicon", "--texts", str(texts), "--sample", "2", "--out", str(out))
    assert json.loads(said(*words, "--json"))["texts"] == 2
    assert len(out.read_text("utf-8").splitlines()) == 2


def test_a_teacher_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    teacher = tiny.onnx_folder(tmp_path / "teacher")
    lines = [f"good {'apple ' * (i % 7)}{i}" for i in range(600)]
    (tmp_path / "a.csv").write_text("\n".join(["text", *lines, "poison"]), "utf-8")
    out = tmp_path / "soft.jsonl"
    out.write_text("old", "utf-8")
    with pytest.raises(Refused, match="expected 3 finite numbers"):
        said("label", f"onnx:{teacher}", "--texts", str(tmp_path / "a.csv"), "--out", str(out))
    assert out.read_text("utf-8") == "old"
    assert {each.name for each in tmp_path.iterdir()} == {"teacher", "a.csv", "soft.jsonl"}
