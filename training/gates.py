"""Gates: whether a model may speak. Each says PASS, WARN or FAIL, with its number."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from stream.features.panes import DAY_US, HOUR_US
from training.evaluate import Judged, blocks, direction_losses, log_losses, metrics
from training.labels import Floats

Say = Literal["PASS", "WARN", "FAIL"]

MIN_ROWS = 1_000  # over all blocks
MIN_JUDGED = 200
MIN_BLOCKS, GOOD_BLOCKS = 8, 20  # of time that the bootstrap draws from
MIN_CLASS_SHARE = 0.02  # of each class among the judged
MIN_SPREAD = 0.005  # standard deviation of P(bullish) - P(bearish)
MAX_CALIBRATION_ERROR = 0.10
ALPHA = 0.01  # one-sided, for "better than the baseline"
N_DRAWS = 2_000


class Check(msgspec.Struct, frozen=True):
    """One gate's answer."""

    name: str
    says: Say
    value: float
    expected: str


class Verdict(msgspec.Struct, frozen=True):
    """The worst of all checks."""

    says: Say
    checks: tuple[Check, ...]

    @property
    def reason(self) -> str:
        """The failed checks, or the warnings, in one line; empty for PASS."""
        return "; ".join(
            f"{check.name}: expected {check.expected}, got {check.value:.4g}"
            for check in self.checks
            if check.says == self.says != "PASS"
        )


def judge(judged: Judged, n_rows: int, threshold_found: bool, *, seed: int) -> Verdict:
    """Judge the predictions of blocks that neither tuned nor calibrated.

    Parameters
    ----------
    n_rows : labelled rows in all blocks.
    threshold_found : whether acting above some confidence paid in the block that chooses it.
    seed : of the bootstrap.
    """
    few = [
        _at_least("rows", n_rows, MIN_ROWS),
        _at_least("judged rows", len(judged.y), MIN_JUDGED),
    ]
    if any(check.says == "FAIL" for check in few):
        return _verdict(few)
    width = block_width(judged)
    n_blocks = len(blocks(judged.as_of_us, width))
    shares = np.bincount(judged.y, minlength=3) / len(judged.y)
    likeliest = np.bincount(judged.p.argmax(axis=1), minlength=3).max() / len(judged.y)
    found = metrics(judged)
    skill = log_losses(judged.p, judged.y) - log_losses(judged.baseline, judged.y)
    sides = direction_losses(judged.p, judged.y) - direction_losses(judged.baseline, judged.y)
    hours = width / HOUR_US
    return _verdict(
        [
            *few,
            _at_least(f"judge blocks of {hours:g} h", n_blocks, MIN_BLOCKS, GOOD_BLOCKS),
            _at_least("smallest class share", float(shares.min()), MIN_CLASS_SHARE),
            _at_least("collapsed: spread of scores", float(judged.score.std()), MIN_SPREAD),
            _below("collapsed: share of its likeliest class", float(likeliest), 1.0),
            _below("log-loss minus the baseline's, upper bound", upper(skill, judged, seed), 0.0),
            _below(
                "log-loss of up against down minus the baseline's, upper bound",
                upper(sides, judged, seed),
                0.0,
            ),
            _above("information coefficient", found["ic"] or 0.0, 0.0),
            _warn("calibration error", found["ece"] or 0.0, MAX_CALIBRATION_ERROR),
            Check(
                "confidence that pays after costs",
                "PASS" if threshold_found else "WARN",
                float(threshold_found),
                "one in the block that chooses it (else the default threshold)",
            ),
        ]
    )


def block_width(judged: Judged) -> int:
    """Length in microseconds of the blocks that the bootstrap draws.

    Days, where there are enough; else parts of a day, long against the intraday horizon.
    """
    for width in (DAY_US, 4 * HOUR_US):
        if len(blocks(judged.as_of_us, width)) >= GOOD_BLOCKS:
            return width
    return 2 * HOUR_US


def upper(differences: Floats, judged: Judged, seed: int) -> float:
    """Upper bound of the mean difference, by drawing whole blocks of time."""
    rows = blocks(judged.as_of_us, block_width(judged))
    sums = np.array([differences[each].sum() for each in rows])
    counts = np.array([len(each) for each in rows], dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(rows), (N_DRAWS, len(rows)))
    return float(np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), 1 - ALPHA))


def _verdict(checks: list[Check]) -> Verdict:
    said = {check.says for check in checks}
    worst: Say = "FAIL" if "FAIL" in said else "WARN" if "WARN" in said else "PASS"
    return Verdict(worst, tuple(checks))


def _at_least(name: str, value: float, least: float, good: float = 0.0) -> Check:
    says: Say = "FAIL" if value < least else "WARN" if value < good else "PASS"
    return Check(name, says, value, f"at least {good if says == 'WARN' else least:g}")


def _below(name: str, value: float, limit: float) -> Check:
    return Check(name, "PASS" if value < limit else "FAIL", value, f"under {limit:g}")


def _above(name: str, value: float, limit: float) -> Check:
    return Check(name, "PASS" if value > limit else "FAIL", value, f"over {limit:g}")


def _warn(name: str, value: float, limit: float) -> Check:
    return Check(name, "PASS" if value <= limit else "WARN", value, f"at most {limit:g}")
