"""State of one partition: applies events record by record and says what is due to be scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stream.days import midnight
from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    MarketPane,
    PaneEnd,
    SentimentScored,
    Tick,
    micros,
)
from stream.features.panes import Pane
from stream.features.vector import FeatureSet
from stream.scoring.due import Due, DueAt, due_at
from stream.scoring.event_time import EventTime
from stream.scoring.inputs import pane_of
from stream.scoring.market_dialogue import MarketDialogue
from stream.scoring.policy import Policy
from stream.scoring.symbols import Symbols

_MARKET = "@market"


class PartitionState:
    """All symbols of one partition. `late_by` tells how late the last late record was, in us.

    Parameters
    ----------
    features : a variant of the policy's feature set, for experiments.
    waits : raise NotYet for a record that comes before a MarketPane that it must see: in a replay
        the tape runs faster than the market can answer.
    due_at : what is made of a symbol that is due.
    """

    def __init__(
        self,
        partition: int,
        policy: Policy,
        features: FeatureSet | None = None,
        *,
        waits: bool = False,
        due_at: DueAt = due_at,
    ) -> None:
        self.partition = partition
        self.policy = policy
        self.late_by = 0
        self._features = policy.features if features is None else features
        self._pane_us = self._features.pane_us
        self.symbols = Symbols(policy, self._features)
        self.market = MarketDialogue(partition, self._features, policy.lateness_us, self.symbols)
        self._time = EventTime(policy, self.symbols, self.market, waits=waits, due_at=due_at)

    @property
    def event_time(self) -> int:
        """In microseconds; 0 before the first record."""
        return self._time.now

    def ask_for_sequences(self, asked: bool) -> None:
        """Whether what is due from here on has its newest panes beside its vector."""
        self._time.with_sequence = asked

    def apply(self, event: msgspec.Struct, offset: int, kafka_us: int, due: list[Due]) -> Outcome:
        """Apply one event and append what is due. Raises Rejected, with nothing changed."""
        if type(event) is Tick:
            return self._apply_tick(event, offset, kafka_us, due)
        if type(event) is ClockTick:
            return self._apply_clock(event, kafka_us, due)
        if type(event) is SentimentScored:
            self.symbols.expect(event.symbol)
            return self._time.hear(event, offset, due)
        if type(event) is Bar:
            return self._apply_bar(event, kafka_us, due)
        if type(event) is CorporateAction:
            return self._apply_action(event)
        if type(event) is MarketPane:
            return self._apply_market(event, due)
        if type(event) is Instrument:
            self.symbols.describe(event)
            return Outcome.APPLIED
        raise Rejected(f"expected an event that moves a symbol's state, got {type(event).__name__}")

    def obey(self, policy: Policy) -> None:
        """Go on under another policy of the same feature set."""
        self.policy = self.symbols.policy = self._time.policy = policy
        self.market.intervals.set_lateness(policy.lateness_us)

    def take_closed(self) -> list[tuple[str, Pane]]:
        """Panes closed since the last call, with their symbols, in order of closing."""
        closed, self._time.closed = self._time.closed, []
        return closed

    def take_ends(self) -> list[PaneEnd]:
        """What is to be told to the market since the last call, in order."""
        ends, self.market.ends = self.market.ends, []
        return ends

    def _apply_tick(self, tick: Tick, offset: int, kafka_us: int, due: list[Due]) -> Outcome:
        ts = micros(tick.ts)
        clock, symbols, symbol = self._time, self.symbols, tick.symbol
        if symbol not in symbols.states:
            symbols.expect(symbol)
        clock.advance(ts, kafka_us, "ts", due)
        state = symbols.states.get(symbol) or symbols.admit(symbol)
        end = None if self._pane_us is None else ts - ts % self._pane_us + self._pane_us
        overdue = end is not None and end + self.policy.lateness_us <= clock.now
        if tick.seq is not None and not overdue and state.repeats(ts, tick.exchange, tick.seq):
            symbols.touched.add(symbol)
            return Outcome.DUPLICATE
        applied = not overdue and state.apply_trade(
            ts, tick.price, tick.size, bid=tick.bid, ask=tick.ask, regular=tick.regular
        )
        if not applied:
            self.late_by = clock.now - ts
            return Outcome.LATE
        symbols.touched.add(symbol)
        if end is not None:
            clock.open.add(end, symbol)
        if self.policy.score_every_tick:
            ref = f"{self.partition}:{offset}"
            due.append(clock.due_now(symbol, "tick", ref, clock.now, clock.now, live=True))
        return Outcome.APPLIED

    def _apply_bar(self, bar: Bar, kafka_us: int, due: list[Due]) -> Outcome:
        end = micros(bar.end)
        if bar.symbol not in self.symbols.states:
            self.symbols.expect(bar.symbol)
        self._time.advance(end, kafka_us, "end", due)
        state = self.symbols.states.get(bar.symbol) or self.symbols.admit(bar.symbol)
        pane = state.apply_bar(pane_of(bar))
        if pane is None:
            self.late_by = self._time.now - end
            return Outcome.LATE
        self.symbols.touched.add(bar.symbol)
        self._time.close(bar.symbol, pane, due)
        return Outcome.APPLIED

    def _apply_clock(self, tick: ClockTick, kafka_us: int, due: list[Due]) -> Outcome:
        at = micros(tick.at)
        repeated = at <= self._time.now and tick.kind == "beat"
        self._time.advance(at, kafka_us, "at", due)
        if tick.kind in ("open", "close"):
            if not self.symbols.keep_session(tick):
                return Outcome.DUPLICATE
            if tick.kind == "close":
                self.market.intervals.close(at)
        return Outcome.DUPLICATE if repeated else Outcome.APPLIED

    def _apply_market(self, pane: MarketPane, due: list[Due]) -> Outcome:
        end = micros(pane.end)
        if not self.market.known.add(end, pane):
            return Outcome.DUPLICATE
        for at, symbol in self.market.intervals.answered(end):
            due.append(self._time.pane_due(symbol, at))
        return Outcome.APPLIED

    def _apply_action(self, action: CorporateAction) -> Outcome:
        symbol, ex_at = action.symbol, midnight(action.ex_date)
        state = self.symbols.states.get(symbol) or self.symbols.admit(symbol)
        if action.kind == "split":
            state.apply_split(ex_at, action.value)
        else:
            state.apply_dividend(ex_at, action.value)
        self.symbols.touched.add(symbol)
        return Outcome.APPLIED

    def copy_of(self, symbol: str) -> PartitionState:
        """A state of this one symbol that goes its own way from here."""
        copy = PartitionState(self.partition, self.policy, self._features)
        copy.symbols.adopt(self.symbols, symbol)
        copy.market.known = self.market.known.copy()
        copy.market.intervals = self.market.intervals.copy_of(symbol)
        copy._time.now = self._time.now
        copy._time.open = self._time.open.copy_of(symbol)
        copy._time.held = self._time.held.copy_of(symbol)
        return copy

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Slots changed since the last call, as `owner|slot`; None deletes one."""
        for slot, value in self.symbols.take_changes():
            yield slot.encode(), value
        for end, value in self.market.known.take_changes():
            yield f"{_MARKET}|{end}".encode(), value

    def meta(self) -> dict[str, Any]:
        """Event time, open panes and session ticks: what no symbol's slots hold."""
        return {
            "event_time": self._time.now,
            "open": self._time.open.meta(),
            "sessions": [msgspec.to_builtins(tick) for tick in self.symbols.sessions.values()],
            "held": self._time.held.meta(),
            "market": self.market.meta(),
        }

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take the state of a checkpoint; the next records give what they would have given."""
        by_owner: dict[str, dict[str, bytes]] = {}
        for key, value in slots.items():
            owner, _, slot = key.decode().partition("|")
            by_owner.setdefault(owner, {})[slot] = value
        self._time.now = int(meta["event_time"])
        self._time.open.restore(meta["open"])
        self._time.held.restore(meta["held"])
        self.market.restore(meta["market"], by_owner.pop(_MARKET, {}))
        ticks = msgspec.convert(meta["sessions"], list[ClockTick])
        self.symbols.restore(by_owner, ticks)
