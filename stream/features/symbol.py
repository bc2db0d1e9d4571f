"""One symbol's state: takes its events one by one, gives its vector at any cut.

Cuts may lie up to `SLACK_US` before the newest applied event; what is older than the longest window
and the slack is forgotten. A slot of the checkpoint is about 150 bytes: a closed pane is written
once, an open one and the short `misc` slot with each checkpoint that changed them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import TypeVar

import msgspec

from stream.errors import Refused
from stream.features.adjust import Action
from stream.features.marketbook import MarketView
from stream.features.news import NewsItem
from stream.features.newsbook import NewsBook
from stream.features.panes import Pane
from stream.features.sequence import sequence
from stream.features.stories import Stories
from stream.features.tape import SLACK_US, Tape
from stream.features.vector import FeatureSet
from stream.features.view import View

MAX_EVIDENCE = 20
_ON_TAPE = ("misc", "open", "seen", "pane", "session")
_BESIDE = ("news", "action", "move")
_encode = msgspec.json.encode
T = TypeVar("T")


class NewsChange(Enum):
    """What a news item did to the state."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"
    IGNORED = "ignored"


class SymbolState:
    """All that the features of one symbol need. Times are microseconds since 1970 UTC."""

    def __init__(self, symbol: str, feature_set: FeatureSet) -> None:
        self.symbol = symbol
        self.feature_set = feature_set
        self._changed: dict[str, None] = {}  # slots, in order of change
        self._tape = Tape(feature_set, self._changed)
        self._news = NewsBook(feature_set.story_window.us)
        self._actions: list[Action] = []
        self.moves: dict[int, float] = {}  # log return by market interval's end, oldest first
        self.n_moves = 0  # noted by this object
        # Taken as they are, for speed: every trade passes here.
        self.apply_trade = self._tape.open.add
        self.repeats = self._tape.open.repeats
        self.next_close = self._tape.open.next_close
        self.last_tick_at = self._tape.last_at

    def apply_bar(self, bar: Pane) -> Pane | None:
        """Close the bar's interval by it; None, with nothing changed, where that is closed.

        Trades applied to the interval before give way to the bar.
        """
        pane = self._tape.apply_bar(bar)
        if pane is not None:
            self._prune()
        return pane

    def close_through(self, end: int) -> list[Pane]:
        """Close every open pane with pane.end <= end, in time order."""
        closed = self._tape.close_through(end)
        self._prune()
        return closed

    def apply_session(self, kind: str, session_day: int, at: int) -> None:
        """A clock tick of the symbol's calendar: `kind` open or close, the session's date ordinal.

        A repeated one, or one of an older session, changes nothing.
        """
        self._tape.apply_session(kind, session_day, at)
        self._prune()

    def apply_news(self, item: NewsItem) -> NewsChange:
        """Add, replace or remove a news item.

        A higher revision replaces the known one from its own available_at on, a retraction removes
        it; an equal or lower revision, or one older than the longest window, is ignored. News never
        moves time.
        """
        horizon = self._tape.misc.newest - self.feature_set.news_window.us
        known = self._news.newest_revision(item.article_id)
        if item.revision <= known or item.available_at <= horizon:
            return NewsChange.IGNORED
        self._news.add(item)
        self._changed[f"news|{item.article_id}"] = None
        if item.status == "retracted":
            return NewsChange.REMOVED
        return NewsChange.REPLACED if known else NewsChange.ADDED

    def apply_split(self, ex_at: int, ratio: float) -> None:
        """`ratio` new shares per old from `ex_at` on; panes that end by then are adjusted."""
        self._know(Action(ex_at, "split", ratio))

    def apply_dividend(self, ex_at: int, amount: float) -> None:
        """`amount` per share off from `ex_at` on; panes that end by then are adjusted."""
        self._know(Action(ex_at, "dividend", amount))

    def note_move(self, end: int, move: float) -> None:
        """The log return over the market interval that ended at `end`."""
        self.moves[end] = move
        self.n_moves += 1
        if len(self.moves) > 1 and end < max(self.moves):
            self.moves = dict(sorted(self.moves.items()))
        self._changed[f"move|{end}"] = None
        memory_us = self.feature_set.market.memory_us
        for gone in [at for at in self.moves if at <= end - memory_us]:
            del self.moves[gone]
            self._changed[f"move|{gone}"] = None

    def _know(self, action: Action) -> None:
        """A second action of one kind and moment replaces the first."""
        key = (action.ex_at, action.kind)
        others = [known for known in self._actions if (known.ex_at, known.kind) != key]
        self._take_actions([*others, action])
        self._changed[_action_slot(action)] = None

    def _take_actions(self, actions: list[Action]) -> None:
        self._actions = sorted(actions)
        self._tape.closed.know(self._actions)
        self._tape.book.done.know(self._actions)

    def vector(
        self,
        cut: int,
        *,
        include_open: bool,
        market: MarketView | None = None,
        sector: str = "",
    ) -> tuple[float | None, ...]:
        """The feature set's values at `cut`; None is missing, zero is a value.

        From panes with end <= cut (with `include_open` also the open ones as applied so far),
        sessions as known at `cut`, news with available_at <= cut, actions with ex_at <= cut, and
        what is told of the market and of the symbol's sector.
        """
        return self._looked(cut, include_open, market, self.feature_set.compute, sector)

    def told(self, cut: int) -> tuple[float | None, ...]:
        """What the market compares at `cut`: the move, then the ranked values."""
        features = self.feature_set.told
        values = self._looked(cut, False, None, features.compute)
        return tuple([values[place] for place in features.compared])

    def sequence(self, cut: int, *, include_open: bool) -> bytes:
        """The newest panes one by one as known at `cut`, see `stream.features.sequence`."""
        return self._looked(cut, include_open, None, lambda view: sequence(view, self.feature_set))

    def _looked(
        self,
        cut: int,
        include_open: bool,
        market: MarketView | None,
        look: Callable[[View], T],
        sector: str = "",
    ) -> T:
        tape = self._tape
        taken = tape.take(cut, include_open=include_open)
        try:
            view = View(
                cut,
                tape.closed,
                taken.high,
                tape.book,
                taken.session,
                taken.session_pane,
                taken.n_done,
                self._news.at(cut),
                market,
                sector,
            )
            return look(view)
        finally:
            tape.give_back(taken)

    def evidence(self, cut: int) -> tuple[str, ...]:
        """Ids of the news of the feature set's evidence window, newest first, at most 20."""
        known = self._news.at(cut)
        low, high = known.between(cut - self.feature_set.evidence_window.us, cut)
        return known.once(Stories.ids, max(low, high - MAX_EVIDENCE), high)

    def last_news_at(self, cut: int) -> int | None:
        """available_at of the newest item at `cut` inside the longest news window."""
        times = self._news.at(cut).times
        high = bisect_right(times, cut)
        if not high or times[high - 1] <= cut - self.feature_set.news_window.us:
            return None
        return times[high - 1]

    def last_price(self) -> float | None:
        """The price applied last, as traded."""
        return self._tape.misc.last_price

    def warm(self, cut: int) -> bool:
        """Whether the feature set's warm-up panes stand inside its longest pane window."""
        ends, window = self._tape.closed.ends, self.feature_set.pane_window_us
        low = 0 if window is None else bisect_right(ends, cut - window)
        return bisect_right(ends, cut) - low >= self.feature_set.warmup_panes

    def models_in_window(self, cut: int) -> Mapping[str, int]:
        """Items by sentiment model, in the longest news window."""
        return self._news.models(cut - self.feature_set.news_window.us, cut)

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Slots changed since the last call; None for those that are gone."""
        self._tape.open.note_changes()
        changed = list(self._changed)
        self._changed.clear()
        for slot in changed:
            value = self._slot_value(slot)
            yield slot, None if value is None else _encode(value)

    def _slot_value(self, slot: str) -> object:
        kind, _, key = slot.partition("|")
        if kind in _ON_TAPE:
            return self._tape.slot_value(kind, key)
        if kind == "news":
            return self._news.revisions.get(key)
        if kind == "move":
            return self.moves.get(int(key))
        return next((action for action in self._actions if _action_slot(action) == slot), None)

    def restore(self, slots: Mapping[str, bytes]) -> None:
        """Take the state of a checkpoint, into a new object; later vectors are bit-equal."""
        by_kind: dict[str, dict[str, bytes]] = {k: {} for k in (*_ON_TAPE, *_BESIDE)}
        for slot, raw in slots.items():
            kind, _, key = slot.partition("|")
            if kind not in by_kind:
                raise Refused(f"slot {slot!r}: expected one of {', '.join(by_kind)}")
            by_kind[kind][key] = raw
        self._tape.restore(by_kind)
        self._news.restore(
            {
                key: msgspec.json.decode(raw, type=list[NewsItem])
                for key, raw in by_kind["news"].items()
            }
        )
        moves = sorted((int(end), raw) for end, raw in by_kind["move"].items())
        self.moves = {end: msgspec.json.decode(raw, type=float) for end, raw in moves}
        self._take_actions(
            [msgspec.json.decode(raw, type=Action) for raw in by_kind["action"].values()]
        )

    def _prune(self) -> None:
        """Forget what no window reaches any more."""
        self._tape.prune()
        kept_us = self.feature_set.news_window.us + self.feature_set.story_window.us + SLACK_US
        for article_id in self._news.forget(self._tape.misc.newest - kept_us):
            self._changed[f"news|{article_id}"] = None
        if self._actions:
            self._prune_actions()

    def _prune_actions(self) -> None:
        firsts = [
            pane
            for series in (self._tape.closed, self._tape.book.done)
            for pane in series.panes[:1]
        ]
        firsts += [
            session.pane for session in self._tape.book.sessions[-1:] if session.pane is not None
        ]
        if not firsts:
            return
        oldest = min(pane.end for pane in firsts)
        gone = [action for action in self._actions if action.ex_at < oldest]
        if gone:
            for action in gone:
                self._changed[_action_slot(action)] = None
            self._take_actions([action for action in self._actions if action.ex_at >= oldest])


def _action_slot(action: Action) -> str:
    return f"action|{action.ex_at}|{action.kind}"
