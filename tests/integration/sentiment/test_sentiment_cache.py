"""The cache on a real Valkey: what Redis does costs time, never a value."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from typer.testing import CliRunner

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel
from stream.cli.app import app
from stream.embedded.process import free_port
from stream.embedded.valkey import start_valkey
from stream.sentiment.cache import ScoreCache
from stream.sentiment.stored_scores import Entry, StoredScores, connect
from stream.sentiment.turns import Turns
from tests.unit.sentiment.articles import LEXICON, article, live, scores

TEXTS = [f"Apple beats estimates by {n} cents" for n in range(40)]
TEXTS += ["", "日本", "🚀" * 30, "a" * 50_000, "\ud800 half a pair", "Case", "case", "wild*[?]"]
PATIENT_S = 20.0  # for what must not be skipped, on a busy machine


class Asked:
    """The lexicon, and how many texts it was asked for."""

    name = "asked"

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.n = 0

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        self.n += len(texts)
        return LEXICON.probabilities(texts)


class Cached:
    """A model behind a cache, and the cache."""

    def __init__(self, model: Asked, cache: ScoreCache) -> None:
        self.cache = cache
        self.probabilities = cache.wrap(model).probabilities


class Like:
    """Scores from one model under the name of another."""

    def __init__(self, named: SentimentModel, scores: Cached) -> None:
        self.name, self.version = named.name, named.version
        self.probabilities = scores.probabilities


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


Make = Callable[..., Cached]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey of this module's own."""
    with start_valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[redis.Redis]:
    """To look at the server, empty at first, and to spoil what it holds."""
    with redis.Redis.from_url(server) as found:
        found.flushall()
        yield found


