"""Stored history on a real database: read back in the engine's order, and retrained on."""

import json
import uuid
from datetime import date

import msgspec
import numpy as np
import psycopg
import pytest

from models.registry import Registry
from models.scorer import ArtifactScorer
from stream.archive.migrate import migrate
from stream.cli.learn import ModelRefused, retrain_and_announce
from stream.errors import Refused, Unavailable
from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    NewsArticle,
    SentimentScored,
    Tick,
    moment,
)
from stream.features.vector import FEATURE_SETS
from stream.settings import Settings
from tests.e2e.servers import tapewire
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.integration.training.test_model_verbs import of
from training.errors import TrainingRefused
from training.gates import Gates
from training.history import open_history
from training.retrain import retrain
from training.stored_facts import main_sentiment_model, sectors_of
from training.validate import validate

pytestmark = pytest.mark.stack
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_700_000_040 * SECOND
TABLES = {
    Tick: "ticks",
    Bar: "bars",
    ClockTick: "clock",
    NewsArticle: "news",
    SentimentScored: "sentiments",
    CorporateAction: "actions",
    Instrument: "instruments",
}
RENAMED = {"bars": {"start": "bar_start", "end": "bar_end"}}


@pytest.fixture
def database(timescale):
    """DSN and a migrated schema of its own."""
    schema = f"history_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    yield timescale, schema
    drop_schema(timescale, schema)


def make_tick(at, symbol="AAA", price=10.0):
    return Tick(symbol=symbol, ts=moment(at), price=price, size=1.0)


def make_article(at, ident="a", positive=0.8, symbol="AAA", model="lexicon-1"):
    return SentimentScored(
        article_id=ident, revision=1, status="published", symbol=symbol, source="wire",
        published_at=moment(at), available_at=moment(at), scored_at=moment(at),
        negative=round(0.8 - positive, 3), neutral=0.2, positive=positive, relevance=1.0,
        model=model, text_hash="x",
    )  # fmt: skip


def store(database, rows):
    """rows : (event, partition, offset, Kafka time in us, topic id)."""
    dsn, schema = database
    by_table = {}
    for event, *place in rows:
        by_table.setdefault(TABLES[type(event)], []).append((event, place))
    with psycopg.connect(dsn) as connection:
        for table, found in by_table.items():
            fields = found[0][0].__struct_fields__
            columns = [RENAMED.get(table, {}).get(f, f) for f in fields]
            extra = ["origin"] if table == "bars" else []
            names = ", ".join(
                f'"{c}"' for c in [*columns, *extra, "partition", "offset", "kafka_ts", "topic_id"]
            )
            with connection.cursor().copy(f'COPY "{schema}".{table} ({names}) FROM STDIN') as copy:
                for event, (partition, offset, at, topic) in found:
                    values = [getattr(event, field) for field in fields]
                    values = [list(v) if isinstance(v, tuple) else v for v in values]
                    bar = ["bar"] if extra else []
                    copy.write_row([*values, *bar, partition, offset, moment(at), topic])


def read(database, tape="ticks"):
    with open_history(*database, tape) as history:
        return {p: list(events) for p, events in history.partitions()}


def test_topics_are_merged_by_kafka_time_and_the_tape_goes_last_on_a_tie(database):
    tick, beat = make_tick(START), ClockTick(kind="beat", at=moment(START + 2))
    early, tied = make_article(START, "early"), make_article(START, "tied")
    split = CorporateAction(
        symbol="AAA", kind="split", ex_date=date(2023, 12, 1), value=2.0, announced_at=moment(START)
    )
    instrument = Instrument(symbol="AAA", aliases=("Triple A",), listed_from=date(2000, 1, 3))
    moved = msgspec.structs.replace(instrument, sector="Energy")
    ms = 1_000
    store(
        database,
        [
            (tick, 0, 7, START + 5 * ms, "t"),
            (beat, 0, 8, START + 9 * ms, "t"),
            (tied, 0, 1, START + 9 * ms, "s"),
            (early, 0, 0, START + 2 * ms, "s"),
            (split, 0, 0, START + 5 * ms + 999, "a"),
            (instrument, 0, 0, START + ms, "i"),
            (moved, 0, 1, START + 50 * ms, "i"),
        ],
    )
    found = read(database)[0]
    assert [each.event for each in found] == [instrument, early, split, tick, tied, beat, moved]
    assert [each.offset for each in found] == [0, 0, 0, 7, 1, 8, 1]
    assert found[3].at_us == START + 5 * ms
    with open_history(*database, "ticks") as history:
        assert sectors_of(history) == {"AAA": "Energy"}


