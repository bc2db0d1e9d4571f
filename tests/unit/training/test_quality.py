"""Data that cannot be learnt from is named, each way it can be broken."""

import msgspec
import numpy as np
import pytest

from models.artifact import Reference
from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from tests.unit.training.test_train_model import make_table
from training.gates import Gates
from training.quality import NewsFacts, quality

GOOD = NewsFacts(articles=1_000, textless=10, scored=900, zero=100, neutral=500)


def sound(**changes):
    draw = np.random.default_rng(0)
    return make_table(**{"x": draw.normal(size=(4_000, 4)), **changes})


def say(rows, news=GOOD, names=("news",), champion=None):
    checks = quality(rows, news, names, champion, Gates())
    return {each.name.removeprefix("data: "): each for each in checks if each.says != "PASS"}


def test_sound_data_passes():
    assert say(sound()) == {}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"textless": 51}, "articles without text"),
        ({"zero": 900}, "scores that are zero"),
        ({"neutral": 900}, "scores that are neutral"),
        ({"scored": 0}, "scored articles"),
    ],
)
def test_broken_news_fails(changes, name):
    found = say(sound(), msgspec.structs.replace(GOOD, **changes))
    assert {key: each.says for key, each in found.items()} == {name: "FAIL"}


def test_history_without_news_is_no_fault():
    x = sound().x.copy()
    x[:, 0] = 0.0
    assert say(sound(x=x), NewsFacts()) == {}
    assert say(sound(x=x))["constant features"].note == "news"


def test_constant_feature_fails_and_its_name_is_told():
    x = sound().x.copy()
    x[:, 2] = 1.0
    check = say(sound(x=x))["constant features"]
    assert (check.says, check.note) == ("FAIL", "constant")


def test_some_features_may_be_without_a_value_but_not_many():
    x = sound().x.copy()
    x[:, 3] = np.nan
    assert say(sound(x=x)) == {}
    x[:, 2] = np.nan
    check = say(sound(x=x))["features without a value"]
    assert (check.says, check.note, check.short_history) == ("WARN", "constant, never", True)


def test_feature_that_is_only_there_or_missing_is_no_constant():
    x = sound().x.copy()
    x[:, 1] = 1.0
    x[::2, 1] = np.nan
    assert say(sound(x=x)) == {}


def test_duplicated_feature_fails_and_names_its_twin():
    x = sound().x.copy()
    x[::3, 0] = np.nan
    x[:, 2] = x[:, 0]
    assert say(sound(x=x))["duplicated features"].note == "constant = news"


def test_share_of_rows_without_news_far_from_the_champions_fails():
    rows, shift = sound(), "share of rows without news, from the champion's"
    for missing, expected in ((0.2, {}), (0.5, {"FAIL": ("news", 0.5)})):
        reference = tuple(Reference(missing=missing, quantiles={}) for _ in rows.feature_names)
        champion = make_artifact(boosters(), feature_names=rows.feature_names, reference=reference)
        found = say(rows, champion=champion)
        assert {c.says: (c.note, c.value) for c in found.values()} == expected
        assert set(found) <= {shift}
