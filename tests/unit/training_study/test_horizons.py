"""The same rows at several horizons: matched one to one, paid as a position would be."""

from dataclasses import replace

import numpy as np
import pytest

from stream.errors import Refused
from tests.unit.training_study.planted import make_tables
from training.costs import YEAR_US
from training.errors import TrainingRefused
from training.label_rules import label_rule
from training.splits import SplitRule, refuse_leaky, walk_forward
from training.study.folds import checked_folds
from training.study.horizons import joined, studied_rules

SHORT = SplitRule(n_folds=2, tune=0.1, choose=0.0, judge=0.2)


def names(rules):
    return [rule.horizon for rule in rules]


def test_one_horizon_of_each_length_is_studied_the_shortest_first():
    assert names(studied_rules("intraday")) == ["30m", "1d", "2w"]
    assert names(studied_rules("daily")) == ["1d", "2w"]
    assert names(studied_rules("intraday", ["24h", "30m"])) == ["30m", "24h"]


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (["30m"], "expected two or more to compare, got 30m"),
        (["30m", "30m"], "expected two or more"),
        (["30m", "5d"], "expected one of 30m"),
        (["30m", "30m-barrier"], "30m-barrier: expected one that can be traded"),
    ],
)
def test_horizons_that_cannot_be_compared_are_refused(chosen, says):
    with pytest.raises(Refused, match=says):
        studied_rules("intraday", chosen)


def test_rows_without_a_label_at_every_horizon_are_left_out_and_counted():
    day, weeks = make_tables(n=400)
    mature = day.as_of_us < np.quantile(day.as_of_us, 0.9)
    found = joined([replace(weeks.take(mature), counts={"unmatured": 40}), day])
    assert found.names == ("1d", "2w")
    assert np.array_equal(found.rows.as_of_us, day.as_of_us[mature])
    assert np.array_equal(found.forward_return[:, 1], weeks.forward_return[mature])
    assert found.counts == {
        "2w: unmatured": 40,
        "labelled at some horizons only": int((~mature).sum()),
    }


def test_articles_of_one_moment_keep_their_order():
    tables = [
        replace(each, as_of_us=np.repeat(each.as_of_us[::4], 4), symbol=np.full(len(each), "AAA"))
        for each in make_tables(n=400)
    ]
    found = joined(tables)
    assert len(found) == 400
    for h, each in enumerate(tables):
        assert np.array_equal(found.forward_return[:, h], each.forward_return)


def test_pay_is_what_a_position_keeps_over_the_risk_of_its_horizon():
    found = joined(make_tables(n=50))
    side = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 50)
    pay = found.pay(side)
    for i in range(50):
        for h, rule in enumerate(found.rules):
            kept = side[i] * found.forward_return[i, h] - abs(side[i]) * rule.cost
            kept -= 0.005 * rule.horizon_us / YEAR_US * (side[i] < 0)
            # make_table enters a minute after as_of, and so exits later by it.
            assert pay[i, h] == pytest.approx(kept / max(found.unit[i, h], rule.cost), abs=1e-6)


def test_one_horizon_with_labels_is_refused_with_what_the_others_lack():
    day, weeks = make_tables(n=100)
    none = replace(weeks.take(np.zeros(100, dtype=bool)), counts={"no volatility": 100})
    with pytest.raises(TrainingRefused, match=r"100 at 1d, 0 at 2w \(2w: no volatility 100\)"):
        joined([day, none])


def test_tables_of_other_features_or_of_one_horizon_are_refused():
    day, weeks = make_tables(n=100)
    with pytest.raises(TrainingRefused, match="different horizons, got two of 1d"):
        joined([day, day])
    with pytest.raises(TrainingRefused, match="sentiment model: expected the same at 1d and 2w"):
        joined([day, replace(weeks, sentiment_model="other")])
    with pytest.raises(Refused, match="2w-barrier"):
        joined([day, replace(weeks, rule=label_rule("daily", "2w-barrier"))])


def test_purging_by_the_shorter_label_leaks_and_is_found():
    found = joined(make_tables(n=600))
    as_of, first, last = found.rows.as_of_us, found.exit_us[:, 0], found.last_exit_us
    leaky, _ = walk_forward(as_of, first, SHORT, embargo_us=0)
    refuse_leaky(leaky[0].fit, leaky[0].judge, as_of, first)
    with pytest.raises(TrainingRefused, match=r"\[as_of, exit\] meets no test row's"):
        refuse_leaky(leaky[0].tune, leaky[0].judge, as_of, last)
    for fold in checked_folds(as_of, last, SHORT, "rows"):
        refuse_leaky(np.concatenate([fold.fit, fold.tune]), fold.judge, as_of, last)


def test_a_history_short_against_its_longest_label_names_the_block():
    found = joined(make_tables(n=600, n_days=20))
    with pytest.raises(TrainingRefused, match=r"rows, fold 1 of 2, block 'fit': expected at le"):
        checked_folds(found.rows.as_of_us, found.last_exit_us, SHORT, "rows")
