"""The benchmark from end to end: rows, walks, figures, placebos, and scores of a later folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from stream.errors import Refused
from training.labels import Floats
from training.stocknet.daily import daily_ics
from training.stocknet.features import Rows
from training.stocknet.inputs import BOTH, PRICES, SETS, make_inputs, published_label, target
from training.stocknet.judge import Band, Daily, Figures, coin_band, difference, figures, mean_ics
from training.stocknet.placebo import Placebo, placebos
from training.stocknet.walk import ENSEMBLE, mean_score, walk

N_SEEDS = 10
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Span:
    """A judged part: days in [first, until)."""

    name: str
    first: np.datetime64
    until: np.datetime64

    def holds(self, day: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
        """Which rows lie inside."""
        found: npt.NDArray[np.bool_] = (day >= self.first) & (day < self.until)
        return found


WALK = Span("walk-forward", np.datetime64("2014-07-01"), np.datetime64("2015-10-01"))
TEST = Span("test part", np.datetime64("2015-10-01"), np.datetime64("2016-01-01"))


class Variant(NamedTuple):
    """One learner on one set of inputs, on one span. Of random ones the mean of all seeds' scores
    is judged; `seed_ics` and `seed_rank_ics` are of each seed alone."""

    span: str
    inputs: str
    learner: str
    figures: Figures
    seed_ics: list[float]
    seed_rank_ics: list[float]


class Result(NamedTuple):
    """All that one run says. `news_adds` is prices and news less prices, both by the ensemble."""

    variants: list[Variant]
    bands: dict[str, Band]
    news_adds: dict[str, dict[str, Daily]]
    placebos: list[Placebo]
    daily: pd.DataFrame  # of the ensembles: span, inputs, day, ic


def run(
    rows: Rows,
    spans: list[Span],
    *,
    seed: int,
    workers: int,
    n_seeds: int = N_SEEDS,
    progress: Progress = lambda step, share: None,
) -> Result:
    """Judge every set of inputs and learner on each span; the first one's placebos too."""
    inputs, wanted = make_inputs(rows), target(rows)
    parts = [(span.first, span.until) for span in spans]
    seeds = tuple(range(seed, seed + n_seeds))
    variants: list[Variant] = []
    ensembles: dict[str, Floats] = {}
    for n, name in enumerate(SETS):

        def walked(share: float, n: int = n, name: str = name) -> None:
            progress(f"walking: {name}", (n + share) / len(SETS))

        scores = walk(inputs[name], wanted, rows.day, parts, seeds, workers, walked)
        ensembles[name] = mean_score(scores[ENSEMBLE], rows.day)
        for span in spans:
            variants += [
                _variant(span, name, learner, each, rows) for learner, each in scores.items()
            ]
    progress("placebos", 1.0)
    return Result(
        variants=variants,
        bands={span.name: coin_band(rows, span.holds(rows.day), seed) for span in spans},
        news_adds={
            span.name: difference(ensembles[BOTH], ensembles[PRICES], rows, span.holds(rows.day))
            for span in spans
        },
        placebos=placebos(rows, inputs[BOTH], WALK.first, WALK.until, seed),
        daily=pd.concat([
            _daily_ics(span, name, score, rows)
            for span in spans for name, score in ensembles.items()
        ]),
    )  # fmt: skip


def summary(result: Result) -> dict[str, float]:
    """Of the ensemble on prices and news: its primary figures on the test part."""
    one = next(
        each.figures for each in result.variants
        if (each.span, each.inputs, each.learner) == (TEST.name, BOTH, ENSEMBLE)
    )  # fmt: skip
    return {"ic": one.ic.mean, "rank_ic": one.rank_ic.mean, "mcc_day": one.mcc_day.mean}


def _variant(span: Span, inputs: str, learner: str, scores: list[Floats], rows: Rows) -> Variant:
    inside = span.holds(rows.day)
    single = [mean_ics(each, rows, inside) for each in scores] if len(scores) > 1 else []
    whole = figures(mean_score(scores, rows.day), rows, inside)
    return Variant(span.name, inputs, learner, whole, [each[0] for each in single],
                   [each[1] for each in single])  # fmt: skip


def _daily_ics(span: Span, inputs: str, score: Floats, rows: Rows) -> pd.DataFrame:
    inside = span.holds(rows.day)
    days, ics = daily_ics(score[inside], rows.move[inside], rows.day[inside])
    return pd.DataFrame({"span": span.name, "inputs": inputs, "day": days, "ic": ics})


def predict(
    rows: Rows,
    after: np.datetime64,
    *,
    seed: int,
    workers: int,
    n_seeds: int = N_SEEDS,
    progress: Progress = lambda step, share: None,
) -> pd.DataFrame:
    """Scores of the days after `after` by the ensemble on prices and news.

    It learns from labels up to `after` only, however long the later days go on. p_up is of the
    published label, given that there is one: from the walk-forward scores, as steep as they
    deserved; 0.5 in the middle of a day, since nothing here tells one day from another.

    Returns
    -------
    Columns symbol, date, score (day's standard deviations) and p_up.
    """
    last = rows.day.max()
    if last <= after:
        raise Refused(f"predict: expected bars after {after}, the newest day known, got {last}")
    inputs, wanted = make_inputs(rows)[BOTH], target(rows)
    first, until = after + np.timedelta64(1, "D"), last + np.timedelta64(1, "D")
    walked = Span("before", WALK.first, min(WALK.until, first))
    known = np.where(rows.day <= after, wanted, np.nan)
    scores = walk(
        inputs, known, rows.day, [(walked.first, walked.until), (first, until)],
        tuple(range(seed, seed + n_seeds)), workers, lambda share: progress("walking", share),
    )  # fmt: skip
    score = mean_score(scores[ENSEMBLE], rows.day)
    label = published_label(rows.move)
    told = walked.holds(rows.day) & np.isfinite(score) & np.isfinite(label)
    if not told.any():
        raise Refused(f"predict: expected days from {WALK.first} on to learn how far to trust a "
                      f"score, got none up to {after}")  # fmt: skip
    scale = LogisticRegression(C=np.inf, fit_intercept=False)
    scale.fit(score[told][:, None], label[told])
    new = rows.day > after
    return pd.DataFrame(
        {
            "symbol": rows.symbol[new],
            "date": rows.day[new],
            "score": score[new],
            "p_up": scale.predict_proba(score[new][:, None])[:, 1],
        }
    )
