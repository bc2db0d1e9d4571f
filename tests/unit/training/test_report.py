"""The page of a judged model: the gates first, every name as text, nothing from the network."""

import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.unit.training.test_train_model import make_table
from training.evidence import Evidence
from training.report import html_report
from training.splits import SplitRule
from training.train import train_model

STRANGER = "<script>alert(1)</script>"
COMMAND = "TAPEWIRE_NAMESPACE=a tapewire retrain --seed 3"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Of a planted effect, on three folds, with all variants."""
    symbols = np.array(["AAA", STRANGER])
    rows = make_table(symbol=symbols[np.arange(4_000) % 2], counts={"unmatured": 1_234})
    rows = replace(rows, feature_names=("sentiment", "news_count_1h", "constant", "never"))
    trained = train_model(
        rows,
        seed=3,
        news_names={"sentiment"},
        accepted="planted",
        ablate=True,
        num_threads=1,
        split=SplitRule(n_folds=2),
    )
    return Evidence(
        artifact=trained.artifact,
        verdict=trained.verdict,
        judged=trained.judged,
        rows=rows,
        ablation=trained.ablation,
        metrics=trained.artifact.metrics,
        trials={"models fitted in this run": trained.fits},
        sectors={"AAA": "Energy"},
        cost={"artifact, MB": 0.25},
    )


@pytest.fixture(scope="module")
def page(evidence: Evidence) -> str:
    return html_report(evidence, COMMAND)


def test_the_gates_come_first_and_the_command_last(page: str) -> None:
    body = page[page.index("<h1>") :]
    parts = ("accepted: planted", "too good: Sharpe", "Made from", "After costs",
             "<th>break-even a side</th>", "Does sentiment help?", "Friedman&#x27;s H²",
             "Where it errs", "Tried", COMMAND)  # fmt: skip
    told = [body.index(part) for part in parts]
    assert told == sorted(told)
    assert '<td class="PASS">PASS</td>' in body
    assert "<td>unmatured</td><td>1,234</td>" in body
    assert "<td>models fitted in this run</td><td>8</td>" in body


def test_the_ablation_and_the_error_patterns_are_shown(page: str) -> None:
    assert "Sentiment adds" in page
    assert "prices and shuffled sentiment" in page
    for head in ("symbol", "sector", "hour, UTC", "news_count_1h"):
        assert f"<th>{head}</th><th>rows</th>" in page
    assert "<td>Energy</td>" in page
    assert "artifact, MB" in page


def test_what_strangers_wrote_is_text(page: str) -> None:
    assert STRANGER not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_no_network(page: str) -> None:
    assert not re.search(r"<script[^>]+src=|<link|<img|@import", page[: page.index("<script>")])
    body = page[page.index("<h1>") :]
    assert not re.search(r"<script[^>]+src=|<link|<img", body)
    assert body.count("Plotly.newPlot") == 9


def test_a_refused_model_without_rivals_has_a_page_that_says_so(evidence: Evidence) -> None:
    verdict = msgspec.structs.replace(evidence.verdict, says="FAIL")
    page = html_report(replace(evidence, verdict=verdict, ablation=None), COMMAND)
    assert "<b>FAIL</b>. It is refused" in page
    assert "Not asked here" in page


def test_a_model_without_an_opinion_finds_as_much_as_chance(evidence: Evidence) -> None:
    judged = evidence.judged
    same = np.full_like(judged.p, 1 / 3)
    order = np.argsort(judged.y, kind="stable")
    dull = replace(judged, p=same, y=judged.y[order], forward_return=judged.forward_return[order])
    page = html_report(replace(evidence, judged=dull), COMMAND)
    assert "bearish, area 0.500" in page
    assert "bullish, area 0.500" in page
    assert "<td>none</td></tr></table>" in page  # no rank IC by symbol
