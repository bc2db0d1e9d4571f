"""Who told a story first, and how new an item is: against a naive comparison at every prefix."""

from __future__ import annotations

import math
import random

import pytest

from stream.features.news import NewsItem
from stream.features.newsbook import NewsBook
from stream.features.stories import REPRINT, Stories, text_of, told_share
from stream.features.symbol import NewsChange, SymbolState
from stream.features.vector import FEATURE_SETS
from stream.sentiment.sketch import sketch
from tests.unit.features import naive, scripts
from tests.unit.features.scripts import DAY, HOUR, MINUTE, T0, item, new_state
from tests.unit.features.test_features_state import names_and_values, restored, snapshot

FIRST = sketch("Apple beats quarterly estimates, raises full-year outlook to $12 billion")
AGAIN = sketch("RT @x: APPLE BEATS QUARTERLY ESTIMATES, raises full-year outlook... - Reuters")
NEAR = sketch("Apple beats quarterly estimates, raises full-year outlook to $14 billion")
REACH = FEATURE_SETS["intraday"].story_window.us


def told(state: SymbolState, cut: int) -> dict[str, tuple[str, float]]:
    known = state._news.at(cut)
    after = cut - state.feature_set.news_window.us
    return {
        item.article_id: (story.first[1], story.novelty)
        for item, story in zip(known.items, known.stories, strict=True)
        if after < item.available_at <= cut
    }


def same(got: dict[str, tuple[str, float]], want: dict[str, tuple[str, float]]) -> bool:
    return list(got) == list(want) and all(
        got[each][0] == want[each][0] and math.isclose(got[each][1], want[each][1], abs_tol=1e-12)
        for each in want
    )


def naive_stories(events: list[tuple], cut: int) -> dict[str, tuple[str, float]]:
    longest = FEATURE_SETS["intraday"].news_window.us
    items = naive.news_at(events, cut)
    items = [each for each in items if each.available_at > cut - longest - REACH]
    stories = naive.stories(items, REACH)
    return {i.article_id: stories[i.article_id] for i in items if i.available_at > cut - longest}


def news_script(seed: int, n: int) -> list[tuple]:
    """News over two weeks, a third of it revised, some out of order, and the tape's time."""
    rng = random.Random(seed)
    events, now = [], T0
    for number in range(n):
        now += rng.randrange(1, 8) * HOUR
        late = rng.choice([0, 0, 0, 5 * MINUTE, 30 * HOUR])
        kind, news = scripts.news_event(rng, number, now - late)
        events.append((kind, news))
        if rng.random() < 0.3:
            events.append(scripts.trade(now - now % MINUTE))
            events.append(("close", now - now % MINUTE + MINUTE))
    return events


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stories_and_novelty_equal_a_naive_comparison_at_every_prefix(seed: int) -> None:
    events = news_script(seed, 160)
    state, now, n_reprints, n_kin = new_state("intraday"), T0, 0, 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = max(scripts.time_of(event, now), event[1].available_at if event[0] == "news" else 0)
        for cut in (now, now - HOUR):
            want = naive_stories(events[: i + 1], cut)
            assert same(told(state, cut), want), (i, event)
        n_reprints += sum(first != ident for ident, (first, _) in want.items())
        n_kin += sum(0.1 < novelty < 1.0 for _, novelty in want.values())
    assert n_reprints > 300
    assert n_kin > 300


def test_a_reprint_counts_in_the_sources_and_nowhere_else() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0, polarity=0.5, source="wire", sketch=FIRST))
    alone = names_and_values(state, T0 + HOUR)
    for i, source in enumerate(("reuters", "blog", "blog")):
        reprint = item(f"r{i}", at=T0 + i, polarity=-1.0, source=source, n_chars=9, sketch=AGAIN)
        assert state.apply_news(reprint) is NewsChange.ADDED
    many = names_and_values(state, T0 + HOUR)
    changed = {name for name in many if many[name] != alone[name]}
    assert changed == {"source_count_1d", "news_reprinted_1d"}
    assert (alone["source_count_1d"], alone["news_reprinted_1d"]) == (1.0, 0.0)
    assert (many["source_count_1d"], many["news_reprinted_1d"]) == (3.0, 0.75)
    assert state.evidence(T0 + HOUR) == ("r2", "r1", "r0", "a")


