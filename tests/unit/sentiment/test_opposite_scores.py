"""Articles good for one company and bad for another: each gets the sign of its own news.

One clause that is good for one and bad for the other is beyond a model that reads words: those
articles are kept here and counted, so that a better model shows.
"""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from tests.unit.sentiment.articles import article, live, scores
from tests.unit.sentiment.listed import DIRECTORY, HERE

with (HERE / "pairs.csv").open(newline="") as _file:
    PAIRS = list(csv.DictReader(_file))
BEYOND = "one-clause"
FLOOR = 0.96  # of the other forms; the lexicon reaches 52 of 54


def told_apart(pair: dict[str, str]) -> bool:
    """Whether the role scores the good one above 0 and the bad one below."""
    one = article(headline=pair["headline"], body=pair["body"] or "", symbols=())
    found = scores(live(directory=DIRECTORY), one)
    tone = {s.symbol: s.positive - s.negative for s in found}
    return tone.get(pair["good"], 0.0) > 0.0 > tone.get(pair["bad"], 0.0)


def test_the_set_is_large_and_varied() -> None:
    forms = Counter(pair["form"] for pair in PAIRS)
    assert len(PAIRS) >= 60
    assert len(forms) >= 10
    assert len({pair["headline"] + (pair["body"] or "") for pair in PAIRS}) == len(PAIRS)


def test_signs_are_right_for_both_companies() -> None:
    wrong = [pair for pair in PAIRS if pair["form"] != BEYOND and not told_apart(pair)]
    n = sum(pair["form"] != BEYOND for pair in PAIRS)
    assert 1 - len(wrong) / n >= FLOOR, [pair["headline"] for pair in wrong]


@pytest.mark.parametrize("given", [("AAPL", "MSFT"), ("MSFT", "AAPL")])
def test_given_symbols_are_told_apart_by_their_names(given: tuple[str, ...]) -> None:
    one = article(headline="Apple beats while Microsoft misses", symbols=given)
    tone = {s.symbol: s.positive - s.negative for s in scores(live(directory=DIRECTORY), one)}
    assert tone["AAPL"] > 0.3
    assert tone["MSFT"] < -0.3
