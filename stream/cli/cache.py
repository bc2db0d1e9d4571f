"""Verbs about the scores that Redis keeps: cache stats, invalidate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.cli.run import JsonFlag
from stream.errors import Unavailable
from stream.settings import read_settings

if TYPE_CHECKING:
    from stream.sentiment.stored_scores import StoredScores

cache = typer.Typer(help="Scores that Redis keeps: stats, invalidate.", no_args_is_help=True)

_REACH_S = 5.0


@cache.command()
def stats(as_json: JsonFlag = False) -> None:
    """Stored scores by model, and the server's own hits, misses, memory and evictions.

    Example: tapewire cache stats --json
    """
    with _scores() as stored:
        scores, server = stored.count(), stored.server()
    if as_json:
        print(json.dumps({"scores": dict(sorted(scores.items())), "server": server}))
        return
    table = Table("what", "value")
    for model, n in sorted(scores.items()):
        table.add_row(f"scores of {model}", f"{n:,}")
    for name, value in server.items():
        table.add_row(f"server: {name}", "" if value is None else str(value))
    Console().print(table)


@cache.command()
def invalidate(
    symbol: Annotated[str | None, typer.Option(help="Only texts about this symbol.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's, as stats names it.")] = None,
) -> None:
    """Forget stored scores, all or some, and print how many; the model scores those texts again.

    Example: tapewire cache invalidate --symbol AAPL
    """
    with _scores() as stored:
        print(stored.invalidate(symbol=symbol, model=model))


@contextmanager
def _scores() -> Iterator[StoredScores]:
    import redis

    from stream.sentiment.cache import stored_scores

    stored = stored_scores(read_settings(), _REACH_S)
    try:
        yield stored
    except (redis.RedisError, OSError) as error:
        raise Unavailable(f"TAPEWIRE_REDIS: {error}") from None
    finally:
        stored.close()
