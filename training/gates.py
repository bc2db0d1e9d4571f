"""Gates: whether a model may speak. Each says PASS, WARN or FAIL, with its number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

Say = Literal["PASS", "WARN", "FAIL"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Limit = Annotated[float, msgspec.Meta(ge=0.0)]


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every threshold; `--gates FILE` changes some of them.

    min_sessions : judged ones, for a verdict better than WARN.
    min_spread : sd(expected return) / sd(return), in units of their absolute correlation.
    max_up_share, warn_up_share : between the predicted and the realised share of rises.
    max_bias : |mean error of the expected return| / sd(return).
    max_accuracy : of the sign, among rows that moved.
    max_sharpe : of holding every judged row by its score, after costs, a year.
    max_neutral : share of scores that say nothing. max_textless : share of articles.
    max_constant, max_duplicated : features. max_empty : share of features without a value.
    max_news_shift : of the share of rows without a news feature, against the champion's.
    """

    min_rows: Count = 1_000
    min_judged: Count = 200
    min_class_share: Share = 0.02
    min_sessions: Count = 40
    min_distinct: Count = 20
    min_spread: Limit = 0.3
    max_up_share: Share = 0.25
    warn_up_share: Share = 0.15
    max_bias: Limit = 0.1
    max_daily_ic: Limit = 0.15
    max_accuracy: Share = 0.60
    max_sharpe: Limit = 4.0
    max_textless: Share = 0.05
    max_neutral: Share = 0.99
    max_constant: Count = 0
    max_duplicated: Count = 0
    max_empty: Share = 0.25
    max_news_shift: Share = 0.25


class Check(msgspec.Struct, frozen=True):
    """One gate's answer.

    value : None where it is not defined.
    note : what the value was read from.
    short_history : it says WARN for want of history, not for what was found.
    """

    name: str
    says: Say
    value: float | None
    expected: str
    note: str = ""
    short_history: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """The worst of all checks. accepted: why what looks too good is believed, where it was."""

    says: Say
    checks: tuple[Check, ...]
    accepted: str | None = None

    @property
    def reason(self) -> str:
        """The failed checks, or the warnings, in one line; empty for PASS."""
        return "; ".join(_told(check) for check in self.checks if check.says == self.says != "PASS")

    def may_lead(self, *, short_history: bool) -> bool:
        """Whether it may be champion: PASS; with `short_history` also if only history is wanting.

        Any other WARN may serve beside the champion only.
        """
        return all(
            check.says == "PASS" or (short_history and check.short_history) for check in self.checks
        )


def verdict_of(checks: Sequence[Check], accepted: str | None = None) -> Verdict:
    """The worst of them."""
    return Verdict(worst_of(check.says for check in checks), tuple(checks), accepted)


def worst_of(said: Iterable[Say]) -> Say:
    """The gravest of all; PASS of none."""
    found = set(said)
    return "FAIL" if "FAIL" in found else "WARN" if "WARN" in found else "PASS"


def at_least(name: str, value: float, least: float) -> Check:
    """FAIL below `least`."""
    return Check(name, "FAIL" if value < least else "PASS", value, f"at least {least:g}")


def at_most(
    name: str, value: float | None, most: float, *, warn: float | None = None, note: str = ""
) -> Check:
    """FAIL above `most`, WARN above `warn`; a value that is not defined passes."""
    says: Say = "PASS"
    limit = most if warn is None else warn
    if value is not None and value > most:
        says, limit = "FAIL", most
    elif value is not None and value > limit:
        says = "WARN"
    return Check(name, says, value, f"at most {limit:g}", note)


def read_gates(file: Path) -> Gates:
    """Thresholds from a TOML or JSON file, the rest by default.

    Raises
    ------
    ValueError
        It is not such a file, or names no gate; says the ones there are.
    """
    raw = file.read_bytes()
    try:
        if file.suffix == ".toml":
            return msgspec.toml.decode(raw, type=Gates)
        return msgspec.json.decode(raw, type=Gates)
    except msgspec.DecodeError as error:
        known: Mapping[str, object] = msgspec.structs.asdict(Gates())
        raise ValueError(f"{file}: {error}; expected some of {', '.join(known)}") from None


def _told(check: Check) -> str:
    got = "none" if check.value is None else f"{check.value:.4g}"
    return f"{check.name}: expected {check.expected}, got {got}" + (
        f" ({check.note})" if check.note else ""
    )
