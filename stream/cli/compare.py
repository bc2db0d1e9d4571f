"""The verb that compares a challenger with the champion, and promotes it on evidence."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.models import announce, reach_broker, registry_of
from stream.cli.run import JsonFlag
from stream.errors import Refused
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from training.compare import Judgement


def compare(
    champion: Annotated[
        str | None, typer.Option(help="A version; default: the alias, or the rules model.")
    ] = None,
    challenger: Annotated[str | None, typer.Option(help="A version; default: the alias.")] = None,
    alpha: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Of all challengers together.")
    ] = 0.05,
    cost_bps: Annotated[float, typer.Option(min=0.0, help="Of each side of a trade.")] = 5.0,
    auto_promote: Annotated[
        bool, typer.Option(help="Make the challenger champion if nothing is missing.")
    ] = False,
    if_any: Annotated[
        bool, typer.Option("--if-any", help="Without a challenger: exit code 0, not 2.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Champion and challenger on the outcomes of the same signals; to be looked at any day.

    Without TAPEWIRE_DATABASE it compares those of the last demo.

    Example: tapewire compare --auto-promote
    """
    from stream.cli.last_demo import stored_database
    from training.compare import NoChallenger, contestants
    from training.compare import compare as judge
    from training.history import open_history

    settings = read_settings()
    if auto_promote and "database" not in settings.model_fields_set:
        raise Refused("--auto-promote: expected TAPEWIRE_DATABASE, found none")
    if auto_promote and (champion or challenger):
        raise Refused(
            "--auto-promote: expected no --champion or --challenger: it is of the aliases"
        )
    with (
        stored_database(settings) as (dsn, schema),
        open_history(dsn, schema) as history,
    ):
        try:
            pair = contestants(history.connection, champion, challenger)
        except NoChallenger as error:
            if not if_any:
                raise
            print(json.dumps({"promoted": False}) if as_json else error)
            return
        judged = judge(history, *pair, alpha=alpha, cost_bps=cost_bps)
    promoted = auto_promote and not judged.missing
    if promoted:
        _promote(settings, judged)
    if as_json:
        print(json.dumps({**msgspec.to_builtins(judged), "promoted": promoted}))
        return
    _show(judged)
    if promoted:
        print(f"promoted: {judged.challenger} is champion")


def _promote(settings: Settings, judged: Judgement) -> None:
    from models.rules import RulesModel

    why = (
        f"compare with {judged.champion}: log-loss better by {judged.better:.4g} "
        f"({judged.low:.4g} to {judged.high:.4g}) over {judged.days} days, "
        f"return {judged.return_bps:+.3g} bp a day"
    )
    reach_broker(settings)
    with registry_of(settings) as registry:
        now = registry.current("champion")[0] or RulesModel.version
        if now != judged.champion:
            raise Refused(f"champion: expected {judged.champion}, it is {now} now; compare again")
        registry.promote("champion", judged.challenger, getpass.getuser(), why)
    announce(settings, "champion")


def _show(judged: Judgement) -> None:
    table = Table("", f"{judged.challenger} against {judged.champion}")
    table.add_row("matured days (rows)", f"{judged.days} ({judged.rows:,})")
    table.add_row("days not matured", str(judged.days_waiting))
    table.add_row("log-loss better by, nats a row", _text(judged.better))
    interval = f"{_text(judged.low)} to {_text(judged.high)}"
    table.add_row(f"its interval at {1 - judged.alpha:.4%}, valid at any time", interval)
    to_go = "never" if judged.days_to_go is None else f"{judged.days_to_go:,}"
    table.add_row("days to a decision, if they go on so", to_go)
    table.add_row("return a day after costs, bp", _text(judged.return_bps))
    table.add_row("days whose outcomes overlap", str(judged.overlap_days))
    console = Console()
    console.print(table)
    for each in judged.missing:
        console.print(f"missing for a promotion: {each}", markup=False, highlight=False)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
