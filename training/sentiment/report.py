"""An evaluation as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping

from training.page import confusion, heading, page, reliability, table
from training.sentiment.evaluate import NAMES, Evaluation, summary

_HEAD = ("data", "texts", "accuracy", "macro F1", "ECE", "r of grades", "sign of grades")


def html_report(model: str, found: Mapping[str, Evaluation]) -> str:
    """A page with each data set's figures, its reliability and the surest mistakes."""
    parts = [table(_HEAD, (summary(n, e) for n, e in found.items()))]
    for name, one in found.items():
        parts.append(heading(name))
        parts.append(table(("class", "precision", "recall", "F1", "texts"), (
            (label, *(f"{share:.3f}" for share in each[:3]), str(each.n))
            for label, each in one.classes.items()
        )))  # fmt: skip
        parts.append(confusion(one.confusion, NAMES))
        parts.append(
            reliability(
                [each.confidence for each in one.reliability],
                [each.accuracy for each in one.reliability],
                [each.n for each in one.reliability],
            )
        )
        for title, kinds in (("By source", one.by_source), ("By length", one.by_length)):
            parts.append(heading(title, 3))
            parts.append(table(("", "texts", "accuracy", "macro F1"), (
                (each.name, str(each.n), f"{each.accuracy:.3f}", f"{each.macro_f1:.3f}")
                for each in kinds
            )))  # fmt: skip
        parts.append(heading("Mistakes, the surest first", 3))
        parts.append(table(("wanted", "said", "sure", "text"), (
            (each.wanted, each.said, f"{each.confidence:.2f}", each.text)
            for each in one.mistakes
        )))  # fmt: skip
    return page(model, parts)
