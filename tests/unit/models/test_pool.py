"""Members of an artifact: pooled by weight, refused when damaged, explained where they add up."""

from __future__ import annotations

import subprocess
import sys
from math import log

import msgspec
import numpy as np
import pytest

from models.artifact import (
    ArtifactError,
    Calibration,
    Curve,
    Member,
    from_bytes,
    sha256_of,
    to_bytes,
    with_version,
)
from models.explain import Explainer
from models.importances import importances
from models.linear import Line
from models.scorer import ArtifactScorer
from tests.unit.models.test_artifact_scorer import boosters, make_artifact

LINE = Line(
    knots=((-1.0, 0.0, 2.0), (0.0,), (), (0.0, 1.0)),
    levels=((-0.5, 0.0, 0.5), (0.0,), (), (-0.25, 0.25)),
    coefficients=((-1.0, 3.0, 3.0, 0.5), (0.0, 0.0, 0.0, 0.0), (1.0, 3.0, 3.0, -0.5)),
    intercepts=(0.1, 0.2, 0.3),
)
VECTORS = [(2.0, 0.1, -0.3, 0.0), (-2.0, None, 1.0, 4.0), (None,) * 4, (1.0, 0.0, 9.0, 0.5)]


def linear(**changes):
    text = msgspec.json.encode(msgspec.structs.replace(LINE, **changes)).decode()
    return Member(role="direction", format="linear", text=text, learner="linear", weight=0.25)


@pytest.fixture(scope="module")
def trees():
    return make_artifact(boosters())


def pooled(trees, *members):
    own = msgspec.structs.replace(trees.members[0], weight=0.75, bias=(0.0, 0.5, -0.5))
    return with_version(msgspec.structs.replace(trees, members=(own, *members, trees.members[1])))


def test_line_ranks_between_its_knots_and_no_further(trees):
    alone = msgspec.structs.replace(linear(), weight=1.0)
    scorer = ArtifactScorer(msgspec.structs.replace(trees, members=(alone,)))
    score = scorer.score((1.0, 5.0, 5.0, 0.5))  # ranks 0.25, 0, 0, 0
    assert log(score.bullish / score.bearish) == pytest.approx(0.3 - 0.1 + 2 * 0.25)
    missing, middle = scorer.score((None,) * 4), scorer.score((0.0, 0.0, 0.0, 0.5))
    assert missing == middle
    assert scorer.score((99.0, 0.0, 0.0, 0.5)) == scorer.score((2.0, 0.0, 0.0, 0.5))


def test_pool_survives_its_bytes_and_scores_the_weighted_log_odds(trees):
    artifact = pooled(trees, linear())
    raw = to_bytes(artifact)
    again = from_bytes(raw, sha256_of(raw))
    assert again == artifact
    single = msgspec.structs.replace(linear(), weight=1.0)
    line = ArtifactScorer(msgspec.structs.replace(trees, members=(single,)))
    for vector in VECTORS:
        one, other = ArtifactScorer(trees).score(vector), line.score(vector)
        both = ArtifactScorer(again).score(vector)
        odds = 0.75 * (log(one.bullish / one.bearish) - 0.5) + 0.25 * log(
            other.bullish / other.bearish
        )
        assert log(both.bullish / both.bearish) == pytest.approx(odds, abs=1e-9)


def test_contributions_of_trees_and_lines_add_up_together(trees):
    artifact = pooled(trees, linear())
    for vector in VECTORS:
        score = ArtifactScorer(artifact).score(vector)
        assert Explainer(artifact).explain(vector).log_odds == pytest.approx(
            log(score.bullish / score.bearish), abs=1e-9
        )
    shares = importances(artifact)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert next(iter(shares)) == "a"


def test_member_that_gives_probabilities_is_scored_but_not_explained(trees):
    line = linear(coefficients=((0.0,) * 4,) * 3, intercepts=(0.2, 0.5, 0.3))
    member = msgspec.structs.replace(line, link="probability", weight=1.0, learner="forest")
    artifact = msgspec.structs.replace(trees, members=(member,))
    assert ArtifactScorer(artifact).score((None,) * 4)[:3] == pytest.approx((0.2, 0.5, 0.3))
    with pytest.raises(ArtifactError, match="member forest: expected raw scores that add up"):
        Explainer(artifact)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (linear(coefficients=((1.0,) * 4,)), "expected 3 outputs"),
        (linear(knots=LINE.knots[:3]), r"expected 4 features, got \[3, 4\]"),
        (linear(knots=((0.0, 0.0, 1.0), *LINE.knots[1:])), "expected ascending knots"),
        (linear(levels=((0.0,), *LINE.levels[1:])), "expected ascending knots, a level each"),
        (msgspec.structs.replace(linear(), text="{"), "expected a linear model"),
        (msgspec.structs.replace(linear(), bias=(1.0,)), "linear: expected 3 biases, got 1"),
    ],
)
def test_damaged_member_is_refused(trees, member, message):
    with pytest.raises(ArtifactError, match=message):
        ArtifactScorer(pooled(trees, member))


@pytest.mark.parametrize("curve", [((), ()), ((0.1, 0.1), (0.2, 0.3)), ((0.1,), (0.0,))])
def test_calibration_curve_that_is_none_is_refused(trees, curve):
    bad = Curve(x=curve[0], y=curve[1])
    calibration = Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0), isotonic=(bad, bad, bad))
    with pytest.raises(ArtifactError, match="expected calibration curves that ascend"):
        ArtifactScorer(msgspec.structs.replace(trees, calibration=calibration))


def test_curves_bend_probabilities_that_still_sum_to_one(trees):
    curves = tuple(Curve(x=(0.0, 1.0), y=(0.1, top)) for top in (0.3, 0.6, 0.9))
    calibration = Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0), isotonic=curves)
    plain = ArtifactScorer(trees).score(VECTORS[0])[:3]
    bent = ArtifactScorer(msgspec.structs.replace(trees, calibration=calibration)).score(VECTORS[0])
    told = 0.1 + np.array([0.2, 0.5, 0.8]) * plain
    assert bent[:3] == pytest.approx(tuple(told / told.sum()))


def test_scoring_needs_no_library_that_trained():
    code = (
        "import sys, models.scorer;"
        "banned = {'sklearn', 'xgboost', 'scipy', 'optuna', 'lightgbm', 'training'};"
        "sys.exit(', '.join(sorted(banned & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
