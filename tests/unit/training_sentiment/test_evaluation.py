"""Figures against their definitions, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models.sentiment.model import Probabilities
from training.sentiment.calibrate import fitted_temperature, shares
from training.sentiment.evaluate import (
    evaluate,
    expected_calibration_error,
    macro_f1,
    reliability,
)
from training.sentiment.labelled import Labelled
from training.sentiment.report import html_report


def hot(label: int, sure: float = 1.0) -> Probabilities:
    rest = (1.0 - sure) / 2.0
    return Probabilities(*(sure if i == label else rest for i in range(3)))


def rows(labels: list[int], **more: object) -> list[Labelled]:
    return [Labelled(f"text {i}", hot(label), 1.0, "a", **more) for i, label in enumerate(labels)]  # type: ignore[arg-type]


def test_counts_by_class_source_and_length() -> None:
    wanted = [0, 0, 0, 1, 1, 2]
    texts = [each._replace(source="b" if i > 3 else "a") for i, each in enumerate(rows(wanted))]
    found = evaluate(texts, [hot(label) for label in (0, 0, 2, 1, 2, 2)])
    assert found.accuracy.value == pytest.approx(4 / 6)
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert found.confusion == [[2, 0, 1], [0, 1, 1], [0, 0, 1]]
    assert found.classes["negative"][:2] == (1.0, pytest.approx(2 / 3))
    assert found.classes["positive"][:2] == (pytest.approx(1 / 3), 1.0)
    assert [(each.name, each.n, each.accuracy) for each in found.by_source] == [
        ("a", 4, 0.75),
        ("b", 2, 0.5),
    ]
    assert [each.name for each in found.by_length] == ["00-04 words"]
    assert [(each.wanted, each.said) for each in found.mistakes] == [
        ("negative", "positive"),
        ("neutral", "positive"),
    ]


@settings(deadline=None)  # a busy machine is no mistake
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_macro_f1_is_that_of_the_library(pairs: list[tuple[int, int]]) -> None:
    wanted, said = (np.array(each) for each in zip(*pairs, strict=True))
    expected = f1_score(wanted, said, average="macro", labels=[0, 1, 2], zero_division=0)
    assert macro_f1(wanted, said) == pytest.approx(expected)


def test_calibration_error_of_a_model_that_is_always_too_sure() -> None:
    right = np.array([True, False] * 50)
    bins = reliability(np.full(100, 0.9), right)
    assert [each.n for each in bins] == [100]
    assert expected_calibration_error(bins) == pytest.approx(0.4)
    assert expected_calibration_error(reliability(np.full(100, 0.5), right)) == pytest.approx(0.0)


def test_temperature_finds_back_how_sure_one_may_be() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 1.5
    drawn = [int(rng.choice(3, p=row)) for row in shares(logits)]
    assert fitted_temperature(logits * 2.0, drawn) == pytest.approx(2.0, rel=0.05)
    assert fitted_temperature(logits, drawn) == pytest.approx(1.0, rel=0.05)


def test_grades() -> None:
    grades = [-0.8, -0.05, 0.3, 0.9]
    texts = [Labelled(f"t{i}", hot(1), 1.0, "a", score=score) for i, score in enumerate(grades)]
    said = [Probabilities(0.9, 0.1, 0.0), hot(2), hot(0, 0.5), hot(2)]
    graded = evaluate(texts, said).graded
    assert graded is not None
    assert graded.sign_accuracy == pytest.approx(2 / 3)  # the second says too little
    own = [each.positive - each.negative for each in said]
    assert graded.pearson_r == pytest.approx(float(np.corrcoef(grades, own)[0, 1]))


def test_a_report_shows_what_strangers_wrote_as_text() -> None:
    text = "<script>alert(1)</script>"
    row = Labelled(text, hot(0), 1.0, "a")
    page = html_report("m-1", {"set <b>": evaluate([row, row], [hot(2), hot(0)])})
    assert "&lt;script&gt;alert(1)" in page
    assert text not in page
    assert "set &lt;b&gt;" in page
