"""Training rows as columns, and how they grow out of what was due."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from models.sequence import Sequences
from stream.features.sequence import CHANNELS, LENGTH
from stream.features.vector import FeatureSet
from stream.scoring.due import Due
from training.barriers import first_touch
from training.label_rules import LabelRule
from training.labels import Floats, Ints, Left, classes, forward_returns
from training.market_return import by_symbol, market_returns
from training.prices import PricePath, Tape, price_path

TARGET_CLIP = 4.0  # units
_NAN = float("nan")


@dataclass(frozen=True)
class TrainingTable:
    """Labelled rows by as_of, symbol, trigger and its reference; times in microseconds.

    x : (n, f) float64, NaN is missing; columns as `feature_names`.
    forward_return : a fraction.
    volatility : of the return over the horizon, as known at as_of.
    counts : rows left out and inputs not used, by reason.
    round_trip : cost of each row, a fraction, by its price at as_of; None: the rule's least.
    market_return : from entry to exit; NaN where too few symbols entered; None: not looked at.
    sequence : (n, LENGTH, CHANNELS) float32 of `stream.features.sequence`, 1 kB a row; None: not
        asked for.
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
    round_trip: Floats | None = None
    market_return: Floats | None = None
    sequence: Sequences | None = None

    def __len__(self) -> int:
        return len(self.as_of_us)

    @property
    def y(self) -> Ints:
        """Classes: 0 bearish, 1 neutral, 2 bullish."""
        return classes(self.forward_return, self.volatility, self.rule, self.cost)

    @property
    def cost(self) -> Floats:
        """Of each row's round trip, a fraction."""
        flat = np.full(len(self), self.rule.cost)
        return flat if self.round_trip is None else self.round_trip

    @property
    def unit(self) -> Floats:
        """What targets are counted in: the volatility, or the least round trip where that is more.

        Known from the vector alone, so a scorer finds the same.
        """
        unit: Floats = np.maximum(self.volatility, self.rule.cost)
        return unit

    @property
    def target(self) -> Floats:
        """The return in units, clipped to -TARGET_CLIP..TARGET_CLIP."""
        return np.clip(self.forward_return / self.unit, -TARGET_CLIP, TARGET_CLIP)

    @property
    def relative_target(self) -> Floats:
        """The return less the market's in units, clipped; NaN where the market's is unknown."""
        if self.market_return is None:
            return np.full(len(self), _NAN)
        relative = (self.forward_return - self.market_return) / self.unit
        return np.clip(relative, -TARGET_CLIP, TARGET_CLIP)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The rows that a mask or index picks."""
        columns = {
            each.name: getattr(self, each.name)[rows]
            for each in fields(self)
            if isinstance(getattr(self, each.name), np.ndarray)
        }
        return replace(self, **columns)


class Labelled(NamedTuple):
    """Rows that do not know the market's return yet, and their symbols' prices that it takes.

    refs : of each row what set it off, and its revision: of a news row the article's.
    """

    rows: TrainingTable
    paths: Mapping[str, PricePath]
    refs: list[tuple[str, int]]

    def with_market(self) -> TrainingTable:
        """The rows with the mean return of all symbols that entered when they did."""
        rows = self.rows
        market = market_returns(rows.symbol, rows.entry_us, rows.exit_us, self.paths)
        return replace(rows, market_return=market)


class Samples:
    """What was due and may be trained on: pane and news rows with a fresh price, warmed up.

    Parameters
    ----------
    sequences : whether what is due has its newest panes one by one, to be kept too.
    """

    def __init__(
        self, features: FeatureSet, staleness_s: float, *, sequences: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._features = features
        self._stale_us = int(staleness_s * 1e6)
        self._x = array("d")
        self._as_of = array("q")
        self._price = array("d")
        self._symbols: list[str] = []
        self._triggers: list[str] = []
        self._refs: list[tuple[str, int]] = []
        self._sequences = bytearray() if sequences else None

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
        self._price.append(_NAN if due.price is None else due.price)
        self._symbols.append(due.symbol)
        self._triggers.append(due.trigger)
        self._refs.append((due.trigger_ref, due.revision))
        if self._sequences is not None:
            assert due.sequence is not None
            self._sequences += due.sequence

    def label(
        self,
        tapes: Mapping[str, Tape],
        rule: LabelRule,
        until_us: int,
        sentiment_model: str | None,
    ) -> Labelled:
        """The labelled rows; those without a label or a known volatility are counted."""
        names = self._features.names
        n = len(self)
        x = np.frombuffer(self._x, dtype=np.float64).reshape(n, len(names))
        symbol = np.array(self._symbols, dtype=np.str_)
        as_of = np.array(self._as_of, dtype=np.int64)
        volatility = x[:, names.index(rule.volatility)] * rule.volatility_scale
        round_trip = rule.costs.round_trip(np.array(self._price, dtype=np.float64))
        entry, exit_ = as_of.copy(), as_of.copy()
        forward, left = np.full(n, _NAN), np.zeros(n, dtype=np.int8)
        paths = {}
        for each, own in by_symbol(symbol):
            path = paths[each] = price_path(tapes.get(each, Tape()), rule)
            labels = forward_returns(as_of[own], path, rule, until_us)
            if rule.barrier is not None:
                width = np.maximum(rule.barrier * volatility[own], round_trip[own])
                labels = first_touch(labels, path, width)
            entry[own], exit_[own] = labels.entry_us, labels.exit_us
            forward[own], left[own] = labels.forward_return, labels.left
        labelled = left == Left.LABELLED
        counts = Counter(self.counts)
        for reason in Left:
            counts[reason.name.lower().replace("_", " ")] += int((left == reason).sum())
        del counts["labelled"]
        known = ~np.isnan(volatility)
        counts["no volatility"] += int((labelled & ~known).sum())
        # Not in the log's order, which is a race between partitions: a model hangs on it.
        keys = list(zip(self._as_of, self._symbols, self._triggers, self._refs, strict=True))
        found = sorted(np.flatnonzero(labelled & known), key=keys.__getitem__)
        rows = np.array(found, dtype=np.intp)
        table = TrainingTable(
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
            round_trip=round_trip[rows],
            sequence=self._sequence(rows),
        )
        return Labelled(table, paths, [self._refs[i] for i in rows])

    def _sequence(self, rows: Ints) -> Sequences | None:
        if self._sequences is None:
            return None
        found = np.frombuffer(self._sequences, "<f4")
        taken: Sequences = found.reshape(len(self), LENGTH, len(CHANNELS))[rows]
        return taken
