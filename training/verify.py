"""Live = replay: every stored signal made again from its recorded inputs and compared bit for bit.

    stored signals     s1                 s2            each names its positions: the last record
    positions          ticks 7, news 2    ticks 9 ...   of every input that went into it
    stored inputs      ticks ..7, news ..2 ──► s1'      applied through them by the scorer's own
                       ticks 8..9          ──► s2'      state; s1' must be s1, field by field

Between two signals the order of inputs that give none is that of `stream.engine.merge`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import copysign
from typing import Any

import msgspec

from models.rules import RulesModel
from models.scorer import Scorer
from stream.errors import Refused, Rejected
from stream.events import Signal, micros
from stream.scoring.build import this_build
from stream.scoring.policy import Policy
from stream.scoring.signal import build_signal
from stream.scoring.state import Due, PartitionState
from training.accounting import Account
from training.consumption import Consumed
from training.history import SIGNAL_COLUMNS, History
from training.replay import Stored

MOST_SHOWN = 20
OTHER_BUILD = "other build"  # unequal, and made by other code or on another platform than this
_SAID_BY_RULES = "scored by the rules model: "
_TOLD_EVERY = 10_000
Row = dict[str, Any]
Key = tuple[str, str, str, int]  # symbol, trigger, trigger_ref, revision


class Difference(msgspec.Struct, frozen=True):
    """A field whose stored value is not what the inputs give; `field` may be the whole signal."""

    signal_id: str
    symbol: str
    field: str
    stored: str
    replayed: str


@dataclass
class Report:
    """Signals by what became of them, the first differences, and where the inputs went."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    inputs: int = 0
    accounts: list[Account] = field(default_factory=list)
    roles: list[Consumed] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)  # other than this one: how they differ

    @property
    def wrong(self) -> bool:
        """Whether there was nothing to compare, something is not equal, or an input is lost."""
        unequal = sum(self.counts[each] for each in ("different", "missing", "extra"))
        lost = any(account.unaccounted for account in self.accounts)
        lost = lost or any(role.unaccounted for role in self.roles)
        made_up = any(each.unarchived < 0 for each in self.roles)
        compared = self.counts["equal"] + self.counts[OTHER_BUILD]
        return unequal > 0 or lost or made_up or compared == 0

    @property
    def proven(self) -> bool:
        """Whether all of it is equal, also what another build made."""
        return not self.wrong and self.counts[OTHER_BUILD] == 0

    def note(self, kind: str, *differences: Difference) -> None:
        """Count one signal; keep its differences while there is room."""
        self.counts[kind] += 1
        self.differences += differences[: MOST_SHOWN - len(self.differences)]


@dataclass(frozen=True)
class Chosen:
    """Which stored signals to compare: as_of in [since_us, until_us), of one symbol or of all."""

    since_us: int | None = None
    until_us: int | None = None
    symbol: str | None = None

    def holds(self, symbol: str, as_of_us: int) -> bool:
        """Whether to compare a signal."""
        return (
            (self.symbol is None or symbol == self.symbol)
            and (self.since_us is None or as_of_us >= self.since_us)
            and (self.until_us is None or as_of_us < self.until_us)
        )


def verify(
    history: History,
    load: Callable[[str], Scorer],
    chosen: Chosen,
    *,
    progress: Callable[[int], None] = lambda n: None,
) -> Report:
    """Replay every partition that holds signals and compare those that are chosen.

    Parameters
    ----------
    load : the trained model of a version; raises where the registry has none or its bytes differ.
    progress : told how many inputs are applied, now and then.

    Raises
    ------
    Refused
        A stored signal names a policy that the table `policies` does not hold.
    """
    report = Report(accounts=history.accounts(), builds=_other_builds(history.builds()))
    policies = {
        policy_id: msgspec.convert(policy, Policy)
        for policy_id, policy in history.policies().items()
    }
    for partition in history.signal_partitions():
        replayed = _Partition(history, partition, policies, load, report, progress)
        replayed.compare(history.signals(partition), chosen)
    return report


