"""The past as slices: clock ticks where they belong, limits a partition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from stream.datasets.dataset import Dataset, Timed
from stream.datasets.slices import Limits, slices, with_clock
from stream.engine.topics import partition_of
from stream.events import ClockTick, decode, encode, micros
from tests.factories import article, tick

SECOND = 1_000_000
MINUTE = 60 * SECOND
OPEN = micros(datetime(2024, 3, 5, 14, 30, tzinfo=UTC))


def market(*events: tuple[int, str]) -> Dataset:
    """Ticks (a symbol) and news (lower case: of that symbol) at microseconds after the open."""

    def timed(after: int, name: str) -> Timed:
        if name.isupper():
            return Timed("ticks", OPEN + after, name.encode(), encode(tick(name)))
        raw = encode(article(name, symbols=(name.upper(),)))
        return Timed("news", OPEN + after, name.encode(), raw)

    told = [timed(*event) for event in events]

    def replayed() -> Iterator[Timed]:
        return iter(told)

    return Dataset("made", "intraday", "ticks", (told[0].at, told[-1].at), (), replayed)


def clock_of(dataset: Dataset, until_us: int | None = None) -> list[tuple[str, float]]:
    """Kind and minutes after the open of the clock ticks."""
    ticks = [
        decode(ClockTick, timed.value)
        for timed in with_clock(dataset, None, until_us)
        if timed.key == b"*"
    ]
    return [(t.kind, (micros(t.at) - OPEN) / MINUTE) for t in ticks]


def test_records_and_clock_ticks_come_in_order_with_what_happened() -> None:
    dataset = market((-90 * SECOND, "AAA"), (0, "aaa"), (10 * SECOND, "BBB"), (95 * SECOND, "AAA"))
    told = list(with_clock(dataset, None, None))
    assert [t.at for t in told] == sorted(t.at for t in told)
    assert [decode(ClockTick, t.value).session for t in told[:3]] == [date(2024, 3, 1)] * 3
    assert [t.key for t in told if t.key != b"*"] == [b"AAA", b"aaa", b"BBB", b"AAA"]
    assert ("open", 0.0) in clock_of(dataset)


def test_a_quiet_night_has_no_beats_and_the_last_one_closes_every_pane() -> None:
    night = market((0, "AAA"), (900 * MINUTE, "AAA"))
    beats = [at for kind, at in clock_of(night) if kind == "beat"]
    assert len(beats) < 12
    assert beats[-1] >= 901 + 1
    assert {kind for kind, _ in clock_of(night)} == {"beat", "open", "decision", "close"}


def test_a_close_just_after_the_last_event_is_stated() -> None:
    short = market((0, "AAA"), (380 * MINUTE, "AAA"))
    assert clock_of(short)[-2:] == [("close", 390.0), ("beat", 393.0)]


def test_a_cut_load_states_no_time_beyond_the_cut() -> None:
    dataset = market((0, "AAA"), (10 * MINUTE, "AAA"))
    assert max(at for _, at in clock_of(dataset, OPEN + 5 * MINUTE)) <= 5


def test_two_loads_that_share_a_cut_tell_every_event_once() -> None:
    dataset = market(*((i * 7 * SECOND, "AAA") for i in range(50)))
    cut = OPEN + 123 * SECOND
    both = [*with_clock(dataset, None, cut), *with_clock(dataset, cut, None)]
    assert [t for t in both if t.key != b"*"] == list(dataset.events())


def test_slices_keep_order_and_lose_nothing() -> None:
    dataset = market(*((i * SECOND, ("AAA", "aaa", "BBB")[i % 3]) for i in range(200)))
    told = list(with_clock(dataset, None, None))
    cuts = list(slices(iter(told), 4, Limits(most_records=16, most_signals=99, most_us=10**12)))
    assert len(cuts) > 10
    assert [t for cut in cuts for t in cut.tape] == [t for t in told if t.topic == "ticks"]
    assert [t for cut in cuts for t in cut.news] == [t for t in told if t.topic == "news"]
    assert all(len(cut.news) + len(cut.tape) <= 16 for cut in cuts)


def test_a_slice_ends_before_one_partition_gets_too_many_signals() -> None:
    dataset = market(*((i * MINUTE, "AAA") for i in range(40)), (40 * MINUTE, "aaa"))
    limits = Limits(most_records=10**9, most_signals=10, most_us=10**15)
    for cut in slices(with_clock(dataset, None, None), 4, limits):
        assert len({t.at // MINUTE for t in cut.tape if t.key == b"AAA"}) + len(cut.news) <= 10
    every = list(slices(with_clock(dataset, None, None), 4, limits, every_tick=True))
    assert len(every) == 5


def test_an_articles_weight_falls_on_the_partitions_of_its_symbols() -> None:
    homes = {partition_of(b"AAA", 4), partition_of(b"CCC", 4)}
    assert len(homes) == 2
    dataset = market(*((i, ("aaa", "ccc")[i % 2]) for i in range(20)))
    limits = Limits(most_records=10**9, most_signals=5, most_us=10**15)
    assert len(next(slices(dataset.events(), 4, limits)).news) == 9


def test_paced_slices_are_short() -> None:
    dataset = market(*((i * SECOND, "AAA") for i in range(60)))
    short = Limits(most_records=10**9, most_signals=10**9, most_us=5 * SECOND)
    for cut in slices(dataset.events(), 4, short):
        assert cut.last_us - cut.tape[0].at < 5 * SECOND
