"""Stored events through the scorer's own state: the only way to training features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import SentimentScored
from stream.scoring.due import Due, DueAt, due_at, row_at
from stream.scoring.policy import Policy
from stream.scoring.state import PartitionState
from training.label_rules import LabelRule, label_rule
from training.prices import Tape
from training.rows import Labelled, Samples, TrainingTable
from training.stored import Stored
from training.tapes import Tapes


def replay(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    sentiment_model: str | None,
    *,
    horizon: str | None = None,
    sequences: bool = False,
    applied: Callable[[int], None] = lambda n: None,
) -> TrainingTable:
    """Labelled rows of the stored events, all partitions of them.

    Parameters
    ----------
    partitions : for each partition its number and events, in the order they were applied.
    sentiment_model : a score of another model is counted, and takes back what its article said
        before, as it did live; it makes no row.
    horizon : of the labels; None: the feature set's default.
    sequences : whether each row keeps its newest panes one by one.
    applied : told how many events are done, every 10,000.

    Raises
    ------
    Refused
        The feature set has no such horizon.
    """
    found = replay_apart(
        partitions, policy, sentiment_model, horizon=horizon, sequences=sequences, applied=applied
    )
    return found.with_market()


def replay_apart(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    sentiment_model: str | None,
    *,
    horizon: str | None = None,
    sequences: bool = False,
    applied: Callable[[int], None] = lambda n: None,
) -> Labelled:
    """As `replay`, of some partitions: what hangs on the symbols of others is left open."""
    rule = label_rule(policy.feature_set, horizon)
    found = sampled(partitions, policy, sentiment_model, sequences=sequences, applied=applied)
    return found.labelled(rule)


class Sampled(NamedTuple):
    """Samples, and what any label of them takes. until_us : event time at the end of the data."""

    samples: Samples
    tapes: Mapping[str, Tape]
    until_us: int
    sentiment_model: str | None

    def labelled(self, rule: LabelRule) -> Labelled:
        """The rows that have a label by this rule."""
        return self.samples.label(self.tapes, rule, self.until_us, self.sentiment_model)


def sampled(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    sentiment_model: str | None,
    *,
    sequences: bool = False,
    applied: Callable[[int], None] = lambda n: None,
    noted: Callable[[msgspec.Struct], None] = lambda event: None,
) -> Sampled:
    """What may be trained on, whatever its labels are to be; `noted` is told what was applied."""
    samples = Samples(policy.features, policy.staleness_s, sequences=sequences)
    tapes = Tapes(policy)
    until = 0
    replayed = steps(
        partitions, policy, sentiment_model, samples.counts, row_at, sequences=sequences
    )
    for n, (state, event, due) in enumerate(replayed, start=1):
        if n % 10_000 == 0:
            applied(n)
        if event is not None:
            tapes.note(event)
            noted(event)
        for one in due:
            samples.add(one)
        for symbol, pane in state.take_closed():
            tapes.close(symbol, pane)
        until = max(until, state.event_time)
    return Sampled(samples, tapes.by_symbol(), until, sentiment_model)


def steps(
    partitions: Iterable[tuple[int, Iterable[Stored]]],
    policy: Policy,
    sentiment_model: str | None,
    counts: Counter[str],
    due_at: DueAt = due_at,
    *,
    sequences: bool = False,
) -> Iterator[tuple[PartitionState, msgspec.Struct | None, list[Due]]]:
    """Of each stored event: its partition's state after it, itself if it was applied, what was due.

    Rows that cannot be trained on are not due. `counts` takes what was not used; closed panes stay
    with the state until they are taken.
    """
    policy = msgspec.structs.replace(policy, score_every_tick=False)
    for partition, events in partitions:
        state = PartitionState(partition, policy, due_at=due_at)
        state.ask_for_sequences(sequences)
        foreign: set[tuple[str, str, int]] = set()  # symbol, article, revision: they make no row
        for event, offset, at_us in events:
            if type(event) is SentimentScored and _is_foreign(event, sentiment_model):
                counts["sentiment of another model"] += 1
                event = msgspec.structs.replace(event, status="retracted")
                foreign.add((event.symbol, event.article_id, event.revision))
            due: list[Due] = []
            outcome = None
            try:
                outcome = state.apply(event, offset, at_us, due)
            except Rejected:
                counts["rejected events"] += 1
            state.take_ends()
            own = [one for one in due if (one.symbol, one.trigger_ref, one.revision) not in foreign]
            yield state, event if outcome is Outcome.APPLIED else None, own


def _is_foreign(scored: SentimentScored, model: str | None) -> bool:
    return scored.status != "retracted" and scored.model != model
