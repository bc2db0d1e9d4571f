"""Which of many bit sets share enough bits with another: all of them counted at once.

For each bit an integer holds, one place a set, which of the sets have it. To add up those of a
set's bits is to count what each of the others shares with it; the sums stand digit by digit in a
few such integers, so a thousand sets cost a few microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator


class Overlaps:
    """Bit sets in slots, numbered from 0 on.

    Examples
    --------
    >>> sets = Overlaps()
    >>> [sets.add(bits) for bits in (0b0111, 0b1000, 0b1110)]
    [0, 1, 2]
    >>> list(sets.sharing(0b1110, 2))
    [0, 2]
    """

    def __init__(self) -> None:
        self.n_slots = 0
        self._columns: dict[int, int] = {}  # bit -> slots whose sets have it

    def add(self, bits: int) -> int:
        """Put a set into the next slot; returns its number."""
        slot = self.n_slots
        self.n_slots += 1
        for bit in _places(bits):
            self._columns[bit] = self._columns.get(bit, 0) | 1 << slot
        return slot

    def sharing(self, bits: int, least: int, low: int = 0) -> Iterator[int]:
        """The slots from `low` on whose sets share at least `least` >= 1 bits with this one."""
        digits: list[int] = []  # of every slot's sum, the lowest first
        for bit in _places(bits):
            carry = self._columns.get(bit, 0)
            for i, digit in enumerate(digits):
                if not carry:
                    break
                digits[i], carry = digit ^ carry, digit & carry
            if carry:
                digits.append(carry)
        if least >> len(digits):
            return iter(())
        above, equal = 0, (1 << self.n_slots) - (1 << low)
        for i in reversed(range(len(digits))):
            if least >> i & 1:
                equal &= digits[i]
            else:
                above |= equal & digits[i]
                equal &= ~digits[i]
        return _places(above | equal)


def _places(bits: int) -> Iterator[int]:
    """The places of the bits that are set, lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
