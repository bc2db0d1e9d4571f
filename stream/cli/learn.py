"""The verb that learns: retrain."""

from __future__ import annotations

import getpass
import json
import os
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from stream.cli.again import again
from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.last_demo import stored
from stream.cli.models import announce
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.search import (
    DaskOption,
    LearnerOption,
    PerSectorOption,
    ResumeOption,
    Search,
    TargetOption,
    TuneOption,
)
from stream.errors import Refused, TapewireError
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from training.evidence import Evidence
    from training.gates import Gates
    from training.rows import TrainingTable

DatasetOption = Annotated[
    Path | None,
    typer.Option("--from", exists=True, file_okay=False, help="Dataset to train on, as built."),
]
GatesOption = Annotated[
    Path | None,
    typer.Option("--gates", help="TOML or JSON of thresholds.", exists=True, dir_okay=False),
]
AcceptOption = Annotated[
    str | None,
    typer.Option("--accept-implausible", help="Why a result too good to be true is believed."),
]
PathsOption = Annotated[
    str | None,
    typer.Option(metavar="6,2", help="Judge other walks too: blocks of time, tested at a time."),
]
_MOST_BLOCKS = 12


class ModelRefused(TapewireError):
    """The gates refused the model; the message holds their reason."""

    exit_code = 3


def retrain(
    promote: Annotated[bool, typer.Option(help="Make it champion if its gates pass.")] = False,
    short_history: Annotated[
        bool, typer.Option("--short-history", help="Promote also if only history is wanting.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice in training.")] = 0,
    horizon: Annotated[
        str | None, typer.Option(help="Of labels and signals, e.g. 30m or 2w; docs/labels.md.")
    ] = None,
    learner: LearnerOption = "lightgbm",
    per_sector: PerSectorOption = False,
    target: TargetOption = "raw",
    tune: TuneOption = None,
    resume: ResumeOption = False,
    dataset: DatasetOption = None,
    dask: DaskOption = None,
    gates: GatesOption = None,
    accept: AcceptOption = None,
    paths: PathsOption = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train on the namespace's stored history, judge, store; exit code 3 when refused.

    A model with doubts (WARN) is stored, but never promoted. Without TAPEWIRE_DATABASE, and without
    --promote, it trains on the last demo.

    Example: tapewire retrain --promote --report model.html
    """
    search = Search(learner, tune, resume, dask, target, per_sector)
    given = read_settings()
    with nullcontext(given) if promote else stored(given) as settings:
        result = retrain_and_announce(
            settings,
            promote=promote,
            short_history=short_history,
            seed=seed,
            horizon=horizon,
            search=search,
            dataset=dataset,
            gates=gates,
            accept=accept,
            paths=paths,
            report=report,
        )
    print(json.dumps(result) if as_json else _told(result))


def retrain_and_announce(
    settings: Settings,
    *,
    promote: bool,
    seed: int,
    search: Search = Search(),  # noqa: B008 - frozen
    dataset: Path | None = None,
    horizon: str | None = None,
    short_history: bool = False,
    gates: Path | None = None,
    accept: str | None = None,
    paths: str | None = None,
    report: Path | None = None,
) -> dict[str, Any]:
    """Retrain with progress on stderr; a promoted model is announced to the workers."""
    from stream.scoring.configured import policy_of

    with needs("retrain", "train"):
        from training.errors import TrainingRefused
        from training.retrain import retrain as train

        if report is not None:
            from training.report import html_report

    told: list[Evidence] = []
    try:
        with (
            step_progress("retrain") as progress,
            search.chooser(settings, seed, progress) as chooser,
        ):
            result = train(
                settings.database.get_secret_value(),
                settings.namespace,
                policy_of(settings),
                seed=seed,
                promote=promote,
                actor=getpass.getuser(),
                horizon=horizon,
                chooser=chooser,
                sequences=search.sequences,
                rows=None if dataset is None else rows_of(dataset, settings, horizon),
                gates=gates_of(gates),
                accepted=accept,
                short_history=short_history,
                ablate=report is not None,
                blocks=None if paths is None else blocks_of(paths),
                progress=progress,
                judged=told.append,
            )
        if promote:
            announce(settings, "champion")
    except TrainingRefused as error:
        raise ModelRefused(f"model refused: {error}") from error
    finally:
        for evidence in told:
            tell_mlflow(settings, evidence)
        if report is not None:
            command = again(
                settings, "retrain", seed=seed, horizon=horizon, **search.options,
                **{"from": dataset}, gates=gates, accept_implausible=accept, paths=paths,
            )  # fmt: skip
            for evidence in told:
                report.write_text(html_report(evidence, command), "utf-8")
    return {
        "version": result.version,
        "promoted": promote,
        "n_rows": result.n_rows,
        "verdict": result.verdict,
        "reason": result.reason,
        "metrics": result.metrics,
    }


def gates_of(file: Path | None) -> Gates:
    """The thresholds, with what the file changes; Refused where it is no such file."""
    from training.gates import Gates, read_gates

    try:
        return Gates() if file is None else read_gates(file)
    except ValueError as error:
        raise Refused(f"--gates: {error}") from None


def blocks_of(paths: str) -> tuple[int, int]:
    """The blocks of time, and how many each split tests; Refused where it is no such pair."""
    found = re.fullmatch(r"(\d+),(\d+)", paths)
    blocks, tested = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < tested < blocks <= _MOST_BLOCKS:
        raise Refused(
            f"--paths: expected blocks and tested ones, such as 6,2, of at most {_MOST_BLOCKS} "
            f"blocks, got {paths!r}"
        )
    return blocks, tested


def rows_of(dataset: Path, settings: Settings, horizon: str | None) -> TrainingTable:
    """The rows of a built dataset, where it fits the policy of these settings."""
    from stream.scoring.configured import policy_of

    with needs("retrain --from", "train"):
        from training.dataset.load import load_dataset
    return load_dataset(dataset, policy_of(settings), horizon)


def tell_mlflow(settings: Settings, evidence: Evidence) -> None:
    """Log a judged model where MLFLOW_TRACKING_URI is set, as for every user of MLflow."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        from training.tracking import track

        verdict = msgspec.to_builtins(evidence.verdict)
        track(uri, settings.namespace, evidence.artifact, verdict)


def _told(result: dict[str, Any]) -> str:
    state = "champion" if result["promoted"] else "stored, not promoted"
    return f"{result['version']} ({state}, {result['n_rows']:,} rows, verdict {result['verdict']})"
