"""The cross-section of one market interval: all symbols in it, and where one value stands. Pure.

Sums are exactly rounded (`fsum`), so they depend neither on the order of the symbols nor on how
partitions share them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import fsum, sqrt

from stream.events import Cross, MarketPane, PaneEnd, SectorReturn, SymbolEnd, moment

GRID = 16  # steps between quantiles
FEWEST = 5  # symbols for a rank or a z-score to mean anything


def cross_of(values: Iterable[float]) -> Cross | None:
    """Mean, standard deviation (of the population) and quantiles; None without a value.

    Examples
    --------
    >>> found = cross_of([4.0, 1.0, 3.0, 2.0])
    >>> found.mean, found.grid[0], found.grid[8], found.grid[16]
    (2.5, 1.0, 2.5, 4.0)
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        return None
    mean = fsum(ordered) / n
    spread = sqrt(fsum([(value - mean) ** 2 for value in ordered]) / n)
    grid = tuple(_quantile(ordered, step) for step in range(GRID + 1))
    return Cross(n=n, mean=mean + 0.0, spread=spread, grid=grid)


def _quantile(ordered: Sequence[float], step: int) -> float:
    """Linear between neighbours, as numpy's default; in integers, so that the ends are exact."""
    whole, part = divmod((len(ordered) - 1) * step, GRID)
    low = ordered[whole]
    if part == 0:
        return low + 0.0
    return low + (ordered[whole + 1] - low) * (part / GRID) + 0.0


def rank(cross: Cross, value: float) -> float:
    """Share of the symbols below `value`, in [0, 1], interpolated; ties count half.

    Examples
    --------
    >>> found = cross_of(map(float, range(17)))
    >>> rank(found, 4.0), rank(found, 4.5), rank(found, -1.0), rank(found, 99.0)
    (0.25, 0.28125, 0.0, 1.0)
    """
    grid = cross.grid
    low, high = bisect_left(grid, value), bisect_right(grid, value)
    last = len(grid) - 1
    if low < high:
        return (low + high - 1) / 2 / last
    if low == 0 or low > last:
        return 0.0 if low == 0 else 1.0
    below, above = grid[low - 1], grid[low]
    return (low - 1 + (value - below) / (above - below)) / last


def z_score(cross: Cross, value: float) -> float | None:
    """Standard deviations above the mean; None where all are equal."""
    return (value - cross.mean) / cross.spread if cross.spread > 0.0 else None


def beta(pairs: Sequence[tuple[int, float, float]]) -> float | None:
    """Slope of the second of each on the third; None where the third never moved."""
    n = len(pairs)
    if n < 2:
        return None
    mean_y = fsum([y for _, y, _ in pairs]) / n
    mean_x = fsum([x for _, _, x in pairs]) / n
    variance = fsum([(x - mean_x) ** 2 for _, _, x in pairs])
    if variance <= 0.0:
        return None
    return fsum([(y - mean_y) * (x - mean_x) for _, y, x in pairs]) / variance


def market_pane(
    end: int, parts: Iterable[PaneEnd], n_partitions: int, benchmark: str
) -> MarketPane:
    """What `parts` of the interval that ends at `end` (microseconds) say together.

    Parameters
    ----------
    n_partitions : how many have answered.
    benchmark : the symbol whose return is the market's, where it traded.
    """
    by_symbol: dict[str, tuple[SymbolEnd, tuple[str, ...]]] = {
        one.symbol: (one, part.names) for part in parts for one in part.symbols
    }
    moves: dict[str, float] = {}
    sectors: defaultdict[str, list[float]] = defaultdict(list)
    ranked: defaultdict[str, list[float]] = defaultdict(list)
    for symbol, (one, names) in sorted(by_symbol.items()):
        if one.move is not None:
            moves[symbol] = one.move
            if one.sector:
                sectors[one.sector].append(one.move)
        for name, value in zip(names, one.values, strict=True):
            if value is not None:
                ranked[name].append(value)
    cross = cross_of(moves.values())
    known = benchmark in moves
    return MarketPane(
        end=moment(end),
        n_partitions=n_partitions,
        n_symbols=len(by_symbol),
        benchmark=moves.get(benchmark, None if cross is None else cross.mean),
        benchmark_symbol=benchmark if known else "",
        mean=None if cross is None else cross.mean,
        spread=None if cross is None else cross.spread,
        breadth=sum(move > 0.0 for move in moves.values()) / len(moves) if moves else None,
        sectors={
            sector: SectorReturn(n=len(own), mean=fsum(own) / len(own) + 0.0)
            for sector, own in sorted(sectors.items())
        },
        ranked={name: each for name in sorted(ranked) if (each := cross_of(ranked[name]))},
    )
