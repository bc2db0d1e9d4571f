"""Every gate shown to fail, and an honest model to pass."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.unit.training.judgements import DAY, RULE, SHARES, make_judged
from training.calibrate import softmax
from training.gates import Check, Gates, read_gates, verdict_of
from training.judge import judge


def verdict(judged, gates=Gates(), **given):  # noqa: B008 - frozen
    found = {"n_rows": 20_000, "threshold_found": True, "seed": 0, **given}
    return judge(judged, RULE, gates, **found)


def says(judged, name, **given):
    return next(each for each in verdict(judged, **given).checks if each.name.startswith(name))


def test_honest_model_passes_with_no_reason():
    found = verdict(make_judged())
    assert (found.says, found.reason) == ("PASS", "")
    assert found.may_lead(short_history=False)


def test_same_seed_same_verdict():
    judged = make_judged(n=3_000)
    assert verdict(judged, seed=3) == verdict(judged, seed=3)
    assert verdict(judged, seed=3) != verdict(judged, seed=4)


def test_too_few_rows_fail():
    found = verdict(make_judged(n=300), n_rows=999)
    assert (found.says, found.reason) == ("FAIL", "rows: expected at least 1000, got 999")


@pytest.mark.parametrize("n", [0, 199])
def test_too_few_judged_rows_fail_without_other_numbers(n):
    found = verdict(make_judged(n=n))
    assert found.reason == f"judged rows: expected at least 200, got {n}"


def test_class_that_never_happens_fails():
    judged = make_judged(n=3_000, y=np.arange(3_000) % 2)
    assert says(judged, "smallest class share").says == "FAIL"


def test_few_sessions_warn_and_only_a_word_for_it_lets_the_model_lead():
    found = verdict(make_judged(n_days=39))
    assert found.says == "WARN"
    assert found.reason == "sessions judged: expected at least 40, got 39"
    assert not found.may_lead(short_history=False)
    assert found.may_lead(short_history=True)


def test_doubt_of_skill_never_lets_a_model_lead():
    found = verdict(make_judged(skill=0.02, n=1_500))
    assert found.says == "WARN"
    assert not found.may_lead(short_history=True)


def test_model_worse_than_climatology_fails():
    judged = make_judged()
    wrong = replace(judged, p=judged.p[:, ::-1])
    check = says(wrong, "log-loss gained on climatology")
    assert (check.says, check.expected) == ("FAIL", "95 % bound over 0")
    assert check.value < 0.0


def test_noise_beside_climatology_does_not_pass():
    assert says(make_judged(p=make_judged(seed=1).p), "log-loss gained on clim").says == "FAIL"


def test_model_that_knows_only_how_much_it_moves_does_not_pass_on_direction():
    draw = np.random.default_rng(0)
    p = np.where(draw.random(12_000)[:, None] < 0.5, [0.1, 0.8, 0.1], [0.4, 0.2, 0.4])
    p[:, 2] += draw.normal(size=12_000) * 0.01
    p /= p.sum(axis=1, keepdims=True)
    y = (draw.random(12_000)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    judged = make_judged(p=p, y=np.where(y == 1, 1, 2 * draw.integers(0, 2, 12_000)))
    assert says(judged, "log-loss gained on climatology").says == "PASS"
    assert says(judged, "log-loss gained on climatology, up").says != "PASS"


@pytest.mark.parametrize(
    ("field", "name"), [("price_only", "prices alone"), ("champion", "the champion")]
)
def test_better_rival_fails_equal_one_warns_and_worse_one_passes(field, name):
    judged = make_judged(skill=0.3)
    worse = np.tile(SHARES, (len(judged.y), 1))
    for own, rival, expected in (
        (worse, judged.p, "FAIL"),
        (judged.p, judged.p, "WARN"),
        (judged.p, worse, "PASS"),
    ):
        beside = replace(judged, p=own, **{field: rival})
        assert says(beside, f"log-loss gained on {name}").says == expected


@pytest.mark.parametrize(("n_days", "wants_history"), [(30, True), (60, False)])
def test_unsure_gain_on_a_rival_wants_history_only_where_that_is_short(n_days, wants_history):
    judged = make_judged(n_days=n_days)
    noise = 0.12 * np.random.default_rng(1).normal(size=judged.p.shape)
    rival = softmax(np.log(judged.p) + np.random.default_rng(2).permutation(noise))
    check = says(replace(judged, price_only=rival, p=softmax(np.log(judged.p) + noise)),
                 "log-loss gained on prices")  # fmt: skip
    assert (check.says, check.short_history) == ("WARN", wants_history)


def test_champion_is_judged_only_where_it_was_asked():
    judged = make_judged()
    recent = judged.as_of_us > 30 * DAY
    good_before = np.where(recent[:, None], SHARES, np.eye(3)[judged.y])
    asked = np.where(recent[:, None], good_before, np.nan)
    assert says(replace(judged, champion=good_before), "log-loss gained on the ch").says == "FAIL"
    beside = replace(judged, champion=asked)
    assert says(beside, "log-loss gained on the champion").says == "PASS"
    sessions = says(beside, "sessions judged beside the champion")
    assert (sessions.says, sessions.value, sessions.short_history) == ("WARN", 30, True)


def test_champion_that_could_not_be_asked_bars_the_way():
    found = verdict(make_judged(), beside_champion=True)
    assert found.reason == "sessions judged beside the champion: expected at least 40, got 0"
    assert not found.may_lead(short_history=True)


def test_expected_returns_that_hardly_move_fail():
    judged = make_judged(skill=0.3)
    faint = replace(judged, expected=judged.expected * 1e-2)
    assert says(faint, "collapsed: sd of expected").says == "FAIL"
    assert says(judged, "collapsed: sd of expected").says == "PASS"


@pytest.mark.parametrize("field", ["p", "expected"])
def test_few_distinct_predictions_fail(field):
    judged = make_judged()
    rounded = replace(
        judged, **{field: np.repeat(getattr(judged, field)[:19], 632, axis=0)[:12_000]}
    )
    check = says(rounded, "collapsed: distinct")
    assert (check.says, check.value) == ("FAIL", 19)


@pytest.mark.parametrize(("shift", "expected"), [(0.02, "PASS"), (0.04, "WARN"), (0.1, "FAIL")])
def test_scores_that_say_mostly_rises_warn_then_fail(shift, expected):
    judged = make_judged()
    p = judged.p + np.array([-shift / 2, 0.0, shift / 2])
    assert says(replace(judged, p=p), "collapsed: share of rises").says == expected


def test_biased_expected_returns_fail_but_over_few_sessions_only_warn():
    for n_days, expected in ((60, "FAIL"), (10, "WARN")):
        judged = make_judged(n_days=n_days)
        biased = replace(judged, expected=judged.expected + 3.0)
        check = says(biased, "collapsed: mean error")
        assert (check.says, check.short_history) == (expected, expected == "WARN")


def test_one_collapsed_fold_fails():
    judged = make_judged()
    of_one = judged.fold == 1
    expected = np.where(of_one, 0.1, judged.expected)
    found = {each.name: each.says for each in verdict(replace(judged, expected=expected)).checks}
    assert found["collapsed: distinct predictions"] == "PASS"
    assert found["collapsed: folds of their own"] == "FAIL"


def test_daily_ic_too_good_fails_and_a_given_reason_is_kept():
    judged = make_judged(skill=0.4)
    assert says(judged, "too good: daily IC").says == "FAIL"
    told = verdict(judged, accepted="planted")
    assert told.accepted == "planted"
    check = next(each for each in told.checks if each.name == "too good: daily IC")
    assert (check.says, check.note) == ("PASS", "accepted: planted")


def test_accuracy_too_good_fails():
    judged = make_judged()
    sure = np.eye(3)[judged.y] * 0.2 + judged.p * 0.8
    assert says(replace(judged, p=sure), "too good: accuracy").says == "FAIL"


def test_sharpe_too_good_fails():
    judged = make_judged()
    steady = replace(judged, forward_return=np.sign(judged.score) * 4e-4 + judged.forward_return)
    assert says(judged, "too good: Sharpe").says == "PASS"
    assert says(steady, "too good: Sharpe").says == "FAIL"


def test_no_paying_threshold_warns_and_says_so():
    found = verdict(make_judged(), threshold_found=False)
    assert found.says == "WARN"
    assert "default threshold" in found.reason
    assert not found.may_lead(short_history=True)


def test_poor_data_fails_the_best_model():
    found = verdict(make_judged(), quality=[Check("data: x", "FAIL", 1.0, "at most 0", "a, b")])
    assert (found.says, found.reason) == ("FAIL", "data: x: expected at most 0, got 1 (a, b)")


def test_verdict_is_plain_json():
    found = verdict(make_judged(n_days=1))
    raw = msgspec.json.encode(found)
    assert b"null" in raw  # one session has no interval
    assert msgspec.json.decode(raw, type=type(found)) == found


def test_worst_check_is_the_verdict():
    checks = [Check("a", one, 1.0, "x") for one in ("PASS", "WARN", "FAIL")]
    assert [verdict_of(checks[:n]).says for n in (1, 2, 3)] == ["PASS", "WARN", "FAIL"]


@pytest.mark.parametrize(
    ("name", "text"), [("g.toml", "min_sessions = 10"), ("g.json", '{"min_sessions": 10}')]
)
def test_file_changes_some_gates_and_the_rest_stay(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    gates = read_gates(tmp_path / name)
    assert gates == msgspec.structs.replace(Gates(), min_sessions=10)
    assert verdict(make_judged(n_days=39), gates).says == "PASS"


@pytest.mark.parametrize("text", ['{"min_session": 10}', '{"max_accuracy": 2}', "{", "[]"])
def test_file_with_unknown_or_impossible_gates_is_refused_with_the_known_ones(tmp_path, text):
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(ValueError, match=r"expected some of min_rows, .*max_sharpe"):
        read_gates(tmp_path / "g.json")