def test_after_a_retraction_of_the_original_the_next_telling_is_the_first() -> None:
    state = new_state("intraday")
    for i, text in enumerate((FIRST, AGAIN, FIRST)):
        state.apply_news(item(f"n{i}", at=T0 + i * MINUTE, polarity=0.1 * i, sketch=text))
    cut = T0 + HOUR
    assert {ident: first for ident, (first, _) in told(state, cut).items()} == {
        "n0": "n0", "n1": "n0", "n2": "n0",
    }  # fmt: skip
    assert names_and_values(state, cut)["sentiment_mean_1d"] == 0.0
    state.apply_news(item("n0", revision=2, at=cut, status="retracted"))
    after = told(state, cut)
    assert after["n1"] == ("n1", 1.0)
    assert after["n2"][0] == "n2"  # the cut copy n1 tells too little of the whole text
    assert 0.0 < after["n2"][1] == 1.0 - told_share(text_of(FIRST), text_of(AGAIN)) < 1.0
    assert names_and_values(state, cut)["news_count_1d"] == 2.0
    assert told(state, cut - 1)["n1"][0] == "n0"  # before it the original stood


def test_a_correction_is_not_compared_with_its_own_earlier_revision() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0, sketch=FIRST))
    state.apply_news(item("a", revision=2, at=T0 + MINUTE, status="corrected", sketch=FIRST))
    assert told(state, T0 + HOUR) == {"a": ("a", 1.0)}
    assert told(state, T0) == {"a": ("a", 1.0)}


def test_a_correction_is_compared_with_other_articles_at_its_own_time() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0, sketch=FIRST))
    state.apply_news(item("b", at=T0 + 1, sketch=FIRST))
    state.apply_news(item("a", revision=2, at=T0 + 2, status="corrected", sketch=FIRST))
    assert told(state, T0 + 1) == {"a": ("a", 1.0), "b": ("a", 0.0)}
    assert told(state, T0 + 2) == {"b": ("b", 1.0), "a": ("b", 0.0)}
    corrected = item("a", revision=3, at=T0 + 3, status="corrected", sketch=NEAR)
    state.apply_news(corrected)
    first, novelty = told(state, T0 + 3)["a"]
    assert first == "a"
    assert 1.0 - REPRINT < novelty < 1.0


def test_a_copy_that_comes_in_later_but_was_available_earlier_takes_the_story() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0 + MINUTE, sketch=FIRST))
    assert names_and_values(state, T0 + HOUR)["news_age_7d"] == pytest.approx(59 / 60)
    state.apply_news(item("b", at=T0, sketch=FIRST))
    assert told(state, T0 + HOUR) == {"b": ("b", 1.0), "a": ("b", 0.0)}
    assert names_and_values(state, T0 + HOUR)["news_age_7d"] == 1.0


def test_items_of_one_moment_are_ordered_by_id() -> None:
    for idents in (("a", "b"), ("b", "a")):
        state = new_state("intraday")
        for ident in idents:
            state.apply_news(item(ident, at=T0, sketch=FIRST))
        assert told(state, T0) == {"a": ("a", 1.0), "b": ("a", 0.0)}


def test_a_text_is_news_again_after_the_story_window() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0, sketch=FIRST))
    state.apply_news(item("b", at=T0 + REACH - 1, sketch=FIRST))
    state.apply_news(item("c", at=T0 + 2 * REACH - 1, sketch=FIRST))
    first = {ident: telling[0] for ident, telling in told(state, T0 + 2 * REACH).items()}
    assert first == {"a": "a", "b": "a", "c": "c"}


def test_a_reprint_stays_one_when_its_original_leaves_the_news_window() -> None:
    state = new_state("intraday")
    state.apply_news(item("a", at=T0, sketch=FIRST))
    state.apply_news(item("b", at=T0 + 2 * DAY, sketch=FIRST))
    at = T0 + 8 * DAY
    state.apply_trade(at, 10.0, 1.0)
    state.close_through(at + MINUTE)
    assert told(state, at) == {"b": ("a", 0.0)}
    slots = snapshot({}, state)
    assert told(restored("intraday", slots), at) == {"b": ("a", 0.0)}
    assert names_and_values(state, at)["sentiment_mean_7d"] is None