@pytest.fixture
def make(server: str, client: redis.Redis) -> Iterator[Make]:
    """Makes models behind the cache, on `server` or another URL, closed at the end."""
    made = []

    def one(
        model: Asked,
        url: str = server,
        *,
        namespace: str = "n",
        ttl_s: int = 60,
        wait_s: float = PATIENT_S,
        gives_up_s: float = PATIENT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> Cached:
        stored = StoredScores(connect(url, gives_up_s), namespace, ttl_s)
        made.append(ScoreCache(stored, wait_s=wait_s, clock=clock))
        return Cached(model, made[-1])

    yield one
    for each in made:
        each.close()


def counted(result: str) -> float:
    found = REGISTRY.get_sample_value("tapewire_score_cache_total", {"result": result})
    assert found is not None
    return found


@contextlib.contextmanager
def counting(**expected: int) -> Iterator[None]:
    """The block looks up exactly so many texts with these results."""
    before = {name: counted(name) for name in ("hit", "miss", "skipped")}
    yield
    grown = {name: int(counted(name) - before[name]) for name in before}
    assert grown == {"hit": 0, "miss": 0, "skipped": 0, **expected}


def bits(scores: Sequence[Probabilities]) -> list[bytes]:
    return [struct.pack("<3d", *score) for score in scores]


def test_what_comes_from_redis_is_what_the_model_said_bit_for_bit(
    make: Make, client: redis.Redis
) -> None:
    first, second = Asked(), Asked()
    expected = bits(LEXICON.probabilities(TEXTS))
    with counting(miss=len(TEXTS)):
        assert bits(make(first).probabilities(TEXTS)) == expected
    _until(lambda: client.dbsize() == len(TEXTS))
    with counting(hit=len(TEXTS)):
        assert bits(make(second).probabilities(TEXTS[::-1])) == expected[::-1]
    assert (first.n, second.n) == (len(TEXTS), 0)
    assert all(0 < client.ttl(key) <= 60 for key in client.scan_iter())


def test_scores_are_of_one_version_one_text_and_one_namespace(
    make: Make, client: redis.Redis
) -> None:
    make(Asked()).probabilities(["Up $5", "up $5", "Up  $5"])
    _until(lambda: client.dbsize() == 3)
    with counting(miss=3):
        make(Asked("2")).probabilities(["Up $5", "up $5", "Up  $5"])
    with counting(miss=1):
        make(Asked(), namespace="other").probabilities(["Up $5"])


def test_a_text_that_comes_twice_is_scored_once(make: Make) -> None:
    model = Asked()
    cached = make(model)
    assert bits(cached.probabilities(["up", "down", "up"])) == bits(
        LEXICON.probabilities(["up", "down", "up"])
    )
    with counting(hit=2):
        cached.probabilities(["down", "up"])
    assert model.n == 2


def test_a_large_chunk_goes_in_several_round_trips(make: Make) -> None:
    texts = [f"headline {n} falls" for n in range(1_234)]
    model = Asked()
    cached = make(model)
    with counting(miss=1_234):
        cached.probabilities(texts)
    with counting(hit=1_234):
        assert bits(cached.probabilities(texts)) == bits(LEXICON.probabilities(texts))


def test_the_parts_of_a_large_chunk_share_one_wait(server: str, client: redis.Redis) -> None:
    clock, model = Clock(), Asked()
    wait_s = 4 * PATIENT_S

    class Slow(StoredScores):
        def get(self, *asked: Any) -> Any:
            clock.now += 0.3 * wait_s
            return super().get(*asked)

    cache = ScoreCache(Slow(connect(server, PATIENT_S), "n", 60), wait_s=wait_s, clock=clock)
    texts = [f"headline {n} falls" for n in range(1_000)]
    try:
        with counting(miss=800, skipped=200):
            assert Cached(model, cache).probabilities(texts) == LEXICON.probabilities(texts)
        assert cache._resting()
    finally:
        cache.close()
    assert model.n == len(texts)


def test_a_model_that_scores_slice_by_slice_is_looked_up_in_one_round_trip(
    server: str, client: redis.Redis
) -> None:
    asked: list[int] = []

    class Counted(StoredScores):
        def get(self, model: str, texts: Sequence[str], about: Any) -> Any:
            asked.append(len(texts))
            return super().get(model, texts, about)

    model = Asked()
    cache = ScoreCache(Counted(connect(server, PATIENT_S), "n", 60), wait_s=PATIENT_S)
    try:
        with Turns() as turns:
            cached = cache.wrap(turns.wrap(model))
            assert cached.probabilities(TEXTS) == LEXICON.probabilities(TEXTS)
            more = [*TEXTS, "one more"]
            assert cached.probabilities(more) == LEXICON.probabilities(more)
    finally:
        cache.close()
    assert asked[0] == len(TEXTS)
    assert len(asked) == 2
    assert model.n == len(TEXTS) + 1


GOOD = msgspec.msgpack.encode
SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda text: b"\xc1\x00 no msgpack",
    "empty": lambda text: b"",
    "json": lambda text: b"[0.1, 0.2, 0.7]",
    "two numbers": lambda text: GOOD([text, 0.5, 0.5]),
    "text for a number": lambda text: GOOD([text, "0.2", 0.3, 0.5]),
    "sum of 1.2": lambda text: GOOD([text, 0.4, 0.4, 0.4]),
    "below zero": lambda text: GOOD([text, -0.5, 0.5, 1.0]),
    "nan": lambda text: GOOD([text, float("nan"), 0.5, 0.5]),
    "infinite": lambda text: GOOD([text, float("inf"), float("-inf"), 1.0]),
    "of another text": lambda text: GOOD([b"\x00" * 32, 0.2, 0.3, 0.5]),
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=list(SPOILED))
def test_a_value_that_makes_no_sense_is_scored_again_and_replaced(
    make: Make, client: redis.Redis, spoiled: Callable[[bytes], bytes]
) -> None:
    cached = make(Asked())
    expected = bits(cached.probabilities(["profit surges", "loss widens"]))
    _stored(cached, client, 2)
    for key in client.scan_iter():
        client.set(key, spoiled(bytes.fromhex(key.decode().rpartition(":")[2])))
    with counting(skipped=2):
        assert bits(cached.probabilities(["profit surges", "loss widens"])) == expected
    with counting(hit=2):
        assert bits(cached.probabilities(["profit surges", "loss widens"])) == expected


