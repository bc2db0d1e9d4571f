"""`tapewire served` on a stored namespace: equal as it was, an altered vector is found."""

from __future__ import annotations

import json

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

from models.rules import RulesModel
from stream.archive.sink import Chunk, Sink
from stream.events import encode
from stream.scoring.signal import build_signal
from stream.scoring.state import PartitionState
from tests.e2e.servers import tapewire
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.history import Record
from tests.integration.training.test_model_verbs import of
from tests.unit.training.test_replay_rows import make_market
from training.history import open_history
from training.served import compare_stored

pytestmark = pytest.mark.stack
POLICY = policy()


@pytest.fixture
def stored(timescale, namespace):
    """Two hours of two symbols and the signals that were served of them."""
    from stream.archive.migrate import migrate

    migrate(timescale, namespace)
    features, state = POLICY.features, PartitionState(0, POLICY)
    rules = RulesModel(features.name, features.version, features.names)
    ticks, signals = [], []
    for offset, (at_us, event) in enumerate(make_market()):
        key = getattr(event, "symbol", "*").encode()
        ticks.append(Record(0, offset, at_us // 1000, key, encode(event)))
        due = []
        state.apply(event, offset, at_us, due)
        for one in due:
            signal = build_signal(
                one, rules, POLICY, POLICY.policy_id, {"ticks": offset}, set_off_by="ticks",
                rules_because="none yet", build="b", emitted_at_us=at_us,
            )  # fmt: skip
            signals.append(Record(0, len(signals), at_us // 1000, key, encode(signal)))
    sink = Sink(timescale, namespace)
    for topic, records in (("ticks", ticks), ("signals", signals)):
        sink.write([Chunk(topic, topic, 0, records, 0, len(records))])
    sink.close()
    with connect(timescale, namespace) as connection:
        connection.execute(
            "INSERT INTO policies (policy_id, policy) VALUES (%s, %s)",
            [POLICY.policy_id, Jsonb(msgspec.to_builtins(POLICY))],
        )
    yield timescale, namespace, len(signals)
    drop_schema(timescale, namespace)


def connect(dsn, schema):
    return psycopg.connect(dsn, options=f"-c search_path={schema},public")


def test_what_was_served_is_what_is_trained_on_until_a_stored_vector_is_altered(stored):
    dsn, schema, n = stored
    with open_history(dsn, schema) as history:
        found = compare_stored(history, None, None)
    assert (found.equal, found.different, found.pending) == (n, 0, 0)
    assert (found.never_served, found.never_trained, found.says) == (0, 0, "PASS")
    assert n > 200

    place = POLICY.features.names.index("return_log_5m") + 1
    with connect(dsn, schema) as connection:
        altered = connection.execute(
            f"UPDATE signals SET features[{place}] = features[{place}] * 1.01 "
            "WHERE symbol = 'AAA' AND features[%s] <> 0",
            [place],
        ).rowcount
        gone = connection.execute(
            "DELETE FROM signals WHERE symbol = 'BBB' AND as_of = "
            "(SELECT min(as_of) FROM signals WHERE symbol = 'BBB')"
        ).rowcount
    assert (altered > 50, gone) == (True, 1)
    done = tapewire(of(dsn, schema), "served", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["says"], told["different"], told["never_served"]) == ("FAIL", altered, 1)
    (skew,) = told["features"]
    assert (skew["feature"], skew["n"], skew["symbol"]) == ("return_log_5m", altered, "AAA")
    assert skew["relative"] == pytest.approx(0.01 / 1.01)
