"""Datasets from a real database: what training would see, through kills and later events."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from models.artifact import to_bytes
from stream.archive.migrate import migrate
from stream.errors import Refused
from stream.events import ClockTick, moment
from stream.features.sequence import CHANNELS
from stream.scoring.configured import policy_of
from stream.settings import Settings
from tests.e2e.servers import environment, tapewire
from tests.fix_namespace import drop_schema
from tests.integration.training.test_history_order import (
    MINUTE,
    SECOND,
    START,
    make_article,
    make_tick,
    store,
)
from training.dataset.build import Span, build
from training.dataset.card import read_card, write_card
from training.dataset.join import tidy
from training.dataset.load import load_dataset
from training.errors import TrainingRefused
from training.fingerprint import fingerprint
from training.history import open_history
from training.replay import replay
from training.retrain import retrain
from training.rows import TrainingTable
from training.stored_facts import main_sentiment_model

pytestmark = pytest.mark.stack
N_PARTITIONS = 3
MINUTES = 900


def make_partition(partition: int, minutes: int = MINUTES) -> Iterator[tuple[object, ...]]:
    """A tick a minute of each of two symbols, a beat, now and then an article."""
    draw = np.random.default_rng(partition)
    prices = dict.fromkeys((f"A{partition}", f"B{partition}"), 100.0)
    offset = n_news = 0
    for minute in range(minutes):
        at = START + minute * MINUTE
        beat = ClockTick(kind="beat", at=moment(at))
        yield beat, partition, offset, at, "t"
        offset += 1
        for symbol, price in prices.items():
            prices[symbol] = price = price * float(np.exp(draw.normal(0, 0.001)))
            yield make_tick(at + SECOND, symbol, price), partition, offset, at + SECOND, "t"
            offset += 1
        if minute % 20 == 0:
            article = make_article(at, f"n{minute}", symbol=f"A{partition}")
            yield article, partition, n_news, at, "s"
            n_news += 1


@pytest.fixture(scope="module")
def settings(timescale: str) -> Iterator[Settings]:
    """A namespace with history in three partitions."""
    schema = f"dataset_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    for partition in range(N_PARTITIONS):
        store((timescale, schema), make_partition(partition))
    yield Settings(
        broker="127.0.0.1:1",
        database=SecretStr(timescale),
        redis=SecretStr("redis://127.0.0.1:1/0"),
        namespace=schema,
    )
    drop_schema(timescale, schema)


def place(settings: Settings) -> tuple[str, str]:
    return settings.database.get_secret_value(), settings.namespace


@pytest.fixture(scope="module")
def trained_on(settings: Settings) -> TrainingTable:
    """What retrain replays."""
    with open_history(*place(settings), "ticks") as history:
        model = main_sentiment_model(history)
        return replay(history.partitions(), policy_of(settings), model)


@pytest.fixture(scope="module")
def built(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset made by the command, in two processes."""
    folder = tmp_path_factory.mktemp("dataset") / "rows"
    done = tapewire(environment(settings), "dataset", "build", str(folder), "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["made"] == N_PARTITIONS
    return folder


def test_a_dataset_may_hold_sequences_of_panes(
    built: Path, settings: Settings, tmp_path: Path
) -> None:
    done = tapewire(
        environment(settings), "dataset", "build", str(tmp_path), "--sequences", "--jobs", "1"
    )
    assert done.returncode == 0, done.stderr
    loaded, plain = (load_dataset(each, policy_of(settings)) for each in (tmp_path, built))
    with open_history(*place(settings), "ticks") as history:
        model = main_sentiment_model(history)
        replayed = replay(history.partitions(), policy_of(settings), model, sequences=True)
    assert fingerprint(loaded) == fingerprint(replayed) != fingerprint(plain)
    assert loaded.sequence is not None
    assert np.isfinite(loaded.sequence[:, :, CHANNELS.index("sentiment")]).any()
    assert plain.sequence is None
    with pytest.raises(Refused, match="channels 0: begun with move, now none"):
        build(*place(settings), policy_of(settings), tmp_path, resume=True)


def test_a_dataset_holds_the_rows_that_training_takes(
    built: Path, settings: Settings, trained_on: TrainingTable
) -> None:
    loaded = load_dataset(built, policy_of(settings))
    assert len(loaded) > 2_000
    assert set(loaded.trigger) == {"news", "pane"}
    assert fingerprint(loaded) == fingerprint(trained_on)
    assert loaded.market_return is not None
    assert not np.isnan(loaded.market_return).all()  # six symbols, in three partitions
    assert loaded.counts == trained_on.counts


def test_a_dataset_trains_the_model_that_the_history_trains(
    built: Path, settings: Settings
) -> None:
    made = []
    for rows in (None, load_dataset(built, policy_of(settings))):
        with suppress(TrainingRefused):  # there is nothing to learn in it
            retrain(
                *place(settings), policy_of(settings), seed=0, promote=False, actor="test",
                rows=rows, judged=lambda evidence: made.append(to_bytes(evidence.artifact)),
            )  # fmt: skip
    assert len(made) == 2
    assert made[0] == made[1]


def test_the_same_history_gives_the_same_bytes(
    built: Path, settings: Settings, tmp_path: Path
) -> None:
    build(*place(settings), policy_of(settings), tmp_path / "again", jobs=1)
    for file in sorted(built.glob("*.parquet")):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def killed_after_a_part(settings: Settings, folder: Path, jobs: int) -> dict[str, int]:
    """Build until the first part is there, then kill -9; the parts that are there and their age."""
    command = [sys.executable, "-m", "stream.cli", "dataset", "build", str(folder)]
    with subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        env={**os.environ, **environment(settings)},
        stderr=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 60
        while not list(folder.glob("apart-*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return {each.name: each.stat().st_mtime_ns for each in folder.glob("apart-*.parquet")}


def test_a_killed_build_goes_on_where_it_was(
    settings: Settings, built: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    there = killed_after_a_part(settings, folder, jobs=1)
    assert 1 <= len(there) < N_PARTITIONS
    with pytest.raises(Refused, match="expected it in a finished dataset"):
        load_dataset(folder)
    environ = environment(settings)
    again = tapewire(environ, "dataset", "build", str(folder))
    assert again.returncode == 2
    assert "go on with it by --resume" in again.stderr
    done = tapewire(environ, "dataset", "build", str(folder), "--resume", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["made"] == N_PARTITIONS - len(there)
    assert sorted(each.name for each in folder.glob("*.parquet")) == sorted(
        each.name for each in built.glob("*.parquet")
    )
    for file in built.glob("*.parquet"):
        assert (folder / file.name).read_bytes() == file.read_bytes()
    assert not list(folder.glob(".*"))


def test_events_archived_after_the_beginning_are_not_in_it(
    timescale: str, settings: Settings, tmp_path: Path
) -> None:
    schema = f"dataset_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    try:
        events = list(make_partition(0, 2 * 120))
        older, newer = events[: len(events) // 2], events[len(events) // 2 :]
        store((timescale, schema), older)
        given = (timescale, schema, policy_of(settings), tmp_path)
        build(*given)
        before = fingerprint(load_dataset(tmp_path))
        store((timescale, schema), newer)
        (tmp_path / "part-00000.parquet").unlink()
        assert build(*given, resume=True).n_made == 1
        assert fingerprint(load_dataset(tmp_path)) == before
        with psycopg.connect(timescale) as connection:
            connection.execute(f'DELETE FROM "{schema}".ticks WHERE "offset" < 10')
        with pytest.raises(
            Refused,
            match=r"ticks of partition 0, topic t: begun with 240 rows up to offset 359, now 23",
        ):
            build(*given, resume=True)
    finally:
        drop_schema(timescale, schema)


def test_a_folder_of_another_run_is_refused_with_every_difference(
    settings: Settings, built: Path
) -> None:
    other = policy_of(settings.model_copy(update={"lateness_s": 7.0, "confidence": 0.7}))
    with pytest.raises(Refused) as refused:
        build(*place(settings), other, built, span=Span(since_us=START), resume=True)
    for said in ("policy.lateness_us: begun with 2000000, now 7000000",
                 "policy.confidence: begun with 0.65, now 0.7",
                 f"since_us: begun with None, now {START}"):  # fmt: skip
        assert said in str(refused.value)
    with pytest.raises(Refused, match=r"policy.lateness_us: begun with 2000000, now 7000000"):
        load_dataset(built, other)


def test_a_span_bounds_as_of_and_keeps_the_features_of_its_rows(
    settings: Settings, trained_on: TrainingTable, tmp_path: Path
) -> None:
    since, until = START + 200 * MINUTE, START + 300 * MINUTE
    build(*place(settings), policy_of(settings), tmp_path, span=Span(since, until), jobs=1)
    found = load_dataset(tmp_path)
    inside = (trained_on.as_of_us >= since) & (trained_on.as_of_us < until)
    assert 500 < inside.sum() < len(trained_on)
    assert fingerprint(found) == fingerprint(trained_on.take(inside))
    assert found.counts["outside the span"] == (~inside).sum()


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_part_is_refused_and_named(
    settings: Settings, built: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "rows"
    shutil.copytree(built, folder)
    part = folder / "part-00001.parquet"
    raw = bytearray(part.read_bytes())
    if damage == "cut":
        part.write_bytes(raw[: len(raw) // 2])
    elif damage == "flipped":
        raw[len(raw) // 3] ^= 0xFF
        part.write_bytes(raw)
    else:
        table = pq.read_table(part)
        pq.write_table(
            table.replace_schema_metadata({"tapewire": '{"run_id":"x","counts":{}}'}), part
        )
    with pytest.raises(Refused, match=r"part-00001.parquet: expected .*delete it and run"):
        load_dataset(folder)


def test_the_card_counts_what_the_rows_hold(
    settings: Settings, built: Path, trained_on: TrainingTable
) -> None:
    card = read_card(built)
    told = card.statistics
    assert told.n_rows == len(trained_on)
    names, counts = np.unique(trained_on.symbol, return_counts=True)
    assert told.rows_by_symbol == dict(zip(names.tolist(), counts.tolist(), strict=True))
    assert told.left_out == trained_on.counts
    assert list(told.class_shares.values()) == pytest.approx(
        np.bincount(trained_on.y, minlength=3) / len(trained_on)
    )
    for name, column in zip(trained_on.feature_names, trained_on.x.T, strict=True):
        assert told.features[name].missing == pytest.approx(np.isnan(column).mean())
        seen = column[~np.isnan(column)]
        if len(seen):
            assert told.features[name].quantiles[3] == np.median(seen)
    assert "spread_mean_5m" in told.constant  # no quotes
    assert ("sentiment_mean_1d", "sentiment_mean_7d") in told.same  # hours of history
    shown = tapewire(environment(settings), "dataset", "show", str(built)).stdout
    assert f"| rows | {len(trained_on):,} |" in shown
    assert "Survivorship" in shown
    assert f"TAPEWIRE_NAMESPACE={settings.namespace} tapewire dataset build" in shown


def test_no_history_and_no_dataset_are_one_line(settings: Settings, tmp_path: Path) -> None:
    bars = policy_of(settings.model_copy(update={"tape": "bars"}))
    with pytest.raises(Refused, match="expected stored history, got no bars"):
        build(*place(settings), bars, tmp_path)
    assert not list(tmp_path.iterdir())
    done = tapewire(environment(settings), "dataset", "show", str(tmp_path))
    assert done.returncode == 2
    assert "expected a finished dataset, found no card.json" in done.stderr


def test_a_history_too_short_for_rows_is_a_dataset_without_any(
    timescale: str, settings: Settings, tmp_path: Path
) -> None:
    schema = f"dataset_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    try:
        store((timescale, schema), make_partition(0, 20))
        built = build(timescale, schema, policy_of(settings), tmp_path)
    finally:
        drop_schema(timescale, schema)
    (tmp_path / ".part-00000.parquet.123").write_bytes(b"cut off")
    tidy(tmp_path, built.manifest)
    assert len(load_dataset(tmp_path)) == 0
    card = write_card(tmp_path, built.manifest, "command")
    assert card.statistics.left_out == {"warming up": 2 * 18 + 1}  # closed panes, an article
    assert card.statistics.class_shares == {"bearish": 0.0, "neutral": 0.0, "bullish": 0.0}
    assert "| rows | 0 |" in (tmp_path / "card.md").read_text()
    assert not list(tmp_path.glob(".*"))
