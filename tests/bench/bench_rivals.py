"""The score role, Quix Streams and Bytewax on one topic of real trades, one process each.

Each writes the same signals (checked, or nothing is printed) with its own state and checkpoints on.
CPU per record is the steadier number on a shared machine: a ratio above 1 means ours is better.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka.admin import AdminClient, NewTopic

from stream.clock.calendar import session_ticks, sessions
from stream.engine.topics import topic_config
from stream.events import micros, moment
from stream.scoring.configured import policy_of
from stream.settings import Settings
from tests.bench.rival_job import Job, Took
from tests.bench.workload import (
    dataset_of_ticks,
    namespace,
    publish,
    rate_and_cpu,
    read_topic,
    records_in,
    roles,
)

N_TICKS = 360_000  # of one session
RUNS = 3
HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".rivals-venv"
_AS_OURS_S = 0.5
_VARIES = ("positions", "emitted_at", "build")  # offsets, the wall clock, whose code
_QUIX_ONCE = "exactly once: signals, changelogs and offsets in one transaction every {:g} s"
_QUIX_LEAST = "at least once: changelogs and offsets every {:g} s"
_BYTEWAX = "at least once: state snapshots in local SQLite every {:g} s"
OURS = (
    f"exactly once: signals, panes, state and positions in one transaction, {_AS_OURS_S} s at most"
)


class Rival(NamedTuple):
    """One way to do the job; `checkpoint_s` is the framework's default, or ours."""

    module: str
    way: str
    checkpoint_s: float
    promise: str
    exactly_once: bool = False


RIVALS = {
    "quix_exactly_once": Rival("quix", "windows", 5.0, _QUIX_ONCE, exactly_once=True),
    "quix_exactly_once_as_often": Rival(
        "quix", "windows", _AS_OURS_S, _QUIX_ONCE, exactly_once=True
    ),
    "quix_at_least_once": Rival("quix", "windows", 5.0, _QUIX_LEAST),
    "bytewax_windows": Rival("bytewax", "windows", _AS_OURS_S, _BYTEWAX),
    "bytewax_stateful": Rival("bytewax", "stateful", _AS_OURS_S, _BYTEWAX),
}


def environment() -> str:
    """The rivals' own Python: their pins and ours contradict each other."""
    pins, stamp = (HERE / "rivals.txt").read_text(), HOME / ".pins"
    python = str(HOME / "bin" / "python")
    if not stamp.is_file() or stamp.read_text() != pins:
        venv.create(HOME, clear=True, with_pip=True)
        (HOME / ".gitignore").write_text("*\n")
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(HERE / "rivals.txt")], check=True, stdout=sys.stderr)
        stamp.write_text(pins)
    return python


def run(stack: dict[str, str]) -> dict[str, object]:
    """Medians of RUNS, interleaved. Raises ValueError where a rival's signals are not ours."""
    python = environment()
    rates: dict[str, list[float]] = {name: [] for name in ("tapewire", *RIVALS)}
    cpu: dict[str, list[float]] = {name: [] for name in rates}
    notes: dict[str, dict[str, int]] = {}
    for _ in range(RUNS):
        settings = namespace(stack)
        dataset, until = dataset_of_ticks(N_TICKS)
        publish(settings, dataset, until)
        n_records = records_in(settings, settings.topic("ticks"))
        with roles(settings, "score") as pids:
            took = rate_and_cpu(settings, settings.group("score"), "ticks", n_records, pids[0])
        ours = _by_id(read_topic(settings, settings.topic("signals")))
        notes["tapewire"] = {"signals": len(ours)}
        rates["tapewire"].append(took[0])
        cpu["tapewire"].append(took[1])
        last_us = dataset.span[1] if until is None else until
        for name, rival in RIVALS.items():
            job = _job(settings, name, rival, n_records, dataset.span[0], last_us)
            rate, cpu_us = _measure(settings, python, rival, job)
            theirs = read_topic(settings, job.signals)
            notes[name] = compared(name, ours, theirs, until_us=last_us)
            rates[name].append(rate)
            cpu[name].append(cpu_us)
    return {name: _row(name, rates, cpu, notes) for name in rates}


