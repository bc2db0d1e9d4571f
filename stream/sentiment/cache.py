"""Sentiment models that ask Redis first: a text is scored once while its score lives.

Whatever Redis does costs a look-up at most `wait_s` of latency, and never changes a value: away,
slow or lying it is left alone for 1, 2, 4 ... 30 s, and the model scores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import structlog

from models.sentiment.model import Probabilities, SentimentModel, label
from stream import metrics
from stream.sentiment.stored_scores import StoredScores, connect
from stream.sentiment.wrapped import Wrapped
from stream.settings import Settings

log = structlog.get_logger()

WAIT_S = 0.05
_GIVE_UP_S = 1.0  # of the thread that nobody waits for any more: a late connection is kept
_TEXTS = 200  # of one round trip: a few milliseconds
_STORING = 5_000  # scores on their way: beyond, new ones are not stored
_NOTED = 10_000  # texts whose symbols wait for a look-up: beyond, those of uncached models go
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
T = TypeVar("T")
Wrap = Callable[[SentimentModel], SentimentModel]
Note = Callable[[str, Iterable[str]], None]


class ScoreCache:
    """The scores of all models of a process; safe to use by several threads.

    Parameters
    ----------
    wait_s : the longest that a look-up, of however many texts, may wait for Redis, name resolution
        and TLS included.
    clock : seconds that only rise.
    """

    def __init__(
        self,
        stored: StoredScores,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stored = stored
        self._wait_s = wait_s
        self._clock = clock
        self._looking_up = ThreadPoolExecutor(1, "score-cache-find")
        self._storing = ThreadPoolExecutor(1, "score-cache-keep")
        self._on_their_way: dict[tuple[str, str], Probabilities] = {}  # by model and text
        self._lock = threading.Lock()
        self._about: dict[str, set[str]] = {}
        self._serves = False
        self._pause_s = 0.0  # 0 while all is well
        self._retry_at = clock()

    def wrap(self, model: SentimentModel) -> CachedModel:
        """The model behind this cache."""
        self._serves = True
        return CachedModel(model, self)

    def note(self, text: str, symbols: Iterable[str]) -> None:
        """Say which symbols a text is about before it is scored, so that they can be forgotten."""
        if not self._serves:
            return
        with self._lock:
            self._about.setdefault(text, set()).update(symbols)
            while len(self._about) > _NOTED:
                del self._about[next(iter(self._about))]

    def find(self, model: str, texts: Sequence[str]) -> dict[str, Probabilities]:
        """What there is of the texts by this model, in Redis or on its way there."""
        with self._lock:
            known = {text: self._on_their_way.get((model, text)) for text in texts}
        found = {text: score for text, score in known.items() if score is not None}
        metrics.SCORE_CACHE.labels("hit").inc(len(found))
        asked = [text for text in texts if text not in found]
        until = self._clock() + self._wait_s
        for part in _parts(asked):
            found.update(self._find(model, part, until))
        if asked and len(found) == len(texts) and not self._resting():
            self._works()
        return found

    def keep(self, model: str, scores: Mapping[str, Probabilities]) -> None:
        """Store without waiting."""
        for part in _parts(list(scores)):
            self._keep(model, {text: scores[text] for text in part})

    def close(self) -> None:
        """Disconnect, which also ends a call that still waits."""
        threads = (self._looking_up, self._storing)
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)
        self._stored.close()
        for thread in threads:
            thread.shutdown(wait=True)
        self._stored.close()  # what was just then being connected

    def _find(self, model: str, texts: Sequence[str], until: float) -> dict[str, Probabilities]:
        with self._lock:
            about = {text: self._about.pop(text, set()) for text in texts}
        answer = self._ask(lambda: self._stored.get(model, texts, about), until)
        if answer is None:
            metrics.SCORE_CACHE.labels("skipped").inc(len(texts))
            return {}
        pairs = zip(texts, answer.scores, strict=True)
        found = {text: score for text, score in pairs if score is not None}
        metrics.SCORE_CACHE.labels("hit").inc(len(found))
        metrics.SCORE_CACHE.labels("miss").inc(len(texts) - len(found) - answer.n_spoiled)
        metrics.SCORE_CACHE.labels("skipped").inc(answer.n_spoiled)
        return found

    def _keep(self, model: str, scores: dict[str, Probabilities]) -> None:
        if self._resting():
            return
        with self._lock:
            if len(self._on_their_way) + len(scores) > _STORING:
                return
            self._on_their_way.update(((model, text), score) for text, score in scores.items())

        def kept(done: Future[None]) -> None:
            with self._lock:
                for text in scores:
                    self._on_their_way.pop((model, text), None)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                self._rest(error)
            else:
                self._works()

        self._storing.submit(lambda: self._stored.put(model, scores)).add_done_callback(kept)

    def _ask(self, call: Callable[[], T], until: float) -> T | None:
        """What Redis says by `until`; None when it says nothing, wrong things, or rests."""
        if self._resting():
            return None
        left_s = until - self._clock()
        if left_s <= 0.0:
            self._rest(TimeoutError())
            return None
        asked = self._looking_up.submit(call)
        try:
            return asked.result(left_s)
        except Exception as error:  # whatever it is, it must not cost a score
            asked.cancel()
            self._rest(error)
            return None

    def _resting(self) -> bool:
        with self._lock:
            return self._clock() < self._retry_at

    def _works(self) -> None:
        """Both looked up and stored: the next outage is a new one."""
        with self._lock:
            back, self._pause_s = self._pause_s > 0.0, 0.0
        if back:
            log.info("score cache is back")

    def _rest(self, error: BaseException) -> None:
        with self._lock:
            if self._clock() < self._retry_at:
                return  # another thread has said so
            first = self._pause_s == 0.0
            self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._retry_at = self._clock() + self._pause_s
        if first:
            why = str(error) or f"no answer within {self._wait_s * 1e3:g} ms"
            log.warning("TAPEWIRE_REDIS: scoring without the cache until it is back", why=why)


class CachedModel(Wrapped):
    """Implements `SentimentModel` around one whose results all come from its name and version."""

    def __init__(self, model: SentimentModel, cache: ScoreCache) -> None:
        super().__init__(model)
        self._cache = cache

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text, in order, from Redis or the model. Raises what the model raises."""
        named = label(self._model)
        unique = list(dict.fromkeys(texts))
        known = self._cache.find(named, unique)
        if missing := [text for text in unique if text not in known]:
            scored = dict(zip(missing, self._model.probabilities(missing), strict=True))
            self._cache.keep(named, scored)
            known.update(scored)
        return [known[text] for text in texts]


@contextmanager
def caching(settings: Settings) -> Iterator[tuple[Wrap, Note]]:
    """What puts a model behind the namespace's cache, and what is told the symbols of a text.

    Redis is called by the first text, not before; with `score_cache_s` 0 never.
    """
    if not settings.score_cache_s:
        yield lambda model: model, lambda text, symbols: None
        return
    cache = ScoreCache(stored_scores(settings, _GIVE_UP_S))
    try:
        yield cache.wrap, cache.note
    finally:
        cache.close()


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[first : first + _TEXTS] for first in range(0, len(texts), _TEXTS))


def stored_scores(settings: Settings, wait_s: float) -> StoredScores:
    """The namespace's scores in the Redis of `settings`, whose answers are waited for `wait_s`."""
    client = connect(settings.redis.get_secret_value(), wait_s)
    return StoredScores(client, settings.namespace, settings.score_cache_s)
