"""The image's health check, run as the container runs it."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import prometheus_client
import pytest

from stream import metrics
from stream.cli.role import ROLES

HEALTHY = Path(__file__).parents[3] / "deploy" / "healthy.py"


def health(first_port):
    environment = {**os.environ, "TAPEWIRE_METRICS_PORT": str(first_port)}
    return subprocess.run([sys.executable, str(HEALTHY)], env=environment, check=False).returncode


@pytest.fixture
def port():
    """The port of a served /metrics, as a role serves it."""
    assert metrics.RECORDS  # registered, so shown
    server, thread = prometheus_client.start_http_server(0, addr="127.0.0.1")
    with closing(server.socket):
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("role_number", [0, 3, len(ROLES)])
def test_role_that_serves_its_metrics_is_healthy(port, role_number):
    assert health(port - role_number) == 0


def test_nobody_serving_is_unhealthy():
    assert health(1) == 1
