"""Verbs for dead letters: dlq list, show, replay, drop."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from stream.cli import dlq_show
from stream.cli.escaped import escaped
from stream.cli.role import ROLES
from stream.cli.run import JsonFlag
from stream.cli.times import utc_micros
from stream.deadletters.letter import SOURCES, Letter
from stream.deadletters.replay import replay as send_back
from stream.deadletters.source import Source
from stream.deadletters.store import GROUPS, Letters, Wanted, open_letters
from stream.errors import Refused
from stream.events import moment
from stream.settings import Settings, read_settings

EXIT_LEFT = 2
FATES = ("open", "replaying", "replayed", "dropped", "all")

dlq = typer.Typer(help="Dead letters: list, show, replay, drop.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="PARTITION:OFFSET, as list shows it.")]
Names = Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET, as list shows it.")]
Role = Annotated[str | None, typer.Option(help="Who wrote the letter.")]
Topic = Annotated[str | None, typer.Option(help=f"Source: one of {', '.join(SOURCES)}.")]
Reason = Annotated[str | None, typer.Option(help="A part of the reason, in any case.")]
Since = Annotated[datetime | None, typer.Option(help="Letters from here on (UTC).")]
Until = Annotated[datetime | None, typer.Option(help="Letters before this (UTC).")]
FateOption = Annotated[str, typer.Option(help=f"One of {', '.join(FATES)}.")]
Force = Annotated[bool, typer.Option("--force", help="Also what has a fate already.")]


@dlq.command("list")
def list_letters(
    role: Role = None,
    topic: Topic = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    fate: FateOption = "open",
    by: Annotated[
        list[str] | None, typer.Option(help=f"Count instead, by {', '.join(GROUPS)}.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """The newest dead letters that nobody replayed or dropped yet; counts with --by.

    Without TAPEWIRE_DATABASE it reads the last demo's.

    Example: tapewire dlq list --topic ticks --reason price
    """
    wanted = _wanted(role, topic, reason, since, until, fate)
    for group in by or ():
        if group not in GROUPS:
            raise Refused(f"--by: expected one of {', '.join(GROUPS)}, got {group!r}")
    with _stored() as letters:
        if by:
            groups = letters.count_by(wanted, list(dict.fromkeys(by)))
        else:
            found, total = letters.newest(wanted, limit)
    if by:
        dlq_show.print_groups(groups, as_json=as_json)
    else:
        dlq_show.print_list(found, total, as_json=as_json)


@dlq.command()
def show(name: Name, as_json: JsonFlag = False) -> None:
    """All of one letter: its record's bytes, place and reason, and what was done with it.

    Example: tapewire dlq show 2:17
    """
    with _stored() as letters:
        letter = letters.find(name)
        known = dlq_show.Known(
            letter=letter,
            payload=letters.payload(letter),
            history=letters.history(letter),
            replay_of=letters.replay_of(letter),
            died_again=letters.died_again(letter),
        )
    dlq_show.print_letter(known, as_json=as_json)


@dlq.command()
def replay(
    names: Names = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that the filters find, instead of names.")
    ] = False,
    role: Role = None,
    topic: Topic = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    fate: FateOption = "open",
    force: Force = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Send the records of letters to their topics again, each once; 2 if any was left.

    Its key and bytes go to its key's partition, with headers that say of what it is a replay.

    Example: tapewire dlq replay --all --topic ticks --reason "topic `instruments` names"
    """
    settings = _real("broker", "database")
    filters = (role, topic, reason, since, until)
    if bool(names) == everything:
        raise Refused("dlq replay: expected either names of letters or --all")
    if names and (any(each is not None for each in filters) or fate != "open"):
        raise Refused("dlq replay: expected filters beside --all only")
    with _letters_of(settings) as letters:
        if names:
            chosen = _named(letters, names)
        else:
            chosen = letters.newest(_wanted(*filters, fate), None)[0][::-1]
            _ask(chosen, yes)
        source = Source(settings)
        try:
            results = []
            for result in send_back(letters, source, chosen, actor=_actor(), force=force):
                results.append(result)
                if not as_json:
                    went = result.to and f"{result.source} -> {result.to}"
                    _tell(result.letter, went, result.why)
        finally:
            source.close()
    if as_json:
        print(json.dumps(dlq_show.replayed(results)))
    if any(result.to is None for result in results):
        raise typer.Exit(EXIT_LEFT)


