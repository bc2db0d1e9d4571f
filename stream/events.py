"""The vocabulary: every event on every topic, its units and its ranges.

Times on the wire are RFC 3339 with a zone and are read as aware datetimes; the maths runs on
integer microseconds (`micros`). Unknown fields are ignored, new fields have defaults.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from stream.malformed import explain

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SKETCH_WORDS, SKETCH_FACTS = 96, 32  # bytes of a sketch: the words first, then the facts
MARKET_KEY = "*"  # key of records that concern every symbol, written to every partition

Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Z0-9.\-/]{0,15}$(?!\n)", description="ticker")]
SymbolOrAll = Annotated[str, Meta(pattern=r"^(\*|[A-Z0-9][A-Z0-9.\-/]{0,15})$(?!\n)")]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone")]
Price = Annotated[float, Meta(gt=0, le=1e9, description="currency units")]
Size = Annotated[float, Meta(ge=0, le=1e15, description="shares, contracts or coins")]
Share = Annotated[float, Meta(ge=0, le=1)]
Polarity = Annotated[float, Meta(ge=-1, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Ident = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(max_length=64)]
Sketch = Annotated[bytes, Meta(max_length=SKETCH_WORDS + SKETCH_FACTS)]
Revision = Annotated[int, Meta(ge=1, le=1_000_000)]
Status = Literal["published", "corrected", "retracted"]
Direction = Literal["BEARISH", "NEUTRAL", "BULLISH"]
TriggerKind = Literal["pane", "news", "tick"]
Alias = Literal["champion", "challenger"]
ModelRole = Literal["champion", "challenger", "rules"]


class NewsArticle(Struct, frozen=True, kw_only=True):
    """One revision of an article. `received_at` missing means: the record's Kafka timestamp."""

    id: Ident
    source: Annotated[str, Meta(min_length=1, max_length=64)]
    published_at: Time
    headline: Annotated[str, Meta(min_length=1, max_length=2_000)]
    revision: Revision = 1
    status: Status = "published"
    received_at: Time | None = None
    body: Annotated[str, Meta(max_length=500_000)] = ""
    url: Annotated[str, Meta(max_length=2_000)] = ""
    symbols: Annotated[tuple[Symbol, ...], Meta(max_length=100)] = ()
    lang: Annotated[str, Meta(max_length=16)] = ""


class Tick(Struct, frozen=True, kw_only=True):
    """One trade. `regular` is False out of hours.

    `seq` numbers an exchange's trades of a symbol: the same number again in the same pane is the
    same trade, and counts once. Without it a trade sent twice counts twice.
    """

    symbol: Symbol
    ts: Time
    price: Price
    size: Size
    bid: Price | None = None
    ask: Price | None = None
    bid_size: Size | None = None
    ask_size: Size | None = None
    conditions: Word = ""
    exchange: Word = ""
    regular: bool = True
    seq: Count | None = None


class Bar(Struct, frozen=True, kw_only=True):
    """The trades of one closed interval (start, end]; known at its end."""

    symbol: Symbol
    start: Time
    end: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    adj_close: Price | None = None
    vwap: Price | None = None
    n_trades: Count | None = None

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("`end` must be after `start`")
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError("`low` <= open, close <= `high` expected")


class Observation(Struct, frozen=True, kw_only=True):
    """A dated number from another source: analyst, options, social, macro. Symbol `*` is all."""

    symbol: SymbolOrAll
    source: Word
    metric: Annotated[str, Meta(min_length=1, max_length=64)]
    value: float
    ts: Time
    received_at: Time | None = None


class CorporateAction(Struct, frozen=True, kw_only=True):
    """A split (value = new shares per old) or a cash dividend (value per share), by ex-date."""

    symbol: Symbol
    kind: Literal["split", "dividend"]
    ex_date: date
    value: Annotated[float, Meta(gt=0, le=1e6)]
    announced_at: Time


