"""A training run as one HTML page: the gates first, then what they were judged on."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from models.artifact import CLASSES, Artifact
from models.explain import importances
from stream.events import moment
from training.evaluate import Judged, confusion, days, pearson, ranks
from training.gates import Verdict
from training.labels import Floats
from training.page import confusion as confusion_figure
from training.page import figure, heading, page, reliability, table
from training.rows import TrainingTable
from training.splits import Rows
from training.train import Trained

_BINS = 10
_SHOWN = 25  # features
_SMOOTH = 20  # days
_POINTS = 200  # of a curve
_SAYS = {
    "PASS": "It may serve.",
    "WARN": "It may serve, with doubts.",
    "FAIL": "It was refused: it was not stored.",
}


def html_report(trained: Trained, rows: TrainingTable, command: str) -> str:
    """The page of one run.

    Parameters
    ----------
    rows : what it was trained and judged on.
    command : that makes the same model from the same history.
    """
    artifact, verdict, judged = trained
    parts = [
        f"<p><b>{verdict.says}</b>. {_SAYS[verdict.says]}</p>",
        _gates(verdict),
        heading("Made from"),
        table(("", ""), _made_from(artifact, rows, judged)),
        heading("Rows left out"),
        table(("why", "rows"), ((why, f"{n:,}") for why, n in rows.counts.items())),
        heading("On the judge blocks"),
        table(("metric", ""), _metrics(artifact)),
        _confusion(judged),
        _reliability(judged),
        _operating(judged),
        _deciles(judged),
        _daily(judged),
        heading("By symbol"),
        table(("symbol", "rows", "accuracy", "rank IC"), _by_symbol(judged)),
        _importances(artifact),
        heading("The same again"),
        table(("command",), [(command,)]),
    ]
    return page(f"Model {artifact.version}", parts)


def _gates(verdict: Verdict) -> str:
    return table(("gate", "says", "got", "expected"), (
        (each.name, each.says, f"{each.value:.4g}", each.expected) for each in verdict.checks
    ))  # fmt: skip


def _metrics(artifact: Artifact) -> list[tuple[str, str]]:
    return [
        (name, "none" if value is None else f"{value:.4g}")
        for name, value in artifact.metrics.items()
    ]


def _made_from(artifact: Artifact, rows: TrainingTable, judged: Judged) -> list[tuple[str, str]]:
    span = " to ".join(
        f"{moment(us):%Y-%m-%d %H:%M}"
        for us in (artifact.trained_from_us, artifact.trained_until_us)
    )
    return [
        ("feature set", f"{artifact.feature_set}, version {artifact.feature_set_version}"),
        ("sentiment model", artifact.sentiment_model or "none: no scores in the history"),
        ("horizon", artifact.horizon),
        ("the newest fold learnt from", f"{artifact.n_rows:,} rows, {span} UTC"),
        ("labelled rows", f"{len(rows):,}"),
        ("judged rows", f"{len(judged.y):,}, from {moment(int(judged.as_of_us[0])):%Y-%m-%d} on"),
        ("acts from a confidence of", f"{artifact.threshold:.3f}"),
        ("trust in its scores", f"{artifact.calibration.scale:.3f} of 1"),
        ("seed", str(artifact.seed)),
        ("code", artifact.code_revision),
        ("wheels", ", ".join(f"{name} {version}" for name, version in artifact.wheels.items())),
    ]  # fmt: skip


def _confusion(judged: Judged) -> str:
    counts = confusion(judged.y, judged.p.argmax(axis=1)).astype(int)
    return confusion_figure(counts.tolist(), CLASSES)


def _reliability(judged: Judged) -> str:
    top, right = judged.p.max(axis=1), judged.p.argmax(axis=1) == judged.y
    bins = _tenths(top)
    return reliability(
        [float(top[b].mean()) for b in bins],
        [float(right[b].mean()) for b in bins],
        [len(b) for b in bins],
    )


def _tenths(values: Floats) -> list[Rows]:
    """Row numbers of about ten groups from the lowest values to the highest; equals together."""
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    group = np.searchsorted(edges, values, side="right")
    return [np.flatnonzero(group == each) for each in np.unique(group)]


def _operating(judged: Judged) -> str:
    """ROC of each side against the rest."""
    drawn = go.Figure()
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance", line={"dash": "dot"})
    for side in (0, 2):
        order = np.argsort(-judged.p[:, side], kind="stable")
        is_it = (judged.y == side)[order]
        told_apart = np.append(np.diff(judged.p[order, side]) != 0.0, True)
        hits = np.append(0.0, np.cumsum(is_it)[told_apart] / max(1, is_it.sum()))
        false = np.append(0.0, np.cumsum(~is_it)[told_apart] / max(1, (~is_it).sum()))
        area = float(np.trapezoid(hits, false))
        shown = np.unique(np.linspace(0, len(hits) - 1, _POINTS).astype(int))
        drawn.add_scatter(
            x=false[shown], y=hits[shown], mode="lines", name=f"{CLASSES[side]}, area {area:.3f}"
        )
    return figure(drawn, "ROC of each side against the rest", "false alarms", "found")


def _deciles(judged: Judged) -> str:
    """What followed, by tenths of the score; the bars' lines are two standard errors."""
    bps = [1e4 * judged.forward_return[tenth] for tenth in _tenths(judged.score)]
    drawn = go.Figure(
        go.Bar(
            x=list(range(1, len(bps) + 1)),
            y=[each.mean() for each in bps],
            error_y={"array": [2 * each.std() / len(each) ** 0.5 for each in bps]},
        )
    )
    return figure(drawn, "Mean return by tenths of the score", "lowest first", "bp")


def _daily(judged: Judged) -> str:
    """Of the days on which scores and returns differ."""
    of_day = [
        (moment(int(judged.as_of_us[day[0]])).date(), ic)
        for day in days(judged.as_of_us)
        if np.isfinite(ic := _rank_ic(judged.score[day], judged.forward_return[day]))
    ]
    when, ics = [day for day, _ in of_day], np.array([ic for _, ic in of_day])
    drawn = go.Figure(go.Bar(x=when, y=ics, name="day"))
    if len(ics) >= _SMOOTH:
        mean = np.convolve(ics, np.ones(_SMOOTH) / _SMOOTH, "valid")
        drawn.add_scatter(x=when[_SMOOTH - 1 :], y=mean, mode="lines", name=f"mean of {_SMOOTH}")
    return figure(drawn, "Rank IC by day", "", "rank IC")


def _by_symbol(judged: Judged) -> list[tuple[str, str, str, str]]:
    found = []
    for symbol in np.unique(judged.symbol):
        own = judged.symbol == symbol
        right = (judged.p[own].argmax(axis=1) == judged.y[own]).mean()
        ic = _rank_ic(judged.score[own], judged.forward_return[own])
        told = f"{ic:.3f}" if np.isfinite(ic) else "none"
        found.append((str(symbol), f"{own.sum():,}", f"{right:.3f}", told))
    return found


def _rank_ic(score: Floats, forward_return: Floats) -> float:
    return pearson(ranks(score), ranks(forward_return))


def _importances(artifact: Artifact) -> str:
    """Shares of what moves the members that tell the direction."""
    share = np.array(importances(artifact))
    most = np.argsort(-share, kind="stable")[:_SHOWN][::-1]
    names = [artifact.feature_names[i] for i in most]
    drawn = go.Figure(go.Bar(x=share[most], y=names, orientation="h"))
    return figure(drawn, f"The {_SHOWN} features that move the most", "share", "")
