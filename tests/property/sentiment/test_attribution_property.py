"""Attribution of any text: it never fails, shares stay shares, order changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentiment.model import Probabilities
from stream.sentiment.attribution import MAX_SYMBOLS
from stream.sentiment.directory import Directory
from stream.sentiment.listings import Listing
from stream.sentiment.reading import MAX_TEXTS, read, weigh
from stream.sentiment.sentences import clauses, split
from stream.sentiment.text import one_line, paragraphs
from tests.unit.sentiment.articles import article
from tests.unit.sentiment.listed import DIRECTORY

WORDS = [
    "Apple", "apple", "APPLE", "Target", "Target's", "shares", "Corp", "Inc.", "$AAPL", "$BRK.B",
    "AAPL", "(NYSE:", "T)", "Unilever", "Coke", "while", "but", ",", ";", "and", "as", "-", "fell",
    "rose", ".", "!", "<p>", "</p>", "<!--", "&amp;", "&lt;p&gt;", "\u2019s", "\u0130", "\x00",
    "\n\n", "\U0001f680", "https://example.org", "Wal\u2011Mart", "price",
]  # fmt: skip
PROSE = st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=40).map(" ".join)
SYMBOLS = st.lists(st.sampled_from(["AAPL", "TGT", "T", "UL", "BRK-B", "XYZ"]), max_size=5)


@given(PROSE, PROSE, SYMBOLS, st.randoms())
@settings(max_examples=400, deadline=None)
def test_any_article_is_read_within_its_bounds(headline, body, symbols, random):
    one = article(headline=headline or "-", body=body, symbols=tuple(symbols))
    found = read(one, DIRECTORY)
    names = [mention.symbol for mention in found.mentions]
    assert set(symbols) <= set(names)
    assert len(names) == len(set(names)) <= MAX_SYMBOLS
    assert all(0.0 < mention.relevance <= 1.0 for mention in found.mentions)
    ranks = [mention.relevance for mention in found.mentions]
    assert ranks == sorted(ranks, reverse=True)
    parts = [part for symbol in [*names, "NONE"] for part in found.of(symbol)]
    assert all(part.weight > 0.0 and part.text.isprintable() for part in parts)
    assert len({part.text for part in parts}) <= MAX_TEXTS
    random.shuffle(symbols)
    assert found == read(
        article(headline=headline or "-", body=body, symbols=tuple(symbols)), DIRECTORY
    )


@given(PROSE)
@settings(max_examples=300, deadline=None)
def test_names_lie_inside_their_sentence_and_clauses_lose_none(text):
    for paragraph in paragraphs(text):
        sentences = split(paragraph)
        assert "".join("".join(sentences).split()) == "".join(paragraph.split())
        for sentence, spans in zip(sentences, DIRECTORY.find(sentences), strict=True):
            assert all(0 <= s.start < s.end <= len(sentence) for s in spans)
            units = clauses(sentence, spans)
            named = {symbol for span in spans for symbol in span.symbols}
            assert {symbol for unit in units for symbol in unit.named} == named
            assert all(unit.text in sentence for unit in units)


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=12), st.text(max_size=12)), max_size=6), PROSE
)
@settings(max_examples=200, deadline=None)
def test_any_directory_can_be_searched(companies, text):
    listed = Directory(
        Listing(f"S{i}", company, (alias,)) for i, (company, alias) in enumerate(companies)
    )
    sentences = [one_line(text), *(one_line(company) for company, _ in companies)]
    for sentence, spans in zip(sentences, listed.find(sentences), strict=True):
        assert all(0 <= s.start < s.end <= len(sentence) for s in spans)


SHARES = st.floats(0, 1).flatmap(
    lambda a: st.floats(0, 1).map(lambda b: Probabilities(a * b, 1 - a, a - a * b))
)


@given(st.lists(st.tuples(st.floats(1e-3, 2), SHARES), min_size=1, max_size=6))
def test_a_mean_of_probabilities_is_one(scores):
    mean = weigh(scores)
    assert all(0.0 <= p <= 1.0 for p in mean)
    assert abs(sum(mean) - 1.0) < 1e-9
    for i in range(3):
        values = [score[i] for _, score in scores]
        assert min(values) - 1e-12 <= mean[i] <= max(values) + 1e-12
