"""The newest panes of one symbol one by one, for models that read their order.

    panes      ... | p22 | p23 | p24 |     a row each, the newest last
    news            (n22](n23](n24 ... cut]   what came in since the end of the pane before

Prices are adjusted as features are. A pane that is still open counts as it does for them.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from math import fsum, log, log1p

from stream.features.panes import MAX_GAP_US
from stream.features.vector import FeatureSet
from stream.features.view import View

LENGTH = 24  # panes
PRICE_CHANNELS = ("move", "body", "range", "close_place", "volume", "imbalance")
NEWS_CHANNELS = ("news", "sentiment")
CHANNELS = PRICE_CHANNELS + NEWS_CHANNELS
N_VALUES = LENGTH * len(CHANNELS)

_NAN = float("nan")
_ABSENT = (_NAN,) * len(CHANNELS)
_pack = struct.Struct(f"<{N_VALUES}f").pack


def sequence(view: View, feature_set: FeatureSet) -> bytes:
    """(LENGTH, CHANNELS) as little-endian float32, row by row; NaN is no data, zero is a value.

    move : log return from the neighbour's close; body : from open to close; range : of high to low:
        all three in root mean squares of the moves here, so that calm and wild symbols compare.
    close_place : of the close between low, 0, and high, 1.
    volume : log of the volume over its mean here.
    imbalance : signed volume over volume, -1..1.
    news : log(1 + items); sentiment : their mean polarity weighted by relevance, -1..1.

    Where the feature set's windows hold fewer panes than LENGTH, the first rows are without any
    value; where they hold the news of fewer, the first are without news.
    """
    panes, high = view.panes, view.high
    low, oldest = max(0, high - LENGTH), 0
    if feature_set.pane_window_us is not None:
        oldest = view.cut - feature_set.pane_window_us
        low = max(low, bisect_right(panes.ends, oldest, 0, high))
    moves = _moves(view, low, oldest)
    known = [move for move in moves if move is not None]
    unit = (fsum(move * move for move in known) / len(known)) ** 0.5 if known else 0.0
    volumes = panes.volumes[low:high]
    usual = fsum(volumes) / len(volumes) if volumes else 0.0
    values = list(_ABSENT * (LENGTH - (high - low)))
    told = _news(view, low, view.cut - feature_set.news_window.us)
    for i, move, news in zip(range(low, high), moves, told, strict=True):
        top, bottom, close = panes.highs[i], panes.lows[i], panes.closes[i]
        volume, width = panes.volumes[i], top - bottom
        if unit > 0.0:
            values.append(_NAN if move is None else move / unit)
            values.append(log(close / panes.opens[i]) / unit)
            values.append(log(top / bottom) / unit)
        else:
            values += (_NAN, _NAN, _NAN)
        values.append((close - bottom) / width if width > 0.0 else _NAN)
        values.append(log(volume / usual) if volume > 0.0 else _NAN)
        values.append(panes.signed[i] / volume if volume > 0.0 else _NAN)
        values += news
    return _pack(*values)


def _moves(view: View, low: int, oldest: int) -> list[float | None]:
    """Log returns; None where the pane before is no neighbour, or older than a window may reach."""
    panes, gap = view.panes, view.panes.max_gap_us
    out: list[float | None] = []
    for i in range(low, view.high):
        near = i > 0 and (gap is None or panes.panes[i].start - panes.ends[i - 1] <= gap)
        if i == low and near and oldest:
            near = panes.ends[i - 1] > oldest - MAX_GAP_US
        out.append(log(panes.closes[i] / panes.closes[i - 1]) if near else None)
    return out


def _news(view: View, low: int, oldest: int) -> list[tuple[float, float]]:
    """Of each pane: what came in after the pane before and up to its end; the last's is the cut."""
    news, panes, high = view.news, view.panes, view.high
    out = []
    for i in range(low, high):
        end = view.cut if i + 1 == high else panes.ends[i]
        since = max(panes.panes[i].start if i == low else panes.ends[i - 1], oldest)
        if end <= oldest:
            out.append((_NAN, _NAN))
            continue
        first, last = (bisect_right(news.times, at, 0, view.news_high) for at in (since, end))
        tone = news.tone(first, last)
        out.append((log1p(last - first), _NAN if tone is None else tone))
    return out
