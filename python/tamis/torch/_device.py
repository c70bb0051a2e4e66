"""Images and components made on a GPU, without a way through the host. All of it is exact: the
bytes are those that the host makes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import _core
from .._arrays import DTYPES
from .._matrix import FORMATS


def build(
    context: int,
    layout: bytes,
    spec: _core.Spec,
    parts: Sequence[Tensor],
    *,
    check: bool = True,
    out: Tensor | None = None,
) -> tuple[Tensor, bytes] | None:
    """The image of components on their GPU, and its description; None where the library builds
    that image in host memory alone.

    With check it waits for the GPU, and refuses what is not in the pattern; without it only
    enqueues. It is written into out where that is of its size.
    """
    device = parts[0].device
    parts = tuple(part.detach().contiguous() for part in parts)
    try:
        image_bytes, work_bytes = _core.device_sizes(context, layout, spec, parts, check)
    except _core.UnsupportedError:
        return None
    if out is not None and out.numel() == image_bytes and out.device == device:
        image = out
    else:
        image = torch.empty(image_bytes, dtype=torch.uint8, device=device)
    work = torch.empty(work_bytes, dtype=torch.uint8, device=device)
    try:
        described = _core.device_build(context, layout, spec, parts, image, work, check)
    except _core.UnsupportedError:
        return None
    return image, described


def encode_nm24(
    context: int, layout: bytes, dense_spec: _core.Spec, dense: Tensor, spec: _core.Spec
) -> dict[str, Tensor] | None:
    """nm components of a dense 2:4 weight, by way of its image: checked, then read back."""
    built = build(context, layout, dense_spec, (dense,))
    if built is None:
        return None
    image, described = built
    n, k = dense.shape
    values = dense.new_empty(n, k // 2)
    index = torch.empty(n, -(-k // 8), dtype=torch.uint8, device=dense.device)
    try:
        _core.device_decode(context, described, image, spec, (values, index))
    except _core.UnsupportedError:
        return None
    return {"values": values, "index": index}


def decode_nm24(
    context: int, kind: int, image: Tensor, n: int, k: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """nm components of a 2:4 image."""
    values = torch.empty(n, k // 2, dtype=dtype, device=image.device)
    index = torch.empty(n, -(-k // 8), dtype=torch.uint8, device=image.device)
    number = DTYPES[{torch.bfloat16: "bf16", torch.float16: "f16"}[dtype]]
    spec = (FORMATS.index("nm"), number, n, k, values.numel(), 2, 4, 0, 0)
    described = _core.kind_describe(kind)
    _core.device_decode(context, described, image, spec, (values, index))
    return {"values": values, "index": index}


def decode_dense(
    context: int, kind: int, image: Tensor, n: int, k: int, dtype: torch.dtype
) -> Tensor:
    """The dense weight of a 2:4 image."""
    dense = torch.empty(n, k, dtype=dtype, device=image.device)
    number = DTYPES[{torch.bfloat16: "bf16", torch.float16: "f16"}[dtype]]
    spec = (FORMATS.index("dense"), number, n, k, n * k, 0, 0, 0, 0)
    _core.device_decode(context, _core.kind_describe(kind), image, spec, (dense,))
    return dense


def select_groups(matrix: Tensor, keep: int, group: int) -> Tensor:
    """The mask of n:m: the largest magnitudes of each group, of equal ones the lower index, as
    tms_mask_select takes them."""
    n, k = matrix.shape
    # magnitudes as whole numbers: the same order, and equal ones tie exactly
    bits = torch.int16 if matrix.element_size() == 2 else torch.int32
    magnitudes = matrix.detach().abs().contiguous().view(bits).reshape(-1, group)
    order = magnitudes.sort(dim=1, descending=True, stable=True).indices
    mask = torch.zeros_like(magnitudes, dtype=torch.bool)
    return mask.scatter_(1, order[:, :keep], True).reshape(n, k)
