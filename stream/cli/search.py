"""Options that say what a training learns with, and how long it may look for parameters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from models.unit import Target
from stream.cli.extras import needs
from stream.errors import Refused
from stream.settings import Settings

if TYPE_CHECKING:
    from training.learners.learner import Learner
    from training.train import Chooser

_SECONDS = {"s": 1, "m": 60, "h": 3600}

LearnerOption = Annotated[
    str,
    typer.Option(
        help="lightgbm, xgboost, forest, boosting, linear or sequence; several joined by + are "
        "pooled."
    ),
]
TargetOption = Annotated[
    Target,
    typer.Option(
        help="What the expected return is of: raw, scaled by volatility, or relative to the market."
    ),
]
TuneOption = Annotated[
    str | None, typer.Option(metavar="30m", help="Time to look for better parameters.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the trials that are stored for these rows.")
]
DaskOption = Annotated[
    str | None, typer.Option(help="Scheduler of a Dask cluster that grows LightGBM's trees.")
]
PerSectorOption = Annotated[
    bool, typer.Option("--per-sector", help="Give a sector its own model where that wins.")
]


@dataclass(frozen=True)
class Search:
    """What was asked for. tune : such as 90s, 30m or 2h; None: no tuning. dask: an address."""

    learner: str = "lightgbm"
    tune: str | None = None
    resume: bool = False
    dask: str | None = None
    target: Target = "raw"
    per_sector: bool = False

    @property
    def sequences(self) -> bool:
        """Whether the learner reads the newest panes one by one."""
        return "sequence" in self.learner.split("+")

    @property
    def options(self) -> dict[str, object]:
        """What gives the same parameters again: of stored trials no more are made."""
        learner = None if self.learner == "lightgbm" else self.learner
        stored = {} if self.tune is None else {"tune": "0m", "resume": True}
        target = None if self.target == "raw" else self.target
        apart = self.per_sector or None
        given = {"learner": learner, "per_sector": apart, "target": target, "dask": self.dask}
        return {**given, **stored}

    @contextmanager
    def chooser(
        self, settings: Settings, seed: int, progress: Callable[[str, float | None], None]
    ) -> Iterator[Chooser]:
        """What chooses each fold's parameters; trials are kept under the data folder.

        Raises
        ------
        Refused
            An option is wrong, or a library is not installed.
        Unavailable
            Nobody answers at the cluster's address.
        """
        with self._learner() as chosen:
            yield self._chooser(chosen, settings, seed, progress)

    @contextmanager
    def _learner(self) -> Iterator[Learner]:
        from training.errors import TrainingRefused
        from training.learners.named import learner

        try:
            with needs(f"retrain --learner {self.learner}", "torch" if self.sequences else "train"):
                chosen = learner(self.learner)
        except TrainingRefused as error:
            raise Refused(str(error)) from None
        if self.dask is None:
            yield chosen
            return
        from training.learners.lightgbm import LightGBM

        if not isinstance(chosen, LightGBM):
            raise Refused(f"--dask: expected --learner lightgbm, got {self.learner}")
        with needs("retrain --dask", "dask"):
            from training.cluster import cluster, grown_there
        with cluster(self.dask) as client:
            yield replace(chosen, grown=partial(grown_there, client))

    def _chooser(
        self,
        chosen: Learner,
        settings: Settings,
        seed: int,
        progress: Callable[[str, float | None], None],
    ) -> Chooser:
        from training.learners.recipe import Recipe
        from training.train import untuned

        if self.tune is None:
            if self.resume:
                raise Refused("--resume: expected --tune too; --tune 0m uses what is stored")
            return untuned(chosen, self.target, per_sector=self.per_sector)
        with needs("retrain --tune", "train"):
            from training.tune import Tuning
        path = settings.data_dir / "studies" / f"{settings.namespace}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return Tuning(
            recipe=Recipe(chosen, target=self.target, per_sector=self.per_sector),
            path=path,
            spent=_spent(seconds(self.tune)),
            resume=self.resume,
            seed=seed,
            num_threads=1,
            told=lambda fold, n, best: progress(
                f"fold {fold + 1}: trial {n}, gains {best:.4f} of log-loss", None
            ),
        )


def seconds(duration: str) -> float:
    """Seconds of 90s, 30m or 2h; Refused when it is none of that kind."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", duration)
    if found is None:
        raise Refused(f"--tune: expected a time such as 90s, 30m or 2h, got {duration!r}")
    return float(found[1]) * _SECONDS[found[2]]


def _spent(budget_s: float) -> Callable[[], float]:
    """The share of the time that is used up, from the first question on."""
    began: float | None = None

    def spent() -> float:
        nonlocal began
        now = time.monotonic()
        began = now if began is None else began
        return (now - began) / budget_s if budget_s > 0.0 else 1.0

    return spent
