"""Retrain a namespace: stored history, replay, labels, folds, gates, registry."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

import msgspec
import structlog

from models.registry import Registry
from stream.errors import Unavailable
from stream.scoring.policy import Policy
from training.errors import TrainingRefused
from training.history import open_history
from training.label_rules import label_rule
from training.replay import replay
from training.rows import TrainingTable
from training.train import Boost, Trained, train_model

log = structlog.get_logger()

ALIAS = "champion"
_WHEELS = ("lightgbm", "numpy", "msgspec")
_SOURCES = ("stream.features", "stream.scoring", "models", "training")
_REPLAY_SHARE = 0.5  # of the progress


@dataclass(frozen=True)
class RetrainResult:
    """What was stored. verdict: PASS, or WARN with `reason` saying why."""

    version: str
    n_rows: int
    verdict: str
    reason: str
    metrics: dict[str, float | None]
    counts: dict[str, int]  # rows left out and inputs not used, by reason


def retrain(
    dsn: str,
    schema: str,
    policy: Policy,
    *,
    seed: int,
    promote: bool,
    actor: str,
    horizon: str | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
    judged: Callable[[Trained, TrainingTable], None] = lambda trained, rows: None,
    rows: TrainingTable | None = None,
    boost: Boost | None = None,
    num_threads: int = 1,
) -> RetrainResult:
    """Train on what `schema` holds, judge, store and, if asked to, make it champion.

    Parameters
    ----------
    rows : of a built dataset; None replays the stored history.
    boost : how trees are grown; None: here.
    horizon : of the labels and the signals; None: the feature set's default.
    judged : told of every model that the gates have judged, also of one that they refuse.

    Raises
    ------
    TrainingRefused
        There is too little to learn from, the labels could not have been traded, or a gate says
        FAIL; nothing is stored.
    Unavailable, Refused
        The database does not answer, or has no tables; the feature set has no such horizon.
    """
    rule = label_rule(policy.feature_set, horizon)
    if not rule.tradable:
        raise TrainingRefused(
            f"horizon {rule.horizon}: expected an entry after as_of, got the close before it, at "
            "which nobody could have traded; it is for comparison with published figures alone"
        )
    if rows is None:
        rows = _replayed(dsn, schema, policy, horizon, progress)
    trained = train_model(
        rows,
        seed=seed,
        num_threads=num_threads,
        boost=boost,
        code_revision=code_revision(),
        wheels={name: metadata.version(name) for name in _WHEELS}
        | {"python": platform.python_version()},
        progress=lambda step, share: progress(step, _REPLAY_SHARE + share * (1 - _REPLAY_SHARE)),
    )
    judged(trained, rows)
    verdict, artifact = trained.verdict, trained.artifact
    log.info("judged", version=artifact.version, verdict=verdict.says, reason=verdict.reason)
    if verdict.says == "FAIL":
        raise TrainingRefused(verdict.reason)
    try:
        registry = Registry(dsn, schema)
        registry.save(artifact, msgspec.to_builtins(verdict))
        if promote:
            registry.promote(ALIAS, artifact.version, actor, f"retrain: {verdict.says}")
    except ConnectionError as error:
        raise Unavailable(str(error)) from error
    return RetrainResult(
        version=artifact.version,
        n_rows=len(rows),
        verdict=verdict.says,
        reason=verdict.reason,
        metrics=dict(artifact.metrics),
        counts=dict(rows.counts),
    )


def _replayed(
    dsn: str,
    schema: str,
    policy: Policy,
    horizon: str | None,
    progress: Callable[[str, float], None],
) -> TrainingTable:
    with open_history(dsn, schema, policy.tape) as history:
        total = history.n_events()
        if total == 0:
            raise TrainingRefused(
                f"schema {schema}: expected stored history, got no {policy.tape} and no clock; "
                "load a dataset or let the archive run first"
            )

        def applied(n: int) -> None:
            progress(f"replaying {n:,} of {total:,} events", min(1.0, n / total) * _REPLAY_SHARE)

        applied(0)
        model = history.sentiment_model()
        rows = replay(history.partitions(), policy, model, horizon=horizon, applied=applied)
    log.info("replayed", rows=len(rows), events=total, left_out=dict(rows.counts))
    return rows


def code_revision() -> str:
    """Twelve hex digits that name the sources of features, scoring, models and training."""
    digest = hashlib.blake2b(digest_size=6)
    for package in _SOURCES:
        for name, text in sorted(_sources(resources.files(package))):
            digest.update(f"{package}/{name}\0".encode() + text)
    return digest.hexdigest()


def _sources(folder: Any) -> list[tuple[str, bytes]]:
    return [(f.name, f.read_bytes()) for f in folder.iterdir() if f.name.endswith(".py")]
