"""The dense weight that is kept beside a sparse one on a GPU, and when it serves.

Where the library's model finds cuBLASLt faster, a plain product goes to ``F.linear`` itself: the
same call as of the layer that was replaced, bias included, so that such a product is never slower.
What has an activation or a residual to fuse stays with the library, which chooses for it too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .. import _core


class KeptDense(NamedTuple):
    """A dense weight [n, k] inside an image, and the ranges of rows for which it is faster."""

    weight: Tensor
    ranges: tuple[tuple[int, int], ...]

    def serves(self, rows: int) -> bool:
        return any(first <= rows <= last for first, last in self.ranges)


def dense_ranges(description: str) -> tuple[tuple[int, int], ...]:
    """First and last of each range of rows that a plan gives to a dense kernel, of lines like
    "t 65..128: spmm_dense_bf16_lt from plain dense bf16, 9.1 us at t 128 (on dense weights)"."""
    found = []
    for line in description.splitlines():
        rows, _, rest = line.removeprefix("t ").partition(": ")
        first, is_range, last = rows.partition("..")
        if is_range and rest.startswith("spmm_dense_"):
            found.append((int(first), int(last)))
    return tuple(found)


def kept_dense(
    image: Tensor, kind: int, shape: tuple[int, int], dtype: torch.dtype, description: str
) -> KeptDense | None:
    """What an image on a GPU keeps, with the description of its plan for a plain product; None
    where there is no dense weight, or never faster."""
    offset, ranges = _core.kind_dense(kind), dense_ranges(description)
    if offset is None or not ranges:
        return None
    n, k = shape
    held = image.detach()[offset : offset + n * k * dtype.itemsize]
    return KeptDense(held.view(dtype).view(n, k), ranges)
