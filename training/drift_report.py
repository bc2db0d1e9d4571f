"""A drift report as one HTML page: what stands out first, then every feature."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go

from training.drift import HEAD, Finding
from training.page import figure, heading, page, table
from training.watch import Drift

_SHOWN = 15
_ORDER = ("FAIL", "WARN", "PASS")


def html_report(drift: Drift) -> str:
    """The page."""
    found = sorted(drift.findings, key=lambda each: (_ORDER.index(each.says), -_excess(each)))
    facts = [
        ("model", drift.model),
        ("judged", f"{drift.since} to {drift.until}: {drift.days} days, {drift.rows:,} signals"),
        (
            "days of reference",
            f"{drift.reference_days}{'' if drift.band else ': too few for a band'}",
        ),
        ("matured signals of the model", f"{drift.matured:,}"),
    ]
    parts = [
        f"<p><b>{drift.says}</b></p>",
        table(("", ""), facts),
        heading("What stands out"),
        _table(each for each in found if each.says != "PASS"),
        _moved(found),
        _losses(drift),
        heading("Everything"),
        _table(found),
    ]
    return page(f"Drift of {drift.model}", parts)


def _excess(finding: Finding) -> float:
    return finding.value / finding.limits[0]


def _table(findings: Iterable[Finding]) -> str:
    return table(HEAD, (each.told() for each in findings))


def _moved(found: list[Finding]) -> str:
    """The largest first; the mark is the limit, whichever of threshold and band is higher."""
    most = sorted(found, key=_excess, reverse=True)[:_SHOWN][::-1]
    names = [each.name for each in most]
    drawn = go.Figure(go.Bar(x=[each.value for each in most], y=names, orientation="h", name="is"))
    drawn.add_scatter(
        x=[each.limits[0] for each in most],
        y=names,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 12},
        name="WARN above",
    )
    drawn.update_yaxes(automargin=True)
    return figure(drawn, f"The {len(most)} largest, against their limits", "", "")


def _losses(drift: Drift) -> str:
    if not drift.loss_by_day:
        return "<p>No signal of this model has matured.</p>"
    days, losses = zip(*drift.loss_by_day.items(), strict=True)
    drawn = go.Figure(go.Scatter(x=days, y=losses, mode="lines+markers"))
    drawn.add_vline(x=drift.since, line_dash="dot")
    return figure(drawn, "Log-loss by day; judged from the line on", "", "nats")
