"""tamis for PyTorch (2.10 or later). Everything here is also reached as ``tamis.<name>``."""

from __future__ import annotations

from . import _ops as _ops
from ._checkpoint import load_packed, save_packed
from ._folded import unfold
from ._linear import JoinedLinear, SparseConv2d, SparseLinear
from ._masks import Mask, hold, release
from ._prune import PruneReport, prune
from ._report import SparsifyReport
from ._schedule import GradualSparsity
from ._sparsify import refresh, sparsify
from ._tensor import SparseSemiStructuredTensor, to_sparse_semi_structured
from ._weight import SparseWeight
from ._weight_norm import FakeSparsity, WeightNormSparsifier, apply_fake_sparsity

__all__ = [
    "FakeSparsity",
    "GradualSparsity",
    "JoinedLinear",
    "Mask",
    "PruneReport",
    "SparseConv2d",
    "SparseLinear",
    "SparseSemiStructuredTensor",
    "SparseWeight",
    "SparsifyReport",
    "WeightNormSparsifier",
    "apply_fake_sparsity",
    "hold",
    "load_packed",
    "prune",
    "refresh",
    "release",
    "save_packed",
    "sparsify",
    "to_sparse_semi_structured",
    "unfold",
]
