"""The command line as processes with settings in the environment and secrets in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stream.settings import Settings

_PLAINLY = (
    *("broker", "broker_tls", "broker_ca", "broker_certificate", "broker_key"),
    *("broker_sasl", "broker_user"),
    *("namespace", "mode", "partitions", "data_dir", "rules_may_act"),
)
_SECRETLY = ("broker_password", "database", "redis")


class Commands:
    """Starts `tapewire` verbs and keeps everything that they print."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n = 0

    def environment(self, settings: Settings, **more: str) -> dict[str, str]:
        """What a process of these settings needs; its secrets are in a folder of its own."""
        self._n += 1
        folder = self._folder / f"secrets-{self._n}"
        folder.mkdir(mode=0o700)
        given = {"TAPEWIRE_SECRETS": str(folder), "TAPEWIRE_LOG_LEVEL": "debug", **more}
        for name in _PLAINLY:
            if (value := getattr(settings, name)) is not None:
                given.setdefault(f"TAPEWIRE_{name}".upper(), str(value))
        for name in _SECRETLY:
            if (secret := getattr(settings, name)) is not None:
                file = folder / f"TAPEWIRE_{name}".upper()
                file.write_text(secret.get_secret_value() + "\n")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")}
        return {**clean, **given}

    @contextmanager
    def running(
        self, environment: Mapping[str, str], *words: str
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """A verb at work and the file of all that it prints; ended after the block."""
        self._n += 1
        printed = self._folder / f"printed-{self._n}-{words[0]}.txt"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", *words],
                env=dict(environment),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process, printed
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)

    def printed(self) -> str:
        """All that all of them printed so far."""
        files = sorted(self._folder.glob("printed-*"))
        return "".join(file.read_text(errors="replace") for file in files)
