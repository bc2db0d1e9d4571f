"""What computes signals here: the code, the wheels that do sums, the processor; under one name."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec

_ROOT = Path(__file__).parents[2]
_CODE = (
    "stream/features",
    "stream/scoring",
    "stream/market/gathering.py",
    "stream/events.py",
    "stream/days.py",
    "stream/engine/merge.py",
    "models",
)
_WHEELS = ("lightgbm", "msgspec", "numpy")
_CPU_FIELDS = ("vendor_id", "cpu family", "CPU implementer", "CPU architecture")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """Signals are equal bit for bit within one build; between two they may differ in last bits."""

    code: str  # digest of the sources
    python: str
    wheels: dict[str, str]
    machine: str  # architecture, maker and family of the processor

    @property
    def build_id(self) -> str:
        """Sixteen hex digits that change with any field."""
        raw = msgspec.json.encode(self, order="deterministic")
        return hashlib.blake2b(raw, digest_size=8).hexdigest()


@cache
def this_build() -> Build:
    """The build that runs."""
    return Build(
        code=source_digest(_CODE, 8),
        python=platform.python_version(),
        wheels={name: version(name) for name in _WHEELS},
        machine=_machine(),
    )


def source_digest(places: Sequence[str], n_bytes: int) -> str:
    """Hex digits that name the Python sources in `places`, folders and files of this project."""
    digest = hashlib.blake2b(digest_size=n_bytes)
    for place in places:
        path = _ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(_ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _machine() -> str:
    told: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    return " ".join([platform.machine(), *(told[field] for field in _CPU_FIELDS if field in told)])
