"""The look-ahead check is silent on our features and names one that reads past its cut."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import pytest

from stream.datasets.synthetic import generate
from stream.features.groups import Feature, Group, Values
from stream.features.vector import FEATURE_SETS
from stream.features.view import View
from tests.factories import policy
from tests.history import stored_history
from training.lookahead import LookAhead, look_ahead


def looked(seed: int) -> LookAhead:
    history = stored_history(generate(3, 1.0, n_symbols=2, n_sessions=2), 1)
    return look_ahead(history, policy(news_waits_for_time=True), seed=seed, share=0.05)


def future_return(view: View) -> Values:
    """The label as a feature: from the newest close at the cut to the newest there is."""
    ends, closes = view.panes.ends, view.panes.closes
    known = bisect_right(ends, view.cut)
    return [closes[-1] / closes[known - 1] - 1.0 if known else None]


def newest_polarity(view: View) -> Values:
    return [view.news.polarities[-1] if view.news.polarities else None]


def test_our_features_do_not_look_ahead() -> None:
    found = looked(seed=5)
    assert found.moments > 30
    assert found.moved == []


@pytest.mark.parametrize("cheat", [future_return, newest_polarity])
def test_a_feature_that_reads_past_its_cut_is_named(
    cheat: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cheat.__name__  # type: ignore[attr-defined]
    group = Group((Feature(name, "1", "all", "(-inf, inf)", "never"),), cheat)  # type: ignore[arg-type]
    honest = FEATURE_SETS["intraday"]
    monkeypatch.setitem(FEATURE_SETS, "intraday", replace(honest, groups=(*honest.groups, group)))
    found = looked(seed=5)
    assert found.features == [name]
    assert {each.after for each in found.moved} == {"the events that came", "noise"}
