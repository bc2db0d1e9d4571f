"""A trained model told to MLflow, for those who compare runs there; the registry is what counts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from models.artifact import Artifact, to_bytes
from models.importances import importances

log = structlog.get_logger()


def track(uri: str, experiment: str, artifact: Artifact, verdict: Mapping[str, Any]) -> str | None:
    """Log a judged model as a run; its id, or None where that failed, which is only warned of.

    Parameters
    ----------
    uri : as MLFLOW_TRACKING_URI.
    verdict : of the gates; `says` becomes a tag.
    """
    try:
        return _logged(uri, experiment, artifact, verdict)
    except ImportError as error:
        why = f"{error.name or error} is missing; run pip install 'tapewire[mlflow]'"
    except Exception as error:  # whatever MLflow raises, the model is in the registry
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    log.warning("model not logged to MLflow", MLFLOW_TRACKING_URI=uri, why=why)
    return None


def _logged(uri: str, experiment: str, artifact: Artifact, verdict: Mapping[str, Any]) -> str:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    run_id: str = client.create_run(experiment_id, run_name=artifact.version).info.run_id
    at_ms = artifact.trained_until_us // 1_000
    parameters: dict[str, object] = artifact.parameters | {
        "learner": artifact.name,
        "horizon": artifact.horizon,
        "feature_set": f"{artifact.feature_set} {artifact.feature_set_version}",
        "sentiment_model": artifact.sentiment_model or "none",
        "n_rows": artifact.n_rows,
        "seed": artifact.seed,
        "code_revision": artifact.code_revision,
        "data_fingerprint": artifact.data_fingerprint,
    }
    client.log_batch(
        run_id,
        metrics=[Metric(k, v, at_ms, 0) for k, v in artifact.metrics.items() if v is not None],
        params=[Param(name, str(value)) for name, value in parameters.items()],
        tags=[RunTag("version", artifact.version), RunTag("verdict", str(verdict["says"]))],
    )
    client.log_dict(run_id, dict(verdict), "verdict.json")
    client.log_dict(run_id, importances(artifact), "importances.json")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "artifact.json")
        file.write_bytes(to_bytes(artifact))
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id)
    return run_id
