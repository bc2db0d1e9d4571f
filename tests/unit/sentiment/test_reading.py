"""What a model reads of an article, with which weight, and how much the article is about whom."""

from __future__ import annotations

from math import sqrt

import pytest

from models.sentiment.model import Probabilities
from stream.sentiment.reading import MAX_TEXTS, WINDOW_CHARS, WINDOWS, Part, read, weigh
from stream.sentiment.text import BODY_CHARS, MAX_CHARS
from tests.unit.sentiment.articles import article
from tests.unit.sentiment.listed import DIRECTORY

NONE: tuple[str, ...] = ()


def parts(symbol: str, headline: str, body: str = "", given: tuple[str, ...] = NONE) -> list[Part]:
    return list(read(article(headline=headline, body=body, symbols=given), DIRECTORY).of(symbol))


def relevance(headline: str, body: str = "", given: tuple[str, ...] = NONE) -> dict[str, float]:
    found = read(article(headline=headline, body=body, symbols=given), DIRECTORY)
    return dict(found.mentions)


# -- parts ---------------------------------------------------------------------------------------


def test_a_headline_that_names_one_symbol_is_read_whole() -> None:
    text = "Apple rose, though analysts had been wary, and closed at a record"
    assert parts("AAPL", text) == [Part(text, 2.0)]


def test_a_headline_on_two_is_read_in_clauses() -> None:
    assert parts("AAPL", "Apple beats while Pfizer misses") == [Part("Apple beats", 2.0)]
    assert parts("PFE", "Apple beats while Pfizer misses") == [Part("Pfizer misses", 2.0)]


def test_a_headline_that_cannot_be_cut_counts_half_for_each() -> None:
    assert parts("PFE", "Apple and Pfizer report", "Pfizer fell. Apple rose.") == [
        Part("Apple and Pfizer report", 1.0),
        Part("Pfizer fell.", 1.0),
    ]


def test_a_sentence_that_names_nobody_follows_the_one_before() -> None:
    body = "Apple rose. It hit a record. Pfizer fell. Its drug failed. Nobody bought."
    assert parts("AAPL", "Stocks", body) == [Part("Apple rose. It hit a record.", 1.0)]
    assert parts("PFE", "Stocks", body) == [
        Part("Pfizer fell. Its drug failed. Nobody bought.", 1.0)
    ]


def test_a_body_follows_its_headline() -> None:
    found = parts("PFE", "Pfizer slumps", "The company cut its outlook. Apple rose.")
    assert found == [Part("Pfizer slumps", 2.0), Part("The company cut its outlook.", 1.0)]


def test_a_headline_that_names_nobody_is_about_the_only_symbol() -> None:
    assert parts("PFE", "Drug maker slumps", "Pfizer fell.") == [
        Part("Drug maker slumps", 2.0),
        Part("Pfizer fell.", 1.0),
    ]
    assert parts("PFE", "Stocks mixed", "Pfizer fell. Apple rose.") == [Part("Pfizer fell.", 1.0)]


def test_a_symbol_that_nothing_singles_out_gets_the_whole_text() -> None:
    assert parts("XYZ", "Apple rose", "It hit a record.", ("XYZ",)) == [
        Part("Apple rose. It hit a record.", 1.0)
    ]


def test_a_long_text_is_read_in_windows_and_its_headline_weighs_two_thirds() -> None:
    body = "Nobody said a thing about the matter at hand today. " * 100
    found = parts("XYZ", "A plain headline", body, ("XYZ",))
    assert len(found) == 1 + WINDOWS
    assert found[0] == Part("A plain headline", 2.0)
    assert sum(part.weight for part in found[1:]) == pytest.approx(1.0)
    assert all(len(part.text) <= WINDOW_CHARS for part in found[1:])


LONG = "and " + "said so in a sentence that fills a window of its own " * 7


def test_a_sentence_that_follows_weighs_half_and_a_shared_one_its_share() -> None:
    _, named, follows, shared = parts(
        "PFE", "Pfizer slumps", f"Pfizer fell {LONG}. It {LONG}. Home Depot met Pfizer {LONG}."
    )
    assert (named.weight, follows.weight, shared.weight) == pytest.approx((0.5, 0.25, 0.25))


