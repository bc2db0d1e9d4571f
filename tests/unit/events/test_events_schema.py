"""The published JSON Schemas are valid, accept what we write and refuse what we refuse."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EVENTS, Tick, encode, schema
from tests.unit.events.any_event import events_of

KINDS = sorted(EVENTS)
_Validator = jsonschema.Draft202012Validator


@pytest.mark.parametrize("name", KINDS)
def test_a_schema_is_valid(name: str) -> None:
    _Validator.check_schema(schema(EVENTS[name]))


@pytest.mark.parametrize("name", KINDS)
@given(draw=st.data())
@settings(max_examples=10, deadline=None)
def test_a_schema_accepts_what_is_written(name: str, draw: st.DataObject) -> None:
    kind = EVENTS[name]
    validator = _Validator(schema(kind))
    validator.validate(json.loads(encode(draw.draw(events_of(kind)))))


@pytest.mark.parametrize("name", KINDS)
def test_a_schema_describes_its_event(name: str) -> None:
    stated = schema(EVENTS[name])
    body = stated["$defs"][name]  # type: ignore[index]
    assert body["description"]
    assert set(body["properties"]) == set(EVENTS[name].__struct_fields__)


@pytest.mark.parametrize(
    ("field", "value"), [("price", -1), ("symbol", "aapl"), ("size", "many"), ("seq", -1)]
)
def test_a_schema_refuses_a_wrong_value(field: str, value: object) -> None:
    good = {"symbol": "AAPL", "ts": "2024-03-05T15:00:00Z", "price": 1.5, "size": 1}
    validator = _Validator(schema(Tick))
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, field: value})
