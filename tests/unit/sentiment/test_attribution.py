"""Which symbols an article is about, and how much."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import NewsArticle
from stream.sentiment.attribution import MAX_SYMBOLS, Mention, cashtags
from stream.sentiment.reading import read
from tests.unit.sentiment.articles import article


def mentions(event: NewsArticle) -> tuple[Mention, ...]:
    return read(event).mentions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$AAPL rises", ["AAPL"]),
        ("why ($AAPL) rises, $MSFT's too.", ["AAPL", "MSFT"]),
        ("$BRK.B and $BRK-A", ["BRK.B", "BRK-A"]),
        ("$BF.B. Next sentence", ["BF.B"]),
        ("$AAPL.It ends", ["AAPL"]),
        ("$AAPL-led rally", ["AAPL"]),
        ("$BTC-USD $ETH/USDT", ["BTC-USD", "ETH/USDT"]),
        ("$tsla to the moon", ["TSLA"]),
        ("$5 and $5M and 5$ and US$ and US$AAPL", []),
        ("$$AAPL$$ $ AAPL", []),
        ("$TOOLONGTAG", []),
        ("$RDS.A,$RDS.B", ["RDS.A", "RDS.B"]),
        ("", []),
    ],
)
def test_cashtags_are_found(text: str, expected: list[str]) -> None:
    assert cashtags(text) == expected


def test_a_lone_symbol_has_all_the_relevance() -> None:
    for one in (
        article(symbols=("AAPL",)),
        article(symbols=(), headline="$AAPL rises"),
        article(symbols=(), headline="A rise", body="of $AAPL, $AAPL"),
        article(symbols=("AAPL", "AAPL"), headline="$AAPL rises", body="$aapl"),
    ):
        assert mentions(one) == (("AAPL", 1.0),)


def test_symbols_share_the_relevance() -> None:
    found = mentions(article(symbols=("MSFT", "AAPL")))
    assert [m.symbol for m in found] == ["AAPL", "MSFT"]
    assert [m.relevance for m in found] == pytest.approx([1 / sqrt(2)] * 2)


def test_the_headline_weighs_more_than_the_list_and_the_list_more_than_the_body() -> None:
    found = mentions(article(symbols=("IBM",), headline="$AAPL rises", body="as $MSFT falls"))
    assert [m.symbol for m in found] == ["AAPL", "IBM", "MSFT"]
    assert [m.relevance for m in found] == pytest.approx([w / 3 / sqrt(2) for w in (3, 2, 1)])


def test_an_article_without_a_symbol_has_no_mention() -> None:
    assert mentions(article(symbols=())) == ()


def test_a_market_wrap_keeps_its_most_relevant_symbols() -> None:
    wrap = article(symbols=tuple(f"S{i:02}" for i in range(100)), headline="Stocks and $ZZZ")
    found = mentions(wrap)
    assert len(found) == MAX_SYMBOLS
    assert found[0].symbol == "ZZZ"
    assert all(m.relevance < 0.15 for m in found)


@given(
    st.lists(st.sampled_from(["AAPL", "MSFT", "BRK.B", "X"]), max_size=5),
    st.lists(st.sampled_from(["$AAPL", "$MSFT", "$brk.b", "rises"]), max_size=5),
    st.lists(st.sampled_from(["$AAPL", "$IBM", "and"]), max_size=5),
)
def test_relevance_is_a_share_and_falls_with_rank(
    given_symbols: list[str], headline: list[str], body: list[str]
) -> None:
    one = article(
        symbols=tuple(given_symbols), headline=" ".join(headline) or "none", body=" ".join(body)
    )
    found = mentions(one)
    shares = [m.relevance for m in found]
    assert shares == sorted(shares, reverse=True)
    assert all(0.0 < share <= 1.0 for share in shares)
    assert len({m.symbol for m in found}) == len(found)
