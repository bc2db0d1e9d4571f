"""The benchmark finds what is planted, nothing where nothing is, and never looks ahead."""

import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from models.sentiment.model import load_sentiment_model
from stream.cli.app import app
from stream.errors import Refused
from tests.unit.training_stocknet.folder import SYMBOLS, write_folder
from training.stocknet import benchmark as bench
from training.stocknet.data import joined, read_folder
from training.stocknet.features import make_rows
from training.stocknet.inputs import NEWS, PRICES, make_inputs, published_label, target
from training.stocknet.judge import coin_band, median_mccs
from training.stocknet.looks import looks, note
from training.stocknet.report import html_report
from training.stocknet.scores import told_of_folder
from training.stocknet.walk import ENSEMBLE, walk

SHARED = Path(__file__).parents[4] / "shared" / "data" / "stocknet"
FIRST, LAST = date(2013, 7, 1), date(2014, 9, 30)
LEXICON = load_sentiment_model("lexicon")
WALK = bench.Span("walk-forward", np.datetime64("2014-07-01"), np.datetime64("2014-10-01"))


def rows_of(*folders):
    whole = folders[0] if len(folders) == 1 else joined(*folders)
    return make_rows(whole, told_of_folder(folders, LEXICON, None))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted")
    return read_folder(write_folder(path, FIRST, LAST, reversal=0.3, news=0.012))


@pytest.fixture(scope="module")
def rows(planted):
    return rows_of(planted)


@pytest.fixture(scope="module")
def result(rows):
    return bench.run(rows, [WALK], seed=0, n_seeds=2, workers=1)


def test_planted_effects_are_found_where_they_are(result):
    found = {(each.inputs, each.learner): each.figures for each in result.variants}
    prices, news = found[PRICES, ENSEMBLE], found[NEWS, ENSEMBLE]
    assert prices.ic.mean > 0.1
    assert prices.ic.t > 3
    assert news.ic.mean > 0.1
    assert news.ic.t > 3
    assert result.news_adds["walk-forward"]["ic"].t > 2
    assert prices.mcc_day.mean > 0.05


def test_placebos_of_a_planted_market_are_nothing(result):
    for each in result.placebos:
        assert abs(each.mean) < 3 * np.std(each.ics) / len(each.ics) ** 0.5 + 0.01, each.name
        assert len(each.ics) == 20


def test_random_learners_are_told_by_seed_and_the_same_seed_says_the_same(rows, result):
    by_seed = {each.learner: each.seed_ics for each in result.variants if each.inputs == PRICES}
    assert [len(by_seed[name]) for name in ("ridge", "logistic", "LightGBM", ENSEMBLE)] == [
        0,
        0,
        2,
        2,
    ]
    assert by_seed["LightGBM"][0] != by_seed["LightGBM"][1]


def test_the_same_seed_says_the_same_with_any_number_of_workers(rows):
    given = (make_inputs(rows)[PRICES], target(rows), rows.day, [(WALK.first, WALK.until)], [3])
    once, again = (walk(*given, workers) for workers in (1, 3))
    for learner, scores in once.items():
        assert np.array_equal(scores[0], again[learner][0], equal_nan=True), learner


def test_what_comes_on_a_day_or_later_changes_no_prediction_of_the_day(planted, rows):
    day = pd.Timestamp("2014-09-02")
    after = np.datetime64("2014-09-01", "D")
    bars = planted.bars.astype({"volume": float})
    to_come = bars["date"] >= day
    factor = np.random.default_rng(0).uniform(0.5, 2.0, to_come.sum())
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        bars.loc[to_come, name] *= factor
    tweets = tuple(
        msgspec.structs.replace(each, headline=f"${each.symbols[0]} bankruptcy fraud lawsuit")
        if each.day >= day.date()
        else each
        for each in planted.tweets
    )
    changed = rows_of(replace(planted, bars=bars, tweets=tweets))
    told = [bench.predict(each, after, seed=0, n_seeds=1, workers=1) for each in (rows, changed)]
    on_day, later = zip(
        *[(each[each["date"] == day], each[each["date"] > day]) for each in told], strict=True
    )
    pd.testing.assert_frame_equal(*on_day, check_exact=True)
    assert not np.allclose(later[0]["score"], later[1]["score"])  # the change was one
    behind = rows.day > np.datetime64("2014-09-02")
    news = [make_inputs(each)[NEWS].values[behind] for each in (rows, changed)]
    assert not np.allclose(*news)


