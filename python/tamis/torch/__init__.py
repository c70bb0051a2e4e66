"""tamis for PyTorch (2.10 or later). Everything here is also reached as ``tamis.<name>``."""

from __future__ import annotations

from . import _ops as _ops
from ._weight import SparseWeight

__all__ = ["SparseWeight"]
