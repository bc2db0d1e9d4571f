"""Retrain a namespace: stored history, replay, labels, folds, gates, registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from models.artifact import Artifact, ArtifactError, fits
from models.registry import Registry
from models.scorer import ArtifactScorer
from stream.errors import Refused, Unavailable
from stream.features.sequence import CHANNELS
from stream.features.vector import FeatureSet
from stream.scoring.policy import Policy
from training.errors import TrainingRefused
from training.evidence import Evidence
from training.gates import Gates
from training.history import open_history
from training.label_rules import label_rule
from training.latency import served_cost
from training.learners.lightgbm import LightGBM
from training.paths import walked
from training.quality import quality
from training.replayed import replayed
from training.revision import code_revision, wheels
from training.rows import TrainingTable
from training.splits import longest_window_us
from training.stored_facts import count_models, main_sentiment_model, news_facts, sectors_of
from training.train import Chooser, train_model, untuned

log = structlog.get_logger()

ALIAS = "champion"
_REPLAY_SHARE = 0.5  # of the progress


@dataclass(frozen=True)
class RetrainResult:
    """What was stored. verdict: PASS, or WARN with `reason` saying why."""

    version: str
    n_rows: int
    verdict: str
    reason: str
    metrics: dict[str, float | None]
    counts: dict[str, int]  # rows left out and inputs not used, by reason


def retrain(
    dsn: str,
    schema: str,
    policy: Policy,
    *,
    seed: int,
    promote: bool,
    actor: str,
    horizon: str | None = None,
    chooser: Chooser = untuned(LightGBM()),  # noqa: B008 - frozen
    sequences: bool = False,
    gates: Gates = Gates(),  # noqa: B008 - frozen
    accepted: str | None = None,
    short_history: bool = False,
    ablate: bool = False,
    blocks: tuple[int, int] | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
    judged: Callable[[Evidence], None] = lambda evidence: None,
    rows: TrainingTable | None = None,
    num_threads: int = 1,
) -> RetrainResult:
    """Train on what `schema` holds, judge, store and, if asked to, make it champion.

    Parameters
    ----------
    rows : of a built dataset; None replays the stored history.
    horizon : of the labels and the signals; None: the feature set's default.
    chooser : how to fit each fold, from its fit rows alone.
    sequences : whether what it fits reads the newest panes one by one.
    accepted : why what looks too good is to be believed; kept in the verdict.
    short_history : whether a model may become champion whose only doubt is want of history.
    ablate : whether to train the variants that tell what sentiment adds.
    blocks : of time, and how many of them each combinatorial split tests; None: none is made.
    judged : told of every model that the gates have judged, also of one that they refuse.

    Raises
    ------
    TrainingRefused
        There is too little to learn from, the labels could not have been traded, or a gate says
        FAIL: nothing is stored. Or it was to be champion and a gate says WARN: it is stored, and
        may serve beside the champion.
    Unavailable, Refused
        The database does not answer, or has no tables; the feature set has no such horizon; the
        champion is damaged.
    """
    rule = label_rule(policy.feature_set, horizon)
    if not rule.tradable:
        raise TrainingRefused(
            f"horizon {rule.horizon}: expected an entry after as_of, got the close before it, at "
            "which nobody could have traded; it is for comparison with published figures alone"
        )
    registry = Registry(dsn, schema)
    champion = champion_of(registry, policy.features, rule.horizon)
    asked = sequences or (champion is not None and champion.reads_sequence)
    with open_history(dsn, schema, policy.tape) as history:
        if rows is None:
            rows = replayed(history, policy, main_sentiment_model(history), rule.horizon,
                            lambda step, share: progress(step, share * _REPLAY_SHARE),
                            sequences=asked)  # fmt: skip
        elif asked and not sequences and rows.sequence is None:
            log.warning("champion not compared", why="it reads sequences, the dataset holds none")
            champion = None
        news, sectors = news_facts(history, rows.sentiment_model), sectors_of(history)
        n_models = count_models(history)
    names = policy.features.news_names
    trained = train_model(
        rows,
        seed=seed,
        chooser=chooser,
        gates=gates,
        news_names=names,
        champion=None if champion is None else ArtifactScorer(champion),
        quality=quality(rows, news, names, champion, gates),
        accepted=accepted,
        ablate=ablate,
        num_threads=num_threads,
        code_revision=code_revision(),
        wheels=wheels(),
        progress=lambda step, share: progress(step, _REPLAY_SHARE + share * (1 - _REPLAY_SHARE)),
    )
    verdict, artifact = trained.verdict, trained.artifact
    others = () if blocks is None else walked(
        rows, trained.recipe, *blocks, embargo_us=longest_window_us(policy.features),
        seed=seed, num_threads=num_threads, progress=progress,
    )  # fmt: skip
    cost = served_cost(artifact, rows, trained.judged.row)
    log.info("judged", version=artifact.version, verdict=verdict.says, reason=verdict.reason)
    judged(
        Evidence(
            artifact=artifact,
            verdict=verdict,
            judged=trained.judged,
            rows=rows,
            ablation=trained.ablation,
            paths=others,
            metrics=artifact.metrics,
            trials={"models fitted in this run": trained.fits, "models stored before it": n_models},
            sectors=sectors,
            cost=cost,
        )
    )
    if verdict.says == "FAIL":
        raise TrainingRefused(verdict.reason)
    try:
        registry.save(artifact, msgspec.to_builtins(verdict))
        if promote and not verdict.may_lead(short_history=short_history):
            raise TrainingRefused(
                f"{artifact.version} is stored, and not champion: {verdict.reason}; expected PASS "
                "(it may serve beside the champion, or be promoted by hand: tapewire models "
                "promote)"
            )
        if promote:
            reason = f"retrain: {verdict.says} {verdict.reason}".strip()
            registry.promote(ALIAS, artifact.version, actor, reason)
    except ConnectionError as error:
        raise Unavailable(str(error)) from error
    return RetrainResult(
        version=artifact.version,
        n_rows=len(rows),
        verdict=verdict.says,
        reason=verdict.reason,
        metrics=dict(artifact.metrics),
        counts=dict(rows.counts),
    )


def champion_of(registry: Registry, features: FeatureSet, horizon: str) -> Artifact | None:
    """The champion, if it scores such vectors and foresees as far; else there is no comparison.

    Raises
    ------
    Unavailable, Refused
        The registry does not answer, or the champion is damaged.
    """
    try:
        version, _ = registry.current(ALIAS)
        if version is None:
            return None
        artifact = registry.load(version)
    except ConnectionError as error:
        raise Unavailable(str(error)) from error
    except ArtifactError as error:
        raise Refused(f"champion: {error}") from error
    differs = fits(artifact, features.name, features.version, features.names, CHANNELS)
    if differs is None and artifact.horizon != horizon:
        differs = f"expected horizon {horizon}, got {artifact.horizon}"
    if differs is not None:
        log.warning("champion not compared", version=version, why=differs)
        return None
    return artifact
