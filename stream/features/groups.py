"""A group: features that are described and computed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stream.features.view import View

Values = list[float | None]


@dataclass(frozen=True)
class Feature:
    """One feature, as the feature table shows it."""

    name: str
    unit: str
    window: str
    range: str
    missing: str


@dataclass(frozen=True)
class Group:
    """Features and the function that gives their values, in the same order.

    reads_news : they would be other values had there been other news.
    """

    features: tuple[Feature, ...]
    compute: Callable[[View], Values]
    reads_news: bool = False