def test_prediction_of_a_later_folder_is_written(tmp_path, planted):
    later = write_folder(
        tmp_path / "later", date(2014, 10, 1), date(2014, 10, 10), labels=False, seed=2
    )
    out = tmp_path / "said.csv"
    done = CliRunner().invoke(app, [
        "benchmark", "stocknet", str(planted.path), "--predict", str(later), "--out", str(out),
        "--model", "lexicon", "--seeds", "1", "--cache", str(tmp_path / "kept"), "--json",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = pd.read_csv(out)
    assert list(said) == ["symbol", "date", "score", "p_up"]
    assert set(said["symbol"]) == set(SYMBOLS)
    assert sorted(set(said["date"])) == [f"2014-10-{n:02}" for n in (1, 2, 3, 6, 7, 8, 9, 10)]
    assert said["p_up"].between(0.01, 0.99).all()
    assert (said["p_up"] > 0.5).equals(said["score"] > 0)
    assert not looks(tmp_path / "kept")


def test_a_look_at_the_test_part_is_counted_and_kept(tmp_path, planted, monkeypatch):
    monkeypatch.setattr(bench, "WALK", WALK)
    monkeypatch.setattr(
        bench, "TEST",
        bench.Span("test part", np.datetime64("2014-09-15"), np.datetime64("2014-10-01")),
    )  # fmt: skip
    monkeypatch.setattr(bench, "WALK", bench.Span("walk-forward", WALK.first, bench.TEST.first))
    words = ["benchmark", "stocknet", str(planted.path), "--model", "lexicon", "--seeds", "1",
             "--cache", str(tmp_path), "--json"]  # fmt: skip
    page = tmp_path / "page.html"
    said = json.loads(CliRunner().invoke(app, [*words, "--test", "--report", str(page)]).stdout)
    assert said["looks"] == len(looks(tmp_path)) == 1
    assert {each["part"] for each in said["variants"]} == {"walk-forward", "test part"}
    assert "looks at the test part</td><td>1<" in page.read_text()
    look = looks(tmp_path)[0]
    assert note(tmp_path, look) == 2
    assert looks(tmp_path) == [look, look]


def test_a_page_holds_every_variant(result):
    page = html_report(result, [("looks at the test part", "0")])
    assert page.count("<tr>") > len(result.variants)
    assert "https://" not in page.split("<h1>")[1].replace("https://plot.ly", "")


def test_labels_follow_the_published_rule():
    said = published_label(np.array([0.0055, 0.00549, -0.005, -0.00501, np.nan]))
    assert np.array_equal(said, [1, np.nan, np.nan, 0, np.nan], equal_nan=True)


def test_a_coin_a_day_spreads_as_the_share_of_one_sided_days_says(rows):
    band = coin_band(rows, WALK.holds(rows.day))
    label = published_label(rows.move)
    inside = WALK.holds(rows.day) & np.isfinite(label)
    day, up = rows.day[inside], label[inside]
    draw = np.random.default_rng(5)
    found = []
    for _ in range(400):
        coins = dict(zip(np.unique(day), draw.integers(0, 2, len(np.unique(day))), strict=True))
        found.append(np.corrcoef([coins[each] for each in day], up)[0, 1])
    assert band.sd == pytest.approx(np.std(found), rel=0.15)
    assert band.low < 0 < band.high


def test_halves_that_agree_have_an_mcc_of_one_and_opposite_ones_of_minus_one():
    day = np.repeat([1, 2], 6)
    move = np.array([1, 2, 3, 4, 5, 6, 3, 1, 2, 6, 5, 4], dtype=float)
    assert median_mccs(move, move + 10 * day, day) == pytest.approx([1, 1])
    assert median_mccs(-move, move, day) == pytest.approx([-1, -1])


def test_a_folder_of_other_adjustment_is_refused(planted):
    other = planted.bars.copy()
    other["adj_close"] *= 0.9
    with pytest.raises(Refused, match="adjust both folders alike"):
        joined(planted, replace(planted, bars=other))


def test_days_that_are_not_there_are_refused(rows):
    with pytest.raises(Refused, match="expected days in 2015-10-01 to 2016-01-01, got none"):
        bench.run(rows, [bench.TEST], seed=0, n_seeds=1, workers=1)
    early = rows.taken(rows.day < np.datetime64("2014-06-01"))
    with pytest.raises(Refused, match="expected days from 2014-07-01 on"):
        bench.predict(early, np.datetime64("2014-05-01"), seed=0, n_seeds=1, workers=1)


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(Refused, match=r"expected bars\.csv"):
        read_folder(tmp_path)
    (tmp_path / "bars.csv").write_text("symbol,date,close\nA,2014-01-02,1\n")
    with pytest.raises(Refused, match="open, high, low, adj_close, volume missing"):
        read_folder(tmp_path)


@pytest.mark.skipif(
    not SHARED.is_dir() and not os.environ.get("CI"), reason=f"needs the shared data, {SHARED}"
)
def test_the_published_labels_are_those_of_the_rule():
    folder = read_folder(SHARED)
    assert (len(folder.tweets), len(folder.bars), len(folder.labels)) == (83_261, 69_841, 25_309)
    closes = folder.bars.pivot(index="date", columns="symbol", values="adj_close")
    moves = (closes / closes.shift(1) - 1.0).round(6).stack()
    told = folder.labels.set_index(["date", "symbol"])
    agree = published_label(moves.reindex(told.index).to_numpy()) == told["label"].to_numpy()
    assert agree.mean() > 0.999
    assert folder.labels["split"].value_counts().to_dict() == {
        "train": 20_345, "dev": 2_555, "test": 2_409,
    }  # fmt: skip
