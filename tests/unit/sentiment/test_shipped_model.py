"""The model that is shipped and chosen by default: its files, what made them, what it can do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.sentiment import onnx
from models.sentiment.manifest import Manifest, read_manifest
from models.sentiment.model import load_sentiment_model
from stream.settings import Settings

FOLDER = Path(onnx.__file__).parent / "minilm"
TWEETS = Path(__file__).parents[4] / "shared" / "data" / "twitter_fin_news" / "train.csv.gz"


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(FOLDER)


def test_it_is_the_default() -> None:
    assert load_sentiment_model(Settings().sentiment_model).name == "minilm"


def test_it_says_what_it_is_and_what_made_it(manifest: Manifest) -> None:
    assert manifest.licence == "Apache-2.0"
    assert manifest.command.startswith("tapewire sentiment train --data ")
    assert manifest.seed is not None
    assert {"model.safetensors", "train.csv.gz"} <= set(manifest.made_from)
    card = (FOLDER / "README.md").read_text()
    assert manifest.command in card
    assert all(digest in card for digest in manifest.made_from.values())
    assert (FOLDER / "LICENSE").read_text().count("Apache License")


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Shares of Halden tumble after it cuts its outlook and warns of job losses", "negative"),
        ("Regulator fines Norvik $40 million over misleading accounts", "negative"),
        ("Pinefield to hold its annual meeting on 3 May in Leeds", "neutral"),
        ("Brightwater beats estimates, raises guidance and its dividend", "positive"),
        ("$AVLO upgraded to buy, price target lifted to $80", "positive"),
    ],
)
def test_plain_news(text: str, called: str) -> None:
    (said,) = load_sentiment_model("minilm").probabilities([text])
    assert max(said._fields, key=said._asdict().__getitem__) == called


def test_it_does_what_its_manifest_says_on_texts_it_did_not_learn_from(manifest: Manifest) -> None:
    if not TWEETS.exists() and "CI" not in os.environ:
        pytest.skip("no labelled tweets beside the checkout (../shared/data)")
    from training.sentiment.evaluate import evaluate
    from training.sentiment.labelled import read_labelled
    from training.sentiment.train import held_out

    rows = held_out(read_labelled(str(TWEETS)))
    found = evaluate(rows, load_sentiment_model("minilm").probabilities([r.text for r in rows]))
    assert found.n == manifest.metrics["texts"]
    assert found.macro_f1.value == pytest.approx(manifest.metrics["macro_f1"], abs=0.003)
    assert found.ece == pytest.approx(manifest.metrics["ece"], abs=0.005)
