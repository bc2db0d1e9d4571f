"""A small disk that can be filled to the last byte, and emptied again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_BLOCK = 1 << 16


@contextlib.contextmanager
def small_disk(folder: Path, n_mb: int, n_files: int = 100_000) -> Iterator[Path]:
    """A memory file system at `folder` with room for `n_mb` MiB and `n_files`.

    Who may not mount has it in a namespace of his own, and sees it by another path.
    """
    folder.mkdir()
    room = f"size={n_mb}m,nr_inodes={n_files + 1}"
    mount = ["mount", "-t", "tmpfs", "-o", room, "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    script = '"$@" && echo mounted && exec cat'
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *mount],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            _cannot("this machine lets neither mount nor unshare make a small disk")
        yield Path(f"/proc/{holder.pid}/root{folder.resolve()}")
    finally:
        holder.communicate(timeout=10)


def fill(disk: Path) -> Path:
    """Write a file until there is no room left; returns it."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n = _BLOCK
    while n:
        try:
            os.write(descriptor, bytes(n))
        except OSError:
            n //= 2
    os.close(descriptor)
    return ballast


def _cannot(why: str) -> None:
    if os.geteuid() == 0 or "CI" in os.environ:
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