@dlq.command()
def drop(
    names: Annotated[list[str], typer.Argument(help="PARTITION:OFFSET, as list shows it.")],
    reason: Annotated[str, typer.Option(help="Kept in the letter's history.")] = "",
    force: Force = False,
    as_json: JsonFlag = False,
) -> None:
    """Let list show these letters no more; they stay stored. 2 if any was left.

    Example: tapewire dlq drop 2:17 2:18 --reason "test feed"
    """
    settings = _real("database")
    with _letters_of(settings) as letters:
        chosen = _named(letters, names)
        begun, refused = letters.begin(
            chosen, "dropped", actor=_actor(), reason=reason, force=force
        )
    if as_json:
        print(json.dumps({"dropped": list(begun), "left": refused}))
    else:
        for letter in chosen:
            done = "dropped" if letter.name in begun else None
            _tell(letter.name, done, refused.get(letter.name, ""))
    if refused:
        raise typer.Exit(EXIT_LEFT)


def _wanted(
    role: str | None,
    topic: str | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    fate: str,
) -> Wanted:
    for option, given, known in (
        ("--role", role, ROLES),
        ("--topic", topic, SOURCES),
        ("--fate", fate, FATES),
    ):
        if given is not None and given not in known:
            raise Refused(f"{option}: expected one of {', '.join(known)}, got {given!r}")
    since_us, until_us = utc_micros(since), utc_micros(until)
    return Wanted(
        role=role,
        topic=topic,
        reason=reason,
        since=None if since_us is None else moment(since_us),
        until=None if until_us is None else moment(until_us),
        fate=fate,  # type: ignore[arg-type]
    )


@contextmanager
def _stored() -> Iterator[Letters]:
    from stream.cli.last_demo import stored_database

    with stored_database(read_settings()) as (dsn, schema):
        with open_letters(dsn, schema) as letters:
            yield letters


@contextmanager
def _letters_of(settings: Settings) -> Iterator[Letters]:
    with open_letters(settings.database.get_secret_value(), settings.namespace) as letters:
        yield letters


def _real(*needed: str) -> Settings:
    """The settings. Raises Refused where they do not name servers that outlive a demo."""
    settings = read_settings()
    given = settings.model_fields_set
    missing = [f"TAPEWIRE_{name.upper()}" for name in needed if name not in given]
    if missing:
        raise Refused(
            f"expected {' and '.join(missing)}, found none: a demo's letters can be listed and "
            "shown, not replayed or dropped"
        )
    return settings


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _named(letters: Letters, names: Sequence[str]) -> list[Letter]:
    return [letters.find(name) for name in dict.fromkeys(names)]


def _ask(chosen: Sequence[Letter], yes: bool) -> None:
    by_topic = Counter(letter.source_topic for letter in chosen)
    console = Console(stderr=True, highlight=False)
    for topic, n in sorted(by_topic.items()):
        console.print(f"{n:,} to {escaped(topic)}", markup=False)
    if not chosen:
        console.print("no such letters")
    elif not yes:
        if not sys.stdin.isatty():
            raise Refused("dlq replay --all: expected --yes where nobody can be asked")
        typer.confirm(f"Replay {len(chosen):,} letters?", abort=True, err=True)


def _tell(name: str, done: str | None, why: str) -> None:
    if done:
        print(f"{name} {done}")
    else:
        Console(stderr=True, highlight=False).print(
            f"tapewire: letter {name}: {escaped(why)}",
            markup=False,
            soft_wrap=True,
        )
