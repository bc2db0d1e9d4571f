"""Trees of any library as LightGBM's text, so that one reader serves and explains them all.

LightGBM goes left when value <= threshold, in float64; the rest is a matter of thresholds. Values
nearer to 0 than 1e-35 count as 0 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.labels import Floats

_MISSING_IS_NAN, _DEFAULT_LEFT = 8, 2  # LightGBM's decision_type
_HUGE = 1e300


class Tree(NamedTuple):
    """One tree by its nodes, the root first. left, right : node numbers, below 0 at leaves.

    threshold : left when value <= threshold. missing_left : where a missing value goes.
    value : what a leaf adds; of the mean too for inner nodes, or 0. rows : training rows, or
    their weight. gain : of the split.
    """

    left: npt.NDArray[np.integer]
    right: npt.NDArray[np.integer]
    feature: npt.NDArray[np.integer]
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    rows: Floats
    gain: Floats


def lightgbm_text(trees: Sequence[Tree], n_outputs: int, names: Sequence[str]) -> str:
    """A LightGBM model whose raw scores are sums of these trees, outputs in turn."""
    objective = "regression" if n_outputs == 1 else f"multiclass num_class:{n_outputs}"
    head = [
        "tree",
        "version=v4",
        f"num_class={n_outputs}",
        f"num_tree_per_iteration={n_outputs}",
        "label_index=0",
        f"max_feature_idx={len(names) - 1}",
        f"objective={objective}",
        f"feature_names={' '.join(names)}",
        f"feature_infos={' '.join(['none'] * len(names))}",
    ]
    bodies = [_text(i, tree) for i, tree in enumerate(trees)]
    sizes = f"tree_sizes={' '.join(str(len(body)) for body in bodies)}"
    return "\n".join([*head, sizes, "", "".join(bodies)]) + "end of trees\n"


def of_float32(threshold: Floats) -> Floats:
    """Thresholds for values as they are, where the library rounds values to float32 first.

    value <= result exactly when float32(value) <= threshold: the result is where rounding turns.
    """
    at = threshold.astype(np.float32)
    at = np.where(at > threshold, np.nextafter(at, np.float32(-np.inf)), at)
    with np.errstate(over="ignore"):
        above = np.nextafter(at, np.float32(np.inf)).astype(np.float64)
    half = at.astype(np.float64) / 2 + above / 2
    even = at.view(np.uint32) % 2 == 0  # a tie rounds to the even neighbour
    out: Floats = np.where(even, half, np.nextafter(half, -np.inf))
    return out


def _text(i: int, tree: Tree) -> str:
    leaf = tree.left < 0
    inner = np.flatnonzero(~leaf)
    number = np.where(leaf, np.negative(np.cumsum(leaf)), np.cumsum(~leaf) - 1)
    kinds = _MISSING_IS_NAN + _DEFAULT_LEFT * tree.missing_left[inner]
    columns: dict[str, npt.NDArray[np.generic]] = {
        "split_feature": tree.feature[inner],
        "split_gain": tree.gain[inner],
        "threshold": np.clip(tree.threshold[inner], -_HUGE, _HUGE),
        "decision_type": kinds,
        "left_child": number[tree.left[inner]],
        "right_child": number[tree.right[inner]],
        "leaf_value": tree.value[leaf],
        "leaf_weight": tree.rows[leaf],
        "leaf_count": np.rint(tree.rows[leaf]).astype(np.int64),
        "internal_value": tree.value[inner],
        "internal_weight": tree.rows[inner],
        "internal_count": np.rint(tree.rows[inner]).astype(np.int64),
    }
    lines = [f"Tree={i}", f"num_leaves={leaf.sum()}", "num_cat=0"]
    lines += [f"{key}={' '.join(map(repr, v.tolist()))}" for key, v in columns.items()]
    return "\n".join([*lines, "is_linear=0", "shrinkage=1", "", "", ""])
