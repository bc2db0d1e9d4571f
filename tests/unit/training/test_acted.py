"""What acting on judged rows keeps: the rows of actionable signals, and nothing of others."""

import numpy as np
import pytest

from tests.unit.training.judgements import make_judged
from tests.unit.training.test_train_model import make_table
from training.acted import HEAD, kept, sides
from training.costs import COSTS_BPS

YEAR_US = 365 * 86_400_000_000


def test_a_side_needs_the_likeliest_class_and_the_threshold():
    p = np.array([[0.1, 0.3, 0.6], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4], [0.2, 0.3, 0.5],
                  [0.4, 0.2, 0.4]])  # fmt: skip
    judged = make_judged(n=5, p=p)
    assert sides(judged, 0.55).tolist() == [1, -1, 0, 0, 0]
    assert sides(judged, 0.3).tolist() == [1, -1, 0, 1, 0]


def test_what_is_kept_equals_a_loop_over_rows():
    rows = make_table(n=600)
    judged = make_judged(skill=1.0, n=500, row=np.arange(50, 550))
    threshold = 0.45
    earned = {"both": [], "long": [], "short": []}
    for i, (bearish, neutral, bullish) in enumerate(judged.p):
        if max(bearish, bullish) < max(threshold, neutral):
            continue
        side = 1 if bullish > bearish else -1
        held = rows.exit_us[50 + i] - rows.entry_us[50 + i]
        gross = side * judged.forward_return[i] - (side < 0) * 0.005 * held / YEAR_US
        earned["both"].append(gross)
        earned["long" if side > 0 else "short"].append(gross)
    lines = kept(judged, rows, threshold)
    assert len(lines[0]) == len(HEAD)
    for name, n, *means, even in lines:
        assert int(n) == len(earned[name]) > 30
        gross = 1e4 * np.mean(earned[name])
        told = [float(each.removesuffix(" bp")) for each in (*means, even)]
        expected = [gross - 2 * bps for bps in COSTS_BPS] + [gross / 2]
        assert told == pytest.approx(expected, abs=0.006)


def test_a_model_that_never_acts_keeps_nothing():
    lines = kept(make_judged(n=500), make_table(n=600), threshold=1.0)
    assert [line[1] for line in lines] == ["0", "0", "0"]
    assert {cell for line in lines for cell in line[2:]} == {"none"}
