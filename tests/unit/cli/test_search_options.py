"""Options of a search: what they ask for, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.again import again
from stream.cli.search import Search, seconds
from stream.errors import Refused
from stream.settings import Settings
from training.tune import Tuning


def chooser(search: Search, folder: Path) -> object:
    settings = Settings(data_dir=folder, namespace="here")
    with search.chooser(settings, 3, lambda step, share: None) as found:
        return found


@pytest.mark.parametrize(("given", "means"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_a_time_is_read_in_its_unit(given: str, means: float) -> None:
    assert seconds(given) == means


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search("catboost"), "learner 'catboost': expected one of"),
        (Search(tune="30"), "expected a time such as 90s, 30m or 2h, got '30'"),
        (Search(resume=True), "--resume: expected --tune too"),
        (Search("linear", dask="tcp://127.0.0.1:1"), "--dask: expected --learner lightgbm"),
    ],
)
def test_a_wrong_option_is_refused(search: Search, message: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=message):
        chooser(search, tmp_path)


def test_trials_are_kept_by_namespace_in_the_data_folder(tmp_path: Path) -> None:
    tuning = chooser(Search("lightgbm+linear", "1h", resume=True), tmp_path)
    assert isinstance(tuning, Tuning)
    assert tuning.path == tmp_path / "studies" / "here.log"
    assert tuning.path.parent.is_dir()
    assert (tuning.resume, tuning.seed) == (True, 3)
    assert tuning.spent() == 0.0
    assert 0.0 < tuning.spent() < 0.5


def test_the_target_reaches_every_recipe_and_the_command_again(tmp_path: Path) -> None:
    plain = chooser(Search(target="relative"), tmp_path)
    assert callable(plain)
    recipe, n_trials = plain(None, 0, 1)
    assert (recipe.target, recipe.changed({"keep": 0.5}).target) == ("relative", "relative")
    assert n_trials == 0
    tuning = chooser(Search(tune="1h", target="scaled"), tmp_path)
    assert isinstance(tuning, Tuning)
    assert tuning.recipe.target == "scaled"
    command = again(Settings(namespace="here"), "retrain", **Search(target="scaled").options)
    assert command == "TAPEWIRE_NAMESPACE=here tapewire retrain --target scaled"


def test_no_time_is_spent_from_the_beginning(tmp_path: Path) -> None:
    tuning = chooser(Search(tune="0m", resume=True), tmp_path)
    assert isinstance(tuning, Tuning)
    assert tuning.spent() == 1.0


@pytest.mark.parametrize("tune", [None, "0m"])
def test_sectors_may_have_their_own_models_with_and_without_tuning(
    tune: str | None, tmp_path: Path
) -> None:
    for per_sector in (False, True):
        found = chooser(Search("linear", tune, per_sector=per_sector), tmp_path)
        recipe = found.recipe if isinstance(found, Tuning) else found(None, 0, 1)[0]  # type: ignore[operator]
        assert recipe.per_sector is per_sector
    command = again(Settings(), "retrain", **Search(per_sector=True).options)
    assert command.endswith("tapewire retrain --per-sector")


def test_the_command_again_searches_no_more() -> None:
    command = again(Settings(namespace="here"), "retrain", **Search("linear", "30m").options)
    assert command == "TAPEWIRE_NAMESPACE=here tapewire retrain --learner linear --tune 0m --resume"
