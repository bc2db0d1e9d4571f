"""The score role for one partition: bytes in, signals, panes and late events out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from models.scorer import Scorer
from stream import metrics
from stream.engine.late import late_event
from stream.engine.step import NotYet, Outbox, Outcome, Record
from stream.engine.topics import partition_of
from stream.errors import Refused, Rejected
from stream.events import (
    MARKET_KEY,
    TOPICS,
    Alias,
    ClockTick,
    PaneClosed,
    decode,
    encode,
    micros,
    moment,
)
from stream.features.panes import Pane
from stream.scoring.challenger import Challenger
from stream.scoring.due import Due
from stream.scoring.policy import Policy
from stream.scoring.signal import build_signal
from stream.scoring.state import PartitionState

_CLOCK_KEY = MARKET_KEY.encode()
NO_MODEL = "no trained model yet"


@dataclass
class ModelInForce:
    """Champion and challenger, None while there is none, and the rules model that stands in."""

    rules: Scorer
    champion: Scorer | None = None
    challenger: Challenger | None = None

    def put(self, alias: Alias, scorer: Scorer | None) -> None:
        """Let `scorer`, or nobody, have the place of `alias` from the next chunk on."""
        if alias == "champion":
            self.champion = scorer
        else:
            self.challenger = None if scorer is None else Challenger(scorer)


class ScoreStep:
    """Implements `stream.engine.step.Step`; a model swap happens between two chunks."""

    def __init__(
        self,
        partition: int,
        n_partitions: int,
        policy: Policy,
        model: ModelInForce,
        *,
        build: str,
        clock: Callable[[], int],
        stamp_outputs: bool,
    ) -> None:
        self.state = PartitionState(partition, policy, waits=policy.news_waits_for_time)
        self.positions: dict[str, int] = {}
        self._partition = partition
        self._n_partitions = n_partitions
        self._policy = policy
        self._policy_id = policy.policy_id
        self._shared = model
        self._champion = model.champion
        self._challenger = model.challenger
        self._build = build
        self._clock = clock
        self._stamp_outputs = stamp_outputs
        self._own_keys: set[bytes] = set()

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Take the models in force for the coming chunk."""
        self._champion = self._shared.champion
        self._challenger = self._shared.challenger
        asked = (self._champion, self._challenger and self._challenger.scorer)
        self.state.ask_for_sequences(any(each and each.reads_sequence for each in asked))

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Decode, apply, and send what became due."""
        due: list[Due] = []
        try:
            event: Any = self._decode(topic, record)
            outcome = self.state.apply(event, record.offset, record.timestamp * 1000, due)
        except NotYet:
            raise
        except BaseException:
            self.positions[topic] = record.offset
            raise
        self.positions[topic] = record.offset
        if topic == "sentiment" and outcome is Outcome.APPLIED and event.status != "published":
            metrics.REVISIONS.labels(event.status).inc()
        if outcome is Outcome.LATE:
            self._send_late(topic, record, event, out)
        for symbol, pane in self.state.take_closed():
            self._send(out, "panes", symbol, pane_closed(symbol, pane), pane.end)
        for end in self.state.take_ends():
            out.send(
                "pane-ends",
                str(self._partition).encode(),
                encode(end),
                partition=0,
                timestamp_ms=self._stamp(self.state.event_time),
            )
        for one in due:
            self._score(one, topic, out)
        return outcome

    def _score(self, due: Due, topic: str, out: Outbox) -> None:
        """Send the champion's signal, and the challenger's beside it."""
        scorer, rules_because = self._speaker(due.as_of)
        make = partial(
            build_signal,
            due,
            policy=self._policy,
            policy_id=self._policy_id,
            positions=self.positions,
            set_off_by=topic,
            build=self._build,
            emitted_at_us=self._clock(),
        )
        signal = make(scorer, rules_because=rules_because)
        shadow = None
        if challenger := self._rival(scorer, due.as_of):
            shadow = challenger.ask(partial(make, rules_because=None, role="challenger"))
        if shadow is not None and self._policy.published_by_challenger(due.symbol):
            signal, shadow = shadow, signal
        self._send(out, "signals", due.symbol, signal, due.as_of)
        if shadow is not None:
            self._send(out, "shadow-signals", due.symbol, shadow, due.as_of)

    def _rival(self, speaker: Scorer, as_of: int) -> Challenger | None:
        """The challenger, unless it was dropped, is too old, or speaks already."""
        challenger = self._challenger
        if challenger is None or challenger.dropped or self._too_old(challenger.scorer, as_of):
            return None
        return None if challenger.scorer.version == speaker.version else challenger

    def _speaker(self, as_of: int) -> tuple[Scorer, str | None]:
        """Who scores at `as_of`, and why the rules model does where it does."""
        champion = self._champion
        if champion is None:
            return self._shared.rules, NO_MODEL
        if self._too_old(champion, as_of):
            limit_s = self._policy.model_max_age_s
            return self._shared.rules, f"model {champion.version} is older than {limit_s:g} s"
        return champion, None

    def _too_old(self, model: Scorer, as_of: int) -> bool:
        limit_s, trained = self._policy.model_max_age_s, model.trained_until_us
        return limit_s is not None and trained is not None and as_of - trained > limit_s * 1e6

    def _decode(self, topic: str, record: Record) -> msgspec.Struct:
        key = record.key
        if record.value is None:
            raise Rejected("value: expected a JSON object, got none")
        try:
            if key == _CLOCK_KEY and topic == self._policy.tape:
                return decode(ClockTick, record.value)
            event = decode(TOPICS[topic], record.value)
        except msgspec.DecodeError as error:
            raise Rejected(str(error)) from error
        if topic == "market":
            if key != _CLOCK_KEY:
                raise Rejected(f"key: expected {_CLOCK_KEY!r}, got {key!r}")
            return event
        symbol = event.symbol.encode()  # type: ignore[attr-defined]
        if key != symbol:
            raise Rejected(f"key: expected the record's symbol {symbol!r}, got {key!r}")
        if key not in self._own_keys:
            home = partition_of(symbol, self._n_partitions)
            if home != self._partition:
                raise Rejected(
                    f"partition: expected {home} for {symbol!r} (murmur2 of the key), "
                    f"got {self._partition}"
                )
            self._own_keys.add(symbol)
        return event

    def _send(
        self, out: Outbox, topic: str, symbol: str, event: msgspec.Struct, at_us: int
    ) -> None:
        out.send(
            topic,
            symbol.encode(),
            encode(event),
            partition=self._partition,
            timestamp_ms=self._stamp(at_us),
        )

    def _stamp(self, at_us: int) -> int | None:
        return -(-at_us // 1000) if self._stamp_outputs else None

    def _send_late(self, topic: str, record: Record, event: Any, out: Outbox) -> None:
        ts = event.end if topic == "bars" else event.ts
        now = moment(self.state.event_time).isoformat()
        late = late_event(
            topic,
            record,
            symbol=event.symbol,
            ts=ts,
            late_by_us=self.state.late_by,
            reason=f"its pane was closed at event time {now}",
        )
        self._send(out, "late-events", event.symbol, late, micros(ts))

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Slots changed since the last checkpoint."""
        return self.state.take_changes()

    def meta(self) -> dict[str, Any]:
        """Event time, open panes, the models in force and the versions that must match."""
        trained = None if self._champion is None else self._champion.trained_until_us
        if trained is not None:
            metrics.MODEL_AGE_S.set(max(0.0, (self.state.event_time - trained) / 1e6))
        return {
            **self.state.meta(),
            "positions": self.positions,
            "feature_set": self._policy.feature_set,
            "feature_set_version": self._policy.feature_set_version,
            "policy_id": self._policy_id,
            "build": self._build,
            "model": None if self._champion is None else self._champion.version,
            "challenger": None
            if self._challenger is None or self._challenger.dropped
            else self._challenger.scorer.version,
        }

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint's state. Raises Refused where feature set or version differ."""
        if not meta:
            return
        expected = (self._policy.feature_set, self._policy.feature_set_version)
        came = (meta.get("feature_set"), meta.get("feature_set_version"))
        if came != expected:
            raise Refused(
                f"score-state of partition {self._partition}: expected feature set "
                f"{expected[0]} version {expected[1]}, got {came[0]} version {came[1]}; "
                "use another namespace or delete the score-state topic to start anew"
            )
        self.positions = dict(meta.get("positions", {}))
        self.state.restore(slots, meta)


def pane_closed(symbol: str, pane: Pane) -> PaneClosed:
    """The event of a closed pane."""
    return PaneClosed(
        symbol=symbol,
        start=moment(pane.start),
        end=moment(pane.end),
        open=pane.open,
        high=pane.high,
        low=pane.low,
        close=pane.close,
        volume=pane.volume,
        notional=pane.notional,
        n_trades=pane.n_trades,
        signed_volume=pane.signed_volume,
    )
