"""The score role put together: policy from settings, models from the registry, the engine."""

from __future__ import annotations

import asyncio
import contextlib
import time

from models.artifact import Artifact
from models.registry import Registry
from models.rules import RulesModel
from models.scorer import ArtifactScorer, Scorer
from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.events import ModelChanged
from stream.features.sequence import CHANNELS
from stream.scoring.build import this_build
from stream.scoring.configured import policy_of
from stream.scoring.model_watch import watch_models
from stream.scoring.policy import Policy
from stream.scoring.provenance import record
from stream.scoring.step import ModelInForce, ScoreStep
from stream.settings import Settings

_START_WITHOUT_MODEL_S = 15.0


def rules_model(policy: Policy) -> RulesModel:
    """The model that scores while no trained one is in force."""
    features = policy.features
    return RulesModel(features.name, features.version, features.names, policy.confidence)


async def run_score(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop` or a signal; a new model takes over between two chunks."""
    policy = policy_of(settings)
    build = this_build()
    in_force = ModelInForce(rules_model(policy))

    def load(change: ModelChanged) -> Scorer:
        registry = Registry(settings.database.get_secret_value(), settings.namespace)
        artifact: Artifact = registry.load(str(change.version))
        artifact.check_fits(
            policy.feature_set, policy.feature_set_version, policy.features.names,
            channels=CHANNELS,
        )  # fmt: skip
        return ArtifactScorer(artifact)

    def make_step(partition: int) -> ScoreStep:
        return ScoreStep(
            partition,
            settings.partitions,
            policy,
            in_force,
            build=build.build_id,
            clock=lambda: time.time_ns() // 1000,
            stamp_outputs=settings.mode == "replay",
        )

    spec = RoleSpec(
        name="score",
        inputs=(settings.tape, "sentiment", "actions", "instruments", "market"),
        make_step=make_step,
        tape=settings.tape,
    )
    caught_up = asyncio.Event()
    watch = asyncio.create_task(watch_models(settings, in_force, load, caught_up=caught_up))
    recording = asyncio.create_task(record(settings, policy, build))
    role: asyncio.Task[None] | None = None
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(caught_up.wait(), _START_WITHOUT_MODEL_S)
        role = asyncio.create_task(run_role(settings, spec, stop=stop))
        running: set[asyncio.Task[None]] = {watch, role, recording}
        while not (watch.done() or role.done()):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in filter(None, (watch, role, recording)):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
