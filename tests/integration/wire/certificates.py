"""A certificate authority of the tests' own, by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: Path
    key: Path

    @property
    def both(self) -> str:
        """Key and certificate in one text, as a Kafka keystore wants them."""
        return self.key.read_text() + self.certificate.read_text()


def make_authority(folder: Path, name: str) -> Issued:
    """A new authority that signs for two days."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates need the openssl command")
    made = Issued(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        "req", "-x509", *_KEY, "-keyout", made.key, "-out", made.certificate, "-days", 2,
        "-subj", f"/CN={name}",
    )  # fmt: skip
    return made


def issue(
    authority: Issued, name: str, *, days: int = 1, names: str = "DNS:localhost,IP:127.0.0.1"
) -> Issued:
    """A certificate for `names`; a negative number of days makes one that has expired."""
    folder = authority.key.parent
    made = Issued(folder / f"{name}.pem", folder / f"{name}.key")
    asked, says = folder / f"{name}.csr", folder / f"{name}.cnf"
    says.write_text(f"subjectAltName={names}\n")
    _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", asked, "-subj", f"/CN={name}")
    _openssl(
        "x509", "-req", "-in", asked, "-CA", authority.certificate, "-CAkey", authority.key,
        "-CAcreateserial", "-days", days, "-extfile", says, "-out", made.certificate,
    )  # fmt: skip
    return made


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
