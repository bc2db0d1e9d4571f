"""How much each feature did in an artifact's trees: their splits' gains, shared out."""

from __future__ import annotations

from math import fsum

from models.artifact import Artifact, Member


def importances(artifact: Artifact) -> dict[str, float]:
    """Each feature's mean share of the gain over the members, largest first; unused ones not.

    Sums to 1; empty where no tree splits.
    """
    names = artifact.feature_names
    gains = [each for member in artifact.members if (each := _gains(member))]
    shares = {
        names[i]: fsum(each.get(i, 0.0) / fsum(each.values()) for each in gains) / len(gains)
        for i in {i for each in gains for i in each}
    }
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _gains(member: Member) -> dict[int, float]:
    """The gain of all splits by feature number, out of LightGBM's text."""
    found: dict[int, float] = {}
    features: list[str] = []
    for line in member.text.splitlines():
        key, _, values = line.partition("=")
        if key == "split_feature":
            features = values.split()
        elif key == "split_gain":
            for feature, gain in zip(features, values.split(), strict=True):
                found[int(feature)] = found.get(int(feature), 0.0) + float(gain)
    return found if any(found.values()) else {}
