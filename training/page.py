"""A report as one HTML page that needs no network: tables, and figures by plotly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_STYLE = (
    "body{font:15px system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}"
    "table{margin:1em 0;border-collapse:collapse}pre{white-space:pre-wrap}"
    ".PASS{color:#1a7f37}.WARN{color:#9a6700}.FAIL{color:#cf222e;font-weight:bold}"
)


def page(title: str, parts: Iterable[str]) -> str:
    """The page; `parts` are HTML already."""
    head = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    scripts = f"<script>{get_plotlyjs()}</script>"
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    return f"<!doctype html><meta charset=utf-8>{head}{scripts}{body}\n"


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def command(text: str) -> str:
    """What to type."""
    return f"<pre>{escape(text)}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], marked: int | None = None) -> str:
    """A table of texts.

    Parameters
    ----------
    marked : the column whose words PASS, WARN and FAIL colour.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    def coloured(cells: Sequence[str]) -> str:
        told = line(cells, "td")
        if marked is None:
            return told
        word = escape(cells[marked])
        return told.replace(f"<td>{word}</td>", f'<td class="{word}">{word}</td>', 1)

    return f"<table>{line(head, 'th')}{''.join(map(coloured, rows))}</table>"


def figure(drawn: go.Figure, title: str, x: str, y: str, height: int = 400) -> str:
    """A figure with its title and the names of its axes."""
    drawn.update_layout(
        title=title, xaxis_title=x, yaxis_title=y, height=height, margin={"t": 60, "b": 60}
    )
    plain = {"displayModeBar": False}
    return str(drawn.to_html(full_html=False, include_plotlyjs=False, config=plain))


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Rows: what was; columns: what the model said."""
    drawn = go.Figure(
        go.Heatmap(z=counts, x=names, y=names, texttemplate="%{z}", colorscale="Blues")
    )
    return figure(drawn, "Confusion", "said", "was")


def reliability(said: Sequence[float], held: Sequence[float], n: Sequence[int]) -> str:
    """How often what was said with some confidence held, in bins of it."""
    drawn = go.Figure()
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"dash": "dot"})
    drawn.add_scatter(
        x=said, y=held, text=[f"{each:,}" for each in n], mode="lines+markers", name="model"
    )
    return figure(drawn, "Reliability", "says", "holds")
