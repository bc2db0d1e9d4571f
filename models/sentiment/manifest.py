"""What lies beside an ONNX model: manifest.json, which names each file by its sha256.

Nothing is parsed before its bytes are known to be those that the manifest names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from models.sentiment.model import PARTS, TEMPLATES, Probabilities, SentimentModelError

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,23}$")]
Offset = Annotated[float, Meta(ge=-50, le=50)]


class Manifest(Struct, frozen=True, kw_only=True):
    """One trained model. Unknown fields are ignored.

    labels : in the model's own order.
    max_tokens : of one text, special tokens included; what follows is cut off.
    temperature, offsets : logits are divided by the one, then the others are added, in the labels'
        order, before the softmax.
    template : how an article is put to it: `parts` or `sections-1`.
    files : sha256 in hex by file name; model.onnx and tokenizer.json at least.
    command, seed : what made it.
    made_from : sha256 in hex of the base's weights and of each data file, by file name.
    reference : shares of negative, neutral and positive that it called on texts it did not learn
        from; live scores far from them are a drift.
    doubt : what the gates say against it, for which it may not score live news.
    """

    name: Name
    version: Name
    labels: tuple[str, ...]
    max_tokens: Annotated[int, Meta(ge=3, le=8192)]
    files: dict[str, str]
    temperature: Annotated[float, Meta(gt=0, le=100)] = 1.0
    offsets: tuple[Offset, Offset, Offset] = (0.0, 0.0, 0.0)
    template: str = PARTS
    base_model: str = ""
    licence: str = ""
    command: str = ""
    seed: int | None = None
    made_from: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    reference: Probabilities | None = None
    doubt: str = ""


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises SentimentModelError when it is missing or wrong."""
    raw = _read(folder, MANIFEST)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SentimentModelError(f"{folder / MANIFEST}: {error}") from None
    for name in (MODEL, TOKENIZER):
        if name not in manifest.files:
            raise SentimentModelError(
                f"{folder / MANIFEST}: expected the sha256 of {name} among its files, got none"
            )
    if manifest.template not in TEMPLATES:
        raise SentimentModelError(
            f"{folder / MANIFEST}: expected template {' or '.join(TEMPLATES)}, got "
            f"{manifest.template!r}: it was trained on texts that are put together otherwise; "
            "train it again, or run the tapewire that made it"
        )
    return manifest


def read_file(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes of a file that the manifest names.

    Raises SentimentModelError when it is missing or its sha256 is another one.
    """
    raw = _read(folder, name)
    came = hashlib.sha256(raw).hexdigest()
    if came != manifest.files[name]:
        raise SentimentModelError(
            f"{folder / name}: expected sha256 {manifest.files[name]}, got {came}; "
            "copy or train the model again"
        )
    return raw


def content_version(manifest: Manifest) -> str:
    """The version that scores carry: the manifest's own, and a digest of all that they hang on.

    So an edited temperature or label order is another version, whatever the manifest calls it.
    """
    parts = (
        manifest.files[MODEL],
        manifest.files[TOKENIZER],
        manifest.labels,
        manifest.max_tokens,
        manifest.temperature,
        manifest.offsets,
        manifest.template,
    )
    digest = hashlib.blake2b(msgspec.json.encode(parts), digest_size=3).hexdigest()
    return f"{manifest.version}.{digest}"


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise SentimentModelError(
            f"{folder / name}: expected a file of a sentiment model, got {error.strerror}"
        ) from None
