"""The score cache reaches a Redis by TLS and password; what refuses it is skipped, unquoted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from models.sentiment.lexicon import Lexicon
from stream.sentiment.cache import CachedModel, ScoreCache
from stream.sentiment.stored_scores import StoredScores, connect
from tests.integration.wire.secured import REDIS_PASSWORD
from tests.integration.wire.secured import Authorities as Known

TEXT = "profit surges"


@contextlib.contextmanager
def cached(url: str, wait_s: float) -> Iterator[CachedModel]:
    cache = ScoreCache(StoredScores(connect(url, 5.0), "secured", 60), wait_s=wait_s)
    try:
        yield cache.wrap(Lexicon())
    finally:
        cache.close()


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("tapewire_score_cache_total", {"result": result}) or 0.0


def test_scores_are_kept_and_found_over_tls(tls_redis: str) -> None:
    with cached(tls_redis, 20.0) as model:
        first = model.probabilities([TEXT])
        hits = counted("hit")
        assert model.probabilities([TEXT]) == first == Lexicon().probabilities([TEXT])
        assert counted("hit") == hits + 1


@pytest.mark.parametrize("way", ["password", "authority", "in the clear"])
def test_a_redis_that_refuses_us_is_skipped_without_telling_the_password(
    tls_redis: str, known: Known, way: str
) -> None:
    url = {
        "password": tls_redis.replace(REDIS_PASSWORD, "wrong-4711"),
        "authority": tls_redis.replace(str(known.ca.certificate), str(known.stranger.certificate)),
        "in the clear": tls_redis.replace("rediss:", "redis:").partition("?")[0],
    }[way]
    skipped = counted("skipped")
    with capture_logs() as logs, cached(url, 20.0) as model:
        assert model.probabilities([TEXT]) == Lexicon().probabilities([TEXT])
    assert counted("skipped") == skipped + 1
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert REDIS_PASSWORD not in str(logs)
    assert "4711" not in str(logs)
