"""Stored history, replayed with progress; to have none is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from stream.scoring.policy import Policy
from training.errors import TrainingRefused
from training.history import History
from training.replay import Sampled, replay, sampled
from training.rows import TrainingTable
from training.stored_facts import main_sentiment_model
from training.train import Progress

log = structlog.get_logger()


def replayed(
    history: History,
    policy: Policy,
    sentiment_model: str | None,
    horizon: str,
    progress: Progress,
    *,
    sequences: bool,
) -> TrainingTable:
    """The labelled rows of all that is stored; TrainingRefused where nothing is."""
    total = _n_events(history)
    applied = _told(total, progress)
    rows = replay(
        history.partitions(), policy, sentiment_model,
        horizon=horizon, sequences=sequences, applied=applied,
    )  # fmt: skip
    log.info("replayed", rows=len(rows), events=total, left_out=dict(rows.counts))
    return rows


def replayed_samples(
    history: History,
    policy: Policy,
    progress: Progress,
    noted: Callable[[msgspec.Struct], None] = lambda event: None,
) -> Sampled:
    """All that may be trained on, to be labelled by any rule; as `replayed` and `sampled`."""
    applied = _told(_n_events(history), progress)
    model = main_sentiment_model(history)
    return sampled(history.partitions(), policy, model, applied=applied, noted=noted)


def _n_events(history: History) -> int:
    total = history.n_events()
    if total == 0:
        raise TrainingRefused(
            f"schema {history.schema}: expected stored history, got no {history.tape} and no "
            "clock; load a dataset or let the archive run first"
        )
    return total


def _told(total: int, progress: Progress) -> Callable[[int], None]:
    def applied(n: int) -> None:
        progress(f"replaying {n:,} of {total:,} events", min(1.0, n / total))

    applied(0)
    return applied
