"""The verb that explains a stored signal."""

from __future__ import annotations

import json
from datetime import UTC
from math import isnan
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from models.artifact import ArtifactError
from stream.cli.last_demo import stored
from stream.cli.models import registry_of
from stream.cli.run import JsonFlag
from stream.database import explained
from stream.errors import Refused
from stream.settings import read_settings

_SIGNAL = """
SELECT symbol, as_of, direction, p_bearish, p_neutral, p_bullish, model_name, model_version,
    features, reasons
FROM signals WHERE signal_id = %s ORDER BY as_of DESC LIMIT 1
"""


def explain(
    signal_id: Annotated[str, typer.Argument(help="As on the signal.")],
    top: Annotated[int, typer.Option(min=1, help="So many features are shown.")] = 15,
    as_json: JsonFlag = False,
) -> None:
    """What each feature added to a stored signal of a trained model.

    Contributions sum to the log-odds of bullish against bearish, before the calibration.

    Example: tapewire explain 3f2a9c0d1e4b5a67
    """
    from models.explain import Explainer

    with stored(read_settings()) as settings:
        signal = _signal(settings.database.get_secret_value(), settings.namespace, signal_id)
        vector = [None if value is None or isnan(value) else value for value in signal["features"]]
        try:
            with registry_of(settings) as registry:
                artifact = registry.load(signal["model_version"])
            found = Explainer(artifact).explain(vector)
        except ArtifactError as error:
            raise Refused(f"signal {signal_id}: {error}") from None
    if as_json:
        told = {
            "signal_id": signal_id,
            "model": signal["model_version"],
            "base": found.base,
            "contributions": {each.feature: each.log_odds for each in found.contributions},
            "log_odds": found.log_odds,
        }
        print(json.dumps(told))
        return
    print(
        f"{signal['symbol']} {signal['direction']} as of {signal['as_of'].astimezone(UTC)} by "
        f"{signal['model_name']} {signal['model_version']}: bearish {signal['p_bearish']:.3f}, "
        f"neutral {signal['p_neutral']:.3f}, bullish {signal['p_bullish']:.3f}"
    )
    table = Table("feature", "value", "log-odds of bullish")
    for each in found.contributions[:top]:
        value = "none" if each.value is None else f"{each.value:.6g}"
        table.add_row(each.feature, value, f"{each.log_odds:+.4f}")
    rest = sum(each.log_odds for each in found.contributions[top:])
    table.add_row(f"{max(0, len(vector) - top)} others", "", f"{rest:+.4f}")
    table.add_row("of every signal", "", f"{found.base:+.4f}")
    table.add_row("sum", "", f"{found.log_odds:+.4f}")
    Console().print(table)


def _signal(dsn: str, schema: str, signal_id: str) -> dict[str, Any]:
    try:
        with psycopg.connect(
            dsn, options=f"-c search_path={schema},public", row_factory=dict_row
        ) as connection:
            signal = connection.execute(_SIGNAL, [signal_id]).fetchone()
    except psycopg.errors.UndefinedTable:
        raise Refused(f"schema {schema}: no table signals; run tapewire migrate") from None
    except psycopg.OperationalError as error:
        raise explained(error) from None
    if signal is None:
        raise Refused(f"signal {signal_id}: expected a stored signal, found none")
    if signal["model_name"] == "rules":
        raise Refused(
            f"signal {signal_id}: the rules model made it, and its reasons are the whole of it: "
            + "; ".join(signal["reasons"])
        )
    return signal
