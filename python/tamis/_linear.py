"""The product on a CPU, for numpy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from . import _context, _core
from ._arrays import DTYPES, Array, aligned_bytes, readable
from ._matrix import FORMATS, Matrix

Activation = Literal["none", "relu", "relu2", "gelu", "gelu_tanh", "silu"]


class Linear:
    """y = activation(x w^T + bias) + residual on the CPU's kernels, for one sparse weight.

    The image is built once; calls allocate only their result. x is float32, in rows of K features
    with any axes before them. keep_dense adds the dense weight, so that no number of rows is
    slower than dense.
    """

    def __init__(
        self,
        weight: Matrix,
        bias: Any = None,
        *,
        activation: Activation = "none",
        keep_dense: bool = False,
        t_max: int = 16384,
    ) -> None:
        self.n, self.k = weight.n, weight.k
        self.activation: Activation = activation
        self.bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        context, f32 = _context.cpu(), DTYPES["f32"]
        number = FORMATS.index(weight.format)
        shape = (weight.keep, weight.group, weight.block_rows, weight.block_columns)
        size = (weight.n, weight.k, weight.density)
        problem = (number, *size, *shape, f32, f32, _context.CPU)
        layout = _core.layout_choose(context, problem, 1, t_max, keep_dense)
        self._image = aligned_bytes(_core.image_bytes(context, layout, weight.spec, weight.arrays))
        described = _core.image_build(context, layout, weight.spec, weight.arrays, self._image)
        self._kind = _core.kind_add(described, weight.density, number, *shape, f32)

    @property
    def image_bytes(self) -> int:
        """Of the kernel-ready weight."""
        return int(self._image.nbytes)

    def kernel(self, t: int) -> str:
        """Name of the kernel that serves t rows."""
        name, _ = _core.plan_describe(
            _context.cpu(),
            _context.CPU,
            self._kind,
            DTYPES["f32"],
            self.activation,
            self.bias is not None,
            False,
            False,
            t,
        )
        return str(name)

    def __call__(self, x: Any, residual: Any = None) -> Array:
        array = np.asarray(x, np.float32)
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        out = np.empty((*array.shape[:-1], self.n), np.float32)
        _core.host_product(
            _context.cpu(),
            array,
            readable(self._image),
            self.bias,
            None if residual is None else np.ascontiguousarray(residual, np.float32),
            self._kind,
            self.activation,
            False,
            out,
        )
        return out
