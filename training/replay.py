"""Stored events through the scorer's own state: the only way to training features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time

import msgspec

from stream.errors import Rejected
from stream.events import CorporateAction, SentimentScored, micros
from stream.features.adjust import Action
from stream.features.panes import Pane
from stream.scoring.policy import Policy
from stream.scoring.state import Due, PartitionState
from training.labels import LABEL_RULES
from training.rows import Samples, TrainingTable
from training.stored import Stored


def replay(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    sentiment_model: str | None,
    *,
    applied: Callable[[int], None] = lambda n: None,
) -> TrainingTable:
    """Labelled rows of the stored events.

    Parameters
    ----------
    partitions : for each partition its number and events, in the order they were applied.
    sentiment_model : a score of another model is counted, and takes back what its article said
        before, as it did live; it makes no row.
    applied : told how many events are done, every 10,000.
    """
    policy = msgspec.structs.replace(policy, score_every_tick=False)
    rule = LABEL_RULES[policy.feature_set]
    samples = Samples(policy.features, policy.staleness_s)
    panes: defaultdict[str, list[Pane]] = defaultdict(list)
    actions: defaultdict[str, dict[tuple[int, str], Action]] = defaultdict(dict)
    until = n = 0
    for partition, events in partitions:
        state = PartitionState(partition, policy)
        foreign: set[tuple[str, str, int]] = set()  # symbol, article, revision: they make no row
        for event, offset, at_us in events:
            n += 1
            if n % 10_000 == 0:
                applied(n)
            if type(event) is SentimentScored and _is_foreign(event, sentiment_model):
                samples.counts["sentiment of another model"] += 1
                event = msgspec.structs.replace(event, status="retracted")
                foreign.add((event.symbol, event.article_id, event.revision))
            if type(event) is CorporateAction:
                action = _action(event)
                actions[event.symbol][action.ex_at, action.kind] = action
            due: list[Due] = []
            try:
                state.apply(event, offset, at_us, due)
            except Rejected:
                samples.counts["rejected events"] += 1
            for one in due:
                if (one.symbol, one.trigger_ref, one.revision) not in foreign:
                    samples.add(one)
            for symbol, pane in state.take_closed():
                panes[symbol].append(pane)
        until = max(until, state.event_time)
    known = {symbol: list(by_key.values()) for symbol, by_key in actions.items()}
    return samples.label(panes, known, rule, until, sentiment_model)


def _is_foreign(scored: SentimentScored, model: str | None) -> bool:
    return scored.status != "retracted" and scored.model != model


def _action(event: CorporateAction) -> Action:
    ex_at = micros(datetime.combine(event.ex_date, time(), UTC))
    return Action(ex_at, event.kind, event.value)
