"""From actionable signals of trained models to their explanations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from models.artifact import ArtifactError
from models.explain import Explainer
from stream import metrics
from stream.engine.patience import insist
from stream.engine.step import Outbox, Outcome, Record
from stream.errors import Rejected
from stream.events import Contribution, Signal, SignalExplained, decode, encode

AT_ONCE = 32  # signals in one call, of 10 ms each: a stop waits for no more


class ExplainStep:
    """Remembers nothing between records: a checkpoint is its positions alone.

    Parameters
    ----------
    load : the explainer of a model version, which may block. Raises ArtifactError where there is
        none, which the explanation then says, and Unavailable, which is waited out.
    clock : the wall clock in seconds; None in a replay, where outputs bear their signal's time.
    """

    def __init__(self, load: Callable[[str], Explainer], clock: Callable[[], float] | None) -> None:
        self._load = load
        self._clock = clock
        self._ready: dict[int, SignalExplained] = {}  # by the signal's offset

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Explain what wants it, on other threads."""
        wanted = []
        for record in records:
            try:
                signal = _read(record)
            except Rejected:
                continue  # `apply` says so
            if _wants(signal):
                wanted.append((record.offset, signal))
        ready = {}
        for i in range(0, len(wanted), AT_ONCE):
            some = partial(asyncio.to_thread, self._explain, wanted[i : i + AT_ONCE])
            ready.update(await insist(some, "the registry"))
        self._ready = ready

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Send the signal's explanation, if it has one."""
        signal = _read(record)
        if _wants(signal):
            out.send(
                "signal-explanations",
                signal.symbol.encode(),
                encode(self._ready.pop(record.offset)),
                partition=record.partition,
                timestamp_ms=record.timestamp if self._clock is None else None,
            )
            if self._clock is not None:
                metrics.EXPLAINED_S.observe(max(0.0, self._clock() - record.timestamp / 1000))
        return Outcome.APPLIED

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """No slots."""
        return ()

    def meta(self) -> dict[str, Any]:
        """Nothing beside the positions."""
        return {}

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Nothing to restore."""

    def _explain(self, signals: Sequence[tuple[int, Signal]]) -> dict[int, SignalExplained]:
        return {offset: explanation(signal, self._load) for offset, signal in signals}


def explanation(signal: Signal, load: Callable[[str], Explainer]) -> SignalExplained:
    """Why the signal's model said so, or why that cannot be told."""
    try:
        explainer = load(signal.model.version)
        explainer.artifact.check_fits(
            signal.feature_set, signal.feature_set_version, tuple(signal.features)
        )
        found = explainer.explain(tuple(signal.features.values()))
    except ArtifactError as error:
        return _said(signal, reason=str(error))
    contributions = tuple(Contribution(**each._asdict()) for each in found.contributions)
    return _said(signal, base=found.base, log_odds=found.log_odds, contributions=contributions)


def _said(signal: Signal, **more: Any) -> SignalExplained:
    return SignalExplained(
        signal_id=signal.signal_id,
        signal_key=signal.signal_key,
        revision=signal.revision,
        symbol=signal.symbol,
        as_of=signal.as_of,
        model_version=signal.model.version,
        **more,
    )


def _wants(signal: Signal) -> bool:
    """Of the rules model's signals the reasons are the whole explanation."""
    return signal.actionable and signal.model.role != "rules"


def _read(record: Record) -> Signal:
    if record.value is None:
        raise Rejected("value: expected a signal, got none")
    try:
        return decode(Signal, record.value)
    except msgspec.DecodeError as error:
        raise Rejected(str(error)) from error
