"""A text model of returns: fine-tuned on what prices did after stored articles, and judged.

Every fold's model is judged on articles that came after all it saw; the newest fold's is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from models.sentiment.model import SECTIONS, Probabilities, SentimentModel
from models.sentiment.onnx import OnnxModel
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.sections import sectioned
from training.errors import TrainingRefused
from training.fingerprint import fingerprint
from training.gates import Gates, Verdict
from training.judge import judge
from training.judged import Judged, metrics
from training.labels import Floats
from training.sentiment.blocks import SPLIT, check_fold, purged_blocks
from training.sentiment.files import complete_folder
from training.sentiment.labelled import Labelled
from training.sentiment.make import Progress, called, make, refuse_misfits, write_manifest
from training.sentiment.reactions import Reactions
from training.sentiment.recipe import Recipe
from training.sentiment.returns_card import CARD, card
from training.sentiment.rivals import Rival, compared, said
from training.splits import Fold, Rows, SplitRule
from training.weights import uniqueness

_TUNE_SHARE = 4  # of the most rows to learn from, one in so many chooses
SOURCE = "returns"


class Learnt(NamedTuple):
    """What came of it."""

    verdict: Verdict
    judged: Judged
    metrics: dict[str, float | None]
    rivals: list[Rival]
    card: str


def train_on_returns(
    found: Reactions,
    recipe: Recipe,
    folder: Path,
    *,
    name: str,
    command: str,
    licence: str = "",
    exact: bool = False,
    most: int | None = None,
    split: SplitRule = SPLIT,
    gates: Gates = Gates(),  # noqa: B008 - frozen
    accepted: str | None = None,
    rivals: Sequence[SentimentModel] = (),
    directory: Directory = NOTHING_LISTED,
    progress: Progress = lambda step, share: None,
    judged: Callable[[str], None] = lambda card: None,
) -> Learnt:
    """Fine-tune a model in each fold, judge all of them together, write the newest with its card.

    Parameters
    ----------
    most : rows to learn from in a fold, drawn by the recipe's seed; None: all.
    gates, accepted : as `retrain` takes them; a model with a WARN is written and may not serve.
    rivals : models whose scores are compared as predictors of the same returns, beside what the
        namespace's own model said.
    directory : of the companies that articles name, as rivals read them.
    judged : told the card of a model that was judged, also of one that is refused.

    Raises
    ------
    TrainingRefused
        As `train`; or a block has no rows, or the gates say FAIL: nothing is written then.
    """
    refuse_misfits(recipe, name, folder)
    if len(found) < gates.min_rows:
        left = ", ".join(f"{n:,} {reason}" for reason, n in found.rows.counts.items())
        raise TrainingRefused(
            f"expected at least {gates.min_rows:,} articles with a label, got {len(found):,} "
            f"(left out: {left or 'none'}); load more history"
        )
    blocks = purged_blocks(found, split)
    texts = [
        sectioned(article, symbol)
        for article, symbol in zip(found.articles, found.rows.symbol.tolist(), strict=True)
    ]
    weights = uniqueness(found.rows)
    draw = np.random.default_rng(recipe.seed)
    made_from = {"stored articles and prices": fingerprint(found.rows)}
    parts = []
    with tempfile.TemporaryDirectory() as work, complete_folder(folder) as made:
        for i, fold in enumerate(blocks.folds):
            check_fold(found, fold)
            newest = i == len(blocks.folds) - 1
            place = made if newest else Path(work) / f"model-{i}"
            place.mkdir(exist_ok=True)
            learn = _some(fold.fit, most, draw)
            choose = _some(fold.tune, None if most is None else -(-most // _TUNE_SHARE), draw)
            _, manifest = make(
                _labelled(found, texts, weights, learn),
                _labelled(found, texts, weights, choose),
                recipe,
                place,
                Path(work) / f"work-{i}",
                name=name,
                command=command,
                licence=licence,
                made_from=made_from,
                exact=exact,
                template=SECTIONS,
                progress=lambda step, share, i=i: progress(  # type: ignore[misc]
                    f"fold {i + 1} of {len(blocks.folds)}: {step}",
                    (i + share) / len(blocks.folds),
                ),
            )
            parts.append(_judged(found, fold, i, said(OnnxModel(place), found, fold.judge)))
        every = Judged.joined(parts)
        verdict = judge(
            every, found.rows.rule, gates, n_rows=len(found), accepted=accepted, seed=recipe.seed
        )
        beside = compared(found, every, rivals, directory, recipe.seed)
        numbers = metrics(every, found.rows.rule)
        page = card(found, blocks, every, verdict, numbers, beside, manifest)
        judged(page)
        if verdict.says == "FAIL":
            raise TrainingRefused(verdict.reason)
        manifest = msgspec.structs.replace(
            manifest,
            metrics={**numbers, "verdict": verdict.says},
            reference=called([Probabilities(*p) for p in parts[-1].p.tolist()]),
            doubt="" if verdict.says == "PASS" else verdict.reason,
        )
        write_manifest(made, manifest)
        (made / CARD).write_text(page, "utf-8")
    return Learnt(verdict, every, numbers, beside, page)


def _some(rows: Rows, most: int | None, draw: np.random.Generator) -> Rows:
    if most is None or len(rows) <= most:
        return rows
    return np.sort(draw.choice(rows, most, replace=False))


def _labelled(
    found: Reactions, texts: Sequence[str], weights: Floats, rows: Rows
) -> list[Labelled]:
    """Rows to learn from; together they weigh what they count."""
    y, mean = found.y, float(weights[rows].mean())
    return [
        Labelled(
            texts[i],
            Probabilities(*np.eye(3)[y[i]].tolist()),
            float(weights[i]) / mean,
            SOURCE,
        )
        for i in rows.tolist()
    ]


def _judged(found: Reactions, fold: Fold, number: int, p: Floats) -> Judged:
    """Expected returns are those of the classes in what was learnt from, by their odds."""
    rows, known, block = found.rows, np.concatenate([fold.fit, fold.tune]), fold.judge
    y, target = found.y, found.rows.relative_target
    shares = np.bincount(y[known], minlength=3) / len(known)
    means = np.array([target[known][y[known] == k].mean() for k in range(3)])
    nothing = np.full((len(block), 3), np.nan)
    return Judged(
        row=block,
        fold=np.full(len(block), number),
        symbol=rows.symbol[block],
        as_of_us=rows.as_of_us[block],
        entry_us=rows.entry_us[block],
        y=y[block],
        p=p,
        baseline=np.tile(shares, (len(block), 1)),
        price_only=nothing,
        champion=nothing,
        expected=1e4 * rows.unit[block] * (p @ means),
        foreseen=1e4 * found.relative_return[block],
        forward_return=found.relative_return[block],
        cost=rows.cost[block],
    )
