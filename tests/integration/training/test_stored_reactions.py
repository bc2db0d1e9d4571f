"""Reactions out of a real database: each version at its own moment, beside the market."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from stream.archive.migrate import migrate
from stream.cli.app import app
from stream.cli.learn import ModelRefused
from stream.events import ClockTick, NewsArticle, moment
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.integration.training.test_history_order import (
    MINUTE,
    SECOND,
    START,
    make_article,
    make_tick,
    store,
)
from training.errors import TrainingRefused
from training.history import open_history
from training.sentiment.reactions import Reactions, read_reactions

pytestmark = pytest.mark.stack
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
MINUTES = 170


@pytest.fixture(scope="module")
def database(timescale: str) -> Iterator[tuple[str, str]]:
    """A market of six symbols, and its news."""
    schema = f"reactions_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    store((timescale, schema), [*tape(), *news()])
    yield timescale, schema
    drop_schema(timescale, schema)


def tape() -> Iterator[tuple[Any, ...]]:
    draw, offset = np.random.default_rng(4), 0
    prices = dict.fromkeys(SYMBOLS, 50.0)
    for at in range(START, START + MINUTES * MINUTE, MINUTE):
        for symbol in SYMBOLS:
            prices[symbol] *= float(np.exp(0.001 * draw.normal()))
            yield make_tick(at, symbol, prices[symbol]), 0, offset, at, "t"
            offset += 1
        yield ClockTick(kind="beat", at=moment(at)), 0, offset, at, "t"
        offset += 1


def news() -> Iterator[tuple[Any, ...]]:
    """By minute, id, revision, status, symbols, model; scored one second after it came."""
    told = [
        (70, "two", 1, "published", ("AAA", "BBB"), "lexicon-1"),
        (80, "one", 1, "published", ("AAA",), "lexicon-1"),
        (90, "two", 2, "corrected", ("AAA", "BBB"), "lexicon-1"),
        (95, "gone", 1, "published", ("CCC",), "lexicon-1"),
        (96, "gone", 2, "retracted", ("CCC",), "lexicon-1"),
        (99, "other", 1, "published", ("DDD",), "another-1"),
        (160, "late", 1, "published", ("EEE",), "lexicon-1"),
    ]
    offset = 0
    for n, (minute, ident, revision, status, symbols, model) in enumerate(told):
        at = START + minute * MINUTE
        yield article(ident, revision, status, symbols, at), 0, n, at, "n"
        for symbol in symbols:
            scored = make_article(at + SECOND, ident, symbol=symbol, model=model)
            scored = msgspec.structs.replace(scored, revision=revision, status=status)
            yield scored, 0, offset, at + SECOND, "s"
            offset += 1


def article(ident: str, revision: int, status: Any, symbols: Any, at: int) -> NewsArticle:
    return NewsArticle(
        id=ident, revision=revision, status=status, symbols=symbols, source="wire",
        headline=f"{ident} as told {revision}", published_at=moment(at), received_at=moment(at),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(database: tuple[str, str]) -> Reactions:
    with open_history(*database, "ticks") as history:
        return read_reactions(history, policy(), None, lambda step, share: None)


def test_each_version_and_symbol_is_a_row_known_when_its_score_was(found: Reactions) -> None:
    rows = [
        (each.headline, str(symbol), (int(at) - START - SECOND) // MINUTE)
        for each, symbol, at in zip(
            found.articles, found.rows.symbol, found.rows.as_of_us, strict=True
        )
    ]
    assert sorted(rows) == [
        ("gone as told 1", "CCC", 95),
        ("one as told 1", "AAA", 80),
        ("two as told 1", "AAA", 70),
        ("two as told 1", "BBB", 70),
        ("two as told 2", "AAA", 90),
        ("two as told 2", "BBB", 90),
    ]
    assert (found.rows.entry_us > found.rows.as_of_us + SECOND).all()
    assert found.own.tolist() == [0.8] * 6
    assert [found.articles[i].id for i in found.story] == [each.id for each in found.articles]


def test_what_has_not_matured_or_is_another_model_s_is_left_out_and_counted(
    found: Reactions,
) -> None:
    assert found.rows.counts["unmatured"] > 0
    assert found.rows.counts["sentiment of another model"] == 1
    assert not {"late", "other"} & {each.id for each in found.articles}


def test_returns_are_less_the_mean_of_all_symbols_with_and_without_news(
    found: Reactions, database: tuple[str, str]
) -> None:
    closes: dict[str, dict[int, float]] = {symbol: {} for symbol in SYMBOLS}
    for event, *_ in tape():
        if not isinstance(event, ClockTick):
            closes[event.symbol][int(event.ts.timestamp()) * SECOND] = event.price
    for i in range(len(found)):
        entry, exit_ = (int(at[i]) - MINUTE for at in (found.rows.entry_us, found.rows.exit_us))
        moved = {s: closes[s][exit_] / closes[s][entry] - 1.0 for s in SYMBOLS}
        relative = moved[str(found.rows.symbol[i])] - sum(moved.values()) / len(moved)
        assert found.relative_return[i] == pytest.approx(relative, abs=1e-12)


def test_a_history_without_news_is_refused(timescale: str) -> None:
    schema = f"reactions_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    try:
        store((timescale, schema), tape())
        with open_history(timescale, schema, "ticks") as history:
            with pytest.raises(TrainingRefused, match="expected stored articles whose symbols"):
                read_reactions(history, policy(), None, lambda step, share: None)
    finally:
        drop_schema(timescale, schema)


@pytest.mark.skipif(
    find_spec("torch") is None and "CI" not in os.environ, reason="torch is not installed"
)
def test_the_verb_says_how_few_articles_there_are(
    database: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, schema = database
    monkeypatch.setenv("TAPEWIRE_DATABASE", dsn)
    monkeypatch.setenv("TAPEWIRE_NAMESPACE", schema)
    words = ["sentiment", "train-returns", "--out", str(tmp_path / "m")]
    said = CliRunner().invoke(app, words)
    assert isinstance(said.exception, ModelRefused)
    assert "at least 1,000 articles with a label, got 6" in str(said.exception)