class _Partition:
    """One partition's state, fed from storage as far as each stored signal's positions say."""

    def __init__(
        self,
        history: History,
        partition: int,
        policies: Mapping[str, Policy],
        load: Callable[[str], Scorer],
        report: Report,
        progress: Callable[[int], None],
    ) -> None:
        self._number = partition
        self._policies = policies
        self._load = load
        self._report = report
        self._progress = progress
        self._scorers: dict[str, Scorer] = {}
        self._build_id = this_build().build_id
        self._refused = history.refused(partition)
        self._archived = history.archived(partition)
        self._inputs = history.inputs(partition)
        self._heads = {topic: next(rest, None) for topic, rest in self._inputs.items()}
        self._state: PartitionState | None = None

    def compare(self, stored: Iterator[Row], chosen: Chosen) -> None:
        """Compare until the last stored signal whose inputs are all stored.

        Of those after it, the archive has not read every topic far enough yet.
        """
        for positions, group in groupby(stored, key=lambda row: row["positions"]):
            rows = list(group)
            if any(offset >= self._archived.get(topic, 0) for topic, offset in positions.items()):
                self._report.counts["pending"] += len(rows) + sum(1 for _ in stored)
                break
            if chosen.until_us is not None and micros(rows[0]["as_of"]) >= chosen.until_us:
                break
            wanted = {_key(row): row for row in rows}
            for due in self._apply_through(positions, rows[0]):
                key: Key = (due.symbol, due.trigger, due.trigger_ref, due.revision)
                row = wanted.pop(key, None)
                if not chosen.holds(due.symbol, due.as_of):
                    continue
                if row is None:
                    nothing = Difference("", due.symbol, "signal", "none", "|".join(map(str, key)))
                    self._report.note(self._unequal("extra", rows[0]), nothing)
                else:
                    self._check(due, row)
            for left, row in wanted.items():
                if chosen.holds(row["symbol"], micros(row["as_of"])):
                    name = "|".join(map(str, left))
                    nothing = Difference(row["signal_id"], row["symbol"], "signal", name, "none")
                    self._report.note(self._unequal("missing", row), nothing)

    def _apply_through(self, positions: Mapping[str, int], row: Row) -> list[Due]:
        """Apply the stored inputs through `positions`, the one that set the signal off last."""
        policy = self._policy(row["policy_id"])
        if self._state is None:
            self._state = PartitionState(self._number, policy)
        self._state.policy = policy
        last_topic = row["set_off_by"]
        due: list[Due] = []
        while ready := self._ready(positions):
            if len(ready) > 1:
                ranked = []
                for topic, head in ready:
                    set_it_off = topic == last_topic and head.offset == positions[topic]
                    ranked.append((set_it_off, *_rank(topic, head, policy)))
                self._apply(min(ranked)[-1], due)
            else:
                topic = ready[0][0]
                self._apply_alone(topic, positions[topic], due)
        return due

    def _ready(self, positions: Mapping[str, int]) -> list[tuple[str, Stored]]:
        return [
            (topic, head)
            for topic, head in self._heads.items()
            if head is not None and head.offset <= positions.get(topic, -1)
        ]

    def _apply_alone(self, topic: str, through: int, due: list[Due]) -> None:
        """Apply a topic as far as `through`, when no other has anything before that."""
        while (head := self._heads[topic]) is not None and head.offset <= through:
            self._apply(topic, due)

    def _apply(self, topic: str, due: list[Due]) -> None:
        head = self._heads[topic]
        assert head is not None
        assert self._state is not None
        self._heads[topic] = next(self._inputs[topic], None)
        if (topic, head.offset) not in self._refused:
            try:
                self._state.apply(head.event, head.offset, head.at_us, due)
            except Rejected as error:
                name = f"{topic} {self._number}:{head.offset}"
                self._report.note("different", Difference("", "", name, "applied", str(error)))
            self._state.take_closed()
        self._report.inputs += 1
        if self._report.inputs % _TOLD_EVERY == 0:
            self._progress(self._report.inputs)

    def _check(self, due: Due, row: Row) -> None:
        policy = self._policy(row["policy_id"])
        try:
            scorer, because = self._speaker(row, policy)
        except Refused as error:
            self._report.note("different", _difference(row, "model_version", str(error)))
            return
        positions = row["positions"]
        signal = build_signal(
            due,
            scorer,
            policy,
            policy.policy_id,
            positions,
            rules_because=because,
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
            return self._scorer(version), None
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
        trained, limit_s = self._scorer(named[1]).trained_until_us, policy.model_max_age_s
        age_s = None if trained is None else (micros(row["as_of"]) - trained) / 1e6
        if age_s is None or limit_s is None or age_s <= limit_s:
            raise Refused(f"model {named[1]} was {age_s} s old, at most {limit_s} allowed")

    def _scorer(self, version: str) -> Scorer:
        if version not in self._scorers:
            self._scorers[version] = self._load(version)
        return self._scorers[version]

    def _policy(self, policy_id: str) -> Policy:
        policy = self._policies.get(policy_id)
        if policy is None or policy.policy_id != policy_id:
            raise Refused(
                f"policy {policy_id}: expected its row in the table policies, found "
                f"{'none' if policy is None else 'another, ' + policy.policy_id}"
            )
        return policy


def _other_builds(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    here = msgspec.to_builtins(this_build())
    return {
        build_id: "; ".join(
            f"{name}: {build.get(name)}, here {mine}"
            for name, mine in here.items()
            if build.get(name) != mine
        )
        for build_id, build in recorded.items()
        if build_id != this_build().build_id
    }


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
        "last_tick_age_s": signal.freshness.last_tick_age_s,
        "last_news_age_s": signal.freshness.last_news_age_s,
        "model_age_s": signal.freshness.model_age_s,
    }
    own = (c for c in SIGNAL_COLUMNS if c not in nested)
    return nested | {column: getattr(signal, column) for column in own}


def _rank(topic: str, head: Stored, policy: Policy) -> tuple[int, bool, str]:
    is_tape = topic == policy.tape
    ahead = policy.news_waits_for_time and not is_tape
    return (0 if ahead else head.at_us // 1000, is_tape, topic)


def _key(row: Row) -> Key:
    return (row["symbol"], row["trigger"], row["trigger_ref"], row["revision"])


def _same(stored: Any, replayed: Any) -> bool:
    """Equal as bits: of floats also the sign of zero."""
    if stored != replayed:
        return False
    if isinstance(stored, list):
        return all(a or _same(a, b) for a, b in zip(stored, replayed, strict=True))
    return not isinstance(stored, float) or copysign(1.0, stored) == copysign(1.0, replayed)


def _difference(row: Row, column: str, replayed: object) -> Difference:
    return Difference(row["signal_id"], row["symbol"], column, repr(row[column]), repr(replayed))
