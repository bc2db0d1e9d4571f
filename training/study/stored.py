"""Studies of what a namespace has stored."""

from __future__ import annotations

from collections.abc import Sequence

from stream.scoring.policy import Policy
from training.history import open_history
from training.label_rules import label_rule
from training.replayed import replayed_samples
from training.study.articles import Articles, Scores, articles
from training.study.horizons import Horizons, joined, studied_rules
from training.train import Progress


def stored_horizons(
    dsn: str, schema: str, policy: Policy, names: Sequence[str] | None, progress: Progress
) -> Horizons:
    """The rows of the stored history at several horizons, from one replay.

    Raises
    ------
    TrainingRefused, Refused, Unavailable
        As `joined`, `studied_rules` and `open_history`.
    """
    rules = studied_rules(policy.feature_set, names)
    with open_history(dsn, schema, policy.tape) as history:
        found = replayed_samples(history, policy, progress)
    return joined([found.labelled(rule).rows for rule in rules])


def stored_articles(
    dsn: str, schema: str, policy: Policy, horizon: str | None, progress: Progress
) -> Articles:
    """The stored articles with their reactions.

    Raises
    ------
    TrainingRefused, Refused, Unavailable
        As `articles`, `label_rule` and `open_history`.
    """
    rule, scores = label_rule(policy.feature_set, horizon), Scores()
    with open_history(dsn, schema, policy.tape) as history:
        found = replayed_samples(history, policy, progress, scores.note)
    return articles(found, scores, rule)
