"""Canonical components in torch operations: any device, traced and differentiated like the rest.

Kernels do not come this way; gradients, reports and moves between formats do. docs/formats.md
defines every bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Shape(NamedTuple):
    """What a format knows of a weight besides its components; passed to operators as int[]."""

    n: int
    k: int
    keep: int = 0
    group: int = 0
    block_rows: int = 0
    block_columns: int = 0


INDEX_NAMES: dict[str, tuple[str, ...]] = {
    "nm": ("index",),
    "csr": ("columns", "offsets"),
    "bsr": ("columns", "offsets"),
}
"""Components beside ``values``, in the order of docs/formats.md."""


def _nm_columns(index: Tensor, shape: Shape) -> Tensor:
    """Column of every stored value, int64 [n, k*keep/group]."""
    bits = (shape.group - 1).bit_length()
    groups = shape.k // shape.group
    count = groups * shape.keep
    shifts = torch.arange(8, device=index.device, dtype=torch.int32)
    flat = (index.to(torch.int32).unsqueeze(-1) >> shifts) & 1
    flat = flat.reshape(shape.n, -1)[:, : count * bits].reshape(shape.n, count, bits)
    weights = 1 << torch.arange(bits, device=index.device, dtype=torch.int32)
    positions = (flat * weights).sum(-1)
    base = torch.arange(groups, device=index.device).repeat_interleave(shape.keep) * shape.group
    return positions.to(torch.int64) + base


def _rows_of(offsets: Tensor, count: int) -> Tensor:
    """Row of every stored element of csr, or block row of every block of bsr."""
    rows = torch.arange(offsets.numel() - 1, device=offsets.device)
    return rows.repeat_interleave(offsets.diff(), output_size=count)


def _padded(shape: Shape) -> tuple[int, int]:
    """Block rows and block columns that cover the weight."""
    return -(-shape.n // shape.block_rows), -(-shape.k // shape.block_columns)


def to_dense(format: str, values: Tensor, index: Sequence[Tensor], shape: Shape) -> Tensor:
    """The dense weight [n, k]; differentiable in values."""
    if format == "nm":
        dense = values.new_zeros(shape.n, shape.k)
        return dense.scatter(1, _nm_columns(index[0], shape), values)
    columns, offsets = index
    if format == "csr":
        rows = _rows_of(offsets, columns.numel())
        dense = values.new_zeros(shape.n, shape.k)
        return dense.index_put((rows, columns.long()), values)
    block_rows, block_columns = _padded(shape)
    rows = _rows_of(offsets, columns.numel())
    blocks = values.new_zeros(block_rows, block_columns, shape.block_rows, shape.block_columns)
    blocks = blocks.index_put((rows, columns.long()), values)
    dense = blocks.transpose(1, 2).reshape(
        block_rows * shape.block_rows, block_columns * shape.block_columns
    )
    return dense[: shape.n, : shape.k]


def from_dense(format: str, dense: Tensor, index: Sequence[Tensor], shape: Shape) -> Tensor:
    """Elements of a dense [n, k] where values are stored: a dense gradient, masked and packed."""
    if format == "nm":
        return dense.gather(1, _nm_columns(index[0], shape))
    columns, offsets = index
    rows = _rows_of(offsets, columns.numel())
    if format == "csr":
        return dense[rows, columns.long()]
    block_rows, block_columns = _padded(shape)
    below, right = block_rows * shape.block_rows, block_columns * shape.block_columns
    padded = torch.nn.functional.pad(dense, (0, right - shape.k, 0, below - shape.n))
    blocks = padded.reshape(block_rows, shape.block_rows, block_columns, shape.block_columns)
    return blocks.transpose(1, 2)[rows, columns.long()]
