"""Sequences of panes beside the rows: kept by datasets, by parts of them, and in the ablation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.features.sequence import CHANNELS, LENGTH, NEWS_CHANNELS, PRICE_CHANNELS
from stream.features.vector import FEATURE_SETS
from tests.unit.training.test_train_model import make_table
from training.ablation import SENTIMENT, SHUFFLED, others, priced
from training.dataset.columns import from_arrow, joined, to_arrow
from training.fingerprint import fingerprint
from training.rows import TrainingTable

NEWS = np.isin(CHANNELS, NEWS_CHANNELS)


def with_sequences(rows: TrainingTable, seed: int = 0) -> TrainingTable:
    draw = np.random.default_rng(seed)
    panes = draw.normal(size=(len(rows), LENGTH, len(CHANNELS))).astype(np.float32)
    panes[draw.random(panes.shape) < 0.1] = np.nan
    return replace(rows, sequence=panes)


ROWS = with_sequences(make_table())


def again(rows: TrainingTable) -> TrainingTable:
    names = ("feature_set", "feature_set_version", "feature_names", "sentiment_model", "rule")
    return from_arrow(to_arrow(rows), **{name: getattr(rows, name) for name in names})


def test_columns_give_back_every_bit() -> None:
    assert fingerprint(again(ROWS)) == fingerprint(ROWS)
    none = again(ROWS.take(np.zeros(len(ROWS), dtype=bool)))
    assert none.sequence is not None
    assert none.sequence.shape == (0, LENGTH, len(CHANNELS))


def test_another_sequence_is_other_data() -> None:
    assert fingerprint(with_sequences(ROWS, seed=1)) != fingerprint(ROWS)
    assert fingerprint(replace(ROWS, sequence=None)) != fingerprint(ROWS)


def test_parts_join_with_each_row_beside_its_panes() -> None:
    symbols = np.unique(ROWS.symbol)
    parts = [ROWS.take(ROWS.symbol == symbol) for symbol in symbols[::-1]]
    whole = joined(parts)
    assert whole.sequence is not None
    assert ROWS.sequence is not None
    order = np.lexsort((ROWS.trigger, ROWS.symbol, ROWS.as_of_us))
    assert whole.sequence.tobytes() == ROWS.sequence[order].tobytes()


def test_prices_alone_see_no_news_in_the_panes_and_news_no_prices() -> None:
    names = FEATURE_SETS["intraday"].news_names
    news = {name for name in ROWS.feature_names if name in names} or {ROWS.feature_names[0]}
    prices = priced(ROWS, news)
    assert prices is not None
    told = others(ROWS, news, seed=0)
    for rows, hidden, shown in (
        (prices, NEWS, PRICE_CHANNELS),
        (told[SENTIMENT], ~NEWS, NEWS_CHANNELS),
    ):
        assert rows.sequence is not None
        assert np.isnan(rows.sequence[:, :, hidden]).all()
        for name in shown:
            i = CHANNELS.index(name)
            assert np.array_equal(rows.sequence[:, :, i], ROWS.sequence[:, :, i], equal_nan=True)  # type: ignore[index]


def test_shuffled_news_leaves_prices_where_they_were() -> None:
    shuffled = others(ROWS, {ROWS.feature_names[0]}, seed=0)[SHUFFLED].sequence
    assert shuffled is not None
    assert ROWS.sequence is not None
    same = [
        np.array_equal(shuffled[:, :, i], ROWS.sequence[:, :, i], equal_nan=True)
        for i in range(len(CHANNELS))
    ]
    assert same == [not news for news in NEWS]
