"""A judged model as one HTML page: the gates first, then what they were judged on."""

from __future__ import annotations

import numpy as np

from models.artifact import Artifact
from models.scorer import ArtifactScorer
from stream.events import moment
from training import acted, page, patterns
from training.ablation import Ablation
from training.evidence import Evidence
from training.figures import (
    drawn_confusion,
    drawn_deciles,
    drawn_equity,
    drawn_ic,
    drawn_precision,
    drawn_reliability,
    drawn_roc,
)
from training.gates import Verdict
from training.influence import Influence, drawn_dependence, drawn_influence, influence
from training.interactions import interactions, log_odds
from training.labels import Floats
from training.page import heading, paragraph, table
from training.paths import Path
from training.rows import TrainingTable
from training.skill import horizon_sessions
from training.targets import without_market

_MISSING = 10  # features shown
_PAIRED, _PAIRS = 8, 8  # the strongest features, and how many pairs of them are shown
_TARGETS = {
    "raw": "the return, learnt in basis points",
    "scaled": "the return, learnt in units of volatility",
    "relative": "the return less the market's, learnt in units of volatility",
}
_SAYS = {
    "PASS": "It may serve.",
    "WARN": "It may serve beside the champion: there are doubts.",
    "FAIL": "It is refused.",
}


def html_report(evidence: Evidence, command: str) -> str:
    """The page of one judged model.

    Parameters
    ----------
    command : that gives the same page from the same history.
    """
    artifact, judged, rows = evidence.artifact, evidence.judged, evidence.rows
    parts = [
        *_verdict(evidence.verdict),
        heading("Made from"),
        table(("", ""), _made_from(evidence)),
        heading("On the judge blocks"),
        drawn_confusion(judged),
        drawn_roc(judged),
        drawn_precision(judged),
        drawn_reliability(judged),
        drawn_ic(judged),
        drawn_deciles(judged),
        drawn_equity(judged, horizon_sessions(rows.rule)),
        table(("metric, printed and not judged", ""), _metrics(evidence)),
        heading("After costs"),
        *_after_costs(evidence),
        heading("Does sentiment help?"),
        *_ablation(evidence.ablation),
        *_paths(evidence.paths),
        heading("What the features do"),
        *_features(artifact, rows, evidence),
        heading("Where it errs"),
        *_patterns(evidence),
        heading("Data"),
        table(("why rows were left out", "rows"), _counted(rows)),
        table(("most often missing", "share of rows"), _missing(rows)),
        heading("Tried"),
        table(("models", ""), ((what, f"{n:,}") for what, n in evidence.trials.items())),
        heading("The same again"),
        page.command(command),
    ]
    return page.page(f"Model {artifact.version}", parts)


def _verdict(verdict: Verdict) -> list[str]:
    parts = [f"<p><b>{verdict.says}</b>. {_SAYS[verdict.says]}</p>"]
    if verdict.accepted is not None:
        parts.append(paragraph(f"What looks too good was accepted: {verdict.accepted}"))
    lines = (
        (each.name, each.says, _number(each.value), each.expected, each.note)
        for each in verdict.checks
    )
    return [*parts, table(("gate", "says", "got", "expected", ""), lines, marked=1)]


def _made_from(evidence: Evidence) -> list[tuple[str, str]]:
    artifact, judged = evidence.artifact, evidence.judged
    span = _span(artifact.trained_from_us, artifact.trained_until_us)
    return [
        ("feature set", f"{artifact.feature_set}, version {artifact.feature_set_version}"),
        ("sentiment model", artifact.sentiment_model or "none: no scores in the history"),
        ("horizon", artifact.horizon),
        ("expected return", _target(evidence)),
        ("the newest fold learnt from", f"{artifact.n_rows:,} rows, {span} UTC"),
        ("labelled rows", f"{len(evidence.rows):,}"),
        (
            "judged rows",
            f"{len(judged.y):,}, {_span(judged.as_of_us.min(), judged.as_of_us.max())} UTC",
        ),
        ("acts from a confidence of", f"{artifact.threshold:.3f}"),
        ("trust in its scores", f"{artifact.calibration.scale:.3f} of 1"),
        ("seed", str(artifact.seed)),
        ("code", artifact.code_revision),
        ("wheels", ", ".join(f"{name} {version}" for name, version in artifact.wheels.items())),
    ]


def _metrics(evidence: Evidence) -> list[tuple[str, str]]:
    found = {**evidence.metrics, **evidence.cost}
    return [(name.replace("_", " "), _number(value)) for name, value in found.items()]


