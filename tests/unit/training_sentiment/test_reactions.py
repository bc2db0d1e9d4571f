"""Articles with the returns after them: labels, stories, blocks that neither leaks through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.events import NewsArticle, moment
from stream.features.panes import DAY_US
from tests.unit.training_sentiment.moved import START, VOLATILITY, make_reactions, make_table
from training.errors import TrainingRefused
from training.rows import Labelled
from training.sentiment.blocks import SPLIT, check_fold, purged_blocks
from training.sentiment.reactions import Told, reactions, stories
from training.splits import SplitRule

FOUND = make_reactions()


def article(ident: str, headline: str, **more: Any) -> NewsArticle:
    given = {"source": "wire", "published_at": moment(START), **more}
    return NewsArticle(id=ident, headline=headline, **given)


# -- labels --------------------------------------------------------------------------------------


def test_a_class_is_that_of_the_return_less_the_market_s() -> None:
    least = max(0.5 * VOLATILITY, FOUND.rows.rule.cost)
    relative = [
        r - m for r, m in zip(FOUND.rows.forward_return, FOUND.rows.market_return, strict=True)
    ]  # type: ignore[arg-type]
    wanted = [0 if each < -least else 2 if each > least else 1 for each in relative]
    assert FOUND.y.tolist() == wanted
    assert (FOUND.y != FOUND.rows.y).any()  # else the market would make no difference


def test_rows_without_article_score_or_market_are_counted() -> None:
    table = make_table(START + np.arange(6) * 3600_000_000, list("ABCDEF"), np.zeros(6))
    table = replace(table, trigger=np.array(["news"] * 5 + ["pane"]), counts={"unmatured": 2})
    refs = [(ident, 1) for ident in ("a", "b", "c", "d", "a")] + [("", 1)]
    told = Told(
        {(i, 1): article(i, i) for i in "acd"},
        {("a", 1, "A"): 0.5, ("b", 1, "B"): 0.1, ("d", 1, "D"): -0.5, ("a", 1, "E"): 0.2},
    )

    class Known(Labelled):
        def with_market(self) -> Any:
            market = np.array([0.0, 0.0, 0.0, np.nan, 0.0, 0.0])
            return replace(self.rows, market_return=market)

    found = reactions(Known(table, {}, refs), told)
    assert [(a.id, s) for a, s in zip(found.articles, found.rows.symbol, strict=True)] == [
        ("a", "A"),
        ("a", "E"),
    ]
    assert found.own.tolist() == [0.5, 0.2]
    assert found.story.tolist() == [0, 0]
    assert found.rows.counts == {
        "article not stored": 1, "no market": 1, "retracted": 1, "unmatured": 2,
    }  # fmt: skip
    with pytest.raises(TrainingRefused, match=r"found none \(left out: .*2 unmatured\)"):
        reactions(Known(table, {}, refs), told._replace(own={}))


# -- stories -------------------------------------------------------------------------------------


def test_reprints_corrections_and_copies_are_one_story() -> None:
    first = "Acme wins a contract worth $12 million from the city of Leeds"
    told = [
        article("a", first),
        article("b", "Norvik recalls electric buses after reports of injuries"),
        article("c", f"RT @wire: {first}!"),
        article("b", "Something else altogether is told by this correction", revision=2),
        article("d", "Acme loses a contract worth $12 million from the city of Leeds"),
        article("e", "Something else altogether is told by this correction"),
    ]
    assert stories(told).tolist() == [0, 1, 0, 1, 4, 1]


# -- blocks --------------------------------------------------------------------------------------


def test_a_label_that_reaches_into_the_next_block_is_in_none() -> None:
    rows = FOUND.rows
    for fold in purged_blocks(FOUND, SPLIT).folds:
        for before, after in ((fold.fit, fold.tune), (fold.tune, fold.judge)):
            assert rows.exit_us[before].max() <= rows.as_of_us[after].min()
    (fold,) = purged_blocks(FOUND, SplitRule(1, 0.2, 0.0, 0.3)).folds
    kept = int(fold.fit[-1])
    exits = rows.exit_us.copy()
    exits[kept] = rows.as_of_us[fold.judge[0]] + 1
    late = replace(FOUND, rows=replace(rows, exit_us=exits))
    (again,) = purged_blocks(late, SplitRule(1, 0.2, 0.0, 0.3)).folds
    assert set(fold.fit) - set(again.fit) == {kept}
    check_fold(late, again)
    with pytest.raises(TrainingRefused, match=r"whose .as_of, exit. meets no test row's"):
        check_fold(late, fold)  # as if nothing had been purged


def test_a_story_that_an_earlier_block_told_is_not_judged() -> None:
    (fold,) = purged_blocks(FOUND, SplitRule(1, 0.2, 0.0, 0.3)).folds
    told, kept, twice = (int(i) for i in (fold.judge[5], fold.judge[6], fold.judge[7]))
    articles = list(FOUND.articles)
    articles[told] = replaced(articles[told], articles[int(fold.fit[0])])
    articles[twice] = replaced(articles[twice], articles[kept])
    again = replace(FOUND, articles=articles, story=stories(articles))
    blocks = purged_blocks(again, SplitRule(1, 0.2, 0.0, 0.3))
    assert set(fold.judge) - set(blocks.folds[0].judge) == {told}
    assert blocks.told_before == 1


def replaced(one: NewsArticle, text: NewsArticle) -> NewsArticle:
    """The article with another one's words."""
    return article(one.id, text.headline, body=text.body, symbols=one.symbols)


def test_blocks_of_one_class_are_refused() -> None:
    flat = replace(FOUND.rows, forward_return=np.full(len(FOUND), 0.02))
    (fold,) = purged_blocks(FOUND, SplitRule(1, 0.2, 0.0, 0.3)).folds
    with pytest.raises(TrainingRefused, match=r"block 'fit': expected bearish, neutral and bulli"):
        check_fold(replace(FOUND, rows=flat), fold)


def test_no_row_is_parted_from_those_known_at_its_moment() -> None:
    as_of = FOUND.rows.as_of_us - FOUND.rows.as_of_us % DAY_US
    same = replace(FOUND, rows=replace(FOUND.rows, as_of_us=as_of))
    for fold in purged_blocks(same, SPLIT).folds:
        assert not set(as_of[fold.fit]) & set(as_of[fold.tune])
