"""The market role on real servers: killed while it works, it changes no feature of a replay."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from stream.archive.migrate import migrate
from stream.datasets.loader import load, wait_drained
from stream.datasets.synthetic import generate
from stream.engine.topics import create_topics, present_topics
from stream.features.vector import FEATURE_SETS
from stream.scoring.configured import policy_of
from stream.settings import Settings
from tests.e2e.servers import environment, rows_of, verified
from tests.market_run import Replayed

pytestmark = pytest.mark.stack


def worker(settings: Settings, role: str) -> subprocess.Popen[bytes]:
    env = environment(settings, TAPEWIRE_PARTITIONS="2", TAPEWIRE_SENTIMENT_MODEL="lexicon")
    return subprocess.Popen([sys.executable, "-m", "stream.cli.role", role], env=env)


async def test_a_market_role_killed_at_work_leaves_every_feature_as_it_is_in_memory(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(mode="replay", partitions=2, sentiment_model="lexicon")
    dataset = generate(5, 1.0, n_symbols=6, n_sessions=1, trades_per_minute=0.2)
    await create_topics(mine)
    assert present_topics(mine)["pane-ends"] == present_topics(mine)["market-state"] == 1
    migrate(mine.database.get_secret_value(), mine.namespace)
    roles = [worker(mine, role) for role in ("sentiment", "score", "market", "archive", "explain")]
    try:
        loading = asyncio.create_task(load(mine, dataset))
        panes = "SELECT DISTINCT interval_end FROM market_panes"
        await asyncio.to_thread(rows_of, mine, panes, 20)
        roles.append(worker(mine, "market"))
        roles[2].kill()
        await loading
        await wait_drained(mine)
    finally:
        for process in roles:
            process.send_signal(signal.SIGTERM)
        for process in roles:
            process.wait(30)

    once = (
        'SELECT interval_end FROM market_panes GROUP BY 1, "partition" HAVING count(*) > 1 '
        "UNION ALL SELECT interval_end FROM pane_ends GROUP BY 1, source_partition "
        "HAVING count(*) > 1"
    )
    assert rows_of(mine, once, 0) == []
    rows = rows_of(mine, "SELECT * FROM signals", 1)
    served = {
        (row["symbol"], row["trigger"], row["trigger_ref"], row["revision"]): row["features"]
        for row in rows
    }
    whole = await asyncio.to_thread(Replayed, dataset, policy_of(mine), 2, seed=0)
    expected = whole.features()
    assert served == {key: list(features.values()) for key, features in expected.items()}
    place = FEATURE_SETS["intraday"].names.index("return_market_rank_5m")
    assert sum(features[place] is not None for features in served.values()) > len(served) // 2
    code, found = verified(environment(mine))
    assert (code, found["equal"]) == (0, len(rows)), found
    n_panes = len(rows_of(mine, "SELECT 1 FROM market_panes", 1))
    assert found["market"] | {"equal": 0} == dict.fromkeys(found["market"], 0), found
    assert found["market"]["equal"] == n_panes
    told = [each for each in found["roles"] if each["role"] == "market"]
    assert sum(each["delivered"] for each in told) == len(
        rows_of(mine, "SELECT 1 FROM pane_ends", 1)
    )
