"""What two models do not share."""

from __future__ import annotations

from typing import Any

import msgspec

from models.artifact import Artifact, sha256_of


def differences(one: Artifact, other: Artifact) -> list[tuple[str, str, str]]:
    """(what, the one's, the other's) of each fact that differs, in the artifact's order."""
    a, b = _facts(one), _facts(other)
    return [
        (name, a.get(name, "none"), b.get(name, "none"))
        for name in dict.fromkeys((*a, *b))
        if a.get(name) != b.get(name)
    ]


def _facts(artifact: Artifact) -> dict[str, str]:
    """Every fact by its path; of members, feature order and reference distributions a digest."""
    fields = msgspec.to_builtins(artifact)
    digests = {
        f"{member['role']} model {member['learner']}{_scope(member['scope'])}": _digest(member)
        for member in fields.pop("members")
    }
    digests["prototypes"] = _digest(fields.pop("prototypes"))
    names, drawn = fields.pop("feature_names"), fields.pop("reference")
    del fields["version"]
    features = {f"feature {n}": _digest(each) for n, each in zip(names, drawn, strict=True)}
    return {**dict(_flat("", fields)), **digests, "feature order": _digest(names), **features}


def _scope(scope: dict[str, Any] | None) -> str:
    return "" if scope is None else f" of {', '.join(f'{value:g}' for value in scope['values'])}"


def _digest(value: Any) -> str:
    return sha256_of(msgspec.json.encode(value))[:12]


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            each
            for name, inner in value.items()
            for each in _flat(f"{prefix}.{name}".lstrip("."), inner)
        ]
    return [(prefix, "none" if value is None else str(value))]
