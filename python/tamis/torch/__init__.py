"""tamis for PyTorch (2.10 or later). Everything here is also reached as ``tamis.<name>``."""

from __future__ import annotations

from . import _ops as _ops
from ._masks import Mask, hold, release
from ._prune import PruneReport, prune
from ._schedule import GradualSparsity
from ._weight import SparseWeight, refresh
from ._weight_norm import WeightNormSparsifier, apply_fake_sparsity

__all__ = [
    "GradualSparsity",
    "Mask",
    "PruneReport",
    "SparseWeight",
    "WeightNormSparsifier",
    "apply_fake_sparsity",
    "hold",
    "prune",
    "refresh",
    "release",
]
