"""Images of canonical components: kernel-ready bytes on the device where products run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import _context, _core
from .._arrays import DTYPES
from .._matrix import FORMATS
from . import _device
from ._formats import INDEX_NAMES, Shape

NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
NUMBERS = {dtype: DTYPES[name] for dtype, name in NAMES.items()}
_COMPONENTS = {DTYPES["u8"]: torch.uint8, DTYPES["i32"]: torch.int32, DTYPES["i64"]: torch.int64}
_COMPONENTS |= {number: dtype for dtype, number in NUMBERS.items()}


def context_of(device: torch.device) -> int:
    """Number of the context that products on a device use."""
    if device.type == "cuda":
        return _core.context(_context.CUDA, _index(device), 0)
    if device.type == "cpu":
        return _core.context(_context.CPU, 0, torch.get_num_threads())
    raise _core.UnsupportedError(
        f"weights lie on {device.type}, but tamis has kernels for cpu and cuda"
    )


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _spec(format: str, values: Tensor, shape: Shape) -> _core.Spec:
    number = FORMATS.index(format)
    return (number, NUMBERS[values.dtype], shape.n, shape.k, values.numel(), *shape[2:])


def encode(
    weight: Tensor, format: str, keep: int, group: int, block: tuple[int, int]
) -> dict[str, Tensor]:
    """Components of a dense weight [n, k], on its device."""
    if weight.dtype not in NAMES or weight.ndim != 2:
        raise _core.InvalidError(
            f"the weight is {weight.dtype} of {weight.ndim} axes, but must be float32, float16 or "
            "bfloat16 of two"
        )
    n, k = weight.shape
    if weight.is_meta:
        return _meta(weight, format, keep, group)
    if weight.is_cuda and (format, keep, group) == ("nm", 2, 4):
        made_there = _encode_on_gpu(weight.detach().contiguous())
        if made_there is not None:
            return made_there
    dense = weight.detach().cpu().contiguous()
    context = context_of(torch.device("cpu"))
    dense_spec = (0, NUMBERS[dense.dtype], n, k, n * k, 0, 0, 0, 0)
    number = FORMATS.index(format)
    _, parts = _core.matrix_size(context, dense_spec, (dense,), number, keep, group, *block)
    made = {name: torch.empty(shape, dtype=_COMPONENTS[of]) for name, of, shape in parts}
    spec = _spec(format, made["values"], Shape(n, k, keep, group, *block))
    _core.matrix_encode(context, dense_spec, (dense,), spec, tuple(made.values()))
    return {name: part.to(weight.device) for name, part in made.items()}


def _encode_on_gpu(dense: Tensor) -> dict[str, Tensor] | None:
    n, k = dense.shape
    if dense.dtype is torch.float32 or k % 4:
        return None
    context, number = context_of(dense.device), NUMBERS[dense.dtype]
    spec = (FORMATS.index("nm"), number, n, k, n * k // 2, 2, 4, 0, 0)
    kind = (FORMATS.index("nm"), n, k, 0.5, 2, 4, 0, 0, number, number, _context.CUDA)
    try:
        layout = _core.layout_choose(context, kind, 1, 1024, 0)
    except _core.UnsupportedError:
        return None
    dense_spec = (0, number, n, k, n * k, 0, 0, 0, 0)
    return _device.encode_nm24(context, layout, dense_spec, dense, spec)


def _meta(weight: Tensor, format: str, keep: int, group: int) -> dict[str, Tensor]:
    """Components of a weight without values: their shapes, where these do not hang on values."""
    n, k = weight.shape
    if format != "nm":
        raise _core.InvalidError(
            f"the weight is on the meta device, where the size of {format} is not known: only n:m "
            "can be made there"
        )
    bits = (group - 1).bit_length()
    row_bytes = -(-(k // group * keep * bits) // 8)
    return {
        "values": weight.new_empty(n, k // group * keep),
        "index": weight.new_empty(n, row_bytes, dtype=torch.uint8),
    }


def build(
    format: str,
    values: Tensor,
    index: Sequence[Tensor],
    shape: Shape,
    dtype: torch.dtype,
    *,
    keep_dense: bool,
    t_max: int,
    check: bool = True,
    out: Tensor | None = None,
) -> tuple[Tensor, int, bytes]:
    """The image of a weight for inputs of a type, on the weight's device; its kind; its layout.

    On a CPU sums and images are in float32, whatever the inputs' type. Without check 2:4 on a GPU
    waits for nothing, and components that were checked before are trusted. The image is written
    into out where that is of its size.
    """
    device = values.device
    is_cuda = device.type == "cuda"
    compute = dtype if is_cuda else torch.float32
    number = FORMATS.index(format)
    density = min(1.0, values.numel() / max(1, shape.n * shape.k))
    context = context_of(device)
    types = (NUMBERS[compute], NUMBERS[compute], _context.CUDA if is_cuda else _context.CPU)
    problem = (number, shape.n, shape.k, density, *shape[2:], *types)
    # what is kept dense on a GPU lies beside the image: _kept.py
    layout = _core.layout_choose(context, problem, 1, t_max, keep_dense and not is_cuda)
    if is_cuda and (format, *shape[2:4]) == ("nm", 2, 4):
        stored = values.detach().to(dtype)
        spec = _spec(format, stored, shape)
        there = _device.build(context, layout, spec, (stored, *index), check=check, out=out)
        if there is not None:
            image, described = there
            kind = _core.kind_add(described, density, number, *shape[2:], NUMBERS[compute])
            return image, kind, layout
    host = values.detach().to("cpu", compute).contiguous()
    parts = (host, *(part.detach().cpu().contiguous() for part in index))
    spec = _spec(format, host, shape)
    image = torch.empty(_core.image_bytes(context, layout, spec, parts), dtype=torch.uint8)
    described = _core.image_build(context, layout, spec, parts, image)
    kind = _core.kind_add(described, density, number, *shape[2:], NUMBERS[compute])
    if out is not None and out.shape == image.shape and out.device == device:
        return out.copy_(image), kind, layout
    return image.to(device), kind, layout


def index_of(format: str, module: torch.nn.Module) -> list[Tensor]:
    """A module's components beside values, in order."""
    return [getattr(module, name) for name in INDEX_NAMES[format]]
