"""Dead letters on the terminal and as JSON; nothing of a stranger's reaches either unescaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.cli.escaped import escaped, hex_dump, readable, short
from stream.deadletters.letter import Fate, Letter
from stream.deadletters.replay import Replayed

_SHORT_REASON = 100
_SHORT_KEY = 24


class Known(NamedTuple):
    """One letter with all that is stored of it."""

    letter: Letter
    payload: bytes
    history: list[Fate]
    replay_of: str | None
    died_again: list[str]


def print_list(letters: Sequence[Letter], total: int, *, as_json: bool) -> None:
    """A table, and how many more there are."""
    if as_json:
        more = total - len(letters)
        print(json.dumps({"letters": [_plain(each) for each in letters], "more": more}))
        return
    table = Table()
    for column, wraps in (
        ("name", False), ("when (UTC)", False), ("role", False), ("source", False),
        ("key", True), ("reason", True), ("fate", False),
    ):  # fmt: skip
        table.add_column(column, no_wrap=not wraps, overflow="fold")
    for each in letters:
        table.add_row(
            Text(each.name),
            Text(_when(each.kafka_ts)),
            Text(escaped(each.role)),
            Text(escaped(each.source)),
            Text(_cut(short(each.key), _SHORT_KEY)),
            Text(_cut(escaped(each.reason), _SHORT_REASON)),
            Text(each.fate),
        )
    console = Console(highlight=False)
    console.print(table)
    if total > len(letters):
        console.print(f"{total - len(letters):,} more; --limit shows them, --by reason counts them")


def print_groups(groups: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A table of counts; a reason's numbers are #."""
    if as_json:
        print(json.dumps({"groups": list(groups)}, default=_iso))
        return
    table = Table()
    for column in groups[0] if groups else ("n",):
        table.add_column(column, overflow="fold")
    for group in groups:
        table.add_row(*(Text(_cell(value)) for value in group.values()))
    Console(highlight=False).print(table)


def print_letter(known: Known, *, as_json: bool) -> None:
    """All of a letter; the payload as text where it is UTF-8, else as a hex dump."""
    letter, payload = known.letter, known.payload
    if as_json:
        print(
            json.dumps(
                {
                    **_plain(letter),
                    "payload": _text(payload),
                    "payload_base64": base64.b64encode(payload).decode(),
                    "replay_of": known.replay_of,
                    "died_again": known.died_again,
                    "history": msgspec.to_builtins(known.history),
                },
            )
        )
        return
    size = f"{letter.n_bytes:,} bytes"
    if letter.n_kept < letter.n_bytes:
        size += f", the first {letter.n_kept:,} kept"
    lines = {
        "letter": letter.name,
        "fate": letter.fate,
        "when": _when(letter.kafka_ts),
        "role": escaped(letter.role),
        "source": f"{escaped(letter.source)} of {_when(letter.source_kafka_ts)}",
        "key": "none" if letter.key is None else short(letter.key),
        "reason": escaped(letter.reason),
        "replay of": known.replay_of,
        "died again as": ", ".join(known.died_again),
        "payload": size,
    }
    for name, line in lines.items():
        if line:
            print(f"{name:<14} {line}")
    text = readable(payload)
    print(hex_dump(payload) if text is None else text)
    for step in known.history:
        print(_step(step))


def replayed(results: Sequence[Replayed]) -> dict[str, Any]:
    """For JSON: what was sent where, and what was left with its reason."""
    return {
        "replayed": {each.letter: each.to for each in results if each.to is not None},
        "left": {each.letter: each.why for each in results if each.to is None},
    }


def _step(step: Fate) -> str:
    line = f"{_when(step.at)} {step.fate} by {escaped(step.actor)}"
    if step.to_partition is not None:
        line += f" to {step.to_partition}:{step.to_offset}"
    return line + "".join(f": {escaped(why)}" for why in (step.reason, step.error) if why)


def _plain(letter: Letter) -> dict[str, Any]:
    key = letter.key
    return {
        **msgspec.to_builtins(letter),
        "key": None if key is None else _text(key),
        "key_base64": None if key is None else base64.b64encode(key).decode(),
    }


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return _when(value)
    return f"{value:,}" if isinstance(value, int) else escaped(str(value))


def _cut(text: str, at: int) -> str:
    return text if len(text) <= at else f"{text[: at - 1]}…"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _iso(value: datetime) -> str:
    return value.isoformat()
