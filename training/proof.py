"""What a verification says: signals by what became of them, and where every input went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from training.accounting import Account

if TYPE_CHECKING:
    from training.consumption import Consumed

MOST_SHOWN = 20
UNEQUAL = ("different", "missing", "extra")
OTHER_BUILD = "other build"  # unequal, and made by other code or on another platform than this


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
    market: Counter[str] = field(default_factory=Counter)  # each partition's MarketPanes

    @property
    def wrong(self) -> bool:
        """Whether there was nothing to compare, something is not equal, or an input is lost."""
        unequal = sum((self.counts + self.market)[each] for each in UNEQUAL)
        lost = any(account.unaccounted for account in self.accounts)
        lost = lost or any(role.unaccounted for role in self.roles)
        made_up = any(each.unarchived < 0 for each in self.roles)
        compared = self.counts["equal"] + self.counts[OTHER_BUILD]
        return unequal > 0 or lost or made_up or compared == 0

    @property
    def proven(self) -> bool:
        """Whether all of it is equal, also what another build made."""
        return not self.wrong and (self.counts + self.market)[OTHER_BUILD] == 0

    def note(self, kind: str, *differences: Difference) -> None:
        """Count one signal; keep its differences while there is room."""
        self.counts[kind] += 1
        self.differences += differences[: MOST_SHOWN - len(self.differences)]

    def add(self, other: Report) -> None:
        """Take in what another partition's signals became, after what is here."""
        self.counts += other.counts
        self.differences += other.differences[: MOST_SHOWN - len(self.differences)]
        self.inputs += other.inputs


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
