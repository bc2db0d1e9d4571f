"""Sentiment enhancement as one HTML page."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from stream.events import moment
from training.labels import Floats
from training.page import command, figure, heading, page, paragraph, table
from training.skill import LEAST_A_SESSION
from training.study.enhancement import BOTH, Enhanced
from training.study.enhancement_judged import RAW, EnhancementFound
from training.study.told import checks, counted

HEAD = ("score", "daily rank IC (90 %)", "more than the text score's (90 %)")
STORIES_HEAD = ("story", "", "articles", "target for a score of 1", "t against all", "says")
_BINS = 10


def lines(found: EnhancementFound) -> list[tuple[str, ...]]:
    """One a score, under HEAD."""
    return [
        (each.name, str(each.rank_ic), "" if each.name == RAW else str(each.adds))
        for each in found.lines
    ]


def story_lines(found: EnhancementFound) -> list[tuple[str, ...]]:
    """One a kind of story, under STORIES_HEAD."""
    return [
        (
            each.by, each.kind, f"{each.n:,}", f"{each.slope:.3f}",
            "" if each.t is None else f"{each.t:.1f}", each.says,
        )
        for each in found.stories
    ]  # fmt: skip


def html_report(found: EnhancementFound, enhanced: Enhanced, told: str) -> str:
    """The page.

    Parameters
    ----------
    told : the command that gives the same page from the same history.
    """
    rows, judged = enhanced.articles.rows, enhanced.judged
    first, last = (moment(int(rows.as_of_us[i])) for i in (judged[0], judged[-1]))
    facts = [
        ("feature set", f"{rows.feature_set}, version {rows.feature_set_version}"),
        ("sentiment model", rows.sentiment_model or "none: no scores in the history"),
        ("reaction", f"market-relative return over {found.horizon}, in units of risk"),
        ("articles with a reaction", f"{found.n_articles:,}"),
        ("judged", f"{found.n_judged:,}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"),
        (
            f"sessions with {LEAST_A_SESSION} articles or more",
            f"{found.n_sessions[1]} of {found.n_sessions[0]}",
        ),
    ]  # fmt: skip
    parts = [
        f"<p><b>{found.verdict.says}</b>: {found.sentence}</p>",
        paragraph("A study: it promotes nothing and changes no score that is stored."),
        checks(found.verdict),
        heading("Judged on"),
        table(("", ""), facts),
        heading("Scores against the reaction, within each day"),
        table(HEAD, lines(found)),
        _followed(enhanced),
        heading("Stories that are scored too high or too low"),
        table(STORIES_HEAD, story_lines(found)),
        paragraph(
            "Over all articles with a reaction; what sets a kind apart passes a test at 5 % for "
            "all kinds together."
        ),
        heading("Left out"),
        counted(rows.counts),
        heading("The same again"),
        command(told),
    ]
    return page(f"Sentiment enhancement at {found.horizon}", parts)


def _followed(enhanced: Enhanced) -> str:
    """Mean target in bins of each score: on the diagonal, a score is what it should have been."""
    judged = enhanced.judged
    target = enhanced.target[judged]
    drawn = go.Figure()
    drawn.add_scatter(x=[-1, 1], y=[-1, 1], mode="lines", name="right", line={"dash": "dot"})
    for name, scores in ((RAW, enhanced.articles.score), (BOTH, enhanced.scores[BOTH])):
        x, y = _binned(scores[judged], target)
        drawn.add_scatter(x=x, y=y, mode="lines+markers", name=name)
    return figure(drawn, "What followed", "score, in tenths of the articles", "mean target")


def _binned(score: Floats, target: Floats) -> tuple[list[float], list[float]]:
    parts = [part for part in np.array_split(np.argsort(score, kind="stable"), _BINS) if len(part)]
    x, y = ([float(values[part].mean()) for part in parts] for values in (score, target))
    return x, y
