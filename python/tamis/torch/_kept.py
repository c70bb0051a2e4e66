"""The dense weight that is kept beside a sparse one on a GPU, and when it serves.

Where dense may be faster, a plain product goes to ``F.linear`` itself: the same call as of the
layer that was replaced, bias included, so that it is not slower. What has an activation or a
residual to fuse stays with the library, which chooses for it too.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from .. import _core
from ._predict import Weight, dense_ranges


class KeptDense(NamedTuple):
    """A dense weight [n, k] inside an image, and the ranges of rows that it serves."""

    weight: Tensor
    ranges: tuple[tuple[int, int], ...]

    def serves(self, x: Tensor, bias: Tensor | None) -> bool:
        """Whether x, with a bias of its type or none, is for F.linear."""
        is_alike = bias is None or bias.dtype == x.dtype
        return is_alike and self.serves_rows(x.numel() // self.weight.shape[1])

    def serves_rows(self, rows: int) -> bool:
        for first, last in self.ranges:
            if rows <= last:
                return rows >= first
        return False


def kept_dense(image: Tensor, kind: int, weight: Weight, t_max: int) -> KeptDense | None:
    """What an image on a GPU keeps; None where that is no dense weight, or it is never faster."""
    offset = _core.kind_dense(kind)
    ranges = () if offset is None else dense_ranges(weight, t_max)
    if offset is None or not ranges:
        return None
    held = image.detach()[offset : offset + weight.n * weight.k * weight.dtype.itemsize]
    return KeptDense(held.view(weight.dtype).view(weight.n, weight.k), ranges)
