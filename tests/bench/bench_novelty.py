"""Re-prints on real text, and what a comparison costs. Without the data sets only the cost.

twitter_fin_news has no times and no labels, so a pair of near-duplicates (TF-IDF cosine >= 0.75
with cashtags and numbers masked) is judged by its facts: the same cashtags and numbers, or those
of one among those of the other, should be one story; others should not. Company names are no
facts to this judge, so templates about two companies count against the recall.

stocknet has times: in the order of a symbol's tweets, a copy says (from its start on) what one of
the three days before it said, markup, case and punctuation left out.
"""

from __future__ import annotations

import csv
import gzip
import html
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from stream.events import micros
from stream.features.news import NewsItem
from stream.features.stories import REPRINT, Stories, text_of, told_share
from stream.features.vector import FEATURE_SETS
from stream.sentiment.sketch import sketch
from stream.sentiment.text import clean
from tests.unit.sentiment.rewrites import BODY, headlines

SHARED = Path(__file__).parents[3] / "shared" / "data"
REACH_US = FEATURE_SETS["intraday"].story_window.us
N_ITEMS = 1_000
_CASHTAG = re.compile(r"\$[A-Za-z][A-Za-z.\-]*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MARKUP = re.compile(r"^(?:rt\s+@\w+:?\s*)+|https?://\S+|(?:\bvia\s+)?@\w+|…|\.\.\.")
_MIN_COPY = 40  # characters


def run(stack: dict[str, str]) -> dict[str, object]:
    """Cost in microseconds of processor time; recall and precision on the data that is there."""
    found: dict[str, object] = {"cost": cost(), "reprint_at": REPRINT}
    tweets = SHARED / "twitter_fin_news" / "train.csv.gz"
    if tweets.exists():
        found["twitter_fin_news"] = near_duplicates(tweets)
    dated = SHARED / "stocknet" / "news.jsonl.gz"
    if dated.exists():
        found["stocknet"] = copies(dated)
    return found


# -- cost ------------------------------------------------------------------------------------------


def cost() -> dict[str, float]:
    texts = [each.text for each in headlines(0, N_ITEMS)]
    sketches = [sketch(text) for text in texts]
    full = [item(f"n{i:04}", i, each) for i, each in enumerate(sketches)]
    same = [item(f"n{i:04}", i, sketches[0]) for i in range(N_ITEMS)]
    window, copied = Stories(REACH_US, full), Stories(REACH_US, same)
    last = item("last", N_ITEMS, sketch(headlines(1, 1)[0].text))

    def one_more(stories: Stories) -> Callable[[], None]:
        def add_and_remove() -> None:
            stories.insert(last)
            stories.remove(last)

        return add_and_remove

    def retract() -> None:
        copied.remove(same[0])
        copied.insert(same[0])

    return {
        "sketch_headline_us": per_call(lambda: sketch(texts[0]), 2_000),
        "sketch_2000_chars_us": per_call(lambda: sketch((texts[0] + BODY) * 6), 300),
        f"item_among_{N_ITEMS}_us": per_call(one_more(window), 300),
        f"item_among_{N_ITEMS}_copies_us": per_call(one_more(copied), 100),
        f"retraction_of_{N_ITEMS}_copies_us": per_call(retract, 3),
        f"restore_of_{N_ITEMS}_us": per_call(lambda: Stories(REACH_US, full), 3),
    }


def per_call(call: Callable[[], object], n: int) -> float:
    """The best of three rounds, in microseconds of processor time."""
    rounds = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(n):
            call()
        rounds.append((time.process_time() - began) / n * 1e6)
    return round(min(rounds), 1)


def item(ident: str, at: int, text: bytes) -> NewsItem:
    return NewsItem(ident, 1, "published", "wire", at, 0.5, 0.1, 0.3, 0.6, 1.0, 80, "m", text)


# -- near-duplicates without times -----------------------------------------------------------------


def near_duplicates(path: Path) -> dict[str, object]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [clean(row["text"]) for row in csv.DictReader(lines)]
    pairs = list(similar_pairs(texts))
    sketches = [text_of(sketch(text)) for text in texts]
    one_story, shares, either = [], [], []
    for i, j in pairs:
        a, b = facts(texts[i]), facts(texts[j])
        there = told_share(sketches[j], sketches[i])
        back = told_share(sketches[i], sketches[j])
        one_story.append(a <= b or b <= a)
        shares.append(there)
        either.append(max(there, back))
    judged = np.array(one_story)
    found, told = np.array(either) >= REPRINT, np.array(shares) >= REPRINT
    return {
        "pairs": len(pairs),
        "pairs_of_one_story": int(judged.sum()),
        "recall": round(float(found[judged].mean()), 3),
        "recall_in_file_order": round(float(told[judged].mean()), 3),
        "precision": round(float(judged[found].mean()), 3),
    }


def similar_pairs(texts: list[str], cosine: float = 0.75) -> Iterator[tuple[int, int]]:
    masked = [_NUMBER.sub(" num ", _CASHTAG.sub(" tag ", text)) for text in texts]
    rows = TfidfVectorizer(ngram_range=(1, 2), dtype=np.float32).fit_transform(masked)
    for first in range(0, len(texts), 500):
        near = (rows[first : first + 500] @ rows.T).tocoo()
        for i, j, value in zip(near.row + first, near.col, near.data, strict=True):
            if i < j and value >= cosine:
                yield int(i), int(j)


def facts(text: str) -> set[str]:
    numbers = {each.replace(",", "") for each in _NUMBER.findall(text)}
    return numbers | {each.upper() for each in _CASHTAG.findall(text)}


# -- tweets in time order --------------------------------------------------------------------------


def copies(path: Path) -> dict[str, object]:
    by_symbol: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            tweet = json.loads(line)
            published = datetime.fromisoformat(tweet["published_at"].replace("Z", "+00:00"))
            for symbol in tweet["symbols"]:
                by_symbol[symbol].append((micros(published), tweet["id"], tweet["headline"]))
    n_items = n_reprints = n_copies = n_found = most = 0
    began = time.process_time()
    for tweets in by_symbol.values():
        stories, starts = Stories(REACH_US), Starts()
        for at, ident, text in sorted(tweets):
            stories.forget(at - 2 * REACH_US)
            stories.insert(item(ident, at, sketch(clean(text))))
            reprint = stories.stories[-1].first != (at, ident)
            copy = starts.copies(at, text)
            n_items += 1
            n_reprints += reprint
            n_copies += copy
            n_found += copy and reprint
            most = max(most, len(stories.items))
    return {
        "items": n_items,
        "most_in_reach": most,
        "copies": n_copies,
        "copies_found": round(n_found / n_copies, 3),
        "reprints": round(n_reprints / n_items, 3),
        "us_per_item": round((time.process_time() - began) / n_items * 1e6, 1),
    }


class Starts:
    """Texts of the last days by their first characters."""

    def __init__(self) -> None:
        self._texts: defaultdict[str, deque[tuple[int, str]]] = defaultdict(deque)

    def copies(self, at: int, text: str) -> bool:
        """Whether a text of the days before starts with this one; it counts from now on."""
        plain = " ".join(re.findall(r"\w+", _MARKUP.sub(" ", html.unescape(text).lower())))
        if len(plain) < _MIN_COPY:
            return False
        before = self._texts[plain[:_MIN_COPY]]
        while before and before[0][0] <= at - REACH_US:
            before.popleft()
        found = any(each.startswith(plain) for _, each in before)
        before.append((at, plain))
        return found
