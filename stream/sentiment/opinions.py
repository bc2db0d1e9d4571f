"""What the models say of an article's symbols: read, scored text by text, weighed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from models.sentiment.model import SECTIONS
from stream import metrics
from stream.errors import Rejected
from stream.events import NewsArticle
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.judge import NO_MODEL, UNCAUGHT, Judge, Judged
from stream.sentiment.reading import Part, Reading, read, weigh
from stream.sentiment.sections import sectioned
from stream.sentiment.sketch import sketch
from stream.sentiment.text import LATIN_WRITTEN, has_words, is_mostly_latin, text_hash
from stream.sentiment.turns import Turns


class Fresh(NamedTuple):
    """An article to read and, if it is no retraction, to score.

    before : the symbols that revisions before this chunk were given.
    """

    article: NewsArticle
    before: Collection[str]


class Understood(NamedTuple):
    """All that an article's text says, whatever was said before it.

    unscorable : why no model may score it, "language" or "words".
    sketch : empty for a retraction.
    """

    reading: Reading
    unscorable: str | None
    text_hash: str
    sketch: bytes


class Opinions:
    """The models at work on one chunk after the other; a text is scored once a chunk.

    Parameters
    ----------
    languages : an article that says another one is not scored, nor is, where all of them are
        written in Latin letters, a text most of whose letters are others; none: all are.
    about : told the symbols of a text before it is scored.
    turns : the line in which chunks are read; without one each is read at once.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        directory: Directory = NOTHING_LISTED,
        languages: tuple[str, ...] = ("en",),
        about: Callable[[str, Iterable[str]], None] = lambda text, symbols: None,
        turns: Turns | None = None,
    ) -> None:
        self.judge = judge
        self.directory = directory
        self.languages = languages
        self._about = about
        self._turns = turns
        self._understood: dict[bytes | None, Understood | str] = {}
        self._judged: dict[tuple[str, str], Judged] = {}  # by model and text

    async def prepare(self, chunk: Mapping[bytes | None, Fresh], *, fresh: bool = True) -> None:
        """Read and score a chunk's articles in the log's order, off the event loop.

        `fresh` ones go before those that are not.
        """
        work = partial(self._read_and_judge, chunk)
        if self._turns is None:
            self._understood, self._judged = await asyncio.to_thread(work)
        else:
            self._understood, self._judged = await self._turns.run(work, fresh=fresh)

    def understood(self, raw: bytes | None, article: NewsArticle) -> Understood:
        """The article as models see it. Raises Rejected where it cannot be read."""
        found = self._understood.get(raw) or self._understand(article)
        if isinstance(found, str):
            raise Rejected(f"Expected a text that can be read, got one that raises {found}")
        return found

    def of(self, article: NewsArticle, reading: Reading, symbol: str) -> Judged:
        """The parts' scores made one; a part that its model failed on, or another made, is out."""
        chosen = self.judge.model_of(article.id)
        judged = []
        for text, weight in self._parts(chosen, article, reading, symbol):
            known = self._judged.get((chosen, text))
            judged.append((weight, known or self.judge.judge(chosen, [text])[0]))
        model = next((each.model for _, each in judged if each.model != NO_MODEL), NO_MODEL)
        return Judged(weigh([(w, each.score) for w, each in judged if each.model == model]), model)

    def _parts(
        self, chosen: str, article: NewsArticle, reading: Reading, symbol: str
    ) -> tuple[Part, ...]:
        """The texts by which the chosen model scores a symbol."""
        if self.judge.template_of(chosen) == SECTIONS:
            return (Part(sectioned(article, symbol), 1.0),)
        return reading.of(symbol)

    def allows(self, lang: str) -> bool:
        """Whether an article that says this language may be scored; one that says none may."""
        language = lang.partition("-")[0].partition("_")[0].lower()
        return not (language and self.languages) or language in self.languages

    def _why_unscorable(self, article: NewsArticle, text: str) -> str | None:
        if not self.allows(article.lang):
            return "language"
        if not has_words(text):
            return "words"
        in_latin = bool(self.languages) and LATIN_WRITTEN.issuperset(self.languages)
        return "language" if in_latin and not is_mostly_latin(text) else None

    def _understand(self, article: NewsArticle) -> Understood | str:
        """What the text says, or what reading it raised: one bad article costs no other."""
        try:
            reading = read(article, self.directory)
            text = reading.text or article.headline
            if article.status == "retracted":
                return Understood(reading, None, text_hash(text), b"")
            why = self._why_unscorable(article, reading.text)
            return Understood(reading, why, text_hash(text), sketch(text))
        except UNCAUGHT:
            raise
        except BaseException as error:  # Rust's panics are no Exception
            return repr(error)[:500]

    def _understand_all(self, articles: Sequence[NewsArticle]) -> list[Understood | str]:
        return [self._understand(each) for each in articles]

    def _read_and_judge(
        self, chunk: Mapping[bytes | None, Fresh]
    ) -> tuple[dict[bytes | None, Understood | str], dict[tuple[str, str], Judged]]:
        articles = [each.article for each in chunk.values()]
        with metrics.STAGE_S.labels("sentiment", "read").time():
            if self._turns is None:
                read_all = self._understand_all(articles)
            else:
                read_all = self._turns.map("read", self._understand_all, articles)
        found = dict(zip(chunk, read_all, strict=True))
        judged: dict[tuple[str, str], Judged] = {}
        with metrics.STAGE_S.labels("sentiment", "model").time():
            for model, texts in self._wanted(chunk, found).items():
                results = self.judge.judge(model, texts)
                judged |= zip(((model, text) for text in texts), results, strict=True)
        return found, judged

    def _wanted(
        self, chunk: Mapping[bytes | None, Fresh], found: Mapping[bytes | None, Understood | str]
    ) -> dict[str, list[str]]:
        """By model the texts to score: about an article's symbols and those it had before."""
        wanted: dict[str, dict[str, None]] = {}
        given: dict[str, dict[str, None]] = {}
        for raw, (article, before) in chunk.items():
            this = found[raw]
            if isinstance(this, str):
                continue
            symbols = given.setdefault(article.id, dict.fromkeys(before))
            symbols |= dict.fromkeys(each.symbol for each in this.reading.mentions)
            if article.status == "retracted" or this.unscorable is not None:
                continue
            chosen = self.judge.model_of(article.id)
            texts = wanted.setdefault(chosen, {})
            for symbol in symbols:
                for part in self._parts(chosen, article, this.reading, symbol):
                    texts[part.text] = None
                    self._about(part.text, (symbol,))
        return {model: list(texts) for model, texts in wanted.items()}
