"""One signal whole: vector, score by the rules model, reasons and JSON, in memory."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from stream.datasets.slices import with_clock
from stream.datasets.synthetic import generate
from stream.scoring.agent import rules_model
from stream.scoring.configured import policy_of
from stream.scoring.step import ModelInForce, ScoreStep
from stream.settings import Settings

N_TICKS = 60_000
RUNS = 3


@dataclass
class Record:
    """A record as Kafka would hand it out."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    partition: int = 0


class Outputs:
    """Counts signals and their bytes."""

    def __init__(self) -> None:
        self.n_signals = 0
        self.n_bytes = 0

    def send(self, topic: str, key: bytes, value: bytes, **_: object) -> None:
        if topic == "signals":
            self.n_signals += 1
            self.n_bytes += len(value)


def run(stack: dict[str, str]) -> dict[str, object]:
    """Medians of RUNS: a tick without a signal, and what a signal adds, in microseconds."""
    settings = Settings(partitions=1)  # live: in a replay ticks wait for the market
    records = [
        Record(i, t.at // 1000, t.key, t.value)
        for i, t in enumerate(with_clock(generate(7, 1.0), None, None))
        if t.topic == "ticks"
    ][:N_TICKS]
    quiet, every, out = [], [], Outputs()
    for _ in range(RUNS):
        quiet.append(_pass(settings, records, Outputs()))
        out = Outputs()
        every.append(_pass(settings.model_copy(update={"score_every_tick": True}), records, out))
    tick_s, both_s = statistics.median(quiet), statistics.median(every)
    return {
        "tick_us_pane_scoring": round(tick_s / len(records) * 1e6, 1),
        "signal_us": round((both_s - tick_s) / len(records) * 1e6, 1),
        "signal_bytes": round(out.n_bytes / out.n_signals),
        "signals": out.n_signals,
    }


def _pass(settings: Settings, records: list[Record], out: Outputs) -> float:
    policy = policy_of(settings)
    step = ScoreStep(
        0,
        1,
        policy,
        ModelInForce(rules_model(policy)),
        build="bench",
        clock=lambda: 0,
        stamp_outputs=True,
    )
    began = time.perf_counter()
    for record in records:
        step.apply("ticks", record, out)
    return time.perf_counter() - began