def test_scores_that_raced_in_the_log_are_read_in_the_order_of_their_times(database):
    minutes = [3, 1, 4, 2]  # a replay's Kafka time is the score's own
    scores = [make_article(START + m * MINUTE, f"n{m}") for m in minutes]
    ticks = [make_tick(START + m * MINUTE + SECOND, price=10.0 + m) for m in range(6)]
    rows = [(tick, 0, i, START + i * MINUTE + SECOND, "t") for i, tick in enumerate(ticks)]
    rows += [
        (score, 0, i, START + m * MINUTE, "s")
        for i, (m, score) in enumerate(zip(minutes, scores, strict=True))
    ]
    store(database, rows)
    found = [event for event, _, _ in read(database)[0]]
    told = [event.article_id if hasattr(event, "article_id") else event.price for event in found]
    assert told == [10.0, "n1", 11.0, "n2", 12.0, "n3", 13.0, "n4", 14.0, 15.0]


def test_tape_keeps_its_offsets_order_whatever_the_event_times(database):
    ticks = [make_tick(START + 1_000 * k, price=1.0 + k) for k in (3, 1, 2)]
    rows = [(tick, 0, k, START + MINUTE, "t") for k, tick in enumerate(ticks)]
    beats = [(ClockTick(kind="beat", at=moment(START + k)), 0, 10 * k + 5, START + MINUTE, "t")
             for k in range(-1, 2)]  # fmt: skip
    store(database, [*reversed(rows), *beats[1:]])
    assert [each.offset for each in read(database)[0]] == [0, 1, 2, 5, 15]


def test_recreated_topic_follows_the_older_one(database):
    old = [(make_tick(START + k), 0, 100 + k, START, "zz-old") for k in range(2)]
    new = [(make_tick(START + 9 + k), 0, k, START + MINUTE, "aa-new") for k in range(2)]
    store(database, [*new, *old])
    assert [each.offset for each in read(database)[0]] == [100, 101, 0, 1]


def test_clock_of_the_younger_topic_alone_stays_behind_the_older_ones_ticks(database):
    older = [(make_tick(START + k), 0, k, START, "zz-old") for k in (5, 6)]
    younger = (make_tick(START + 9), 0, 0, START + MINUTE, "aa-new")
    beat = (ClockTick(kind="beat", at=moment(START + 10)), 0, 1, START + MINUTE, "aa-new")
    store(database, [beat, younger, *older])
    assert [each.offset for each in read(database)[0]] == [5, 6, 0, 1]


def test_every_field_of_a_stored_event_comes_back(database):
    tick = Tick(
        symbol="AAA", ts=moment(START + 1), price=1.0, size=2.0, bid=3.0, ask=4.0, bid_size=5.0,
        ask_size=6.0, conditions="c", exchange="e", regular=False, seq=7,
    )  # fmt: skip
    instrument = Instrument(
        symbol="AAA", company="c", aliases=("a", "b"), sector="s", calendar="24/7",
        listed_from=date(2000, 1, 3), listed_to=date(2030, 1, 3),
    )  # fmt: skip
    article = msgspec.structs.replace(
        make_article(START), status="corrected", revision=2, text_hash="h", headline="x",
        published_at=moment(START - 2), available_at=moment(START - 1), n_chars=9, duplicate=True,
        assumed_times=True, sketch=bytes(range(128)),
    )  # fmt: skip
    store(database, [(each, 0, 0, START, "t") for each in (instrument, article, tick)])
    found = read(database)[0]
    assert [each.event for each in found] == [instrument, article, tick]
    assert {each.at_us for each in found} == {START}


