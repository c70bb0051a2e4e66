"""What the extension is given of an array: its element type, and memory it can read."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from . import _core

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

DTYPES = {name: number for number, name in enumerate(_core.DTYPES)}
"""Numbers of the element types, by tamis' names."""

_NUMPY = {"f32": np.float32, "f16": np.float16, "u8": np.uint8, "i32": np.int32, "i64": np.int64}
WEIGHTS = ("f32", "bf16", "f16")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """numpy's type for one of tamis' names; bf16 is ml_dtypes' where that is installed, else
    uint16."""
    if name != "bf16":
        return np.dtype(_NUMPY[name])
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(np.uint16)
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def readable(array: Array) -> Array:
    """The same memory in a type that has a buffer: bfloat16 as uint16."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def weight_dtype(array: Array, dtype: str | None = None) -> str:
    """tamis' name of a weight's element type: from its dtype, unless said."""
    name = dtype or {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}.get(array.dtype.name)
    if name not in WEIGHTS:
        raise _core.InvalidError(
            f"weights are {dtype or array.dtype}, but must be float32, float16 or bfloat16 "
            '(uint16 arrays of bfloat16: dtype="bf16")'
        )
    return name


def as_weight(weights: Any, dtype: str | None = None) -> tuple[Array, str]:
    """A contiguous N x K array of weights, and tamis' name of its type."""
    array = np.asarray(weights)
    if array.ndim != 2:
        raise _core.InvalidError(
            f"weights have {array.ndim} axes, but must have two: output features by input features"
        )
    return np.ascontiguousarray(array), weight_dtype(array, dtype)


def dense_spec(dtype: str, n: int, k: int) -> _core.Spec:
    """A dense matrix as the extension takes it."""
    return (0, DTYPES[dtype], n, k, n * k, 0, 0, 0, 0)


def aligned_bytes(count: int) -> Array:
    """count bytes at a multiple of 64."""
    memory = np.empty(count + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + count]
