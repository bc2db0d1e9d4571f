"""Contributions add up to what the trees say, and name what moved them."""

from __future__ import annotations

from math import log

import msgspec
import pytest

from models.artifact import ArtifactError, Calibration, with_version
from models.explain import Explainer
from models.scorer import ArtifactScorer
from tests.unit.models.test_artifact_scorer import NAMES, boosters, make_artifact

UNCALIBRATED = Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def artifact():
    given = make_artifact(boosters())
    return with_version(msgspec.structs.replace(given, calibration=UNCALIBRATED))


@pytest.mark.parametrize("vector", [(2.0, 0.1, -0.3, 0.0), (-2.0, None, 1.0, 4.0), (None,) * 4])
def test_they_sum_to_the_log_odds_of_bullish_against_bearish(artifact, vector):
    found = Explainer(artifact).explain(vector)
    score = ArtifactScorer(artifact).score(vector)
    assert found.log_odds == pytest.approx(log(score.bullish / score.bearish), abs=1e-9)
    assert {each.feature: each.value for each in found.contributions} == dict(
        zip(NAMES, vector, strict=True)
    )


def test_what_moves_the_outcome_comes_first_and_with_its_sign(artifact):
    up, down = (
        Explainer(artifact).explain((a, 0.0, 0.0, 0.0)).contributions[0] for a in (2.0, -2.0)
    )
    assert (up.feature, down.feature) == ("a", "a")
    assert up.log_odds > 0.5 > -0.5 > down.log_odds


def test_a_member_of_another_shape_is_refused():
    _, _, one_output = trained = boosters()
    with pytest.raises(ArtifactError, match=r"expected a member of \(4, 3\) .* got \(4, 1\)"):
        Explainer(make_artifact((trained[0], one_output, one_output)))


def test_a_vector_of_another_length_is_refused(artifact):
    with pytest.raises(ArtifactError, match="expected 4 features, got 3"):
        Explainer(artifact).explain((1.0, 2.0, 3.0))
