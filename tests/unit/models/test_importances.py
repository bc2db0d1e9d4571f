"""Importances: what LightGBM itself says of the gain, feature by feature."""

import msgspec
import numpy as np
import pytest

from models.importances import importances
from tests.unit.models.test_artifact_scorer import NAMES, boosters, make_artifact


@pytest.fixture(scope="module")
def trained():
    return boosters()


def test_a_members_importances_are_lightgbms_shares_of_the_gain(trained):
    _, direction, _ = trained
    artifact = make_artifact(trained)
    one = msgspec.structs.replace(artifact, members=artifact.members[:1])
    gain = direction.feature_importance("gain")
    expected = {name: share for name, share in zip(NAMES, gain / gain.sum(), strict=True) if share}
    assert importances(one) == pytest.approx(expected, rel=1e-4)  # the text has 6 digits


def test_members_count_alike_and_the_largest_comes_first(trained):
    _, direction, expected = trained
    shares = [
        booster.feature_importance("gain") / booster.feature_importance("gain").sum()
        for booster in (direction, expected)
    ]
    found = importances(make_artifact(trained))
    assert found == pytest.approx(dict(zip(NAMES, np.mean(shares, axis=0), strict=True)), rel=1e-4)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)) == "a"
    assert sum(found.values()) == pytest.approx(1.0)


def test_trees_without_a_split_have_none(trained):
    artifact = make_artifact(trained)
    stumps = [msgspec.structs.replace(each, text="tree") for each in artifact.members]
    assert importances(msgspec.structs.replace(artifact, members=tuple(stumps))) == {}
