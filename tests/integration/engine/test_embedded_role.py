"""The engine on the embedded broker: no servers needed, no guarantee given."""

from pathlib import Path

from stream.embedded.broker import start_broker
from stream.engine.topics import create_topics, lag, topic_ids
from stream.settings import Settings
from tests.integration.engine.counting import Running, counting
from tests.integration.engine.log import all_read, assert_each_once, publish, read, ticks, until


async def test_a_role_reads_writes_and_tells_how_far_it_is(
    tmp_path: Path, running: Running
) -> None:
    with start_broker() as broker:
        settings = Settings(
            broker=broker, embedded=True, run_id="r1", mode="replay", data_dir=tmp_path
        )
        await create_topics(settings)
        publish(settings, "ticks", ticks(2_000))
        async with running(settings, counting()) as role:
            await until(lambda: all_read(settings), role=role)
            assert (await lag(settings, settings.group("score")))["ticks"] == (2_000, 2_000)
        assert_each_once(settings, 2_000)
        assert not any(read(settings, "score-state").values())
        assert (await topic_ids(settings))["ticks"] == "r1.ticks"