class Instrument(Struct, frozen=True, kw_only=True):
    """What a symbol is. `calendar` is an exchange_calendars code, or 24/7."""

    symbol: Symbol
    company: Annotated[str, Meta(max_length=200)] = ""
    aliases: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    sector: Word = ""
    calendar: Word = "XNYS"
    listed_from: date | None = None
    listed_to: date | None = None


class ClockTick(Struct, frozen=True, kw_only=True):
    """Time itself, in every partition of the tape. `at` is the moment it states."""

    kind: Literal["beat", "open", "decision", "close"]
    at: Time
    calendar: Word = ""
    session: date | None = None


class SentimentScored(Struct, frozen=True, kw_only=True):
    """One (article revision, symbol, model version): what the text says of the symbol.

    `sketch` is what other articles are compared with, base64 on the wire; without one an article
    is compared with nothing and counts as new.
    """

    article_id: Ident
    revision: Revision
    status: Status
    symbol: Symbol
    source: Word
    published_at: Time
    available_at: Time
    scored_at: Time
    negative: Share
    neutral: Share
    positive: Share
    relevance: Share
    model: Word
    text_hash: Word
    headline: Annotated[str, Meta(max_length=2_000)] = ""
    n_chars: Count = 0
    duplicate: bool = False
    assumed_times: bool = False
    sketch: Sketch = b""


class PaneClosed(Struct, frozen=True, kw_only=True):
    """The bar of one interval [start, end), made from trades, with its counts."""

    symbol: Symbol
    start: Time
    end: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    notional: float
    n_trades: int
    signed_volume: float


class SymbolEnd(Struct, frozen=True, array_like=True):
    """One symbol in one market interval: its log return over it, and its ranked values."""

    symbol: Symbol
    sector: Word
    move: float | None
    values: tuple[float | None, ...]


class PaneEnd(Struct, frozen=True, kw_only=True):
    """A partition has closed every pane through `end`; what its symbols did in that interval.

    No symbols: nothing traded there since the end before. `names` are those of the values. With
    `more` another part of the same end follows.
    """

    partition: Count
    end: Time
    names: tuple[Ident, ...] = ()
    symbols: tuple[SymbolEnd, ...] = ()
    more: bool = False


class Cross(Struct, frozen=True, kw_only=True):
    """How one value is spread over symbols; `grid` are its quantiles at 0, 1/16, ... 1."""

    n: Count
    mean: float
    spread: float
    grid: tuple[float, ...]


class SectorReturn(Struct, frozen=True, kw_only=True):
    """Mean log return of a sector's symbols."""

    n: Count
    mean: float


class MarketPane(Struct, frozen=True, kw_only=True):
    """All symbols in the market interval that ends at `end`; returns are log returns over it.

    `benchmark` is the return of `benchmark_symbol`, or the mean where that is empty. No symbols:
    nothing traded. Fewer than all partitions: the others had not answered at the deadline.
    """

    end: Time
    n_partitions: Count
    n_symbols: Count = 0
    benchmark: float | None = None
    benchmark_symbol: str = ""
    mean: float | None = None
    spread: float | None = None
    breadth: Share | None = None
    sectors: dict[str, SectorReturn] = {}
    ranked: dict[str, Cross] = {}


class Freshness(Struct, frozen=True, kw_only=True):
    """Ages against `as_of`, in seconds; None where there is nothing."""

    last_tick_age_s: float | None = None
    last_news_age_s: float | None = None
    model_age_s: float | None = None


class ModelRef(Struct, frozen=True, kw_only=True):
    """Which model spoke, and in which role."""

    name: Word
    version: Word
    role: ModelRole


class Probabilities(Struct, frozen=True, kw_only=True):
    """Sum to 1."""

    bearish: Share
    neutral: Share
    bullish: Share


