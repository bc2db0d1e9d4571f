"""One partition's stored signals, made again from its recorded inputs and compared bit for bit.

    stored signals     s1                 s2            each names its positions: the last record
    positions          ticks 7, news 2    ticks 9 ...   of every input that went into it
    stored inputs      ticks ..7, news ..2 ──► s1'      applied through them by the scorer's own
                       ticks 8..9          ──► s2'      state; s1' must be s1, field by field

Between two signals the order of inputs that give none is that of `stream.engine.merge`. A shadow
signal is compared beside the published one of its moment; to lack one is no mistake.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from itertools import groupby
from math import copysign
from typing import Any, NamedTuple

import msgspec

from models.rules import RulesModel
from models.scorer import Scorer
from stream.errors import Refused, Rejected
from stream.events import ModelRole, Signal, micros
from stream.scoring.build import this_build
from stream.scoring.due import Due
from stream.scoring.policy import Policy
from stream.scoring.signal import build_signal
from stream.scoring.state import PartitionState
from training.history import History
from training.proof import OTHER_BUILD, Chosen, Difference, Report
from training.stored import Stored
from training.stored_signals import SIGNAL_COLUMNS, archived, policies, refused, signals

_SAID_BY_RULES = "scored by the rules model: "
_TOLD_EVERY = 10_000
_LONGEST_RUN = 10_000
Row = dict[str, Any]
Key = tuple[str, str, str, int]  # symbol, trigger, trigger_ref, revision
Turn = tuple[bool, int, bool, str]  # sets the signal off, time in ms, is of the tape, topic


class _Until(NamedTuple):
    """How far to apply the inputs of a signal, and which of them goes first."""

    positions: Mapping[str, int]
    set_off_by: str
    policy: Policy

    def turn(self, topic: str, head: Stored) -> Turn:
        """The smallest goes first."""
        last = topic == self.set_off_by and head.offset == self.positions[topic]
        is_tape = topic == self.policy.tape
        ahead = self.policy.news_waits_for_time and not is_tape
        return (last, 0 if ahead else head.at_us // 1000, is_tape, topic)


class Comparison:
    """One partition's state, fed from storage as far as each stored signal's positions say."""

    def __init__(
        self,
        history: History,
        partition: int,
        load: Callable[[str], Scorer],
        progress: Callable[[int], None],
    ) -> None:
        self._number = partition
        self._policies = policies(history.connection)
        self._policy = cache(self._read_policy)
        self._load = cache(load)
        self._report = Report()
        self._progress = progress
        self._build_id = this_build().build_id
        self._refused = refused(history.connection, partition)
        self._archived = archived(history.connection, partition)
        self._stored = signals(history.connection, partition)
        self._shadows = signals(history.connection, partition, "shadow_signals")
        self._shadow = next(self._shadows, None)
        self._inputs = history.inputs(partition)
        self._heads = {topic: next(rest, None) for topic, rest in self._inputs.items()}
        self._state: PartitionState | None = None

    def compare(self, chosen: Chosen) -> Report:
        """Compare until the last stored signal whose inputs are all stored.

        Of those after it, the archive has not read every topic far enough yet.
        """
        with ExitStack() as ends:
            # The garbage collector may close a cursor within a fetch of another: for ever.
            for rows in (self._stored, self._shadows, *self._inputs.values()):
                ends.callback(rows.close)
            self._compare(chosen)
        return self._report

    def _compare(self, chosen: Chosen) -> None:
        report = self._report
        groups = groupby(self._stored, key=lambda row: row["positions"])
        for positions, group in groups:
            rows = list(group)
            if any(offset >= self._archived.get(topic, 0) for topic, offset in positions.items()):
                report.counts["pending"] += len(rows) + sum(len(list(more)) for _, more in groups)
                break
            if chosen.until_us is not None and micros(rows[0]["as_of"]) >= chosen.until_us:
                break
            wanted = {_key(row): row for row in rows}
            shadows = self._shadows_through(positions)
            for due in self._apply_through(positions, rows[0]):
                key: Key = (due.symbol, due.trigger, due.trigger_ref, due.revision)
                row = wanted.pop(key, None)
                shadow = shadows.pop(key, None)
                if not chosen.holds(due.symbol, due.as_of):
                    continue
                if row is None:
                    nothing = Difference("", due.symbol, "signal", "none", "|".join(map(str, key)))
                    report.note(self._unequal("extra", rows[0]), nothing)
                else:
                    self._check(due, row, published=True)
                    if shadow is not None:
                        self._check(due, shadow, published=False)
            for left, row in (*wanted.items(), *shadows.items()):
                if chosen.holds(row["symbol"], micros(row["as_of"])):
                    name = "|".join(map(str, left))
                    nothing = Difference(row["signal_id"], row["symbol"], "signal", name, "none")
                    report.note(self._unequal("missing", row), nothing)

    def _shadows_through(self, positions: Mapping[str, int]) -> dict[Key, Row]:
        """What second models said until then; positions only grow along a log."""
        found, through = {}, _applied(positions)
        while (row := self._shadow) is not None and _applied(row["positions"]) <= through:
            found[_key(row)] = row
            self._shadow = next(self._shadows, None)
        return found

    def _apply_through(self, positions: Mapping[str, int], row: Row) -> list[Due]:
        """Apply the stored inputs through `positions`, the one that set the signal off last."""
        policy = self._policy(row["policy_id"])
        if self._state is None:
            self._state = PartitionState(self._number, policy)
            self._state.ask_for_sequences(True)  # some model may have read it
        self._state.obey(policy)
        until = _Until(positions, row["set_off_by"], policy)
        due: list[Due] = []
        while turns := sorted(
            until.turn(topic, head)
            for topic, head in self._heads.items()
            if head is not None and head.offset <= positions.get(topic, -1)
        ):
            topic = turns[0][-1]
            self._apply_run(topic, until, turns[1] if len(turns) > 1 else None, due)
        return due

    def _apply_run(self, topic: str, until: _Until, other: Turn | None, due: list[Due]) -> None:
        """Apply a topic's records as long as it is their turn and not that of the `other`."""
        assert self._state is not None
        apply, through = self._state.apply, until.positions[topic]
        head, rest, refused = self._heads[topic], self._inputs[topic], self._refused[topic]
        n = 0
        while n < _LONGEST_RUN and head is not None and head.offset <= through:
            if other is not None and until.turn(topic, head) > other:
                break
            event, offset, at_us = head
            if offset not in refused:
                try:
                    apply(event, offset, at_us, due)
                except Rejected as error:
                    name = f"{topic} {self._number}:{offset}"
                    self._report.note("different", Difference("", "", name, "applied", str(error)))
            n += 1
            head = next(rest, None)
        self._heads[topic] = head
        self._count(n)

    def _count(self, n: int) -> None:
        """Tell how far we are; the state need not keep what only a checkpoint would write."""
        assert self._state is not None
        self._state.take_closed()
        self._state.take_ends()
        before, self._report.inputs = self._report.inputs, self._report.inputs + n
        if before // _TOLD_EVERY < self._report.inputs // _TOLD_EVERY:
            deque(self._state.take_changes(), maxlen=0)
            self._progress(self._report.inputs)

    def _check(self, due: Due, row: Row, *, published: bool) -> None:
        policy = self._policy(row["policy_id"])
        try:
            scorer, because = self._speaker(row, policy)
        except Refused as error:
            self._report.note("different", _difference(row, "model_version", str(error)))
            return
        signal = build_signal(
            due,
            scorer,
            policy,
            row["policy_id"],
            row["positions"],
            rules_because=because,
            role=_role(row, policy, published),
            set_off_by=row["set_off_by"],
            build=row["build"],
            emitted_at_us=0,
        )
        replayed = columns_of(signal)
        differing = [c for c in SIGNAL_COLUMNS if not _same(row[c], replayed[c])]
        kind = self._unequal("different", row) if differing else "equal"
        self._report.note(kind, *(_difference(row, c, replayed[c]) for c in differing))

    def _unequal(self, kind: str, row: Row) -> str:
        return OTHER_BUILD if row["build"] != self._build_id else kind

    def _speaker(self, row: Row, policy: Policy) -> tuple[Scorer, str | None]:
        version = row["model_version"]
        if row["model_role"] != "rules":
            return self._load(version), None
        features = policy.features
        rules = RulesModel(features.name, features.version, features.names, policy.confidence)
        said = [s for s in row["reasons"] if s.startswith(_SAID_BY_RULES)]
        because = said[-1].removeprefix(_SAID_BY_RULES) if said else ""
        self._check_age(because, row, policy)
        return rules, because

    def _check_age(self, because: str, row: Row, policy: Policy) -> None:
        """Raises Refused where the rules model spoke for an artifact that was not too old."""
        named = re.fullmatch(r"model (\S+) is older than .*", because)
        if named is None:
            return
        trained, limit_s = self._load(named[1]).trained_until_us, policy.model_max_age_s
        age_s = None if trained is None else (micros(row["as_of"]) - trained) / 1e6
        if age_s is None or limit_s is None or age_s <= limit_s:
            raise Refused(f"model {named[1]} was {age_s} s old, at most {limit_s} allowed")

    def _read_policy(self, policy_id: str) -> Policy:
        stored = self._policies.get(policy_id)
        policy = None if stored is None else msgspec.convert(stored, Policy)
        if policy is None or policy.policy_id != policy_id:
            raise Refused(
                f"policy {policy_id}: expected its row in the table policies, found "
                f"{'none' if policy is None else 'another, ' + policy.policy_id}"
            )
        return policy


