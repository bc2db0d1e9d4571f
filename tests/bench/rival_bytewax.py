"""The job on Bytewax, in two ways: its windowing operators, and one stateful operator.

    windows   ticks ─► fold_window ─► stateful ─► Kafka       the usual way
    stateful  ticks ─► stateful_batch ─────────► Kafka        the lowest operator, by hand

Time moves by symbol. It reads to the end and stops there, which closes what is open.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic, StatefulLogic
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from stream.events import EPOCH, MARKET_KEY, Tick, decode, micros
from stream.features.panes import MINUTE_US
from tests.bench.rival_job import Job, Stopwatch, Symbol, end_of

_CLOCK_KEY = MARKET_KEY.encode()
_END_OF_TIME = 2**62
Slots = tuple[str, dict[str, bytes]]


class Scoring:
    """A symbol that is made by its first tick or by a snapshot."""

    def __init__(self, job: Job, resumed: Slots | None) -> None:
        self._job = job
        self._symbol = None if resumed is None else Symbol(resumed[0], job, resumed[1])

    def symbol_of(self, tick: Tick) -> Symbol:
        if self._symbol is None:
            self._symbol = Symbol(tick.symbol, self._job)
        return self._symbol

    def snapshot(self) -> Slots:
        assert self._symbol is not None, "a key is made by its first tick"
        return self._symbol.symbol, self._symbol.slots()


class PaneLogic(Scoring, StatefulLogic):  # type: ignore[type-arg]
    """Scores a symbol's folded windows."""

    def on_item(self, ticks: list[Tick]) -> tuple[Iterable[bytes], bool]:
        symbol = self.symbol_of(ticks[0])
        for tick in ticks:
            symbol.add_trade(micros(tick.ts), tick.price, tick.size, tick.regular)
        return symbol.close(end_of(micros(ticks[0].ts))), StatefulLogic.RETAIN


class TickLogic(Scoring, StatefulBatchLogic):  # type: ignore[type-arg]
    """Takes a symbol's ticks and closes its panes itself."""

    def on_batch(self, ticks: list[Tick]) -> tuple[Iterable[bytes], bool]:
        symbol = self.symbol_of(ticks[0])
        signals: list[bytes] = []
        for tick in ticks:
            ts = micros(tick.ts)
            signals.extend(symbol.close_due(ts))
            symbol.add_trade(ts, tick.price, tick.size, tick.regular)
        return signals, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[bytes], bool]:
        assert self._symbol is not None
        return list(self._symbol.close_due(_END_OF_TIME)), StatefulBatchLogic.RETAIN


def collected(ticks: list[Tick], tick: Tick) -> list[Tick]:
    """One more tick in a window."""
    ticks.append(tick)
    return ticks


def build(job: Job, watch: Stopwatch) -> Dataflow:
    """The dataflow of `job`."""

    def keyed(message: Any) -> tuple[str, Tick] | None:
        watch.start()
        if message.key == _CLOCK_KEY:
            return None
        tick = decode(Tick, message.value)
        return tick.symbol, tick

    flow = Dataflow("score")
    raw = op.input("ticks", flow, KafkaSource([job.broker], [job.ticks], tail=False))
    ticks: KeyedStream[Tick] = op.filter_map("keyed", raw, keyed)
    if job.way == "stateful":
        signals = op.stateful_batch("score", ticks, lambda resumed: TickLogic(job, resumed))
    else:
        panes = win.fold_window(
            "panes",
            ticks,
            EventClock(lambda tick: tick.ts, timedelta(microseconds=job.policy.lateness_us)),
            TumblingWindower(timedelta(microseconds=MINUTE_US), EPOCH),
            list,
            collected,
            lambda one, other: one + other,
            ordered=False,  # the tape's order is the order that counts
        )
        folded = op.map_value("folded", panes.down, lambda window: window[1])
        signals = op.stateful("score", folded, lambda resumed: PaneLogic(job, resumed))
    out = op.map("message", signals, lambda one: KafkaSinkMessage(one[0].encode(), one[1]))
    op.output("signals", out, KafkaSink([job.broker], job.signals))
    return flow


def main(job: Job) -> None:
    watch, folder = Stopwatch(), Path(job.state_dir)
    if not any(folder.iterdir()):
        init_db_dir(folder, 1)
    cli_main(
        build(job, watch),
        epoch_interval=timedelta(seconds=job.checkpoint_s),
        recovery_config=RecoveryConfig(folder),
    )
    print(msgspec.json.encode(watch.took()).decode())


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Job))
