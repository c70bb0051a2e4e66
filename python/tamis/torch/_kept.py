"""The dense weight that is kept beside a sparse one on a GPU, and when it serves.

Where dense may be faster, a plain product goes to ``F.linear`` itself: the same call as of the
layer that was replaced, bias included, so that it is not slower. What has an activation, a residual
or a gate to fuse stays with the library. On a CPU the library's images have dense parts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import _device, _images
from ._predict import Weight, dense_ranges


class KeptDense(NamedTuple):
    """A dense weight [n, k], and the ranges of rows that it serves."""

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


def kept_dense(
    image: Tensor, kind: int, about: Weight, t_max: int, memory: Tensor | None
) -> KeptDense | None:
    """What an image's weight keeps, in that memory where it fits; None where dense would never
    serve. It only enqueues."""
    ranges = dense_ranges(about, t_max)
    if not ranges:
        return None
    context = _images.context_of(image.device)
    with torch.no_grad():
        dense = _device.decode_dense(context, kind, image, about.n, about.k, about.dtype)
        if memory is not None and memory.dtype == dense.dtype and not memory.is_inference():
            dense = memory.copy_(dense)  # captured graphs hold on to its address
    return KeptDense(dense, ranges)
