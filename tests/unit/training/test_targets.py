"""Targets: what is learnt in units is served in basis points; rows without a market teach none."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, from_bytes, sha256_of, to_bytes
from models.differences import differences
from models.scorer import ArtifactScorer
from models.unit import Unit
from tests.factories import policy
from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from tests.unit.training.planted import LEARNERS, NAMES, make_block
from tests.unit.training.test_train_model import make_table
from training.as_served import predictions
from training.errors import TrainingRefused
from training.evidence import Evidence
from training.gates import Gates
from training.label_rules import label_rule
from training.learners.named import learner
from training.learners.recipe import Recipe
from training.quality import NewsFacts
from training.report import html_report
from training.rows import TARGET_CLIP
from training.splits import SplitRule
from training.targets import aim_at, foreseen, unit_bps, unit_of
from training.train import train_model, untuned
from training.validate import contest

RULE = label_rule("intraday")
SCALE = RULE.volatility_scale
MARKET = 0.004  # sd of a move that all rows of a moment share


def make_rows(n=2_500, **changes):
    """Volatility differs by row; the news' effect is in units of it, beyond a market's move."""
    table = make_table(n=n)
    draw = np.random.default_rng(1)
    volatility = np.exp(draw.normal(-6.5, 1.0, n))  # around 0.0015; some are under the costs
    market = MARKET * draw.normal(size=n)
    own = volatility * (0.5 * np.nan_to_num(table.x[:, 0]) + draw.normal(size=n))
    x = table.x.copy()
    x[:, 1] = volatility / SCALE
    given = {
        "feature_names": ("news", RULE.volatility, "constant", "never"),
        "x": x,
        "volatility": volatility,
        "forward_return": own + market,
        "market_return": np.where(np.arange(n) % 7 == 0, np.nan, market),
    }
    return replace(table, **given | changes)


def trained_on(target, rows=None, name="lightgbm"):
    return train_model(
        make_rows() if rows is None else rows,
        seed=0,
        chooser=untuned(learner(name), target),
        num_threads=1,
        split=SplitRule(n_folds=2),
    )


@pytest.fixture(scope="module")
def relative():
    return trained_on("relative")


def as_rows(x):
    return [[None if np.isnan(v) else float(v) for v in row] for row in x]


@pytest.mark.parametrize("name", ["lightgbm", "linear+lightgbm"])
@pytest.mark.parametrize("target", ["scaled", "relative"])
def test_what_is_learnt_in_units_is_served_in_basis_points(target, name):
    rows = make_rows()
    trained = trained_on(target, rows, name)
    raw = to_bytes(trained.artifact)
    artifact = from_bytes(raw, sha256_of(raw))
    assert (artifact.target, artifact.unit) == (target, unit_of(target, RULE))
    assert f"{target} return: " in artifact.architecture
    newest = trained.judged.take(trained.judged.fold == 1)
    p, expected = predictions(ArtifactScorer(artifact), rows.x[newest.row])
    assert p == pytest.approx(newest.p, abs=1e-9)
    assert expected == pytest.approx(newest.expected, abs=1e-9)
    assert np.corrcoef(expected, 1e4 * rows.forward_return[newest.row])[0, 1] > 0.1
    # Twice the volatility, twice the return: the same units.
    calm, wild = ([0.5, v / SCALE, 1.0, None] for v in (0.002, 0.004))
    scorer = ArtifactScorer(msgspec.structs.replace(artifact, members=blind(artifact)))
    doubled = scorer.score(wild).expected_return_bps
    assert doubled == pytest.approx(2 * scorer.score(calm).expected_return_bps)
    assert doubled != 0.0


def blind(artifact):
    """Members that do not see the volatility, of rows in which it is missing."""
    rows = make_rows()
    x = rows.x.copy()
    x[:, 1] = np.nan
    block = aim_at("scaled", rows).block(replace(rows, x=x))
    return Recipe(learner("linear")).fit(block, block, rows.feature_names, 0, 1)


def test_a_scorer_and_training_find_the_same_unit():
    rows = make_rows()
    unit = unit_of("scaled", RULE)
    assert unit == Unit(feature=RULE.volatility, scale_bps=1e4 * SCALE, floor_bps=2.0)
    told = [unit.bps(value) for value in rows.x[:, 1].tolist()]
    assert told == pytest.approx(unit_bps("scaled", rows))
    assert np.sum(np.array(told) == 2.0) > 30
    assert unit.bps(None) == unit.bps(float("nan")) == 2.0
    assert set(unit_bps("raw", rows)) == {1.0}


def test_a_vector_without_its_volatility_is_scored_by_the_least_unit(relative):
    scorer = ArtifactScorer(relative.artifact)
    (members,) = (each for each in relative.artifact.of("return"))
    raw = ArtifactScorer(msgspec.structs.replace(relative.artifact, unit=None))
    row = [1.5, None, 1.0, None]
    assert members.role == "return"
    units = raw.score(row).expected_return_bps
    assert units > 0.0
    assert scorer.score(row).expected_return_bps == units * 2.0


def test_targets_are_the_return_its_units_and_those_beyond_the_market():
    rows = make_rows()
    raw, scaled, relative = (aim_at(t, rows).block(rows) for t in ("raw", "scaled", "relative"))
    low, high = np.quantile(rows.forward_return, [0.005, 0.995])
    assert raw.outcome == pytest.approx(1e4 * rows.forward_return.clip(low, high))
    unit = np.maximum(rows.volatility, 2e-4)
    clip = (-TARGET_CLIP, TARGET_CLIP)
    assert scaled.outcome == pytest.approx((rows.forward_return / unit).clip(*clip))
    known = ~np.isnan(rows.market_return)
    beyond = ((rows.forward_return - rows.market_return) / unit).clip(*clip)
    assert np.array_equal(relative.known, known)
    assert relative.outcome[known] == pytest.approx(beyond[known])
    _, weight = relative.returns
    assert np.array_equal(weight > 0.0, known)
    assert np.array_equal(weight[known], relative.weight[known])
    assert np.array_equal(raw.returns[1], raw.weight)


@pytest.mark.parametrize("target", ["scaled", "relative"])
def test_a_return_that_is_none_is_refused_and_not_left_out(target):
    rows = make_rows()
    rows.forward_return[8:11] = np.nan
    with pytest.raises(TrainingRefused, match="expected finite returns, got 3"):
        trained_on(target, rows)


@pytest.mark.parametrize("name", [*LEARNERS, "lightgbm+linear"])
def test_a_row_without_an_outcome_teaches_no_return(name):
    fit, tune = make_block(600), make_block(300, seed=1)
    known = np.random.default_rng(2).random(600) < 0.7
    told = [
        Recipe(learner(name)).fit(
            fit._replace(outcome=np.where(known, fit.outcome, lie), known=known),
            tune._replace(outcome=np.where(known[:300], tune.outcome, lie), known=known[:300]),
            NAMES, 3, 1,
        )
        for lie in (0.0, 1e4)
    ]  # fmt: skip
    assert told[0] == told[1]
    whole = Recipe(learner(name)).fit(fit, tune, NAMES, 3, 1)
    pairs = [(a, b) for a, b in zip(told[0], whole, strict=True)]
    assert all((a == b) == (a.role == "direction") for a, b in pairs)


def test_a_relative_return_is_judged_on_what_the_market_does_not_explain(relative):
    rows, judged = make_rows(), relative.judged
    market = rows.market_return[judged.row]
    expected = 1e4 * (judged.forward_return - market)
    assert np.array_equal(judged.foreseen, expected, equal_nan=True)
    found = relative.artifact.metrics
    assert found["n_without_market"] == np.isnan(rows.market_return).sum() > 300
    error = (judged.expected - expected)[~np.isnan(expected)]
    assert found["mse"] == pytest.approx((error**2).mean())
    raw = trained_on("raw").artifact.metrics
    assert "n_without_market" not in raw
    assert found["mse"] < 0.5 * raw["mse"]  # most of a raw return is the market's
    assert found["daily_ic_expected_return"] > 0.1


def test_a_relative_model_is_judged_where_no_market_is_known(relative):
    rows = make_rows(market_return=None)
    assert np.isnan(foreseen("relative", rows)).all()
    found = contest(
        relative.artifact, None, rows.take(relative.judged.row), NewsFacts(), policy(), Gates(),
        accepted="planted", seed=0,
    )  # fmt: skip
    assert found.metrics["mse"] is None
    assert found.verdict.says == "FAIL"


def test_a_history_without_a_market_is_refused_and_says_what_it_takes():
    with pytest.raises(
        TrainingRefused,
        match=r"fold 1, target relative: expected rows whose market.* none of [\d,]+; it takes 5",
    ):
        trained_on("relative", make_rows(market_return=None))


def test_the_report_and_the_difference_of_two_models_name_the_target(relative):
    rows = make_rows()
    evidence = Evidence(
        artifact=relative.artifact, verdict=relative.verdict, judged=relative.judged, rows=rows,
        ablation=None, metrics=relative.artifact.metrics, trials={}, sectors={}, cost={},
    )  # fmt: skip
    page = html_report(evidence, "tapewire retrain --target relative")
    assert "the return less the market&#x27;s, learnt in units of volatility; the " in page
    assert "market&#x27;s is not known in 358 of 2,500 rows" in page
    raw = msgspec.structs.replace(relative.artifact, target="raw", unit=None)
    told = differences(raw, relative.artifact)
    assert ("target", "raw", "relative") in told
    assert ("unit.feature", "none", RULE.volatility) in told
    assert [what for what, *_ in differences(raw, raw)] == []


def test_an_artifact_without_the_feature_of_its_unit_is_refused():
    unit = Unit(feature="volatility", scale_bps=1.0, floor_bps=1.0)
    with pytest.raises(ArtifactError, match=r"expected the feature 'volatility', .*found none"):
        ArtifactScorer(make_artifact(boosters(), target="scaled", unit=unit))
