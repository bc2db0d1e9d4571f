"""Which texts run together, and in what shape."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

Shape = tuple[int, int]  # rows, tokens

WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Batch(NamedTuple):
    """Texts, by their places in what was given, in a grid of `rows` by `width` tokens."""

    places: tuple[int, ...]
    rows: int
    width: int


def alone(length: int) -> Shape:
    """Every text by itself, at its own length."""
    return 1, length


def bucket(length: int, budget: int, longest: int) -> Shape:
    """The grid that texts of this length always run in: `budget` tokens, or one row if longer.

    Parameters
    ----------
    longest : no grid is wider, since a model has no positions beyond.

    Examples
    --------
    >>> bucket(19, 4096, 510), bucket(500, 4096, 510)
    ((170, 24), (8, 510))
    """
    i = bisect_left(WIDTHS, length)
    width = min(WIDTHS[i], longest) if i < len(WIDTHS) else longest
    return max(1, budget // width), width


def plan(lengths: Sequence[int], shape: Callable[[int], Shape]) -> list[Batch]:
    """Batches of texts sorted by length; those of length 0 are in none.

    A text's grid hangs on its own length alone; a batch that the texts do not fill has empty rows.
    """
    order = sorted((place for place, n in enumerate(lengths) if n), key=lambda p: (lengths[p], p))
    batches = []
    for (rows, width), places in groupby(order, key=lambda place: shape(lengths[place])):
        of_shape = tuple(places)
        batches += [
            Batch(of_shape[first : first + rows], rows, width)
            for first in range(0, len(of_shape), rows)
        ]
    return batches
