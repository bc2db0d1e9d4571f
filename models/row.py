"""One vector as its models read it: float64, NaN for missing, in memory that does not move."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Self

import numpy as np

_NAN = float("nan")


class Row:
    """A buffer of `n` features that is filled anew for each vector.

    values : the buffer as an array; pointer : the same for C.
    """

    def __init__(self, n: int) -> None:
        self._buffer = (ctypes.c_double * n)()
        self._pack = struct.Struct(f"{n}d").pack_into
        self.values = np.ctypeslib.as_array(self._buffer)
        self.pointer = ctypes.byref(self._buffer)

    @classmethod
    def of(cls, features: Sequence[float | None]) -> Self:
        """The row of one vector."""
        return cls(len(features)).fill(features)

    def fill(self, features: Sequence[float | None]) -> Self:
        """Take a vector; None is missing. Raises struct.error where it has another length."""
        self._pack(self._buffer, 0, *[_NAN if value is None else value for value in features])
        return self
