"""Fixtures for all tests: real servers on demand, a namespace a test, its settings."""

import os

import pytest

pytest_plugins = ["tests.fix_servers", "tests.fix_namespace"]


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    """A test's settings come from the test: the caller's TAPEWIRE_* are not seen."""
    for name in [name for name in os.environ if name.startswith("TAPEWIRE_")]:
        del os.environ[name]
