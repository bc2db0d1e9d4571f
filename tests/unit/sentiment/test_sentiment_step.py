"""The role's step: times, symbols, revisions, re-prints, bad input."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import micros, moment
from stream.sentiment.directory import Directory
from tests.unit.sentiment.articles import (
    DAY,
    LEXICON,
    SECOND,
    T0,
    Brittle,
    Kept,
    Rec,
    article,
    feed,
    live,
    record,
    replay,
    scores,
)
from tests.unit.sentiment.listed import DIRECTORY

# -- one article ---------------------------------------------------------------------------------


def test_an_article_gives_one_score_a_symbol() -> None:
    one = article(symbols=("MSFT", "AAPL"), headline="Apple  beats\x07estimates", revision=3)
    (outcome,), sent = feed(live(), record(one))
    assert outcome is Outcome.APPLIED
    assert [(s.topic, s.key) for s in sent] == [("sentiment", b"AAPL"), ("sentiment", b"MSFT")]
    scored = sent[0].event
    (expected,) = LEXICON.probabilities(["Apple beats estimates"])
    assert (scored.negative, scored.neutral, scored.positive) == expected
    assert (scored.article_id, scored.revision, scored.status) == ("a", 3, "published")
    assert (scored.source, scored.model, scored.duplicate) == ("wire", "lexicon-1", False)
    assert scored.headline == "Apple beats estimates"
    assert scored.n_chars == len("Apple beats estimates")
    assert scored.published_at == one.published_at


def test_an_article_without_a_symbol_is_counted_and_gives_nothing() -> None:
    step = live()
    outcomes, sent = feed(step, record(article(symbols=())))
    assert (outcomes, sent) == ([Outcome.APPLIED], [])
    assert step.meta()["without_symbol"] == 1


def test_a_headline_that_is_only_a_link_is_neutral() -> None:
    (scored,) = scores(live(), article(headline="https://t.co/x"))
    assert (scored.negative, scored.neutral, scored.positive) == (0.0, 1.0, 0.0)


# -- three clocks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "received", "kafka", "clock", "available"),
    [
        (-5, -3, 0, 1, 1),  # scored last
        (2, -3, 0, 1, 2),  # published ahead of our clock
        (-5, 3, 0, 1, 3),  # received ahead of our clock
        (-5, None, 0, 1, 1),
        (-5, None, 4, 1, 4),  # no received_at: the broker's time
    ],
)
def test_live_a_score_is_available_once_published_received_and_scored(
    published: int, received: int | None, kafka: int, clock: int, available: int
) -> None:
    one = article(
        published_at=moment(T0 + published * SECOND),
        received_at=None if received is None else moment(T0 + received * SECOND),
    )
    step = live(clock_us=T0 + clock * SECOND)
    _, (sent,) = feed(step, record(one, at=T0 + kafka * SECOND))
    assert sent.event.scored_at == moment(T0 + clock * SECOND)
    assert sent.event.available_at == moment(T0 + available * SECOND)
    assert sent.event.assumed_times is False
    assert sent.timestamp_ms is None


@pytest.mark.parametrize("received", [None, T0])
def test_a_replay_scores_a_fixed_time_after_the_availability_that_the_loader_set(
    received: int | None,
) -> None:
    one = article(
        published_at=moment(T0 - 60 * SECOND),
        received_at=None if received is None else moment(received),
    )
    _, (sent,) = feed(replay(), record(one, at=T0))
    assert sent.event.scored_at == sent.event.available_at == moment(T0 + SECOND)
    assert sent.event.assumed_times is True
    assert sent.timestamp_ms == (T0 + SECOND) // 1000


def test_a_replayed_timestamp_is_never_before_the_availability() -> None:
    at = T0 + 1_500 + 2 * SECOND  # half a millisecond past a whole one
    _, (sent,) = feed(replay(), record(article(received_at=moment(at)), at=T0))
    assert micros(sent.event.available_at) == at
    assert sent.timestamp_ms is not None
    assert 0 <= sent.timestamp_ms * 1000 - at < 1000


# -- revisions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [1, 2])
def test_an_equal_or_lower_revision_changes_nothing(revision: int) -> None:
    step = live()
    scores(step, article(revision=2))
    outcomes, sent = feed(step, record(article(revision=revision, headline="Other"), 1))
    assert (outcomes, sent) == ([Outcome.DUPLICATE], [])


def test_a_correction_replaces_the_score() -> None:
    step = live()
    first = scores(step, article())
    again = scores(
        step, article(headline="Apple misses estimates", revision=2, status="corrected"), first=1
    )
    assert first[0].positive > 0.5
    assert [(s.symbol, s.revision, s.status) for s in again] == [("AAPL", 2, "corrected")]
    assert again[0].negative > 0.5


def test_a_correction_reaches_every_symbol_ever_given() -> None:
    step = live()
    scores(step, article(symbols=("AAPL", "MSFT")))
    scores(step, article(symbols=("AAPL", "IBM"), revision=2, status="corrected"), first=1)
    last = scores(step, article(symbols=("IBM",), revision=3, status="corrected"), first=2)
    assert [(s.symbol, s.status, s.relevance) for s in last] == [
        ("AAPL", "retracted", 0.0),
        ("IBM", "corrected", 1.0),
        ("MSFT", "retracted", 0.0),
    ]


def test_a_correction_that_names_no_symbol_keeps_those_it_had() -> None:
    step = live()
    scores(step, article(symbols=("AAPL", "MSFT")))
    scores(step, article(symbols=("MSFT",), revision=2, status="corrected"), first=1)
    last = scores(step, article(symbols=(), revision=3, status="corrected"), first=2)
    assert [(s.symbol, s.status) for s in last] == [("AAPL", "retracted"), ("MSFT", "corrected")]


def test_a_retraction_reaches_every_symbol_ever_given() -> None:
    step = live()
    scores(step, article(symbols=("AAPL", "MSFT")))
    scores(step, article(symbols=("IBM",), revision=2, status="corrected"), first=1)
    gone = scores(step, article(symbols=(), revision=3, status="retracted"), first=2)
    assert [(s.symbol, s.status, s.revision) for s in gone] == [
        (symbol, "retracted", 3) for symbol in ("AAPL", "IBM", "MSFT")
    ]
    assert {(s.negative, s.neutral, s.positive) for s in gone} == {(0.0, 1.0, 0.0)}


def test_a_retraction_that_comes_first_keeps_the_article_out() -> None:
    step = live()
    assert [s.status for s in scores(step, article(revision=2, status="retracted"))] == [
        "retracted"
    ]
    assert feed(step, record(article(revision=1), 1)) == ([Outcome.DUPLICATE], [])


# -- re-prints -----------------------------------------------------------------------------------


def test_the_same_text_under_another_id_is_a_duplicate() -> None:
    step = live()
    found = scores(
        step,
        article("a"),
        article("b", headline="RT @wire: APPLE beats estimates!"),
        article("c", headline="Apple beats estimates again"),
    )
    assert [s.duplicate for s in found] == [False, True, False]
    assert found[0].text_hash == found[1].text_hash != found[2].text_hash


def test_a_reprint_about_another_symbol_is_news() -> None:
    found = scores(live(), article("a"), article("b", symbols=("AAPL", "MSFT")))
    assert [(s.article_id, s.symbol, s.duplicate) for s in found] == [
        ("a", "AAPL", False),
        ("b", "AAPL", True),
        ("b", "MSFT", False),
    ]


def test_the_original_stays_the_original_when_it_is_revised() -> None:
    step = live()
    scores(step, article("a"), article("b"))
    (again,) = scores(step, article("a", revision=2, status="corrected"), first=2)
    assert again.duplicate is False


def test_the_text_of_a_retracted_article_is_news_again() -> None:
    step = live()
    scores(step, article("a"), article("a", revision=2, status="retracted"))
    (found,) = scores(step, article("b"), first=2)
    assert found.duplicate is False


def test_a_retraction_is_no_reprint() -> None:
    step = live()
    scores(step, article("a"), article("b"))
    (gone,) = scores(step, article("a", revision=2, status="retracted"), first=2)
    assert gone.duplicate is False


def test_a_text_that_a_correction_took_back_is_news_again() -> None:
    step = live()
    scores(step, article("a"), article("a", headline="Other", revision=2, status="corrected"))
    (found,) = scores(step, article("b"), first=2)
    assert found.duplicate is False


def test_a_text_is_forgotten_after_the_news_window() -> None:
    step = replay()
    late = {"published_at": moment(T0 + 8 * DAY), "received_at": moment(T0 + 8 * DAY)}
    found = scores(step, article("a"), article("b", **late))
    assert [s.duplicate for s in found] == [False, False]


# -- bad input -----------------------------------------------------------------------------------

FIELDS = {
    "id": "a",
    "source": "wire",
    "published_at": "2024-03-05T14:59:59Z",
    "headline": "Apple beats estimates",
    "symbols": ["AAPL"],
}


def bad(**changes: Any) -> Rec:
    return Rec(json.dumps({**FIELDS, **changes}).encode(), b"a")


BAD = {
    "no bytes": (Rec(None, b"a"), "value: expected a JSON object, got none"),
    "empty bytes": (Rec(b"", b"a"), "truncated"),
    "no JSON": (Rec(b"\xff\xfehello", b"a"), "malformed"),
    "no UTF-8": (Rec(b'{"id":"a","headline":"\xff"}', b"a"), "0xff - near `headline`"),
    "nested": (Rec(b'{"x":' * 50_000, b"a"), "nested too deeply"),
    "NaN": (bad(revision=float("nan")), "Expected a finite number, got `NaN` - near `revision`"),
    "10 MB body": (bad(body="x" * 10_000_000), "value: expected at most 4194304 bytes"),
    "1 MB body": (bad(body="x" * 1_000_000), "length <= 500000 - at `$.body`"),
    "empty headline": (bad(headline=""), "length >= 1 - at `$.headline`"),
    "blank headline": (bad(headline=" \t\u200b"), "Expected text, got only spaces"),
    "wrong type": (bad(headline=7), "Expected `str`, got `int` - at `$.headline`"),
    "bad symbol": (bad(symbols=["apple inc"]), "regex '^[A-Z0-9]"),
    "naive time": (bad(published_at="2024-03-05T15:00:00"), "timezone component"),
    "other key": (Rec(bad().value, b"b"), "key: expected the article's id 'a', got b'b'"),
    "no key": (Rec(bad().value, None), "key: expected the article's id 'a', got None"),
    "future": (
        bad(published_at="2024-03-05T15:01:01Z"),
        "Expected at most 60 s after the record's Kafka timestamp 2024-03-05T15:00:00+00:00, "
        "got 2024-03-05T15:01:01+00:00 - at `$.published_at`",
    ),
    "received in the future": (bad(received_at="2030-01-01T00:00:00Z"), "at `$.received_at`"),
    "year 9999": (bad(published_at="9999-12-31T23:59:59-23:00"), "at `$.published_at`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_rejected_with_its_field_and_the_next_article_is_scored(name: str) -> None:
    wrong, reason = BAD[name]
    good = record(article("good"), 1)
    step, out = live(), Kept()
    asyncio.run(step.prepare("news", [wrong, good]))
    with pytest.raises(Rejected) as caught:
        step.apply("news", wrong, out)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 2_000
    assert step.apply("news", good, out) is Outcome.APPLIED
    assert [sent.event.article_id for sent in out.sent] == ["good"]


def test_a_time_within_the_allowance_is_taken() -> None:
    outcomes, _ = feed(live(), bad(published_at="2024-03-05T15:01:00Z"))
    assert outcomes == [Outcome.APPLIED]


# -- the model -----------------------------------------------------------------------------------


def test_the_texts_of_a_chunk_are_scored_in_one_batch_and_each_once() -> None:
    model = Brittle()
    scores(live(model), article("a"), article("b"), article("c", headline="Other"))
    assert model.batches == [["Apple beats estimates", "Other"]]


def test_the_symbols_of_a_text_are_told_before_it_is_scored() -> None:
    told: list[tuple[str, set[str]]] = []
    step = live(about=lambda text, symbols: told.append((text, set(symbols))))
    feed(step, record(article("b", "Both $MSFT up", symbols=("AAPL",))))
    symbols = {symbol for text, theirs in told for symbol in theirs if text == "Both $MSFT up"}
    assert symbols == {"AAPL", "MSFT"}
    told.clear()
    feed(step, record(article("b", "Up more", symbols=(), revision=2), 1))
    assert {symbol for _, theirs in told for symbol in theirs} == {"AAPL", "MSFT"}


def test_known_revisions_are_not_scored_again() -> None:
    model = Brittle()
    step = live(model)
    scores(step, article("a"))
    scores(step, article("a"), first=1)
    assert len(model.batches) == 1


def test_a_text_that_breaks_the_model_breaks_no_other() -> None:
    found = scores(live(Brittle()), article("a"), article("b", headline="poison"))
    assert [(s.article_id, s.model) for s in found] == [("a", "brittle-7"), ("b", "none")]
    assert found[0].positive > 0.5
    assert found[1].neutral == 1.0


def test_a_score_does_not_depend_on_the_chunk_it_came_in() -> None:
    events = [article(str(i), headline=f"Apple {w} estimates") for i, w in enumerate("ab")]
    together = scores(live(), *events)
    alone = [s for e in events for s in scores(live(), e)]
    assert together == alone


def test_the_parts_about_each_symbol_are_scored_in_one_batch_and_each_once() -> None:
    model = Brittle()
    step = live(model, directory=DIRECTORY)
    headline = "Apple beats while Pfizer misses"
    found = scores(step, article("a", headline), article("b", headline, body="Pfizer fell."))
    assert model.batches == [["Apple beats", "Pfizer misses", "Pfizer fell."]]
    tone = {(s.article_id, s.symbol): s.positive - s.negative for s in found}
    assert tone["a", "AAPL"] == tone["b", "AAPL"] > 0.3
    assert tone["b", "PFE"] > tone["a", "PFE"]  # the body is milder
    assert tone["a", "PFE"] < -0.3


def test_a_part_that_breaks_the_model_leaves_the_others_of_its_article() -> None:
    found = scores(
        live(Brittle(), directory=DIRECTORY),
        article("a", "Apple beats estimates", body="Pfizer sells poison. Apple rose."),
        article("b", "Pfizer sells poison"),
    )
    by = {(s.article_id, s.symbol): s for s in found}
    assert (by["a", "AAPL"].model, by["a", "PFE"].model) == ("brittle-7", "none")
    assert by["a", "AAPL"].positive > 0.5
    assert by["a", "PFE"].neutral == 1.0
    assert by["b", "PFE"].model == "none"


def test_a_part_that_breaks_the_model_is_out_of_its_symbols_mean() -> None:
    step = live(Brittle(), directory=DIRECTORY)
    whole, bare = scores(
        step, article("a", "Apple beats", body="Apple sells poison."), article("b", "Apple beats")
    )
    assert whole.model == "brittle-7"
    assert (whole.negative, whole.positive) == (bare.negative, bare.positive)


def test_an_article_about_no_symbol_is_not_scored() -> None:
    model = Brittle()
    assert scores(live(model), article(symbols=())) == []
    assert model.batches == []


def test_a_correction_without_symbols_is_scored_whole_for_those_it_had() -> None:
    step = live()
    scores(step, article(symbols=("MSFT",)))
    (again,) = scores(
        step, article(headline="Profit surges", symbols=(), revision=2, status="corrected"), first=1
    )
    assert (again.symbol, again.status) == ("MSFT", "corrected")
    assert again.positive > 0.5


class Watched(Directory):
    """Counts its searches, and panics at a word as a library in Rust does."""

    n = 0

    def find(self, sentences: Any, given: Any = frozenset()) -> Any:
        self.n += 1
        if any("poison" in sentence for sentence in sentences):
            raise Panic("index out of bounds")
        return super().find(sentences, given)


class Panic(BaseException):
    pass


def test_apply_reads_and_scores_nothing_that_prepare_saw() -> None:
    model, directory = Brittle(), Watched()
    step, out = live(model, directory=directory), Kept()
    chunk = [
        article("a", "$AAPL up", symbols=()),
        article("b", "Both $MSFT up", symbols=("AAPL",)),
        article("a", "Up no more", symbols=(), revision=2, status="corrected"),
        article("b", "Gone $IBM", symbols=(), revision=2, status="retracted"),
        article("b", "Back up", symbols=(), revision=3, status="corrected"),
    ]
    records = [record(each, n) for n, each in enumerate(chunk)]
    asyncio.run(step.prepare("news", records))
    seen = (len(model.batches), directory.n)
    for each in records:
        assert step.apply("news", each, out) is Outcome.APPLIED
    assert (len(model.batches), directory.n) == seen == (1, 5)
    assert [(s.event.article_id, s.event.symbol, s.event.revision) for s in out.sent] == [
        ("a", "AAPL", 1), ("b", "AAPL", 1), ("b", "MSFT", 1), ("a", "AAPL", 2), ("b", "AAPL", 2),
        ("b", "IBM", 2), ("b", "MSFT", 2), ("b", "AAPL", 3), ("b", "IBM", 3), ("b", "MSFT", 3),
    ]  # fmt: skip
    assert [s.event.sketch for s in out.sent if s.event.status == "retracted"] == [b""] * 3


def test_an_article_that_cannot_be_read_is_a_dead_letter_and_the_others_are_scored() -> None:
    step, out = live(directory=Watched()), Kept()
    records = [record(article("a", "poison")), record(article("b"), 1)]
    asyncio.run(step.prepare("news", records))
    for _ in range(2):
        with pytest.raises(Rejected, match="can be read, got one that raises Panic"):
            step.apply("news", records[0], out)
    assert step.apply("news", records[1], out) is Outcome.APPLIED
    assert [sent.event.article_id for sent in out.sent] == ["b"]
    with pytest.raises(Rejected, match="raises Panic"):
        live(directory=Watched()).apply("news", records[0], out)  # not prepared


def test_a_model_that_panics_costs_its_text_alone() -> None:
    class Panics(Brittle):
        def probabilities(self, texts: Any) -> list[Any]:
            if any("poison" in text for text in texts):
                raise Panic("no such token")
            return super().probabilities(texts)

    found = scores(live(Panics()), article("a"), article("b", headline="poison"))
    assert [(s.article_id, s.model) for s in found] == [("a", "brittle-7"), ("b", "none")]


def test_a_checkpoint_of_another_directory_is_warned_of() -> None:
    before = live(directory=DIRECTORY).meta()
    with capture_logs() as logs:
        live(directory=DIRECTORY).restore({}, before)
        live(directory=DIRECTORY).restore({}, {})
    assert logs == []
    with capture_logs() as logs:
        live().restore({}, before)
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert "TAPEWIRE_SYMBOLS_FILE" in warning["event"]
    assert (warning["before"], warning["now"]) == (DIRECTORY.digest, Directory().digest)


# -- what no model may score ---------------------------------------------------------------------

UNSCORABLE = {
    "language": (
        article(lang="de"),
        "none:language",
        "Expected a text in en, got 'de' - at `$.lang`",
    ),
    "script": (
        article(headline="苹果公司股价大涨 $AAPL"),
        "none:language",
        "Expected a text in en, got another script's",
    ),
    "region": (article(lang="pt-BR"), "none:language", "got 'pt-BR'"),
    "emoji": (
        article(headline="\U0001f680 \U0001f4a9"),
        "none:words",
        "Expected a text with words",
    ),
    "a link": (article(headline="https://example.org/a"), "none:words", "at `$.headline`"),
    "empty markup": (article(headline="<b></b>"), "none:words", "got none"),
}


@pytest.mark.parametrize("name", UNSCORABLE)
def test_what_no_model_may_score_is_neutral_and_says_why(name: str) -> None:
    one, model, _ = UNSCORABLE[name]
    found = scores(live(Brittle()), one, article("good"))
    assert [(s.article_id, s.model) for s in found] == [("a", model), ("good", "brittle-7")]
    assert (found[0].negative, found[0].neutral, found[0].positive) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("name", UNSCORABLE)
def test_or_it_is_refused_where_the_setting_says_so(name: str) -> None:
    one, _, reason = UNSCORABLE[name]
    step, out = live(refuse_unscorable=True), Kept()
    asyncio.run(step.prepare("news", [record(one)]))
    with pytest.raises(Rejected) as caught:
        step.apply("news", record(one), out)
    assert reason in str(caught.value)
    assert not out.sent
    again = article(lang="en-US", revision=1)
    assert feed(step, record(again))[0] == [Outcome.APPLIED]  # nothing was remembered of it


@pytest.mark.parametrize("lang", ["", "en", "EN", "en-GB", "en_US"])
def test_english_and_what_says_no_language_are_scored(lang: str) -> None:
    (found,) = scores(live(), article(lang=lang))
    assert found.model == "lexicon-1"


@pytest.mark.parametrize("languages", [(), ("de", "zh")])
def test_every_language_is_scored_where_none_is_set_and_every_script_where_one_has_it(
    languages: tuple[str, ...],
) -> None:
    (found,) = scores(live(languages=languages), article(lang="de"))
    assert found.model == "lexicon-1"
    (found,) = scores(live(languages=languages), article(headline="苹果公司股价大涨 $AAPL"))
    assert found.model == "lexicon-1"


def test_a_retraction_in_another_language_still_retracts() -> None:
    step = live(refuse_unscorable=True)
    scores(step, article())
    (gone,) = scores(step, article(lang="de", revision=2, status="retracted"), first=1)
    assert (gone.symbol, gone.status) == ("AAPL", "retracted")
