"""A small LSTM over a sequence of panes, in NumPy: serving needs no torch.

    x      = (value - centre) / scale, within CLIP; a missing value is the centre
    i,f,g,o = x W + h U + b          in this order; sigmoid, sigmoid, tanh, sigmoid
    c, h   = f c + i g, o tanh(c)    pane by pane, the oldest first
    out    = h V + d                 of the newest pane

Many are scored one by one: the bits that are judged are the bits that are served.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from models.artifact import ArtifactError
from models.linear import Floats

Sequences = npt.NDArray[np.float32]  # (n, panes, channels), NaN is missing

CLIP = 5.0  # of standard values
NO_SEQUENCE = "member: expected a sequence of panes beside the vector, got none"
Matrix = tuple[tuple[float, ...], ...]


class Lstm(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a sequence member: c channels, h hidden units.

    centre, scale : (c,). inputs : (c, 4 h). recurrent : (h, 4 h). bias : (4 h,).
    head : (h, outputs). head_bias : (outputs,).
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    inputs: Matrix
    recurrent: Matrix
    bias: tuple[float, ...]
    head: Matrix
    head_bias: tuple[float, ...]


def standard(values: Floats, centre: Floats, scale: Floats) -> Floats:
    """(..., channels) values as the network sees them: NaN is 0, the rest within CLIP."""
    x: Floats = (values - centre) / scale
    x[np.isnan(x)] = 0.0
    np.minimum(np.maximum(x, -CLIP, out=x), CLIP, out=x)
    return x


class SequenceModel:
    """A sequence member at work, for one thread; about 80 us a sequence of 24 panes.

    Raises
    ------
    ArtifactError
        The text is no `Lstm`, its arrays do not belong together, or it has other outputs.
    """

    def __init__(self, text: str, n_outputs: int) -> None:
        try:
            net = msgspec.json.decode(text, type=Lstm)
            self._inputs, self._recurrent, self._head = (
                np.array(each, dtype=np.float64) for each in (net.inputs, net.recurrent, net.head)
            )
        except (msgspec.DecodeError, ValueError) as error:
            raise ArtifactError(f"member: expected an LSTM, {error}; retrain") from None
        self._bias, self._head_bias = np.array(net.bias), np.array(net.head_bias)
        self._centre, self._scale = np.array(net.centre), np.array(net.scale)
        c, h = len(net.centre), len(net.recurrent)
        expected = (c,), (c, 4 * h), (h, 4 * h), (4 * h,), (h, n_outputs), (n_outputs,)
        came = tuple(
            each.shape
            for each in (self._scale, self._inputs, self._recurrent, self._bias, self._head,
                         self._head_bias)
        )  # fmt: skip
        if came != expected or not c * h:
            raise ArtifactError(f"member: expected an LSTM of shapes {expected}, got {came}")
        # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so one tanh does for all four gates.
        halves = np.repeat([0.5, 0.5, 1.0, 0.5], h)
        for each in (self._inputs, self._recurrent, self._bias):
            each *= halves
        self._spread, self._shift = halves, np.repeat([0.5, 0.5, 0.0, 0.5], h)
        self.n_channels = c

    def raw(self, sequence: bytes | None) -> list[float]:
        """The outputs of one sequence: float32, little-endian, pane by pane.

        Raises ArtifactError where there is none, or it is of other channels.
        """
        if sequence is None:
            raise ArtifactError(NO_SEQUENCE)
        if len(sequence) % (4 * self.n_channels):
            raise ArtifactError(
                f"member: expected panes of {self.n_channels} float32, got {len(sequence)} bytes"
            )
        values = np.frombuffer(sequence, "<f4").astype(np.float64).reshape(-1, self.n_channels)
        told = standard(values, self._centre, self._scale) @ self._inputs + self._bias
        n = len(self._recurrent)
        gates, added = np.empty(4 * n), np.empty(n)
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
        cell, hidden = np.zeros(n), np.zeros(n)
        add, multiply, tanh = np.add, np.multiply, np.tanh
        for pane in told:
            np.dot(hidden, self._recurrent, gates)
            add(gates, pane, gates)
            tanh(gates, gates)
            multiply(gates, self._spread, gates)
            add(gates, self._shift, gates)
            multiply(cell, f, cell)
            multiply(i, g, added)
            add(cell, added, cell)
            tanh(cell, added)
            multiply(added, o, hidden)
        out: list[float] = (hidden @ self._head + self._head_bias).tolist()
        return out

    def many(self, sequences: Sequences | None) -> Floats:
        """(n, panes, channels) to (n, outputs), bit-equal to `raw` one by one."""
        if sequences is None:
            raise ArtifactError(NO_SEQUENCE)
        found = [self.raw(each.tobytes()) for each in sequences]
        return np.array(found).reshape(len(sequences), len(self._head_bias))
