"""What timing is worth: how often each horizon pays, and whether to choose beats to hold one."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from stream.features.panes import DAY_US
from training.evaluate import log_losses
from training.gates import Check, Gates, Verdict, verdict_of
from training.judge import enough_sessions, over_zero
from training.labels import Floats, Ints
from training.skill import BLOCKS, Bounds, bounds, mean_block, session_means, sessions
from training.study.timing import Timed
from training.study.told import interval, sure

ADVISED, OR_NONE = "as advised", "as advised, or none"


class Held(msgspec.Struct, frozen=True):
    """One way to choose the horizon; pay is a trade's in units of risk, by session.

    share : of the rows that take a position. paid : of those, the share that gained.
    a_day : pay over the days that positions were held.
    advice_adds : pay of the advice less that of this.
    """

    name: str
    share: float
    paid: float
    pay: Bounds
    a_day: float
    advice_adds: Bounds


class TimingFound(msgspec.Struct, frozen=True):
    """The answer.

    best : what, always held, paid most by the mean of the judged sessions.
    lead : of its pay over the next.
    gained : log-loss of a session gained on climatology.
    most : share of rows by the horizon that paid most; `none` where all lost.
    """

    n_rows: int
    most: dict[str, float]
    best: str
    lead: Bounds
    lines: tuple[Held, ...]
    gained: Bounds
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        best = next(each for each in self.lines if each.name == self.best)
        pays = best.pay.mean is not None and best.pay.mean > 0.0
        told = f"{best.name} pays most" if pays else f"no horizon pays, {best.name} loses least"
        return (
            f"Always held, {told}: {best.pay.mean:.4f} units of risk a trade after costs, "
            f"{sure(best.pay)} ({interval(best.pay)}); its lead over the next is "
            f"{sure(self.lead)} ({interval(self.lead)}). To choose row by row adds "
            f"{best.advice_adds.mean:.4f} to that, {sure(best.advice_adds)} "
            f"({interval(best.advice_adds)})."
        )


def judge_timing(timed: Timed, *, seed: int, gates: Gates = Gates()) -> TimingFound:  # noqa: B008
    """Judge what timing said of rows that it did not learn from.

    Parameters
    ----------
    seed : of the bootstrap.
    """
    horizons, entry = timed.horizons, timed.horizons.rows.entry_us
    n, names = len(timed.y), timed.horizons.names

    def by_session(values: Floats) -> Bounds:
        return bounds(session_means(values, entry), timed.sessions, seed)

    chosen, pay = choices(timed), paid_by(timed)
    lines = [
        Held(
            name=name,
            share=float((choice >= 0).mean()),
            paid=_mean(pay[name][choice >= 0] > 0.0),
            pay=by_session(pay[name]),
            a_day=_ratio(pay[name], _at(horizons.held_us / DAY_US, choice)),
            advice_adds=by_session(pay[ADVISED] - pay[name]),
        )
        for name, choice in chosen.items()
    ]
    ordered = sorted(lines[2:], key=lambda each: each.pay.mean or 0.0, reverse=True)
    best, following = ordered[:2]
    gained = by_session(log_losses(timed.baseline, timed.y) - log_losses(timed.p, timed.y))
    least = max(gates.min_sessions, BLOCKS * mean_block(timed.sessions))
    advised = np.bincount(timed.advised, minlength=len(names)) / n
    classes = np.bincount(timed.y, minlength=1 + len(names)) / n
    checks = [
        enough_sessions("sessions judged", len(sessions(entry)), least),
        over_zero("log-loss gained on climatology", gained, least),
        over_zero(f"pay of the advice over always {best.name}", best.advice_adds, least),
        Check(
            "collapsed: largest share of one advice",
            "PASS" if advised.max() < 1.0 else "WARN",
            float(advised.max()),
            "under 1",
        ),
    ]
    return TimingFound(
        n_rows=n,
        most=dict(zip(("none", *names), classes.tolist(), strict=True)),
        best=best.name,
        lead=by_session(pay[best.name] - pay[following.name]),
        lines=tuple(lines),
        gained=gained,
        verdict=verdict_of(checks),
    )


def choices(timed: Timed) -> dict[str, Ints]:
    """By each way to choose, the number of the horizon of each row; -1 for no position."""
    best = timed.expected.max(axis=1)
    chosen = {ADVISED: timed.advised, OR_NONE: np.where(best > 0.0, timed.advised, -1)}
    return chosen | {name: np.full(len(best), h) for h, name in enumerate(timed.horizons.names)}


def paid_by(timed: Timed) -> dict[str, Floats]:
    """By each way to choose, the pay of each row; 0 without a position."""
    return {name: _at(timed.pay, choice) for name, choice in choices(timed).items()}


def _at(by_horizon: Floats, choice: Ints) -> Floats:
    """(n,) of the horizon that is chosen in each row; 0 where none is, -1."""
    picked = by_horizon[np.arange(len(choice)), choice]
    return np.where(choice >= 0, picked, 0.0)


def _mean(values: npt.NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _ratio(pay: Floats, days: Floats) -> float:
    total = float(days.sum())
    return float(pay.sum()) / total if total > 0.0 else 0.0
