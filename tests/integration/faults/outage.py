"""The database away for long: signals keep flowing, archive's memory is bounded, it catches up."""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import asdict, dataclass

from stream.engine.topics import lag
from stream.settings import Settings
from tests.integration.faults.plugs import ServerPlug, role_pid, rss_mb
from tests.integration.faults.run import TICKS_PER_S, Watch

_SAMPLE_S = 5.0
_STILL_S = 60.0  # without a smaller lag
_FOLLOWS = 2 * TICKS_PER_S  # records: it is with the stream again
_SILENCE_S = 30.0  # a pane closes about every second here, an article comes five times as often
_GROWTH_MB = 200  # of a partition 8,000 records wait at most; these topics made it 67


@dataclass(frozen=True)
class Outage:
    """What was seen while the database was away and after."""

    away_s: float
    longest_silence_s: float  # between two commits of signals
    rss_before_mb: int  # of archive
    rss_highest_mb: int
    rss_after_mb: int
    lag: int  # records that only the broker had when the database came back
    caught_up_s: float

    def raise_if_wrong(self) -> None:
        """AssertionError that says all of it."""
        assert self.rss_highest_mb - self.rss_before_mb < _GROWTH_MB, asdict(self)
        assert self.longest_silence_s < _SILENCE_S, asdict(self)
        assert self.lag > TICKS_PER_S * self.away_s / 2, asdict(self)


def outage(settings: Settings, workers: subprocess.Popen[bytes], away_s: float) -> Outage:
    """Take the database away, look on, bring it back and wait until archive has caught up."""
    archive = role_pid(workers.pid, "archive")
    before = rss_mb(archive)
    seen = [before]
    plug = ServerPlug("timescale")
    with Watch(settings) as watch:
        plug.down("term")
        began = time.monotonic()
        try:
            while (left := began + away_s - time.monotonic()) > 0:
                time.sleep(min(left, _SAMPLE_S))
                seen.append(rss_mb(archive))
        finally:
            lagging = _lag(settings)
            plug.up()
        back = time.monotonic()
        silence_s = watch.longest_silence_s(began, back)
        least, until = lagging, back + _STILL_S
        while (left := _lag(settings)) > _FOLLOWS:
            if left < least:
                least, until = left, time.monotonic() + _STILL_S
            assert time.monotonic() < until, f"archive does not catch up: {left} of {lagging}"
            seen.append(rss_mb(archive))
            time.sleep(0.5)
    assert role_pid(workers.pid, "archive") == archive, "archive ended and was started again"
    return Outage(
        away_s=round(back - began, 1),
        longest_silence_s=round(silence_s, 1),
        rss_before_mb=before,
        rss_highest_mb=max(seen),
        rss_after_mb=rss_mb(archive),
        lag=lagging,
        caught_up_s=round(time.monotonic() - back, 1),
    )


def _lag(settings: Settings) -> int:
    found = asyncio.run(lag(settings, settings.group("archive")))
    return sum(end - position for position, end in found.values())
