"""State in slots: a role that is cut and restored at any record sends the same."""

from __future__ import annotations

import random

import pytest

from stream.events import NewsArticle, moment
from stream.sentiment.state import Articles, Known
from stream.sentiment.step import SentimentStep
from tests.unit.sentiment.articles import DAY, SECOND, T0, Rec, Sent, article, feed, record, replay

HEADLINES = ("Apple beats", "Apple misses", "rt @x: APPLE beats!", "Plain")
SYMBOLS = ("AAPL", "MSFT", "IBM")


def script(seed: int, n: int = 60) -> list[Rec]:
    """Records of few articles with many revisions, re-prints and gaps of days."""
    rng = random.Random(seed)
    at = T0
    records = []
    for offset in range(n):
        at += rng.choice([SECOND, DAY // 3, 2 * DAY])
        one = article(
            f"id{rng.randrange(8)}",
            headline=rng.choice(HEADLINES),
            symbols=tuple(rng.sample(SYMBOLS, rng.randrange(3))),
            revision=rng.randrange(1, 6),
            status=rng.choice(["published", "corrected", "retracted"]),
            published_at=moment(at - rng.choice([0, SECOND, DAY])),
            received_at=None,
        )
        records.append(record(one, offset, at))
    return records


class Log:
    """What the engine keeps of a step: its slots and its meta record."""

    def __init__(self) -> None:
        self.slots: dict[bytes, bytes] = {}
        self.meta: dict[str, object] = {}

    def checkpoint(self, step: SentimentStep) -> None:
        for slot, value in step.take_changes():
            if value is None:
                self.slots.pop(slot, None)
            else:
                self.slots[slot] = value
        self.meta = step.meta()


@pytest.mark.parametrize("seed", range(20))
def test_cut_and_restored_after_each_record_it_sends_the_same(seed: int) -> None:
    records = script(seed)
    whole = feed(replay(), *records)
    log, outcomes, sent = Log(), [], list[Sent]()
    for one in records:
        step = replay()
        step.restore(log.slots, log.meta)
        outcome, out = feed(step, one)
        outcomes += outcome
        sent += out
        log.checkpoint(step)
    assert (outcomes, sent) == whole


@pytest.mark.parametrize("seed", range(5))
def test_what_is_sent_does_not_depend_on_checkpoints_or_chunks(seed: int) -> None:
    records = script(seed)
    whole = feed(replay(), *records)[1]
    step, log, sent = replay(), Log(), list[Sent]()
    for first in range(0, len(records), 7):
        sent += feed(step, *records[first : first + 7])[1]
        log.checkpoint(step)
    assert sent == whole


def test_slots_hold_the_window_and_no_more() -> None:
    step, log = replay(), Log()
    for day in range(40):
        at = T0 + day * DAY
        feed(step, record(old(f"id{day}", at), day, at))
        log.checkpoint(step)
    assert len(log.slots) == 8  # seven days, both ends in
    assert all(slot.startswith(b"article|id") for slot in log.slots)


def test_an_article_that_comes_and_goes_between_checkpoints_leaves_only_a_tombstone() -> None:
    step = replay()
    for offset, at in enumerate((T0, T0 + 20 * DAY)):
        feed(step, record(old(f"id{offset}", at), offset, at))
    assert dict(step.take_changes())[b"article|id0"] is None


def test_a_revised_article_is_kept_from_its_last_revision_on() -> None:
    step = replay()
    for offset, (revision, at) in enumerate(((1, T0), (2, T0 + 5 * DAY))):
        feed(step, record(old("a", at, revision=revision), offset, at))
    feed(step, record(old("b", T0 + 11 * DAY), 2, T0 + 11 * DAY))
    again, sent = feed(step, record(old("a", T0 + 11 * DAY), 3, T0 + 11 * DAY))
    assert (again[0].value, sent) == ("duplicate", [])


def test_an_article_named_like_the_meta_record_has_a_slot_of_its_own() -> None:
    step = replay()
    feed(step, record(article("@meta")))
    assert [slot for slot, _ in step.take_changes()] == [b"article|@meta"]


def test_ids_with_any_characters_survive_a_restore() -> None:
    for ident in ("|", "article|x", "é\U0001f680", '"', "a" * 200):
        step, log = replay(), Log()
        feed(step, record(article(ident)))
        log.checkpoint(step)
        other = replay()
        other.restore(log.slots, log.meta)
        assert feed(other, record(article(ident), 1))[0][0].value == "duplicate"


def test_nothing_changed_gives_no_slot() -> None:
    articles = Articles(DAY)
    articles.put("a", Known(1, "published", T0, "h", 0, {"AAPL": 1.0}))
    assert len(list(articles.take_changes())) == 1
    assert list(articles.take_changes()) == []


def old(ident: str, at: int, *, revision: int = 1) -> NewsArticle:
    return article(ident, published_at=moment(at), received_at=moment(at), revision=revision)