def test_a_key_of_another_type_is_replaced(make: Make, client: redis.Redis) -> None:
    cached = make(Asked())
    expected = bits(cached.probabilities(["profit surges"]))
    _stored(cached, client, 1)
    (key,) = client.scan_iter()
    client.delete(key)
    client.rpush(key, "a", "list")
    with counting(miss=1):
        assert bits(cached.probabilities(["profit surges"])) == expected
    with counting(hit=1):
        assert bits(cached.probabilities(["profit surges"])) == expected


def test_an_index_of_another_type_rests_the_cache(make: Make, client: redis.Redis) -> None:
    client.set("n:about:AAPL", "no sorted set")
    clock = Clock()
    cached = make(Asked(), clock=clock)
    cached.cache.note("profit surges", ["AAPL"])
    with counting(skipped=1):
        assert bits(cached.probabilities(["profit surges"])) == bits(
            LEXICON.probabilities(["profit surges"])
        )
    clock.now += 1.1
    with counting(miss=1):
        cached.probabilities(["profit surges"])


def test_what_a_model_says_beside_the_simplex_is_given_on_but_not_stored(
    make: Make, client: redis.Redis
) -> None:
    class Off(Asked):
        def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
            self.n += len(texts)
            return [Probabilities(0.9, 0.9, 0.9) for _ in texts]

    model = Off()
    cached = make(model)
    for _ in range(2):
        with counting(miss=1):
            assert cached.probabilities(["x"]) == [Probabilities(0.9, 0.9, 0.9)]
    assert model.n == 2
    assert client.dbsize() == 0


def test_a_models_failure_is_the_callers_and_what_was_stored_stays(make: Make) -> None:
    class Fails(Asked):
        def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
            if "poison" in texts:
                raise RuntimeError("no such token")
            return super().probabilities(texts)

    cached = make(Fails())
    cached.probabilities(["up"])
    with pytest.raises(RuntimeError, match="no such token"):
        cached.probabilities(["up", "poison"])
    with counting(hit=1):
        cached.probabilities(["up"])


def nothing_listens() -> Iterator[str]:
    yield f"redis://127.0.0.1:{free_port()}/0"


def no_such_host() -> Iterator[str]:
    yield "redis://no-such-host.invalid:6379/0"


def not_an_option() -> Iterator[str]:
    yield "redis://127.0.0.1:6379/0?no_such_option=1"


