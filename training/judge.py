"""What the gates look at: skill beyond doubt, no collapse, nothing too good to be true. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from training.evaluate import direction_losses, log_losses, pearson
from training.gates import Check, Gates, Say, Verdict, at_least, at_most, verdict_of
from training.judged import Judged, direction_accuracy, session_returns
from training.label_rules import LabelRule
from training.labels import Floats, Ints
from training.skill import (
    BLOCKS,
    Bounds,
    bounds,
    horizon_sessions,
    mean_block,
    session_ics,
    session_means,
    sessions,
    sharpe,
)


def judge(
    judged: Judged,
    rule: LabelRule,
    gates: Gates,
    *,
    n_rows: int,
    threshold_found: bool | None = None,
    quality: Sequence[Check] = (),
    beside_champion: bool = False,
    accepted: str | None = None,
    seed: int,
) -> Verdict:
    """Judge the predictions of blocks that neither tuned nor calibrated.

    Parameters
    ----------
    n_rows : labelled rows in all blocks.
    threshold_found : whether acting above some confidence paid in the block that chooses it;
        None: not asked.
    quality : what was found of the data.
    beside_champion : whether there is one, though it may have been asked about no row.
    accepted : why a result that looks too good is to be believed.
    seed : of the bootstrap.
    """
    checks = [
        at_least("rows", n_rows, gates.min_rows),
        at_least("judged rows", len(judged.y), gates.min_judged),
    ]
    if any(check.says == "FAIL" for check in checks):
        return verdict_of([*checks, *quality], accepted)
    shares = np.bincount(judged.y, minlength=3) / len(judged.y)
    checks.append(at_least("smallest class share", float(shares.min()), gates.min_class_share))
    checks += _skill(judged, rule, gates, seed, beside_champion)
    checks += _collapse(judged, gates)
    checks += _too_good(judged, rule, gates, accepted)
    if threshold_found is not None:
        checks.append(
            Check(
                "confidence that pays after costs",
                "PASS" if threshold_found else "WARN",
                float(threshold_found),
                "one in the block that chooses it (else the default threshold)",
            )
        )
    return verdict_of([*checks, *quality], accepted)


def _skill(
    judged: Judged, rule: LabelRule, gates: Gates, seed: int, beside_champion: bool
) -> list[Check]:
    """Improvements of the mean log-loss of a session, with their bounds."""
    horizon = horizon_sessions(rule)
    least = max(gates.min_sessions, BLOCKS * mean_block(horizon))
    own, y, entry = log_losses(judged.p, judged.y), judged.y, judged.entry_us
    sides = direction_losses(judged.baseline, y) - direction_losses(judged.p, y)
    found = [
        enough_sessions("sessions judged", len(sessions(entry)), least),
        _better("climatology", log_losses(judged.baseline, y) - own, entry, horizon, seed),
        _better("climatology, up against down", sides, entry, horizon, seed),
    ]
    rivals = [("prices alone", judged.price_only, False)]
    rivals.append(("the champion", judged.champion, beside_champion))
    for name, p, is_there in rivals:
        asked = np.flatnonzero(~np.isnan(p[:, 0]))
        n = len(sessions(entry[asked]))
        if len(asked):
            gained = log_losses(p[asked], y[asked]) - own[asked]
            found.append(_better(name, gained, entry[asked], horizon, seed, least))
        if is_there or 0 < n < len(sessions(entry)):
            found.append(enough_sessions(f"sessions judged beside {name}", n, least))
    return found


def enough_sessions(name: str, n: int, least: int) -> Check:
    """WARN under `least`: for want of history, where there is any."""
    says: Say = "PASS" if n >= least else "WARN"
    return Check(name, says, n, f"at least {least}", short_history=0 < n < least)


def _better(
    than: str, gained: Floats, entry_us: Ints, horizon: int, seed: int, least: int = 0
) -> Check:
    name = f"log-loss gained on {than}"
    return over_zero(name, bounds(session_means(gained, entry_us), horizon, seed), least)


def over_zero(name: str, found: Bounds, least: int = 0) -> Check:
    """PASS above zero at the 5 % bound, FAIL below it at the 95 % bound, else WARN.

    least : sessions under which a gain that is not sure yet wants history.
    """
    says: Say = "WARN"
    if found.low is not None and found.high is not None:
        says = "PASS" if found.low > 0.0 else "FAIL" if found.high < 0.0 else "WARN"
    few = found.n_sessions < least and found.mean is not None and found.mean > 0.0
    return Check(
        name,
        says,
        found.high if says == "FAIL" else found.low,
        {"PASS": "5 % bound over 0", "WARN": "5 % bound over 0", "FAIL": "95 % bound over 0"}[says],
        f"mean {found}, {found.n_sessions} sessions",
        short_history=says == "WARN" and few,
    )


def _collapse(judged: Judged, gates: Gates) -> list[Check]:
    known = ~np.isnan(judged.foreseen)
    expected, outcome = judged.expected[known], judged.foreseen[known]
    spread = _sd(outcome)
    ic = abs(pearson(expected, outcome))
    least = gates.min_spread * ic if np.isfinite(ic) else 0.0
    ratio = _sd(expected) / spread if spread > 0.0 else 0.0
    distinct = _distinct(judged, np.arange(len(judged.y)))
    moved = judged.forward_return[judged.forward_return != 0.0]
    said, were = judged.score[judged.score != 0.0] > 0.0, moved > 0.0
    apart = abs(float(said.mean()) - float(were.mean())) if len(said) and len(were) else None
    bias = abs(float((expected - outcome).mean())) / spread if spread > 0.0 else None
    folds = [judged.fold == fold for fold in np.unique(judged.fold)]
    fallen = [
        _distinct(judged, np.flatnonzero(rows)) < gates.min_distinct
        or _sd(judged.expected[rows & known]) < least * _sd(judged.foreseen[rows & known])
        for rows in folds
    ]
    return [
        at_least("collapsed: sd of expected returns / of returns", ratio, least),
        at_least("collapsed: distinct predictions", distinct, gates.min_distinct),
        at_most(
            "collapsed: share of rises, said less realised",
            apart,
            gates.max_up_share,
            warn=gates.warn_up_share,
        ),
        _drifted(bias, len(sessions(judged.entry_us)), gates),
        at_most("collapsed: folds of their own", float(sum(fallen)), 0, note=f"of {len(folds)}"),
    ]


def _drifted(bias: float | None, n_sessions: int, gates: Gates) -> Check:
    """Over a few sessions a mean error is the market's drift, so there it only warns."""
    check = at_most("collapsed: mean error / sd of returns", bias, gates.max_bias)
    if check.says == "FAIL" and n_sessions < gates.min_sessions:
        return msgspec.structs.replace(check, says="WARN", short_history=True)
    return check


def _sd(values: Floats) -> float:
    return float(values.std()) if len(values) else 0.0


def _distinct(judged: Judged, rows: Ints) -> int:
    """Of the scores or the expected returns, whichever has fewer."""
    return min(len(np.unique(judged.score[rows])), len(np.unique(judged.expected[rows])))


def _too_good(judged: Judged, rule: LabelRule, gates: Gates, accepted: str | None) -> list[Check]:
    """A leak is likelier than such a market; who knows better says why, and it is kept."""
    ics = session_ics(judged.score, judged.forward_return, judged.entry_us)
    found = {
        "too good: daily IC": (_mean(ics), gates.max_daily_ic),
        "too good: accuracy of the sign": (direction_accuracy(judged), gates.max_accuracy),
        "too good: Sharpe ratio": (
            sharpe(session_returns(judged), horizon_sessions(rule)),
            gates.max_sharpe,
        ),
    }
    checks = []
    for name, (value, most) in found.items():
        check = at_most(name, value if np.isfinite(value) else None, most)
        if check.says == "FAIL" and accepted is not None:
            check = Check(name, "PASS", value, check.expected, f"accepted: {accepted}")
        checks.append(check)
    return checks


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
