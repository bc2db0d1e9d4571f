"""The data card: what a dataset is, what is in it and what it does not say; Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import Refused
from stream.events import moment
from training.dataset.manifest import Manifest, write_whole
from training.dataset.statistics import QUANTILES, Column, Statistics, statistics

MARKDOWN, JSON = "card.md", "card.json"
_MOST_SYMBOLS = 40
LIMITS = (
    "Survivorship: it holds the symbols that this namespace was fed. Whoever chose them by what "
    "became of them later has told the future; nothing here can show that.",
    "Labels are gross of costs, and at prices that were traded: entry and exit at the volume-"
    "weighted price of a whole pane (intraday) or at the open (daily), whatever size was there.",
    "Articles without a received_at count from published_at plus the feed's assumed delay.",
    "Rows overlap: labels of neighbouring rows share prices. Weigh them, and never split at "
    "random.",
    "Features are those of the feature set's version alone; other versions need another build.",
)


class Card(msgspec.Struct, frozen=True):
    """command: what builds the same again on the same stored events."""

    command: str
    run_id: str
    manifest: Manifest
    statistics: Statistics
    limits: tuple[str, ...] = LIMITS


def write_card(folder: Path, manifest: Manifest, command: str) -> Card:
    """Count a finished dataset and write its card. Raises Refused where a part is not whole."""
    card = Card(command, manifest.run_id, manifest, statistics(folder, manifest))
    text = msgspec.json.format(msgspec.json.encode(card), indent=1)
    write_whole(folder / JSON, lambda file: file.write(text))
    write_whole(folder / MARKDOWN, lambda file: file.write(markdown(card).encode()))
    return card


def read_card(folder: Path) -> Card:
    """The card of a finished dataset. Raises Refused where there is none."""
    try:
        return msgspec.json.decode((folder / JSON).read_bytes(), type=Card)
    except FileNotFoundError:
        raise Refused(
            f"{folder}: expected a finished dataset, found no {JSON}; "
            "run tapewire dataset build, with --resume where it was begun"
        ) from None
    except msgspec.DecodeError as error:
        raise Refused(f"{folder / JSON}: expected a data card, got {error}") from None


def markdown(card: Card) -> str:
    """The card as a page to read."""
    made, told = card.manifest, card.statistics
    policy, rule = made.policy, made.rule
    events: dict[str, int] = {}
    for each in made.extents:
        events[each.table] = events.get(each.table, 0) + each.n
    facts = {
        "rows": f"{told.n_rows:,}",
        "as_of": f"{told.first_as_of} to {told.last_as_of}; last exit {told.last_exit}",
        "asked for": f"{_bound(made.since_us, 'the first')} to {_bound(made.until_us, 'the last')}",
        "namespace": made.namespace,
        "stored events": ", ".join(f"{n:,} {table}" for table, n in events.items()),
        "features": f"{len(made.feature_names)} of `{policy.feature_set}`, "
        f"version {policy.feature_set_version}",
        "sentiment model": made.sentiment_model or "none: there were no scores",
        "policy": made.policy_id,
        "code revision": made.code_revision,
        "run": card.run_id,
    }
    classes = {name: f"{share:.2%}" for name, share in told.class_shares.items()}
    symbols = dict(list(told.rows_by_symbol.items())[:_MOST_SYMBOLS])
    if len(told.rows_by_symbol) > len(symbols):
        symbols["all others"] = told.n_rows - sum(symbols.values())
    sections = [
        f"# Dataset {card.run_id}",
        "Point-in-time rows: every feature from what was available at as_of alone, by the code "
        "that scores live.",
        _pairs("what", "", facts),
        f"Made by `{card.command}`.",
        "## Label",
        f"The return from the first price after as_of, over {rule.horizon}. Bullish or bearish "
        f"where it exceeds the larger of {rule.k:g} x `{rule.volatility}` x "
        f"{rule.volatility_scale:.3g} and {1e4 * rule.cost:g} bp.",
        _pairs("class", "share", classes),
        "## Rows",
        _pairs("trigger", "rows", told.rows_by_trigger),
        _pairs("left out", "count", told.left_out),
        _pairs("symbol", "rows", symbols),
        "## Columns",
        _columns({"forward_return": told.forward_return, **told.features}),
        f"Constant: {', '.join(told.constant) or 'none'}. "
        f"The same twice: {', '.join(f'{a} = {b}' for a, b in told.same) or 'none'}.",
        "## Known limits",
        "\n".join(f"- {limit}" for limit in card.limits),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _bound(us: int | None, otherwise: str) -> str:
    return otherwise if us is None else moment(us).isoformat()


def _pairs(what: str, value: str, rows: Mapping[str, Any]) -> str:
    return _table([what, value], [[name, _told(each)] for name, each in rows.items()])


def _columns(columns: Mapping[str, Column]) -> str:
    heads = ["column", "missing", *(f"{q:.0%}" for q in QUANTILES)]
    return _table(
        heads,
        [
            [name, f"{each.missing:.1%}", *(f"{q:.4g}" for q in each.quantiles)]
            for name, each in columns.items()
        ],
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    full = [row + [""] * (len(heads) - len(row)) for row in rows]
    lines = [heads, ["---"] * len(heads), *full]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _told(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
