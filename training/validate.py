"""Judge a stored model again, on stored history that is newer than what it learnt from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.artifact import Artifact, ArtifactError
from models.registry import Registry
from models.scorer import ArtifactScorer
from stream.errors import Refused, Unavailable
from stream.events import moment
from stream.features.sequence import CHANNELS
from stream.scoring.policy import Policy
from training.as_served import judged_by
from training.errors import TrainingRefused
from training.evidence import Evidence
from training.gates import Gates, Verdict
from training.history import open_history
from training.judge import judge
from training.judged import Judged, metrics
from training.latency import served_cost
from training.quality import NewsFacts, quality
from training.replayed import replayed
from training.retrain import champion_of
from training.rows import TrainingTable
from training.stored_facts import count_models, news_facts, sectors_of


class Contest(NamedTuple):
    """A stored model on newer rows."""

    verdict: Verdict
    judged: Judged
    metrics: dict[str, float | None]


def validate(
    dsn: str,
    schema: str,
    version: str,
    policy: Policy,
    *,
    since_us: int | None,
    until_us: int | None,
    seed: int,
    gates: Gates,
    accepted: str | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> Evidence:
    """Judge `version` on the rows of [since, until), against climatology and the champion.

    Parameters
    ----------
    since_us : the end of the model's training where not given.

    Raises
    ------
    TrainingRefused
        There are no such rows.
    Unavailable, Refused
        The database does not answer; the version is unknown, damaged, does not fit the policy's
        feature set, or learnt from rows after `since`.
    """
    registry = Registry(dsn, schema)
    artifact = _loaded(registry, version, policy)
    since = artifact.trained_until_us + 1 if since_us is None else since_us
    if since <= artifact.trained_until_us:
        raise Refused(
            f"model {version}: expected --since after {moment(artifact.trained_until_us)}, the "
            f"last price that it learnt from, got {moment(since)}"
        )
    champion = champion_of(registry, policy.features, artifact.horizon)
    rival = None if champion is None or champion.version == version else champion
    judged = filter(None, (artifact, rival))
    with open_history(dsn, schema, policy.tape) as history:
        everything = replayed(
            history, policy, artifact.sentiment_model, artifact.horizon, progress,
            sequences=any(each.reads_sequence for each in judged),
        )  # fmt: skip
        news, sectors = news_facts(history, artifact.sentiment_model), sectors_of(history)
        n_models = count_models(history)
    rows = _between(everything, since, until_us, version)
    progress("judging", 1.0)
    found = contest(artifact, rival, rows, news, policy, gates, accepted=accepted, seed=seed)
    return Evidence(
        artifact=artifact,
        verdict=found.verdict,
        judged=found.judged,
        rows=rows,
        ablation=None,
        metrics=found.metrics,
        trials={"models stored": n_models},
        sectors=sectors,
        cost=served_cost(artifact, rows, np.arange(len(rows))),
    )


def contest(
    artifact: Artifact,
    champion: Artifact | None,
    rows: TrainingTable,
    news: NewsFacts,
    policy: Policy,
    gates: Gates,
    *,
    accepted: str | None,
    seed: int,
) -> Contest:
    """Judge a model on rows that it did not learn from. Pure."""
    judged = judged_by(
        artifact,
        ArtifactScorer(artifact),
        rows,
        np.arange(len(rows)),
        None if champion is None else ArtifactScorer(champion),
    )
    verdict = judge(
        judged,
        rows.rule,
        gates,
        n_rows=artifact.n_rows,
        quality=quality(rows, news, policy.features.news_names, champion, gates),
        beside_champion=champion is not None,
        accepted=accepted,
        seed=seed,
    )
    return Contest(verdict, judged, metrics(judged, rows.rule))


def _between(
    rows: TrainingTable, since_us: int, until_us: int | None, version: str
) -> TrainingTable:
    picked = rows.as_of_us >= since_us
    if until_us is not None:
        picked &= rows.as_of_us < until_us
    if not picked.any():
        raise TrainingRefused(
            f"model {version}: expected labelled rows since {moment(since_us)}, got none of "
            f"{len(rows):,}; load more history"
        )
    return rows.take(picked)


def _loaded(registry: Registry, version: str, policy: Policy) -> Artifact:
    try:
        artifact = registry.load(version)
        features = policy.features
        artifact.check_fits(features.name, features.version, features.names, channels=CHANNELS)
    except ConnectionError as error:
        raise Unavailable(str(error)) from error
    except ArtifactError as error:
        raise Refused(str(error)) from error
    return artifact
