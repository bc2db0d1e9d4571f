"""Tables in which what pays, or what a text is worth, is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.unit.training.test_train_model import make_table
from training.rows import TrainingTable
from training.study.articles import Articles
from training.study.horizons import studied_rules

SIGMA = 0.04


def make_tables(
    n: int = 5_000, n_days: int = 260, effect: float = 1.0, regime: bool = True, seed: int = 0
) -> list[TrainingTable]:
    """Rows labelled at 1d and 2w: `news` says which way, and `noise`, above 0, that it is soon.

    regime : else both horizons pay always, in units of risk 2w more: costs weigh less there.
    """
    draw = np.random.default_rng(seed)
    symbols = np.array([f"S{i}" for i in draw.integers(0, 60, n)])
    base = make_table(n=n, n_days=n_days, symbol=symbols, seed=seed)
    lean, soon = np.nan_to_num(base.x[:, 0]), base.x[:, 1] > 0.0
    tables = []
    for rule in studied_rules("daily"):
        sigma = SIGMA * rule.volatility_scale
        pays = (soon == (rule.horizon == "1d")) if regime else np.ones(n)
        moves = sigma * (effect * lean * pays + draw.normal(size=n))
        tables.append(
            replace(
                base,
                rule=rule,
                forward_return=moves,
                volatility=np.full(n, sigma),
                exit_us=base.entry_us + rule.horizon_us,
            )
        )
    return tables


def make_articles(n: int = 2_500, effect: float = 0.5, seed: int = 0, **changes: Any) -> Articles:
    """A score moves its symbol by so many sigmas; from `blog` the other way round."""
    draw = np.random.default_rng(seed)
    score, source = draw.uniform(-1, 1, n), draw.choice(["wire", "paper", "blog"], n)
    truth = np.where(source == "blog", -score, score)
    rows = make_table(
        n=n,
        n_days=120,
        seed=seed,
        symbol=np.array([f"S{i}" for i in draw.integers(0, 30, n)]),
        trigger=np.full(n, "news"),
        forward_return=0.002 * (effect * truth + draw.normal(size=n)),
        market_return=np.zeros(n),
    )
    given = {
        "rows": rows,
        "article_id": np.array([f"a{i}" for i in range(n)]),
        "revision": np.ones(n, dtype=np.int64),
        "source": source,
        "score": score,
        "confidence": 0.5 + np.abs(score) / 2,
        "relevance": np.ones(n),
        "n_chars": draw.integers(20, 4_000, n),
        "duplicate": draw.random(n) < 0.1,
        "text_hash": np.full(n, "x"),
    }
    return Articles(**{**given, **changes})
