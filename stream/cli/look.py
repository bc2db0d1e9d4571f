"""Verbs that look: tail, sql, schema, check."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.run import JsonFlag
from stream.database import explained
from stream.errors import Refused, Unavailable
from stream.events import EVENTS, TOPICS
from stream.events import schema as json_schema
from stream.settings import Settings, read_settings

_REACH_S = 5.0


def tail(
    topic: Annotated[str, typer.Argument(help=f"One of {', '.join(TOPICS)}.")],
    symbol: Annotated[str | None, typer.Option(help="Only records with this key.")] = None,
    from_start: Annotated[bool, typer.Option(help="From the first record on.")] = False,
    count: Annotated[int | None, typer.Option("-n", help="Stop after so many.")] = None,
) -> None:
    """Print a topic's records as JSON lines as they are committed.

    Example: tapewire tail signals --symbol AAPL
    """
    import confluent_kafka as kafka

    from stream.engine.clients import librdkafka_options, unavailable
    from stream.engine.reach import reach

    if topic not in TOPICS:
        raise Refused(f"topic: expected one of {', '.join(TOPICS)}, got {topic!r}")
    settings = read_settings()
    asyncio.run(reach(settings, _REACH_S))
    consumer = kafka.Consumer(
        {
            **librdkafka_options(settings),
            "group.id": f"{settings.namespace}-tail",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    start = kafka.OFFSET_BEGINNING if from_start else kafka.OFFSET_END
    name = settings.topic(topic)
    try:
        found = consumer.list_topics(name, timeout=_REACH_S).topics[name].partitions
        consumer.assign([kafka.TopicPartition(name, p, start) for p in found])
        left = count
        while left is None or left > 0:
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            if symbol is None or message.key() == symbol.encode():
                print((message.value() or b"").decode(errors="replace"), flush=True)
                left = None if left is None else left - 1
    except kafka.KafkaException as error:
        raise unavailable(settings, error) from None
    finally:
        consumer.close()


def sql(
    query: Annotated[str, typer.Argument(help="One statement; the schema is on the search path.")],
    as_json: JsonFlag = False,
) -> None:
    """Run one read-only query: on TAPEWIRE_DATABASE, else on the last demo's stored database.

    Example: tapewire sql "SELECT symbol, count(*) FROM signals GROUP BY 1 ORDER BY 2 DESC"
    """
    from stream.cli.last_demo import stored_database

    settings = read_settings()
    with stored_database(settings) as (dsn, schema):
        try:
            with psycopg.connect(dsn, options=f"-c search_path={schema},public") as connection:
                connection.read_only = True
                cursor = connection.execute(query)
                names = [column.name for column in cursor.description or ()]
                rows = cursor.fetchall() if names else []
        except psycopg.OperationalError as error:
            raise explained(error) from None
        except psycopg.Error as error:
            raise Refused(f"query: {error}".strip()) from None
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), default=str))
        return
    table = Table(*names)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)


def schema(
    event: Annotated[str | None, typer.Argument(help=f"One of {', '.join(EVENTS)}.")] = None,
) -> None:
    """Print the JSON Schema of an event, or of all of them.

    Example: tapewire schema NewsArticle
    """
    if event is not None and event not in EVENTS:
        raise Refused(f"event: expected one of {', '.join(EVENTS)}, got {event!r}")
    kinds = EVENTS if event is None else {event: EVENTS[event]}
    schemas = {name: json_schema(kind) for name, kind in kinds.items()}
    print(json.dumps(schemas if event is None else schemas[event], indent=2))


def check(as_json: JsonFlag = False) -> None:
    """Say whether each server answers, its version, the topics and how far behind each role is.

    Example: tapewire check --json
    """
    settings = read_settings()
    found = {
        "broker": _attempt(_broker, settings),
        "database": _attempt(_database, settings),
        "redis": _attempt(_redis, settings),
    }
    if as_json:
        print(json.dumps(found))
    else:
        table = Table("server", "ok", "what")
        for server, one in found.items():
            what = "; ".join(f"{k}: {v}" for k, v in one.items() if k != "ok")
            table.add_row(server, "yes" if one["ok"] else "NO", what)
        Console().print(table)
    if not all(one["ok"] for one in found.values()):
        raise typer.Exit(1)


def _attempt(look: Any, settings: Settings) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        found = look(settings)
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}".strip()}
    return {"ok": True, "ms": round((time.perf_counter() - began) * 1e3), **found}


def _broker(settings: Settings) -> dict[str, Any]:
    from confluent_kafka.admin import AdminClient

    from stream.engine.clients import librdkafka_options
    from stream.engine.reach import reach
    from stream.engine.topics import lag

    asyncio.run(reach(settings, _REACH_S))
    client = AdminClient(librdkafka_options(settings))
    listed = client.list_topics(timeout=_REACH_S)
    prefix = settings.topic("")
    own = sorted(name.removeprefix(prefix) for name in listed.topics if name.startswith(prefix))
    behind = {}
    for role in ("sentiment", "score", "market", "archive", "explain"):
        places = asyncio.run(lag(settings, settings.group(role)))
        behind[role] = sum(max(0, end - position) for position, end in places.values())
    return {"brokers": len(listed.brokers), "topics": own, "lag": behind}


def _database(settings: Settings) -> dict[str, Any]:
    dsn = settings.database.get_secret_value()
    try:
        with psycopg.connect(dsn, connect_timeout=int(_REACH_S)) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'), "
                "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), "
                "to_regclass(format('%%I.signals', %s::text)) IS NOT NULL",
                (settings.namespace,),
            ).fetchone()
    except psycopg.OperationalError as error:
        raise explained(error) from None
    assert row is not None
    return {"version": row[0], "timescaledb": row[1], "migrated": row[2]}


def _redis(settings: Settings) -> dict[str, Any]:
    import redis

    client = redis.Redis.from_url(
        settings.redis.get_secret_value(), socket_connect_timeout=_REACH_S, socket_timeout=_REACH_S
    )
    try:
        info: dict[str, Any] = client.info("server")
    except (redis.RedisError, OSError) as error:
        raise Unavailable(f"TAPEWIRE_REDIS: {error}") from None
    finally:
        client.close()
    return {"version": info.get("valkey_version") or info.get("redis_version")}
