"""Where a text is cut: sentences, and clauses that turn from one symbol to another."""

from __future__ import annotations

import pytest

from stream.sentiment.sentences import clauses, split
from tests.unit.sentiment.listed import DIRECTORY


def cut(text: str) -> list[tuple[str, str]]:
    (spans,) = DIRECTORY.find([text])
    return [(unit.text, "+".join(sorted(unit.named))) for unit in clauses(text, spans)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apple Inc. rose. Intel Corp. fell.", ["Apple Inc. rose.", "Intel Corp. fell."]),
        ("The U.S. firm made $1.5 bln vs. $1.2 bln. It rose.", 2),
        ("Dr. Lee of J.P. Morgan said so. Nobody else did.", 2),
        ("No end", ["No end"]),
        ("", []),
        ("x" * 2_500, 3),
    ],
)
def test_sentences(text: str, expected: list[str] | int) -> None:
    found = split(text)
    assert found == expected or len(found) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Apple beats while Microsoft misses",
            [("Apple beats", "AAPL"), ("Microsoft misses", "MSFT")],
        ),
        ("Apple rose, but Intel fell", [("Apple rose", "AAPL"), ("Intel fell", "INTC")]),
        ("Apple rose; Intel fell", [("Apple rose", "AAPL"), ("Intel fell", "INTC")]),
        ("Apple rose and Intel fell", [("Apple rose", "AAPL"), ("Intel fell", "INTC")]),
        ("While Apple rose, Intel fell", [("While Apple rose", "AAPL"), ("Intel fell", "INTC")]),
        (
            "Apple rose as investors cheered, but Intel fell",
            [("Apple rose as investors cheered", "AAPL"), ("Intel fell", "INTC")],
        ),
        (
            "Apple rose, Intel fell and Pfizer slid",
            [("Apple rose", "AAPL"), ("Intel fell", "INTC"), ("Pfizer slid", "PFE")],
        ),
        (
            "Sales fell at Apple while Intel grew",
            [("Sales fell at Apple", "AAPL"), ("Intel grew", "INTC")],
        ),
        (
            "Microsoft soars while Procter and Gamble drops",
            [("Microsoft soars", "MSFT"), ("Procter and Gamble drops", "PG")],
        ),
        (
            "Pfizer beats estimates as Johnson and Johnson sues Intel over patents",
            [
                ("Pfizer beats estimates", "PFE"),
                ("Johnson and Johnson sues Intel over patents", "INTC+JNJ"),
            ],
        ),
        (
            "Procter and Gamble rose and Intel fell",
            [("Procter and Gamble rose", "PG"), ("Intel fell", "INTC")],
        ),
    ],
)
def test_a_sentence_is_cut_between_symbols(text: str, expected: list[tuple[str, str]]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Apple and Intel rose",
        "Apple, Intel and Pfizer fell",
        "Shares of Apple and Intel rose",
        "Apple Inc and Intel Corp rose",
        "Apple (AAPL) and Intel (INTC) rose",
        "Apple shares and Intel shares fell",
        "Apple's profit and Intel's revenue fell",
        "Apple, as well as Intel, fell",
        "Firms such as Apple and Intel fell",
        "Both Apple and Intel fell while bonds rose",
        "Apple sues Intel",
        "Apple rose as Apple beat, but demand fell",
    ],
)
def test_a_sentence_about_both_stays_whole(text: str) -> None:
    assert [unit for unit, _ in cut(text)] == [text]


@pytest.mark.timeout(60)  # a tenth of a second each; what is quadratic takes minutes
@pytest.mark.parametrize(
    "text",
    ["Apple rose while Intel fell, " * 600, "$AAPL ; " * 2_500, "“a. " * 5_000, "A." * 9_000],
)
def test_many_cuts_and_names_lose_nothing(text: str) -> None:
    units = [unit for sentence in split(text) for unit, _ in cut(sentence)]
    assert all(word in " ".join(units) for word in set(text.split()) if word.isalpha())
    assert len(units) <= text.count(" ") + 20
