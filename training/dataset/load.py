"""A built dataset as the table that training takes."""

from __future__ import annotations

from pathlib import Path

from stream.errors import Refused
from stream.features.sequence import CHANNELS
from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy
from training.dataset.columns import joined
from training.dataset.manifest import Manifest, differences, read_manifest
from training.dataset.parts import read_rows
from training.label_rules import label_rule
from training.rows import TrainingTable


def load_dataset(
    folder: Path, policy: Policy | None = None, horizon: str | None = None
) -> TrainingTable:
    """The rows of a finished dataset, bit for bit those that were built.

    Parameters
    ----------
    policy, horizon : of the namespace and the labels that the model is for; no policy takes
        whatever the dataset holds.

    Raises
    ------
    Refused
        It is no dataset, unfinished or damaged, or it was built under another policy, feature set
        or label rule; says the difference.
    """
    manifest = manifest_of(folder)
    if policy is not None:
        _check_fits(folder, manifest, policy, horizon)
    parts = [manifest.part(each) for each in manifest.sizes]
    return joined([read_rows(folder, manifest, part) for part in parts])


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a dataset. Raises Refused where there is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise Refused(f"{folder}: expected a folder of tapewire dataset build, found no manifest")
    return manifest


def _check_fits(folder: Path, manifest: Manifest, policy: Policy, horizon: str | None) -> None:
    name = policy.feature_set
    found = (
        differences(manifest.policy, policy, "policy")
        + differences(manifest.rule, label_rule(name, horizon), "label rule")
        + differences(manifest.feature_names, FEATURE_SETS[name].names, "feature")
        + differences(manifest.channels or CHANNELS, CHANNELS, "channel")
    )
    if found:
        raise Refused(f"{folder}: {'; '.join(found[:5])}; build a dataset under this policy")
