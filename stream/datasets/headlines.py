"""Finance headlines from templates, each with the polarity it was written for."""

from __future__ import annotations

import numpy as np

_GOOD = (
    "{} beats estimates as profit surges {n}%", "{} raises outlook on strong growth",
    "{} wins ${n} million contract, shares jump", "Analysts upgrade {} after record profit",
    "{} announces ${n} million buyback and higher dividend", "{} sales growth tops forecasts",
    "Regulator approval lifts {} to record high", "{} profit rises {n}% on strong demand",
    "{} rallies after upbeat guidance", "Strong quarter: {} exceeds profit targets by {n}%",
    "{} shares climb as margins improve {n} basis points", "{} soars on breakthrough results",
)  # fmt: skip
_BAD = (
    "{} misses estimates as losses widen {n}%", "{} cuts outlook, warns of weak demand",
    "{} faces ${n} million lawsuit and fraud probe", "Analysts downgrade {} after profit shortfall",
    "{} recalls product, shares plunge {n}%", "{} announces {n} layoffs on falling sales",
    "Weak sales and a loss of ${n} million drag {} lower", "{} tumbles after data breach",
    "{} sinks as investigation widens", "Downgraded: {} slumps on a {n}% decline in orders",
    "{} shares drop after disappointing results", "{} warns of default as losses mount",
)  # fmt: skip
_PLAIN = (
    "{} to present at an industry conference on day {n}", "{} names a new board member",
    "{} opens office number {n} in the region", "{} publishes its meeting calendar",
    "{} moves its annual meeting to hall {n}", "{} completes its move to a new data center",
)  # fmt: skip


def headline(rng: np.random.Generator, company: str, polarity: float, serial: int) -> str:
    """A headline about `company`; `serial` keeps two of the same template apart."""
    pool = _PLAIN if polarity == 0 else _GOOD if polarity > 0 else _BAD
    text = pool[int(rng.integers(len(pool)))].format(company, n=int(rng.integers(2, 90)))
    return f"{text} (#{serial})"
