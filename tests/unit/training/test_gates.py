"""Every gate shown to fail, and an honest model to pass."""

import numpy as np
import pytest

from training.calibrate import softmax
from training.evaluate import Judged
from training.gates import MIN_BLOCKS, judge

DAY = 86_400_000_000
SHARES = np.array([0.3, 0.4, 0.3])


def make_judged(skill=0.5, n=3_000, n_days=60, seed=0, **changes):
    """Outcomes drawn from probabilities that the model knows up to `skill`."""
    draw = np.random.default_rng(seed)
    lean = draw.normal(size=n)
    truth = softmax(np.log(SHARES) + np.outer(lean, [-skill, 0.0, skill]))
    y = (draw.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    given = {
        "symbol": np.full(n, "AAA"),
        "as_of_us": np.sort(draw.integers(0, n_days * DAY, n)),
        "y": y,
        "p": truth,
        "baseline": np.tile(SHARES, (n, 1)),
        "expected": 10.0 * lean,
        "forward_return": (y - 1) * 0.01,
    }
    return Judged(**{**given, **changes})


def says(judged, name, n_rows=10_000, threshold_found=True):
    verdict = judge(judged, n_rows, threshold_found, seed=0)
    return verdict, next(check for check in verdict.checks if check.name.startswith(name))


def test_honest_model_passes_with_no_reason():
    verdict = judge(make_judged(), 10_000, True, seed=0)
    assert (verdict.says, verdict.reason) == ("PASS", "")


def test_same_seed_same_verdict():
    judged = make_judged(skill=0.1)
    assert judge(judged, 10_000, True, seed=3) == judge(judged, 10_000, True, seed=3)


def test_too_few_rows_fail():
    verdict, check = says(make_judged(), "rows", n_rows=999)
    assert (verdict.says, check.says) == ("FAIL", "FAIL")
    assert verdict.reason == "rows: expected at least 1000, got 999"


def test_too_few_judged_rows_fail():
    assert says(make_judged(n=199), "judged rows")[1].says == "FAIL"


def test_no_judged_rows_fail_without_numbers():
    verdict, _ = says(make_judged(n=0), "judged rows")
    assert verdict.says == "FAIL"


def test_too_few_blocks_of_time_fail_and_some_warn():
    hours = DAY // 24
    short = make_judged(as_of_us=np.sort(np.arange(3_000) % 7) * 2 * hours)
    assert says(short, "judge blocks")[1].says == "FAIL"
    some = make_judged(as_of_us=np.sort(np.arange(3_000) % (MIN_BLOCKS + 2)) * 2 * hours)
    assert says(some, "judge blocks")[1].says == "WARN"


def test_class_that_never_happens_fails():
    judged = make_judged(y=np.arange(3_000) % 2)
    assert says(judged, "smallest class share")[1].says == "FAIL"


def test_constant_scores_fail():
    verdict, check = says(make_judged(p=np.tile(SHARES, (3_000, 1))), "collapsed: spread")
    assert check.says == "FAIL"
    assert "collapsed" in verdict.reason


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_one_class_always_likeliest_fails(kind):
    p = make_judged().p.copy()
    p[:, kind] += 1.0
    p /= p.sum(axis=1, keepdims=True)
    assert says(make_judged(p=p), "collapsed: share")[1].says == "FAIL"


def test_guessing_model_fails_against_climatology():
    noise = make_judged(seed=1).p
    assert says(make_judged(p=noise), "log-loss minus")[1].says == "FAIL"


def test_model_that_knows_only_how_much_it_moves_fails_on_direction():
    draw = np.random.default_rng(0)
    calm = draw.random(3_000) < 0.5
    p = np.where(calm[:, None], [0.1, 0.8, 0.1], [0.4, 0.2, 0.4])
    p[:, 2] += draw.normal(size=3_000) * 0.01
    p /= p.sum(axis=1, keepdims=True)
    y = (draw.random(3_000)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    y = np.where(y == 1, 1, 2 * draw.integers(0, 2, 3_000))
    judged = make_judged(p=p, y=y)
    assert says(judged, "log-loss minus")[1].says == "PASS"
    assert says(judged, "log-loss of up")[1].says == "FAIL"


def test_scores_against_returns_fail():
    judged = make_judged()
    against = make_judged(forward_return=-judged.forward_return)
    assert says(against, "information coefficient")[1].says == "FAIL"


def test_overconfident_model_warns_of_its_calibration():
    p = np.where(make_judged(2.0).p.argmax(axis=1)[:, None] == np.arange(3), 0.98, 0.01)
    assert says(make_judged(2.0, p=p), "calibration error")[1].says == "WARN"


def test_no_paying_threshold_warns_and_says_so():
    verdict, check = says(make_judged(), "confidence", threshold_found=False)
    assert (verdict.says, check.says) == ("WARN", "WARN")
    assert "default threshold" in verdict.reason


def test_bootstrap_draws_whole_blocks():
    """Twenty outcomes of 150 rows each: mixed over time they look sure, a day each they do not."""
    few = make_judged(n=20, seed=5)
    p, y = np.repeat(few.p, 150, axis=0), np.repeat(few.y, 150)
    by_day = np.repeat(np.arange(20), 150) * DAY
    assert says(make_judged(p=p, y=y, as_of_us=by_day), "log-loss of up")[1].says == "FAIL"
    mixed = np.random.default_rng(0).permutation(3_000)
    spread = make_judged(p=p[mixed], y=y[mixed], as_of_us=by_day)
    assert says(spread, "log-loss of up")[1].says == "PASS"