def compared(
    name: str, ours: Mapping[str, Any], theirs: list[dict[str, Any]], *, until_us: int
) -> dict[str, int]:
    """Counts of a rival's signals. Raises ValueError unless all of ours are there, field by field.

    More than ours may only be panes that were still open when the tape ended.
    """
    found = _by_id(theirs)
    missing = ours.keys() - found.keys()
    differ = [k for k in ours.keys() & found.keys() if _fixed(ours[k]) != _fixed(found[k])]
    extra = [found[k] for k in found.keys() - ours.keys()]
    early = [s for s in extra if _us(s["as_of"]) <= until_us]
    if missing or differ or early:
        raise ValueError(
            f"{name}: expected the {len(ours)} signals of tapewire, got {len(found)}: "
            f"{len(missing)} missing, {len(differ)} different, {len(early)} of no pane of ours; "
            f"{[_first_difference(ours[k], found[k]) for k in differ[:1]]}"
        )
    return {
        "signals": len(theirs),
        "equal_to_ours": len(ours),
        "twice": len(theirs) - len(found),
        "of_panes_open_at_the_end": len(extra),
    }


def _measure(settings: Settings, python: str, rival: Rival, job: Job) -> tuple[float, float]:
    """Records a second and CPU microseconds a record, by the group's offsets where there are."""
    module = f"tests.bench.rival_{rival.module}"
    command = [python, "-W", "ignore", "-m", module, msgspec.json.encode(job).decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parents[1])
    try:
        rate = None
        if rival.module == "quix":
            rate, _ = rate_and_cpu(settings, job.group, "ticks", job.n_records, process.pid)
        out, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError(f"{module}: expected it to end well, got exit code {process.returncode}")
    took = msgspec.json.decode(out.splitlines()[-1], type=Took)
    return rate or job.n_records / took.wall_s, took.cpu_s / job.n_records * 1e6


def _job(
    settings: Settings, name: str, rival: Rival, n_records: int, first_us: int, last_us: int
) -> Job:
    topic = f"{settings.topic('signals')}-{name.replace('_', '-')}"
    admin = AdminClient({"bootstrap.servers": settings.broker, "log_level": 0})
    # Signals carry past timestamps: with the broker's usual retention they would be deleted.
    made = NewTopic(topic, settings.partitions, 1, config=topic_config("signals", settings))
    for future in admin.create_topics([made]).values():
        future.result()
    week = timedelta(days=7)
    days = sessions(
        settings.calendar, moment(first_us).date() - 3 * week, moment(last_us).date() + week
    )
    return Job(
        broker=settings.broker,
        ticks=settings.topic("ticks"),
        signals=topic,
        group=f"{settings.namespace}-{name}",
        state_dir=tempfile.mkdtemp(prefix="rival-"),
        n_records=n_records,
        policy=policy_of(settings),
        sessions=tuple(
            (micros(tick.at), tick.kind, session.day.toordinal())
            for session in days
            for tick in session_ticks(settings.calendar, session)
            if tick.kind != "decision"
        ),
        way=rival.way,
        exactly_once=rival.exactly_once,
        checkpoint_s=rival.checkpoint_s,
    )


def _row(
    name: str,
    rates: dict[str, list[float]],
    cpu: dict[str, list[float]],
    notes: dict[str, dict[str, int]],
) -> dict[str, object]:
    rate, cpu_us = statistics.median(rates[name]), statistics.median(cpu[name])
    rival = RIVALS.get(name)
    return {
        "ticks_per_s": round(rate),
        "cpu_us_per_tick": round(cpu_us, 1),
        "ratio_of_rates": round(statistics.median(rates["tapewire"]) / rate, 2),
        "ratio_of_cpu": round(cpu_us / statistics.median(cpu["tapewire"]), 2),
        **notes[name],
        "guarantee": OURS if rival is None else rival.promise.format(rival.checkpoint_s),
        "runs": [round(one) for one in rates[name]],
        "cpu_runs": [round(one, 1) for one in cpu[name]],
    }


def _by_id(signals: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {signal["signal_id"]: signal for signal in signals}


def _first_difference(ours: Any, theirs: Any) -> str:
    name = next(name for name in _fixed(ours) if ours[name] != theirs.get(name))
    return f"{ours['symbol']} {ours['as_of']}: {name} {ours[name]} and {theirs.get(name)}"


def _fixed(signal: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in signal.items() if name not in _VARIES}


def _us(time: str) -> int:
    return micros(datetime.fromisoformat(time))
