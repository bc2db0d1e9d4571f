"""Members with a scope speak for their vectors alone; the others for the rest."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, Member, Scope
from models.differences import differences
from models.pool import Pool
from models.row import Row
from models.scorer import ArtifactScorer
from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from tests.unit.models.test_pool import linear

NAN = float("nan")


def of(*values: float, feature: int = 3, shift: float = 0.0) -> Member:
    """A member that says its shift in each class of those vectors."""
    flat = linear(coefficients=((0.0,) * 4,) * 3, intercepts=(shift,) * 3)
    scope = Scope(feature=feature, values=values) if values else None
    return msgspec.structs.replace(flat, weight=1.0, scope=scope)


def test_each_vector_is_scored_by_those_who_speak_for_it() -> None:
    pool = Pool([of(shift=1.0), of(5.0, 7.0, shift=20.0), of(7.0, shift=300.0)], 4, 3)
    x = np.array([[0.0, 0.0, 0.0, code] for code in (4.0, 5.0, 7.0, NAN, 7.0, 5.5)])
    told = [1.0, 20.0, 320.0, 1.0, 320.0, 1.0]
    assert pool.many(x)[:, 0].tolist() == told
    assert [pool.raw(Row.of(row))[0] for row in x.tolist()] == told
    assert pool.many(x[1:3])[:, 2].tolist() == told[1:3]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([of(5.0)], "expected a member for vectors outside of all scopes"),
        ([of(), of(5.0, feature=4)], r"expected scopes of one of 4 features, got \[4\]"),
        ([of(), of(5.0), of(5.0, feature=1)], r"of one of 4 features, got \[1, 3\]"),
    ],
)
def test_scopes_that_leave_vectors_or_the_feature_open_are_refused(
    members: list[Member], message: str
) -> None:
    artifact = make_artifact(boosters(n=200))
    with pytest.raises(ArtifactError, match=message):
        ArtifactScorer(msgspec.structs.replace(artifact, members=tuple(members)))


def test_models_that_differ_in_a_sector_differ_by_its_code() -> None:
    artifact = make_artifact(boosters(n=200))
    one, other = (
        msgspec.structs.replace(artifact, members=(of(), of(5.0, shift=shift), of(7.0)))
        for shift in (1.0, 2.0)
    )
    assert [what for what, _, _ in differences(one, other)] == ["direction model linear of 5"]
