"""A sector has its own model where that wins, and only there; who speaks is told by the vector."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import log

import msgspec
import numpy as np
import pytest

from models.artifact import Artifact, Calibration, from_bytes, sha256_of, to_bytes
from models.explain import Explainer
from models.importances import importances
from models.scorer import ArtifactScorer
from tests.unit.training.sectors import N_MOVES, NEVER, make_sectors
from training import by_sector
from training.by_sector import fit_by_sector
from training.evaluate import log_losses
from training.fit import Fitted, raw_scores
from training.learners.named import learner
from training.learners.recipe import Recipe
from training.rows import TrainingTable
from training.splits import SplitRule
from training.train import train_model, untuned

SAME = {0.0: 0.25, 1.0: 0.25, 2.0: 0.25, 3.0: 0.25, NEVER: 0.25}
ODD = SAME | {2.0: -0.25}  # of industrials the moves tell the opposite
FIT, TUNE, LATER = np.arange(5_500), np.arange(5_500, 6_800), np.arange(6_800, 8_000)


def fitted(rows: TrainingTable, name: str = "linear", *, per_sector: bool = True) -> Fitted:
    recipe = Recipe(learner(name), per_sector=per_sector)
    return fit_by_sector(
        rows.take(FIT), rows.take(TUNE), recipe, label="fold", seed=0, num_threads=1
    )


@cache
def rows_of(odd: bool, n: int = 8_000) -> TrainingTable:
    return make_sectors(ODD if odd else SAME, n)


@cache
def opposite(name: str) -> Fitted:
    return fitted(rows_of(True), name)


def own_codes(members: Fitted) -> set[float]:
    return {v for each in members.members if each.scope for v in each.scope.values}


def losses(model: Fitted, code: float) -> float:
    later = rows_of(True).take(LATER)
    own = later.take(later.x[:, -1] == code)
    return float(log_losses(model.predict(own)[0], own.y).mean())


def test_the_sector_of_the_opposite_sign_wins_and_no_other() -> None:
    found = opposite("lightgbm")
    assert own_codes(found) == {2.0}
    assert (found.n_tried, found.found["sectors_tried"], found.found["sectors_won"]) == (4, 4, 1)
    assert found.found["own_model_t_industrials"] > 3.0
    assert losses(found, 2.0) < losses(fitted(rows_of(True), "lightgbm", per_sector=False), 2.0)


def test_a_pooled_model_that_cannot_tell_sectors_apart_gains_more() -> None:
    pooled = fitted(rows_of(True), per_sector=False)
    assert 2.0 in own_codes(opposite("linear"))
    assert losses(opposite("linear"), 2.0) < losses(pooled, 2.0) - 0.1


def test_sectors_that_do_not_differ_stay_with_the_pooled_model() -> None:
    found, pooled = fitted(rows_of(False)), fitted(rows_of(False), per_sector=False)
    assert (found.n_tried, found.found["sectors_won"]) == (4, 0)
    assert (found.members, found.calibration) == (pooled.members, pooled.calibration)


def test_without_the_rule_any_sector_would_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_sector, "LEVEL", 4.0 * (1.0 - 1e-9))
    assert own_codes(fitted(rows_of(False))) == {0.0, 1.0, 2.0, 3.0}


def test_other_sectors_are_scored_by_the_pooled_members_bit_for_bit() -> None:
    found, later = opposite("lightgbm"), rows_of(True).take(LATER).x
    pooled = tuple(each for each in found.members if each.scope is None)
    (raw, bps), (alone, alone_bps) = (raw_scores(each, later) for each in (found.members, pooled))
    same = later[:, -1] != 2.0
    assert (raw[same] == alone[same]).all()
    assert (bps[same] == alone_bps[same]).all()
    assert not (raw[~same] == alone[~same]).any()


def test_what_came_of_later_rows_has_no_say_in_who_wins() -> None:
    rows = rows_of(True)
    other = make_sectors(ODD, 8_000)
    other.forward_return[TUNE[0] :] *= -1.0
    for name in ("own_model_t_industrials", "own_model_gain_energy"):
        assert fitted(other).found[name] == opposite("linear").found[name]
    assert not (other.y == rows.y).all()


def test_sectors_of_few_rows_are_not_tried() -> None:
    many = dict.fromkeys(np.arange(30.0), 0.25)
    assert fitted(make_sectors(many, 8_000)).n_tried == 0


def test_over_few_sessions_no_sector_wins() -> None:
    rows = make_sectors(ODD, 8_000)
    two_weeks = {each: getattr(rows, each) // 10 for each in ("as_of_us", "entry_us", "exit_us")}
    found = fitted(replace(rows, **two_weeks))
    assert found.found["own_model_t_industrials"] > 3.0
    assert own_codes(found) == set()


@cache
def artifact() -> Artifact:
    chooser = untuned(learner("lightgbm"), per_sector=True)
    one = SplitRule(n_folds=1)
    made = train_model(rows_of(True), seed=0, chooser=chooser, num_threads=1, split=one)
    raw = to_bytes(made.artifact)
    found = from_bytes(raw, sha256_of(raw))
    scorer, judged = ArtifactScorer(found), made.judged
    for at in range(-40, 0):
        score = scorer.score(vector(rows_of(True).x[judged.row[at]]))
        assert score[:3] == pytest.approx(tuple(judged.p[at]), abs=1e-12)
        assert score.expected_return_bps == pytest.approx(judged.expected[at], abs=1e-9)
    return found


def vector(row: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in row]


def test_training_with_sectors_of_their_own_scores_as_it_judged_and_says_so() -> None:
    made = artifact()
    assert made.architecture == "direction: lightgbm + (lightgbm); return: lightgbm + (lightgbm)"
    assert made.metrics["sectors_won"] == 1.0
    assert made.metrics["n_trials"] == 4
    assert sum(importances(made).values()) == pytest.approx(1.0)


@pytest.mark.parametrize("code", [0.0, 2.0, 63.0, None])
def test_contributions_of_who_speaks_sum_to_the_log_odds(code: float | None) -> None:
    plain = Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0))
    made = msgspec.structs.replace(artifact(), calibration=plain)
    up = [*[0.8] * N_MOVES, code]
    score, told = ArtifactScorer(made).score(up), Explainer(made).explain(up)
    assert told.log_odds == pytest.approx(log(score.bullish / score.bearish), abs=1e-9)
    assert (score.bullish > score.bearish) == (code != 2.0)
