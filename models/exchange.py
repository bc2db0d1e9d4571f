"""A stored model as one file that another registry can take, with its verdict and its hash."""

from __future__ import annotations

from typing import Any

import msgspec

from models.artifact import (
    Artifact,
    ArtifactError,
    from_bytes,
    sha256_of,
    to_bytes,
    with_version,
)
from models.scorer import ArtifactScorer


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The file. verdict: what the gates said where it was trained; sha256: of `artifact`."""

    sha256: str
    verdict: dict[str, Any]
    artifact: str


def exported(artifact: Artifact, verdict: dict[str, Any]) -> bytes:
    """The file's content."""
    raw = to_bytes(artifact)
    return msgspec.json.encode(
        Exported(sha256=sha256_of(raw), verdict=verdict, artifact=raw.decode())
    )


def imported(raw: bytes, sha256: str | None = None) -> tuple[Artifact, dict[str, Any]]:
    """The artifact and its verdict.

    Parameters
    ----------
    sha256 : of the artifact, from whoever exported it; None trusts the file's own.

    Raises
    ------
    ArtifactError
        The file is cut, changed, of another format, or not the one that `sha256` names; or a
        member of it cannot be read.
    """
    try:
        file = msgspec.json.decode(raw, type=Exported)
    except msgspec.DecodeError as error:
        raise ArtifactError(
            f"expected a file of tapewire models export, got something else: {error}"
        ) from None
    artifact = from_bytes(file.artifact.encode(), file.sha256 if sha256 is None else sha256)
    try:
        version = with_version(artifact).version
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"trained_until_us: expected a time, got {error}") from None
    if version != artifact.version:
        raise ArtifactError(f"expected version {version} of its content, got {artifact.version}")
    ArtifactScorer(artifact)  # its members can be read
    return artifact, file.verdict