class Signal(Struct, frozen=True, kw_only=True):
    """A directional score for one symbol at one moment, with its reasons. See README, Signals.

    `sentiment_models` scored the news in its longest window. `positions` are the last records of
    each input topic that went into it; the one of topic `set_off_by` was the last of all and set
    it off.
    """

    signal_id: Word
    signal_key: Word
    revision: Revision
    symbol: Symbol
    as_of: Time
    valid_until: Time
    horizon: Word
    trigger: TriggerKind
    trigger_ref: Ident
    direction: Direction
    probabilities: Probabilities
    confidence: Share
    score: Polarity
    expected_return_bps: float | None
    actionable: bool
    abstain_reason: str | None
    model: ModelRef
    feature_set: Word
    feature_set_version: int
    policy_id: Word
    build: str
    features: dict[str, float | None]
    reasons: tuple[str, ...]
    evidence: tuple[Ident, ...]
    sentiment_models: tuple[Word, ...]
    positions: dict[str, int]
    set_off_by: Word
    freshness: Freshness
    emitted_at: Time


class Contribution(Struct, frozen=True, kw_only=True):
    """What one feature added; log_odds above 0 speaks for bullish. value None: no data."""

    feature: str
    value: float | None
    log_odds: float


class SignalExplained(Struct, frozen=True, kw_only=True):
    """Why the model of an actionable signal said so, some moments after it.

    `base` and the contributions, the largest first, sum to `log_odds`: of bullish against bearish,
    before the calibration. Where there is a `reason` the model could not be asked, and it says why.
    """

    signal_id: Word
    signal_key: Word
    revision: Revision
    symbol: Symbol
    as_of: Time
    model_version: Word
    base: float | None = None
    log_odds: float | None = None
    contributions: tuple[Contribution, ...] = ()
    reason: str | None = None


class LateEvent(Struct, frozen=True, kw_only=True):
    """An event that came too late to count, its first 128 KiB, with how late it was."""

    topic: str
    partition: int
    offset: int
    symbol: SymbolOrAll
    ts: Time
    late_by_s: float
    reason: str
    payload: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that could not be read or was out of range: its bytes, its place and why."""

    role: str
    topic: str
    partition: int
    offset: int
    kafka_ts: Time
    reason: str
    key: bytes | None
    payload: bytes
    n_bytes: int


class ModelChanged(Struct, frozen=True, kw_only=True):
    """An alias moved: every worker loads `version`.

    None: the champion gives way to the rules model, the challenger to nobody.
    """

    alias: Alias
    version: str | None
    sha256: str | None
    moved_at: Time


TOPICS: dict[str, type[Struct]] = {
    "news": NewsArticle,
    "ticks": Tick,
    "bars": Bar,
    "context": Observation,
    "actions": CorporateAction,
    "instruments": Instrument,
    "sentiment": SentimentScored,
    "panes": PaneClosed,
    "pane-ends": PaneEnd,
    "market": MarketPane,
    "signals": Signal,
    "signal-explanations": SignalExplained,
    "shadow-signals": Signal,
    "late-events": LateEvent,
    "dead-letters": DeadLetter,
    "models": ModelChanged,
}
_KINDS: tuple[type[Struct], ...] = (*TOPICS.values(), ClockTick)
EVENTS: dict[str, type[Struct]] = {kind.__name__: kind for kind in _KINDS}

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoders: dict[type[Struct], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in _KINDS
}
E = TypeVar("E", bound=Struct)


def encode(event: Struct) -> bytes:
    """JSON bytes of an event."""
    return _encoder.encode(event)


def decode(kind: type[E], raw: bytes) -> E:
    """The event in `raw`. Raises msgspec.DecodeError, which names the field and what it expects."""
    try:
        return cast(E, _decoders[kind].decode(raw))
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(explain(error, raw)) from None


def schema(kind: type[Struct]) -> dict[str, object]:
    """JSON Schema of an event."""
    return msgspec.json.schema(kind)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """The aware UTC datetime of `us` microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)
