"""What a run says, as lines of a table, as JSON, and as one HTML page."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from training.page import figure, heading, page, table
from training.stocknet.benchmark import Result, Variant
from training.stocknet.inputs import SETS
from training.stocknet.judge import Daily
from training.stocknet.placebo import Placebo
from training.stocknet.walk import ENSEMBLE

HEAD = ("part", "inputs", "learner", "daily IC (t)", "daily rank IC (t)", "within-day MCC (t)",
        "pooled accuracy", "pooled MCC", "IC of each seed")  # fmt: skip
PLACEBO_HEAD = ("placebo", "mean daily IC", "band of 95 % of 20")


def lines(result: Result) -> list[tuple[str, ...]]:
    """One a variant, under HEAD."""
    return [
        (
            each.span, each.inputs, each.learner,
            _told(each.figures.ic), _told(each.figures.rank_ic), _told(each.figures.mcc_day),
            f"{each.figures.accuracy:.3f}", f"{each.figures.mcc:+.3f}", _seeds(each),
        )
        for each in result.variants
    ]  # fmt: skip


def sentences(result: Result) -> list[str]:
    """What the tables do not hold: the luck of one coin, what news adds, how much was judged."""
    found = []
    for span, band in result.bands.items():
        one = next(each.figures for each in result.variants if each.span == span)
        added = result.news_adds[span]
        found += [
            f"{span}: {one.n_days} days, {one.n_rows:,} rows, of them {one.n_labels:,} with a "
            f"published label. One coin a day for all symbols has a pooled MCC of sd {band.sd:.3f} "
            f"over {band.n_days} days: {band.low:+.3f} to {band.high:+.3f} and accuracy "
            f"{band.accuracy_low:.3f} to {band.accuracy_high:.3f} in 95 % of draws.",
            f"{span}: news add to prices (ensembles) {_interval(added['ic'])} of daily IC and "
            f"{_interval(added['rank_ic'])} of daily rank IC.",
        ]
    return found


def placebo_lines(placebos: list[Placebo]) -> list[tuple[str, str, str]]:
    """Under PLACEBO_HEAD."""
    return [(each.name, f"{each.mean:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}")
            for each in placebos]  # fmt: skip


def as_json(result: Result) -> dict[str, Any]:
    """All figures; daily series are left out."""
    return {
        "variants": [
            {"part": each.span, "inputs": each.inputs, "learner": each.learner,
             **{name: _plain(value) for name, value in each.figures._asdict().items()},
             "seed_ics": each.seed_ics, "seed_rank_ics": each.seed_rank_ics}
            for each in result.variants
        ],
        "one_coin_a_day": {span: band._asdict() for span, band in result.bands.items()},
        "news_adds": {span: {name: _plain(each) for name, each in added.items()}
                      for span, added in result.news_adds.items()},
        "placebos": [each._asdict() for each in result.placebos],
    }  # fmt: skip


def html_report(result: Result, facts: list[tuple[str, str]]) -> str:
    """The page; `facts` are name and value of what was run."""
    parts = [table(("", ""), facts), *(f"<p>{each}</p>" for each in sentences(result))]
    for span in result.bands:
        rows = [line[1:] for line in lines(result) if line[0] == span]
        parts += [heading(span), table(HEAD[1:], rows), _bars(result, span), _summed(result, span)]
    parts += [
        heading("Placebos"),
        "<p>Ridge on prices and news, walked again on moves that nothing can tell.</p>",
        table(PLACEBO_HEAD, placebo_lines(result.placebos)),
        _placebos(result),
    ]
    return page("StockNet benchmark", parts)


def _bars(result: Result, span: str) -> str:
    drawn = go.Figure()
    for learner in dict.fromkeys(each.learner for each in result.variants):
        own = [each for each in result.variants if (each.span, each.learner) == (span, learner)]
        means = [each.figures.rank_ic for each in own]
        drawn.add_bar(
            x=[each.inputs for each in own],
            y=[each.mean for each in means],
            name=learner,
            error_y={
                "array": [each.interval.high - each.mean for each in means],
                "arrayminus": [each.mean - each.interval.low for each in means],
            },
        )
    return figure(drawn, "Daily rank IC, 95 % stationary bootstrap", "", "mean daily rank IC")


def _summed(result: Result, span: str) -> str:
    """Of a constant skill this is a straight line; a lucky month is a step."""
    drawn = go.Figure()
    for inputs in SETS:
        daily = result.daily
        own = daily[(daily["span"] == span) & (daily["inputs"] == inputs)]
        drawn.add_scatter(x=own["day"], y=np.cumsum(own["ic"]), mode="lines", name=inputs)
    return figure(drawn, f"Sum of daily ICs, {ENSEMBLE}", "", "sum of daily ICs")


def _placebos(result: Result) -> str:
    drawn = go.Figure()
    for each in result.placebos:
        drawn.add_box(x=each.ics, name="", boxpoints="all", text=each.name, hoverinfo="x+text",
                      y=[each.name] * len(each.ics), orientation="h")  # fmt: skip
    drawn.update_layout(showlegend=False, margin={"l": 320})
    return figure(drawn, "Mean daily IC of each draw", "mean daily IC", "")


def _told(daily: Daily) -> str:
    return f"{daily.mean:+.4f} ({daily.t:+.1f})"


def _interval(daily: Daily) -> str:
    low, high = daily.interval
    return f"{daily.mean:+.4f} (95 %: {low:+.4f} to {high:+.4f}, t {daily.t:+.1f})"


def _seeds(one: Variant) -> str:
    if not one.seed_ics:
        return "none drawn"
    ics = np.array(one.seed_ics)
    return f"{ics.mean():+.4f}, sd {ics.std(ddof=1) if len(ics) > 1 else 0.0:.4f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Daily):
        return {"mean": value.mean, "t": value.t, "interval": list(value.interval)}
    return value
