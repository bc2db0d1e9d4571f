"""The protocol that every sentiment model fulfils, and the names by which one is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

Device = Literal["auto", "cpu", "cuda"]

SHIPPED = ("minilm",)  # folders beside this file
ENSEMBLE = "ensemble"
MAX_CHARS = 20_000  # of one text; no model reads further
MAX_LABEL = 64  # characters: what a score has room for
PARTS, SECTIONS = "parts", "sections-1"  # how an article is put to a model
TEMPLATES = (PARTS, SECTIONS)
_TORCH = re.compile(r"torch(:.+)?", re.DOTALL)
_ONNX = re.compile(r"onnx:.+", re.DOTALL)


class Probabilities(NamedTuple):
    """Of one text; they sum to 1, in this order whatever a model's own order is."""

    negative: float
    neutral: float
    positive: float


NEUTRAL = Probabilities(0.0, 1.0, 0.0)


class SentimentModelError(ValueError):
    """A model that cannot be loaded or cannot score; says what was expected, came, and to do."""


def one_line(error: Exception) -> str:
    """What a library says, fit for one of our messages."""
    return " ".join(str(error).split())[:500]


class SentimentModel(Protocol):
    """Texts to probabilities. A text's result never depends on the texts beside it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str:
        """Changes with every change of any text's result; a score carries `<name>-<version>`."""

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text, in order; a text without a word in it is NEUTRAL.

        Only the first MAX_CHARS of a text count. Raises when any of the texts cannot be scored.
        May be called from several threads.
        """


def label(model: SentimentModel) -> str:
    """What a score calls its model.

    Examples
    --------
    >>> label(load_sentiment_model("lexicon"))
    'lexicon-1'
    """
    return f"{model.name}-{model.version}"


def template(model: SentimentModel) -> str:
    """How an article is put to the model: part by part, unless it says otherwise."""
    return str(getattr(model, "template", PARTS))


def doubt(model: SentimentModel) -> str:
    """Why the model may not score live news; empty where it may."""
    return str(getattr(model, "doubt", ""))


def misspelt(name: str) -> str | None:
    """What is wrong with a model's name as written; None when nothing is.

    Examples
    --------
    >>> misspelt("torch:ProsusAI/finbert"), misspelt("onnx:./mine"), misspelt("lexicon")
    (None, None, None)
    """
    if name in ("lexicon", ENSEMBLE, *SHIPPED) or _TORCH.fullmatch(name) or _ONNX.fullmatch(name):
        return None
    return (
        f"expected lexicon, {', '.join(SHIPPED)}, onnx:FOLDER, torch, torch:NAME, "
        f"torch:NAME@REVISION, torch:FOLDER or {ENSEMBLE}, got {name!r}"
    )


def load_sentiment_model(
    name: str,
    *,
    weights: Mapping[str, float] | None = None,
    cache: Path | None = None,
    device: Device = "auto",
) -> SentimentModel:
    """The model of that name.

    Parameters
    ----------
    weights : of the members of `ensemble`, by name; they sum to 1.
    cache : folder of downloaded checkpoints; with one, nothing is downloaded.
    device : of a torch model; auto is CUDA where there is one.

    Raises
    ------
    SentimentModelError
        Unknown, missing, damaged, or in need of a library or device that is not there.
    """
    kind, _, where = name.partition(":")
    if mistake := misspelt(name):
        raise SentimentModelError(f"sentiment model: {mistake}")
    if name == ENSEMBLE:
        from models.sentiment.ensemble import Ensemble

        return Ensemble(
            [
                (load_sentiment_model(member, cache=cache, device=device), weight)
                for member, weight in (weights or {}).items()
            ]
        )
    if kind == "torch":
        from models.sentiment.transformer import DEFAULT, Transformer

        return Transformer(where or DEFAULT, cache=cache, device=device)
    if kind == "lexicon":
        from models.sentiment.lexicon import Lexicon

        return Lexicon()
    from models.sentiment.onnx import OnnxModel

    return OnnxModel(Path(where) if kind == "onnx" else Path(__file__).parent / name)
