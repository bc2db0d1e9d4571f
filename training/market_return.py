"""What the market did while a label lived: the mean over the symbols entered with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from training.labels import Floats, Ints
from training.prices import PricePath

MIN_SYMBOLS = 5


def market_returns(
    symbol: npt.NDArray[np.str_],
    entry_us: Ints,
    exit_us: Ints,
    paths: Mapping[str, PricePath],
) -> Floats:
    """The equal-weight mean return from each row's entry to its exit; NaN under MIN_SYMBOLS.

    Over all symbols with a label entered at that moment, the row's own among them. One that did
    not trade at the exit counts with its last price before: nothing after a row's exit is seen.

    Parameters
    ----------
    symbol, entry_us, exit_us : of labelled rows only.
    paths : of every symbol among them.
    """
    spans, row_span = np.unique(np.stack([entry_us, exit_us]), axis=1, return_inverse=True)
    row_span = row_span.reshape(-1)
    entries, exits = spans
    total, n = np.zeros(len(entries)), np.zeros(len(entries))
    for name, own in by_symbol(symbol):
        path = paths[name]
        entered = np.unique(entry_us[own])
        first = np.searchsorted(entries, entered)
        last = np.searchsorted(entries, entered, side="right")
        mine = _ranges(first, last)
        bought = path.price[np.searchsorted(path.at_us, entries[mine])]
        sold = path.price[np.searchsorted(path.at_us, exits[mine], side="right") - 1]
        total[mine] += sold / bought - 1.0
        n[mine] += 1.0
    mean: Floats = np.divide(total, n, out=np.full(len(n), np.nan), where=n >= MIN_SYMBOLS)
    of_row: Floats = mean[row_span]
    return of_row


def by_symbol(symbol: npt.NDArray[np.str_]) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Each symbol, sorted, with its row numbers, ascending."""
    names, owner = np.unique(symbol, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=len(names)))
    for i, name in enumerate(names.tolist()):
        yield name, order[ends[i - 1] if i else 0 : ends[i]]


def _ranges(first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The numbers of all [first, last), one after the other."""
    counts = last - first
    begins = np.repeat(first - np.cumsum(counts) + counts, counts)
    return begins + np.arange(int(counts.sum()))
