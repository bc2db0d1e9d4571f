"""The job on Quix Streams: a tumbling window folds each pane, a stateful step scores it.

Windows close by the partition's time, as our panes do; both states are in RocksDB with changelogs.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import astuple
from quixstreams import Application, State

from stream.events import MARKET_KEY, micros
from stream.features.panes import MINUTE_US, Pane
from tests.bench.rival_job import Job, Stopwatch, Symbol, end_of

Trade = tuple[int, float, float, bool]
Folded = tuple[int, tuple[Any, ...]]  # when the first trade was, and the pane's fields


def main(job: Job) -> None:
    watch, left, symbols = Stopwatch(), job.n_records, dict[str, Symbol]()

    def seen(topic: str, partition: int, offset: int) -> None:
        nonlocal left
        watch.start()
        left -= 1
        if left == 0:
            app.stop()

    def score(window: dict[str, Any], key: str, at: int, headers: Any, state: State) -> list[bytes]:
        symbol = symbols.get(key)
        if symbol is None or state.get_bytes("told") != symbol.told:
            slots = {slot: state.get_bytes(slot) for slot in state.get("slots", [])}
            symbol = symbols[key] = Symbol(key, job, slots)
        first_at, fields = window["value"]
        symbol.add_pane(Pane(*fields), first_at)
        signals = symbol.close(window["end"] * 1000)
        for slot, value in symbol.changes().items():
            if value is None:
                state.delete(slot)
            else:
                state.set_bytes(slot, value)
        state.set("slots", list(symbol.slots()))
        return signals

    app = Application(
        job.broker,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.state_dir,
        commit_interval=job.checkpoint_s,
        processing_guarantee="exactly-once" if job.exactly_once else "at-least-once",
        on_message_processed=seen,
        loglevel="WARNING",
    )
    ticks = app.topic(
        job.ticks,
        key_deserializer="str",
        value_deserializer="json",
        timestamp_extractor=lambda value, *_: event_time(value) // 1000,
    )
    panes = (
        app.dataframe(ticks)
        .apply(trade_of)
        .tumbling_window(
            timedelta(microseconds=MINUTE_US),
            grace_ms=timedelta(microseconds=job.policy.lateness_us),
        )
        .reduce(fold, first)
        .final(closing_strategy="partition")
        .filter(lambda window, key, *_: key != MARKET_KEY, metadata=True)
    )
    signals = app.topic(job.signals, key_serializer="str", value_serializer="bytes")
    panes.apply(score, stateful=True, metadata=True, expand=True).to_topic(signals)
    app.run()
    print(msgspec.json.encode(watch.took()).decode())


def event_time(value: dict[str, Any]) -> int:
    """Microseconds of a tick or a clock tick."""
    return micros(datetime.fromisoformat(value.get("ts") or value["at"]))


def trade_of(value: dict[str, Any]) -> Trade | None:
    """What a pane needs of a tick; None for a clock tick, which moves time alone."""
    if "price" not in value:
        return None
    return event_time(value), value["price"], value["size"], value["regular"]


def first(trade: Trade | None) -> Folded | None:
    """A window begins."""
    if trade is None:
        return None
    end = end_of(trade[0])
    return fold((trade[0], astuple(Pane.of_interval(end - MINUTE_US, end, trade[1]))), trade)


def fold(folded: Folded | None, trade: Trade | None) -> Folded | None:
    """One more trade in a window."""
    if folded is None or trade is None:
        return folded
    first_at, fields = folded
    ts, price, size, regular = trade
    pane = Pane(*fields)
    pane.add(ts, price, size, None, None, regular)
    return first_at, astuple(pane)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Job))
