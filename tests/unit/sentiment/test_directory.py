"""Names in text: what counts, what does not, and what the file must look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import Refused
from stream.sentiment.directory import Directory, read_directory
from stream.sentiment.listings import Listing, short_name
from stream.sentiment.reading import read
from tests.unit.sentiment.articles import article
from tests.unit.sentiment.listed import DIRECTORY


def named(headline: str, body: str = "", given: tuple[str, ...] = ()) -> set[str]:
    found = read(article(headline=headline, body=body, symbols=given), DIRECTORY)
    return {mention.symbol for mention in found.mentions}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pfizer wins approval", {"PFE"}),
        ("PFIZER WINS APPROVAL", {"PFE"}),
        ("pfizer wins approval", {"PFE"}),
        ("Analysts like pfizer", set()),  # a text with capitals writes the name with one
        ("Shares of Bank of America rose", {"BAC"}),
        ("Procter and Gamble rose", {"PG"}),
        ("Procter & Gamble's margin", {"PG"}),
        ("Coca Cola rose", {"KO"}),
        ("McDonalds and McDonald’s", {"MCD"}),
        ("A Wal-Mart store, a Walmart store", {"WMT"}),
        ("AT&T rose", {"T"}),
        ("Exxon Mobil, ExxonMobil or Exxon", {"XOM"}),
        ("Cisco rose", {"CSCO"}),
        ("Appleton rose, Pineapple fell", set()),
        ("Apple rose", {"AAPL"}),
        ("An apple a day", set()),
        ("an apple a day", set()),
        ("AN APPLE A DAY", set()),
        ("APPLE SHARES RISE", {"AAPL"}),
        ("Travel on a visa", set()),
        ("General Electric rose", {"GE"}),
        ("GE rose", {"GE"}),
        ("Ge rose", set()),
        ("International Business Machines rose", {"IBM"}),
        ("Unilever rose", {"UL", "UN"}),
        ("Unilever ($UL) rose", {"UL"}),
    ],
)
def test_names_are_found(text: str, expected: set[str]) -> None:
    assert named(text) == expected


@pytest.mark.parametrize(
    ("headline", "body", "expected"),
    [
        ("Price Target Raised", "", set()),
        ("Mind the Gap", "", set()),
        ("The Southern states", "", set()),
        ("Target Corp rose", "", {"TGT"}),
        ("Target shares rose", "", {"TGT"}),
        ("Target's stock rose", "", {"TGT"}),
        ("Target reports a loss", "", {"TGT"}),
        ("Shares of Target rose", "", {"TGT"}),
        ("Gap Inc. rose", "", {"GPS"}),
        ("Gap (NYSE: GPS) rose", "", {"GPS"}),
        ("Target cuts prices", "Shoppers of Target were glad.", {"TGT"}),
        ("Target cuts prices", "Target Corporation said so.", {"TGT"}),
        ("Analyst Raises Price Target", "The Price Target is 90.", set()),
        ("Coke is back", "", set()),  # its alias is marked with `?`
        ("Coke is back", "Coca-Cola said so.", {"KO"}),
        ("Southern Company rose", "", {"SO"}),
    ],
)
def test_the_noisiest_names_need_a_second_sign(
    headline: str, body: str, expected: set[str]
) -> None:
    assert named(headline, body) == expected


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("Disney upgraded at Citigroup", (), {"DIS"}),
        ("Disney price target raised to $90 at Bank of America", (), {"DIS"}),
        ("Wells Fargo analyst lifts Disney to overweight", (), {"DIS"}),
        ("Citigroup downgrades Bank of America", (), {"BAC"}),
        ("Wells Fargo downgraded by Citigroup", (), {"WFC"}),
        ("Citigroup cuts jobs", (), {"C"}),
        ("Disney upgraded at Citigroup", ("C",), {"C", "DIS"}),
        ("Disney upgraded at HSBC", (), {"DIS"}),
        ("HSBC cuts jobs", (), {"HSBC"}),
        ("Apple upgrades its phones", (), {"AAPL"}),
        ("Total Stock Market ETF", (), set()),
    ],
)
def test_a_broker_that_rates_is_no_subject(
    text: str, given: tuple[str, ...], expected: set[str]
) -> None:
    assert named(text, given=given) == expected


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("AAPL beats", (), {"AAPL"}),
        ("aapl beats", (), set()),
        ("C, T and V are letters; IT IS ON, ALL OF IT", (), set()),
        ("ALL eyes ON the C and D grades, SO what", (), set()),
        ("$C, $T, $V, $ON and $ALL", (), {"C", "T", "V", "ON", "ALL"}),
        ("ALL eyes on earnings", ("ALL",), {"ALL"}),
        ("An article about nobody", ("C",), {"C"}),
        ("LMT wins contract while NOW falls", (), set()),
        ("Results (NYSE: C)", (), {"C"}),
        ("Results (NYSE:C), NASDAQ:AAPL. (nasdaq: MSFT)", (), {"C", "AAPL", "MSFT"}),
        ("Nasdaq: A look ahead; NYSE: it fell (NYSE: it fell)", (), set()),
        ("MSFT BEATS, SAYS A TEXT WITHOUT SMALL LETTERS", (), set()),
        ("$BRK.B and $BRK-B", (), {"BRK-B"}),
        ("XYZ beats", (), set()),
        ("XYZ beats", ("XYZ",), {"XYZ"}),
    ],
)
def test_tickers(text: str, given: tuple[str, ...], expected: set[str]) -> None:
    assert named(text, given=given) == expected


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("LMT wins contract while NOW falls", {"LMT", "NOW"}, ["LMT", "NOW"]),
        ("LMT wins contract while NOW falls", {"LMT"}, ["LMT"]),
        ("AI is what IT is about, says the CEO of NOW", {"AI", "IT", "CEO", "NOW"}, ["NOW"]),
        ("LMT WINS CONTRACT, NOW WHAT", {"LMT", "NOW"}, []),
        ("XYZ WINS CONTRACT", {"XYZ"}, ["XYZ"]),
        ("Now what", {"NOW"}, []),
    ],
)
def test_a_given_everyday_word_is_a_ticker_where_it_is_written_in_capitals(
    text: str, given: set[str], expected: list[str]
) -> None:
    (spans,) = DIRECTORY.find([text], frozenset(given))
    assert [symbol for span in spans for symbol in span.symbols] == expected


def test_each_way_of_being_named_has_its_confidence() -> None:
    texts = [
        "(NYSE: TGT)", "Apple Inc. rose", "Home Depot rose", "Pfizer rose", "PFE rose",
        "Apple rose", "Target shares rose",
    ]  # fmt: skip
    found = [spans[0].confidence for spans in DIRECTORY.find(texts)]
    assert found == [1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6]


def test_the_longest_name_counts_where_two_overlap() -> None:
    both = Directory(
        [Listing("AAPL", "Apple Inc."), Listing("APLE", "Apple Hospitality REIT Inc.")]
    )
    ((span,),) = both.find(["Apple Hospitality rose"])
    assert span.symbols == ("APLE",)


def test_places_stay_where_letters_change_their_length() -> None:
    text = "İİİ Pfizer’s rise"
    ((span,),) = DIRECTORY.find([text])
    assert text[span.start : span.end] == "Pfizer"


@pytest.mark.parametrize(
    ("company", "short"),
    [
        ("Apple Inc.", "Apple"),
        ("BP p.l.c.", "BP"),
        ("Anheuser-Busch InBev SA/NV Company", "Anheuser-Busch InBev"),
        ("Merck & Co.", "Merck"),
        ("UnitedHealth Group Incorporated", "UnitedHealth"),
        ("Icahn Enterprises L.P.", "Icahn Enterprises"),
        ("The Company", "Company"),
        ("China Petroleum & Corporation", "China Petroleum"),
        ("Unilever N.V.", "Unilever"),
    ],
)
def test_legal_forms_are_stripped(company: str, short: str) -> None:
    assert short_name(company) == short


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"symbol,name\nAAPL,Apple\n", "expected the columns symbol,company"),
        (b"", "expected the columns"),
        (b"symbol,company\naapl,Apple\n", "line 2: expected a ticker in capitals"),
        (
            b"symbol,company\nAAPL,Apple\nAAPL,Apple\n",
            "line 3: expected a ticker in capitals, once",
        ),
        (b"symbol,company\nAAPL\n", "line 2"),
        (b"symbol,company\nAAPL,\xff\xfe\n", "expected a UTF-8 file"),
        (
            b"symbol,company\nAAPL,Apple\nMSFT," + b"x" * 200_000 + b"\n",
            r"line 3: expected a row of CSV, got one with field larger .*; close its quotes",
        ),
        (
            b"symbol,company,aliases\nAAPL,Apple, Inc.,apple\n",
            r"line 2: expected 3 columns, got 4; write aliases as a\|b, and a name with a comma in",
        ),
        (
            b'symbol,company\nAAPL,"Apple\nMSFT,"Microsoft"\n',
            "line 2: expected a row of CSV, got one with .*; close its quotes",
        ),
        (
            b'symbol,company\nAAPL,"Apple\nMSFT,Microsoft\nPFE,Pfizer"\n',
            "line 2: expected a row on one line, got one to line 4; close its quotes",
        ),
        (b'symbol,company\nAAPL,Apple\n"PFE,Pfizer\n', "line 3: expected a row of CSV"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_line(
    content: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "symbols.csv"
    path.write_bytes(content)
    with pytest.raises(Refused, match=why):
        read_directory(path)


def test_a_missing_file_is_refused_and_no_file_lists_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="TAPEWIRE_SYMBOLS_FILE"):
        read_directory(tmp_path / "none.csv")
    assert read_directory(None).find(["Pfizer, $PFE"])[0][0].symbols == ("PFE",)


def test_the_digest_follows_the_listings_and_not_their_order() -> None:
    one, two = Listing("AAPL", "Apple Inc."), Listing("PFE", "Pfizer Inc.")
    assert Directory([one, two]).digest == Directory([two, one]).digest != Directory([one]).digest
