"""The trained scorer: bit-equal to LightGBM, missing values, ranges, damaged members."""

import json
from math import nan

import lightgbm
import msgspec
import numpy as np
import pytest

from models.artifact import (
    Artifact,
    ArtifactError,
    Calibration,
    Member,
    Reference,
    from_bytes,
    sha256_of,
    to_bytes,
    with_version,
)
from models.lightgbm_row import RowModel
from models.row import Row
from models.scorer import ArtifactScorer

NAMES = ("a", "b", "c", "d")
QUANTILES = ("0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999")


def boosters(seed=0, n=800):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, len(NAMES)))
    x[draw.random(x.shape) < 0.2] = nan
    y = np.nan_to_num(x[:, 0]) + draw.normal(size=n)
    classes = np.digitize(y, [-0.7, 0.7])
    common = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, "seed": seed}
    direction = lightgbm.train(
        {**common, "objective": "multiclass", "num_class": 3}, lightgbm.Dataset(x, classes), 20
    )
    expected = lightgbm.train({**common, "objective": "regression"}, lightgbm.Dataset(x, y), 20)
    return x, direction, expected


@pytest.fixture(scope="module")
def trained():
    return boosters()


def reference(column):
    quantiles = {q: float(np.quantile(column, float(q))) for q in QUANTILES}
    return Reference(missing=0.2, quantiles=quantiles)


def make_artifact(trained, **changes):
    x, direction, expected = trained
    columns = [column[~np.isnan(column)] for column in x.T]
    given = {
        "name": "lightgbm",
        "version": "",
        "members": (
            Member(role="direction", format="lightgbm", text=direction.model_to_string()),
            Member(role="return", format="lightgbm", text=expected.model_to_string()),
        ),
        "calibration": Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0)),
        "feature_set": "test",
        "feature_set_version": 1,
        "feature_names": NAMES,
        "sentiment_model": None,
        "horizon": "30m",
        "horizon_s": 1800.0,
        "threshold": 0.5,
        "trained_from_us": 0,
        "trained_until_us": 1_700_000_000_000_000,
        "n_rows": len(x),
        "reference": tuple(
            Reference(
                missing=0.2, quantiles={q: float(np.quantile(c, float(q))) for q in QUANTILES}
            )
            for c in columns
        ),
        "metrics": {"ic": 0.1, "empty": None},
        "code_revision": "test",
        "wheels": {},
        "seed": 0,
    }
    return with_version(Artifact(**{**given, **changes}))


def rows(x):
    return [[None if np.isnan(v) else float(v) for v in row] for row in x]


def test_row_path_is_bit_equal_to_booster_predict(trained):
    x, direction, expected = trained
    fast = RowModel(direction.model_to_string(), len(NAMES), 3)
    fast_return = RowModel(expected.model_to_string(), len(NAMES), 1)
    slow = direction.predict(x, raw_score=True, num_threads=1)
    slow_return = expected.predict(x, num_threads=1)
    for row, three, one in zip(rows(x), slow, slow_return, strict=True):
        assert fast.raw(Row.of(row)) == list(three)
        assert fast_return.raw(Row.of(row)) == [one]


def test_uncalibrated_probabilities_equal_softmax_of_booster(trained):
    x, direction, _ = trained
    scorer = ArtifactScorer(make_artifact(trained))
    slow = direction.predict(x)
    for row, three in zip(rows(x), slow, strict=True):
        score = scorer.score(row)
        assert score[:3] == pytest.approx(tuple(three), abs=1e-12)
        assert sum(score[:3]) == pytest.approx(1.0, abs=1e-12)


def test_scale_zero_gives_the_offsets_shares(trained):
    shares = (0.2, 0.5, 0.3)
    calibration = Calibration(scale=0.0, offsets=tuple(np.log(shares).tolist()), return_scale=0.0)
    score = ArtifactScorer(make_artifact(trained, calibration=calibration)).score([None] * 4)
    assert score == pytest.approx((*shares, 0.0))


def test_return_member_is_scaled_in_basis_points(trained):
    x, _, expected = trained
    calibration = Calibration(
        scale=1.0, offsets=(0.0, 0.0, 0.0), return_scale=0.5, return_offset=2.0
    )
    scorer = ArtifactScorer(make_artifact(trained, calibration=calibration))
    assert scorer.score(rows(x)[0]).expected_return_bps == 0.5 * expected.predict(x[:1])[0] + 2.0


def test_artifact_without_return_member_expects_nothing(trained):
    artifact = make_artifact(trained)
    scorer = ArtifactScorer(msgspec.structs.replace(artifact, members=artifact.members[:1]))
    assert scorer.score([0.0] * 4).expected_return_bps is None


