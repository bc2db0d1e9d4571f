"""Which model scores which article: settings, shares, models that fail or are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from models.sentiment.model import NEUTRAL, label
from models.sentiment.onnx import OnnxModel
from stream.errors import Refused
from stream.sentiment.agent import warn_of_shares
from stream.sentiment.choice import choose
from stream.sentiment.judge import Judge
from stream.settings import read_settings
from tests.unit.sentiment import tiny
from tests.unit.sentiment.articles import LEXICON, Brittle, article, live, scores

IDS = [f"wire-{i}" for i in range(20_000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.onnx_folder(tmp_path / "tiny")


@pytest.fixture
def tiny_onnx(folder: Path) -> OnnxModel:
    return OnnxModel(folder)


def metric(name: str, model: str) -> float:
    return REGISTRY.get_sample_value(f"tapewire_sentiment_{name}", {"model": model}) or 0.0


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sentiment_model": "bert"}, "TAPEWIRE_SENTIMENT_MODEL: expected lexicon, minilm, onnx:F"),
        ({"sentiment_model": "onnx:"}, "got 'onnx:'"),
        ({"sentiment_model": ""}, "got ''"),
        ({"sentiment_model": "ensemble"}, "TAPEWIRE_SENTIMENT_WEIGHTS: expected weights beside a"),
        ({"sentiment_weights": {"lexicon": 1.0}}, "got {'lexicon': 1.0} beside minilm"),
        (
            {"sentiment_model": "ensemble", "sentiment_weights": {"lexicon": 0.5, "minilm": 0.6}},
            "TAPEWIRE_SENTIMENT_WEIGHTS: expected two or more that sum to 1, got ",
        ),
        (
            {"sentiment_model": "ensemble", "sentiment_weights": {"lexicon": 1.0}},
            "TAPEWIRE_SENTIMENT_WEIGHTS: expected two or more that sum to 1, got ",
        ),
        (
            {"sentiment_model": "ensemble", "sentiment_weights": {"ensemble": 0.5, "minilm": 0.5}},
            "TAPEWIRE_SENTIMENT_WEIGHTS: expected single models, got ensemble",
        ),
        (
            {"sentiment_model": "ensemble", "sentiment_weights": {"lexicon": -1.0, "minilm": 2.0}},
            "TAPEWIRE_SENTIMENT_WEIGHTS[lexicon]: Input should be greater than 0",
        ),
        ({"sentiment_shares": {"minilm": 0.1}}, "TAPEWIRE_SENTIMENT_SHARES: expected shares of"),
        (
            {"sentiment_shares": {"lexicon": 0.6, "torch": 0.6}},
            "TAPEWIRE_SENTIMENT_SHARES: expected shares of at most 1 together",
        ),
        (
            {"sentiment_shares": {"lexicon": 1.1}},
            "TAPEWIRE_SENTIMENT_SHARES[lexicon]: Input should be le",
        ),
        (
            {"sentiment_shares": {"bert": 0.1}},
            "TAPEWIRE_SENTIMENT_SHARES[bert]: expected lexicon, ",
        ),
        ({"sentiment_cache": "/none"}, "TAPEWIRE_SENTIMENT_CACHE=/none: expected a folder, found"),
        ({"sentiment_device": "tpu"}, "TAPEWIRE_SENTIMENT_DEVICE: Input should be 'auto', 'cpu'"),
        ({"sentiment_missing": "ignore"}, "TAPEWIRE_SENTIMENT_MISSING: Input should be 'degrade'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_setting_s_name(
    given: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_settings(**given)
    assert says in str(refused.value)
    assert "TAPEWIRE_SENTIMENT_" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_and_shares_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEWIRE_SENTIMENT_MODEL", "ensemble")
    monkeypatch.setenv("TAPEWIRE_SENTIMENT_WEIGHTS", '{"minilm": 0.7, "lexicon": 0.3}')
    monkeypatch.setenv("TAPEWIRE_SENTIMENT_SHARES", '{"torch:me/mine": 0.05}')
    settings = read_settings()
    assert settings.sentiment_weights == {"minilm": 0.7, "lexicon": 0.3}
    assert settings.sentiment_shares == {"torch:me/mine": 0.05}


def test_the_model_that_is_set_scores_and_its_name_is_on_the_score(
    folder: Path, tiny_onnx: OnnxModel
) -> None:
    judge = choose(read_settings(sentiment_model=f"onnx:{folder}"))
    (scored,) = scores(live(judge=judge), article(headline="A good rise"))
    assert scored.model == label(tiny_onnx)
    (expected,) = tiny_onnx.probabilities(["A good rise"])
    assert (scored.negative, scored.neutral, scored.positive) == expected


# -- a model that is missing ---------------------------------------------------------------------


def test_a_missing_model_degrades_with_one_warning_and_a_metric(tmp_path: Path) -> None:
    name = f"onnx:{tmp_path}/none"
    with capture_logs() as logs:
        step = live(judge=choose(read_settings(sentiment_model=name)))
        found = scores(step, article("a"), article("b", headline="Other"))
    assert {one.model for one in found} == {"lexicon-1"}
    assert [(log["log_level"], log["model"], log["instead"]) for log in logs] == [
        ("warning", name, "lexicon")
    ]
    assert "manifest.json: expected a file of a sentiment model" in logs[0]["why"]
    assert metric("model_missing", name) == 1.0


def test_a_missing_model_stops_the_role_where_the_setting_says_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"TAPEWIRE_SENTIMENT_MODEL=onnx:.*/none: .*MISSING=degrade"):
        choose(read_settings(sentiment_model=f"onnx:{tmp_path}/none", sentiment_missing="stop"))
    with pytest.raises(Refused, match=r"TAPEWIRE_SENTIMENT_SHARES=onnx:.*/none: "):
        choose(
            read_settings(sentiment_shares={f"onnx:{tmp_path}/none": 0.1}, sentiment_missing="stop")
        )


def test_an_ensemble_without_a_member_is_missing(folder: Path, tmp_path: Path) -> None:
    weights = {f"onnx:{folder}": 0.7, f"onnx:{tmp_path}/none": 0.3}
    judge = choose(read_settings(sentiment_model="ensemble", sentiment_weights=weights))
    assert judge.name == "lexicon-1"


def test_a_missing_rival_leaves_its_articles_to_the_model(folder: Path, tmp_path: Path) -> None:
    judge = choose(
        read_settings(
            sentiment_model=f"onnx:{folder}", sentiment_shares={f"onnx:{tmp_path}/none": 1.0}
        )
    )
    assert {judge.model_of(ident) for ident in IDS[:99]} == {judge.name}
    assert judge.name.startswith("tiny-")


def test_a_model_that_is_back_is_no_longer_counted_missing(tmp_path: Path) -> None:
    settings = read_settings(sentiment_model=f"onnx:{tmp_path}/later")
    choose(settings)
    assert metric("model_missing", settings.sentiment_model) == 1.0
    tiny.onnx_folder(tmp_path / "later")
    choose(settings)
    assert metric("model_missing", settings.sentiment_model) == 0.0


# -- shares of traffic ---------------------------------------------------------------------------


def test_articles_are_shared_out_by_their_ids_and_always_alike(tiny_onnx: OnnxModel) -> None:
    judge = Judge(LEXICON, rivals=[(tiny_onnx, 0.2), (Brittle(), 0.1)])
    drawn = [judge.model_of(ident) for ident in IDS]
    for name, share in ((label(tiny_onnx), 0.2), ("brittle-7", 0.1), ("lexicon-1", 0.7)):
        assert drawn.count(name) / len(IDS) == pytest.approx(share, abs=0.02)
    again = Judge(LEXICON, rivals=[(tiny_onnx, 0.2), (Brittle(), 0.1)])
    assert [again.model_of(ident) for ident in reversed(IDS)] == drawn[::-1]


def test_a_larger_share_takes_more_and_gives_none_back(tiny_onnx: OnnxModel) -> None:
    few, many = (Judge(LEXICON, rivals=[(tiny_onnx, share)]) for share in (0.1, 0.3))
    taken = {ident for ident in IDS if few.model_of(ident) != few.name}
    assert taken < {ident for ident in IDS if many.model_of(ident) != many.name}


def test_each_article_is_scored_by_its_own_model_in_every_revision_and_chunk(
    tiny_onnx: OnnxModel,
) -> None:
    judge = Judge(LEXICON, rivals=[(tiny_onnx, 0.5)])
    events = [article(ident, headline="Apple beats the good estimates") for ident in IDS[:20]]
    events += [article(IDS[0], revision=2, status="corrected", headline="Apple misses")]
    events += [article(IDS[1], revision=2, status="retracted")]
    together = scores(live(judge=judge), *events)
    assert [one.model for one in together] == [judge.model_of(e.id) for e in events]
    assert len({one.model for one in together}) == 2
    step = live(judge=judge)
    assert [s for i, e in enumerate(events) for s in scores(step, e, first=i)] == [
        *together[:20],
        *together[20:],
    ]


# -- a model that fails --------------------------------------------------------------------------


def test_a_text_with_nan_logits_fails_alone_and_goes_to_the_lexicon(tiny_onnx: OnnxModel) -> None:
    texts = ["good", "a poison beats the estimates", "bad", "shares fall"]
    before = metric("failures_total", label(tiny_onnx))
    with capture_logs() as logs:
        found = Judge(tiny_onnx, fallback=LEXICON).judge(label(tiny_onnx), texts)
    assert [one.model for one in found] == [
        "lexicon-1" if "poison" in text else label(tiny_onnx) for text in texts
    ]
    assert [one.score for one in found] == [
        (LEXICON if "poison" in text else tiny_onnx).probabilities([text])[0] for text in texts
    ]
    assert [(log["model"], log["texts"]) for log in logs] == [(label(tiny_onnx), 1)]
    assert metric("failures_total", label(tiny_onnx)) == before + 1


def test_what_no_model_can_score_is_neutral_and_no_model_s() -> None:
    found = Judge(Brittle(), fallback=Brittle()).judge("brittle-7", ["good", "poison"])
    assert [one.model for one in found] == ["brittle-7", "none"]
    assert found[1].score == NEUTRAL


def test_a_model_that_fails_on_all_is_said_once_a_chunk() -> None:
    class Dead(Brittle):
        def probabilities(self, texts: Any) -> list[Any]:
            self.batches.append(list(texts))
            raise RuntimeError("no device")

    with capture_logs() as logs:
        found = Judge(Dead(), fallback=LEXICON).judge("brittle-7", [f"text {i}" for i in range(40)])
    assert {one.model for one in found} == {"lexicon-1"}
    assert [log["texts"] for log in logs] == [40]


def test_one_bad_text_costs_few_more_batches() -> None:
    model = Brittle()
    Judge(model, fallback=LEXICON).judge("brittle-7", [*map(str, range(500)), "poison"])
    assert len(model.batches) <= 2 * 9 + 1


@pytest.mark.parametrize(("share", "n_warnings"), [(0.2, 0), (0.25, 1)])
def test_shares_that_silence_a_trained_model_are_warned_of(share: float, n_warnings: int) -> None:
    with capture_logs() as logs:
        warn_of_shares(read_settings(sentiment_shares={"lexicon": share}))
    assert [log["log_level"] for log in logs] == ["warning"] * n_warnings
    assert all("TAPEWIRE_SENTIMENT_SHARES" in log["event"] for log in logs)
