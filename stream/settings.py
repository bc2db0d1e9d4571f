"""Everything that can be set, read once in `cli.py` and passed down. Environment: TAPEWIRE_*."""

from __future__ import annotations

import os
from math import fsum, isclose
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.sentiment.model import ENSEMBLE, Device, misspelt
from stream import wire
from stream.errors import Refused

Role = Literal["sentiment", "score", "archive", "clock", "explain", "market"]
Share = Annotated[float, Field(ge=0, le=1)]


def _check(mistake: str | None) -> None:
    if mistake is not None:
        raise PydanticCustomError("wire", "{mistake}", {"mistake": mistake})


def _sentiment(name: str) -> str:
    _check(misspelt(name))
    return name


SentimentName = Annotated[str, AfterValidator(_sentiment)]


def _broker(broker: str) -> str:
    _check(wire.broker_form(broker))
    return broker


def _dsn(dsn: SecretStr) -> SecretStr:
    _check(wire.database_form(dsn.get_secret_value()))
    return dsn


def _url(url: SecretStr) -> SecretStr:
    _check(wire.redis_form(url.get_secret_value()))
    return url


class Settings(BaseSettings):
    """Where the servers are, which namespace this is, and the policy that signals obey."""

    model_config = SettingsConfigDict(
        env_prefix="TAPEWIRE_",
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
    )

    broker: Annotated[str, AfterValidator(_broker)] = Field(
        "127.0.0.1:9092", description="Kafka bootstrap servers, host:port,..."
    )
    broker_tls: bool = Field(False, description="TLS to the broker, its certificate verified")
    broker_ca: Path | None = Field(None, description="PEM of the broker's CA; default: system's")
    broker_certificate: Path | None = Field(None, description="PEM of a client certificate")
    broker_key: Path | None = Field(None, description="PEM of its key, without a passphrase")
    broker_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    broker_user: str | None = None
    broker_password: SecretStr | None = None
    database: Annotated[SecretStr, AfterValidator(_dsn)] = Field(
        SecretStr("postgresql://postgres@127.0.0.1:5432/postgres"), description="PostgreSQL DSN"
    )
    redis: Annotated[SecretStr, AfterValidator(_url)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis URL"
    )
    secrets: Path | None = Field(
        None, description="folder of files named after settings; the environment goes first"
    )
    embedded: bool = Field(False, description="the broker is the embedded one: no isolation")
    run_id: str = Field("", description="names the embedded broker's life: it has no topic ids")

    namespace: str = Field(
        "tapewire",
        pattern=r"^[a-z][a-z0-9_]{0,30}$",
        description="prefix of topics and name of the database schema",
    )
    mode: Literal["live", "replay"] = "live"
    feature_set: Literal["intraday", "daily"] = "intraday"
    tape: Literal["ticks", "bars"] = Field("ticks", description="the topic that moves event time")
    partitions: PositiveInt = Field(4, description="of every topic; fixed for a namespace's life")
    replication: PositiveInt = 1
    instance: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,60}$",
        description="name of this process in its groups: started again under it within 6 s it has "
        "its partitions back at once; no two at a time may share one",
    )
    data_dir: Path = Path(".tapewire")

    sentiment_model: SentimentName = Field(
        "minilm",
        description="lexicon, minilm, onnx:FOLDER, torch:NAME, torch:NAME@REVISION, torch:FOLDER, "
        "or ensemble",
    )
    sentiment_weights: dict[SentimentName, PositiveFloat] = Field(
        {}, description="of the ensemble's members; they sum to 1"
    )
    sentiment_shares: dict[SentimentName, Share] = Field(
        {},
        description="other models' shares of the articles, by a hash of the article's id; above "
        "0.2 together no signal of a trained model is actionable, which abstains from such news",
    )
    sentiment_missing: Literal["degrade", "stop"] = Field(
        "degrade", description="a model that cannot be loaded: the lexicon instead, or the end"
    )
    sentiment_cache: Path | None = Field(
        None, description="folder of downloaded checkpoints; with one nothing is downloaded"
    )
    sentiment_device: Device = Field("auto", description="of a torch model; auto: CUDA if there")
    score_cache_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        900, description="how long Redis keeps the score of a text; 0: it is not asked"
    )
    symbols_file: Path | None = Field(
        None, description="CSV of symbol, company, aliases (a|b), sector: names found in articles"
    )
    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2,3}$")], ...] = Field(
        ("en",),
        description="an article whose lang is another, or whose letters are, is unscorable; "
        "[]: none is",
    )
    unscorable: Literal["neutral", "refuse"] = Field(
        "neutral", description="articles in other languages or without words: neutral, by no model"
    )
    benchmark: str = Field(
        "", description="symbol whose return is the market's; default: the mean of all symbols"
    )
    calendar: str = Field("XNYS", description="calendar of symbols without an instrument")
    calendars: tuple[str, ...] = Field((), description="more calendars for the clock to state")
    lateness_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        2.0, description="how long after its end a pane waits for ticks"
    )
    feed_delay_s: PositiveFloat = Field(
        60.0, description="assumed delay of articles without received_at in a replay"
    )
    scoring_delay_s: PositiveFloat = Field(1.0, description="assumed scoring time in a replay")
    market_delay_s: PositiveFloat = Field(2.0, description="beats are stamped now minus this")
    max_ahead_s: PositiveFloat = Field(
        60.0, description="an event time further ahead of its Kafka timestamp is a dead letter"
    )
    stale_after_s: PositiveFloat | None = Field(
        None, description="older prices make a signal not actionable; default by feature set"
    )
    confidence: Share = Field(0.65, description="threshold of the rules model")
    score_every_tick: bool = False
    rules_may_act: bool = Field(False, description="signals of the rules model may be actionable")
    challenger_share: Share = Field(
        0.0,
        description="symbols, by a hash, whose signals are the challenger's while there is one; "
        "the champion's are its shadow then",
    )
    model_max_age_days: PositiveFloat | None = Field(
        None, description="an older champion is expired: the rules model scores instead"
    )
    require_instruments: bool = Field(
        False, description="a symbol without an instrument is a dead letter"
    )

    checkpoint_idle_s: PositiveFloat = Field(0.02, description="soonest checkpoint after a signal")
    checkpoint_busy_s: PositiveFloat = Field(0.5, description="longest time between checkpoints")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0, description="first Prometheus port on loopback, one more a role; 0 is off"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(wire.broker_mistake(self))
        _check(_sentiment_mistake(self))
        return self

    @property
    def staleness_s(self) -> float:
        """Age of the last price beyond which a signal abstains, in seconds."""
        if self.stale_after_s is not None:
            return self.stale_after_s
        return 300.0 if self.feature_set == "intraday" else 4 * 86_400.0

    def topic(self, name: str) -> str:
        """The topic's full name in this namespace."""
        return f"{self.namespace}.{name}"

    def group(self, role: str) -> str:
        """The consumer group of a role in this namespace."""
        return f"{self.namespace}-{role}"


