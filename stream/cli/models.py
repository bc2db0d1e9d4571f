"""Verbs on the registry: models list, show, diff, promote, rollback, export, import."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from models.artifact import Artifact, ArtifactError
from models.differences import differences
from models.registry import Registry
from stream.cli.files import in_a_folder
from stream.cli.last_demo import stored
from stream.cli.run import JsonFlag
from stream.database import explained
from stream.errors import Refused, Unavailable
from stream.events import Alias, ModelChanged, encode
from stream.features.sequence import CHANNELS
from stream.settings import Settings, read_settings

models = typer.Typer(
    help="The registry: list, show, diff, promote, rollback, export, import.",
    no_args_is_help=True,
)
_NEWEST_SCORES = 1_000  # tell which sentiment model is at work
Version = Annotated[str, typer.Argument(help="As in models list.")]
AliasOption = Annotated[Alias, typer.Option(help="Who scores, or who scores in its shadow.")]
_NOBODY = {"champion": "none: the rules model", "challenger": "none"}


@models.command("list")
def list_models(as_json: JsonFlag = False) -> None:
    """Every stored model, newest first, with the aliases that name it.

    Example: tapewire models list
    """
    with stored(read_settings()) as settings, registry_of(settings) as registry:
        found = registry.list()
    if as_json:
        print(json.dumps(found, default=str))
        return
    table = Table("version", "created", "feature set", "horizon", "rows", "aliases")
    for one in found:
        table.add_row(
            one["version"],
            str(one["created_at"])[:19],
            one["feature_set"],
            one["horizon"],
            str(one["n_rows"]),
            ", ".join(one["aliases"]),
        )
    Console().print(table)


@models.command()
def show(version: Version) -> None:
    """One model's span, data, hyperparameters, importances, metrics and verdict as JSON.

    Example: tapewire models show 20260102T030405-1a2b3c4d
    """
    with stored(read_settings()) as settings, registry_of(settings) as registry:
        row = registry.show(version)
    by_share = sorted(row["importances"].items(), key=lambda item: -item[1])
    print(json.dumps(row | {"importances": dict(by_share)}, default=str, indent=2))


@models.command()
def diff(one: Version, other: Version, as_json: JsonFlag = False) -> None:
    """What two stored models do not share: span, metrics, features, wheels, settings.

    Example: tapewire models diff 20260102T030405-1a2b3c4d 20260109T030405-5e6f7a8b
    """
    with stored(read_settings()) as settings, registry_of(settings) as registry:
        found = differences(registry.load(one), registry.load(other))
    if as_json:
        print(json.dumps([{"what": what, one: a, other: b} for what, a, b in found]))
        return
    table = Table("", one, other)
    for row in found:
        table.add_row(*row)
    Console().print(table)


@models.command()
def promote(
    version: Version,
    alias: AliasOption = "champion",
    reason: Annotated[str, typer.Option(help="Kept in the audit.")] = "promoted by hand",
) -> None:
    """Make a stored model champion, or challenger; running workers swap between two chunks.

    Refused, with the difference, where it does not fit what this namespace scores: feature set,
    its version and names, and the sentiment model of the newest articles.

    Example: tapewire models promote 20260102T030405-1a2b3c4d --reason "better IC"
    """
    settings = read_settings()

    def check(artifact: Artifact) -> None:
        _check(settings, artifact)
        reach_broker(settings)

    with registry_of(settings) as registry:
        registry.promote(alias, version, getpass.getuser(), reason, check=check)
    announce(settings, alias)
    print(version)


@models.command()
def rollback(
    alias: AliasOption = "champion",
    reason: Annotated[str, typer.Option(help="Kept in the audit.")] = "rolled back by hand",
) -> None:
    """Put the champion, or challenger, before the present one back.

    Example: tapewire models rollback --reason "drift"
    """
    settings = read_settings()
    reach_broker(settings)
    with registry_of(settings) as registry:
        version = registry.rollback(alias, getpass.getuser(), reason)
        if version is not None:
            _warn_unless_fit(settings, registry.load(version))
    announce(settings, alias)
    print(version or _NOBODY[alias])


@models.command("export")
def export_model(
    version: Version,
    out: Annotated[Path, typer.Option(help="File to write.", callback=in_a_folder)],
    as_json: JsonFlag = False,
) -> None:
    """One model with its verdict as a file; prints the sha256 to import it by.

    Example: tapewire models export 20260102T030405-1a2b3c4d --out model.json
    """
    from models.exchange import exported

    with stored(read_settings()) as settings, registry_of(settings) as registry:
        artifact, row = registry.load(version), registry.show(version)
    out.write_bytes(exported(artifact, row["verdict"]))
    digest = row["sha256"]
    print(json.dumps({"out": str(out), "sha256": digest}) if as_json else digest)


@models.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="From models export.")],
    sha256: Annotated[str | None, typer.Option(help="As models export printed it.")] = None,
) -> None:
    """Store a model that another namespace trained; it serves once promoted.

    Example: tapewire models import model.json --sha256 9f86d081...
    """
    from models.exchange import imported

    with stored(read_settings()) as settings, registry_of(settings) as registry:
        artifact, verdict = imported(file.read_bytes(), sha256)
        registry.save(artifact, verdict)
    print(artifact.version)


def reach_broker(settings: Settings) -> None:
    """Before an alias is moved: raise Unavailable or Refused where no worker would hear of it."""
    from stream.engine.reach import reach

    asyncio.run(reach(settings))


def announce(settings: Settings, alias: Alias) -> None:
    """Tell every worker which version `alias` names now."""
    import confluent_kafka as kafka

    from stream.engine.clients import librdkafka_options

    reach_broker(settings)
    with registry_of(settings) as registry:
        version, sha256 = registry.current(alias)
    event = ModelChanged(
        alias=alias,
        version=version,
        sha256=sha256,
        moved_at=datetime.now(UTC),
    )
    producer = kafka.Producer(
        {
            **librdkafka_options(settings),
            "partitioner": "murmur2_random",
            "acks": "all",
        }
    )
    producer.produce(settings.topic("models"), encode(event), alias.encode())
    if producer.flush(10):
        raise Refused(f"TAPEWIRE_BROKER={settings.broker}: the model event was not taken in 10 s")


def _check(settings: Settings, artifact: Artifact) -> None:
    """Raise ArtifactError, or Refused, unless workers of these settings can score by it."""
    from models.scorer import ArtifactScorer
    from stream.scoring.configured import policy_of
    from training.history import open_history
    from training.stored_facts import main_sentiment_model

    policy = policy_of(settings)
    dsn = settings.database.get_secret_value()
    with open_history(dsn, settings.namespace, policy.tape) as history:
        scored_by = main_sentiment_model(history, newest=_NEWEST_SCORES)
    artifact.check_fits(
        policy.feature_set, policy.feature_set_version, policy.features.names, scored_by, CHANNELS
    )
    ArtifactScorer(artifact)


def _warn_unless_fit(settings: Settings, artifact: Artifact) -> None:
    """A rollback is never refused, but whoever asked for it must know that workers will."""
    try:
        _check(settings, artifact)
    except ArtifactError as error:
        print(f"tapewire: {error}; until then workers keep the model they have", file=sys.stderr)


@contextmanager
def registry_of(settings: Settings) -> Iterator[Registry]:
    """The namespace's; what it refuses is a refusal of the command."""
    try:
        yield Registry(settings.database.get_secret_value(), settings.namespace)
    except ArtifactError as error:
        raise Refused(str(error)) from None
    except ConnectionError as error:
        if isinstance(error.__cause__, psycopg.Error):
            raise explained(error.__cause__) from None
        raise Unavailable(str(error)) from None
