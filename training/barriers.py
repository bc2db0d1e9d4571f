"""Triple-barrier labels: the first pane that trades a width away from the entry ends them.

    entry + width  - - - - - - - - - - - [==]    touched: the exit
    entry  ------[==]------------------------|   the horizon
    entry - width  - - - - - - - - - - - - - -

The exit is at what that pane traded at: no guess of what came first inside a pane, and no fill at
a price that was jumped over. A row whose horizon ends after the data is left out, touched or not:
else the newest rows would be those that moved most.
"""

from __future__ import annotations

import numpy as np

from training.labels import Floats, Labels, Left
from training.prices import PricePath


def first_touch(labels: Labels, path: PricePath, width: Floats) -> Labels:
    """The labels, ended where |price / entry price - 1| first reaches the row's width.

    Parameters
    ----------
    labels : of rows of the path's symbol.
    width : fractions, over 0; NaN never touches.
    """
    entry = np.searchsorted(path.at_us, labels.entry_us)
    exit_ = np.searchsorted(path.at_us, labels.exit_us)
    running = np.flatnonzero(labels.left == Left.LABELLED)
    step = 1
    while len(running := running[entry[running] + step < exit_[running]]):
        at = entry[running] + step
        moved = np.abs(path.price[at] / path.price[entry[running]] - 1.0)
        touched = moved >= width[running]
        exit_[running[touched]] = at[touched]
        running = running[~touched]
        step += 1
    ended = labels.left == Left.LABELLED
    exit_us, forward = labels.exit_us.copy(), labels.forward_return.copy()
    exit_us[ended] = path.at_us[exit_[ended]]
    forward[ended] = path.price[exit_[ended]] / path.price[entry[ended]] - 1.0
    return labels._replace(exit_us=exit_us, forward_return=forward)
