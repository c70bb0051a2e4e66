"""Matrices: weights in canonical formats (docs/formats.md), and scipy's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _context, _core
from ._arrays import DTYPES, Array, as_weight, dense_spec, numpy_dtype, readable

if TYPE_CHECKING:
    import scipy.sparse

Format = Literal["dense", "nm", "csr", "bsr"]
FORMATS: tuple[Format, ...] = ("dense", "nm", "csr", "bsr")


@dataclass
class Matrix:
    """A weight of n x k in a canonical format: a few plain arrays.

    ``components`` are, by format: dense ``values``; nm ``values``, ``index``; csr and bsr
    ``values``, ``columns``, ``offsets``, with shapes and types of docs/formats.md. They may be
    views of memory that others own, such as a file.
    """

    format: Format
    dtype: str
    """Of values: "f32", "bf16" or "f16"."""
    n: int
    k: int
    components: dict[str, Array] = field(repr=False)
    keep: int = 0
    group: int = 0
    block_rows: int = 0
    block_columns: int = 0
    negative_zeros: int = 0
    """How many -0.0 became +0.0 when it was encoded."""

    @property
    def nnz(self) -> int:
        """Values stored, zeros of completion and padding included."""
        return int(self.components["values"].size)

    @property
    def bytes(self) -> int:
        """Of all components."""
        return sum(int(array.nbytes) for array in self.components.values())

    @property
    def density(self) -> float:
        """Share of weights stored."""
        return min(1.0, self.nnz / max(1, self.n * self.k))

    @property
    def spec(self) -> _core.Spec:
        """As the extension takes it."""
        return (
            FORMATS.index(self.format),
            DTYPES[self.dtype],
            self.n,
            self.k,
            self.nnz,
            self.keep,
            self.group,
            self.block_rows,
            self.block_columns,
        )

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Components in the order of docs/formats.md, as the extension reads them."""
        return tuple(readable(array) for array in self.components.values())

    def validate(self) -> None:
        """Raises FormatError, naming the entry, where docs/formats.md is broken."""
        _core.matrix_validate(_context.cpu(), self.spec, self.arrays)

    def decode(self) -> Array:
        """The dense weight [n, k]. Validates first."""
        out = np.empty((self.n, self.k), numpy_dtype(self.dtype))
        _core.matrix_decode(_context.cpu(), self.spec, self.arrays, readable(out))
        return out

    def to_scipy(self) -> scipy.sparse.csr_array | scipy.sparse.bsr_array:
        """A csr matrix as csr_array, a bsr matrix as bsr_array, sharing memory in f32. 16-bit
        values become f32, which scipy can compute with."""
        import scipy.sparse

        if self.format not in ("csr", "bsr"):
            raise _core.InvalidError(
                f"the matrix is {self.format}, but scipy has csr and bsr: encode(decode(), "
                '"csr") makes one of them'
            )
        values, columns, offsets = self.components.values()
        if self.dtype == "bf16" and values.dtype == np.uint16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        parts = (values.astype(np.float32, copy=False), columns, offsets)
        if self.format == "csr":
            return scipy.sparse.csr_array(parts, shape=(self.n, self.k))
        if self.n % self.block_rows or self.k % self.block_columns:
            raise _core.InvalidError(
                f"blocks of {self.block_rows} x {self.block_columns} do not divide "
                f"{self.n} x {self.k}, which scipy's bsr_array needs: use csr"
            )
        return scipy.sparse.bsr_array(parts, shape=(self.n, self.k))


def encode(
    weights: Any,
    format: Format,
    *,
    keep: int = 0,
    group: int = 0,
    block: tuple[int, int] = (0, 0),
    dtype: str | None = None,
) -> Matrix:
    """Stores dense weights [N, K] in a format; nm needs keep and group, bsr a block.

    Lossless but for -0.0. Raises PatternError, with row and column, where nm does not hold.
    """
    array, name = as_weight(weights, dtype)
    n, k = array.shape
    context, dense, sources = _context.cpu(), dense_spec(name, n, k), (readable(array),)
    number = FORMATS.index(format)
    _, parts = _core.matrix_size(context, dense, sources, number, keep, group, *block)
    names = list(DTYPES)
    components = {part: np.empty(shape, numpy_dtype(names[of])) for part, of, shape in parts}
    matrix = Matrix(format, name, n, k, components, keep, group, *block)
    matrix.negative_zeros = _core.matrix_encode(context, dense, sources, matrix.spec, matrix.arrays)
    return matrix


def decode(matrix: Matrix) -> Array:
    """The dense weight [n, k] of a matrix."""
    return matrix.decode()


def from_scipy(matrix: Any) -> Matrix:
    """A scipy csr or bsr matrix (or array) of float32, float16 or float64 values, which must fit
    float32. Unsorted or doubled entries are put in order in a copy."""
    kind = getattr(matrix, "format", None)
    if kind not in ("csr", "bsr"):
        raise _core.InvalidError(
            f"the matrix is {kind or type(matrix).__name__}, but must be scipy's csr or bsr: its "
            "tocsr() makes one"
        )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    values = matrix.data if matrix.data.dtype == np.float16 else matrix.data.astype(np.float32)
    components = {
        "values": np.ascontiguousarray(values),
        "columns": np.ascontiguousarray(matrix.indices, np.int32),
        "offsets": np.ascontiguousarray(matrix.indptr, np.int64),
    }
    block = matrix.blocksize if kind == "bsr" else (0, 0)
    dtype = "f16" if values.dtype == np.float16 else "f32"
    n, k = matrix.shape
    made = Matrix(kind, dtype, n, k, components, block_rows=block[0], block_columns=block[1])
    made.validate()
    return made
