"""What enhanced scores are worth beside the text's own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from training.evaluate import pearson, ranks
from training.gates import Gates, Verdict, at_least, at_most, verdict_of
from training.judge import enough_sessions, over_zero
from training.labels import Floats, Ints
from training.skill import (
    BLOCKS,
    LEAST_A_SESSION,
    Bounds,
    bounds,
    horizon_sessions,
    mean_block,
    sessions,
)
from training.study.enhancement import BOTH, STATE, Enhanced
from training.study.stories import Story, stories
from training.study.told import interval, sure

RAW = "the text score as it is"


class Line(msgspec.Struct, frozen=True):
    """One score: its mean daily rank IC with the relative return, and what it adds to the raw."""

    name: str
    rank_ic: Bounds
    adds: Bounds


class EnhancementFound(msgspec.Struct, frozen=True):
    """The answer.

    n_sessions : of judge blocks, and of those how many have articles enough for an IC.
    lines : of the text score as it is first, of the enhanced one last.
    adds_to_state : rank IC of the enhanced score less that of the market's state alone.
    """

    horizon: str
    n_articles: int
    n_judged: int
    n_sessions: tuple[int, int]
    lines: tuple[Line, ...]
    adds_to_state: Bounds
    stories: tuple[Story, ...]
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        if self.n_sessions[1] == 0:
            return (
                f"No session has {LEAST_A_SESSION} articles on symbols that can be compared: "
                "nothing can be said of the scores."
            )
        raw, own = self.lines[0], self.lines[-1]
        return (
            f"Daily rank IC with the reaction: {own.rank_ic.mean:.4f} of the enhanced score, "
            f"{raw.rank_ic.mean:.4f} of the text score; the difference of {own.adds.mean:.4f} is "
            f"{sure(own.adds)} ({interval(own.adds)}). Over the market's state alone the text adds "
            f"{self.adds_to_state.mean:.4f}, {sure(self.adds_to_state)} "
            f"({interval(self.adds_to_state)})."
        )


def judge_enhancement(
    enhanced: Enhanced,
    *,
    seed: int,
    gates: Gates = Gates(),  # noqa: B008 - frozen
) -> EnhancementFound:
    """Judge the scores of the judge blocks.

    Parameters
    ----------
    seed : of the bootstrap.
    """
    judged, rows = enhanced.judged, enhanced.articles.rows
    horizon = horizon_sessions(rows.rule)
    entry, outcome = rows.entry_us[judged], rows.relative_target[judged]
    scores = {RAW: enhanced.articles.score[judged]}
    scores |= {name: values[judged] for name, values in enhanced.scores.items()}
    ics = rank_ics(scores, outcome, entry)

    def over_sessions(values: Floats) -> Bounds:
        return bounds(values, horizon, seed)

    lines = tuple(
        Line(name, over_sessions(own), over_sessions(own - ics[RAW])) for name, own in ics.items()
    )
    own, n = lines[-1], len(ics[RAW])
    least = max(gates.min_sessions, BLOCKS * mean_block(horizon))
    distinct = len(np.unique(scores[BOTH]))
    checks = [
        enough_sessions("sessions judged", n, least),
        over_zero("rank IC gained on the text score", own.adds, least),
        at_least("collapsed: distinct enhanced scores", distinct, gates.min_distinct),
        at_most("too good: daily rank IC", own.rank_ic.mean, gates.max_daily_ic),
    ]
    return EnhancementFound(
        horizon=rows.rule.horizon,
        n_articles=len(rows),
        n_judged=len(judged),
        n_sessions=(len(sessions(entry)), n),
        lines=lines,
        adds_to_state=over_sessions(ics[BOTH] - ics[STATE]),
        stories=stories(enhanced),
        verdict=verdict_of(checks),
    )


def rank_ics(scores: Mapping[str, Floats], outcome: Floats, entry_us: Ints) -> dict[str, Floats]:
    """Of each score its rank IC in the same sessions: those of enough rows whose outcomes differ.

    A score that is the same for all rows of a session ranks nothing: 0.
    """
    found: dict[str, list[float]] = {name: [] for name in scores}
    for rows in sessions(entry_us):
        if len(rows) < LEAST_A_SESSION or np.ptp(outcome[rows]) == 0.0:
            continue
        came = ranks(outcome[rows])
        for name, score in scores.items():
            ic = pearson(ranks(score[rows]), came)
            found[name].append(ic if np.isfinite(ic) else 0.0)
    return {name: np.array(ics, dtype=np.float64) for name, ics in found.items()}
