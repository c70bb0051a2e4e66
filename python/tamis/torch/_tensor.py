"""A 2:4 weight as a tensor, for code that puts it into an ``nn.Linear``:

    linear.weight = nn.Parameter(tamis.to_sparse_semi_structured(linear.weight))

What torch.sparse's function of that name does, on tamis' kernels, on a CPU too. The weight must
hold the pattern: where torch drops a third non-zero of a group by its place, this says where it is.
``tamis.sparsify`` does more (fusion, other patterns, safetensors) and costs less a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import _core
from . import _images, _ops
from ._formats import Shape, to_dense

aten = torch.ops.aten


class SparseSemiStructuredTensor(torch.Tensor):
    """An [n, k] tensor in 2:4, or its transpose. It multiplies, moves, copies and is saved; what
    else is asked of it is refused with what it can do."""

    packed: Tensor
    meta: Tensor
    image: Tensor
    kind: int
    is_transposed: bool

    @staticmethod
    def __new__(
        cls,
        packed: Tensor,
        meta: Tensor,
        image: Tensor,
        kind: int,
        is_transposed: bool = False,
        requires_grad: bool = False,
    ) -> SparseSemiStructuredTensor:
        n, k = packed.shape[0], packed.shape[1] * 2
        self: SparseSemiStructuredTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            (k, n) if is_transposed else (n, k),
            dtype=packed.dtype,
            device=packed.device,
            requires_grad=requires_grad,
        )
        self.packed, self.meta, self.image, self.kind = packed, meta, image, kind
        self.is_transposed = is_transposed
        return self

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def from_dense(cls, dense: Tensor) -> SparseSemiStructuredTensor:
        """Encodes a dense [n, k] weight that holds 2:4."""
        parts = _images.encode(dense.detach(), "nm", 2, 4, (0, 0))
        return cls._from_parts(parts["values"], parts["index"])

    @classmethod
    def _from_parts(
        cls, packed: Tensor, meta: Tensor, is_transposed: bool = False, requires_grad: bool = False
    ) -> SparseSemiStructuredTensor:
        shape = Shape(packed.shape[0], packed.shape[1] * 2, 2, 4)
        image, kind, _ = _images.build(
            "nm", packed, [meta], shape, packed.dtype, keep_dense=False, t_max=16384
        )
        return cls(packed, meta, image, kind, is_transposed, requires_grad)

    def _with(self, is_transposed: bool) -> SparseSemiStructuredTensor:
        return type(self)(self.packed, self.meta, self.image, self.kind, is_transposed)

    def _dense(self) -> Tensor:
        shape = Shape(self.packed.shape[0], self.packed.shape[1] * 2, 2, 4)
        dense = to_dense("nm", self.packed, [self.meta], shape)
        return dense.t() if self.is_transposed else dense

    def to_dense(self, *args: Any, **kwargs: Any) -> Tensor:
        """The dense tensor, exactly what was encoded."""
        return self._dense()

    def values(self) -> Tensor:
        """The kept values [n, k/2]."""
        return self.packed

    def indices(self) -> Tensor:
        """Their positions: a nibble a group of four, docs/formats.md."""
        return self.meta

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        kind = type(self).__name__
        return f"{kind}(shape={tuple(self.shape)}, dtype={self.dtype}, device={self.device})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = (self.packed, self.meta, self.is_transposed, self.requires_grad)
        return _rebuild, state

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["packed", "meta", "image"], (self.kind, self.is_transposed, self.requires_grad)

    def _stable_hash_for_caching(self) -> str:
        return f"{self.kind} {self.is_transposed} {tuple(self.shape)} {self.dtype}"

    @classmethod
    def __tensor_unflatten__(
        cls, inner: dict[str, Tensor], context: Any, outer_size: Any, outer_stride: Any
    ) -> SparseSemiStructuredTensor:
        kind, is_transposed, requires_grad = context
        parts = (inner["packed"], inner["meta"], inner["image"])
        return cls(*parts, kind, is_transposed, requires_grad)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        served = _SERVED.get(func.overloadpacket)
        if served is None:
            names = ", ".join(sorted(str(packet).split(".")[-1] for packet in _SERVED))
            raise NotImplementedError(
                f"a semi-structured tensor does not serve {func}, but {names}; to_dense() gives a "
                "plain tensor"
            )
        return served(*args, **(kwargs or {}))


def _times(x: Tensor, weight: SparseSemiStructuredTensor, bias: Tensor | None) -> Tensor:
    """x w^T + bias, of a weight that is not transposed."""
    if x.shape[-1] != weight.packed.shape[1] * 2 or x.dtype != weight.dtype:
        raise _core.InvalidError(
            f"x is {x.dtype} with {x.shape[-1]} features, but the weight is {weight.dtype} and "
            f"takes {weight.packed.shape[1] * 2}"
        )
    n = weight.packed.shape[0]
    bias = None if bias is None else bias.float().contiguous()
    y: Tensor = _ops.product(x, weight.image, bias, None, weight.kind, n, "none", False)
    return y


def _mm(a: Tensor, b: Tensor) -> Tensor:
    first, second = (isinstance(t, SparseSemiStructuredTensor) for t in (a, b))
    if first and second:
        raise ValueError("both factors are semi-structured, but one must be dense: use to_dense()")
    if second:
        assert isinstance(b, SparseSemiStructuredTensor)
        return _times(a, b._with(False), None) if b.is_transposed else a @ b._dense()
    assert isinstance(a, SparseSemiStructuredTensor)
    return a._dense() @ b if a.is_transposed else _times(b.t().contiguous(), a, None).t()


def _addmm(bias: Tensor, a: Tensor, b: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    is_row = bias.ndim == 1 and beta == 1 and alpha == 1
    if is_row and isinstance(b, SparseSemiStructuredTensor) and b.is_transposed:
        return _times(a, b._with(False), bias)
    y: Tensor = beta * bias + alpha * _mm(a, b)
    return y


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    if a.ndim > 2 and isinstance(b, SparseSemiStructuredTensor) and b.is_transposed:
        return _times(a, b._with(False), None)
    return _mm(a, b)


def _linear(x: Tensor, weight: Any, bias: Tensor | None = None) -> Tensor:
    if weight.is_transposed:
        y: Tensor = x @ weight._dense().t()
        return y if bias is None else y + bias
    return _times(x, weight, bias)


def _move(tensor: SparseSemiStructuredTensor, **options: Any) -> Any:
    dtype, device = options.get("dtype") or tensor.dtype, options.get("device") or tensor.device
    packed = tensor.packed.to(device, dtype)
    return type(tensor)._from_parts(packed, tensor.meta.to(device), tensor.is_transposed)


def _view(tensor: SparseSemiStructuredTensor, shape: list[int]) -> Any:
    if list(shape) not in ([-1, tensor.shape[1]], list(tensor.shape)):
        raise NotImplementedError(
            f"a semi-structured tensor of {tuple(tensor.shape)} cannot be viewed as {tuple(shape)}"
        )
    return tensor._with(tensor.is_transposed)


def _clone(tensor: SparseSemiStructuredTensor, **_: Any) -> Any:
    parts = (tensor.packed.clone(), tensor.meta.clone(), tensor.image.clone())
    return type(tensor)(*parts, tensor.kind, tensor.is_transposed)


_SERVED: dict[Any, Callable[..., Any]] = {
    aten.linear: _linear,
    aten.mm: _mm,
    aten.matmul: _matmul,
    aten.addmm: _addmm,
    aten.t: lambda tensor: tensor._with(not tensor.is_transposed),
    aten.detach: lambda tensor: tensor._with(tensor.is_transposed),
    aten.alias: lambda tensor: tensor._with(tensor.is_transposed),
    aten.view: _view,
    aten.clone: _clone,
    aten._to_copy: _move,
    aten.is_same_size: lambda a, b: a.shape == b.shape,
    aten.values: lambda tensor: tensor.packed,
    aten.indices: lambda tensor: tensor.meta,
    aten.to_dense: lambda tensor, **_: tensor._dense(),
    aten._to_dense: lambda tensor, **_: tensor._dense(),
}


def to_sparse_semi_structured(
    original_tensor: Tensor, transposed: bool = False
) -> SparseSemiStructuredTensor:
    """A dense [n, k] weight that holds 2:4 along k as a semi-structured tensor.

    ``transposed`` is torch's old parameter and must be False: transposing is ``.t()``.
    """
    if transposed:
        raise ValueError("to_sparse_semi_structured: transposed is True: use .t() on the result")
    if isinstance(original_tensor, SparseSemiStructuredTensor):
        return original_tensor
    if original_tensor.ndim != 2:
        raise _core.InvalidError(
            f"to_sparse_semi_structured: the tensor has {original_tensor.ndim} axes, but must have "
            "two"
        )
    return SparseSemiStructuredTensor.from_dense(original_tensor)


def _rebuild(
    packed: Tensor, meta: Tensor, is_transposed: bool, requires_grad: bool
) -> SparseSemiStructuredTensor:
    """From a file; the image is made anew."""
    made = SparseSemiStructuredTensor._from_parts(packed, meta, is_transposed, requires_grad)
    return made


torch.serialization.add_safe_globals([_rebuild])  # torch.load(weights_only=True) may call it
