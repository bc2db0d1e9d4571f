"""Which settings of the wire fit together, secrets as files, and what is said of open servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from stream.cli.start import prepare_and_run
from stream.database import explained
from stream.engine.clients import client_options, faust_options, librdkafka_options
from stream.errors import Refused, Unavailable
from stream.sentiment.agent import run_sentiment
from stream.settings import Settings, read_settings
from stream.wire import exposed

SECRET = "hunter2"
SASL = {"broker_sasl": "SCRAM-SHA-512", "broker_user": "me", "broker_password": SECRET}
DSN = "TAPEWIRE_DATABASE: expected postgresql://"
URL = "TAPEWIRE_REDIS: expected redis://"
REMOTE = "broker-1.example:9092,broker-2.example:9092"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"broker_sasl": "PLAIN"},
            "TAPEWIRE_BROKER_USER: expected one beside TAPEWIRE_BROKER_SASL",
        ),
        ({**SASL, "broker_password": ""}, "TAPEWIRE_BROKER_PASSWORD: expected one beside"),
        ({"broker_user": "me"}, "TAPEWIRE_BROKER_SASL: expected PLAIN, SCRAM-SHA-256 or"),
        ({"broker_password": SECRET}, "TAPEWIRE_BROKER_SASL: expected PLAIN, SCRAM-SHA-256 or"),
        ({**SASL, "broker_sasl": "GSSAPI"}, "TAPEWIRE_BROKER_SASL: Input should be 'PLAIN'"),
        (
            {**SASL, "broker_sasl": "PLAIN", "broker": REMOTE},
            "TAPEWIRE_BROKER_SASL=PLAIN: the pass",
        ),
        ({**SASL, "broker_sasl": "PLAIN", "broker": "127.0.0.1,b:1"}, "TAPEWIRE_BROKER_SASL=PLAIN"),
        ({**SASL, "embedded": True}, "the embedded broker has neither"),
        ({"broker_ca": "ca.pem"}, "TAPEWIRE_BROKER_TLS: expected true beside TAPEWIRE_BROKER_CA"),
        (
            {"broker_tls": True, "broker_ca": "/none.pem"},
            "TAPEWIRE_BROKER_CA=/none.pem: expected a",
        ),
        ({"broker_tls": True, "broker_certificate": __file__}, "TAPEWIRE_BROKER_KEY: expected one"),
        ({"broker_tls": True, "broker_key": __file__}, "TAPEWIRE_BROKER_CERTIFICATE: expected one"),
        (
            {"broker": f"kafka://me:{SECRET}@b:9092"},
            "TAPEWIRE_BROKER: expected host:port,host:port",
        ),
        ({"broker": "b:9092,b:port"}, "TAPEWIRE_BROKER: expected host:port,host:port"),
        ({"database": f"postgresql://me:{SECRET}/2@db/market"}, DSN),
        ({"database": f"postgresql://me:1{SECRET}@2@db/market"}, DSN),
        ({"database": f"host=db password={SECRET} pass"}, DSN),
        ({"redis": f"redis://:{SECRET}/2@cache:6379/0"}, URL),
        ({"redis": f"redis://:12/{SECRET}@cache:6379/0"}, URL),
        ({"redis": f"http://:{SECRET}@cache/0"}, URL),
    ],
)
def test_what_makes_no_sense_is_one_line_that_names_the_setting_and_no_secret(
    given: dict[str, object], says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_settings(**given)
    assert str(refused.value).startswith(says) or says in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValidationError) as invalid:
        Settings(**given)  # type: ignore[arg-type]
    assert SECRET not in str(invalid.value) + repr(invalid.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        SASL,
        {**SASL, "broker": REMOTE},
        {**SASL, "broker_sasl": "PLAIN", "broker": "localhost:1,[::1]:2,127.0.0.7:3"},
        {**SASL, "broker_sasl": "PLAIN", "broker": REMOTE, "broker_tls": True},
        {"broker_tls": True},
        {"database": "postgresql://me:a%40b%2Fc@db:5432/market?sslmode=verify-full"},
        {"database": "host=/run/postgresql dbname=market"},
        {"database": "postgresql://me@db-1:5432,db-2:5433/market"},
        {"redis": "unix:///run/redis.sock"},
        {"redis": "rediss://me:a%40b@cache:6380/1?ssl_ca_certs=/ca.pem"},
    ],
)
def test_what_makes_sense_is_taken(given: dict[str, object]) -> None:
    assert read_settings(**given).model_fields_set == set(given)


def test_a_secret_is_in_no_form_of_the_settings() -> None:
    settings = read_settings(
        **SASL,
        database=f"postgresql://me:{SECRET}@db/market",
        redis=f"redis://:{SECRET}@cache/0",
    )
    forms = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())]
    forms.append(json.dumps(settings.model_dump(mode="json")))
    assert not any(SECRET in form for form in forms)


def test_every_library_gets_the_same_way_in() -> None:
    settings = read_settings(**SASL, broker=REMOTE, broker_tls=True)
    rd = librdkafka_options(settings)
    assert (rd["security.protocol"], rd["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (rd["sasl.username"], rd["sasl.password"]) == ("me", SECRET)
    assert rd["ssl.endpoint.identification.algorithm"] == "https"
    aio = client_options(settings)
    assert (aio["security_protocol"], aio["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert aio["sasl_plain_password"] == SECRET
    assert aio["ssl_context"].check_hostname
    credentials = faust_options(settings)["broker_credentials"]
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.ssl_context.check_hostname
    assert SECRET not in repr(credentials)


def test_without_tls_and_password_nothing_of_them_is_asked_for() -> None:
    settings = read_settings()
    assert librdkafka_options(settings) == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "PLAINTEXT",
        "log_level": 0,
    }
    assert client_options(settings) == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
    }
    assert faust_options(settings) == {"broker": "kafka://127.0.0.1:9092"}


# -- secrets as files --------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TAPEWIRE_SECRETS", str(folder))
    return folder


def test_a_file_is_a_setting_in_either_case_and_without_its_last_newline(secrets: Path) -> None:
    (secrets / "TAPEWIRE_DATABASE").write_text("postgresql://me:hunter2@db/market\n")
    (secrets / "tapewire_partitions").write_text("7\n")
    settings = read_settings()
    assert settings.database.get_secret_value() == "postgresql://me:hunter2@db/market"
    assert settings.partitions == 7
    assert {"database", "partitions"} <= settings.model_fields_set


def test_the_environment_goes_before_a_file_and_an_argument_before_both(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "TAPEWIRE_NAMESPACE").write_text("from_file")
    (secrets / "TAPEWIRE_PARTITIONS").write_text("7")
    monkeypatch.setenv("TAPEWIRE_NAMESPACE", "from_environment")
    settings = read_settings()
    assert (settings.namespace, settings.partitions) == ("from_environment", 7)
    assert read_settings(partitions=3).partitions == 3


def test_links_into_a_folder_of_versions_are_read_as_kubernetes_mounts_them(secrets: Path) -> None:
    version = secrets / "..2026_11_21"
    version.mkdir()
    (version / "TAPEWIRE_NAMESPACE").write_text("mounted")
    (secrets / "..data").symlink_to(version.name)
    (secrets / "TAPEWIRE_NAMESPACE").symlink_to("..data/TAPEWIRE_NAMESPACE")
    assert read_settings().namespace == "mounted"


def test_a_folder_that_is_not_there_or_a_file_that_is_no_text_is_refused(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "TAPEWIRE_BROKER_PASSWORD").write_bytes(b"\xff\xfehunter2")
    with pytest.raises(Refused, match=r'"broker_password".*; files are UTF-8') as unread:
        read_settings()
    assert SECRET not in str(unread.value)
    monkeypatch.setenv("TAPEWIRE_SECRETS", str(secrets / "none"))
    with pytest.raises(Refused, match=r"TAPEWIRE_SECRETS=.*/none: expected a folder, found none"):
        read_settings()


def test_a_wrong_value_in_a_file_is_refused_by_its_name_without_the_value(secrets: Path) -> None:
    (secrets / "TAPEWIRE_PARTITIONS").write_text(SECRET)
    with pytest.raises(Refused, match="TAPEWIRE_PARTITIONS: Input should be a valid integer") as e:
        read_settings()
    assert SECRET not in str(e.value)


# -- what is said of open servers --------------------------------------------------------------


def test_a_server_beyond_loopback_without_tls_is_said_in_a_line_without_its_password() -> None:
    lines = exposed(
        read_settings(
            broker=REMOTE,
            database=f"postgresql://me:{SECRET}@db.example/market?sslmode=require",
            redis=f"redis://:{SECRET}@cache.example:6379/0",
        )
    )
    assert [line.partition(" without")[0] for line in lines] == [
        "TAPEWIRE_BROKER: broker-1.example, broker-2.example",
        "TAPEWIRE_DATABASE: db.example",
        "TAPEWIRE_REDIS: cache.example",
    ]
    assert not any(SECRET in line for line in lines)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"database": "host=/run/postgresql", "redis": "unix:///run/redis.sock"},
        {
            "broker": REMOTE,
            "broker_tls": True,
            "database": "postgresql://me@db.example/market?sslmode=verify-full&sslrootcert=/ca",
            "redis": "rediss://cache.example:6379/0?ssl_ca_certs=/ca",
        },
    ],
)
def test_nothing_is_said_of_loopback_or_of_tls(given: dict[str, object]) -> None:
    assert exposed(read_settings(**given)) == []


def test_libpq_s_own_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(database="postgresql://me@db.example/market")
    assert len(exposed(settings)) == 1
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert exposed(settings) == []


def test_verification_switched_off_is_no_tls() -> None:
    url = "rediss://cache.example:6379/0?ssl_cert_reqs=none"
    assert len(exposed(read_settings(redis=url))) == 1


def test_secrets_open_to_other_users_are_said(secrets: Path) -> None:
    assert exposed(read_settings()) == []
    secrets.chmod(0o755)
    assert exposed(read_settings()) == [
        f"TAPEWIRE_SECRETS={secrets}: open to other users of this machine; chmod 700 {secrets}"
    ]


def test_a_role_says_at_its_start_what_is_open(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")  # ends the role before it calls anyone
    settings = read_settings(
        broker_tls=True, broker_ca=tmp_path / "ca.pem", redis=f"redis://:{SECRET}@cache.example/0"
    )
    with capture_logs() as logs, pytest.raises(Refused, match="TAPEWIRE_BROKER_CA="):
        asyncio.run(prepare_and_run(settings, "sentiment", run_sentiment))
    assert [log["why"].partition(" without")[0] for log in logs] == [
        "TAPEWIRE_REDIS: cache.example"
    ]


# -- a database away, or one that refuses ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('FATAL: password authentication failed for user "me"', Refused),
        ("fe_sendauth: no password supplied", Refused),
        ('FATAL: role "me" does not exist', Refused),
        ('FATAL: no pg_hba.conf entry for host "1.2.3.4", user "me", no encryption', Refused),
        ('FATAL: database "market" does not exist', Refused),
        ("SSL error: certificate verify failed", Refused),
        ('root certificate file "/ca.pem" does not exist', Refused),
        ("server does not support SSL, but SSL was required", Refused),
        ('server certificate for "db" does not match host name "x"', Refused),
        ("Connection refused", Unavailable),
        ("FATAL: the database system is starting up", Unavailable),
        ("FATAL: sorry, too many clients already", Unavailable),
        ("SSL error: unexpected eof while reading", Unavailable),
        ("SSL SYSCALL error: EOF detected", Unavailable),
        ("timeout expired", Unavailable),
    ],
)
def test_a_database_that_refuses_is_told_from_one_that_is_away(text: str, kind: type) -> None:
    where = 'connection failed: connection to server at "1.2.3.4", port 5432 failed: '
    why = explained(psycopg.OperationalError(where + text))
    assert type(why) is kind
    assert str(why).startswith("TAPEWIRE_DATABASE: ")
    within = psycopg.OperationalError(f"consuming input failed: {text}")
    assert isinstance(explained(within), Unavailable)
