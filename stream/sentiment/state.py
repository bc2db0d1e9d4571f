"""What the role remembers of articles: revisions, every symbol ever given, and who said it first.

Memory is the longest news window, by the articles' own availability: a function of the records
alone, never of when a checkpoint fell. Slots: `article|<id>`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import msgspec

_PREFIX = "article|"


class Known(msgspec.Struct, array_like=True):
    """What an article was at its last revision.

    symbols : every symbol it was ever given -> relevance, 0 for one that it lost again.
    since : offset of the first revision with this text; the lowest of a text is its original.
    """

    revision: int
    status: str
    available_at: int
    text_hash: str
    since: int
    symbols: dict[str, float]


class Articles:
    """The articles of one partition inside a window of `keep_us` microseconds."""

    def __init__(self, keep_us: int) -> None:
        self.latest = 0  # availability of the newest article, in microseconds
        self._keep_us = keep_us
        self._known: dict[str, Known] = {}
        self._tellers: dict[tuple[str, str], list[str]] = {}  # (text, symbol) -> ids, first first
        self._ages: list[tuple[int, str]] = []  # heap of (available_at, id)
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, article_id: str) -> Known | None:
        """What is known of the article."""
        return self._known.get(article_id)

    def oldest(self, latest: int) -> int:
        """What was available before is forgotten once the newest article is of `latest`."""
        return latest - self._keep_us

    def is_reprint(self, text_hash: str, symbol: str, article_id: str) -> bool:
        """Whether another article in the window said this text of the symbol before."""
        tellers = self._tellers.get((text_hash, symbol))
        return bool(tellers) and tellers[0] != article_id  # type: ignore[index]

    def advance(self, available_at: int) -> None:
        """Let time pass to `available_at`: forget what left the window."""
        self.latest = max(self.latest, available_at)
        oldest = self.oldest(self.latest)
        while self._ages and self._ages[0][0] < oldest:
            at, article_id = heapq.heappop(self._ages)
            known = self._known.get(article_id)
            if known is not None and known.available_at == at:
                self._untell(article_id, known)
                del self._known[article_id]
                self._changed[article_id] = None

    def put(self, article_id: str, known: Known) -> None:
        """Remember a revision; its text counts from `known.since` on."""
        before = self._known.get(article_id)
        if before is not None:
            self._untell(article_id, before)
        self._known[article_id] = known
        self._tell(article_id, known)
        heapq.heappush(self._ages, (known.available_at, article_id))
        self._changed[article_id] = None

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Slots changed since the last call; None for an article that was forgotten."""
        changed, self._changed = self._changed, {}
        for article_id in changed:
            known = self._known.get(article_id)
            slot = f"{_PREFIX}{article_id}".encode()
            yield slot, None if known is None else msgspec.json.encode(known)

    def restore(self, slots: Mapping[bytes, bytes], latest: int) -> None:
        """Take the articles of a checkpoint."""
        self.latest = latest
        for slot, raw in slots.items():
            known = msgspec.json.decode(raw, type=Known)
            self.put(slot.decode().removeprefix(_PREFIX), known)
        self._changed.clear()

    def _tell(self, article_id: str, known: Known) -> None:
        if known.status == "retracted":
            return
        for symbol, relevance in known.symbols.items():
            if relevance > 0.0:
                tellers = self._tellers.setdefault((known.text_hash, symbol), [])
                tellers.append(article_id)
                tellers.sort(key=lambda each: self._known[each].since)

    def _untell(self, article_id: str, known: Known) -> None:
        for symbol in known.symbols:
            place = (known.text_hash, symbol)
            tellers = self._tellers.get(place, [])
            if article_id in tellers:
                tellers.remove(article_id)
                if not tellers:
                    del self._tellers[place]
