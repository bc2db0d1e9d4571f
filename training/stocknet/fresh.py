"""News since the session before: what was said in it, and after its close.

Unlike the scorer's features these keep their size: on most days there is nothing, on the few with
earnings after the close much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream.clock.calendar import sessions
from training.stocknet.across import log_of
from training.stocknet.scores import Told

_BASE = 20  # sessions of a symbol's usual news
_PARTS = {"session": False, "afterclose": True}


def fresh_news(
    told: Sequence[Told], days: npt.NDArray[np.datetime64], calendar: str
) -> dict[str, pd.DataFrame]:
    """Tables of (day, symbol), each of what is known before the day.

    A tweet counts for the first day after its own `day`, in one of two parts: before the close of
    the session before that, or after it. Counts stand against the symbol's own of 20 days before;
    polarity is weighted by relevance, which falls with the number of symbols of a tweet.
    """
    dates = pd.DatetimeIndex(days)
    ordinals = np.array([day.toordinal() for day in dates])
    closes = {each.day.toordinal(): each.close
              for each in sessions(calendar, dates[0].date(), dates[-1].date())}  # fmt: skip
    tweets = pd.DataFrame(
        {
            "symbol": [each.symbol for each in told],
            "day": np.array([each.day for each in told], dtype=np.int64),
            "at": np.array([each.item.available_at for each in told], dtype=np.int64),
            "weight": np.array([each.item.relevance for each in told], dtype=float),
            "polarity": np.array([each.item.polarity for each in told], dtype=float),
        }
    )
    target = np.searchsorted(ordinals, tweets["day"].to_numpy(), side="right")
    inside = (target < len(ordinals)) & (target > 0)
    tweets, target = tweets[inside], target[inside]
    before = np.array([closes[each] for each in ordinals])[target - 1]
    tweets = tweets.assign(
        target=dates[target],
        tone=tweets["polarity"] * tweets["weight"],
        afterclose=tweets["at"].to_numpy() > before,
    )
    found = {}
    for part, after in _PARTS.items():
        sums = tweets[tweets["afterclose"] == after].groupby(["target", "symbol"])
        for name, table in _measures(sums, dates).items():
            found[f"{name}_{part}"] = log_of(table.abs() + 1.0) * np.sign(table)
    return found


def _measures(sums: Any, dates: pd.DatetimeIndex) -> dict[str, pd.DataFrame]:
    def table(column: pd.Series) -> pd.DataFrame:
        return column.unstack().reindex(dates).fillna(0.0)

    count = table(sums.size())
    weight, tone = table(sums["weight"].sum()), table(sums["tone"].sum())
    earlier = count.shift(1).rolling(_BASE, min_periods=_BASE // 4)
    surprise = log_of((count + 1.0) / (earlier.mean() + 1.0))
    mean = tone / (weight + 1.0)
    usual = _sum_before(tone) / (_sum_before(weight) + 1.0)
    more = surprise.clip(lower=0.0)
    return {
        "fresh_surprise": surprise,
        "fresh_tone": mean,
        "fresh_tone_sum": tone,
        "fresh_tone_x_surprise": mean * more,
        "fresh_change_x_surprise": (mean - usual) * more,
    }


def _sum_before(table: pd.DataFrame) -> pd.DataFrame:
    return table.shift(1).rolling(_BASE, min_periods=_BASE // 4).sum()
