"""Articles whose words move prices, and the rows that a replay would make of them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from stream.events import NewsArticle, moment
from stream.features.panes import DAY_US
from tests.unit.training_sentiment.nouns import NOUNS
from training.label_rules import label_rule
from training.rows import TrainingTable
from training.sentiment.reactions import Reactions, stories

START = 19_000 * DAY_US
HOUR = DAY_US // 24
VOLATILITY = 0.01
SYMBOLS = tuple("ABCDEFGHIJ")
TELLING = NOUNS[:3], NOUNS[3:6], NOUNS[6:9]  # no lexicon knows that they move prices
_OTHERS = NOUNS[9:]


def make_article(i: int, at: int, word: str, symbol: str, rng: random.Random) -> NewsArticle:
    """A headline of nouns and one word that tells; a body of nouns alone."""
    headline = [*rng.sample(_OTHERS, 5), word]
    return NewsArticle(
        id=f"n{i}", source="wire", headline=" ".join(headline), published_at=moment(at),
        body=" ".join(rng.sample(_OTHERS, 6)), symbols=(symbol,),
    )  # fmt: skip


def make_reactions(n_days: int = 80, *, effect: float = 2.0, seed: int = 1) -> Reactions:
    """Ten articles a day, a symbol each; `effect` in units of volatility, and noise of one."""
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    articles, as_of, side = [], [], []
    for i in range(n_days * len(SYMBOLS)):
        day, k = divmod(i, len(SYMBOLS))
        at = START + day * DAY_US + k * HOUR // 2
        side.append(int(draw.integers(3)))
        articles.append(make_article(i, at, rng.choice(TELLING[side[-1]]), SYMBOLS[k], rng))
        as_of.append(at)
    moved = VOLATILITY * (effect * (np.array(side) - 1.0) + draw.normal(size=len(side)))
    table = make_table(np.array(as_of), [a.symbols[0] for a in articles], moved)
    return Reactions(table, articles, np.zeros(len(articles)), stories(articles))


def make_table(as_of: np.ndarray, symbols: list[str], moved: np.ndarray) -> TrainingTable:
    """News rows, bought at the next midnight and sold a day later."""
    n, entry = len(as_of), as_of - as_of % DAY_US + DAY_US
    return TrainingTable(
        feature_set="daily",
        feature_set_version=1,
        feature_names=("nothing",),
        sentiment_model="house-1",
        rule=label_rule("daily", "1d"),
        x=np.zeros((n, 1)),
        symbol=np.array(symbols),
        trigger=np.full(n, "news"),
        as_of_us=as_of,
        entry_us=entry,
        exit_us=entry + DAY_US,
        forward_return=moved + 0.02,  # the market rose, and every symbol with it
        volatility=np.full(n, VOLATILITY),
        market_return=np.full(n, 0.02),
        counts={"unmatured": 3},
    )


def shuffled(found: Reactions, seed: int = 1) -> Reactions:
    """The same articles, and returns of others.

    Of the seeds 0 to 9 one, 3, passes the 5 % bound by luck.
    """
    order = np.random.default_rng(seed).permutation(len(found))
    rows = replace(found.rows, forward_return=found.rows.forward_return[order])
    return replace(found, rows=rows)
