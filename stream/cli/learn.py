"""Verbs that learn: retrain, and the registry's models list, show, promote, rollback."""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.artifact import ArtifactError
from models.registry import Registry
from stream.cli.extras import needs
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.errors import Refused, TapewireError
from stream.events import ModelChanged, encode
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from training.rows import TrainingTable
    from training.train import Trained

models = typer.Typer(help="The registry: list, show, promote, rollback.", no_args_is_help=True)


class ModelRefused(TapewireError):
    """The gates refused the model; the message holds their reason."""

    exit_code = 3


def retrain(
    promote: Annotated[bool, typer.Option(help="Make it champion if its gates pass.")] = False,
    seed: Annotated[int, typer.Option(help="Of every random choice in training.")] = 0,
    report: Annotated[Path | None, typer.Option(help="HTML page to write, refused or not.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train on the namespace's stored history, judge, store; exit code 3 when refused.

    Example: tapewire retrain --promote --report model.html
    """
    settings = read_settings()
    result = retrain_and_announce(settings, promote=promote, seed=seed, report=report)
    print(json.dumps(result) if as_json else _told(result))


def retrain_and_announce(
    settings: Settings, *, promote: bool, seed: int, report: Path | None = None
) -> dict[str, Any]:
    """Retrain with progress on stderr; a promoted model is announced to the workers."""
    from stream.scoring.agent import policy_of
    from training.errors import TrainingRefused
    from training.retrain import retrain as train

    if report is not None:
        with needs("retrain --report", "train"):
            from training.report import html_report

    def judged(trained: Trained, rows: TrainingTable) -> None:
        if report is not None:
            command = f"TAPEWIRE_NAMESPACE={settings.namespace} tapewire retrain --seed {seed}"
            report.write_text(html_report(trained, rows, command), "utf-8")

    with step_progress("retrain") as progress:
        try:
            result = train(
                settings.database.get_secret_value(),
                settings.namespace,
                policy_of(settings),
                seed=seed,
                promote=promote,
                actor=getpass.getuser(),
                progress=progress,
                judged=judged,
            )
        except TrainingRefused as error:
            raise ModelRefused(f"model refused: {error}") from error
    if promote:
        announce(settings, "champion")
    return {
        "version": result.version,
        "promoted": promote,
        "n_rows": result.n_rows,
        "verdict": result.verdict,
        "metrics": result.metrics,
    }


def announce(settings: Settings, alias: str) -> None:
    """Tell every worker which version `alias` names now."""
    import confluent_kafka as kafka

    from stream.engine.clients import librdkafka_options
    from stream.engine.reach import reach

    asyncio.run(reach(settings))
    version, sha256 = _registry(settings).current(alias)
    event = ModelChanged(
        alias=alias,  # type: ignore[arg-type]
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


@models.command("list")
def list_models(as_json: JsonFlag = False) -> None:
    """Every stored model, newest first, with the aliases that name it.

    Example: tapewire models list
    """
    found = _registry(read_settings()).list()
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
def show(version: str) -> None:
    """One model's span, metrics and verdict as JSON.

    Example: tapewire models show 20260102T030405-1a2b3c4d
    """
    try:
        print(json.dumps(_registry(read_settings()).show(version), default=str, indent=2))
    except ArtifactError as error:
        raise Refused(str(error)) from None


@models.command()
def promote(
    version: str,
    reason: Annotated[str, typer.Option(help="Kept in the audit.")] = "promoted by hand",
) -> None:
    """Make a stored model champion; running workers swap between two chunks.

    Example: tapewire models promote 20260102T030405-1a2b3c4d --reason "better IC"
    """
    settings = read_settings()
    try:
        _registry(settings).promote("champion", version, getpass.getuser(), reason)
    except ArtifactError as error:
        raise Refused(str(error)) from None
    announce(settings, "champion")
    print(version)


@models.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Kept in the audit.")] = "rolled back by hand",
) -> None:
    """Put the champion before the present one back.

    Example: tapewire models rollback --reason "drift"
    """
    settings = read_settings()
    try:
        version = _registry(settings).rollback("champion", getpass.getuser(), reason)
    except ArtifactError as error:
        raise Refused(str(error)) from None
    announce(settings, "champion")
    print(version or "none: the rules model")


def _registry(settings: Settings) -> Registry:
    return Registry(settings.database.get_secret_value(), settings.namespace)


def _told(result: dict[str, Any]) -> str:
    state = "champion" if result["promoted"] else "stored, not promoted"
    return f"{result['version']} ({state}, {result['n_rows']:,} rows, verdict {result['verdict']})"
