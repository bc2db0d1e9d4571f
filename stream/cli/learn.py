"""The verb that learns: retrain."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
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
    from training.train import Boost, Trained

DatasetOption = Annotated[
    Path | None,
    typer.Option("--from", exists=True, file_okay=False, help="Dataset to train on, as built."),
]
DaskOption = Annotated[
    str | None, typer.Option(help="Scheduler of a Dask cluster that grows the trees.")
]


class ModelRefused(TapewireError):
    """The gates refused the model; the message holds their reason."""

    exit_code = 3


def retrain(
    promote: Annotated[bool, typer.Option(help="Make it champion if its gates pass.")] = False,
    seed: Annotated[int, typer.Option(help="Of every random choice in training.")] = 0,
    dataset: DatasetOption = None,
    dask: DaskOption = None,
    horizon: Annotated[
        str | None, typer.Option(help="Of labels and signals, e.g. 30m or 2w; docs/labels.md.")
    ] = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train on the namespace's stored history, judge, store; exit code 3 when refused.

    Example: tapewire retrain --promote --report model.html
    """
    settings = read_settings()
    result = retrain_and_announce(
        settings,
        promote=promote,
        seed=seed,
        dataset=dataset,
        dask=dask,
        report=report,
        horizon=horizon,
    )
    print(json.dumps(result) if as_json else _told(result))


def retrain_and_announce(
    settings: Settings,
    *,
    promote: bool,
    seed: int,
    dataset: Path | None = None,
    dask: str | None = None,
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
        with step_progress("retrain") as progress, growing_on(dask) as boost:
            result = train(
                settings.database.get_secret_value(),
                settings.namespace,
                policy_of(settings),
                seed=seed,
                promote=promote,
                actor=getpass.getuser(),
                rows=None if dataset is None else rows_of(dataset, settings, horizon),
                boost=boost,
                horizon=horizon,
                progress=progress,
                judged=lambda *given: told.append(given),
            )
        if promote:
            announce(settings, "champion")
    except TrainingRefused as error:
        raise ModelRefused(f"model refused: {error}") from error
    finally:
        for trained, _ in told:
            tell_mlflow(settings, trained)
        if report is not None:
            for trained, rows in told:
                report.write_text(
                    html_report(
                        trained,
                        rows,
                        again(
                            settings,
                            "retrain",
                            "--seed",
                            str(seed),
                            *_given(dataset, dask, horizon),
                        ),
                    ),
                    "utf-8",
                )
    return {
        "version": result.version,
        "promoted": promote,
        "n_rows": result.n_rows,
        "verdict": result.verdict,
        "metrics": result.metrics,
    }


def _given(dataset: Path | None, dask: str | None, horizon: str | None) -> list[str]:
    options = {"--from": dataset, "--dask": dask, "--horizon": horizon}
    return [word for name, value in options.items() if value for word in (name, str(value))]


def rows_of(dataset: Path, settings: Settings, horizon: str | None) -> TrainingTable:
    """The rows of a built dataset, where it fits the policy of these settings."""
    from stream.scoring.agent import policy_of

    with needs("retrain --from", "train"):
        from training.dataset.load import load_dataset
    return load_dataset(dataset, policy_of(settings), horizon)


@contextmanager
def growing_on(address: str | None) -> Iterator[Boost | None]:
    """How to grow trees on the Dask cluster at `address`; None: not on one."""
    if address is None:
        yield None
        return
    with needs("retrain --dask", "dask"):
        from training.cluster import boosted, cluster
    with cluster(address) as client:
        yield partial(boosted, client)


def tell_mlflow(settings: Settings, trained: Trained) -> None:
    """Log a judged model where MLFLOW_TRACKING_URI is set, as for every user of MLflow."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        from training.tracking import track

        track(uri, settings.namespace, trained.artifact, msgspec.to_builtins(trained.verdict))


def _told(result: dict[str, Any]) -> str:
    state = "champion" if result["promoted"] else "stored, not promoted"
    return f"{result['version']} ({state}, {result['n_rows']:,} rows, verdict {result['verdict']})"
