"""A frozen weight whose components are folded into its image: a GPU holds 9/16 of the dense bytes,
beside the dense weight where that is kept, and no more. Whatever needs the components (a
state_dict, a copy, a move, a gradient) gets them by decoding the image, which is exact.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .. import _core
from . import _device, _images
from ._formats import to_dense
from ._weight import SparseWeight, _Ready, _version

Components = dict[str, Tensor]


class Holder(Protocol):
    """What holds several weights in one image, and decodes any of them."""

    def decode_part(self, i: int) -> Components: ...


def can_fold(weight: SparseWeight) -> bool:
    """Whether the weight's image can be decoded where it lies, and nobody trains the values."""
    shape = weight._shape
    return (
        weight.device.type == "cuda"
        and weight.format == "nm"
        and (shape.keep, shape.group) == (2, 4)
        and weight.dtype in (torch.bfloat16, torch.float16)
        and not weight.values.requires_grad
    )


def decode(image: Tensor, kind: int, n: int, k: int, dtype: torch.dtype) -> Components:
    """Components of an image of n x k weights of a type."""
    return _device.decode_nm24(_images.context_of(image.device), kind, image, n, k, dtype)


def fold(weight: SparseWeight) -> None:
    """Folds a weight whose image is built, where that is possible."""
    if can_fold(weight) and weight._ready is not None and weight._ready.dtype is weight.dtype:
        weight.__class__ = FoldedWeight
        assert isinstance(weight, FoldedWeight)
        weight._source = None
        weight._fold()


def fold_into(weight: SparseWeight, holder: Holder, i: int) -> None:
    """Drops the components of a weight that is part i of another's image."""
    if can_fold(weight):
        weight.__class__ = FoldedWeight
        assert isinstance(weight, FoldedWeight)
        weight._source = (holder, i)
        weight._fold()
        weight._drop()


class FoldedWeight(SparseWeight):
    """A SparseWeight that may be folded; see the file's head."""

    _source: tuple[Holder, int] | None
    _is_folded: bool = False

    def _fold(self) -> None:
        self.values = nn.Parameter(self.values.detach().new_empty(0), False)
        self._buffers["index"] = torch.empty(0, dtype=torch.uint8, device=self.values.device)
        self._is_folded = True
        if self._ready is not None:
            self._ready = self._ready._replace(values=self.values, version=_version(self.values))
            kept = self._ready.kept
            can_last = kept is not None and not kept.weight.is_inference()
            self.lasting_kept = kept if can_last else None

    def components(self) -> Components:
        """values and index, decoded where they are folded."""
        if not self._is_folded:
            index = self._buffers["index"]
            assert index is not None
            return {"values": self.values.detach(), "index": index}
        if self._source is not None:
            holder, i = self._source
            return holder.decode_part(i)
        assert self.image is not None and self._ready is not None
        return decode(self.image, self._ready.kind, *self._shape[:2], self.dtype)

    def unfold(self) -> None:
        """Brings the components back, for good."""
        if not self._is_folded:
            return
        parts = self.components()
        self.values = nn.Parameter(parts["values"], self.values.requires_grad)
        self._buffers["index"] = parts["index"]
        self._is_folded = False
        self._source = self.lasting_kept = None
        if self._ready is not None:
            self._ready = self._ready._replace(values=self.values, version=_version(self.values))

    # ---- what a SparseWeight does with its components

    @property
    def density(self) -> float:
        """Share of weights stored."""
        return 0.5

    @property
    def index_tensors(self) -> list[Tensor]:
        """The index, decoded where it is folded."""
        return [self.components()["index"]]

    def to_dense(self) -> Tensor:
        """The dense weight [n, k]."""
        parts = self.components()
        return to_dense("nm", parts["values"], [parts["index"]], self._shape)

    def refresh(self, dtype: torch.dtype | None = None, bias: Tensor | None = None) -> _Ready:
        """Builds the image where there is none for dtype, and folds again."""
        ready = self._ready
        if self._is_folded and ready is not None and dtype in (None, ready.dtype):
            return ready if bias is None else self._set_bias(bias, ready)
        self.unfold()
        super().refresh(dtype, bias)
        fold(self)
        assert self._ready is not None
        return self._ready

    def _differentiable(self, *args: Any, **kwargs: Any) -> Tensor:
        if self._is_folded:
            if torch.compiler.is_compiling():
                raise _core.InvalidError(
                    "gradients are wanted of a sparse weight whose components are folded into its "
                    "image: call tamis.unfold(model) before it is compiled"
                )
            self.unfold()
        return super()._differentiable(*args, **kwargs)

    def _apply(self, fn: Any, recurse: bool = True) -> SparseWeight:
        self.unfold()
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if self._is_folded:
            parts = self.components()
            state["_parameters"] = {"values": nn.Parameter(parts["values"], False)}
            state["_buffers"] = {**state["_buffers"], "index": parts["index"]}
        return {**state, "_is_folded": False, "_source": None}

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if not self._is_folded:
            super()._save_to_state_dict(destination, prefix, keep_vars)
            return
        for name, part in self.components().items():
            destination[prefix + name] = part

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        self.unfold()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def unfold(model: nn.Module) -> None:
    """Brings back components that were folded into images: before training through a compiled
    model."""
    for module in model.modules():
        if isinstance(module, FoldedWeight):
            module.unfold()
