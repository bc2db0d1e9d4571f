"""Letters back to their topics: what is meant is recorded, then sent, then what became of it.

A crash in between leaves 'replaying': it is seen, and not sent a second time unasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from stream.deadletters.letter import Letter
from stream.deadletters.source import Delivery, Original, Source
from stream.deadletters.store import Letters
from stream.errors import Refused, TapewireError

_BATCH = 50  # letters between two records of intent: what a crash leaves in doubt


class Replayed(msgspec.Struct, frozen=True):
    """Where a letter's record lies now; `to` is None and `why` is said where it was not sent."""

    letter: str
    source: str
    to: str | None
    why: str = ""


def replay(
    letters: Letters,
    source: Source,
    chosen: Sequence[Letter],
    *,
    actor: str,
    force: bool,
) -> Iterator[Replayed]:
    """Send each letter's record back, and say of each what became of it.

    Raises
    ------
    Unavailable
        A server is away. What was begun and not told of stays 'replaying'.
    """
    for i in range(0, len(chosen), _BATCH):
        ready, left = _originals(letters, source, chosen[i : i + _BATCH])
        yield from left
        begun, refused = letters.begin(
            [each.letter for each in ready], "replaying", actor=actor, reason="", force=force
        )
        yield from (_left(e.letter, refused[e.letter.name]) for e in ready if _in(e, refused))
        for delivery in source.send([each for each in ready if _in(each, begun)]):
            yield _settled(letters, delivery, begun[delivery.letter.name])


def _in(original: Original, names: Mapping[str, object]) -> bool:
    return original.letter.name in names


def _originals(
    letters: Letters, source: Source, batch: Sequence[Letter]
) -> tuple[list[Original], list[Replayed]]:
    ready: list[Original] = []
    left: list[Replayed] = []
    for letter in batch:
        try:
            ready.append(source.original(letter, letters.payload(letter)))
        except Refused as error:
            left.append(_left(letter, str(error)))
    return ready, left


def _settled(letters: Letters, delivery: Delivery, number: int) -> Replayed:
    letter, place = delivery.letter, delivery.place
    if place is None:
        if delivery.surely_not:
            letters.settle(letter, number, "failed", error=delivery.why)
            return _left(letter, f"not taken: {delivery.why}")
        letters.settle(letter, number, "replaying", error=delivery.why)
        return _left(
            letter,
            f"in doubt: {delivery.why}; look whether {letter.source_topic} has it, then drop it "
            "or replay it again, with --force",
        )
    to = f"{letter.source_topic}:{place[0]}:{place[1]}"
    try:
        letters.settle(letter, number, "replayed", to=place)
    except Exception as error:
        raise TapewireError(
            f"letter {letter.name}: its record is at {to}, but that could not be recorded, "
            f"so it stays 'replaying': {error}".strip()
        ) from error
    return Replayed(letter.name, letter.source, to)


def _left(letter: Letter, why: str) -> Replayed:
    return Replayed(letter.name, letter.source, None, why)