def test_another_process_reads_the_same_snapshot(database):
    store(database, [(make_tick(START), 0, 0, START, "t")])
    with open_history(*database, "ticks") as history:
        place = history.place()
        store(database, [(make_tick(START + 1), 0, 1, START, "t")])
        with open_history(*place) as beside:
            assert beside.events_by_partition() == history.events_by_partition() == {0: 1}
    assert len(read(database)[0]) == 2


def test_partitions_come_apart(database):
    store(database, [(make_tick(START, f"S{p}"), p, 0, START, "t") for p in (2, 0)])
    assert {p: [e.event.symbol for e in events] for p, events in read(database).items()} == {
        0: ["S0"],
        2: ["S2"],
    }


def test_bars_tape_reads_bars_that_came_in_and_no_panes(database):
    bar = Bar(symbol="AAA", start=moment(START), end=moment(START + MINUTE), open=1.0, high=2.0,
              low=0.5, close=1.5, volume=9.0, adj_close=0.7)  # fmt: skip
    store(database, [(bar, 0, 0, START, "b")])
    dsn, schema = database
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f'INSERT INTO "{schema}".bars (origin, symbol, bar_start, bar_end, open, high, low, '
            'close, volume, kafka_ts, topic_id, "partition", "offset") SELECT \'pane\', symbol, '
            "bar_start, bar_end, open, high, low, close, volume, kafka_ts, 'p', 0, 1 "
            f'FROM "{schema}".bars'
        )
    assert [each.event for each in read(database, "bars")[0]] == [bar]
    with open_history(dsn, schema, "bars") as history:
        assert history.n_events() == 1


def test_most_used_sentiment_model_is_named(database):
    models = ["none:language"] * 3 + ["none"] * 3 + ["b", "a", "a"]
    store(
        database,
        [(make_article(START, str(k), model=m), 0, k, START, "s") for k, m in enumerate(models)],
    )
    with open_history(*database, "ticks") as history:
        assert main_sentiment_model(history) == "a"


def test_no_history_is_refused_with_what_to_do(database):
    with pytest.raises(TrainingRefused, match="expected stored history, got no ticks"):
        retrain(*database, policy(), seed=0, promote=True, actor="test")
    assert Registry(*database).current("champion") == (None, None)


def test_too_little_history_is_refused(database):
    store(database, [(make_tick(START), 0, 0, START, "t")])
    with pytest.raises(TrainingRefused, match=r"at least 1,000 labelled rows, got 0"):
        retrain(*database, policy(), seed=0, promote=True, actor="test")


def test_schema_without_tables_is_refused(timescale):
    with pytest.raises(Refused, match="run tapewire migrate"):
        retrain(timescale, "nothing_here", policy(), seed=0, promote=False, actor="test")


def test_database_that_does_not_answer_is_unavailable():
    dsn = "postgresql://postgres@127.0.0.1:1/postgres?connect_timeout=2"
    with pytest.raises(Unavailable, match="TAPEWIRE_DATABASE"):
        retrain(dsn, "x", policy(), seed=0, promote=False, actor="test")


# One source, trades of one size: some features have one value here, and that is no fault.
MONOTONOUS = Gates(max_constant=20, max_duplicated=20)


