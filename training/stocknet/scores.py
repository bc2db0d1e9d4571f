"""Tweets read and scored as the sentiment role does it, kept in a file by what made them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel, label, template
from stream.errors import Refused
from stream.events import micros
from stream.features.news import NewsItem
from stream.sentiment.directory import NOTHING_LISTED
from stream.sentiment.judge import NO_MODEL, Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.sketch import sketch
from training.sentiment.files import complete_file
from training.stocknet.data import Folder, Tweet

FEED_DELAY_US = 60_000_000  # as `tapewire load` assumes where nothing is recorded
_STEP = 500  # tweets between two notes of progress
_KIND = b"stocknet-news-1"  # another where what a file holds changes


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What a tweet says of one symbol; `day` is an ordinal."""

    symbol: str
    day: int
    item: NewsItem


class _Once:
    """A model that reads each text once: of 83,000 tweets many are copies."""

    def __init__(self, model: SentimentModel) -> None:
        self.name, self.version, self.template = model.name, model.version, template(model)
        self._model = model
        self._known: dict[str, Probabilities] = {}

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= zip(new, self._model.probabilities(new), strict=True)
        return [self._known[text] for text in texts]


def told_of_folder(
    folders: Sequence[Folder],
    model: SentimentModel,
    cache: Path | None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> list[Told]:
    """What the folders' tweets say, each folder cached by itself; a tweet in two counts once."""
    symbols = sorted({symbol for each in folders for symbol in each.bars["symbol"].unique()})
    once: dict[tuple[str, str], Told] = {}
    for folder in folders:
        for each in told(folder.tweets, symbols, model, cache, progress):
            once.setdefault((each.symbol, each.item.article_id), each)
    return sorted(
        once.values(), key=lambda each: (each.day, each.item.available_at, each.item.article_id)
    )


def told(
    tweets: Sequence[Tweet],
    symbols: Sequence[str],
    model: SentimentModel,
    cache: Path | None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> list[Told]:
    """Items of the listed symbols in the tweets' order, from the cache where it has them.

    Only symbols that a tweet was filed under count. Relevance falls with the number of tickers.
    """
    file = None if cache is None else cache / f"told-{_fingerprint(tweets, symbols, model)}.msgpack"
    decoder = msgspec.msgpack.Decoder(list[Told])
    if file is not None and file.is_file():
        try:
            return decoder.decode(file.read_bytes())
        except msgspec.DecodeError as error:
            raise Refused(f"{file}: damaged, delete it: {error}") from None
    opinions = Opinions(Judge(_Once(model)), directory=NOTHING_LISTED)
    listed = frozenset(symbols)
    found: list[Told] = []
    for n, tweet in enumerate(tweets):
        if n % _STEP == 0:
            progress(f"reading tweets with {label(model)}", n / len(tweets))
        found += _told(tweet, listed, opinions)
    if file is not None:
        with complete_file(file) as part:
            part.write_bytes(msgspec.msgpack.encode(found))
    return found


def _told(tweet: Tweet, listed: frozenset[str], opinions: Opinions) -> list[Told]:
    article = tweet.article()
    understood = opinions.understood(None, article)
    found = []
    for mention in understood.reading.mentions:
        if mention.symbol not in listed or mention.symbol not in tweet.symbols:
            continue
        score, model = NEUTRAL, f"{NO_MODEL}:{understood.unscorable}"
        if understood.unscorable is None:
            score, model = opinions.of(article, understood.reading, mention.symbol)
        item = NewsItem(
            article_id=tweet.id,
            revision=1,
            status="published",
            source=tweet.source,
            available_at=micros(tweet.published_at) + FEED_DELAY_US,
            polarity=score.positive - score.negative,
            negative=score.negative,
            neutral=score.neutral,
            positive=score.positive,
            relevance=mention.relevance,
            n_chars=len(understood.reading.text),
            model=model,
            sketch=sketch(understood.reading.text),
        )
        found.append(Told(mention.symbol, tweet.day.toordinal(), item))
    return found


def _fingerprint(tweets: Sequence[Tweet], symbols: Sequence[str], model: SentimentModel) -> str:
    digest = hashlib.blake2b(_KIND, digest_size=8)
    digest.update(label(model).encode())
    digest.update(msgspec.json.encode(sorted(symbols)))
    for tweet in tweets:
        digest.update(msgspec.json.encode(tweet))
    return f"{model.name}-{digest.hexdigest()}"
