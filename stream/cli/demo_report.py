"""What the demo shows: signals as they stream past, row counts, and the summary."""

from __future__ import annotations

import bisect
import statistics
import time
from typing import Any

import psycopg
from aiokafka import TopicPartition
from psycopg import sql
from rich.console import Console
from rich.table import Table

from stream.engine.clients import reader
from stream.events import Signal, decode, micros
from stream.settings import Settings

TABLES = (
    "news",
    "sentiments",
    "ticks",
    "bars",
    "clock",
    "instruments",
    "signals",
    "signal_explanations",
    "late_events",
    "dead_letters",
)
_SHOWN_EACH_S = 0.25
_COLOURS = {"BULLISH": "green", "BEARISH": "red", "NEUTRAL": "white"}

out = Console(highlight=False)


class Watcher:
    """Subscribes to signals: prints some of them and times each against its tape record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._at: list[int] = []
        self._wall: list[float] = []
        self._latencies_ms: list[float] = []
        self._shown = 0.0

    def published(self, at_us: int) -> None:
        """Note that the tape has been published through `at_us`."""
        self._at.append(at_us)
        self._wall.append(time.perf_counter())

    async def run(self) -> None:
        """Read new signals until cancelled."""
        async with reader(self._settings, committed=False, fetch_max_wait_ms=20) as consumer:
            topic = self._settings.topic("signals")
            everywhere = [TopicPartition(topic, p) for p in range(self._settings.partitions)]
            consumer.assign(everywhere)
            await consumer.seek_to_end(*everywhere)
            while True:
                fetched = await consumer.getmany(timeout_ms=100)
                now = time.perf_counter()
                for records in fetched.values():
                    for record in records:
                        self._see(decode(Signal, record.value), now)

    def _see(self, signal: Signal, now: float) -> None:
        i = bisect.bisect_left(self._at, micros(signal.as_of))
        if i < len(self._at):
            self._latencies_ms.append((now - self._wall[i]) * 1e3)
        wanted = signal.actionable or signal.trigger == "news"
        if wanted and now - self._shown >= _SHOWN_EACH_S:
            self._shown = now
            out.print(signal_line(signal))

    def latency_ms(self) -> dict[str, float | None]:
        """Median and 99th percentile, tape record published to signal read, in milliseconds."""
        if len(self._latencies_ms) < 2:
            return {"p50": None, "p99": None}
        cuts = statistics.quantiles(self._latencies_ms, n=100)
        return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


def signal_line(signal: Signal) -> str:
    """One signal on one line, in rich markup."""
    colour = _COLOURS[signal.direction]
    act = "act" if signal.actionable else f"abstain: {signal.abstain_reason}"
    models = " ".join((signal.model.version, *signal.sentiment_models))
    return (
        f"{signal.as_of:%Y-%m-%d %H:%M:%S} [bold]{signal.symbol:<6}[/] "
        f"[{colour}]{signal.direction:<7}[/] {signal.score:+.2f} {signal.trigger:<4} "
        f"{models} | {act} | {'; '.join(signal.reasons[:3])}"
    )


def count_rows(settings: Settings) -> dict[str, Any]:
    """Rows of each table, and what the signals say of themselves."""
    with psycopg.connect(settings.database.get_secret_value()) as connection:

        def one(query: str, table: str) -> int:
            statement = sql.SQL(query).format(sql.Identifier(settings.namespace, table))
            row = connection.execute(statement).fetchone()
            return int(row[0]) if row else 0

        rows = {table: one("SELECT count(*) FROM {}", table) for table in TABLES}
        actionable = one("SELECT count(*) FROM {} WHERE actionable", "signals")
        scored = sql.SQL("SELECT DISTINCT unnest(sentiment_models) FROM {} ORDER BY 1")
        signals = sql.Identifier(settings.namespace, "signals")
        sentiment_models = [name for (name,) in connection.execute(scored.format(signals))]
    return {
        "sentiment_models": sentiment_models,
        "signals": rows["signals"],
        "actionable": actionable,
        "rows": rows,
        "late": rows["late_events"],
        "dead_letters": rows["dead_letters"],
    }


def print_summary(summary: dict[str, Any]) -> None:
    """The summary as a table, and what to type next."""
    table = Table(title=f"{summary['dataset']} in schema {summary['namespace']}", show_header=False)
    for topic, n in summary["events_in"].items():
        table.add_row(f"{topic} in", f"{n:,}")
    for name in ("signals", "actionable", "late", "dead_letters"):
        table.add_row(name.replace("_", " "), f"{summary[name]:,}")
    table.add_row("model", summary["model_version"])
    table.add_row("sentiment", ", ".join(summary["sentiment_models"]))
    if summary["model_refused"]:
        table.add_row("why no trained model", summary["model_refused"])
    latency = summary["latency_ms"]["tick_to_signal"]
    table.add_row("tick to signal, under load", f"p50 {latency['p50']} ms, p99 {latency['p99']} ms")
    table.add_row("seconds", ", ".join(f"{k} {v}" for k, v in summary["elapsed_s"].items()))
    out.print(table)
    out.print(
        "Next: .venv/bin/tapewire verify proves that replay gives the same signals;\n"
        '.venv/bin/tapewire sql "SELECT * FROM latest_signals" shows them.',
        markup=False,
    )
