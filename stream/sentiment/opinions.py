"""What the models say of an article's symbols: read, scored text by text, weighed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from stream import metrics
from stream.events import NewsArticle
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.judge import NO_MODEL, Judge, Judged
from stream.sentiment.reading import Reading, read, weigh
from stream.sentiment.text import has_words


class Fresh(NamedTuple):
    """An article to score, and the symbols that an earlier revision was given."""

    article: NewsArticle
    before: Collection[str]


class Opinions:
    """The models at work on one chunk after the other; a text is scored once a chunk.

    Parameters
    ----------
    languages : an article that says another one is not scored; none: every language is.
    about : told the symbols of a text before it is scored.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        directory: Directory = NOTHING_LISTED,
        languages: tuple[str, ...] = ("en",),
        about: Callable[[str, Iterable[str]], None] = lambda text, symbols: None,
    ) -> None:
        self.judge = judge
        self.directory = directory
        self.languages = languages
        self._about = about
        self._read: dict[bytes | None, Reading] = {}
        self._judged: dict[tuple[str, str], Judged] = {}  # by model and text

    async def prepare(self, fresh: Mapping[bytes | None, Fresh]) -> None:
        """Read and score a chunk's articles, in one batch a model, off the event loop."""
        self._read, self._judged = await asyncio.to_thread(self._read_and_judge, fresh)

    def reading(self, raw: bytes | None, article: NewsArticle) -> Reading:
        """The article as models see it."""
        return self._read.get(raw) or read(article, self.directory)

    def why_unscorable(self, article: NewsArticle, reading: Reading) -> str | None:
        """Why no model may score the article: its language, or a text without words."""
        language = article.lang.partition("-")[0].partition("_")[0].lower()
        if language and self.languages and language not in self.languages:
            return "language"
        return None if has_words(reading.text) else "words"

    def of(self, article: NewsArticle, reading: Reading, symbol: str) -> Judged:
        """The parts' scores made one; a part that its model failed on, or another made, is out."""
        chosen = self.judge.model_of(article.id)
        judged = []
        for text, weight in reading.of(symbol):
            known = self._judged.get((chosen, text))
            judged.append((weight, known or self.judge.judge(chosen, [text])[0]))
        model = next((each.model for _, each in judged if each.model != NO_MODEL), NO_MODEL)
        return Judged(weigh([(w, each.score) for w, each in judged if each.model == model]), model)

    def _read_and_judge(
        self, fresh: Mapping[bytes | None, Fresh]
    ) -> tuple[dict[bytes | None, Reading], dict[tuple[str, str], Judged]]:
        with metrics.STAGE_S.labels("sentiment", "read").time():
            found = {raw: read(each.article, self.directory) for raw, each in fresh.items()}
        wanted: dict[str, dict[str, None]] = {}
        for raw, (article, before) in fresh.items():
            reading = found[raw]
            if self.why_unscorable(article, reading) is not None:
                continue
            texts = wanted.setdefault(self.judge.model_of(article.id), {})
            for symbol in dict.fromkeys([*(each.symbol for each in reading.mentions), *before]):
                for part in reading.of(symbol):
                    texts[part.text] = None
                    self._about(part.text, (symbol,))
        judged: dict[tuple[str, str], Judged] = {}
        with metrics.STAGE_S.labels("sentiment", "model").time():
            for model, each_text in wanted.items():
                results = self.judge.judge(model, list(each_text))
                judged |= zip(((model, text) for text in each_text), results, strict=True)
        return found, judged
