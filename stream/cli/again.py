"""The command that does the same again in another shell."""

from __future__ import annotations

import shlex

from stream.scoring.agent import policy_of
from stream.settings import Settings


def again(settings: Settings, *words: str) -> str:
    """`tapewire` with `words`, after the settings that change what is learnt."""
    given = [
        f"TAPEWIRE_{name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name, field in Settings.model_fields.items()
        if name == "namespace"
        or policy_of(settings.model_copy(update={name: field.default})) != policy_of(settings)
    ]
    return " ".join([*given, "tapewire", *map(shlex.quote, words)])
