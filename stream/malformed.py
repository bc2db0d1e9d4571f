"""Why bytes are no JSON, said so that a person finds the place: the field, and what was expected.

msgspec names the field of a wrong value, but gives only a byte's number where the JSON itself
ends: at NaN, at bytes that are no UTF-8, at nesting without end.
"""

from __future__ import annotations

import re

_KEY = re.compile(rb'"((?:[^"\\]|\\.){1,100})"\s*:')
_BYTE = re.compile(r"\(byte (\d+)\)")
_NOT_FINITE = re.compile(rb"-?(?:NaN|Infinity|inf)", re.IGNORECASE)
_LOOK_BACK = 4_096  # bytes before the place, where its field's name is looked for


def explain(error: Exception, raw: bytes) -> str:
    """What was expected where `raw` could not be read, and near which field.

    Examples
    --------
    >>> explain(ValueError("JSON is malformed: invalid character (byte 10)"), b'{"price": NaN}')
    'Expected a finite number, got `NaN` - near `price`'
    """
    if isinstance(error, RecursionError):
        return "Expected a flat object, got one nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return _explain_text(raw)
    found = _BYTE.search(str(error))
    if found is None:
        return str(error)
    at = int(found[1])
    value = _NOT_FINITE.match(raw, max(0, at - 1)) or _NOT_FINITE.match(raw, at)
    if value is not None:
        return f"Expected a finite number, got `{value[0].decode()}`{_near(raw, at)}"
    return f"{error}{_near(raw, at)}"


def _explain_text(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"Expected UTF-8, got byte 0x{raw[error.start]:02x}{_near(raw, error.start)}"
    return "Expected UTF-8"


def _near(raw: bytes, at: int) -> str:
    names = _KEY.findall(raw[max(0, at - _LOOK_BACK) : at])
    return f" - near `{names[-1].decode(errors='replace')}`" if names else ""
