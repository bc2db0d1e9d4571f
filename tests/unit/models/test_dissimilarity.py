"""The dissimilarity index: an unusual combination of usual values is strange."""

from __future__ import annotations

from math import nan

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, Prototypes, from_bytes, sha256_of, to_bytes
from models.dissimilarity import Dissimilarity
from models.row import Row
from models.scorer import ArtifactScorer
from tests.unit.models.test_artifact_scorer import boosters, make_artifact, reference
from training.prototypes import prototypes

N = 60


def make_rows(n=4_000, seed=0):
    """Columns 0 and 1 move, and are missing, together; the others by themselves."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, N))
    x[:, 1] = x[:, 0] + 0.1 * draw.normal(size=n)
    x[draw.random(x.shape) < 0.1] = nan
    x[np.isnan(x[:, 0]), 1] = nan
    x[np.isnan(x[:, 1]), 0] = nan
    return x


@pytest.fixture(scope="module")
def index():
    x = make_rows()
    known = [reference(column[~np.isnan(column)]) for column in x.T]
    return Dissimilarity(prototypes(x[:3_000], x[3_000:], known), known)


def planted():
    row = [0.0] * N
    row[0], row[1] = 1.5, -1.5
    return row


def test_values_that_always_agree_and_now_differ_are_strange(index):
    row = planted()
    assert index.row(Row.of(row)) > 1.2 * index.limit
    row[1] = 1.5
    assert index.row(Row.of(row)) < index.limit


def test_ranges_alone_do_not_see_it():
    x, direction, expected = boosters()
    artifact = make_artifact((x, direction, expected))
    together = np.column_stack([x[:, 2:], x[:, 2] + 0.1 * x[:, 0], x[:, 0]])
    together = np.nan_to_num(together)
    known = tuple(reference(column) for column in together.T)
    found = prototypes(together[:600], together[600:], known)
    strange = [1.5, 0.0, -1.5, 0.0]
    alone = msgspec.structs.replace(artifact, reference=known)
    assert not ArtifactScorer(alone).unlike(strange)
    both = msgspec.structs.replace(alone, prototypes=found)
    raw = to_bytes(both)
    scorer = ArtifactScorer(from_bytes(raw, sha256_of(raw)))
    assert scorer.unlike(strange)
    assert not any(scorer.unlike(row) for row in together.tolist())


def test_later_rows_of_the_same_kind_are_not_strange(index):
    assert (index.many(make_rows(seed=1)) > index.limit).mean() < 0.001


def test_one_row_and_many_agree_missing_values_included(index):
    x = make_rows(50, seed=2)
    x[0] = nan
    rows = [index.row(Row.of([None if np.isnan(v) else v for v in row])) for row in x]
    assert rows == pytest.approx(list(index.many(x)), abs=1e-9)


def test_huge_values_have_a_finite_index(index):
    assert np.isfinite(index.row(Row.of([1e308, -1e308] * (N // 2))))


def test_index_is_the_distance_to_the_nearest_point_over_the_mean():
    known = [reference(np.random.default_rng(i).normal(size=5_000)) for i in range(3)]
    spread = [(r.quantiles["0.9"] - r.quantiles["0.1"]) / 2.563 for r in known]
    points = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    made = Prototypes(
        whitening=np.eye(3).tobytes(), points=points.tobytes(), mean_distance=2.0, limit=9.0
    )
    row = [0.5, -1.0, 2.0]
    z = (np.array(row) - [r.quantiles["0.5"] for r in known]) / spread
    nearest = np.sqrt(((points - z) ** 2).sum(axis=1)).min()
    assert Dissimilarity(made, known).row(Row.of(row)) == pytest.approx(nearest / 2.0)


def test_features_without_spread_have_no_prototypes():
    known = [reference(np.ones(10))] * 2
    assert prototypes(np.ones((10, 2)), np.ones((10, 2)), known) is None


@pytest.mark.parametrize("cut", [{"points": b""}, {"whitening": b"12345678"}, {"points": b"123"}])
def test_arrays_that_do_not_belong_together_are_refused(cut):
    known = [reference(np.arange(10.0))] * 3
    made = Prototypes(
        whitening=np.eye(3).tobytes(), points=np.eye(3).tobytes(), mean_distance=1.0, limit=1.0
    )
    with pytest.raises(ArtifactError, match=r"prototypes: .*retrain"):
        Dissimilarity(msgspec.structs.replace(made, **cut), known)
