"""What the library's model says of a product's time, sparse and dense; where dense should serve.

On a GPU the dense rival is what ``F.linear`` calls: cuBLASLt, with the bias in its kernel.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch

from .. import _context, _core
from .._matrix import FORMATS
from ._images import NUMBERS, context_of

_BIAS = 0x04  # TMS_EPILOGUE_BIAS
_HOST_US = 14.0  # a dense layer's call from Python takes the host longer than that
_SURE = 1.12  # the model's times of GPU kernels are off by some 10 % (docs/tuning.md)


class Weight(NamedTuple):
    """What a prediction is about."""

    device: torch.device
    dtype: torch.dtype
    format: str
    n: int
    k: int
    keep: int
    group: int
    block_rows: int
    block_columns: int
    density: float
    has_bias: bool


@functools.lru_cache(maxsize=8192)
def _time(weight: Weight, t: int, t_max: int) -> tuple[str, float]:
    is_cuda = weight.device.type == "cuda"
    number = NUMBERS[weight.dtype if is_cuda else torch.float32]
    on = _context.CUDA if is_cuda else _context.CPU
    shape = (weight.n, weight.k, weight.density)
    pattern = (weight.keep, weight.group, weight.block_rows, weight.block_columns)
    problem = (FORMATS.index(weight.format), *shape, *pattern, number, number, on)
    epilogue = _BIAS if weight.has_bias else 0
    kernel, _, us = _core.predict(context_of(weight.device), problem, epilogue, t, t_max, 0)
    return kernel, us


def sparse_time(weight: Weight, t: int, t_max: int) -> tuple[str, float]:
    """The kernel for t rows, of an image chosen for up to t_max, and its microseconds.

    UnsupportedError where the device has none."""
    return _time(weight, t, t_max)


def dense_time(weight: Weight, t: int, t_max: int) -> float | None:
    """Microseconds of the fastest dense kernel; None where there is nothing to compare with."""
    is_cpu = weight.device.type == "cpu"
    dense = weight._replace(
        format="dense",
        keep=0,
        group=0,
        block_rows=0,
        block_columns=0,
        density=1.0,
        has_bias=weight.has_bias and is_cpu,
    )
    try:
        return _time(dense, t, t_max)[1]
    except _core.UnsupportedError:  # a GPU without cuBLASLt
        return None


def numbers_of_rows(first: int, last: int) -> list[int]:
    """first, last, and between them the powers of two and three times those."""
    steps = {s << i for i in range(last.bit_length()) for s in (1, 3)}
    return sorted({first, last} | {t for t in steps if first < t < last})


def is_doubtful(device: torch.device, dense_us: float, sparse_us: float) -> bool:
    """Whether dense may be faster to a degree that is seen: on a GPU where sparse takes longer than
    the call of a dense layer, and the model is not sure."""
    if device.type == "cpu":
        return dense_us < 0.97 * sparse_us
    return sparse_us > _HOST_US and dense_us < _SURE * sparse_us


def dense_ranges(weight: Weight, t_max: int) -> tuple[tuple[int, int], ...]:
    """First and last of each range of rows, up to t_max, that a dense weight on a GPU should serve
    if it is kept."""
    found: list[tuple[int, int]] = []
    first = 1
    for t in numbers_of_rows(1, t_max):
        dense_us, (_, sparse_us) = dense_time(weight, t, t_max), sparse_time(weight, t, t_max)
        if dense_us is not None and is_doubtful(weight.device, dense_us, sparse_us):
            if found and found[-1][1] == first - 1:
                first = found.pop()[0]
            found.append((first, t))
        first = t + 1
    return tuple(found)
