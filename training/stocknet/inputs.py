"""Rows to what models learn from: inputs compared inside each day, and a target likewise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.labels import Floats
from training.stocknet.daily import by_day
from training.stocknet.data import DOWN, UP
from training.stocknet.features import Rows

PRICES, NEWS, SCORER_NEWS, BOTH = "prices", "news", "news as the scorer has it", "prices and news"
SETS = (PRICES, NEWS, SCORER_NEWS, BOTH)
_UNIT = 1.0 / np.sqrt(12.0)  # the spread of a day's ranks


@dataclass(frozen=True)
class Inputs:
    """One set of inputs. `sized` columns are no ranks: fits scale them by what they learn from."""

    values: Floats
    sized: npt.NDArray[np.bool_]

    def scaled(self, learnt_from: npt.NDArray[np.bool_]) -> Floats:
        """All rows, the sized columns in units in which ranks are spread."""
        spread = self.values[learnt_from][:, self.sized].std(axis=0)
        out = self.values.copy()
        out[:, self.sized] *= _UNIT / np.where(spread > 0.0, spread, 1.0)
        return out


def make_inputs(rows: Rows) -> dict[str, Inputs]:
    """Every set of SETS. Missing is the middle of the day."""
    own = day_ranks(rows.own, rows.day)
    prices = np.hstack([
        own,
        own - _mean_of(own, [rows.day, rows.sector]),
        day_ranks(rows.peers, rows.day),
    ])  # fmt: skip
    fresh = rows.fresh.fillna(0.0).to_numpy()
    fresh = fresh - _mean_of(fresh, [rows.day])
    sets = {
        PRICES: (prices, 0),
        NEWS: (fresh, fresh.shape[1]),
        SCORER_NEWS: (day_ranks(rows.news, rows.day), 0),
        BOTH: (np.hstack([prices, fresh]), fresh.shape[1]),
    }
    return {
        name: Inputs(values, np.arange(values.shape[1]) >= values.shape[1] - n_sized)
        for name, (values, n_sized) in sets.items()
    }


def day_ranks(table: pd.DataFrame, day: npt.NDArray[Any]) -> Floats:
    """Ranks inside the day in (-0.5, 0.5), ties at their mean; 0 where the value is missing."""
    grouped = table.groupby(day)
    count = grouped.transform("count").to_numpy()
    ranks = (grouped.rank().to_numpy() - 0.5) / np.maximum(count, 1) - 0.5
    out: Floats = np.nan_to_num(ranks, nan=0.0)
    return out


def target(rows: Rows) -> Floats:
    """The rank of the day's move among all symbols, (-0.5, 0.5); NaN without a move."""
    ranks = day_ranks(pd.DataFrame({"move": rows.move}), rows.day)[:, 0]
    found: Floats = np.where(np.isfinite(rows.move), ranks, np.nan)
    return found


def published_label(move: Floats) -> Floats:
    """1 up, 0 down by the published rule; NaN in between, where it gives none."""
    found: Floats = np.where(move >= UP, 1.0, np.where(move < DOWN, 0.0, np.nan))
    return found


def standardised(score: Floats, day: npt.NDArray[Any]) -> Floats:
    """The score less the day's mean over the day's spread; 0 on days that say the same of all."""
    out = np.full(len(score), np.nan)
    for rows in by_day(day):
        if np.isfinite(score[rows]).all():
            spread = score[rows].std()
            out[rows] = (score[rows] - score[rows].mean()) / spread if spread > 1e-12 else 0.0
    return out


def _mean_of(values: Floats, keys: list[npt.NDArray[Any]]) -> Floats:
    found: Floats = pd.DataFrame(values).groupby(keys).transform("mean").to_numpy()
    return found
