"""The score role as a stock Faust agent: one event per record, `topic.send` per signal.

State lives in memory only and nothing is transactional: it does less than the engine does.
"""

from __future__ import annotations

import asyncio
import tempfile
from types import SimpleNamespace

import faust
import uvloop

from stream.errors import Rejected
from stream.scoring.agent import rules_model
from stream.scoring.configured import policy_of
from stream.scoring.step import ModelInForce, ScoreStep
from stream.settings import read_settings


class Sent:
    """Collects what the step sends."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes, bytes, int | None]] = []

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        self.waiting.append((topic, key, value, partition))


async def main() -> None:
    settings = read_settings()
    policy = policy_of(settings)
    model = ModelInForce(rules_model(policy))
    app = faust.App(
        settings.group("stock"),
        broker=f"kafka://{settings.broker}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=0.2,
    )
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    outputs = {
        name: app.topic(settings.topic(name), **raw)
        for name in ("signals", "panes", "pane-ends", "late-events")
    }
    steps: dict[int, ScoreStep] = {}

    async def agent(ticks: faust.Stream) -> None:
        async for event in ticks.events():
            message = event.message
            step = steps.get(message.partition)
            if step is None:
                step = steps[message.partition] = ScoreStep(
                    message.partition,
                    settings.partitions,
                    policy,
                    model,
                    build="bench",
                    clock=lambda: 0,
                    stamp_outputs=True,
                )
            record = SimpleNamespace(
                partition=message.partition,
                offset=message.offset,
                timestamp=int(message.timestamp * 1000),
                key=event.key,
                value=event.value,
            )
            sent = Sent()
            try:
                step.apply(settings.tape, record, sent)
            except Rejected:
                continue
            for topic, key, value, partition in sent.waiting:
                await outputs[topic].send(key=key, value=value, partition=partition)

    app.agent(app.topic(settings.topic(settings.tape), **raw), name="score")(agent)
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
