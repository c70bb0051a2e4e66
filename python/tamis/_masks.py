"""Selection: which weights stay, and whether a pattern holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import _context, _core
from ._arrays import Array, as_weight, dense_spec, readable, weight_dtype
from ._pattern import Pattern

Norm = Literal["l1", "l2"]


@dataclass(frozen=True)
class Check:
    """What :func:`check` found. True where the pattern holds."""

    holds: bool
    row: int
    """Of the first violation; -1 where the share is missed as a whole."""
    column: int
    zeros_found: int
    zeros_needed: int
    sentence: str

    def __bool__(self) -> bool:
        return self.holds


def _floats(array: Any) -> Array | None:
    return None if array is None else np.ascontiguousarray(array, np.float32)


def pack_mask(mask: Any) -> Array:
    """Bits of a boolean mask [N, K]: uint8 [N, ceil(K/8)], as docs/patterns.md says."""
    return np.packbits(np.asarray(mask, bool), axis=1, bitorder="little")


def unpack_mask(bits: Any, k: int) -> Array:
    """The boolean mask [N, K] of bits."""
    return np.unpackbits(np.asarray(bits), axis=1, count=k, bitorder="little").astype(bool)


def select(
    weights: Any,
    pattern: str | Pattern,
    *,
    scores: Any = None,
    column_norms: Any = None,
    block_norm: Norm = "l1",
    dtype: str | None = None,
) -> Array:
    """Chooses which weights [N, K] stay: a boolean mask, True = kept.

    The score of an element is scores[n, k] if given, else its magnitude, times column_norms[k] if
    given (Wanda). Exact and deterministic: of equal scores the lower index stays. Raises
    PatternError where the pattern cannot fit, and NonFiniteError for NaN or infinity.
    """
    array, name = as_weight(weights, dtype)
    n, k = array.shape
    bits = np.empty((n, (k + 7) // 8), np.uint8)
    _core.mask_select(
        _context.cpu(),
        dense_spec(name, n, k),
        (readable(array),),
        Pattern.parse(pattern).tuple,
        _floats(scores),
        _floats(column_norms),
        ("l1", "l2").index(block_norm),
        bits,
    )
    return unpack_mask(bits, k)


def apply(weights: Array, mask: Any, *, dtype: str | None = None) -> Array:
    """Sets what a boolean mask drops to +0.0, in place; returns weights."""
    name = weight_dtype(weights, dtype)
    if weights.ndim != 2 or not weights.flags.c_contiguous:
        raise _core.InvalidError(
            "weights must be a contiguous array of two axes, as they are changed in place"
        )
    n, k = weights.shape
    if np.shape(mask) != (n, k):
        raise _core.InvalidError(f"mask is {np.shape(mask)}, but the weights are {(n, k)}")
    _core.mask_apply(_context.cpu(), pack_mask(mask), dense_spec(name, n, k), (readable(weights),))
    return weights


def check(weights: Any, pattern: str | Pattern, *, dtype: str | None = None) -> Check:
    """Whether weights [N, K] hold a pattern, and where they first do not."""
    array, name = as_weight(weights, dtype)
    holds, row, column, found, needed, sentence = _core.pattern_check(
        _context.cpu(),
        Pattern.parse(pattern).tuple,
        dense_spec(name, *array.shape),
        (readable(array),),
    )
    return Check(bool(holds), row, column, found, needed, sentence)


def count_zeros(weights: Any, *, dtype: str | None = None) -> dict[str, Any]:
    """Zeros of weights [N, K], zero rows and columns, and whether they happen to be 2:4 or 1:4."""
    array, name = as_weight(weights, dtype)
    return _core.matrix_count(_context.cpu(), dense_spec(name, *array.shape), (readable(array),))
