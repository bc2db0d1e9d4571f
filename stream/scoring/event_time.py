"""Event time of a partition, the highest time on its tape so far, and what it makes due. Pure.

    tape     |----- pane -----|-- lateness --|
                              end            event time reaches end + lateness: the pane closes,
                                             its vector is cut at `end`, as_of = end + lateness

Where the feature set waits for the market, a pane is scored when the MarketPane of its interval
comes or event time passes `settle_us` more; as_of is then, and the cut stays.
"""

from __future__ import annotations

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import SentimentScored, TriggerKind, micros
from stream.features.panes import Pane
from stream.features.symbol import NewsChange
from stream.scoring.due import Due, DueAt
from stream.scoring.held_news import HeldNews
from stream.scoring.inputs import news_item
from stream.scoring.market_dialogue import MarketDialogue
from stream.scoring.open_panes import OpenPanes
from stream.scoring.policy import Policy
from stream.scoring.symbols import Symbols


class EventTime:
    """`now` in microseconds. `closed` are panes that closed, with their symbols, in that order.

    waits, due_at, with_sequence : see `stream.scoring.state.PartitionState`, and its
        `ask_for_sequences`.
    """

    def __init__(
        self,
        policy: Policy,
        symbols: Symbols,
        market: MarketDialogue,
        *,
        waits: bool,
        due_at: DueAt,
    ) -> None:
        self.policy = policy
        self.now = 0
        self.with_sequence = False
        self.closed: list[tuple[str, Pane]] = []
        self.open = OpenPanes()
        self.held = HeldNews()
        self._symbols = symbols
        self._market = market
        self._waits = waits
        self._due_at = due_at

    def advance(self, ts: int, kafka_us: int, name: str, due: list[Due]) -> None:
        """Go on to `ts`, unless it is past, and append what that makes due.

        Raises Rejected, or NotYet, with nothing changed.
        """
        if ts < 0:
            raise Rejected(f"`{name}`: expected a time from 1970 on, got an earlier one")
        moves = ts > self.now
        if moves and ts > kafka_us + self.policy.max_ahead_us:
            ahead_s = (ts - kafka_us) / 1e6
            limit_s = self.policy.max_ahead_us / 1e6
            raise Rejected(
                f"`{name}`: expected at most {limit_s:g} s after the record's Kafka timestamp, "
                f"got {ahead_s:.3f} s after it"
            )
        if self._waits:
            self._market.wait(max(ts, self.now))
        if not moves:
            return
        while self.held.next_at <= ts:
            available, scored = self.held.take_first()
            self.now = max(self.now, available)
            self._count(scored, due)
        self.now = ts
        while self.open.first_end + self.policy.lateness_us <= ts:
            end = self.open.first_end
            for symbol in self.open.take_first():
                self._symbols.touched.add(symbol)
                for pane in self._symbols.states[symbol].close_through(end):
                    self.close(symbol, pane, due)
        intervals = self._market.intervals
        if intervals.waiting:
            for end, symbol in intervals.overdue(ts):
                due.append(self.pane_due(symbol, end))
        if ts >= intervals.due_at:
            self._market.tell(ts, due)

    def close(self, symbol: str, pane: Pane, due: list[Due]) -> None:
        """Take a closed pane, and append it unless it waits for the market."""
        self.closed.append((symbol, pane))
        if not self._market.close(symbol, pane.end, self.now):
            due.append(self.pane_due(symbol, pane.end))

    def pane_due(self, symbol: str, end: int) -> Due:
        """The symbol's pane that ended at `end`, to be scored now."""
        waited = self._market.rule.waits
        counts_at = self._market.intervals.counts_at(end)
        as_of = counts_at if waited else end + self.policy.lateness_us
        return self.due_now(symbol, "pane", str(end), as_of, end, live=False)

    def hear(self, scored: SentimentScored, offset: int, due: list[Due]) -> Outcome:
        """Count news at once, or hold what is read ahead of its time."""
        available = micros(scored.available_at)
        if self.policy.news_waits_for_time and available > self.now:
            self.held.hold(available, offset, scored)
            return Outcome.APPLIED
        if self._waits:
            self._market.wait(self.now)
        return self._count(scored, due)

    def _count(self, scored: SentimentScored, due: list[Due]) -> Outcome:
        symbol = scored.symbol
        item = news_item(scored)
        state = self._symbols.states.get(symbol) or self._symbols.admit(symbol)
        if state.apply_news(item) is NewsChange.IGNORED:
            return Outcome.DUPLICATE
        self._symbols.touched.add(symbol)
        as_of = max(self.now, item.available_at)
        one = self.due_now(symbol, "news", scored.article_id, as_of, as_of, live=True)
        due.append(one._replace(revision=scored.revision, status=scored.status))
        return Outcome.APPLIED

    def due_now(
        self, symbol: str, trigger: TriggerKind, ref: str, as_of: int, cut: int, *, live: bool
    ) -> Due:
        """A symbol to be scored; with `live` its open pane counts too."""
        market = self._market.view(symbol, trigger, as_of, cut)
        state, sector = self._symbols.states[symbol], self._symbols.sector(symbol)
        return self._due_at(
            state, trigger, ref, as_of, cut,
            live=live, market=market, sector=sector, with_sequence=self.with_sequence,
        )  # fmt: skip
