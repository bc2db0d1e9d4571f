"""The verb that learns: retrain."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.again import again
from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.models import announce
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.errors import TapewireError
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from training.rows import TrainingTable
    from training.train import Trained


class ModelRefused(TapewireError):
    """The gates refused the model; the message holds their reason."""

    exit_code = 3


def retrain(
    promote: Annotated[bool, typer.Option(help="Make it champion if its gates pass.")] = False,
    seed: Annotated[int, typer.Option(help="Of every random choice in training.")] = 0,
    report: ReportOption = None,
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

    told: list[tuple[Trained, TrainingTable]] = []
    try:
        with step_progress("retrain") as progress:
            result = train(
                settings.database.get_secret_value(),
                settings.namespace,
                policy_of(settings),
                seed=seed,
                promote=promote,
                actor=getpass.getuser(),
                progress=progress,
                judged=lambda *given: told.append(given),
            )
        if promote:
            announce(settings, "champion")
    except TrainingRefused as error:
        raise ModelRefused(f"model refused: {error}") from error
    finally:
        if report is not None:
            for trained, rows in told:
                report.write_text(
                    html_report(trained, rows, again(settings, "retrain", "--seed", str(seed))),
                    "utf-8",
                )
    return {
        "version": result.version,
        "promoted": promote,
        "n_rows": result.n_rows,
        "verdict": result.verdict,
        "metrics": result.metrics,
    }


def _told(result: dict[str, Any]) -> str:
    state = "champion" if result["promoted"] else "stored, not promoted"
    return f"{result['version']} ({state}, {result['n_rows']:,} rows, verdict {result['verdict']})"
