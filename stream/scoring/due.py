"""What is due: one symbol at one cut, to be scored or to train on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from stream.events import TriggerKind
from stream.features.marketbook import MarketView
from stream.features.symbol import SymbolState


class Due(NamedTuple):
    """One symbol to be scored now, with all that a model may know. Times in microseconds."""

    symbol: str
    trigger: TriggerKind
    trigger_ref: str
    revision: int
    status: str
    as_of: int
    cut: int
    vector: tuple[float | None, ...]
    price: float | None
    evidence: tuple[str, ...]
    last_tick_at: int | None
    last_news_at: int | None
    warm: bool
    sentiment_models: Mapping[str, int]
    sequence: bytes | None  # of the newest panes; None: no model asked for it


class DueAt(Protocol):
    """What a symbol's state gives at `cut`; with `live` the open pane too."""

    def __call__(
        self,
        state: SymbolState,
        trigger: TriggerKind,
        ref: str,
        as_of: int,
        cut: int,
        *,
        live: bool,
        market: MarketView | None = None,
        sector: str = "",
        with_sequence: bool = False,
    ) -> Due: ...


def due_at(
    state: SymbolState,
    trigger: TriggerKind,
    ref: str,
    as_of: int,
    cut: int,
    *,
    live: bool,
    market: MarketView | None = None,
    sector: str = "",
    with_sequence: bool = False,
) -> Due:
    """All that a signal says."""
    return Due(
        symbol=state.symbol,
        trigger=trigger,
        trigger_ref=ref,
        revision=1,
        status="published",
        as_of=as_of,
        cut=cut,
        vector=state.vector(cut, include_open=live, market=market, sector=sector),
        price=state.last_price(),
        evidence=state.evidence(cut),
        last_tick_at=state.last_tick_at(cut, include_open=live),
        last_news_at=state.last_news_at(cut),
        warm=state.warm(cut),
        sentiment_models=state.models_in_window(cut),
        sequence=state.sequence(cut, include_open=live) if with_sequence else None,
    )


def row_at(
    state: SymbolState,
    trigger: TriggerKind,
    ref: str,
    as_of: int,
    cut: int,
    *,
    live: bool,
    market: MarketView | None = None,
    sector: str = "",
    with_sequence: bool = False,
) -> Due:
    """What training takes: nothing of where news came from, and no vector of a warm-up."""
    warm = state.warm(cut)
    return Due(
        symbol=state.symbol,
        trigger=trigger,
        trigger_ref=ref,
        revision=1,
        status="published",
        as_of=as_of,
        cut=cut,
        vector=state.vector(cut, include_open=live, market=market, sector=sector) if warm else (),
        price=state.last_price(),
        evidence=(),
        last_tick_at=state.last_tick_at(cut, include_open=live),
        last_news_at=None,
        warm=warm,
        sentiment_models={},
        sequence=state.sequence(cut, include_open=live) if warm and with_sequence else None,
    )
