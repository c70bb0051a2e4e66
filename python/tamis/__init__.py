"""tamis: sparse neural networks that are really faster.

Arrays of numpy and scipy are served without torch: ``Pattern``, ``select``, ``apply``, ``check``,
``encode``, ``decode``, ``from_scipy``, ``Linear``; checkpoints by ``tamis.files``. Models are
served by ``tamis.prune``, ``tamis.sparsify`` and the rest of ``tamis.torch``, which is imported
when one of its names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import files
from ._context import device_text, get_threads, set_threads, use_tuning
from ._core import (
    CancelledError,
    DeviceError,
    Error,
    FileError,
    FormatError,
    InvalidError,
    NonFiniteError,
    OutOfMemoryError,
    PatternError,
    UnsupportedError,
    version,
)
from ._linear import Linear
from ._masks import Check, apply, check, count_zeros, pack_mask, select, unpack_mask
from ._matrix import Matrix, decode, encode, from_scipy
from ._pattern import Pattern

__version__, __commit__ = version()


class TamisWarning(UserWarning):
    """Something that a user should know and may ignore."""


__all__ = [
    "CancelledError",
    "Check",
    "DeviceError",
    "Error",
    "FileError",
    "FormatError",
    "InvalidError",
    "Linear",
    "Matrix",
    "NonFiniteError",
    "OutOfMemoryError",
    "Pattern",
    "PatternError",
    "TamisWarning",
    "UnsupportedError",
    "apply",
    "check",
    "count_zeros",
    "decode",
    "device_text",
    "encode",
    "files",
    "from_scipy",
    "get_threads",
    "pack_mask",
    "select",
    "set_threads",
    "unpack_mask",
    "use_tuning",
]

if TYPE_CHECKING:
    from . import torch as torch


def __getattr__(name: str) -> Any:
    """Names of tamis.torch (prune, sparsify, ...), which are there when torch is."""
    if name.startswith("_"):
        raise AttributeError(name)
    package = importlib.import_module(".torch", __name__)
    if name == "torch":
        return package
    if name not in package.__all__:
        raise AttributeError(f"module 'tamis' has no attribute {name!r}")
    return getattr(package, name)
