"""Features of the calendar and of whole sessions."""

from __future__ import annotations

from math import cos, fsum, log, pi, sin, sqrt

from stream.features.groups import Feature, Group, Values
from stream.features.panes import DAY_US, MINUTE_US
from stream.features.view import View

WEEK_US = 7 * DAY_US
YEAR_US = 31_556_952 * 1_000_000  # mean Gregorian year
MONDAY_US = 4 * DAY_US  # 1970-01-05


def cycles(*names: str) -> Group:
    """Sine and cosine of the place in the UTC day, week or mean year."""
    lengths = {"day": (DAY_US, 0), "week": (WEEK_US, MONDAY_US), "year": (YEAR_US, 0)}
    chosen = [lengths[name] for name in names]

    def compute(view: View) -> Values:
        out: Values = []
        for length, start in chosen:
            angle = 2.0 * pi * ((view.cut - start) % length) / length
            out += (sin(angle), cos(angle))
        return out

    return Group(
        tuple(
            Feature(f"time_{part}_{name}", "1", "cut", "[-1, 1]", "never")
            for name in names
            for part in ("sin", "cos")
        ),
        compute,
    )


def current_session() -> Group:
    """Minutes since the open, the gap at it, the move and the distance to the VWAP since then."""

    def compute(view: View) -> Values:
        session, pane = view.session, view.session_pane
        if session is None:
            return [None] * 4
        since = None
        if session.close_at is None or view.cut <= session.close_at:
            since = (view.cut - session.open_at) / MINUTE_US
        if pane is None:
            return [since, None, None, None]
        done, gap = view.book.done, None
        before = view.session_high
        if before and done.panes[before - 1].start >= session.open_at:
            before -= 1  # the session itself is done
        if before:
            gap = log(pane.open / done.closes[before - 1])
        distance = log(pane.close * pane.volume / pane.notional) if pane.notional > 0.0 else None
        return [since, gap, log(pane.close / pane.open), distance]

    return Group(
        (
            Feature("clock_since_open_session", "min", "session", "[0, inf)", "out of session"),
            Feature("gap_overnight_session", "log return", "2 sessions", "(-inf, inf)",
                    "no trade in this session or in one before"),
            Feature("return_open_session", "log return", "session", "(-inf, inf)",
                    "no trade in the session"),
            Feature("vwap_distance_session", "log ratio", "session", "(-inf, inf)", "no volume"),
        ),
        compute,
    )  # fmt: skip


def momentum(*spans: int, volatility: int) -> Group:
    """Log return over the last n whole sessions that traded, and daily volatility over some."""

    def compute(view: View) -> Values:
        closes, high = view.book.done.closes, view.session_high
        out: Values = [
            log(closes[high - 1] / closes[high - 1 - span]) if high > span else None
            for span in spans
        ]
        if high > volatility:
            out.append(sqrt(fsum(view.book.done.pane_r2[high - volatility : high])))
        else:
            out.append(None)
        return out

    missing = "fewer whole sessions with a trade"
    features = [
        Feature(f"momentum_sessions_{n}d", "log return", f"{n} sessions", "(-inf, inf)", missing)
        for n in spans
    ]
    features.append(
        Feature(
            f"volatility_sessions_{volatility}d",
            "log return",
            f"{volatility} sessions",
            "[0, inf)",
            missing,
        )
    )
    return Group(tuple(features), compute)
