"""A built dataset as the table that training takes."""

from __future__ import annotations

from pathlib import Path

from stream.errors import Refused
from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy
from training.dataset.columns import from_arrow, joined
from training.dataset.manifest import Manifest, differences, read_manifest
from training.dataset.parts import read_part
from training.labels import LABEL_RULES
from training.rows import TrainingTable


def load_dataset(folder: Path, policy: Policy | None = None) -> TrainingTable:
    """The rows of a finished dataset, bit for bit those that were built.

    Parameters
    ----------
    policy : of the namespace that the model is for; None takes whatever the dataset holds.

    Raises
    ------
    Refused
        It is no dataset, unfinished or damaged, or it was built under another policy, feature set
        or label rule; says the difference.
    """
    manifest = manifest_of(folder)
    if policy is not None:
        _check_fits(folder, manifest, policy)
    return joined([_table(folder, manifest, each) for each in manifest.sizes])


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a dataset. Raises Refused where there is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise Refused(f"{folder}: expected a folder of tapewire dataset build, found no manifest")
    return manifest


def _table(folder: Path, manifest: Manifest, partition: int) -> TrainingTable:
    part, table = read_part(folder, manifest, partition)
    return from_arrow(
        table,
        feature_set=manifest.policy.feature_set,
        feature_set_version=manifest.policy.feature_set_version,
        feature_names=manifest.feature_names,
        sentiment_model=manifest.sentiment_model,
        rule=manifest.rule,
        counts=part.counts,
    )


def _check_fits(folder: Path, manifest: Manifest, policy: Policy) -> None:
    name = policy.feature_set
    found = (
        differences(manifest.policy, policy, "policy")
        + differences(manifest.rule, LABEL_RULES[name], "label rule")
        + differences(manifest.feature_names, FEATURE_SETS[name].names, "feature")
    )
    if found:
        raise Refused(f"{folder}: {'; '.join(found[:5])}; build a dataset under this policy")
