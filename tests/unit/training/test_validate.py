"""A stored model judged again: as it serves, on newer rows only, against its own climatology."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.scorer import ArtifactScorer
from tests.factories import policy
from tests.unit.training.test_train_model import make_table
from training.as_served import class_shares, judged_by, newer
from training.errors import TrainingRefused
from training.gates import Gates
from training.quality import NewsFacts
from training.train import train_model
from training.validate import _between, contest

ANY = Gates(max_constant=9, min_sessions=1, min_judged=1)


@pytest.fixture(scope="module")
def trained():
    return train_model(make_table(), seed=0, num_threads=1)


@pytest.fixture(scope="module")
def newest(trained):
    rows = make_table()
    return rows.take(trained.judged.row[trained.judged.fold == 2])


def judged_again(artifact, rows, champion=None, accepted=None):
    return contest(artifact, champion, rows, NewsFacts(), policy(), ANY, accepted=accepted, seed=0)


def test_rows_are_scored_as_training_judged_them(trained, newest):
    found = judged_again(trained.artifact, newest).judged
    same = trained.judged.fold == 2
    assert len(found.y) > 300
    assert found.as_of_us.min() > trained.artifact.trained_until_us
    assert found.p == pytest.approx(trained.judged.p[same], abs=1e-12)
    assert found.expected == pytest.approx(trained.judged.expected[same], abs=1e-9)
    assert found.baseline == pytest.approx(trained.judged.baseline[same])


def test_skill_holds_and_fails_where_the_world_has_turned(trained, newest):
    verdict = judged_again(trained.artifact, newest, accepted="planted").verdict
    assert verdict.reason == "sessions judged: expected at least 20, got 16"
    turned = replace(newest, forward_return=-newest.forward_return)
    verdict = judged_again(trained.artifact, turned).verdict
    assert verdict.says == "FAIL"
    assert "log-loss gained on climatology: expected 95 % bound over 0" in verdict.reason


def test_champion_is_asked_only_about_what_is_newer_than_its_own_training(trained, newest):
    middle = int(np.median(newest.as_of_us))
    champion = msgspec.structs.replace(trained.artifact, trained_until_us=middle)
    asked = newer(ArtifactScorer(champion), newest, np.arange(len(newest)))
    assert np.array_equal(np.isnan(asked[:, 0]), newest.as_of_us <= middle)
    names = [c.name for c in judged_again(trained.artifact, newest, champion).verdict.checks]
    assert "log-loss gained on the champion" in names


def test_artifact_that_does_not_know_its_climatology_is_refused(trained, newest):
    blank = msgspec.structs.replace(trained.artifact, metrics={})
    with pytest.raises(TrainingRefused, match=r"expected the class shares .* found none; retrain"):
        class_shares(blank)
    with pytest.raises(TrainingRefused):
        judged_by(blank, ArtifactScorer(blank), newest, np.arange(3), None)


def test_span_without_rows_is_refused():
    rows = make_table()
    last = int(rows.as_of_us[-1])
    assert len(_between(rows, last, None, "v")) == 1
    assert len(_between(rows, 0, last, "v")) == len(rows) - 1
    with pytest.raises(TrainingRefused, match=r"model v: expected labelled rows since 19.* of 4,0"):
        _between(rows, last + 1, None, "v")
