"""Training: an effect is learnt, the same twice; what cannot be learnt from is refused."""

import numpy as np
import pytest

from models.artifact import from_bytes, sha256_of, to_bytes
from models.scorer import ArtifactScorer
from training.errors import TrainingRefused
from training.label_rules import label_rule
from training.rows import TrainingTable
from training.train import train_model

MINUTE = 60_000_000
NAMES = ("news", "noise", "constant", "never")


def make_table(n=4_000, effect=0.6, seed=0, n_days=40, **changes):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, len(NAMES)))
    x[draw.random(n) < 0.2, 0] = np.nan
    x[:, 2] = 1.0
    x[:, 3] = np.nan
    as_of = np.sort(draw.integers(0, n_days * 1440, n)) * MINUTE
    given = {
        "feature_set": "test",
        "feature_set_version": 3,
        "feature_names": NAMES,
        "sentiment_model": "lexicon-1",
        "rule": label_rule("intraday"),
        "x": x,
        "symbol": np.array(["AAA", "BBB"])[draw.integers(0, 2, n)],
        "trigger": np.full(n, "pane"),
        "as_of_us": as_of,
        "entry_us": as_of + MINUTE,
        "exit_us": as_of + 31 * MINUTE,
        "forward_return": 0.002 * (effect * np.nan_to_num(x[:, 0]) + draw.normal(size=n)),
        "volatility": np.full(n, 0.002),
    }
    return TrainingTable(**{**given, **changes})


@pytest.fixture(scope="module")
def trained():
    return train_model(make_table(), seed=0, num_threads=1)


def test_effect_is_learnt_and_passes(trained):
    assert trained.verdict.says == "PASS", trained.verdict.reason
    assert trained.artifact.metrics["ic"] > 0.3


def test_no_effect_is_refused_by_the_gates():
    verdict = train_model(make_table(effect=0.0), seed=0, num_threads=1).verdict
    assert verdict.says == "FAIL"
    assert "expected under 0" in verdict.reason


def test_same_seed_gives_the_same_bytes_and_other_seeds_do_not(trained):
    again = train_model(make_table(), seed=0, num_threads=1)
    other = train_model(make_table(), seed=1, num_threads=1)
    assert to_bytes(again.artifact) == to_bytes(trained.artifact)
    assert other.artifact.version != trained.artifact.version


def test_artifact_scores_as_training_judged(trained):
    raw = to_bytes(trained.artifact)
    scorer = ArtifactScorer(from_bytes(raw, sha256_of(raw)))
    table = make_table()
    judged = trained.judged
    rows = np.searchsorted(table.as_of_us, judged.as_of_us[-1])
    vector = [None if np.isnan(v) else float(v) for v in table.x[-1]]
    score = scorer.score(vector)
    assert rows <= len(table)
    assert score[:3] == pytest.approx(tuple(judged.p[-1]), abs=1e-12)
    assert score.expected_return_bps == pytest.approx(judged.expected[-1], abs=1e-9)


def test_artifact_says_what_it_was_trained_on(trained):
    artifact, table = trained.artifact, make_table()
    assert (artifact.feature_set, artifact.feature_set_version) == ("test", 3)
    assert artifact.feature_names == NAMES
    assert artifact.sentiment_model == "lexicon-1"
    assert artifact.trained_from_us == table.as_of_us[0]
    assert artifact.trained_until_us <= trained.judged.as_of_us.max()
    assert [round(each.missing, 1) for each in artifact.reference] == [0.2, 0.0, 0.0, 1.0]


def test_last_judge_block_is_newer_than_all_that_the_artifact_saw(trained):
    last = trained.judged.as_of_us[-len(trained.judged.as_of_us) // 3 + 1 :]
    assert trained.artifact.trained_until_us <= last.min()


def test_training_rows_are_not_unlike_themselves(trained):
    scorer = ArtifactScorer(trained.artifact)
    rows = [[None if np.isnan(v) else float(v) for v in row] for row in make_table().x[:500]]
    assert not any(scorer.unlike(row) for row in rows)


def test_no_rows_are_refused_with_what_was_left_out():
    table = make_table().take(np.arange(0))
    empty = TrainingTable(**{**vars(table), "counts": {"warming up": 1_200, "unmatured": 7}})
    with pytest.raises(
        TrainingRefused, match=r"got 0 \(left out: 1,200 warming up, 7 unmatured\); load more"
    ):
        train_model(empty, seed=0)


def test_one_class_is_refused_and_says_which_rows_came():
    with pytest.raises(TrainingRefused, match=r"bullish rows, got 0, \d+ and 0 of"):
        train_model(make_table(forward_return=np.zeros(4_000)), seed=0)


def test_constant_features_are_refused():
    with pytest.raises(TrainingRefused, match="expected features that vary, got 4 constant"):
        train_model(make_table(x=np.ones((4_000, 4))), seed=0)


def test_all_missing_features_are_refused():
    with pytest.raises(TrainingRefused, match="expected features that vary"):
        train_model(make_table(x=np.full((4_000, 4), np.nan)), seed=0)


def test_feature_that_is_only_there_or_missing_varies():
    x = np.ones((4_000, 4))
    x[::2, 0] = np.nan
    assert train_model(make_table(x=x), seed=0, num_threads=1).verdict.says == "FAIL"


def test_history_shorter_than_the_horizon_is_refused():
    as_of = np.arange(4_000) * 1_000
    table = make_table(as_of_us=as_of, exit_us=as_of + 31 * MINUTE)
    with pytest.raises(TrainingRefused, match="expected rows, got none after the purge"):
        train_model(table, seed=0)


def test_progress_names_each_fold():
    told = []
    train_model(
        make_table(), seed=0, num_threads=1, progress=lambda step, share: told.append((step, share))
    )
    assert [step for step, _ in told] == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3", "judging"]
    assert told[-1][1] == 1.0
