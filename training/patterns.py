"""Where a model is right and where it errs: by symbol, sector, hour and news. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stream.features.panes import HOUR_US
from training.evaluate import log_losses, pearson, ranks
from training.judged import Judged, direction_accuracy
from training.rows import TrainingTable

HEAD = ("", "rows", "log-loss gained on climatology", "right sign", "rank IC")
Lines = list[tuple[str, ...]]
_DAY_HOURS = 24


def by_symbol(judged: Judged) -> Lines:
    """The symbols where it gains least come first."""
    return sorted(_lines(judged, judged.symbol), key=lambda line: (float(line[2]), line[0]))


def by_sector(judged: Judged, sectors: Mapping[str, str]) -> Lines:
    """None where no symbol has a sector."""
    if not any(symbol in sectors for symbol in judged.symbol):
        return []
    return _lines(judged, np.array([sectors.get(str(s), "none") for s in judged.symbol]))


def by_hour(judged: Judged) -> Lines:
    """Of as_of, UTC; nothing where all rows are of one hour."""
    hour = judged.as_of_us // HOUR_US % _DAY_HOURS
    lines = _lines(judged, np.char.zfill(hour.astype(np.str_), 2))
    return lines if len(lines) > 1 else []


def by_news(judged: Judged, rows: TrainingTable) -> tuple[str, Lines]:
    """By the first feature that counts news: its name, and a line for none, one, two, and more."""
    name = next((each for each in rows.feature_names if each.startswith("news_count")), None)
    if name is None:
        return "", []
    count = rows.x[judged.row, rows.feature_names.index(name)]
    known = np.nan_to_num(count).astype(np.int64)
    return name, _lines(judged, np.where(known > 2, "3 and more", known.astype(np.str_)))


def _lines(judged: Judged, groups: npt.NDArray[np.str_]) -> Lines:
    gained = log_losses(judged.baseline, judged.y) - log_losses(judged.p, judged.y)
    lines = []
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        part = judged.take(own)
        ic = pearson(ranks(part.score), ranks(part.forward_return))
        numbers = (direction_accuracy(part), ic)
        told = (f"{value:.3f}" if np.isfinite(value) else "none" for value in numbers)
        lines.append((str(group), f"{len(own):,}", f"{gained[own].mean():.4f}", *told))
    return lines