def test_all_missing_and_huge_values_score_finite(trained):
    scorer = ArtifactScorer(make_artifact(trained))
    for vector in ([None] * 4, [1e300, -1e300, 0.0, None], [-0.0, 0.0, 1e-300, 5.0]):
        assert np.isfinite(scorer.score(vector)[:3]).all()


def test_two_scorers_do_not_share_their_rows(trained):
    one, other = (ArtifactScorer(make_artifact(trained)) for _ in range(2))
    before = one.score([1.0, 2.0, 3.0, 4.0])
    other.score([-1.0, -2.0, -3.0, -4.0])
    assert one.score([1.0, 2.0, 3.0, 4.0]) == before


def test_vector_like_training_is_not_unlike_and_far_one_is(trained):
    scorer = ArtifactScorer(make_artifact(trained))
    assert not scorer.unlike([0.0, 1.0, -1.0, None])
    assert scorer.unlike([1e6, 0.0, 0.0, 0.0])


def test_missing_where_training_never_missed_is_unlike(trained):
    artifact = make_artifact(trained)
    always = tuple(msgspec.structs.replace(r, missing=0.0) for r in artifact.reference)
    assert ArtifactScorer(msgspec.structs.replace(artifact, reference=always)).unlike([None] * 4)


def test_feature_never_seen_in_training_is_in_range_everywhere(trained):
    artifact = make_artifact(trained)
    never = tuple(Reference(missing=1.0, quantiles={}) for _ in NAMES)
    scorer = ArtifactScorer(msgspec.structs.replace(artifact, reference=never))
    assert not scorer.unlike([1e9, -1e9, None, 0.0])


def test_artifact_survives_its_bytes(trained):
    artifact = make_artifact(trained)
    raw = to_bytes(artifact)
    assert from_bytes(raw, sha256_of(raw)) == artifact
    assert raw == to_bytes(from_bytes(raw, sha256_of(raw)))


def test_version_names_the_content(trained):
    artifact = make_artifact(trained)
    assert artifact.version.startswith("20231114T221320-")
    assert make_artifact(trained).version == artifact.version
    assert make_artifact(trained, threshold=0.6).version != artifact.version


def test_changed_byte_is_refused_with_both_digests(trained):
    raw = to_bytes(make_artifact(trained))
    damaged = raw.replace(b'"threshold":0.5', b'"threshold":0.1')
    with pytest.raises(ArtifactError, match=f"expected sha256 {sha256_of(raw)}, got"):
        from_bytes(damaged, sha256_of(raw))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "expected format 1, got 2"),
        ({"members": None}, "unreadable.*members"),
        ({"reference": []}, "expected 4 reference distributions, got 0"),
    ],
)
def test_artifact_of_another_shape_is_refused(trained, change, message):
    raw = json.dumps({**json.loads(to_bytes(make_artifact(trained))), **change}).encode()
    with pytest.raises(ArtifactError, match=message):
        from_bytes(raw, sha256_of(raw))


def test_truncated_member_is_refused(trained):
    artifact = make_artifact(trained)
    cut = tuple(msgspec.structs.replace(m, text="tree\nnot a model") for m in artifact.members)
    with pytest.raises(ArtifactError, match="LightGBM refuses it"):
        ArtifactScorer(msgspec.structs.replace(artifact, members=cut))


def test_member_with_other_feature_count_is_refused(trained):
    artifact = make_artifact(trained)
    more = msgspec.structs.replace(artifact, feature_names=(*NAMES, "e"))
    with pytest.raises(ArtifactError, match="expected 5 features, got 4"):
        ArtifactScorer(more)


def test_artifact_without_direction_is_refused(trained):
    artifact = make_artifact(trained)
    with pytest.raises(ArtifactError, match="expected a member for direction"):
        ArtifactScorer(msgspec.structs.replace(artifact, members=artifact.members[1:]))


@pytest.mark.parametrize(
    ("feature_set", "version", "names", "message"),
    [
        ("other", 1, NAMES, "expected feature set 'other', got 'test'"),
        ("test", 2, NAMES, "expected version 2 of feature set 'test', got 1"),
        ("test", 1, ("a", "b", "c", "x"), "lack x and have d besides"),
        ("test", 1, ("b", "a", "c", "d"), "feature 0: expected 'b', got 'a'"),
    ],
)
def test_artifact_that_does_not_fit_says_the_difference(
    trained, feature_set, version, names, message
):
    with pytest.raises(ArtifactError, match=message):
        make_artifact(trained).check_fits(feature_set, version, list(names))


def test_artifact_fits_its_own_feature_set(trained):
    make_artifact(trained).check_fits("test", 1, list(NAMES))
