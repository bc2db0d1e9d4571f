"""Importances: what LightGBM itself says of the gain, feature by feature."""

import msgspec
import pytest

from models.importances import importances
from tests.unit.models.test_artifact_scorer import NAMES, boosters, make_artifact


@pytest.fixture(scope="module")
def trained():
    return boosters()


def test_importances_are_lightgbms_shares_of_the_directions_gain(trained):
    _, direction, _ = trained
    gain = direction.feature_importance("gain")
    expected = {name: share for name, share in zip(NAMES, gain / gain.sum(), strict=True) if share}
    found = importances(make_artifact(trained))
    assert found == pytest.approx(expected, rel=1e-4)  # the text has 6 digits
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1.0)


def test_trees_without_a_split_have_none(trained):
    artifact = make_artifact(trained)
    stumps = [msgspec.structs.replace(each, text="tree") for each in artifact.members]
    assert importances(msgspec.structs.replace(artifact, members=tuple(stumps))) == {}
