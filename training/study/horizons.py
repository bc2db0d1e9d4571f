"""The same rows labelled at several horizons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream.errors import Refused
from training.costs import net_returns
from training.errors import TrainingRefused
from training.label_rules import LABEL_RULES, LabelRule, label_rule
from training.labels import Floats, Ints
from training.rows import TrainingTable

_Key = tuple[int, str, str, int]


@dataclass(frozen=True)
class Horizons:
    """Rows that have a label at every horizon; arrays are (n, h), the shortest horizon first.

    rows : labelled at the first horizon.
    unit : volatility over each horizon as known at as_of, or the round trip where that is more.
    counts : rows left out, by horizon and reason.
    """

    rules: tuple[LabelRule, ...]
    rows: TrainingTable
    forward_return: Floats
    unit: Floats
    cost: Floats
    exit_us: Ints
    counts: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the horizons."""
        return tuple(rule.horizon for rule in self.rules)

    @property
    def last_exit_us(self) -> Ints:
        """When the last of a row's labels is known."""
        last: Ints = self.exit_us.max(axis=1)
        return last

    @property
    def held_us(self) -> Ints:
        """How long a position is held."""
        held: Ints = self.exit_us - self.rows.entry_us[:, None]
        return held

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The rows that a mask or index picks."""
        arrays = ("forward_return", "unit", "cost", "exit_us")
        picked = {name: getattr(self, name)[rows] for name in arrays}
        return replace(self, rows=self.rows.take(rows), **picked)

    def pay(self, side: Floats) -> Floats:
        """(n, h) what a position earns after the round trip and the borrow, in units of risk.

        Parameters
        ----------
        side : (n,) 1 long, -1 short, 0 none.
        """
        each = side[:, None]
        net = net_returns(each, self.forward_return, self.held_us, 0.0) - np.abs(each) * self.cost
        pay: Floats = net / self.unit
        return pay


def studied_rules(feature_set: str, names: Sequence[str] | None = None) -> tuple[LabelRule, ...]:
    """The horizons to compare, shortest first.

    By default every one that could be traded and that only time ends; of two of the same length
    the one in sessions, since they differ over closed days alone.

    Raises
    ------
    Refused
        The feature set has no such horizon, there are fewer than two, or one could not be traded
        or ends at a barrier.
    """
    if names is not None:
        rules = tuple(sorted({label_rule(feature_set, each) for each in names}, key=_length))
        if len(rules) < 2:
            raise Refused(f"horizons: expected two or more to compare, got {', '.join(names)}")
        for rule in rules:
            _check_studied(rule)
        return rules
    in_sessions_last = sorted(LABEL_RULES[feature_set].values(), key=lambda r: r.sessions or 0)
    by_length = {rule.horizon_us: rule for rule in in_sessions_last if _may_be_studied(rule)}
    return tuple(sorted(by_length.values(), key=_length))


def joined(tables: Sequence[TrainingTable]) -> Horizons:
    """The rows that all tables have.

    Parameters
    ----------
    tables : of the same history, one a horizon. One without a row is left out.

    Raises
    ------
    TrainingRefused
        Fewer than two horizons have rows, or two tables are of the same one or of other features.
    Refused
        A horizon could not be traded or ends at a barrier.
    """
    for each in tables:
        _check_studied(each.rule)
    tables = sorted(tables, key=lambda each: _length(each.rule))
    counts: Counter[str] = Counter()
    for each in tables:
        counts.update({f"{each.rule.horizon}: {why}": n for why, n in each.counts.items()})
    found = [each for each in tables if len(each)]
    if len(found) < 2:
        got = ", ".join(f"{len(each):,} at {each.rule.horizon}" for each in tables)
        why = ", ".join(f"{reason} {n:,}" for reason, n in counts.items()) or "nothing left out"
        raise TrainingRefused(
            f"expected rows labelled at two horizons or more, got {got} ({why}); load more history"
        )
    for one, other in pairwise(found):
        _check_alike(one, other)
    keys = [_keys(each) for each in found]
    common = set(keys[0]).intersection(*keys[1:])
    counts["labelled at some horizons only"] = len(set().union(*keys)) - len(common)
    if not common:
        raise TrainingRefused(
            "expected rows labelled at every horizon, got none: the datasets are of other spans"
        )
    picked = [
        each.take(np.array([key in common for key in own]))
        for each, own in zip(found, keys, strict=True)
    ]
    return Horizons(
        rules=tuple(each.rule for each in picked),
        rows=picked[0],
        forward_return=np.column_stack([each.forward_return for each in picked]),
        unit=np.column_stack([each.unit for each in picked]),
        cost=np.column_stack([each.cost for each in picked]),
        exit_us=np.column_stack([each.exit_us for each in picked]),
        counts={why: n for why, n in counts.items() if n},
    )


def _may_be_studied(rule: LabelRule) -> bool:
    return rule.tradable and rule.barrier is None


def _check_studied(rule: LabelRule) -> None:
    if not _may_be_studied(rule):
        raise Refused(
            f"horizon {rule.horizon}: expected one that can be traded and that only time ends"
        )


def _length(rule: LabelRule) -> int:
    return rule.horizon_us


def _keys(rows: TrainingTable) -> list[_Key]:
    """What a row is at any horizon; those of one moment are told apart by their order."""
    seen: Counter[tuple[int, str, str]] = Counter()
    keys = []
    columns = (rows.as_of_us.tolist(), rows.symbol.tolist(), rows.trigger.tolist())
    for key in zip(*columns, strict=True):
        seen[key] += 1
        keys.append((*key, seen[key]))
    return keys


def _check_alike(one: TrainingTable, other: TrainingTable) -> None:
    if one.rule.horizon == other.rule.horizon:
        raise TrainingRefused(
            f"expected datasets of different horizons, got two of {one.rule.horizon}"
        )
    facts = ("feature_set", "feature_set_version", "feature_names", "sentiment_model")
    for name in facts:
        a, b = getattr(one, name), getattr(other, name)
        if a != b:
            raise TrainingRefused(
                f"{name.replace('_', ' ')}: expected the same at {one.rule.horizon} and "
                f"{other.rule.horizon}, got {a} and {b}"
            )
