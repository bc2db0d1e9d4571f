"""Training rows as columns, and how they grow out of what was due."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream.features.adjust import Action
from stream.features.panes import Pane
from stream.features.vector import FeatureSet
from stream.scoring.state import Due
from training.labels import Floats, Ints, LabelRule, Left, classes, forward_returns

_NAN = float("nan")


@dataclass(frozen=True)
class TrainingTable:
    """Labelled rows by as_of, symbol, trigger and its reference; times in microseconds.

    x : (n, f) float64, NaN is missing; columns as `feature_names`.
    forward_return : a fraction.
    volatility : of the return over the horizon, as known at as_of.
    counts : rows left out and inputs not used, by reason.
    """

    feature_set: str
    feature_set_version: int
    feature_names: tuple[str, ...]
    sentiment_model: str | None
    rule: LabelRule
    x: Floats
    symbol: npt.NDArray[np.str_]
    trigger: npt.NDArray[np.str_]
    as_of_us: Ints
    entry_us: Ints
    exit_us: Ints
    forward_return: Floats
    volatility: Floats
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.as_of_us)

    @property
    def y(self) -> Ints:
        """Classes: 0 bearish, 1 neutral, 2 bullish."""
        return classes(self.forward_return, self.volatility, self.rule)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The rows that a mask or index picks."""
        columns = {
            each.name: getattr(self, each.name)[rows]
            for each in fields(self)
            if isinstance(getattr(self, each.name), np.ndarray)
        }
        return replace(self, **columns)


class Samples:
    """What was due and may be trained on: pane and news rows with a fresh price, warmed up."""

    def __init__(self, features: FeatureSet, staleness_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._features = features
        self._stale_us = int(staleness_s * 1e6)
        self._x = array("d")
        self._as_of = array("q")
        self._symbols: list[str] = []
        self._triggers: list[str] = []
        self._refs: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return len(self._as_of)

    def add(self, due: Due) -> None:
        """Keep the row, or count why not: signals of such rows abstain."""
        if due.trigger == "tick":
            return
        if not due.warm:
            self.counts["warming up"] += 1
            return
        if due.last_tick_at is None or due.as_of - due.last_tick_at > self._stale_us:
            self.counts["stale prices"] += 1
            return
        self._x.extend([_NAN if value is None else value for value in due.vector])
        self._as_of.append(due.as_of)
        self._symbols.append(due.symbol)
        self._triggers.append(due.trigger)
        self._refs.append((due.trigger_ref, due.revision))

    def label(
        self,
        panes: Mapping[str, Sequence[Pane]],
        actions: Mapping[str, Sequence[Action]],
        rule: LabelRule,
        until_us: int,
        sentiment_model: str | None,
    ) -> TrainingTable:
        """The labelled rows; those without a label or a known volatility are counted."""
        names = self._features.names
        n = len(self)
        x = np.frombuffer(self._x, dtype=np.float64).reshape(n, len(names))
        symbol = np.array(self._symbols, dtype=np.str_)
        as_of = np.array(self._as_of, dtype=np.int64)
        entry, exit_ = as_of.copy(), as_of.copy()
        forward, left = np.full(n, _NAN), np.zeros(n, dtype=np.int8)
        for each in np.unique(symbol):
            own = np.flatnonzero(symbol == each)
            labels = forward_returns(
                as_of[own], panes.get(each, ()), actions.get(each, ()), rule, until_us
            )
            entry[own], exit_[own] = labels.entry_us, labels.exit_us
            forward[own], left[own] = labels.forward_return, labels.left
        volatility = x[:, names.index(rule.volatility)] * rule.volatility_scale
        counts = Counter(self.counts)
        for reason in (Left.UNMATURED, Left.NO_ENTRY, Left.NO_EXIT):
            counts[reason.name.lower().replace("_", " ")] += int((left == reason).sum())
        labelled = left == Left.LABELLED
        known = ~np.isnan(volatility)
        counts["no volatility"] += int((labelled & ~known).sum())
        # Not in the log's order, which is a race between partitions: a model hangs on it.
        keys = list(zip(self._as_of, self._symbols, self._triggers, self._refs, strict=True))
        rows = np.array(sorted(np.flatnonzero(labelled & known), key=keys.__getitem__), dtype=int)
        return TrainingTable(
            feature_set=self._features.name,
            feature_set_version=self._features.version,
            feature_names=names,
            sentiment_model=sentiment_model,
            rule=rule,
            x=x[rows],
            symbol=symbol[rows],
            trigger=np.array(self._triggers, dtype=np.str_)[rows],
            as_of_us=as_of[rows],
            entry_us=entry[rows],
            exit_us=exit_[rows],
            forward_return=forward[rows],
            volatility=volatility[rows],
            counts={reason: count for reason, count in sorted(counts.items()) if count},
        )
