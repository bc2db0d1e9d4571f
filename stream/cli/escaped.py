"""Bytes of strangers as text that cannot drive a terminal. Pure."""

from __future__ import annotations

_ROW = 16


def escaped(text: str) -> str:
    """`text` with every character that does not print as its escape: one line, no control.

    Examples
    --------
    >>> print(escaped("red \\x1b[31m, a line\\n"))
    red \\x1b[31m, a line\\n
    """
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def readable(raw: bytes) -> str | None:
    """The escaped text of UTF-8 bytes; None where they are none."""
    try:
        return escaped(raw.decode())
    except UnicodeDecodeError:
        return None


def short(raw: bytes | None) -> str:
    """A key or the like in one word: its text, `0x` and its bytes, or nothing."""
    if raw is None:
        return ""
    text = readable(raw)
    return f"0x{raw.hex()}" if text is None else text


def hex_dump(raw: bytes) -> str:
    """Sixteen bytes a line: place, hex, and what prints in ASCII.

    Examples
    --------
    >>> print(hex_dump(b"AA\\xff"))
    00000000  41 41 ff                                         AA.
    """
    lines = []
    for at in range(0, len(raw), _ROW):
        row = raw[at : at + _ROW]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(f"{at:08x}  {row.hex(' '):<{3 * _ROW - 1}}  {text}")
    return "\n".join(lines)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