def stopped(tmp_path: Path) -> Iterator[str]:
    with start_valkey(tmp_path) as url:
        pid = int((tmp_path / "valkey.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield url
        finally:
            os.kill(pid, signal.SIGCONT)


def speaks(answer: bytes, pause_s: float) -> Iterator[str]:
    """A server that says `answer` to everybody, a byte each `pause_s`."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)

    def talk(to: socket.socket) -> None:
        with to, contextlib.suppress(OSError):
            while not over.is_set():
                for byte in answer:
                    to.sendall(bytes([byte]))
                    over.wait(pause_s)

    def serve() -> None:
        with ThreadPoolExecutor(8) as talking, listening:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    talking.submit(talk, listening.accept()[0])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
    finally:
        over.set()
        thread.join()


DEAD: dict[str, Callable[[Path], Iterator[str]]] = {
    "nothing listens": lambda _: nothing_listens(),
    "no such host": lambda _: no_such_host(),
    "not an option": lambda _: not_an_option(),
    "stopped": stopped,
    "silent": lambda _: speaks(b"", 0.05),
    "a drop at a time": lambda _: speaks(b"*9999\r\n:1\r\n", 0.02),
    "not redis": lambda _: speaks(b"HTTP/1.1 400 Bad Request\r\n", 0.0),
    "empty lists": lambda _: speaks(b"*0\r\n", 0.0),
    "errors": lambda _: speaks(b"-LOADING wait\r\n", 0.0),
    "one number": lambda _: speaks(b":1\r\n", 0.0),
}


@pytest.mark.parametrize("dead", DEAD.values(), ids=list(DEAD))
def test_a_server_that_is_of_no_use_is_skipped_with_one_warning(
    make: Make, tmp_path: Path, dead: Callable[[Path], Iterator[str]]
) -> None:
    with contextlib.contextmanager(dead)(tmp_path) as url, capture_logs() as logs:
        model = Asked()
        cached = make(model, url, wait_s=0.05, gives_up_s=0.3)
        try:
            began = time.monotonic()
            with counting(skipped=len(TEXTS) + 3):
                assert bits(cached.probabilities(TEXTS)) == bits(LEXICON.probabilities(TEXTS))
                for text in ("up", "down", "up"):
                    assert cached.probabilities([text]) == LEXICON.probabilities([text])
            assert time.monotonic() - began < 5.0
        finally:
            cached.cache.close()
    assert model.n == len(TEXTS) + 3
    (warning,) = [each for each in logs if each["log_level"] == "warning"]
    assert "TAPEWIRE_REDIS" in warning["event"]


def test_pauses_double_up_to_half_a_minute_and_start_again_after_a_success(
    make: Make, tmp_path: Path
) -> None:
    clock = Clock()
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    cached = make(Asked(), url, clock=clock)
    with capture_logs() as logs:
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            assert cached.probabilities(["up"]) == LEXICON.probabilities(["up"])
            clock.now += pause - 0.01
            assert cached.cache._resting()
            clock.now += 0.02
            assert not cached.cache._resting()
        assert [each["log_level"] for each in logs] == ["warning"]
        with start_valkey(tmp_path / "back", port=port):
            with counting(miss=1):
                cached.probabilities(["up"])
            with counting(hit=1):
                cached.probabilities(["up"])
        assert [each["log_level"] for each in logs] == ["warning", "info"]
        with counting(skipped=1):
            cached.probabilities(["up"])
        clock.now += 1.01
        assert not cached.cache._resting()
    assert [each["log_level"] for each in logs] == ["warning", "info", "warning"]


def test_a_server_that_takes_no_more_is_asked_less_and_less(
    make: Make, client: redis.Redis
) -> None:
    clock = Clock()
    cached = make(Asked(), clock=clock)
    client.config_set("maxmemory", 1)
    try:
        with capture_logs() as logs:
            for n in range(3):
                cached.probabilities([f"text {n}"])
                _until(cached.cache._resting)
                clock.now += 2.0**n + 0.01
                assert not cached.cache._resting()
        assert [each["log_level"] for each in logs] == ["warning"]
    finally:
        client.config_set("maxmemory", 0)


def test_the_role_says_the_same_with_a_cold_a_warm_and_a_dead_cache(make: Make) -> None:
    events = [article(f"a{n}", text[:500]) for n, text in enumerate(TEXTS) if text.isprintable()]
    events = [each for each in events if each.headline.strip()]
    plain = scores(live(), *events)
    (dead,) = nothing_listens()
    for url in (None, None, dead):
        cached = make(Asked()) if url is None else make(Asked(), url)
        step = live(Like(LEXICON, cached), about=cached.cache.note)
        assert scores(step, *events) == plain


def test_threads_share_a_cache(make: Make) -> None:
    cached = make(Asked())
    parts = [TEXTS[n::4] for n in range(4)] * 8
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(cached.probabilities, parts))
    for part, given in zip(parts, found, strict=True):
        assert bits(given) == bits(LEXICON.probabilities(part))


def test_invalidate_forgets_a_symbol_a_model_both_or_all(make: Make, client: redis.Redis) -> None:
    stored, other = StoredScores(client, "n", 60), StoredScores(client, "not.n", 60)

    def fill() -> None:
        client.flushall()
        for version in ("1", "2*"):
            cached = make(Asked(version))
            cached.cache.note("both up", ["AAPL", "MSFT"])
            cached.cache.note("one down", ["AAPL"])
            cached.cache.note("other", ["BRK.B"])
            cached.probabilities(["both up", "one down", "other", "of none"])
        make(Asked(), namespace="not.n").probabilities(["of another namespace"])
        _until(lambda: stored.count() == {"asked-1": 4, "asked-2*": 4})
        _until(lambda: other.count() == {"asked-1": 1})

    for given, left in (
        ({"symbol": "AAPL"}, {"asked-1": 2, "asked-2*": 2}),
        ({"symbol": "MSFT"}, {"asked-1": 3, "asked-2*": 3}),
        ({"symbol": "NONE"}, {"asked-1": 4, "asked-2*": 4}),
        ({"symbol": "AAPL", "model": "asked-1"}, {"asked-1": 2, "asked-2*": 4}),
        ({"model": "asked-1"}, {"asked-2*": 4}),
        ({"model": "asked-2*"}, {"asked-1": 4}),
        ({"model": "*"}, {"asked-1": 4, "asked-2*": 4}),
        ({}, {}),
    ):
        fill()
        assert stored.invalidate(**given) == 8 - sum(left.values())
        assert stored.count() == left
        assert other.count() == {"asked-1": 1}


def test_the_verbs_count_and_forget(make: Make, client: redis.Redis, server: str) -> None:
    cached = make(Asked())
    cached.cache.note("up", ["AAPL"])
    cached.probabilities(["up", "down"])
    _until(lambda: StoredScores(client, "n", 60).count().total() == 2)
    env = {"TAPEWIRE_REDIS": server, "TAPEWIRE_NAMESPACE": "n"}

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["cache", *words], env=env, catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    stats = json.loads(said("stats", "--json"))
    assert stats["scores"] == {"asked-1": 2}
    assert stats["server"]["misses"] >= 2
    assert "asked-1" in said("stats")
    assert said("invalidate", "--symbol", "MSFT") == "0\n"
    assert said("invalidate", "--symbol", "AAPL", "--model", "asked-1") == "1\n"
    assert said("invalidate") == "1\n"
    assert json.loads(said("stats", "--json"))["scores"] == {}


def test_a_symbols_index_lives_as_long_as_its_scores_and_forgets_the_old(
    make: Make, client: redis.Redis
) -> None:
    cached = make(Asked())
    cached.cache.note("up", ["AAPL"])
    cached.probabilities(["up"])
    assert 60 < client.ttl("n:about:AAPL") <= 120
    _until(lambda: not cached.cache._on_their_way)
    client.zadd("n:about:AAPL", {b"gone": time.time() - 121})
    cached.cache.note("up", ["AAPL", "MSFT"])
    cached.probabilities(["up"])
    assert client.zcard("n:about:AAPL") == client.zcard("n:about:MSFT") == 1


def test_notes_of_texts_that_nobody_looks_up_are_bounded(make: Make) -> None:
    cached = make(Asked())
    for n in range(25_000):
        cached.cache.note(f"text {n}", ["AAPL"])
    assert len(cached.cache._about) == 10_000
    alone = ScoreCache(StoredScores(connect("redis://127.0.0.1:1/0", 1.0), "n", 60))
    alone.note("no model is behind it", ["AAPL"])
    assert not alone._about
    alone.close()


def test_a_value_is_a_digest_and_three_floats(make: Make, client: redis.Redis) -> None:
    make(Asked()).probabilities([""])
    _until(lambda: client.dbsize() == 1)
    (key,) = client.scan_iter()
    entry = msgspec.msgpack.decode(client.get(key), type=Entry)  # type: ignore[arg-type]
    assert key.decode() == f"n:score:asked-1:{entry.text.hex()}"
    assert Probabilities(entry.negative, entry.neutral, entry.positive) == NEUTRAL


def _stored(cached: Cached, client: redis.Redis, n: int) -> None:
    """Wait until so many scores are with the server, and known to be: none counts as on its way."""
    _until(lambda: client.dbsize() == n and not cached.cache._on_their_way)


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
