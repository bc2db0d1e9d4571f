"""All revisions of a symbol's news inside the longest window, and what of them counts at a cut.

An item counts at `cut` when available_at <= cut and no higher revision of it was available by
then. A retraction is a revision that counts as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from stream.features.news import NewsItem
from stream.features.stories import Stories

_FEW = 8  # of so many items one may be put in by itself: more are quicker all together


class NewsBook:
    """The revisions by article. An item is compared with those of the `reach_us` before it."""

    def __init__(self, reach_us: int) -> None:
        self.revisions: dict[str, list[NewsItem]] = {}  # ascending revision
        self._reach_us = reach_us
        self._oldest: int | None = None  # available_at
        self._settled = Stories(reach_us)
        self._settled_at = 0  # from this cut on, `_settled` is what counts
        self._earlier: tuple[int, Stories] | None = None  # a cut before that, and what counted

    def newest_revision(self, article_id: str) -> int:
        """Highest revision known; 0 where there is none."""
        known = self.revisions.get(article_id)
        return known[-1].revision if known else 0

    def add(self, item: NewsItem) -> None:
        """Add a revision higher than all known ones of its article."""
        known = self.revisions.setdefault(item.article_id, [])
        if known and known[-1].status != "retracted":
            self._settled.remove(known[-1])
        known.append(item)
        if item.status != "retracted":
            self._settled.insert(item)
        if len(known) > 1:
            self._settled_at = max(self._settled_at, item.available_at)
        if self._oldest is None or item.available_at < self._oldest:
            self._oldest = item.available_at
        self._earlier = None

    def forget(self, until: int) -> set[str]:
        """Drop revisions available at or before `until`; returns the ids of changed articles."""
        if self._oldest is None or self._oldest > until:
            return set()
        changed = set()
        for article_id, known in list(self.revisions.items()):
            gone = max((each.revision for each in known if each.available_at <= until), default=0)
            if not gone:
                continue
            changed.add(article_id)
            left = [each for each in known if each.revision > gone]
            if left:
                self.revisions[article_id] = left
            else:
                del self.revisions[article_id]
        self._settled.forget(until)
        self._note_times()
        self._earlier = None
        return changed

    def restore(self, revisions: dict[str, list[NewsItem]]) -> None:
        """Take the articles of a checkpoint."""
        self.revisions = revisions
        newest = (known[-1] for known in revisions.values())
        items = (item for item in newest if item.status != "retracted")
        self._settled = Stories(self._reach_us, items)
        self._note_times()
        self._earlier = None

    def at(self, cut: int) -> Stories:
        """The items that count at `cut`; those that come later may stand behind them."""
        if cut >= self._settled_at:
            return self._settled
        if self._earlier is None or self._earlier[0] != cut:
            self._earlier = cut, self._before_later_revisions(cut)
        return self._earlier[1]

    def _before_later_revisions(self, cut: int) -> Stories:
        """What counted at `cut`: what is settled by then, and what was replaced only later."""
        found = self._settled.until(cut)
        revised = (known for known in self.revisions.values() if known[-1].available_at > cut)
        replaced = [item for known in revised if (item := _counted(known, cut)) is not None]
        if len(replaced) * _FEW > len(found.items):
            return Stories(self._reach_us, [*found.items, *replaced])
        for item in replaced:
            found.insert(item)
        return found

    def models(self, after: int, cut: int) -> Mapping[str, int]:
        """Items by sentiment model in (after, cut], re-prints too."""
        stories = self.at(cut)
        return stories.once(Stories.models, *stories.between(after, cut))

    def _note_times(self) -> None:
        every = self.revisions.values()
        times = [item.available_at for known in every for item in known]
        self._oldest = min(times, default=None)
        replaced = [item.available_at for known in every for item in known[1:]]
        self._settled_at = max(replaced, default=0)


def _counted(known: list[NewsItem], cut: int) -> NewsItem | None:
    """The highest revision available at `cut`, unless it takes the article back."""
    for item in reversed(known):
        if item.available_at <= cut:
            return None if item.status == "retracted" else item
    return None
