"""Hypothesis strategies for every event, made from its own types and bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, inspect

from stream.events import Bar

_LARGE = 2**53
_ZONES = st.sampled_from(
    [UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=9, minutes=30))]
)
_TEXT = st.characters(codec="utf-8")


def events_of(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Valid events of one kind."""
    if kind is Bar:
        return _bars()
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return _struct(info)


def _struct(info: inspect.StructType) -> st.SearchStrategy[Any]:
    return st.builds(info.cls, **{f.name: _of(f.type) for f in info.fields})


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.Metadata():
            return _of(kind.type)
        case inspect.StructType():
            return _struct(kind)
        case inspect.UnionType():
            return st.one_of([_of(each) for each in kind.types])
        case inspect.LiteralType():
            return st.sampled_from(list(kind.values))
        case inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern, fullmatch=True)
        case inspect.StrType():
            return st.text(
                _TEXT, min_size=kind.min_length or 0, max_size=min(kind.max_length or 40, 40)
            )
        case inspect.BytesType():
            return st.binary(max_size=40)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.IntType():
            return st.integers(-_LARGE if kind.ge is None else kind.ge, kind.le or _LARGE)
        case inspect.FloatType():
            low = kind.gt if kind.ge is None else kind.ge
            return st.floats(
                low, kind.le, exclude_min=kind.gt is not None, allow_nan=False, allow_infinity=False
            )
        case inspect.DateTimeType():
            return st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=_ZONES)  # noqa: DTZ001
        case inspect.DateType():
            return st.dates()
        case inspect.VarTupleType():
            return st.lists(_of(kind.item_type), max_size=4).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_of(kind.key_type), _of(kind.value_type), max_size=4)
    raise AssertionError(f"no strategy for {kind}")


@st.composite
def _bars(draw: st.DrawFn) -> Bar:
    info = inspect.type_info(Bar)
    assert isinstance(info, inspect.StructType)
    values = {field.name: draw(_of(field.type)) for field in info.fields}
    low, one, other, high = sorted(values[name] for name in ("open", "high", "low", "close"))
    values |= {"low": low, "high": high, "open": one, "close": other}
    values["end"] = values["start"] + timedelta(seconds=draw(st.integers(1, 10**6)))
    return Bar(**values)
