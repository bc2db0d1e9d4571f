"""What acting on judged rows would have kept, by cost: row by row, as if each were one trade."""

from __future__ import annotations

import numpy as np

from training.costs import COSTS_BPS, after_costs
from training.judged import Judged
from training.labels import Ints
from training.rows import TrainingTable

HEAD = ("side", "rows", *(f"at {bps:g} bp a side" for bps in COSTS_BPS), "break-even a side")


def sides(judged: Judged, threshold: float) -> Ints:
    """1 long, -1 short, 0 where a signal of that threshold would not be actionable."""
    side = np.where(judged.p[:, 2] > judged.p[:, 0], 1, -1)
    acts = (judged.confidence > judged.p[:, 1]) & (judged.confidence >= threshold)
    is_tie = judged.p[:, 2] == judged.p[:, 0]
    return np.where(acts & ~is_tie, side, 0)


def kept(judged: Judged, rows: TrainingTable, threshold: float) -> list[tuple[str, ...]]:
    """A line of HEAD for all that is acted on, and for each side of it.

    Parameters
    ----------
    rows : in which `judged.row` counts.
    """
    side = sides(judged, threshold)
    held_us = (rows.exit_us - rows.entry_us)[judged.row]
    lines = []
    for name, taken in (("both", side), ("long", side.clip(min=0)), ("short", side.clip(max=0))):
        found = after_costs(taken, judged.forward_return, held_us)
        n = int((taken != 0).sum())
        means = (f"{1e4 * mean:.2f} bp" if n else "none" for mean in found.mean.values())
        even = found.break_even_bps
        lines.append((name, f"{n:,}", *means, "none" if even is None else f"{even:.2f} bp"))
    return lines
