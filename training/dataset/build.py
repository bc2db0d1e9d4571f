"""Stored history to a dataset: a file a partition, in processes, resumed where it was killed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stream.errors import Refused
from stream.features.sequence import CHANNELS
from stream.scoring.policy import Policy
from training.dataset.join import join, tidy
from training.dataset.manifest import Manifest, differences, read_manifest, write_manifest
from training.dataset.parts import is_there, write_prices, write_rows
from training.hands import Tell, by_partition
from training.history import History, open_history
from training.label_rules import label_rule
from training.replay import replay_apart
from training.revision import code_revision
from training.stored_facts import main_sentiment_model


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
    horizon: str | None = None,
    span: Span = EVERYTHING,
    jobs: int | None = None,
    resume: bool = False,
    sequences: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Built:
    """Replay what `schema` holds into `folder`, the rows that training would take.

    Parameters
    ----------
    horizon : of the labels; None: the feature set's default.
    span : of the rows; all of the history is replayed, as features and labels reach beyond.
    jobs : processes; by default as many as pay off here.
    resume : go on with a folder that was begun, on the events that were stored then.
    sequences : whether rows keep their newest panes one by one, for learners that read them.

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
        here = _manifest(history, policy, horizon, span, CHANNELS if sequences else ())
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
        sizes = {}
        if not all(is_there(folder, here, here.part(each)) for each in here.sizes):
            sizes = {
                p: n for p, n in here.sizes.items() if not is_there(folder, here, here.apart(p))
            }
            by_partition(history, sizes, partial(_make, here, folder), jobs=jobs, progress=progress)
            join(folder, here)
    tidy(folder, here)
    return Built(here, len(sizes))


def _manifest(
    history: History, policy: Policy, horizon: str | None, span: Span, channels: tuple[str, ...]
) -> Manifest:
    return Manifest(
        namespace=history.schema,
        policy_id=policy.policy_id,
        policy=policy,
        feature_names=policy.features.names,
        rule=label_rule(policy.feature_set, horizon),
        sentiment_model=main_sentiment_model(history),
        since_us=span.since_us,
        until_us=span.until_us,
        code_revision=code_revision(),
        extents=tuple(history.extents()),
        channels=channels,
    )


def _make(manifest: Manifest, folder: Path, history: History, partition: int, tell: Tell) -> None:
    made = replay_apart(
        [(partition, history.events(partition))],
        manifest.policy,
        manifest.sentiment_model,
        horizon=manifest.rule.horizon,
        sequences=bool(manifest.channels),
        applied=tell,
    )
    write_prices(folder, manifest, manifest.prices(partition), made.paths)
    write_rows(folder, manifest, manifest.apart(partition), made.rows)
