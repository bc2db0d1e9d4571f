"""The verb that learns: retrain."""

from __future__ import annotations

import getpass
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.models import announce
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.search import LearnerOption, ResumeOption, Search, TuneOption
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
    horizon: Annotated[
        str | None, typer.Option(help="Of labels and signals, e.g. 30m or 2w; docs/labels.md.")
    ] = None,
    learner: LearnerOption = "lightgbm",
    tune: TuneOption = None,
    resume: ResumeOption = False,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train on the namespace's stored history, judge, store; exit code 3 when refused.

    Example: tapewire retrain --promote --report model.html
    """
    settings = read_settings()
    search = Search(learner, tune, resume)
    result = retrain_and_announce(
        settings, promote=promote, seed=seed, search=search, report=report, horizon=horizon
    )
    print(json.dumps(result) if as_json else _told(result))


def retrain_and_announce(
    settings: Settings,
    *,
    promote: bool,
    seed: int,
    search: Search = Search(),  # noqa: B008 - frozen
    report: Path | None = None,
    horizon: str | None = None,
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
                horizon=horizon,
                chooser=search.chooser(settings, seed, progress),
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
                    html_report(trained, rows, _again(settings, seed, horizon, search)), "utf-8"
                )
    return {
        "version": result.version,
        "promoted": promote,
        "n_rows": result.n_rows,
        "verdict": result.verdict,
        "metrics": result.metrics,
    }


def _again(settings: Settings, seed: int, horizon: str | None, search: Search) -> str:
    """The command that trains the same on the same history."""
    from stream.scoring.agent import policy_of

    given = [
        f"TAPEWIRE_{name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name, field in Settings.model_fields.items()
        if name == "namespace"
        or policy_of(settings.model_copy(update={name: field.default})) != policy_of(settings)
    ]
    chosen = "" if horizon is None else f" --horizon {horizon}"
    return " ".join([*given, f"tapewire retrain --seed {seed}{chosen}{search.again}"])


def _told(result: dict[str, Any]) -> str:
    state = "champion" if result["promoted"] else "stored, not promoted"
    return f"{result['version']} ({state}, {result['n_rows']:,} rows, verdict {result['verdict']})"
