"""The card of a text model of returns: what it was made of, how it was judged, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.artifact import CLASSES
from models.sentiment.manifest import Manifest
from stream.events import moment
from training.evaluate import log_losses
from training.gates import Verdict
from training.judged import Judged
from training.sentiment.blocks import Blocks
from training.sentiment.reactions import Reactions
from training.sentiment.rivals import Rival
from training.skill import Bounds, bounds, horizon_sessions, session_means

CARD = "card.md"


def gained(judged: Judged, found: Reactions, seed: int) -> Bounds:
    """Log-loss gained on climatology, in nats a row: mean of the sessions."""
    each = log_losses(judged.baseline, judged.y) - log_losses(judged.p, judged.y)
    series = session_means(each, judged.entry_us)
    return bounds(series, horizon_sessions(found.rows.rule), seed)


def sentence(gain: Bounds, verdict: Verdict) -> str:
    """What it is worth, in words."""
    if gain.low is not None and gain.low > 0.0 and verdict.says == "PASS":
        return "It foresees returns better than their long-run shares do, and passes all gates."
    if gain.low is not None and gain.low > 0.0:
        return f"It gains on the long-run shares, but may not serve: {verdict.reason}."
    return (
        "Nothing sure is gained: on these articles it foresees returns no better than their "
        "long-run shares do. It may not serve."
    )


def card(
    found: Reactions,
    blocks: Blocks,
    judged: Judged,
    verdict: Verdict,
    numbers: Mapping[str, float | None],
    rivals: Sequence[Rival],
    manifest: Manifest,
) -> str:
    """The page, in Markdown."""
    rows, rule = found.rows, found.rows.rule
    gain = gained(judged, found, manifest.seed or 0)
    shares = np.bincount(found.y, minlength=3) / len(found)
    last = blocks.folds[-1]
    facts = {
        "articles known": f"{_day(rows.as_of_us.min())} to {_day(rows.as_of_us.max())}",
        "rows (article version, symbol)": f"{len(found):,} of {len(set(rows.symbol)):,} symbols",
        "stories": f"{len(np.unique(found.story)):,}",
        "base": manifest.base_model,
        "text": f"`{manifest.template}`, {manifest.max_tokens} tokens",
        "label": f"return over {rule.horizon} from the first price after the score was known "
        f"(+ {rule.latency_us / 1e6:g} s), less the market's; a class where it exceeds the larger "
        f"of {rule.k:g} x `{rule.volatility}` x {rule.volatility_scale:.3g} and the round trip",
        "classes": ", ".join(f"{n} {s:.1%}" for n, s in zip(CLASSES, shares, strict=True)),
        "left out": ", ".join(f"{n:,} {reason}" for reason, n in rows.counts.items()) or "nothing",
        "newest fold": f"{len(last.fit):,} to learn from, {len(last.tune):,} to choose by, "
        f"{len(last.judge):,} to judge; {blocks.purged:,} purged (labels that reach into the next "
        f"block), {blocks.told_before:,} left out (stories told before their block)",
        "made by": f"`{manifest.command}`",
    }
    skill = {
        "judged": f"{numbers['n_judged']:,.0f} rows, {numbers['n_sessions']:,.0f} sessions, "
        f"{len(blocks.folds)} folds",
        "log-loss gained on climatology (5 % to 95 %)": f"{gain}",
        "daily IC; t": f"{_told(numbers['daily_ic'])}; {_told(numbers['daily_ic_t'])}",
        "daily rank IC; t": f"{_told(numbers['daily_rank_ic'])}; "
        f"{_told(numbers['daily_rank_ic_t'])}",
        **{
            f"daily IC of {each.name}; the model's less it": f"{each.ic}; {each.ahead}"
            for each in rivals
        },
    }
    gates = [(c.name, c.says, _told(c.value), c.expected, c.note) for c in verdict.checks]
    return (
        "\n\n".join(
            [
                f"# {manifest.name}: a text model of returns",
                f"Verdict **{verdict.says}**. {sentence(gain, verdict)}",
                _table(("what", ""), list(facts.items())),
                "## Walked forward",
                _table(("what", ""), list(skill.items())),
                "## Gates",
                _table(("gate", "says", "value", "expected", "from"), gates),
            ]
        )
        + "\n"
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    every = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(each)} |" for each in every)


def _day(us: int) -> str:
    return f"{moment(int(us)):%Y-%m-%d}"


def _told(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
