"""Kafka, TimescaleDB and Redis that speak TLS and ask who is there: real, and this test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka as kafka
import psycopg
import pytest
from psycopg import sql

from stream.embedded.process import free_port, start, stop
from tests.integration.wire.certificates import Issued, issue, make_authority

USER = "writer"
PLAIN_PASSWORD = "plain-Zq8vT1-secret"
SCRAM_PASSWORD = "scram=Xw4/kP9-secret"
DATABASE_PASSWORD = "pg-Rm5@yL2:secret"  # in a DSN: @ as %40, : as %3A
REDIS_PASSWORD = "redis-Hb7nD3-secret"
SECRETS = (PLAIN_PASSWORD, SCRAM_PASSWORD, DATABASE_PASSWORD, REDIS_PASSWORD, "pg-Rm5%40yL2")

_SCRIPTS = Path(__file__).parents[2] / "stack"
STACK = Path(os.environ.get("STACK_DIR", _SCRIPTS.parents[1] / ".stack"))
_POSTGRES_UID = 5433
_BIN = "/usr/lib/postgresql/17/bin"
_POSTGRES = ("listen_addresses=localhost", "ssl=on", "unix_socket_directories=", "fsync=off")
_LISTENERS = {
    "SASL": "SASL_SSL",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "RENAMED": "SSL",
    "OPEN": "SASL_PLAINTEXT",
    "INSIDE": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
}


@dataclass(frozen=True)
class Authorities:
    """Whom the servers' certificates come from, whom they do not, and a client's certificate."""

    ca: Issued
    stranger: Issued
    server: Issued
    expired: Issued
    renamed: Issued
    client: Issued


def make_authorities(folder: Path) -> Authorities:
    """Both authorities and what the first one signed."""
    folder.mkdir()
    ca = make_authority(folder, "ca")
    return Authorities(
        ca,
        make_authority(folder, "stranger"),
        issue(ca, "server"),
        issue(ca, "expired", days=-1),
        issue(ca, "renamed", names="DNS:elsewhere"),
        issue(ca, "client", names="DNS:client"),
    )


@contextlib.contextmanager
def kafka_with_tls(jars: Path, folder: Path, known: Authorities) -> Iterator[dict[str, str]]:
    """A KRaft node; gives the address of each listener."""
    folder.mkdir()
    at = {name: f"localhost:{free_port()}" for name in _LISTENERS}
    (folder / "server.pem").write_text(known.server.both)
    (folder / "expired.pem").write_text(known.expired.both)
    (folder / "renamed.pem").write_text(known.renamed.both)
    config = folder / "server.properties"
    config.write_text(_kafka_config(folder, at, known))
    log4j = _SCRIPTS / "log4j2.properties"
    java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
    java.append(f"-Dlog4j2.configurationFile={log4j}")
    command = [*java, "-Xmx128m", "kafka.tools.StorageTool", "format", "-c", str(config)]
    command += ["-t", "d2lyZS10ZXN0LWNsdXN0ZQ"]
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        command += ["--add-scram", f"{mechanism}=[name={USER},password={SCRAM_PASSWORD}]"]
    subprocess.run(command, check=True, capture_output=True)
    log = folder / "server.log"
    process = start(
        "kafka",
        [*java, "-Xms256m", "-Xmx256m", "kafka.Kafka", str(config)],
        log,
        lambda: "Kafka Server started" in log.read_text(),
    )
    try:
        _coordinate(at["INSIDE"])
        yield at
    finally:
        stop(process, signal.SIGKILL)  # nothing of it is kept


def _coordinate(broker: str) -> None:
    """Have groups and transactions coordinated: a first group on a fresh broker may wait 30 s."""
    here = {"bootstrap.servers": broker, "log_level": 0}
    kafka.Producer({**here, "transactional.id": "first"}).init_transactions(30)
    consumer = kafka.Consumer({**here, "group.id": "first"})
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(kafka.KafkaException):  # the coordinator is being found
            consumer.committed([kafka.TopicPartition("first", 0)], timeout=5)
            break
        time.sleep(0.1)
    consumer.close()


def _kafka_config(folder: Path, at: dict[str, str], known: Authorities) -> str:
    listeners = ",".join(f"{name}://{place}" for name, place in at.items())
    advertised = ",".join(f"{n}://{place}" for n, place in at.items() if n != "CONTROLLER")
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
    lines = [
        "process.roles=broker,controller",
        "node.id=1",
        f"controller.quorum.voters=1@{at['CONTROLLER']}",
        f"listeners={listeners}",
        f"advertised.listeners={advertised}",
        "listener.security.protocol.map=" + ",".join(f"{n}:{p}" for n, p in _LISTENERS.items()),
        "controller.listener.names=CONTROLLER",
        "inter.broker.listener.name=INSIDE",
        f"log.dirs={folder}/data",
        "auto.create.topics.enable=false",
        "offsets.topic.num.partitions=1",
        "offsets.topic.replication.factor=1",
        "transaction.state.log.num.partitions=1",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
        "log.cleaner.dedupe.buffer.size=16777216",
        "listener.name.mutual.ssl.client.auth=required",
        "listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.open.sasl.enabled.mechanisms=SCRAM-SHA-512",
        f"listener.name.sasl.plain.sasl.jaas.config={plain} required "
        f'user_{USER}="{PLAIN_PASSWORD}";',
        f"listener.name.sasl.scram-sha-256.sasl.jaas.config={scram} required;",
        f"listener.name.sasl.scram-sha-512.sasl.jaas.config={scram} required;",
        f"listener.name.open.scram-sha-512.sasl.jaas.config={scram} required;",
    ]
    shown = {"sasl": "server", "mutual": "server", "expired": "expired", "renamed": "renamed"}
    for name, file in shown.items():
        lines += [
            f"listener.name.{name}.ssl.keystore.type=PEM",
            f"listener.name.{name}.ssl.keystore.location={folder}/{file}.pem",
            f"listener.name.{name}.ssl.truststore.type=PEM",
            f"listener.name.{name}.ssl.truststore.location={known.ca.certificate}",
        ]
    return "\n".join(lines) + "\n"


class Database:
    """A PostgreSQL of the stack's packages whose every connection needs TLS and a password."""

    def __init__(self, root: Path, known: Authorities) -> None:
        self._known = known
        self._root = root
        self._data = root / f"wire-{os.getpid()}"
        self._inside = _inside(root)
        self.port = free_port()
        self._log = root.parent / f"wire-{os.getpid()}.log"

    def dsn(self, password: str = "pg-Rm5%40yL2%3Asecret", ca: Path | None = None) -> str:
        """The address of the database, verified against the tests' authority or `ca`."""
        return (
            f"postgresql://{USER}:{password}@localhost:{self.port}/postgres"
            f"?sslmode=verify-full&sslrootcert={ca or self._known.ca.certificate}"
        )

    @contextlib.contextmanager
    def run(self) -> Iterator[Database]:
        """Initialise, start, and remove at the end."""
        self._data.mkdir(mode=0o700)
        try:
            self._own(self._data)
            (self._root / "wire-password").write_text(DATABASE_PASSWORD)
            self._run(
                *("initdb", "-D", f"/{self._data.name}", "-U", USER, "--pwfile=/wire-password"),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            )
            (self._root / "wire-password").unlink()
            self.present(self._known.server, reload=False)
            (self._data / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
            command = [*self._inside, f"{_BIN}/postgres", "-D", f"/{self._data.name}"]
            command += ["-p", str(self.port)]
            for setting in _POSTGRES:
                command += ["-c", setting]
            process = start("postgres", command, self._log, self._answers)
            try:
                yield self
            finally:
                stop(process, signal.SIGINT)
        finally:
            shutil.rmtree(self._data)
            self._log.unlink(missing_ok=True)

    def present(self, issued: Issued, *, reload: bool = True) -> None:
        """Let the server show this certificate."""
        for name, source in (("server.crt", issued.certificate), ("server.key", issued.key)):
            target = self._data / name
            target.unlink(missing_ok=True)
            target.write_text(source.read_text())
            target.chmod(0o600)
            self._own(target)
        if reload:
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGHUP)

    def change_password(self, password: str, of: str) -> None:
        """Give the user another password, and end its sessions."""
        with psycopg.connect(of, autocommit=True) as connection:
            change = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(change.format(sql.Identifier(USER), sql.Literal(password)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = current_user AND pid <> pg_backend_pid()"
            )

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.dsn(), connect_timeout=2).close()
            return True
        return False

    def _own(self, path: Path) -> None:
        if self._inside[0] == "chroot":
            os.chown(path, _POSTGRES_UID, _POSTGRES_UID)

    def _run(self, program: str, *words: str) -> None:
        command = [*self._inside, f"{_BIN}/{program}", *words]
        subprocess.run(command, check=True, capture_output=True)


