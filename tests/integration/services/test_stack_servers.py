"""The servers that the other tests rely on are the real ones, and each test's place is its own."""

import asyncio
import time

import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient, ConfigResource

from stream.engine.topics import create_topics
from tests.factories import bar, tick
from tests.fix_namespace import drop_schema, drop_topics

pytestmark = pytest.mark.stack


def test_kafka_is_a_broker_with_fencing_and_does_not_make_topics_unasked(kafka):
    admin = AdminClient({"bootstrap.servers": kafka})
    assert len(admin.list_topics(timeout=10).brokers) == 1
    resource = ConfigResource(ConfigResource.Type.BROKER, "1")
    config = admin.describe_configs([resource])[resource].result(10)
    assert config["auto.create.topics.enable"].value == "false"


def test_timescale_has_the_extension_in_a_database_of_our_own(timescale):
    with psycopg.connect(timescale) as connection:
        version, name = connection.execute(
            "SELECT extversion, current_database() FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
    assert version.startswith("2.")
    assert name == "tapewire"


def test_valkey_stores_and_expires(valkey, namespace):
    with redis.Redis.from_url(valkey) as client:
        assert client.set(f"{namespace}:key", b"value", px=60_000)
        assert 0 < client.pttl(f"{namespace}:key") <= 60_000


def test_namespace_leaves_neither_topics_nor_schema(settings):
    mine = settings()
    asyncio.run(create_topics(mine))
    dsn = mine.database.get_secret_value()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {mine.namespace} CREATE TABLE t (x int)")
    drop_topics(mine.broker, mine.namespace)
    drop_schema(dsn, mine.namespace)
    admin = AdminClient({"bootstrap.servers": mine.broker})
    until = time.monotonic() + 10  # the broker answers before the last one is gone
    while left := [t for t in admin.list_topics().topics if t.startswith(f"{mine.namespace}.")]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    with psycopg.connect(dsn) as connection:
        assert not connection.execute(
            "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (mine.namespace,)
        ).fetchall()


def test_settings_of_a_test_do_not_see_the_callers_environment(settings):
    assert settings().mode == "live"
    assert settings(mode="replay").mode == "replay"


def test_factories_make_events_a_test_can_change():
    assert tick(price=5.0, seq=3).seq == 3
    assert bar(close=90.0).low < 90.0
