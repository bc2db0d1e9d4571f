"""Which features act together: Friedman's H of pairs, over some of the rows.

    H² = mean (F_jk - F_j - F_k)² / mean F_jk²        F : partial dependence, less its mean

0 where what two features do adds up, 1 where neither does anything alone. J. Friedman and
B. Popescu, Annals of Applied Statistics 2 (2008). All F are means over the same rows, so what adds
up gives 0 on any sample of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from models.artifact import CLASSES, Artifact
from models.pool import Pool
from training.labels import Floats

_ROWS = 40  # a pair asks for the square of it
_ROUNDING = 1e-9
_BEARISH, _BULLISH = CLASSES.index("bearish"), CLASSES.index("bullish")


class Interaction(NamedTuple):
    """Of two features, by their columns.

    apart : root mean square of what does not add up, in the function's unit. share : H², 0..1 but
    for sampling.
    """

    one: int
    other: int
    apart: float
    share: float


def log_odds(artifact: Artifact) -> Callable[[Floats], Floats]:
    """From (n, f) rows to log-odds of bullish against bearish, before the calibration.

    Without what sequence members add: it is the same whatever the features are.
    """
    members = [each for each in artifact.of("direction") if each.format != "sequence"]
    pool = Pool(members, len(artifact.feature_names), len(CLASSES))

    def of(x: Floats) -> Floats:
        raw = pool.many(x)
        odds: Floats = raw[:, _BULLISH] - raw[:, _BEARISH]
        return odds

    return of


def interactions(
    function: Callable[[Floats], Floats], x: Floats, features: Sequence[int], seed: int
) -> list[Interaction]:
    """Every pair of `features` that does not add up, the strongest first.

    Parameters
    ----------
    function : from (n, f) rows to (n,) values; it is asked for 1,600 rows a pair and a feature.
    x : (n, f), of which some are drawn.
    """
    rows = x[np.random.default_rng(seed).permutation(len(x))[:_ROWS]]
    alone = {j: _dependence(function, rows, [j]) for j in features}
    found = []
    for j, k in combinations(features, 2):
        together = _dependence(function, rows, [j, k])
        apart = float(np.mean((together - alone[j] - alone[k]) ** 2)) ** 0.5
        if apart > _ROUNDING:
            found.append(Interaction(j, k, apart, apart**2 / float(np.mean(together**2))))
    return sorted(found, key=lambda pair: (-pair.apart, pair.one, pair.other))


def _dependence(
    function: Callable[[Floats], Floats], rows: Floats, columns: Sequence[int]
) -> Floats:
    """Mean of the function with `columns` as in each row and the rest as in all, less its mean."""
    n = len(rows)
    given = np.tile(rows, (n, 1))
    given[:, columns] = np.repeat(rows[:, columns], n, axis=0)
    means: Floats = function(given).reshape(n, n).mean(axis=1)
    centred: Floats = means - means.mean()
    return centred
