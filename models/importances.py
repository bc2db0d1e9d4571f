"""How much each feature does in an artifact's members that tell the direction."""

from __future__ import annotations

from models.artifact import CLASSES, Artifact, Member
from models.linear import LinearModel


def importances(artifact: Artifact) -> dict[str, float]:
    """Each feature's share, largest first; those that do nothing are left out.

    Of trees the gain of their splits, of linear members the absolute coefficients; the members
    count by their weights, those of a scope not at all. Sums to 1; empty where nothing does
    anything: a sequence member reads no feature.
    """
    total: dict[int, float] = {}
    for member in artifact.of("direction"):
        if member.scope is not None:
            continue
        moved = _moved(member, len(artifact.feature_names))
        if (of_all := sum(moved.values())) > 0.0:
            for feature, own in moved.items():
                total[feature] = total.get(feature, 0.0) + member.weight * own / of_all
    of_all = sum(total.values())
    shares = {artifact.feature_names[i]: own / of_all for i, own in total.items() if own > 0.0}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _moved(member: Member, n_features: int) -> dict[int, float]:
    if member.format == "sequence":
        return {}
    if member.format == "linear":
        line = LinearModel(member.text, n_features, len(CLASSES))
        return dict(enumerate(abs(line.coefficients).sum(axis=0).tolist()))
    return _gains(member.text)


def _gains(text: str) -> dict[int, float]:
    """The gain of all splits by feature number, out of LightGBM's text: its wheel takes 1.7 s."""
    found: dict[int, float] = {}
    features: list[str] = []
    for line in text.splitlines():
        key, _, values = line.partition("=")
        if key == "split_feature":
            features = values.split()
        elif key == "split_gain":
            for feature, gain in zip(features, values.split(), strict=True):
                found[int(feature)] = found.get(int(feature), 0.0) + float(gain)
    return found
