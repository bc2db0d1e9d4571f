"""Live = replay: every stored signal made again from its recorded inputs, partition by partition.

The market's panes are inputs of theirs, and outputs of a role: they are made again beside them.

The report is put together in the partitions' order and is the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from models.artifact import ArtifactError
from models.registry import Registry
from models.scorer import ArtifactScorer, Scorer
from stream.errors import Refused
from stream.scoring.build import this_build
from training.accounting import accounts
from training.comparison import Comparison
from training.hands import Tell, by_partition
from training.history import History
from training.market_replay import compare_market
from training.proof import Chosen, Report
from training.stored_signals import builds, signal_partitions


def verify(
    history: History,
    chosen: Chosen,
    *,
    jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Replay every partition that holds signals and compare those that are chosen.

    Parameters
    ----------
    jobs : processes to replay in; with 1 it is this one, with None as many as pay off here.
    progress : told which share of the inputs is applied, now and then.

    Raises
    ------
    Refused
        A stored signal names a policy that the table `policies` does not hold.
    """
    events = history.events_by_partition()
    sizes = {partition: events[partition] for partition in signal_partitions(history.connection)}
    report = Report(builds=_other_builds(builds(history.connection)))

    def meanwhile() -> None:
        report.accounts = accounts(history.connection, history.tape)
        market = compare_market(history, chosen)
        report.market, report.differences = market.counts, market.differences

    work = partial(_compared, chosen)
    found = by_partition(history, sizes, work, jobs=jobs, progress=progress, meanwhile=meanwhile)
    for partition in sizes:
        report.add(found[partition])
    return report


def _compared(chosen: Chosen, history: History, partition: int, tell: Tell) -> Report:
    registry = Registry(history.dsn, history.schema)

    def load(version: str) -> Scorer:
        try:
            return ArtifactScorer(registry.load(version))
        except ArtifactError as error:
            raise Refused(f"model {version}: {error}") from error

    return Comparison(history, partition, load, tell).compare(chosen)


def _other_builds(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    here = msgspec.to_builtins(this_build())
    return {
        build_id: "; ".join(
            f"{name}: {build.get(name)}, here {mine}"
            for name, mine in here.items()
            if build.get(name) != mine
        )
        for build_id, build in recorded.items()
        if build_id != this_build().build_id
    }
