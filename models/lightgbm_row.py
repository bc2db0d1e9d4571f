"""Rows through a LightGBM model by its C interface: no Python package, no copies.

Importing `lightgbm` costs 1.7 s and 130 MB (pandas, scikit-learn); serving needs its library only.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import cache
from pathlib import Path
from weakref import finalize

import numpy as np

from models.artifact import ArtifactError
from models.linear import Floats
from models.row import Row

_RAW_SCORE = 1
_FLOAT64 = 1
_LIBRARY = {"win32": "lib_lightgbm.dll", "darwin": "lib_lightgbm.dylib"}


class RowModel:
    """A LightGBM model on the calling thread. Not for two threads at once.

    Parameters
    ----------
    text : the model as `Booster.model_to_string` writes it.
    n_features, n_outputs : what it must have; ArtifactError otherwise.
    """

    def __init__(self, text: str, n_features: int, n_outputs: int) -> None:
        lib = _library()
        handle, iterations, number = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
        _check(
            lib.LGBM_BoosterLoadModelFromString(
                text.encode(), ctypes.byref(iterations), ctypes.byref(handle)
            )
        )
        finalize(self, lib.LGBM_BoosterFree, handle)
        self._handle, self._shape = handle, (n_features, n_outputs)
        for read, expected, what in (
            (lib.LGBM_BoosterGetNumFeature, n_features, "features"),
            (lib.LGBM_BoosterGetNumClasses, n_outputs, "outputs"),
        ):
            _check(read(handle, ctypes.byref(number)))
            if number.value != expected:
                raise ArtifactError(
                    f"member: expected {expected} {what}, got {number.value}; retrain"
                )
        config = ctypes.c_void_p()
        _check(
            lib.LGBM_BoosterPredictForMatSingleRowFastInit(
                handle, _RAW_SCORE, 0, -1, _FLOAT64, n_features, b"num_threads=1",
                ctypes.byref(config),
            )
        )  # fmt: skip
        # Finalizers run newest first, so the configuration goes before the model it points to.
        finalize(self, lib.LGBM_FastConfigFree, config)
        self._config = config
        self._out = (ctypes.c_double * n_outputs)()
        self._into = ctypes.byref(ctypes.c_int64()), ctypes.byref(self._out)
        self._predict = lib.LGBM_BoosterPredictForMatSingleRowFast

    def raw(self, row: Row) -> list[float]:
        """Raw scores, bit-equal to `Booster.predict(raw_score=True)`."""
        _check(self._predict(self._config, row.pointer, *self._into))
        return self._out[:]

    def many(self, x: Floats) -> Floats:
        """(n, features) to (n, outputs), bit-equal to `raw` row by row; NaN is missing."""
        rows = np.ascontiguousarray(x, dtype=np.float64)
        n_features, n_outputs = self._shape
        out, length = np.empty((len(rows), n_outputs)), ctypes.c_int64()
        double = ctypes.POINTER(ctypes.c_double)
        _check(
            _library().LGBM_BoosterPredictForMat(
                self._handle, rows.ctypes.data_as(double), _FLOAT64, ctypes.c_int32(len(rows)),
                ctypes.c_int32(n_features), 1, _RAW_SCORE, 0, -1, b"num_threads=1",
                ctypes.byref(length), out.ctypes.data_as(double),
            )
        )  # fmt: skip
        return out


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise ArtifactError("expected the package lightgbm, found none; pip install lightgbm")
    folder = Path(spec.origin).parent
    lib = ctypes.CDLL(str(folder / "lib" / _LIBRARY.get(sys.platform, "lib_lightgbm.so")))
    lib.LGBM_GetLastError.restype = ctypes.c_char_p
    return lib


def _check(status: int) -> None:
    if status != 0:
        reason = _library().LGBM_GetLastError().decode(errors="replace")
        raise ArtifactError(f"member: LightGBM refuses it: {reason}; retrain")
