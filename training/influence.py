"""What each feature does to the score of a model of any kind, asked through its scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from models.scorer import Scorer
from models.sequence import Sequences
from training import page
from training.as_served import predictions
from training.labels import Floats
from training.learners.categories import categories

_ROWS = 200  # asked for the influence
_ROWS_EACH = 60  # asked for each point of a dependence
_POINTS = 15
_SHOWN, _TOP = 25, 4  # features


@dataclass(frozen=True)
class Influence:
    """moves : (f,) mean |change of the score| when a feature is another row's."""

    names: tuple[str, ...]
    moves: Floats

    @property
    def order(self) -> list[int]:
        """Features, the strongest first."""
        return list(np.argsort(-self.moves, kind="stable"))


def influence(
    scorer: Scorer, names: Sequence[str], x: Floats, sequences: Sequences | None, seed: int
) -> Influence:
    """How far each feature moves the score over some of the rows; sequences stay as they are."""
    draw = np.random.default_rng(seed)
    some = draw.permutation(len(x))[:_ROWS]
    rows, beside = x[some], None if sequences is None else sequences[some]
    usual = _scores(scorer, rows, beside)
    moves = np.zeros(len(names))
    for i in range(len(names)):
        given = rows.copy()
        given[:, i] = rows[draw.permutation(len(rows)), i]
        changed = (given[:, i] != rows[:, i]) & ~(np.isnan(given[:, i]) & np.isnan(rows[:, i]))
        if changed.any():
            own = None if beside is None else beside[changed]
            moves[i] = np.abs(_scores(scorer, given[changed], own) - usual[changed]).sum()
            moves[i] /= len(rows)
    return Influence(tuple(names), moves)


def drawn_influence(found: Influence) -> str:
    """The strongest features."""
    most = found.order[:_SHOWN][::-1]
    bars = go.Bar(x=found.moves[most], y=[found.names[i] for i in most], orientation="h")
    title = f"The {len(most)} features that move the score most"
    return page.figure(go.Figure(bars), title, "mean change of the score", "", height=650)


def drawn_dependence(
    scorer: Scorer, found: Influence, x: Floats, sequences: Sequences | None, seed: int
) -> str:
    """Partial dependence of the score on the strongest features, over their usual range."""
    some = np.random.default_rng(seed).permutation(len(x))[:_ROWS_EACH]
    rows, beside = x[some], None if sequences is None else sequences[some]
    drawn = go.Figure()
    numbers = [i for i in found.order if not categories([found.names[i]])]
    for i in numbers[:_TOP]:
        seen = x[~np.isnan(x[:, i]), i]
        if not len(seen) or found.moves[i] == 0.0:
            continue
        shares = np.linspace(0.02, 0.98, _POINTS)
        means = []
        for value in np.quantile(seen, shares):
            given = rows.copy()
            given[:, i] = value
            means.append(float(_scores(scorer, given, beside).mean()))
        drawn.add_scatter(x=100 * shares, y=means, mode="lines+markers", name=found.names[i])
    title = f"Partial dependence of the score on the first {_TOP}"
    return page.figure(drawn, title, "percentile of the feature", "mean score")


def _scores(scorer: Scorer, x: Floats, sequences: Sequences | None) -> Floats:
    p, _ = predictions(scorer, x, sequences)
    score: Floats = p[:, 2] - p[:, 0]
    return score