def _inside(root: Path) -> list[str]:
    """How the stack's own script enters the folder of its packages."""
    uid = str(_POSTGRES_UID)
    if not (root / _BIN.lstrip("/") / "postgres").exists():
        _cannot("the stack has no TimescaleDB packages here, and embedded PostgreSQL no TLS")
    if subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode:
        return ["chroot", f"--userspec={uid}:{uid}", str(root)]
    users = [f"--map-user={uid}", f"--map-group={uid}"]
    return ["unshare", "--user", *users, f"--root={root}", "--wd=/"]


@contextlib.contextmanager
def redis_with_tls(folder: Path, known: Authorities) -> Iterator[str]:
    """A Redis that listens on TLS alone and asks for a password; gives its URL."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        _cannot("needs a redis-server built with TLS: apt-get install redis-server")
    folder.mkdir()
    port = free_port()
    options = {
        "port": 0,
        "tls-port": port,
        "tls-cert-file": known.server.certificate,
        "tls-key-file": known.server.key,
        "tls-ca-cert-file": known.ca.certificate,
        "tls-auth-clients": "no",
        "bind": "127.0.0.1",
        "dir": folder,
        "save": '""',
        "requirepass": REDIS_PASSWORD,
    }
    config = folder / "redis.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))

    def answers() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    process = start("redis", [binary, str(config)], folder / "server.log", answers)
    try:
        yield (f"rediss://:{REDIS_PASSWORD}@localhost:{port}/0?ssl_ca_certs={known.ca.certificate}")
    finally:
        stop(process)


def _cannot(why: str) -> None:
    if "CI" in os.environ:
        pytest.fail(f"CI has every server, but {why}", pytrace=False)
    pytest.skip(why)
