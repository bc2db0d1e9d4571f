"""MLflow: a run holds what the registry holds; without it, or with it away, one line says so."""

import importlib.util
import json

import pytest
from structlog.testing import capture_logs

from models.artifact import from_bytes, sha256_of, to_bytes, with_version
from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from training.tracking import track

VERDICT = {"says": "PASS", "checks": [{"name": "skill", "value": 0.1}]}


@pytest.fixture(scope="module")
def artifact():
    return with_version(
        make_artifact(boosters(), parameters={"num_leaves": 7.0}, data_fingerprint="f00d")
    )


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """A folder will do as a server, one that is away is not waited for, and nobody is told."""
    for name, value in {"ALLOW_FILE_STORE": "true", "HTTP_REQUEST_MAX_RETRIES": "0",
                        "DISABLE_TELEMETRY": "true"}.items():  # fmt: skip
        monkeypatch.setenv(f"MLFLOW_{name}", value)


def test_a_run_holds_parameters_metrics_verdict_and_the_artifact(artifact, tmp_path):
    tracking = pytest.importorskip("mlflow.tracking", reason="the extra mlflow is not installed")
    uri = (tmp_path / "runs").as_uri()
    run_id = track(uri, "market", artifact, VERDICT)
    run = tracking.MlflowClient(tracking_uri=uri).get_run(run_id)
    assert run.data.metrics == {"ic": 0.1}  # one that is None is left out
    assert run.data.params["num_leaves"] == "7.0"
    assert run.data.params["data_fingerprint"] == "f00d"
    assert (run.data.tags["verdict"], run.data.tags["version"]) == ("PASS", artifact.version)
    assert run.info.status == "FINISHED"
    files = tmp_path / "runs" / run.info.experiment_id / run_id / "artifacts"
    assert json.loads((files / "verdict.json").read_text()) == VERDICT
    raw = (files / "artifact.json").read_bytes()
    assert from_bytes(raw, sha256_of(to_bytes(artifact))) == artifact
    assert track(uri, "market", artifact, VERDICT) != run_id  # again is another run


def test_a_tracking_server_that_is_away_is_a_warning(artifact):
    uri = "http://127.0.0.1:1"
    with capture_logs() as logs:
        assert track(uri, "market", artifact, VERDICT) is None
    (told,) = (each for each in logs if each["event"] == "model not logged to MLflow")
    assert (told["log_level"], told["MLFLOW_TRACKING_URI"]) == ("warning", uri)
    installed = importlib.util.find_spec("mlflow") is not None
    assert ("MlflowException" if installed else "run pip install 'tapewire[mlflow]'") in told["why"]