def columns_of(signal: Signal) -> Row:
    """A signal by the columns of its row."""
    nested = {
        "p_bearish": signal.probabilities.bearish,
        "p_neutral": signal.probabilities.neutral,
        "p_bullish": signal.probabilities.bullish,
        "model_name": signal.model.name,
        "model_version": signal.model.version,
        "model_role": signal.model.role,
        "features": list(signal.features.values()),
        "features_by_name": None,
        "reasons": list(signal.reasons),
        "evidence": list(signal.evidence),
        "sentiment_models": list(signal.sentiment_models),
        "last_tick_age_s": signal.freshness.last_tick_age_s,
        "last_news_age_s": signal.freshness.last_news_age_s,
        "model_age_s": signal.freshness.model_age_s,
    }
    own = (c for c in SIGNAL_COLUMNS if c not in nested)
    return nested | {column: getattr(signal, column) for column in own}


def _key(row: Row) -> Key:
    return (row["symbol"], row["trigger"], row["trigger_ref"], row["revision"])


def _applied(positions: Mapping[str, int]) -> int:
    return sum(positions.values())


def _role(row: Row, policy: Policy, published: bool) -> ModelRole:
    """The one that the policy gives the model; a challenger that was dropped publishes nothing."""
    if published and row["model_role"] == "champion":
        return "champion"
    by_challenger = policy.published_by_challenger(row["symbol"])
    return "challenger" if by_challenger == published else "champion"


def _same(stored: Any, replayed: Any) -> bool:
    """Equal as bits: of floats also the sign of zero."""
    if stored != replayed:
        return False
    if isinstance(stored, list):
        return all(a or _same(a, b) for a, b in zip(stored, replayed, strict=True))
    return not isinstance(stored, float) or copysign(1.0, stored) == copysign(1.0, replayed)


def _difference(row: Row, column: str, replayed: object) -> Difference:
    return Difference(row["signal_id"], row["symbol"], column, repr(row[column]), repr(replayed))
