"""The page of a training run: the gates first, every name as text, nothing from the network."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.test_train_model import make_table
from training.report import html_report
from training.train import train_model

STRANGER = "<script>alert(1)</script>"
COMMAND = "TAPEWIRE_NAMESPACE=a tapewire retrain --seed 3"


@pytest.fixture(scope="module")
def page() -> str:
    symbols = np.array(["AAA", STRANGER])
    rows = make_table(symbol=symbols[np.arange(4_000) % 2], counts={"unmatured": 1_234})
    return html_report(train_model(rows, seed=3, num_threads=1), rows, COMMAND)


def test_the_gates_come_first_and_the_command_last(page: str) -> None:
    body = page[page.index("<h1>") :]
    told = [body.index(part) for part in ("<b>PASS</b>", "calibration error", "Made from", COMMAND)]
    assert told == sorted(told)
    assert "<td>unmatured</td><td>1,234</td>" in body


def test_what_strangers_wrote_is_text(page: str) -> None:
    assert STRANGER not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_no_network(page: str) -> None:
    assert not re.search(r"<script[^>]+src=|<link|<img|@import", page[: page.index("<script>")])
    body = page[page.index("<h1>") :]
    assert not re.search(r"<script[^>]+src=|<link|<img", body)
    assert body.count("Plotly.newPlot") == 6


def test_a_refused_model_has_a_page_that_says_so() -> None:
    rows = make_table(effect=0.0)
    refused = html_report(train_model(rows, seed=0, num_threads=1), rows, COMMAND)
    assert "<b>FAIL</b>. It was refused" in refused


def test_a_model_without_an_opinion_finds_as_much_as_chance() -> None:
    rows = make_table()
    trained = train_model(rows, seed=0, num_threads=1)
    judged = trained.judged
    same = np.full_like(judged.p, 1 / 3)
    order = np.argsort(judged.y, kind="stable")
    dull = replace(judged, p=same, y=judged.y[order], forward_return=judged.forward_return[order])
    page = html_report(trained._replace(judged=dull), rows, COMMAND)
    assert "bearish, area 0.500" in page
    assert "bullish, area 0.500" in page
    assert "<td>none</td></tr></table>" in page  # no rank IC by symbol
