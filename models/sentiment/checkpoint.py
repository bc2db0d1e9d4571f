"""Where a Hugging Face checkpoint lies, and a digest of what its scores hang on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from models.sentiment.model import SentimentModelError, one_line

_READ = ("*.json", "*.txt", "*.safetensors")  # weights as numbers, no file that holds code
_ON_HUB = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")


def checkpoint_folder(where: str, cache: Path | None) -> Path:
    """The folder of a checkpoint: a local path, or NAME or NAME@REVISION of the Hub.

    Parameters
    ----------
    cache : folder that the Hub's tools fill (models--ORG--NAME/...); with one, nothing is
        downloaded. Without one the Hub's own cache serves, filled on first use.

    Raises
    ------
    SentimentModelError
        Nothing there, not to be had, or no weights as safetensors in it.
    """
    folder = Path(where).expanduser()
    if not folder.is_dir():
        if where[:1] in "./~":
            raise SentimentModelError(f"{where}: expected the folder of a checkpoint, found none")
        folder = _from_hub(where, cache)
    if not (folder / "config.json").is_file():
        raise SentimentModelError(f"{folder}: expected config.json, found none")
    if not any(folder.glob("*.safetensors")):
        raise SentimentModelError(
            f"{folder}: expected weights as *.safetensors, found none; other formats may run code "
            "when they are read: convert them, or name a revision that has them (NAME@REVISION)"
        )
    return folder


def checkpoint_digest(folder: Path) -> str:
    """Eight hex digits of the configuration, the tokenizer and the weights."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(path for pattern in _READ for path in folder.glob(pattern)):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def checkpoint_name(where: str) -> str:
    """A short name for scores.

    Examples
    --------
    >>> checkpoint_name("ProsusAI/finbert@main"), checkpoint_name("/models/My Bert/")
    ('finbert', 'my_bert')
    """
    last = Path(where.partition("@")[0]).name.lower()
    return re.sub(r"[^a-z0-9_.]+", "_", last).strip("_.")[:24] or "torch"


def _from_hub(where: str, cache: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    asked = _ON_HUB.fullmatch(where)
    if asked is None:
        raise SentimentModelError(f"expected a folder, NAME or NAME@REVISION, got {where!r}")
    try:
        return Path(
            snapshot_download(
                asked["name"],
                revision=asked["revision"],
                cache_dir=cache,
                local_files_only=cache is not None,
                allow_patterns=list(_READ),
            )
        )
    except (OSError, ValueError) as error:
        looked = "the Hub" if cache is None else f"{cache} (nothing is downloaded beside it)"
        raise SentimentModelError(
            f"{where}: not to be had from {looked}: {one_line(error)}"
        ) from None
