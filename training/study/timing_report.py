"""Timing as one HTML page."""

from __future__ import annotations

import plotly.graph_objects as go

from stream.events import moment
from training.page import command, figure, heading, page, paragraph, table
from training.skill import session_means, sessions
from training.study.timing import Timed
from training.study.timing_judged import ADVISED, TimingFound, paid_by
from training.study.told import checks, counted

HEAD = ("held", "takes a position in", "of them paid", "pay a trade, units of risk (90 %)",
        "pay a day held", "the advice adds (90 %)")  # fmt: skip


def lines(found: TimingFound) -> list[tuple[str, ...]]:
    """One a way to choose the horizon, under HEAD."""
    return [
        (
            each.name, f"{each.share:.1%}", f"{each.paid:.1%}", str(each.pay),
            f"{each.a_day:.4f}", "" if each.name == ADVISED else str(each.advice_adds),
        )
        for each in found.lines
    ]  # fmt: skip


def html_report(found: TimingFound, timed: Timed, told: str) -> str:
    """The page.

    Parameters
    ----------
    told : the command that gives the same page from the same history.
    """
    horizons = timed.horizons
    rows = horizons.rows
    first, last = (moment(int(us)) for us in (rows.as_of_us.min(), rows.as_of_us.max()))
    n_sessions = len(sessions(rows.entry_us))
    facts = [
        ("feature set", f"{rows.feature_set}, version {rows.feature_set_version}"),
        ("horizons", ", ".join(horizons.names)),
        ("side of a position", f"the direction model's at {horizons.names[0]}, out of fold"),
        ("judged", f"{found.n_rows:,} rows of {n_sessions} sessions, "
         f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"),
        ("long", f"{(timed.score > 0).mean():.1%} of them"),
        ("log-loss gained on climatology (90 %)", str(found.gained)),
    ]  # fmt: skip
    parts = [
        f"<p><b>{found.verdict.says}</b>: {found.sentence}</p>",
        paragraph("A study: it promotes nothing and changes no signal."),
        checks(found.verdict),
        heading("Judged on"),
        table(("", ""), facts),
        heading("Which horizon pays"),
        table(HEAD, lines(found)),
        paragraph(
            "Pay: on the side that the model says, after the round trip and the borrow, over the "
            "volatility of the horizon as known before. The best horizon is chosen with hindsight "
            "here, the advice is not."
        ),
        _most(found),
        _earned(found, timed),
        heading("Left out"),
        counted(horizons.counts),
        heading("The same again"),
        command(told),
    ]
    return page(f"Timing: {' or '.join(horizons.names)}", parts)


def _most(found: TimingFound) -> str:
    drawn = go.Figure(go.Bar(x=list(found.most), y=list(found.most.values())))
    drawn.update_yaxes(tickformat=".0%")
    return figure(drawn, "What paid most", "horizon; none: all lost", "share of rows", height=300)


def _earned(found: TimingFound, timed: Timed) -> str:
    entry = timed.horizons.rows.entry_us
    days = [moment(int(entry[rows[0]])) for rows in sessions(entry)]
    drawn = go.Figure()
    for name, pay in paid_by(timed).items():
        if name in (ADVISED, *timed.horizons.names):
            earned = session_means(pay, entry).cumsum()
            drawn.add_scatter(x=days, y=earned, mode="lines", name=name)
    return figure(drawn, "Mean pay of a trade, summed over sessions", "", "units of risk")