def _after_costs(evidence: Evidence) -> list[str]:
    judged, threshold = evidence.judged, evidence.artifact.threshold
    newest = judged.take(judged.fold == judged.fold.max())
    return [
        table(acted.HEAD, acted.kept(newest, evidence.rows, threshold)),
        paragraph(
            f"Mean return of the rows acted on, of {len(newest.y):,} in the newest judge block: "
            f"only that is newer than what chose the confidence of {threshold:.3f} to act from. "
            "Shorts pay 50 bp a year. Rows overlap and know no limits: tapewire backtest trades."
        ),
    ]


def _ablation(found: Ablation | None) -> list[str]:
    if found is None:
        why = "Not asked here: there was no news, or a stored model was judged, which has no rival."
        return [paragraph(why)]
    head = ("from", "log-loss gained on climatology (90 %)", "daily IC (90 %)")
    lines = ((each.name, str(each.gained), str(each.daily_ic)) for each in found.lines)
    return [
        f"<p><b>{found.sentence}</b></p>",
        table(head, lines),
        paragraph("Each was fitted anew on the same folds; shuffled: whole days within a symbol."),
    ]


def _paths(found: tuple[Path, ...]) -> list[str]:
    if not found:
        return []
    head = ("path", "log-loss gained on climatology", "daily IC", "Sharpe ratio, after costs")
    lines = [
        (str(i + 1), f"{one.gained:.4f}", f"{one.daily_ic:.3f}", f"{one.sharpe:.2f}")
        for i, one in enumerate(sorted(found, key=lambda each: each.gained))
    ]
    lost = sum(one.gained <= 0.0 for one in found)
    return [
        heading("Other histories"),
        paragraph(
            f"{lost} of {len(found)} paths gain nothing on climatology: walks over all blocks of "
            "time, each fitted on what lies before and after the tested blocks, purged."
        ),
        table(head, lines),
    ]


def _features(artifact: Artifact, rows: TrainingTable, evidence: Evidence) -> list[str]:
    scorer = ArtifactScorer(artifact)
    newest = evidence.judged.fold == evidence.judged.fold.max()
    part = rows.take(evidence.judged.row[newest])
    x, sequences, seed = part.x, part.sequence, artifact.seed
    found = influence(scorer, artifact.feature_names, x, sequences, seed)
    return [
        drawn_influence(found),
        drawn_dependence(scorer, found, x, sequences, seed),
        *_interactions(artifact, found, x),
    ]


def _interactions(artifact: Artifact, found: Influence, x: Floats) -> list[str]:
    strongest = [i for i in found.order[:_PAIRED] if found.moves[i] > 0.0]
    pairs = interactions(log_odds(artifact), x, strongest, artifact.seed)
    if not pairs:
        return [paragraph(f"What the strongest {len(strongest)} features do adds up, in log-odds.")]
    names = artifact.feature_names
    lines = (
        (f"{names[one]}, {names[other]}", f"{apart:.4f}", f"{share:.1%}")
        for one, other, apart, share in pairs[:_PAIRS]
    )
    return [
        table(("strongest pairs", "does not add up", "of what both do (Friedman's H²)"), lines),
        paragraph(
            f"Of the strongest {len(strongest)} features; in log-odds of bullish against bearish, "
            "before the calibration, as tapewire explain counts. A large share of a small effect "
            "means little."
        ),
    ]


def _patterns(evidence: Evidence) -> list[str]:
    judged = evidence.judged
    news, by_news = patterns.by_news(judged, evidence.rows)
    found = {
        "symbol": patterns.by_symbol(judged),
        "sector": patterns.by_sector(judged, evidence.sectors),
        "hour, UTC": patterns.by_hour(judged),
        news: by_news,
    }
    _, *head = patterns.HEAD
    return [table((what, *head), lines) for what, lines in found.items() if lines]


def _counted(rows: TrainingTable) -> list[tuple[str, str]]:
    return [(why, f"{n:,}") for why, n in rows.counts.items()] or [("none", "0")]


def _missing(rows: TrainingTable) -> list[tuple[str, str]]:
    share = np.isnan(rows.x).mean(axis=0)
    most = np.argsort(-share, kind="stable")[:_MISSING]
    return [(rows.feature_names[i], f"{share[i]:.1%}") for i in most]


def _target(evidence: Evidence) -> str:
    target, rows = evidence.artifact.target, evidence.rows
    n = without_market(target, rows).get("n_without_market", 0.0)
    unknown = f"; the market's is not known in {n:,.0f} of {len(rows):,} rows"
    return _TARGETS[target] + (unknown if n else "")


def _span(first_us: int, last_us: int) -> str:
    return " to ".join(f"{moment(int(us)):%Y-%m-%d %H:%M}" for us in (first_us, last_us))


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
