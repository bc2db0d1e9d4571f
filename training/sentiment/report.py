"""An evaluation as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from training.sentiment.evaluate import NAMES, Evaluation, summary

_STYLE = (
    "body{font:15px system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}table{margin:1em 0}"
)


_HEAD = ("data", "texts", "accuracy", "macro F1", "ECE", "r of grades", "sign of grades")


def html_report(model: str, found: Mapping[str, Evaluation]) -> str:
    """A page with each data set's figures, its reliability and the surest mistakes."""
    parts = [
        f"<h1>{escape(model)}</h1>",
        _table(_HEAD, (summary(n, e) for n, e in found.items())),
    ]
    for i, (name, one) in enumerate(found.items()):
        parts.append(f"<h2>{escape(name)}</h2>")
        parts.append(_table(("class", "precision", "recall", "F1", "texts"), (
            (label, *(f"{share:.3f}" for share in each[:3]), str(each.n))
            for label, each in one.classes.items()
        )))  # fmt: skip
        parts += [_confusion(one, first=i == 0), _reliability(one)]
        for title, kinds in (("By source", one.by_source), ("By length", one.by_length)):
            parts.append(f"<h3>{title}</h3>")
            parts.append(_table(("", "texts", "accuracy", "macro F1"), (
                (each.name, str(each.n), f"{each.accuracy:.3f}", f"{each.macro_f1:.3f}")
                for each in kinds
            )))  # fmt: skip
        parts.append("<h3>Mistakes, the surest first</h3>")
        parts.append(_table(("wanted", "said", "sure", "text"), (
            (each.wanted, each.said, f"{each.confidence:.2f}", each.text)
            for each in one.mistakes
        )))  # fmt: skip
    title = f"<title>{escape(model)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><meta charset=utf-8>{title}{''.join(parts)}\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _confusion(one: Evaluation, *, first: bool) -> str:
    figure = go.Figure(
        go.Heatmap(z=one.confusion, x=NAMES, y=NAMES, texttemplate="%{z}", colorscale="Blues")
    )
    figure.update_layout(title="Confusion", xaxis_title="said", yaxis_title="wanted", height=400)
    return str(figure.to_html(full_html=False, include_plotlyjs=first))


def _reliability(one: Evaluation) -> str:
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"dash": "dot"})
    figure.add_scatter(
        x=[each.confidence for each in one.reliability],
        y=[each.accuracy for each in one.reliability],
        text=[f"{each.n} texts" for each in one.reliability],
        mode="lines+markers",
        name="model",
    )
    figure.update_layout(title="Reliability", xaxis_title="says", yaxis_title="holds", height=400)
    return str(figure.to_html(full_html=False, include_plotlyjs=False))
