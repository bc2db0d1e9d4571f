"""Fixtures for all tests: real servers on demand, a namespace a test, its settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_STACK = Path(__file__).parents[1] / ".stack"
_PORTS = {"KAFKA": 29092, "TIMESCALE": 5544, "VALKEY": 16379, "TSL": 5644}

# A second worker's tests have servers of their own: some pull their plugs.
if worker := int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")):
    os.environ["STACK_DIR"] = str(_STACK / f"worker{worker}")
    for _server, _port in _PORTS.items():
        os.environ[f"STACK_{_server}_PORT"] = str(_port + 400 * worker)

pytest_plugins = ["tests.fix_servers", "tests.fix_namespace"]


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    """A test's settings come from the test: the caller's TAPEWIRE_* are not seen."""
    for name in [name for name in os.environ if name.startswith("TAPEWIRE_")]:
        del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Say why a test failed once more, below what its servers and workers printed."""
    report = yield
    if report.failed:
        report.sections.append(("it failed for", report.longreprtext[-1_500:]))
    return report
