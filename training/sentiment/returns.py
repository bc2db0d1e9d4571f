"""A text model of returns: fine-tuned on what prices did after stored articles, and judged.

    fold 1   fit ............ | tune ... | judge |
    fold 2   fit ................... | tune ... | judge |

`tune` chooses the epoch and calibrates. Blocks are split by time and purged as everywhere, and a
row of `tune` or `judge` whose story was first told before its block began is in none: re-prints of
what was learnt are no evidence. The newest fold's model is what is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from models.sentiment.model import SECTIONS, Probabilities, SentimentModel, label
from models.sentiment.onnx import OnnxModel
from stream.events import NewsArticle
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.judge import Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.reading import read
from stream.sentiment.sections import sectioned
from training.errors import TrainingRefused
from training.fingerprint import fingerprint
from training.gates import Gates, Verdict
from training.judge import judge
from training.judged import Judged, metrics
from training.labels import Floats, Ints
from training.sentiment.files import complete_folder
from training.sentiment.labelled import Labelled
from training.sentiment.make import Progress, called, make, refuse_misfits, write_manifest
from training.sentiment.reactions import Reactions
from training.sentiment.recipe import Recipe
from training.sentiment.returns_card import CARD, Rival, card
from training.skill import LEAST_A_SESSION, bounds, horizon_sessions, session_ics, sessions
from training.splits import Fold, Rows, SplitRule, refuse_leaky, walk_forward
from training.weights import uniqueness

SPLIT = SplitRule(n_folds=2, tune=0.14, choose=0.0, judge=0.15)
_TUNE_SHARE = 4  # of the most rows to learn from, one in so many chooses
SOURCE = "returns"


class Blocks(NamedTuple):
    """Folds, and how many rows of the newest the purge and told stories took."""

    folds: list[Fold]
    purged: int
    told_before: int


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
) -> Learnt:
    """Fine-tune a model in each fold, judge all of them together, write the newest with its card.

    Parameters
    ----------
    most : rows to learn from in a fold, drawn by the recipe's seed; None: all.
    gates, accepted : as `retrain` takes them; a model with a WARN is written and may not serve.
    rivals : models whose scores are compared as predictors of the same returns, beside what the
        namespace's own model said.
    directory : of the companies that articles name, as rivals read them.

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
            _check(found, fold)
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
        judged = Judged.joined(parts)
        verdict = judge(
            judged, found.rows.rule, gates, n_rows=len(found), accepted=accepted, seed=recipe.seed
        )
        if verdict.says == "FAIL":
            raise TrainingRefused(verdict.reason)
        beside = _rivals(found, judged, rivals, directory, recipe.seed)
        numbers = metrics(judged, found.rows.rule)
        manifest = msgspec.structs.replace(
            manifest,
            metrics={**numbers, "verdict": verdict.says},
            reference=called([Probabilities(*p) for p in parts[-1].p.tolist()]),
            doubt="" if verdict.says == "PASS" else verdict.reason,
        )
        write_manifest(made, manifest)
        page = card(found, blocks.folds, blocks.purged, blocks.told_before, judged, verdict,
                    numbers, beside, manifest)  # fmt: skip
        (made / CARD).write_text(page, "utf-8")
    return Learnt(verdict, judged, numbers, beside, page)


def purged_blocks(found: Reactions, split: SplitRule) -> Blocks:
    """Walk-forward folds without labels or stories that reach from one block into the next."""
    rows = found.rows
    folds, purged = walk_forward(
        rows.as_of_us, rows.exit_us, split, embargo_us=rows.rule.horizon_us
    )
    clean = [
        fold._replace(tune=_new(fold.tune, found.story), judge=_new(fold.judge, found.story))
        for fold in folds
    ]
    before, after = (sum(map(len, each[-1])) for each in (folds, clean))
    return Blocks(clean, purged, before - after)


def said(
    model: SentimentModel, found: Reactions, rows: Rows, directory: Directory = NOTHING_LISTED
) -> Floats:
    """(n, 3) what the role would say of the rows' articles and symbols by this model."""
    opinions = Opinions(Judge(model), directory=directory)
    scores = []
    for i in rows.tolist():
        article: NewsArticle = found.articles[i]
        reading = read(article, directory)
        scores.append(opinions.of(article, reading, str(found.rows.symbol[i])).score)
    return np.array(scores, dtype=np.float64).reshape(len(rows), 3)


def _new(rows: Rows, story: Ints) -> Rows:
    """Those of a block whose story began in it."""
    return rows[story[rows] >= rows[0]] if len(rows) else rows


def _check(found: Reactions, fold: Fold) -> None:
    for name, block in (("fit", fold.fit), ("tune", fold.tune), ("judge", fold.judge)):
        counts = np.bincount(found.y[block], minlength=3)
        if counts.min() == 0:
            raise TrainingRefused(
                f"block {name!r}: expected bearish, neutral and bullish articles, got "
                f"{counts[0]}, {counts[1]} and {counts[2]} of them; load more history"
            )
    known = np.concatenate([fold.fit, fold.tune])
    refuse_leaky(known, fold.judge, found.rows.as_of_us, found.rows.exit_us)


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
        forward_return=found.relative_return[block],
        cost=rows.cost[block],
    )


def _rivals(
    found: Reactions,
    judged: Judged,
    models: Sequence[SentimentModel],
    directory: Directory,
    seed: int,
) -> list[Rival]:
    """Daily IC of each rival's score on the judged rows, and what the model's is above it."""
    scores = {found.rows.sentiment_model or "none": found.own[judged.row]}
    for model in models:
        if label(model) not in scores:
            p = said(model, found, judged.row, directory)
            scores[label(model)] = p[:, 2] - p[:, 0]
    horizon = horizon_sessions(found.rows.rule)
    own = _daily_ics(judged.score, judged)
    return [
        Rival(name, bounds(ics, horizon, seed), bounds(own - ics, horizon, seed))
        for name, ics in ((name, _daily_ics(score, judged)) for name, score in scores.items())
    ]


def _daily_ics(score: Floats, judged: Judged) -> Floats:
    """By session; 0 where all scores are alike, so that two models have the same sessions."""
    found = []
    for rows in sessions(judged.entry_us):
        if len(rows) >= LEAST_A_SESSION:
            ics = session_ics(score[rows], judged.forward_return[rows], judged.entry_us[rows])
            found.append(float(ics[0]) if len(ics) else 0.0)
    return np.array(found)
