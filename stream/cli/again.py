"""The command that does the same again in another shell."""

from __future__ import annotations

import shlex

from stream.scoring.configured import policy_of
from stream.settings import Settings


def again(settings: Settings, *words: str, **options: object) -> str:
    """`tapewire` with `words` and options, after the settings that change what is learnt.

    Parameters
    ----------
    options : True for a flag, None for what was not given.
    """
    given = [
        f"TAPEWIRE_{name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name, field in Settings.model_fields.items()
        if name == "namespace"
        or policy_of(settings.model_copy(update={name: field.default})) != policy_of(settings)
    ]
    more = []
    for name, value in options.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            more += [flag] if value is True else [flag, str(value)]
    return " ".join([*given, "tapewire", *map(shlex.quote, [*words, *more])])
