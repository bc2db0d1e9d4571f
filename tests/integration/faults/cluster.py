"""Kafka brokers of a test's own, from the stack's jars, each to be pulled and put back."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka.admin import AdminClient

from tests.integration.faults.plugs import STACK

_LOG4J = Path(__file__).parents[2] / "stack" / "log4j2.properties"
_CLUSTER_ID = "dGFwZXdpcmUtZmF1bHRzMQ"
_UP_S = 60.0
_JAVA = (
    "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    f"-Dlog4j2.configurationFile={_LOG4J}",
    "-cp", f"{STACK}/kafka/lib/*",
)  # fmt: skip


class Cluster:
    """As many brokers as asked, all of them voters too; children of this process.

    settings : more of each broker's own.
    """

    def __init__(self, folder: Path, n: int, **settings: str) -> None:
        self._folder = folder
        self._n = n
        self._settings = settings
        self._ports = [(_free_port(), _free_port()) for _ in range(n)]
        self._brokers: dict[int, subprocess.Popen[bytes]] = {}
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port, _ in self._ports)

    def __enter__(self) -> Cluster:
        for node in range(self._n):
            self._configure(node)
        self.start(range(self._n))
        return self

    def __exit__(self, *_: object) -> None:
        for broker in self._brokers.values():
            broker.kill()
        for broker in self._brokers.values():
            broker.wait()

    def start(self, nodes: Sequence[int]) -> None:
        """Start brokers and wait until the cluster has all of its nodes."""
        for node in nodes:
            with (self._folder / f"{node}.log").open("ab") as log:
                self._brokers[node] = subprocess.Popen(
                    [*_JAVA, "kafka.Kafka", str(self._folder / f"{node}.properties")],
                    stdout=log,
                    stderr=log,
                )
        until = time.monotonic() + _UP_S
        while self._n_up() < self._n:
            assert time.monotonic() < until, (self._folder / f"{nodes[0]}.log").read_text()[-3_000:]
            time.sleep(0.2)

    def pull(self, way: str, away_s: float) -> None:
        """Pull the first broker, leave it away for a while and bring it back."""
        broker = self._brokers[0]
        if way == "stop":
            broker.send_signal(signal.SIGSTOP)
            time.sleep(away_s)
            broker.send_signal(signal.SIGCONT)
            return
        self.end(0, signal.SIGKILL if way == "kill" else signal.SIGTERM)
        time.sleep(away_s)
        self.start([0])

    def end(self, node: int, sig: int) -> None:
        """Signal a broker and wait for its end."""
        self._brokers[node].send_signal(sig)
        self._brokers[node].wait(30)

    def _n_up(self) -> int:
        try:
            admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            return len(admin.list_topics(timeout=1).brokers)
        except Exception:
            return 0

    def _configure(self, node: int) -> None:
        port, controller = self._ports[node]
        voters = ",".join(f"{i}@127.0.0.1:{c}" for i, (_, c) in enumerate(self._ports))
        copies = min(3, self._n)
        config = self._folder / f"{node}.properties"
        config.write_text(
            "process.roles=broker,controller\n"
            f"node.id={node}\n"
            f"controller.quorum.voters={voters}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={self._folder / str(node)}\n"
            "auto.create.topics.enable=false\n"
            "group.initial.rebalance.delay.ms=0\n"
            "offsets.topic.num.partitions=4\n"
            f"offsets.topic.replication.factor={copies}\n"
            "transaction.state.log.num.partitions=4\n"
            f"transaction.state.log.replication.factor={copies}\n"
            f"transaction.state.log.min.isr={max(1, copies - 1)}\n"
            f"share.coordinator.state.topic.replication.factor={copies}\n"
            "log.cleaner.dedupe.buffer.size=16777216\n"
            "num.network.threads=2\n"
            "num.io.threads=4\n"
            + "".join(f"{name.replace('_', '.')}={it}\n" for name, it in self._settings.items())
        )
        subprocess.run(
            [*_JAVA, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config)],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
