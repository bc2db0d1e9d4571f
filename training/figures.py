"""Figures of judged predictions, as parts of a page."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from models.artifact import CLASSES
from stream.events import moment
from training import page
from training.evaluate import auc, confusion, pearson, ranks
from training.judged import Judged, session_returns
from training.labels import Floats
from training.skill import LEAST_A_SESSION, sessions
from training.splits import Rows

_TENTHS = 10
_SMOOTH = 20  # sessions
_POINTS = 200  # of a curve


def drawn_confusion(judged: Judged) -> str:
    """Counts by class."""
    counts = confusion(judged.y, judged.p.argmax(axis=1)).astype(int)
    return page.confusion(counts.tolist(), CLASSES)


def drawn_reliability(judged: Judged) -> str:
    """How often the likeliest class came, by tenths of its probability."""
    top, right = judged.p.max(axis=1), judged.p.argmax(axis=1) == judged.y
    bins = tenths(top)
    return page.reliability(
        [float(top[b].mean()) for b in bins],
        [float(right[b].mean()) for b in bins],
        [len(b) for b in bins],
    )


def drawn_roc(judged: Judged) -> str:
    """ROC of each side against the rest."""
    drawn = go.Figure()
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance", line={"dash": "dot"})
    for side in (0, 2):
        is_it = judged.y == side
        hits, false, _ = _cumulated(judged.p[:, side], is_it)
        name = f"{CLASSES[side]}, area {auc(judged.p[:, side], is_it):.3f}"
        drawn.add_scatter(x=false, y=hits, mode="lines", name=name)
    return page.figure(drawn, "ROC of each side against the rest", "false alarms", "found")


def drawn_precision(judged: Judged) -> str:
    """Precision and recall of each side; the dots are the side's share."""
    drawn = go.Figure()
    for side in (0, 2):
        is_it = judged.y == side
        hits, _, precision = _cumulated(judged.p[:, side], is_it)
        share = float(is_it.mean())
        drawn.add_scatter(x=hits[1:], y=precision[1:], mode="lines", name=CLASSES[side])
        drawn.add_scatter(x=[0, 1], y=[share, share], mode="lines", line={"dash": "dot"},
                          name=f"{CLASSES[side]}, by chance")  # fmt: skip
    return page.figure(drawn, "Precision and recall of each side", "found", "right when said")


def drawn_deciles(judged: Judged) -> str:
    """What followed, by tenths of the score; the bars' lines are two standard errors."""
    bps = [1e4 * judged.forward_return[tenth] for tenth in tenths(judged.score)]
    drawn = go.Figure(
        go.Bar(
            x=list(range(1, len(bps) + 1)),
            y=[each.mean() for each in bps],
            error_y={"array": [2 * each.std() / len(each) ** 0.5 for each in bps]},
        )
    )
    return page.figure(drawn, "Mean return by tenths of the score", "lowest first", "bp")


def drawn_ic(judged: Judged) -> str:
    """Of the sessions on which scores and returns differ."""
    score, outcome = judged.score, judged.forward_return
    found = [
        (_day(judged, rows), ic)
        for rows in sessions(judged.entry_us)
        if len(rows) >= LEAST_A_SESSION
        and np.isfinite(ic := pearson(ranks(score[rows]), ranks(outcome[rows])))
    ]
    when, ics = [day for day, _ in found], np.array([ic for _, ic in found])
    drawn = go.Figure(go.Bar(x=when, y=ics, name="session"))
    if len(ics) >= _SMOOTH:
        mean = np.convolve(ics, np.ones(_SMOOTH) / _SMOOTH, "valid")
        drawn.add_scatter(x=when[_SMOOTH - 1 :], y=mean, mode="lines", name=f"mean of {_SMOOTH}")
    return page.figure(drawn, "Rank IC by session", "", "rank IC")


def drawn_equity(judged: Judged, horizon: int) -> str:
    """Summed returns of one unit of capital, a share of it put to work each session by |score|.

    Parameters
    ----------
    horizon : in sessions; so many shares are held at a time.
    """
    when = [_day(judged, rows) for rows in sessions(judged.entry_us)]
    drawn = go.Figure()
    bps = 1e4 * float(np.median(judged.cost))
    for after, name in ((False, "before costs"), (True, f"after about {bps:.3g} bp a round trip")):
        worth = 100 / horizon * np.cumsum(session_returns(judged, after_costs=after))
        drawn.add_scatter(x=when, y=worth, mode="lines+markers", name=name)
    return page.figure(drawn, "Held by its score, each row to its horizon", "", "%, summed")


def tenths(values: Floats) -> list[Rows]:
    """Row numbers of about ten groups from the lowest values to the highest; equals together."""
    edges = np.unique(np.quantile(values, np.arange(1, _TENTHS) / _TENTHS))
    group = np.searchsorted(edges, values, side="right")
    return [np.flatnonzero(group == each) for each in np.unique(group)]


def _cumulated(p: Floats, is_it: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Floats, ...]:
    """Shares found and of false alarms, and the precision, from the surest row on, thinned."""
    order = np.argsort(-p, kind="stable")
    found, told_apart = is_it[order], np.append(np.diff(p[order]) != 0.0, True)
    hits, false = np.cumsum(found)[told_apart], np.cumsum(~found)[told_apart]
    precision = np.append(1.0, hits / (hits + false))
    shown = np.unique(np.linspace(0, len(hits), _POINTS).astype(int))
    hit_share = np.append(0.0, hits / max(1, is_it.sum()))
    false_share = np.append(0.0, false / max(1, (~is_it).sum()))
    return hit_share[shown], false_share[shown], precision[shown]


def _day(judged: Judged, rows: Rows) -> str:
    return f"{moment(int(judged.entry_us[rows[0]])):%Y-%m-%d}"
