"""Timing: the horizon that was planted to pay is found; where none was, nothing is claimed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training_study.planted import make_tables
from training.errors import TrainingRefused
from training.study.horizons import joined
from training.study.timing import NONE, classes_of, timing
from training.study.timing_judged import ADVISED, OR_NONE, judge_timing
from training.study.timing_report import html_report


@pytest.fixture(scope="module")
def planted():
    return timing(joined(make_tables()), seed=0)


@pytest.fixture(scope="module")
def found(planted):
    return judge_timing(planted, seed=0)


def line(found, name):
    return next(each for each in found.lines if each.name == name)


def test_class_is_what_paid_most_the_first_of_equals_or_none():
    pay = np.array([[0.1, 0.3], [0.2, 0.2], [-0.1, -0.2], [0.0, 0.0], [-1.0, 0.1]])
    assert classes_of(pay).tolist() == [2, 1, NONE, NONE, 2]


def test_a_regime_that_decides_the_horizon_is_found_and_pays(planted, found):
    soon = planted.horizons.rows.x[:, 1] > 0.0
    assert planted.advised[soon].mean() < 0.2 < 0.8 < planted.advised[~soon].mean()
    assert found.gained.low > 0.01
    assert line(found, found.best).advice_adds.low > 0.05
    assert found.verdict.says == "PASS"
    assert "clear of zero, above" in found.sentence


def test_shares_and_pay_are_those_of_a_naive_count(planted, found):
    pays = [planted.pay[i, h] for i, h in enumerate(planted.advised)]
    assert line(found, ADVISED).paid == pytest.approx(np.mean([pay > 0.0 for pay in pays]))
    days = planted.horizons.held_us[:, 1] / 86_400_000_000
    assert line(found, "2w").a_day == pytest.approx(planted.pay[:, 1].sum() / days.sum())
    assert found.most["none"] == np.mean(planted.pay.max(axis=1) <= 0.0)
    assert sum(found.most.values()) == pytest.approx(1.0)


def test_where_one_horizon_pays_more_always_the_advice_does_no_worse():
    found = judge_timing(timing(joined(make_tables(regime=False)), seed=0), seed=0)
    assert found.best == "2w"
    assert line(found, "2w").advice_adds.high > -0.02
    assert found.lead.low > 0.0


def test_chance_pays_at_no_horizon_and_is_stayed_out_of():
    found = judge_timing(timing(joined(make_tables(effect=0.0, n=3_000)), seed=0), seed=0)
    assert found.gained.low <= 0.0
    assert line(found, found.best).pay.low < 0.0
    assert line(found, OR_NONE).share < 0.3
    assert found.verdict.says != "PASS"


def test_what_comes_later_changes_nothing_that_was_said_before(planted):
    tables = make_tables()
    last = planted.fold == 2
    begins = planted.horizons.rows.as_of_us[last].min()
    later = tables[0].as_of_us >= begins
    changed = [
        replace(each, forward_return=np.where(later, -each.forward_return, each.forward_return))
        for each in tables
    ]
    again = timing(joined(changed), seed=0)
    assert np.array_equal(again.p[~last], planted.p[~last])
    assert np.array_equal(again.expected[~last], planted.expected[~last])
    assert not np.array_equal(again.pay[last], planted.pay[last])


def test_rows_of_one_class_are_refused():
    flat = [replace(each, forward_return=np.zeros(len(each))) for each in make_tables(n=2_000)]
    with pytest.raises(TrainingRefused, match="expected bearish, neutral and bullish rows"):
        timing(joined(flat), seed=0)


def test_the_page_says_what_was_found_and_how_to_get_it_again(planted, found):
    page = html_report(found, planted, "tapewire study timing --seed 0")
    body = page[page.index("<h1>") :]
    assert found.sentence in body
    assert "it promotes nothing" in body
    told = [body.index(part) for part in ("sessions judged", "Which horizon pays", "--seed 0")]
    assert told == sorted(told)
