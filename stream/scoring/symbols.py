"""The symbols of one partition: their states, instruments and sessions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy

import msgspec

from stream.errors import Rejected
from stream.events import ClockTick, Instrument, micros
from stream.features.symbol import SymbolState
from stream.features.vector import FeatureSet
from stream.scoring.policy import Policy

_INSTRUMENT = "@instrument"


class Symbols:
    """States by symbol. `touched` names those that changed since the last checkpoint."""

    def __init__(self, policy: Policy, features: FeatureSet) -> None:
        self.policy = policy
        self.states: dict[str, SymbolState] = {}
        self.touched: set[str] = set()
        self.sessions: dict[tuple[str, str], ClockTick] = {}  # newest by calendar and kind
        self._features = features
        self._instruments: dict[str, Instrument] = {}
        self._changed: set[str] = set()

    def expect(self, symbol: str) -> None:
        """Raise Rejected for a symbol that must have an instrument and has none."""
        if self.policy.require_instruments and symbol not in self._instruments:
            raise Rejected(f"`symbol`: expected one that topic `instruments` names, got {symbol!r}")

    def admit(self, symbol: str) -> SymbolState:
        """The state of a symbol that had none, in the session of its calendar. Raises Rejected."""
        self.expect(symbol)
        state = self.states[symbol] = SymbolState(symbol, self._features)
        for kind in ("close", "open"):
            tick = self.sessions.get((self._calendar(symbol), kind))
            if tick is not None:
                self._keep_session(symbol, tick)
        return state

    def describe(self, instrument: Instrument) -> None:
        """Take what is said of a symbol; sessions count by its calendar from the next one on."""
        self._instruments[instrument.symbol] = instrument
        self._changed.add(instrument.symbol)

    def sector(self, symbol: str) -> str:
        """The symbol's sector; empty where none is known."""
        instrument = self._instruments.get(symbol)
        return "" if instrument is None else instrument.sector

    def keep_session(self, tick: ClockTick) -> bool:
        """Let a calendar's symbols keep an open or close; False where it is no news."""
        slot = (tick.calendar, tick.kind)
        known = self.sessions.get(slot)
        if known is not None and known.at >= tick.at:
            return False
        self.sessions[slot] = tick
        for symbol in sorted(self.states):
            if self._calendar(symbol) == tick.calendar:
                self._keep_session(symbol, tick)
        return True

    def _keep_session(self, symbol: str, tick: ClockTick) -> None:
        if tick.session is not None:
            self.states[symbol].apply_session(tick.kind, tick.session.toordinal(), micros(tick.at))
            self.touched.add(symbol)

    def _calendar(self, symbol: str) -> str:
        instrument = self._instruments.get(symbol)
        return self.policy.calendar if instrument is None else instrument.calendar

    def adopt(self, other: Symbols, symbol: str) -> None:
        """Take a copy of one symbol of `other`, which goes its own way from here."""
        self.states = {symbol: deepcopy(other.states[symbol])}
        self.sessions = dict(other.sessions)
        self._instruments = dict(other._instruments)

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Slots changed since the last call, as `owner|slot`; None deletes one."""
        for symbol in sorted(self._changed):
            yield f"{_INSTRUMENT}|{symbol}", msgspec.json.encode(self._instruments[symbol])
        for symbol in sorted(self.touched):
            for slot, value in self.states[symbol].take_changes():
                yield f"{symbol}|{slot}", value
        self._changed.clear()
        self.touched.clear()

    def restore(self, slots: Mapping[str, Mapping[str, bytes]], ticks: Iterable[ClockTick]) -> None:
        """Take a checkpoint's slots, by owner and name, and its session ticks."""
        self.sessions = {(tick.calendar, tick.kind): tick for tick in ticks}
        for owner, own in slots.items():
            if owner == _INSTRUMENT:
                for symbol, value in own.items():
                    self._instruments[symbol] = msgspec.json.decode(value, type=Instrument)
            else:
                state = self.states[owner] = SymbolState(owner, self._features)
                state.restore(own)
