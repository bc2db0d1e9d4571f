"""Articles in sections: what stands first, what is cut, and that live reads what was trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentiment.ensemble import Ensemble
from models.sentiment.model import SECTIONS, Probabilities, SentimentModelError
from models.sentiment.onnx import OnnxModel
from models.sentiment.tokens import Tokens
from stream.errors import Refused
from stream.sentiment.choice import choose
from stream.sentiment.judge import Judge
from stream.sentiment.sections import sectioned
from stream.sentiment.turns import Turns
from stream.settings import Settings
from tests.unit.sentiment import tiny
from tests.unit.sentiment.articles import LEXICON, Brittle, article, live, scores

LONG = "<p>Apple shares rise.</p>\n\n<p>" + "the estimates of shares fall and " * 900 + "</p>"
ORDER = ("headline: ", "symbol: ", "source: ", "time: ", "lead: ", "body: ")


class Reader:
    """Reads articles in sections and keeps what it read."""

    name, version, template = "reader", "1", SECTIONS

    def __init__(self) -> None:
        self.read: list[str] = []

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        self.read += texts
        return LEXICON.probabilities(texts)


def test_sections_stand_in_order_headline_first() -> None:
    told = sectioned(article(headline="Apple beats", body=LONG), "AAPL")
    places = [told.index(mark) for mark in ORDER]
    assert places == sorted(places)
    assert places[0] == 0
    assert "lead: Apple shares rise. | body: the estimates" in told


@given(
    headline=st.text("ab ẞ漢\U0001f680[]", min_size=1, max_size=2_000),
    source=st.text("sx漢", min_size=1, max_size=64),
)
@settings(max_examples=40, deadline=None)
def test_headline_and_fields_are_kept_in_512_tokens_whatever_their_letters(
    headline: str, source: str
) -> None:
    """Even where every letter is a token the cut takes the body, and only its end."""
    told = sectioned(article(headline=headline, source=source, body=LONG), "A" * 16)
    head = told[: told.index("lead: ")]
    assert len(head) <= 460


def test_512_tokens_keep_the_head_and_cut_the_end_of_the_body() -> None:
    told = sectioned(article(headline="Apple beats estimates", body=LONG), "AAPL")
    tokenizer = tiny.tokenizer()
    every = tokenizer.encode(told).ids
    kept = Tokens(tiny.tokenizer(), 512).one(told)
    assert len(every) > len(kept) == 512
    assert kept[:-1] == every[:511]
    assert kept[-1] == every[-1]  # [SEP]


def test_a_model_of_sections_reads_live_what_training_puts_together() -> None:
    model = Reader()
    came = article(
        headline="Apple beats, $MSFT misses", body=LONG, symbols=("AAPL", "MSFT"), revision=2,
        status="corrected",
    )  # fmt: skip
    sent = scores(live(model), came)
    wanted = [sectioned(came, symbol) for symbol in ("AAPL", "MSFT")]
    assert sorted(model.read) == sorted(wanted)
    assert "status: corrected" in wanted[0]
    for each, (score,) in zip(sent, map(LEXICON.probabilities, zip(wanted)), strict=True):
        assert (each.negative, each.neutral, each.positive) == score
        assert each.model == "reader-1"


def test_the_template_survives_what_is_put_around_a_model() -> None:
    with Turns() as turns:
        assert Judge(turns.wrap(Reader())).template_of("reader-1") == SECTIONS


def test_others_read_part_by_part() -> None:
    model = Brittle()
    scores(live(model), article(headline="Apple beats"))
    assert model.batches == [["Apple beats"]]


def test_an_ensemble_reads_in_one_way() -> None:
    with pytest.raises(SentimentModelError, match="put to in one way, got parts, sections-1"):
        Ensemble([(Reader(), 0.5), (LEXICON, 0.5)])


# -- the model's folder --------------------------------------------------------------------------


def test_a_folder_says_its_template_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    known = OnnxModel(tiny.onnx_folder(tmp_path / "a", template=SECTIONS))
    plain = OnnxModel(tiny.onnx_folder(tmp_path / "b"))
    assert (known.template, plain.template) == (SECTIONS, "parts")
    assert known.version != plain.version
    folder = tiny.onnx_folder(tmp_path / "c", template="sections-2")
    with pytest.raises(SentimentModelError, match=r"expected template parts or sections-1, got 's"):
        OnnxModel(folder)


def test_offsets_are_added_to_the_odds_and_are_part_of_the_version(tmp_path: Path) -> None:
    plain = OnnxModel(tiny.onnx_folder(tmp_path / "a"))
    moved = OnnxModel(tiny.onnx_folder(tmp_path / "b", offsets=[0.0, 1.0, 0.0]))
    (one,), (other,) = plain.probabilities(["good"]), moved.probabilities(["good"])
    assert other.neutral / other.positive == pytest.approx(2.718281828 * one.neutral / one.positive)
    assert moved.version != plain.version


def test_a_model_with_a_doubt_may_not_serve(tmp_path: Path) -> None:
    folder = tiny.onnx_folder(tmp_path, doubt="log-loss gained on climatology: too little")
    settings = Settings(sentiment_model=f"onnx:{folder}", sentiment_missing="stop")
    with pytest.raises(Refused, match=r"its gates let serve, got .*climatology: too little"):
        choose(settings)
    degraded = choose(settings.model_copy(update={"sentiment_missing": "degrade"}))
    assert degraded.name == "lexicon-1"
    cleared = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**cleared, "doubt": ""}))
    assert choose(settings).name.startswith("tiny-1")
