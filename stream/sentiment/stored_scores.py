"""Scores in Redis: their keys and values, and which texts are about a symbol.

<namespace>:score:<model>:<blake2b of the text>   its probabilities, gone after `ttl_s`
<namespace>:about:<symbol>                         sorted set of such keys, by when it was asked
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.sentiment.model import Probabilities

_SUM_TOLERANCE = 1e-4
_BATCH = 1_000  # keys of one command
_KEPT = 2  # an index outlives by this factor the values it names: it is written before them
_GLOB = re.compile(r"([*?\[\]\\])")


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A value. `text` is the digest that is in its key too: an answer to another question shows."""

    text: bytes
    negative: float
    neutral: float
    positive: float


class Found(NamedTuple):
    """Of each text its probabilities, None where there are none; `n_spoiled` made no sense."""

    scores: list[Probabilities | None]
    n_spoiled: int


class StoredScores:
    """The scores of one namespace. Every call raises what the driver raises, and OSError."""

    def __init__(self, client: redis.Redis, namespace: str, ttl_s: int) -> None:
        self._client = client
        self._namespace = namespace
        self._ttl_s = ttl_s
        self._decoder = msgspec.msgpack.Decoder(Entry)

    def get(self, model: str, texts: Sequence[str], about: Mapping[str, Collection[str]]) -> Found:
        """What is stored of `texts`, in one round trip that also notes `about` (text -> symbols).

        Raises ValueError when the answer has not the form of one.
        """
        digests = [_digest(text) for text in texts]
        keys = [self._key(model, digest) for digest in digests]
        now = time.time()
        pipe = self._client.pipeline(transaction=False)
        pipe.mget(keys)
        for symbol, theirs in _by_symbol(texts, digests, about).items():
            index = self._index(symbol)
            pipe.zadd(index, dict.fromkeys(theirs, now))
            pipe.zremrangebyscore(index, "-inf", now - _KEPT * self._ttl_s)
            pipe.expire(index, _KEPT * self._ttl_s)
        values = _checked(pipe.execute(raise_on_error=False))[0]
        if not isinstance(values, list) or len(values) != len(texts):
            raise ValueError(f"MGET: expected {len(texts)} values, got {type(values).__name__}")
        scores = [self._read(*pair) for pair in zip(digests, values, strict=True)]
        n_spoiled = sum(
            value is not None and score is None for value, score in zip(values, scores, strict=True)
        )
        return Found(scores, n_spoiled)

    def put(self, model: str, scores: Mapping[str, Probabilities]) -> None:
        """Store what can be read again; one round trip."""
        pipe = self._client.pipeline(transaction=False)
        for text, score in scores.items():
            entry = Entry(_digest(text), *map(float, score))
            if _makes_sense(entry):
                key = self._key(model, entry.text)
                pipe.set(key, msgspec.msgpack.encode(entry), ex=self._ttl_s)
        _checked(pipe.execute(raise_on_error=False))

    def count(self) -> Counter[str]:
        """Stored scores by model."""
        found: Counter[str] = Counter()
        prefix = f"{self._namespace}:score:"
        for key in self._client.scan_iter(f"{_plain(prefix)}*", count=_BATCH):
            found[key.decode(errors="replace").removeprefix(prefix).rpartition(":")[0]] += 1
        return found

    def invalidate(self, *, symbol: str | None = None, model: str | None = None) -> int:
        """Forget the scores of a symbol's texts, of a model, of both, or all; returns how many."""
        if symbol is not None:
            noted: Any = self._client.zrange(self._index(symbol), 0, -1)
            models = self.count() if model is None else (model,)
            return self._forget(self._key(each, digest) for each in models for digest in noted)
        whose = "*" if model is None else _plain(model)
        pattern = f"{_plain(self._namespace)}:score:{whose}:*"
        return self._forget(self._client.scan_iter(pattern, count=_BATCH))

    def server(self) -> dict[str, object]:
        """What the server says of itself: hits and misses of all its clients since it started."""
        stats, memory = self._client.info("stats"), self._client.info("memory")
        hits, misses = stats["keyspace_hits"], stats["keyspace_misses"]
        return {
            "hits": hits,
            "misses": misses,
            "hit_rate": round(hits / (hits + misses), 4) if hits + misses else None,
            "memory_bytes": memory["used_memory"],
            "evicted": stats["evicted_keys"],
        }

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _key(self, model: str, digest: bytes) -> str:
        return f"{self._namespace}:score:{model}:{digest.hex()}"

    def _index(self, symbol: str) -> str:
        return f"{self._namespace}:about:{symbol}"

    def _read(self, digest: bytes, value: object) -> Probabilities | None:
        if not isinstance(value, bytes):
            return None
        try:
            entry = self._decoder.decode(value)
        except msgspec.MsgspecError:
            return None
        if entry.text != digest or not _makes_sense(entry):
            return None
        return Probabilities(entry.negative, entry.neutral, entry.positive)

    def _forget(self, keys: Iterable[str | bytes]) -> int:
        n, batch = 0, list[str | bytes]()
        for key in keys:
            batch.append(key)
            if len(batch) == _BATCH:
                n += self._client.unlink(*batch)
                batch.clear()
        return n + (self._client.unlink(*batch) if batch else 0)


def connect(url: str, wait_s: float) -> redis.Redis:
    """A client of the Redis at `url`, connected by its first call; it never tries twice."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=wait_s, socket_timeout=wait_s, retry=Retry(NoBackoff(), 0)
    )


def _digest(text: str) -> bytes:
    """Of the exact text: `text_hash` makes texts equal that a model may tell apart."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _makes_sense(entry: Entry) -> bool:
    shares = (entry.negative, entry.neutral, entry.positive)
    return all(0.0 <= p <= 1.0 for p in shares) and abs(sum(shares) - 1.0) <= _SUM_TOLERANCE


def _by_symbol(
    texts: Sequence[str], digests: Sequence[bytes], about: Mapping[str, Collection[str]]
) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for text, digest in zip(texts, digests, strict=True):
        for symbol in sorted(about.get(text, ())):
            found.setdefault(symbol, []).append(digest)
    return found


def _checked(replies: list[object]) -> list[object]:
    """The replies. Raises the first that is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _plain(text: str) -> str:
    """A pattern of Redis that only `text` fits."""
    return _GLOB.sub(r"\\\1", text)
