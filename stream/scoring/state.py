"""State of one partition: applies events record by record and says what is due to be scored.

Event time is the highest time on the tape so far, so what is due depends on the records alone:

    tape     |----- pane -----|-- lateness --|
                              end            event time reaches end + lateness: the pane closes,
                                             its vector is cut at `end`, as_of = end + lateness

Where the feature set waits for the market, a pane is scored when the MarketPane of its interval
comes or event time passes `settle_us` more; as_of is then, and the cut stays.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from stream.engine.step import NotYet, Outcome
from stream.errors import Rejected
from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    MarketPane,
    PaneEnd,
    SentimentScored,
    SymbolEnd,
    Tick,
    TriggerKind,
    micros,
    moment,
)
from stream.features.marketbook import MarketView
from stream.features.news import NewsItem
from stream.features.panes import Pane, of_bar
from stream.features.symbol import NewsChange, SymbolState
from stream.features.vector import FeatureSet
from stream.scoring.due import Due, due_at
from stream.scoring.intervals import Intervals, pane_ends
from stream.scoring.known_market import KnownMarket
from stream.scoring.policy import Policy


class PartitionState:
    """All symbols of one partition. `late_by` tells how late the last late record was, in us.

    Parameters
    ----------
    features : a variant of the policy's feature set, for experiments.
    waits : raise NotYet for a record that comes before a MarketPane that it must see: in a replay
        the tape runs faster than the market can answer.
    """

    def __init__(
        self,
        partition: int,
        policy: Policy,
        features: FeatureSet | None = None,
        *,
        waits: bool = False,
    ) -> None:
        self.partition = partition
        self.policy = policy
        self.event_time = 0
        self.late_by = 0
        self.symbols: dict[str, SymbolState] = {}
        self.instruments: dict[str, Instrument] = {}
        self.closed: list[tuple[str, Pane]] = []  # panes closed and not yet taken
        self.ends: list[PaneEnd] = []  # for the market, not yet taken
        self._waits = waits
        self._features = policy.features if features is None else features
        self._rule = self._features.market
        self._market = KnownMarket(self._rule)
        self._intervals = Intervals(self._rule, policy.lateness_us)
        names = self._features.names
        self._move = names.index(self._rule.move)
        self._ranked = [names.index(name) for name in self._rule.ranked]
        self._pane_us = self._features.pane_us
        self._open: dict[int, set[str]] = {}  # pane end -> symbols that traded in it
        self._first_end: int | None = None
        self._sessions: dict[tuple[str, str], ClockTick] = {}
        self._held: list[tuple[int, int, SentimentScored]] = []  # heap by (available_at, offset)
        self._touched: set[str] = set()
        self._changed_instruments: set[str] = set()

    def apply(self, event: msgspec.Struct, offset: int, kafka_us: int, due: list[Due]) -> Outcome:
        """Apply one event and append what is due. Raises Rejected, with nothing changed."""
        if type(event) is Tick:
            return self._apply_tick(event, offset, kafka_us, due)
        if type(event) is ClockTick:
            return self._apply_clock(event, kafka_us, due)
        if type(event) is SentimentScored:
            return self._apply_sentiment(event, offset, due)
        if type(event) is Bar:
            return self._apply_bar(event, kafka_us, due)
        if type(event) is CorporateAction:
            return self._apply_action(event)
        if type(event) is MarketPane:
            return self._apply_market(event, due)
        if type(event) is Instrument:
            self.instruments[event.symbol] = event
            self._changed_instruments.add(event.symbol)
            return Outcome.APPLIED
        raise Rejected(f"expected an event that moves a symbol's state, got {type(event).__name__}")

    def obey(self, policy: Policy) -> None:
        """Go on under another policy of the same feature set."""
        self.policy = policy
        self._intervals.set_lateness(policy.lateness_us)

    def take_closed(self) -> list[tuple[str, Pane]]:
        """Panes closed since the last call, with their symbols, in order of closing."""
        closed, self.closed = self.closed, []
        return closed

    def take_ends(self) -> list[PaneEnd]:
        """What is to be told to the market since the last call, in order."""
        ends, self.ends = self.ends, []
        return ends

    # -- the tape ------------------------------------------------------------------------------

    def _apply_tick(self, tick: Tick, offset: int, kafka_us: int, due: list[Due]) -> Outcome:
        ts = micros(tick.ts)
        self._advance(ts, kafka_us, "ts", due)
        symbol = tick.symbol
        state = self.symbols.get(symbol) or self._new_symbol(symbol)
        end = None if self._pane_us is None else ts - ts % self._pane_us + self._pane_us
        overdue = end is not None and end + self.policy.lateness_us <= self.event_time
        if tick.seq is not None and not overdue and state.repeats(ts, tick.exchange, tick.seq):
            self._touched.add(symbol)
            return Outcome.DUPLICATE
        applied = not overdue and state.apply_trade(
            ts, tick.price, tick.size, bid=tick.bid, ask=tick.ask, regular=tick.regular
        )
        if not applied:
            self.late_by = self.event_time - ts
            return Outcome.LATE
        self._touched.add(symbol)
        if end is not None:
            open_here = self._open.get(end)
            if open_here is None:
                open_here = self._open[end] = set()
                if self._first_end is None or end < self._first_end:
                    self._first_end = end
            open_here.add(symbol)
        if self.policy.score_every_tick:
            ref = f"{self.partition}:{offset}"
            due.append(self._due(symbol, "tick", ref, self.event_time, self.event_time, live=True))
        return Outcome.APPLIED

    def _apply_bar(self, bar: Bar, kafka_us: int, due: list[Due]) -> Outcome:
        end = micros(bar.end)
        self._advance(end, kafka_us, "end", due)
        state = self.symbols.get(bar.symbol) or self._new_symbol(bar.symbol)
        pane = state.apply_bar(
            of_bar(
                micros(bar.start),
                end,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
                bar.adj_close,
                bar.vwap,
                bar.n_trades,
            )
        )
        if pane is None:
            self.late_by = self.event_time - end
            return Outcome.LATE
        self._touched.add(bar.symbol)
        self._close(bar.symbol, pane, due)
        return Outcome.APPLIED

    def _apply_clock(self, tick: ClockTick, kafka_us: int, due: list[Due]) -> Outcome:
        at = micros(tick.at)
        repeated = at <= self.event_time and tick.kind == "beat"
        self._advance(at, kafka_us, "at", due)
        if tick.kind in ("open", "close"):
            slot = (tick.calendar, tick.kind)
            known = self._sessions.get(slot)
            if known is not None and known.at >= tick.at:
                return Outcome.DUPLICATE
            self._sessions[slot] = tick
            if tick.kind == "close":
                self._intervals.close(at)
            for symbol in sorted(self.symbols):
                if self._calendar(symbol) == tick.calendar:
                    self._apply_session(symbol, tick)
        return Outcome.DUPLICATE if repeated else Outcome.APPLIED

    def _advance(self, ts: int, kafka_us: int, name: str, due: list[Due]) -> None:
        """Move event time to `ts` and close every pane that this makes due."""
        if ts < 0:
            raise Rejected(f"`{name}`: expected a time from 1970 on, got an earlier one")
        moves = ts > self.event_time
        if moves and ts > kafka_us + self.policy.max_ahead_us:
            ahead_s = (ts - kafka_us) / 1e6
            limit_s = self.policy.max_ahead_us / 1e6
            raise Rejected(
                f"`{name}`: expected at most {limit_s:g} s after the record's Kafka timestamp, "
                f"got {ahead_s:.3f} s after it"
            )
        if self._waits:
            self._wait_for_market(max(ts, self.event_time))
        if not moves:
            return
        while self._held and self._held[0][0] <= ts:
            available, _, scored = heapq.heappop(self._held)
            self.event_time = max(self.event_time, available)
            self._count_news(scored, due)
        self.event_time = ts
        while self._first_end is not None and self._first_end + self.policy.lateness_us <= ts:
            end = self._first_end
            for symbol in sorted(self._open.pop(end)):
                self._touched.add(symbol)
                for pane in self.symbols[symbol].close_through(end):
                    self._close(symbol, pane, due)
            self._first_end = min(self._open, default=None)
        if self._intervals.waiting:
            for end, symbol in self._intervals.overdue(ts):
                due.append(self._pane_due(symbol, end))
        if ts >= self._intervals.due_at:
            for end, symbols in self._intervals.take(ts):
                self._tell_market(end, sorted(symbols), due)

    def _close(self, symbol: str, pane: Pane, due: list[Due]) -> None:
        self.closed.append((symbol, pane))
        end = self._rule.end_of(pane.end)
        if not self._intervals.trade(symbol, end):
            self._note_move(symbol, end, self.symbols[symbol].vector(end, include_open=False))
        known = max(self._market.through, self._intervals.known_end(self.event_time))
        if self._rule.waits and pane.end > known:
            self._intervals.waiting.setdefault(pane.end, set()).add(symbol)
        else:
            due.append(self._pane_due(symbol, pane.end))

    def _pane_due(self, symbol: str, end: int) -> Due:
        known = self._intervals.counts_at(end)
        as_of = known if self._rule.waits else end + self.policy.lateness_us
        return self._due(symbol, "pane", str(end), as_of, end, live=False)

    # -- the market ----------------------------------------------------------------------------

    def _wait_for_market(self, ts: int) -> None:
        end = self._intervals.unanswered(ts)
        if end is not None:
            raise NotYet(f"the MarketPane of {moment(end).isoformat()}")

    def _tell_market(self, end: int, symbols: list[str], due: list[Due]) -> None:
        """Say what `symbols` did in the interval that ended at `end`, and keep their moves."""
        known = {one.symbol: one.vector for one in due if one.cut == end and one.trigger == "pane"}
        told = []
        for symbol in symbols:
            state = self.symbols[symbol]
            vector = known.get(symbol) or state.vector(end, include_open=False)
            move = self._note_move(symbol, end, vector)
            values = tuple([vector[place] for place in self._ranked])
            told.append(SymbolEnd(symbol, self._sector(symbol), move, values))
        self.ends += pane_ends(self.partition, end, self._rule.ranked, told)

    def _note_move(self, symbol: str, end: int, vector: tuple[float | None, ...]) -> float | None:
        move = vector[self._move]
        if move is not None:
            self.symbols[symbol].note_move(end, move)
            self._touched.add(symbol)
        return move

    def _apply_market(self, pane: MarketPane, due: list[Due]) -> Outcome:
        end = micros(pane.end)
        if not self._market.add(end, pane):
            return Outcome.DUPLICATE
        for at, symbol in self._intervals.answered(end):
            due.append(self._pane_due(symbol, at))
        return Outcome.APPLIED

    def market_at(
        self, symbol: str, trigger: TriggerKind, as_of: int, cut: int
    ) -> MarketView | None:
        """What a vector may see of the market; None where too little is known of it.

        A pane that waits for its own MarketPane is not content with an older one.
        """
        known = self._intervals.known_end(as_of)
        own = self._rule.waits and trigger == "pane"
        oldest = cut if own else known - self._rule.fresh_us
        return self._market.view(self.symbols[symbol], self._sector(symbol), oldest, known)

    def _sector(self, symbol: str) -> str:
        instrument = self.instruments.get(symbol)
        return "" if instrument is None else instrument.sector

    # -- the other inputs ----------------------------------------------------------------------

    def _apply_sentiment(self, scored: SentimentScored, offset: int, due: list[Due]) -> Outcome:
        if self.policy.require_instruments and scored.symbol not in self.instruments:
            raise Rejected(
                f"`symbol`: expected one that topic `instruments` names, got {scored.symbol!r}"
            )
        available = micros(scored.available_at)
        if self.policy.news_waits_for_time and available > self.event_time:
            heapq.heappush(self._held, (available, offset, scored))
            return Outcome.APPLIED
        if self._waits:
            self._wait_for_market(self.event_time)
        return self._count_news(scored, due)

    def _count_news(self, scored: SentimentScored, due: list[Due]) -> Outcome:
        symbol = scored.symbol
        state = self.symbols.get(symbol) or self._new_symbol(symbol)
        available = micros(scored.available_at)
        change = state.apply_news(
            NewsItem(
                article_id=scored.article_id,
                revision=scored.revision,
                status=scored.status,
                source=scored.source,
                available_at=available,
                polarity=scored.positive - scored.negative,
                negative=scored.negative,
                neutral=scored.neutral,
                positive=scored.positive,
                relevance=scored.relevance,
                n_chars=scored.n_chars,
                model=scored.model,
                sketch=scored.sketch,
            )
        )
        if change is NewsChange.IGNORED:
            return Outcome.DUPLICATE
        self._touched.add(symbol)
        as_of = max(self.event_time, available)
        due.append(
            self._due(symbol, "news", scored.article_id, as_of, as_of, live=True)._replace(
                revision=scored.revision, status=scored.status
            )
        )
        return Outcome.APPLIED

    def _apply_action(self, action: CorporateAction) -> Outcome:
        state = self.symbols.get(action.symbol) or self._new_symbol(action.symbol)
        ex_at = micros(datetime.combine(action.ex_date, time(), UTC))
        if action.kind == "split":
            state.apply_split(ex_at, action.value)
        else:
            state.apply_dividend(ex_at, action.value)
        self._touched.add(action.symbol)
        return Outcome.APPLIED

    # -- parts ---------------------------------------------------------------------------------

    def _due(
        self, symbol: str, trigger: TriggerKind, ref: str, as_of: int, cut: int, *, live: bool
    ) -> Due:
        market = self.market_at(symbol, trigger, as_of, cut)
        return due_at(self.symbols[symbol], trigger, ref, as_of, cut, live=live, market=market)

    def _new_symbol(self, symbol: str) -> SymbolState:
        if self.policy.require_instruments and symbol not in self.instruments:
            raise Rejected(f"`symbol`: expected one that topic `instruments` names, got {symbol!r}")
        state = self.symbols[symbol] = SymbolState(symbol, self._features)
        for kind in ("close", "open"):
            tick = self._sessions.get((self._calendar(symbol), kind))
            if tick is not None:
                self._apply_session(symbol, tick)
        return state

    def _apply_session(self, symbol: str, tick: ClockTick) -> None:
        if tick.session is not None:
            self.symbols[symbol].apply_session(tick.kind, tick.session.toordinal(), micros(tick.at))
            self._touched.add(symbol)

    def _calendar(self, symbol: str) -> str:
        instrument = self.instruments.get(symbol)
        return self.policy.calendar if instrument is None else instrument.calendar

    def copy_of(self, symbol: str) -> PartitionState:
        """A state of this one symbol that goes its own way from here."""
        copy = PartitionState(self.partition, self.policy, self._features)
        copy.event_time = self.event_time
        copy.symbols = {symbol: deepcopy(self.symbols[symbol])}
        copy.instruments = dict(self.instruments)
        copy._sessions = dict(self._sessions)
        copy._market = self._market.copy()
        copy._intervals = self._intervals.copy_of(symbol)
        copy._open = {end: {symbol} for end, symbols in self._open.items() if symbol in symbols}
        copy._first_end = min(copy._open, default=None)
        copy._held = [held for held in self._held if held[2].symbol == symbol]
        return copy

    # -- checkpoints ---------------------------------------------------------------------------

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Slots changed since the last call, as `symbol|slot`; None deletes one."""
        for symbol in sorted(self._changed_instruments):
            yield f"@instrument|{symbol}".encode(), msgspec.json.encode(self.instruments[symbol])
        for slot, value in self._market.take_changes():
            yield f"@market|{slot}".encode(), value
        for symbol in sorted(self._touched):
            for slot, value in self.symbols[symbol].take_changes():
                yield f"{symbol}|{slot}".encode(), value
        self._changed_instruments.clear()
        self._touched.clear()

    def meta(self) -> dict[str, Any]:
        """Event time, open panes and session ticks: what no symbol's slots hold."""
        return {
            "event_time": self.event_time,
            "open": {str(end): sorted(symbols) for end, symbols in self._open.items()},
            "sessions": [msgspec.to_builtins(tick) for tick in self._sessions.values()],
            "held": [[offset, msgspec.to_builtins(scored)] for _, offset, scored in self._held],
            "market": {"through": self._market.through, **self._intervals.meta()},
        }

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take the state of a checkpoint; the next records give what they would have given."""
        self.event_time = int(meta.get("event_time", 0))
        self._open = {int(end): set(symbols) for end, symbols in meta.get("open", {}).items()}
        self._first_end = min(self._open, default=None)
        ticks = msgspec.convert(meta.get("sessions", []), list[ClockTick])
        self._sessions = {(tick.calendar, tick.kind): tick for tick in ticks}
        held = msgspec.convert(meta.get("held", []), list[tuple[int, SentimentScored]])
        self._held = [(micros(scored.available_at), offset, scored) for offset, scored in held]
        heapq.heapify(self._held)
        by_symbol: dict[str, dict[str, bytes]] = {}
        market: dict[str, bytes] = {}
        for key, value in slots.items():
            owner, _, slot = key.decode().partition("|")
            if owner == "@instrument":
                self.instruments[slot] = msgspec.json.decode(value, type=Instrument)
            elif owner == "@market":
                market[slot] = value
            else:
                by_symbol.setdefault(owner, {})[slot] = value
        if "market" in meta:
            self._market.restore(int(meta["market"]["through"]), market)
            self._intervals.restore(meta["market"])
        for symbol, own in by_symbol.items():
            state = self.symbols[symbol] = SymbolState(symbol, self._features)
            state.restore(own)