def _variable(loc: tuple[int | str, ...]) -> str:
    """The environment's name of a setting, and the item in it."""
    items = "".join(f"[{item}]" for item in loc[1:] if item != "[key]")
    return f"TAPEWIRE_{str(loc[0]).upper()}{items}"


def _sentiment_mistake(settings: Settings) -> str | None:
    model, shares = settings.sentiment_model, settings.sentiment_shares
    weights, cache = settings.sentiment_weights, settings.sentiment_cache
    if ENSEMBLE in weights:
        return f"TAPEWIRE_SENTIMENT_WEIGHTS: expected single models, got {ENSEMBLE}"
    if (ENSEMBLE in (model, *shares)) != bool(weights):
        return (
            f"TAPEWIRE_SENTIMENT_WEIGHTS: expected weights beside a model {ENSEMBLE}, and none "
            f"without, got {weights or 'none'} beside {model}"
        )
    if weights and (len(weights) < 2 or not isclose(fsum(weights.values()), 1.0)):
        return f"TAPEWIRE_SENTIMENT_WEIGHTS: expected two or more that sum to 1, got {weights}"
    if model in shares or fsum(shares.values()) > 1.0:
        return (
            "TAPEWIRE_SENTIMENT_SHARES: expected shares of at most 1 together, of other models "
            f"than {model}, got {shares}"
        )
    if cache is not None and not cache.is_dir():
        return f"TAPEWIRE_SENTIMENT_CACHE={cache}: expected a folder, found none"
    return None


def read_settings(**given: object) -> Settings:
    """Settings from `given`, then the environment, then the files of TAPEWIRE_SECRETS.

    Raises Refused with one line a mistake.
    """
    folder = os.environ.get("TAPEWIRE_SECRETS")
    if folder is not None and not Path(folder).is_dir():
        raise Refused(f"TAPEWIRE_SECRETS={folder}: expected a folder, found none")
    changes = {k: v for k, v in given.items() if v is not None}
    try:
        return Settings(_secrets_dir=folder, **changes)  # type: ignore[call-arg, arg-type]
    except SettingsError as error:
        raise Refused(
            f"environment: {error}; lists are written as JSON; files are UTF-8 that we may read"
        ) from None
    except ValidationError as error:
        raise Refused(
            "; ".join(
                f"{_variable(e['loc'])}: {e['msg']}"
                if e["loc"]
                else e["msg"]  # about several, which it names
                for e in error.errors(include_input=False, include_url=False)
            )
        ) from None