def test_an_item_without_a_sketch_is_compared_with_nothing() -> None:
    state = new_state("intraday")
    for ident in "abc":
        state.apply_news(item(ident, at=T0, sketch=b""))
    assert told(state, T0) == {ident: (ident, 1.0) for ident in "abc"}
    first, none = text_of(FIRST), text_of(b"")
    assert told_share(first, none) == told_share(none, first) == 0.0


@pytest.mark.parametrize("seed", [4, 5])
def test_stories_restored_at_every_event_go_on_bit_equal(seed: int) -> None:
    events = news_script(seed, 90)
    whole, cut_state, slots, now = new_state("intraday"), new_state("intraday"), {}, T0
    for event in events:
        scripts.apply(whole, event)
        scripts.apply(cut_state, event)
        now = max(scripts.time_of(event, now), event[1].available_at if event[0] == "news" else 0)
        assert told(cut_state, now) == told(whole, now)
        cut_state = restored("intraday", snapshot(slots, cut_state))
        assert told(cut_state, now) == told(whole, now)


def test_the_order_in_which_items_come_in_changes_no_story() -> None:
    rng = random.Random(6)
    items = [
        item(f"n{i}", at=T0 + rng.randrange(5) * DAY, sketch=rng.choice(scripts.SKETCHES))
        for i in range(60)
    ]
    in_order = Stories(REACH, sorted(items, key=lambda each: each.available_at))
    for _ in range(5):
        rng.shuffle(items)
        mixed = Stories(REACH)
        for each in items:
            mixed.insert(each)
        assert [s[:2] for s in mixed.stories] == [s[:2] for s in in_order.stories]
        assert mixed.news.ids == in_order.news.ids
        gone: list[NewsItem] = rng.sample(items, 20)
        for each in gone:
            mixed.remove(each)
        left = [each for each in in_order.items if each not in gone]
        assert [s[:2] for s in mixed.stories] == [s[:2] for s in Stories(REACH, left).stories]


def plain(items: list[NewsItem], cut: int) -> list[NewsItem]:
    """Of all revisions those that count at `cut`."""
    newest: dict[str, NewsItem] = {}
    for each in sorted(items, key=lambda each: each.revision):
        if each.available_at <= cut:
            newest[each.article_id] = each
    return [each for each in newest.values() if each.status != "retracted"]


@pytest.mark.parametrize("n_corrected", [1, 8, 60])
@pytest.mark.parametrize("seed", [7, 8])
def test_what_counted_before_corrections_is_a_plain_rebuild_bit_for_bit(
    seed: int, n_corrected: int
) -> None:
    rng = random.Random(seed)
    book, every = NewsBook(REACH), []
    for i in range(90):
        at = T0 + rng.randrange(4 * DAY)
        every.append(item(f"n{i}", at=at, sketch=rng.choice(scripts.SKETCHES)))
    for i in rng.sample(range(90), n_corrected):
        status = rng.choice(["corrected", "retracted"])
        at = T0 + rng.randrange(5 * DAY)
        text = rng.choice(scripts.SKETCHES)
        every.append(item(f"n{i}", revision=2, at=at, status=status, sketch=text))
    for each in every:
        book.add(each)
    n_earlier = 0
    for cut in (T0 + rng.randrange(5 * DAY) for _ in range(60)):
        got = book.at(cut)
        n_earlier += got is not book.at(T0 + 9 * DAY)
        want = Stories(REACH)
        for each in plain(every, cut):
            want.insert(each)
        high = sum(at <= cut for at in got.times)
        assert got.items[:high] == want.items
        assert [s[:2] for s in got.stories[:high]] == [s[:2] for s in want.stories]
        known = sum(at <= cut for at in got.news.times)
        columns = {name: each for name, each in vars(want.news).items() if isinstance(each, list)}
        assert columns
        for name, column in columns.items():
            assert vars(got.news)[name][:known] == column, name
    assert n_earlier > 0
