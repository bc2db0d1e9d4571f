"""Cleaning and the identity of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sentiment.text import MAX_CHARS, clean, has_words, one_line, paragraphs, text_hash


@pytest.mark.parametrize(
    ("headline", "body", "expected"),
    [
        ("AT&amp;T &lt;wins&gt;", "", "AT&T <wins>"),
        ("Read https://t.co/abc?x=1 now", "", "Read now"),
        ("See www.example.org", "", "See"),
        ("a\x00b\tc\r\nd  e", "", "a b c d e"),
        ("Head", "Body", "Head. Body"),
        ("https://t.co/only", "", ""),
        ("nbsp\u00a0and\u200bzero", "", "nbsp and zero"),
        (
            "<b>Apple</b> rises",
            "<p>One.</p><p>Two &amp; three.</p>",
            "Apple rises. One. Two & three.",
        ),
        ("Head", "A<br/>B<script>var a = '<p>no</p>';</script><style>p{}</style>C", "Head. A BC"),
        ("Head", "&lt;p&gt;escaped &amp;amp; stripped&lt;/p&gt;", "Head. escaped & stripped"),
        ("Head", '<a href="x" title="a > b">link</a> text', "Head. link text"),
        ("Head", "<!-- no --> yes <!-- never closed", "Head. yes"),
        ("P/E < 10 and EPS > 2", "", "P/E < 10 and EPS > 2"),
        ("Head", "<p>1 < 2 & 3</p>", "Head. 1 < 2 & 3"),
        ("\U0001f680 \U0001f4a9", "", "\U0001f680 \U0001f4a9"),
    ],
)
def test_a_text_is_cleaned(headline: str, body: str, expected: str) -> None:
    assert clean(headline, body) == expected


def test_a_huge_body_is_cut() -> None:
    assert len(clean("Head", "word " * 100_000)) <= MAX_CHARS


@pytest.mark.parametrize(
    "other",
    [
        "APPLE BEATS ESTIMATES",
        "apple beats estimates.",
        "  Apple -- beats, estimates!!! ",
        "RT @wire: Apple beats estimates",
        "rt @a rt @b: Apple beats estimates",
        "Apple\u00a0beats estimates",
    ],
)
def test_a_reprint_has_the_same_hash(other: str) -> None:
    assert text_hash(other) == text_hash("Apple beats estimates")


@pytest.mark.parametrize(
    "other", ["Apple misses estimates", "Apple beats estimate", "$AAPL beats estimates", ""]
)
def test_another_text_has_another_hash(other: str) -> None:
    assert text_hash(other) != text_hash("Apple beats estimates")


def test_texts_without_words_are_told_apart() -> None:
    assert text_hash("\U0001f680") != text_hash("\U0001f4a9")


def test_paragraphs_are_kept_apart() -> None:
    assert paragraphs("<h1>Title</h1><p>One\ntwo.</p>\n\n\nThree") == ["Title", "One two.", "Three"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Apple", True), ("苹果", True), ("\U0001f680", False), ("5 % +3", False), ("", False)],
)
def test_words_are_letters(text: str, expected: bool) -> None:
    assert has_words(text) is expected


@given(st.text(max_size=200), st.text(max_size=200))
def test_cleaning_never_fails_and_gives_one_printable_line(headline: str, body: str) -> None:
    text = clean(headline, body)
    assert text.isprintable()
    assert one_line(text) == text
    assert len(text_hash(text)) == 16
