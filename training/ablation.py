"""Does sentiment help? The same folds without it, with nothing else, and with its days shuffled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from stream.features.sequence import CHANNELS, NEWS_CHANNELS
from training.evaluate import log_losses
from training.judged import Judged
from training.label_rules import LabelRule
from training.rows import TrainingTable
from training.skill import Bounds, bounds, horizon_sessions, session_ics, session_means, sessions
from training.splits import Rows

BOTH, PRICES = "prices and sentiment", "prices alone"
SENTIMENT, SHUFFLED = "sentiment alone", "prices and shuffled sentiment"
Mask = npt.NDArray[np.bool_]
_NEWS: Mask = np.isin(CHANNELS, NEWS_CHANNELS)


class Line(msgspec.Struct, frozen=True):
    """One variant: mean log-loss of a session gained on climatology, and mean daily IC."""

    name: str
    gained: Bounds
    daily_ic: Bounds


class Ablation(msgspec.Struct, frozen=True):
    """adds: mean log-loss of a session that sentiment gains on prices alone, and on shuffled."""

    lines: tuple[Line, ...]
    adds: Bounds
    adds_to_shuffled: Bounds

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        told = [_told("prices alone", self.adds)]
        told.append(_told("the same sentiment on other days", self.adds_to_shuffled))
        return " ".join(told)


def priced(rows: TrainingTable, news_names: Collection[str]) -> TrainingTable | None:
    """The rows without what news changes; None where that is nothing, or all there is."""
    is_news = np.isin(rows.feature_names, list(news_names))
    if is_news.all() or not _tells(rows, is_news):
        return None
    return _columns(rows, ~is_news, ~_NEWS)


def others(rows: TrainingTable, news_names: Collection[str], seed: int) -> dict[str, TrainingTable]:
    """The variants beside both and prices alone, by name."""
    is_news = np.isin(rows.feature_names, list(news_names))
    x, drawn = rows.x.copy(), _other_days(rows, seed)
    x[:, is_news] = rows.x[drawn][:, is_news]
    sequence = None
    if rows.sequence is not None:
        sequence = rows.sequence.copy()
        sequence[:, :, _NEWS] = rows.sequence[drawn][:, :, _NEWS]
    shuffled = replace(rows, x=x, sequence=sequence)
    return {SENTIMENT: _columns(rows, is_news, _NEWS), SHUFFLED: shuffled}


def ablation(judged: Mapping[str, Judged], rule: LabelRule, seed: int) -> Ablation:
    """Compare variants that were judged on the same rows.

    Parameters
    ----------
    judged : of BOTH, PRICES, SENTIMENT and SHUFFLED.
    seed : of the bootstrap.
    """
    horizon = horizon_sessions(rule)
    both = judged[BOTH]
    by_session = {
        name: session_means(log_losses(one.p, one.y), one.entry_us) for name, one in judged.items()
    }
    chance = session_means(log_losses(both.baseline, both.y), both.entry_us)
    lines = []
    for name, one in judged.items():
        ics = session_ics(one.score, one.forward_return, one.entry_us)
        gained = bounds(chance - by_session[name], horizon, seed)
        lines.append(Line(name, gained, bounds(ics, horizon, seed)))
    return Ablation(
        tuple(lines),
        bounds(by_session[PRICES] - by_session[BOTH], horizon, seed),
        bounds(by_session[SHUFFLED] - by_session[BOTH], horizon, seed),
    )


def _other_days(rows: TrainingTable, seed: int) -> Rows:
    """For each row one of the same symbol: its days in a drawn order, each in its own."""
    draw = np.random.default_rng(seed)
    source = np.arange(len(rows))
    for symbol in np.unique(rows.symbol):
        own = np.flatnonzero(rows.symbol == symbol)
        days = sessions(rows.entry_us[own])
        taken = own[np.concatenate([days[i] for i in draw.permutation(len(days))])]
        source[np.concatenate([own[day] for day in days])] = taken
    return source


def _columns(rows: TrainingTable, kept: Mask, channels: Mask) -> TrainingTable:
    """Those features alone; of sequences those channels, the others without values."""
    names = tuple(np.array(rows.feature_names)[kept].tolist())
    sequence = None
    if rows.sequence is not None:
        sequence = np.where(channels, rows.sequence, np.float32("nan"))
    x = np.ascontiguousarray(rows.x[:, kept])
    return replace(rows, x=x, feature_names=names, sequence=sequence)


def _tells(rows: TrainingTable, kept: Mask) -> bool:
    x = rows.x[:, kept]
    return bool(x.size) and not np.array_equal(x, np.broadcast_to(x[0], x.shape), equal_nan=True)


def _told(against: str, adds: Bounds) -> str:
    if adds.mean is None or adds.low is None or adds.high is None:
        return f"What sentiment adds over {against} cannot be told: too few sessions."
    gained = f"{adds.mean:.4f} of log-loss a session"
    interval = f"the 90 % interval {adds.low:.4f} to {adds.high:.4f}"
    if adds.low > 0.0:
        return f"Sentiment adds {gained} over {against}; {interval} is above zero."
    if adds.high < 0.0:
        return f"Sentiment takes {gained} from {against}; {interval} is below zero."
    return f"Sentiment adds nothing sure over {against}: {gained}; {interval} includes zero."