def test_an_article_has_a_bounded_number_of_texts_and_the_most_relevant_symbols_have_them() -> None:
    names = [listing.company for listing in DIRECTORY.listings[:24]]
    body = " ".join(f"{name} rose {LONG}. It was {i} {LONG}." for i, name in enumerate(names))
    found = read(article(headline="Boeing leads the market", body=body, symbols=()), DIRECTORY)
    texts = {part.text for each in found.mentions for part in found.of(each.symbol)}
    assert MAX_TEXTS - 4 < len(texts) <= MAX_TEXTS
    assert found.of("BA")[0].text == "Boeing leads the market"
    assert found.of(found.mentions[-1].symbol) == found.whole


def test_the_order_of_given_symbols_changes_nothing() -> None:
    headline, body = "Apple and Pfizer rise; Boeing falls", "Intel was flat. Boeing fell again."
    one, other = ("AAPL", "PFE", "BA", "XYZ"), ("XYZ", "BA", "PFE", "AAPL")
    first = read(article(headline=headline, body=body, symbols=one), DIRECTORY)
    assert first == read(article(headline=headline, body=body, symbols=other), DIRECTORY)


# -- the mean ------------------------------------------------------------------------------------


def test_one_score_stays_as_it_is_and_several_are_weighed() -> None:
    good, bad = Probabilities(0.1, 0.2, 0.7), Probabilities(0.6, 0.3, 0.1)
    assert weigh([(0.3, good)]) is good
    assert weigh([(2.0, good), (1.0, bad)]) == pytest.approx((0.8 / 3, 0.7 / 3, 1.5 / 3))


def test_no_rounding_leaves_the_range() -> None:
    assert weigh([(1 / 3, Probabilities(0.0, 1.0, 0.0))] * 7).neutral == 1.0


# -- relevance -----------------------------------------------------------------------------------


def test_relevance_is_the_documented_formula() -> None:
    found = relevance("Pfizer slumps", "It fell. Home Depot rose. It hit a record. Bonds fell.")
    pfizer, depot = 0.85 * (3 + 1 / 4), 0.9 * 3 / 4
    crowd = sqrt((pfizer + depot) / 3.25)
    assert found == pytest.approx({"PFE": pfizer / 3.25 / crowd, "HD": depot / 3.25 / crowd})


def test_the_body_counts_by_the_share_of_its_sentences() -> None:
    rest = "Bonds were flat."
    once = relevance("Stocks mixed", f"{rest} " * 9 + "Home Depot rose.")["HD"]
    half = relevance("Stocks mixed", f"{rest} " * 5 + "Home Depot rose. It hit a record. " * 3)[
        "HD"
    ]
    assert once == pytest.approx(0.9 / 10)
    assert half == pytest.approx(0.9 * 6 / 11)


def test_a_doubtful_name_is_less_relevant_than_a_sure_one() -> None:
    assert relevance("Target shares rose")["TGT"] < relevance("Apple rose")["AAPL"]
    assert relevance("Apple rose")["AAPL"] < relevance("Apple Inc rose")["AAPL"] < 1.0
    assert relevance("Apple rose", given=("AAPL",))["AAPL"] == 1.0


# -- bad input -----------------------------------------------------------------------------------

HUGE = {
    "one word": "x" * 500_000,
    "quotes": "“a. " * 125_000,
    "open tags": "<p " * 166_000,
    "open comments": "<p>" + "<!--" * 120_000,
    "declarations": "<p>" + "<![" * 160_000,
    "entities": "&amp;lt;p&amp;gt;" * 30_000,
    "cashtags": "$AAPL ; " * 62_500,
    "names": "Apple, Pfizer and " * 27_000,
    "classes": "$A.A." * 100_000,
    "emoji": "\U0001f680" * 500_000,
    "control characters": "\x00\x07\u200b" * 160_000,
    "line breaks": "\n \n" * 166_000,
}


@pytest.mark.timeout(60)  # a tenth of a second each; what is quadratic takes minutes
@pytest.mark.parametrize("name", HUGE)
def test_work_is_bounded_whatever_the_body(name: str) -> None:
    found = read(article(headline="Apple rose while Pfizer fell", body=HUGE[name]), DIRECTORY)
    assert {"AAPL", "PFE"} <= {mention.symbol for mention in found.mentions}
    assert len(found.text) <= MAX_CHARS
    assert sum(len(part.text) for part in found.of("AAPL")) <= BODY_CHARS
