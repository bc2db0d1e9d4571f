"""Score and market steps of a namespace in replay, in memory, their records raced at random."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from models.rules import RulesModel
from stream.datasets.dataset import Dataset
from stream.engine.merge import Queue, next_run
from stream.engine.step import NotYet
from stream.engine.topics import partition_of
from stream.events import MARKET_KEY, TOPICS, ClockTick, MarketPane, Signal, decode, encode
from stream.market.gathering import Gathering
from stream.market.step import MarketStep
from stream.scoring.policy import Policy
from stream.scoring.step import ModelInForce, ScoreStep
from tests.history import Record, stored_history
from training.stored import Stored

CLOCK = MARKET_KEY.encode()


def market_step(n_partitions: int) -> MarketStep:
    """The market role's step in a replay."""
    gathering = Gathering(n_partitions, deadline_us=None, benchmark="")
    return MarketStep(gathering, n_partitions, stamp_outputs=True)


class Replayed:
    """What came out. `restart_every` throws a step away and restores it after so many records."""

    def __init__(
        self,
        dataset: Dataset,
        policy: Policy,
        n_partitions: int,
        seed: int,
        *,
        restart_every: int | None = None,
    ) -> None:
        self.policy = policy
        self.n_partitions = n_partitions
        self.signals: list[Signal] = []
        self.panes: list[MarketPane] = []
        self.inputs = [_logs(dataset, policy, p, n_partitions) for p in range(n_partitions)]
        self._rng = random.Random(seed)
        self._restart_every = restart_every
        self._queues = [
            {topic: Queue(topic) for topic in (policy.tape, "sentiment", "instruments", "market")}
            for _ in range(n_partitions)
        ]
        for queues, logs in zip(self._queues, self.inputs, strict=True):
            for topic, records in logs.items():
                queues[topic].records.extend(records)
        self._ends = Queue("pane-ends")
        self._n_ends = 0
        self._steps: list[Any] = [self._score(p) for p in range(n_partitions)]
        self._steps.append(market_step(n_partitions))
        self._slots: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._n_applied = 0
        self._run()

    def _score(self, partition: int) -> ScoreStep:
        features = self.policy.features
        rules = RulesModel(features.name, features.version, features.names)
        return ScoreStep(
            partition, self.n_partitions, self.policy, ModelInForce(rules), build="b",
            clock=lambda: 0, stamp_outputs=True,
        )  # fmt: skip

    def _run(self) -> None:
        everyone = range(self.n_partitions + 1)
        while any(self._advance(who) for who in self._rng.sample(everyone, len(everyone))):
            pass
        left = [len(q.records) for queues in self._queues for q in queues.values()]
        assert not any(left), f"records wait for ever: {left}"

    def _advance(self, who: int) -> bool:
        """Apply some records of one partition, or of the market; False where there were none."""
        queues = [self._ends] if who == self.n_partitions else list(self._queues[who].values())
        held: set[str] = set()
        n_before = self._n_applied
        for _ in range(self._rng.randrange(1, 5)):
            open_ = [queue for queue in queues if queue.topic not in held]
            run = next_run(open_, lambda topic: False, tape=self.policy.tape, tape_last=True)
            if run is None:
                break
            topic, records = run
            for i, record in enumerate(records):
                try:
                    self._apply(who, topic, record)
                except NotYet:
                    queue = next(queue for queue in queues if queue.topic == topic)
                    queue.records.extendleft(reversed(records[i:]))
                    held.add(topic)
                    break
        return self._n_applied > n_before

    def _apply(self, who: int, topic: str, record: Record) -> None:
        out = _Outbox()
        step = self._steps[who]
        step.apply(topic, record, out)
        self._n_applied += 1
        for name, key, value, at_ms, partition in out:
            if name == "signals":
                self.signals.append(decode(Signal, value))
            elif name == "pane-ends":
                self._ends.records.append(Record(0, self._n_ends, at_ms, key, value))
                self._n_ends += 1
            elif name == "market":
                log = self.inputs[partition]["market"]
                log.append(Record(partition, len(log), at_ms, key, value))
                self._queues[partition]["market"].records.append(log[-1])
                if partition == 0:
                    self.panes.append(decode(MarketPane, value))
        if self._restart_every and self._n_applied % self._restart_every == 0:
            self._restart(who)

    def _restart(self, who: int) -> None:
        step, slots = self._steps[who], self._slots[who]
        for slot, value in step.take_changes():
            if value is None:
                slots.pop(slot, None)
            else:
                slots[slot] = value
        meta = msgspec.json.decode(msgspec.json.encode(step.meta()))
        new: Any = market_step(self.n_partitions)
        self._steps[who] = new = self._score(who) if who < self.n_partitions else new
        new.restore(dict(slots), meta)

    def features(self) -> dict[tuple[str, str, str, int], dict[str, float | None]]:
        """By symbol, trigger, its reference and revision."""
        return {(s.symbol, s.trigger, s.trigger_ref, s.revision): s.features for s in self.signals}

    def abstained(self) -> dict[tuple[str, str, str, int], str]:
        """Why each did not act, by the same; empty where it did."""
        return {
            (s.symbol, s.trigger, s.trigger_ref, s.revision): s.abstain_reason or ""
            for s in self.signals
        }

    def stored(self) -> list[tuple[int, Iterator[Stored]]]:
        """As `training.history` gives it: others by Kafka time, before the tape on a tie."""
        return [(p, iter(self._stored(logs))) for p, logs in enumerate(self.inputs)]

    def _stored(self, logs: dict[str, list[Record]]) -> list[Stored]:
        tape = self.policy.tape
        found = [
            (each.timestamp, topic == tape, _read(topic, each, tape), each.offset)
            for topic, records in logs.items()
            for each in records
        ]
        found.sort(key=lambda one: one[:2])
        return [Stored(event, offset, at_ms * 1000) for at_ms, _, event, offset in found]


class _Outbox(list[tuple[str, bytes, bytes, int, int]]):
    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        self.append((topic, key, value, timestamp_ms or 0, partition or 0))


def _read(topic: str, record: Record, tape: str) -> msgspec.Struct:
    is_clock = topic == tape and record.key == CLOCK
    return decode(ClockTick if is_clock else TOPICS[topic], record.value)


def _logs(dataset: Dataset, policy: Policy, partition: int, n: int) -> dict[str, list[Record]]:
    topics = (policy.tape, "sentiment", "instruments", "market")
    logs: dict[str, list[Record]] = {topic: [] for topic in topics}
    for one in dataset.instruments:
        if partition_of(one.symbol.encode(), n) == partition:
            log = logs["instruments"]
            log.append(Record(partition, len(log), 0, one.symbol.encode(), encode(one)))
    stored = list(stored_history(dataset, n)[partition][1])
    for event, _, at_us in stored:
        name = type(event).__name__
        topic = "sentiment" if name == "SentimentScored" else policy.tape
        key = CLOCK if name == "ClockTick" else event.symbol.encode()  # type: ignore[attr-defined]
        log = logs[topic]
        log.append(Record(partition, len(log), at_us // 1000, key, encode(event)))
    return logs
