"""What all rivals share: one symbol's features, the model, the signal. Pure; runs in their venv."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import msgspec

from models.rules import RulesModel
from stream.events import encode
from stream.features.panes import MINUTE_US, Pane
from stream.features.symbol import SymbolState
from stream.scoring.due import due_at
from stream.scoring.policy import Policy
from stream.scoring.signal import build_signal

_NO_MODEL = "no trained model yet"


class Job(msgspec.Struct, kw_only=True):
    """What a rival process is told, as JSON in its first argument.

    n_records : in `ticks`, over all partitions, clock ticks included.
    sessions : opens and closes in time order: (at in us, kind, the session's date ordinal).
    way : how the job is written: "windows" or "stateful".
    """

    broker: str
    ticks: str
    signals: str
    group: str
    state_dir: str
    n_records: int
    policy: Policy
    sessions: tuple[tuple[int, str, int], ...]
    way: str
    exactly_once: bool
    checkpoint_s: float


class Took(msgspec.Struct):
    """What a rival process prints: from its first record to its last checkpoint."""

    wall_s: float
    cpu_s: float


class Stopwatch:
    """Wall and CPU time of this process since its first record."""

    def __init__(self) -> None:
        self._since: tuple[float, float] | None = None

    def start(self) -> None:
        """Start, unless started."""
        if self._since is None:
            self._since = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        """What passed since the start."""
        assert self._since is not None, "no record came"
        wall_s, cpu_s = self._since
        return Took(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def end_of(ts: int) -> int:
    """End of the pane that holds `ts`, in microseconds."""
    return ts - ts % MINUTE_US + MINUTE_US


class Symbol:
    """One symbol's trades or panes in, its signals out. Times in microseconds.

    Parameters
    ----------
    slots : what `slots()` gave before a restart.
    """

    def __init__(self, symbol: str, job: Job, slots: Mapping[str, bytes] | None = None) -> None:
        self.symbol = symbol
        features = job.policy.features
        self._policy, self._sessions = job.policy, job.sessions
        self._policy_id = job.policy.policy_id
        self._model = RulesModel(
            features.name, features.version, features.names, job.policy.confidence
        )
        self._state = SymbolState(symbol, features)
        self._slots = dict(slots or {})
        self._told = int(self._slots.get("told", 0))  # sessions through here are known
        self._state.restore({slot: v for slot, v in self._slots.items() if slot != "told"})

    @property
    def told(self) -> bytes:
        """Tells one checkpoint of the symbol from another."""
        return str(self._told).encode()

    def add_trade(self, ts: int, price: float, size: float, regular: bool) -> bool:
        """Add a trade to its pane; False, with nothing changed, where that is closed."""
        if not self._told:
            self._begin(ts)
        return self._state.apply_trade(ts, price, size, regular=regular)

    def add_pane(self, pane: Pane, first_at: int) -> None:
        """Add a pane that the framework's window has folded; its first trade was at `first_at`."""
        if not self._told:
            self._begin(first_at)
        tape = self._state._tape.open  # only trades come in by the front door
        tape.panes[pane.start] = pane
        tape.misc.last_price = pane.close

    def close(self, end: int) -> list[bytes]:
        """Close the panes through `end`; their signals."""
        before = end + self._policy.lateness_us
        for at, kind, day in self._sessions:
            if self._told < at < before:
                self._state.apply_session(kind, day, at)
        self._told = max(self._told, before - 1)
        return [self._signal(pane.end) for pane in self._state.close_through(end)]

    def close_due(self, event_time: int) -> Iterator[bytes]:
        """Signals of the panes whose lateness is over at `event_time`."""
        end = self._state.next_close()
        while end is not None and end + self._policy.lateness_us <= event_time:
            yield from self.close(end)
            end = self._state.next_close()

    def changes(self) -> dict[str, bytes | None]:
        """Slots changed since the last call; None deletes one."""
        changed: dict[str, bytes | None] = {**dict(self._state.take_changes()), "told": self.told}
        for slot, value in changed.items():
            if value is None:
                self._slots.pop(slot, None)
            else:
                self._slots[slot] = value
        return changed

    def slots(self) -> dict[str, bytes]:
        """All slots, for a restart."""
        self.changes()
        return dict(self._slots)

    def _begin(self, ts: int) -> None:
        """A new symbol is told the newest close, then the newest open."""
        for kind in ("close", "open"):
            at, day = max((at, day) for at, k, day in self._sessions if k == kind and at <= ts)
            self._state.apply_session(kind, day, at)
        self._told = ts

    def _signal(self, cut: int) -> bytes:
        as_of = cut + self._policy.lateness_us
        due = due_at(self._state, "pane", str(cut), as_of, cut, live=False)
        signal = build_signal(
            due,
            self._model,
            self._policy,
            self._policy_id,
            {},  # offsets are the frameworks' own business
            set_off_by="ticks",
            rules_because=_NO_MODEL,
            build="bench",
            emitted_at_us=time.time_ns() // 1000,
        )
        return encode(signal)
