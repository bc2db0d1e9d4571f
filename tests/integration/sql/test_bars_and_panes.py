"""`bars` of a minute against the panes that the score role made of the same tape."""

from collections import defaultdict
from collections.abc import Iterator

import psycopg
import pytest

from models.rules import RulesModel
from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.datasets.dataset import Timed
from stream.datasets.slices import with_clock
from stream.datasets.synthetic import generate
from stream.engine.topics import partition_of
from stream.events import MARKET_KEY
from stream.features.panes import MINUTE_US
from stream.features.vector import FEATURE_SETS
from stream.scoring.step import ModelInForce, ScoreStep
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.history import Outputs, Record
from tests.integration.sql.rows import MINUTE, call, connect

pytestmark = pytest.mark.stack

N_PARTITIONS = 2
FEATURES = FEATURE_SETS["intraday"]
POLICY = policy(model_max_age_s=86_400.0)


def replayed() -> tuple[list[list[Record]], Outputs]:
    """A session's tape by partition, each minute's trades backwards, and what `score` sent."""
    tapes: list[list[Timed]] = [[] for _ in range(N_PARTITIONS)]
    for timed in with_clock(generate(7, 1.0, n_symbols=4, n_sessions=1), None, None):
        if timed.key == MARKET_KEY.encode():
            for tape in tapes:
                tape.append(timed)
        elif timed.topic == "ticks":
            tapes[partition_of(timed.key, N_PARTITIONS)].append(timed)
    records, sent = [], Outputs()
    rules = ModelInForce(RulesModel("intraday", FEATURES.version, FEATURES.names))
    for p, tape in enumerate(tapes):
        tape.sort(key=lambda timed: (timed.at // MINUTE_US, -timed.at))
        own = [Record(p, i, t.at // 1000, t.key, t.value) for i, t in enumerate(tape)]
        step = ScoreStep(
            p, N_PARTITIONS, POLICY, rules, build="b", clock=lambda: 0, stamp_outputs=True
        )
        for record in own:
            step.apply("ticks", record, sent)
        records.append(own)
    return records, sent


@pytest.fixture(params=["plain_postgres", "timescale"])
def db(request: pytest.FixtureRequest, namespace: str) -> Iterator[psycopg.Connection]:
    dsn = str(request.getfixturevalue(request.param))
    migrate(dsn, namespace)
    records, sent = replayed()
    assert not [topic for topic, *_ in sent if topic in ("late-events", "dead-letters")]
    outputs: dict[str, list[Record]] = defaultdict(list)
    for topic, key, value, at_ms in sent:
        outputs[topic].append(Record(0, len(outputs[topic]), at_ms, key, value))
    sink = Sink(dsn, namespace)
    for p, tape in enumerate(records):
        sink.write([Chunk("ticks", "tape", p, tape, 0, len(tape))])
    sink.write([Chunk("panes", "panes", 0, outputs["panes"], 0, len(outputs["panes"]))])
    sink.close()
    with connect(dsn, namespace) as connection:
        yield connection
    drop_schema(dsn, namespace)


def test_minute_bars_are_the_stored_panes(db: psycopg.Connection) -> None:
    ((since, until),) = db.execute(
        "SELECT min(ts) - '1 day'::interval, max(ts) + '1 day' FROM ticks"
    )
    panes = db.execute(
        "SELECT symbol, bar_start, bar_end, open, high, low, close, volume, n_trades, "
        "notional / volume FROM bars WHERE origin = 'pane' ORDER BY symbol, bar_start"
    ).fetchall()
    symbols = sorted({pane[0] for pane in panes})
    found = [
        (symbol, *row.values())
        for symbol in symbols
        for row in call(db, "bars", symbol, MINUTE, since, until)
    ]
    assert len(symbols) == 4
    assert found == panes
    by_time = (
        "SELECT EXISTS (SELECT FROM bars b WHERE open <> (SELECT price FROM ticks k WHERE "
        "k.symbol = b.symbol AND ts >= bar_start AND ts < bar_end ORDER BY ts LIMIT 1))"
    )
    assert db.execute(by_time).fetchone() == (True,)  # so the log's order decides open and close
