"""Does any feature look ahead? Vectors of past moments, computed again after what came later.

    moment m                     later
    state ──► vector(cut)        the events that came, or noise in their place
      └─ two copies ───────────► vector(cut) of each must still be what it was at m

A feature that reads anything past its cut moves in one of the copies, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import msgspec

from stream.days import midnight
from stream.errors import Rejected
from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    MarketPane,
    SentimentScored,
    Tick,
    micros,
)
from stream.features.panes import DAY_US, MINUTE_US
from stream.features.vector import FeatureSet
from stream.features.view import days
from stream.scoring.due import Due
from stream.scoring.policy import Policy
from stream.scoring.state import PartitionState
from training.stored import Stored

MOST_PROBES = 8  # open at once in a partition
_LOOK_ON_US = 60 * MINUTE_US
_LOOK_ON_EVENTS = 300  # of one symbol; whichever of the two takes longer
_MEMORY_DAYS = 30
_SPREAD = 0.05


class Moved(msgspec.Struct, frozen=True):
    """A feature whose value at a past cut changed with what came after it."""

    feature: str
    symbol: str
    cut_us: int
    after: str  # "the events that came" or "noise"
    was: float | None
    became: float | None


class LookAhead(msgspec.Struct):
    """Moments probed, and what moved."""

    moments: int = 0
    moved: list[Moved] = []

    @property
    def features(self) -> list[str]:
        """Names of the features that moved."""
        return sorted({each.feature for each in self.moved})


class _Probe:
    """One past moment: what its vector was, and two futures for it."""

    def __init__(self, state: PartitionState, due: Due, noise: Random) -> None:
        self.due = due
        self.noise = noise
        self.futures = {
            "the events that came": state.copy_of(due.symbol),
            "noise": state.copy_of(due.symbol),
        }
        self.n_events = 0

    def apply(self, stored: Stored) -> None:
        """Let both futures see an event, if it is theirs and was not known at the cut."""
        event, offset, at_us = stored
        symbol = getattr(event, "symbol", None)
        if symbol not in (None, self.due.symbol) or _known_at(event) <= self.due.cut:
            return
        self.n_events += 1
        for name, state in self.futures.items():
            try:
                seen = _noisy(event, self.noise) if name == "noise" else event
                state.apply(seen, offset, at_us, [])
            except Rejected:
                continue
            state.take_closed()
            state.take_ends()

    def over(self, event_time: int) -> bool:
        """Whether enough has come since, or as much as the states remember."""
        since = event_time - self.due.as_of
        enough = since > _LOOK_ON_US and self.n_events > _LOOK_ON_EVENTS
        return enough or since > _MEMORY_DAYS * DAY_US

    def moved(self) -> list[Moved]:
        """What differs from the vector of the moment itself."""
        names = self.futures["noise"].policy.features.names
        found = []
        for after, state in self.futures.items():
            due = self.due
            market = state.market.view(due.symbol, due.trigger, due.as_of, due.cut)
            symbol, sector = state.symbols.states[due.symbol], state.symbols.sector(due.symbol)
            vector = symbol.vector(due.cut, include_open=False, market=market, sector=sector)
            for name, was, became in zip(names, self.due.vector, vector, strict=True):
                if was != became:
                    moved = Moved(name, self.due.symbol, self.due.cut, after, was, became)
                    found.append(moved)
        return found


def look_ahead(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    *,
    seed: int,
    share: float,
    applied: Callable[[int], None] = lambda n: None,
) -> LookAhead:
    """Probe a share of the moments at which a pane closed.

    Parameters
    ----------
    partitions : for each partition its number and events, in the order they were applied.
    seed : of the choice of moments and of the noise.
    share : of the closed panes, 0..1; at most MOST_PROBES are open at once in a partition.
    applied : told how many events are done, every 10,000.
    """
    policy = msgspec.structs.replace(policy, score_every_tick=False)
    chance = Random(seed)
    found = LookAhead()
    n = 0
    for partition, events in partitions:
        state = PartitionState(partition, policy, _remembering(policy.features))
        probes: list[_Probe] = []
        for stored in events:
            n += 1
            if n % 10_000 == 0:
                applied(n)
            for probe in probes:
                probe.apply(stored)
            due: list[Due] = []
            try:
                state.apply(stored.event, stored.offset, stored.at_us, due)
            except Rejected:
                continue
            state.take_closed()
            state.take_ends()
            for over in [probe for probe in probes if probe.over(state.event_time)]:
                probes.remove(over)
                found.moved += over.moved()
            for one in due:
                chosen = one.trigger == "pane" and chance.random() < share
                if chosen and len(probes) < MOST_PROBES:
                    probes.append(_Probe(state, one, Random(chance.random())))
                    found.moments += 1
        for probe in probes:
            found.moved += probe.moved()
    return found


def _remembering(features: FeatureSet) -> FeatureSet:
    """The feature set with a longer memory, which answers for cuts that lie far back."""
    window, kept = features.pane_window_us, features.panes_kept
    return replace(
        features,
        pane_window_us=None if window is None else window + _MEMORY_DAYS * DAY_US,
        panes_kept=None if kept is None else kept + _MEMORY_DAYS,
        sessions_kept=features.sessions_kept + _MEMORY_DAYS,
        market=replace(features.market, kept_us=features.market.kept_us + _MEMORY_DAYS * DAY_US),
        news_window=days(features.news_window.us // DAY_US + _MEMORY_DAYS),
    )


def _known_at(event: msgspec.Struct) -> int:
    """When an event counts from, in microseconds."""
    if isinstance(event, SentimentScored):
        return micros(event.available_at)
    if isinstance(event, Tick):
        return micros(event.ts)
    if isinstance(event, ClockTick):
        return micros(event.at)
    if isinstance(event, Bar | MarketPane):
        return micros(event.end)
    if isinstance(event, CorporateAction):
        return midnight(event.ex_date)
    return 0


def _noisy(event: msgspec.Struct, noise: Random) -> msgspec.Struct:
    """The event with other numbers: same place, same time."""
    factor = noise.uniform(1.0 - _SPREAD, 1.0 + _SPREAD)
    if isinstance(event, Tick):
        size = event.size * noise.uniform(0.1, 10.0)
        return msgspec.structs.replace(event, price=event.price * factor, size=size)
    if isinstance(event, MarketPane) and event.benchmark is not None:
        return msgspec.structs.replace(event, benchmark=event.benchmark + noise.gauss(0.0, _SPREAD))
    if isinstance(event, Bar):
        prices = {name: getattr(event, name) * factor for name in ("open", "high", "low", "close")}
        volume = event.volume * noise.uniform(0.1, 10.0)
        return msgspec.structs.replace(event, **prices, volume=volume)
    if isinstance(event, SentimentScored):
        positive = noise.random()
        return msgspec.structs.replace(
            event, positive=positive, neutral=0.0, negative=1.0 - positive
        )
    return event
