"""What strangers sent is shown as text that drives no terminal."""

from __future__ import annotations

import pytest

from stream.cli.escaped import escaped, hex_dump, readable, short


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 価格 €", "plain, ünïcode 価格 €"),
        ("a\x00b", r"a\x00b"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("one\r\ntwo\ttab", r"one\r\ntwo\ttab"),
        ("\x9b31m C1", r"\x9b31m C1"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\ufeff\U000e0001", r"\u2028\ufeff\U000e0001"),
        ("\ud800", r"\ud800"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("", ""),
    ],
)
def test_only_what_prints_stays_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_every_character_comes_out_printable() -> None:
    for first in range(0, 0x110000, 0x1000):
        assert escaped("".join(map(chr, range(first, first + 0x1000)))).isprintable()


def test_bytes_that_are_no_text_are_no_text() -> None:
    assert readable(b"\xff\xfe") is None
    assert readable(b"") == ""
    assert short(b"\xff\x00") == "0xff00"
    assert short(b"AA\x1bPL") == r"AA\x1bPL"
    assert short(None) == ""


def test_a_hex_dump_gives_every_byte_back() -> None:
    raw = bytes(range(256)) + b"end"
    lines = hex_dump(raw).splitlines()
    assert bytes.fromhex("".join(line[10:57] for line in lines)) == raw
    assert [int(line[:8], 16) for line in lines] == list(range(0, len(raw), 16))
    assert all(line.isprintable() for line in lines)
    assert hex_dump(b"") == ""