def make_effect(minutes=7_200, seed=0, effect=0.0012):
    """Around the clock, a trade every 30 s; each article moves the next 30 minutes' prices."""
    draw = np.random.default_rng(seed)
    rows, price, drift, n_news = [], 100.0, np.zeros(minutes + 40), 0
    for minute in range(minutes):
        at = START + (600 + minute) * MINUTE  # the judge blocks lie on three days
        if draw.random() < 0.05:
            side = 1 if draw.random() < 0.5 else -1
            drift[minute + 1 : minute + 31] += side * effect / 4
            article = make_article(at, f"n{n_news}", positive=0.4 + 0.4 * side)
            rows.append((article, 0, n_news, at, "s"))
            n_news += 1
        for half in range(2):
            price *= float(np.exp(draw.normal(drift[minute] / 2, 0.0003)))
            when = at + half * 30 * SECOND + 1
            rows.append((make_tick(when, price=price), 0, 2 * minute + half, when, "t"))
    return rows


def test_planted_effect_becomes_champion_and_scores(database, tmp_path):
    store(database, make_effect())
    steps = []
    result = retrain(
        *database, policy(), seed=0, promote=True, actor="test", num_threads=1,
        short_history=True, accepted="planted", gates=MONOTONOUS,
        progress=lambda step, share: steps.append(share),
    )  # fmt: skip
    assert result.verdict == "WARN"
    assert result.metrics["ic"] > 0.2
    assert steps == sorted(steps)
    registry = Registry(*database)
    assert registry.current("champion")[0] == result.version
    artifact = registry.load(result.version)
    assert artifact.sentiment_model == "lexicon-1"
    features = FEATURE_SETS["intraday"]
    artifact.check_fits("intraday", features.version, features.names)
    assert sum(ArtifactScorer(artifact).score([None] * len(features.names))[:3]) == pytest.approx(1)
    with pytest.raises(
        TrainingRefused, match=f"{result.version} is stored, and not champion: sessions judged"
    ):
        retrain(
            *database, policy(), seed=0, promote=True, actor="test", num_threads=1,
            accepted="planted", gates=MONOTONOUS,
        )  # fmt: skip
    verdict = registry.show(result.version)["verdict"]
    assert (verdict["says"], verdict["accepted"]) == ("WARN", "planted")
    validate_stored(database, result.version, tmp_path)


def validate_stored(database, version, folder):
    """The stored champion judged again, by the command: 0 with its report, 3 where a gate fails;
    on the newest rows, and refused on older ones."""
    environ, artifact = of(*database), Registry(*database).load(version)
    gates, page = folder / "gates.json", folder / "again.html"
    gates.write_bytes(msgspec.json.encode(MONOTONOUS))
    given = ("validate", version, "--gates", str(gates))
    accepted = ("--accept-implausible", "planted")
    done = tapewire(environ, *given, *accepted, "--json", "--report", str(page))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["version"], told["accepted"]) == (version, "planted")
    assert told["says"] in ("PASS", "WARN")
    assert told["metrics"]["ic"] > 0.2
    assert f"tapewire {given[0]} {version} --seed 0 --gates {gates}" in page.read_text()

    done = tapewire(environ, *given)
    assert done.returncode == 3
    assert f"model {version} fails: too good" in done.stderr

    learnt = moment(artifact.trained_until_us).replace(tzinfo=None)
    done = tapewire(environ, *given, "--since", learnt.isoformat(timespec="seconds"))
    assert done.returncode == 2
    assert "the last price that it learnt" in " ".join(done.stderr.split())
    nothing_more = {"since_us": None, "until_us": None, "seed": 0, "gates": MONOTONOUS}
    with pytest.raises(Refused, match="expected a stored model, found none"):
        validate(*database, "nothing", policy(), **nothing_more)
    assert Registry(*database).current("champion")[0] == version


def test_refused_model_is_neither_stored_nor_promoted_and_its_report_says_why(database, tmp_path):
    store(database, make_effect(effect=0.0))
    dsn, schema = database
    settings = Settings(
        broker="127.0.0.1:1", database=dsn, redis="redis://127.0.0.1:1/0", namespace=schema
    )
    page = tmp_path / "model.html"
    with pytest.raises(ModelRefused, match="data: constant features"):
        retrain_and_announce(settings, promote=True, seed=0, report=page)
    assert Registry(*database).list() == []
    assert "<b>FAIL</b>. It is refused" in page.read_text()
