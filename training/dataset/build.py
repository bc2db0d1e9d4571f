"""Stored history to a dataset: a file a partition, in processes, resumed where it was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream.errors import Refused
from stream.scoring.policy import Policy
from training.dataset.manifest import Manifest, differences, read_manifest, write_manifest
from training.dataset.parts import is_done, write_part
from training.hands import Tell, by_partition
from training.history import History, open_history
from training.labels import LABEL_RULES
from training.replay import replay
from training.retrain import code_revision
from training.rows import TrainingTable


class Span(NamedTuple):
    """Bounds of as_of in microseconds: the first that counts, and the first that does not."""

    since_us: int | None = None
    until_us: int | None = None


EVERYTHING = Span()


class Built(NamedTuple):
    """The dataset, and how many of its partitions this run made."""

    manifest: Manifest
    n_made: int


def build(
    dsn: str,
    schema: str,
    policy: Policy,
    folder: Path,
    *,
    span: Span = EVERYTHING,
    jobs: int | None = None,
    resume: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Built:
    """Replay what `schema` holds into `folder`, the rows that training would take.

    Parameters
    ----------
    span : of the rows; all of the history is replayed, as features and labels reach beyond.
    jobs : processes; by default as many as pay off here.
    resume : go on with a folder that was begun, on the events that were stored then.

    Raises
    ------
    Refused
        The folder holds a dataset and `resume` is not given, or another run's dataset: says every
        difference; or there is no history.
    Unavailable
        The database does not answer.
    """
    begun = read_manifest(folder)
    if begun is not None and not resume:
        raise Refused(
            f"{folder}: expected an empty folder, found a dataset of {begun.namespace}; "
            "go on with it by --resume, or build elsewhere"
        )
    known = None if begun is None else begun.extents
    with open_history(dsn, schema, policy.tape, known=known) as history:
        here = _manifest(history, policy, span)
        if not here.sizes:
            raise Refused(
                f"schema {schema}: expected stored history, got no {policy.tape}; "
                "load a dataset or let the archive run first"
            )
        if begun is None:
            folder.mkdir(parents=True, exist_ok=True)
            write_manifest(folder, here)
        elif found := differences(begun, here):
            raise Refused(f"{folder}: a dataset of another run; {'; '.join(found)}")
        sizes = {p: n for p, n in here.sizes.items() if not is_done(folder, here, p)}
        by_partition(history, sizes, partial(_make, here, folder), jobs=jobs, progress=progress)
    return Built(here, len(sizes))


def _manifest(history: History, policy: Policy, span: Span) -> Manifest:
    return Manifest(
        namespace=history.schema,
        policy_id=policy.policy_id,
        policy=policy,
        feature_names=policy.features.names,
        rule=LABEL_RULES[policy.feature_set],
        sentiment_model=history.sentiment_model(),
        since_us=span.since_us,
        until_us=span.until_us,
        code_revision=code_revision(),
        extents=tuple(history.extents()),
    )


def _make(manifest: Manifest, folder: Path, history: History, partition: int, tell: Tell) -> None:
    rows = replay(
        [(partition, history.events(partition))],
        manifest.policy,
        manifest.sentiment_model,
        applied=tell,
    )
    write_part(folder, manifest, partition, _within(rows, manifest))


def _within(rows: TrainingTable, manifest: Manifest) -> TrainingTable:
    inside = np.ones(len(rows), dtype=np.bool_)
    if manifest.since_us is not None:
        inside &= rows.as_of_us >= manifest.since_us
    if manifest.until_us is not None:
        inside &= rows.as_of_us < manifest.until_us
    kept = rows.take(inside)
    if len(kept) == len(rows):
        return rows
    return replace(kept, counts={**rows.counts, "outside the span": len(rows) - len(kept)})
