"""Duplicate articles through the cache: the same texts again, in chunks as the role gets them."""

from __future__ import annotations

import statistics
import time

from models.sentiment.lexicon import Lexicon
from stream import metrics
from stream.sentiment.cache import CachedModel, Note, ScoreCache
from stream.sentiment.stored_scores import StoredScores, connect

N_TEXTS, RUNS = 2_000, 5
CHUNKS = (1, 20, 500)
_SYMBOLS = ("AAPL", "MSFT")


def run(stack: dict[str, str]) -> dict[str, object]:
    """Texts a second that Redis answers, each noted under two symbols; medians of RUNS."""
    texts = [f"Company {n} beats estimates as profit surges by {n} %" for n in range(N_TEXTS)]
    namespace = f"bench{time.time_ns()}"
    stored = StoredScores(connect(stack["TAPEWIRE_REDIS"], 1.0), namespace, 900)
    cache = ScoreCache(stored, wait_s=1.0)  # the bench is of answers, not of skipping
    cached = cache.wrap(Lexicon())
    try:
        model_s = _seconds(cached, cache.note, texts, 500)  # nothing is stored yet
        _wait_for(stored, N_TEXTS)
        rates = {
            f"duplicates_per_s_chunks_of_{chunk}": round(
                N_TEXTS
                / statistics.median(_seconds(cached, cache.note, texts, chunk) for _ in range(RUNS))
            )
            for chunk in CHUNKS
        }
        stored.invalidate()
    finally:
        cache.close()
    skipped = metrics.SCORE_CACHE.labels("skipped")._value.get()
    return {
        "texts": N_TEXTS,
        "first_time_per_s": round(N_TEXTS / model_s),
        **rates,
        "skipped": int(skipped),
    }


def _seconds(cached: CachedModel, note: Note, texts: list[str], chunk: int) -> float:
    began = time.perf_counter()
    for first in range(0, len(texts), chunk):
        part = texts[first : first + chunk]
        for text in part:
            note(text, _SYMBOLS)
        cached.probabilities(part)
    return time.perf_counter() - began


def _wait_for(stored: StoredScores, n: int) -> None:
    until = time.monotonic() + 10
    while stored.count().total() < n:
        if time.monotonic() > until:
            raise TimeoutError(f"expected {n} stored scores, got {stored.count().total()}")
        time.sleep(0.05)
