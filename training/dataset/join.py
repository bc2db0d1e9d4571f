"""The second half of a build: what a row's label hangs on beyond its own partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.dataset.columns import values_of
from training.dataset.manifest import Manifest
from training.dataset.parts import is_there, read_part, read_rows, write_rows
from training.labels import Floats
from training.market_return import market_returns
from training.prices import PricePath
from training.rows import TrainingTable


def join(folder: Path, manifest: Manifest) -> None:
    """Make each partition's part of what was made apart."""
    names = {each: manifest.apart(each) for each in manifest.sizes}
    market = _market(folder, manifest, list(names.values()))
    for partition, name in names.items():
        if not is_there(folder, manifest, manifest.part(partition)):
            rows = replace(read_rows(folder, manifest, name), market_return=market[name])
            write_rows(folder, manifest, manifest.part(partition), _within(rows, manifest))


def tidy(folder: Path, manifest: Manifest) -> None:
    """Drop what was made apart, and what kills cut off, once every part is there."""
    for cut_off in folder.glob(".*.parquet.*"):
        cut_off.unlink(missing_ok=True)
    for partition in manifest.sizes:
        for name in (manifest.apart(partition), manifest.prices(partition)):
            (folder / name).unlink(missing_ok=True)


def _market(folder: Path, manifest: Manifest, names: list[str]) -> Mapping[str, Floats]:
    """The market's return of every row, by file."""
    columns = ["symbol", "entry", "exit"]
    tables = [read_part(folder, manifest, name, columns)[1] for name in names]
    symbol, entry, exit_ = (
        np.concatenate([values_of(table[column]) for table in tables]) for column in columns
    )
    found = market_returns(symbol, entry, exit_, _paths(folder, manifest))
    ends = np.cumsum([len(table) for table in tables])
    return dict(zip(names, np.split(found, ends[:-1]), strict=True))


def _paths(folder: Path, manifest: Manifest) -> dict[str, PricePath]:
    """When and at what each symbol traded; nothing else of its path is looked at."""
    found = {}
    for partition in manifest.sizes:
        _, table = read_part(folder, manifest, manifest.prices(partition))
        symbol, at_us, price = (values_of(table[name]) for name in ("symbol", "at_us", "price"))
        for name in np.unique(symbol).tolist():
            own = symbol == name
            found[name] = PricePath(at_us[own], at_us[own], at_us[own], price[own], None)
    return found


def _within(rows: TrainingTable, manifest: Manifest) -> TrainingTable:
    inside = np.ones(len(rows), dtype=np.bool_)
    if manifest.since_us is not None:
        inside &= rows.as_of_us >= manifest.since_us
    if manifest.until_us is not None:
        inside &= rows.as_of_us < manifest.until_us
    kept = rows.take(inside)
    if len(kept) == len(rows):
        return rows
    return replace(kept, counts={**rows.counts, "outside the span": len(rows) - len(kept)})
