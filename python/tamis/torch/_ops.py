"""The operators: ``tamis::product``, ``tamis::linear`` and ``tamis::pack``.

``product`` is what inference calls: x, the image and the epilogue in, y out, nothing to
differentiate. Its kernel is a function of the extension that the dispatcher calls directly.
``linear`` has the canonical values and index beside the image, and gradients for x, values and
bias. ``pack`` builds the image of values inside a compiled graph, where weights are trained.

kind is the extension's number of what the image is (``_core.kind_add``): a constant of a graph,
equal in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import _core
from ._formats import Shape, from_dense, to_dense
from ._images import build

if not hasattr(Tensor, "__dlpack_c_exchange_api__"):
    raise ImportError(
        f"tamis needs torch 2.10 or later, whose tensors show their memory to C; this is "
        f"{torch.__version__}"
    )


def _make_work(x: Tensor, count: int) -> Tensor:
    return torch.empty(count, dtype=torch.uint8, device=x.device)


def _widened(
    x: Tensor, image: Tensor, bias: Tensor | None, residual: Tensor | None, *rest: Any
) -> Tensor:
    """On a CPU 16-bit inputs are computed in float32, for which it has fast kernels."""
    residual = None if residual is None else residual.float()
    y: Tensor = _core.torch_product(x.float(), image, bias, residual, *rest)
    return y.to(x.dtype)


_core.torch_setup(torch.get_num_threads, _make_work, _widened)

_library = torch.library.Library("tamis", "FRAGMENT")  # lives as long as its kernels
_tags = (torch.Tag.pt2_compliant_tag,)

_library.define(
    "product(Tensor x, Tensor image, Tensor? bias, Tensor? residual, int kind, "
    "SymInt out_features, str activation, bool gate) -> Tensor",
    tags=_tags,
)
_library.define(
    "linear(Tensor x, Tensor values, Tensor[] index, Tensor image, Tensor? bias, int kind, "
    "str format, int[] shape) -> Tensor",
    tags=_tags,
)
_library.define(
    "pack(Tensor values, Tensor[] index, str format, int[] shape, ScalarType dtype, "
    "int image_bytes, bool keep_dense, int t_max) -> Tensor",
    tags=_tags,
)

# ---- product


def _product_fake(
    x: Tensor,
    image: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    kind: int,
    out_features: int,
    activation: str,
    gate: bool,
) -> Tensor:
    return x.new_empty((*x.shape[:-1], out_features))


def _refuse_batched_weights(*dims: int | None) -> None:
    if any(dim is not None for dim in dims):
        raise _core.UnsupportedError(
            "vmap over the weights or biases of a sparse product is not served: each weight has an "
            "image of its own; use a loop, or vmap over x alone"
        )


def _batch_first(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    batched = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return batched.contiguous()


def _product_vmap(info: Any, dims: Any, *args: Any) -> tuple[Tensor, int]:
    """One product serves all of a batch of inputs; a batch of weights has no kernel."""
    x, image, bias, residual, *rest = args
    x_dim, image_dim, bias_dim, residual_dim, *_ = dims
    _refuse_batched_weights(image_dim, bias_dim)
    x = _batch_first(x, x_dim, info.batch_size)
    if residual is not None:
        residual = _batch_first(residual, residual_dim, info.batch_size)
    return product(x, image, bias, residual, *rest), 0


_library.impl("product", _core.torch_product, "CUDA")
_library.impl("product", _core.torch_product, "CPU")
torch.library.register_fake("tamis::product", _product_fake, lib=_library)
torch.library.register_vmap("tamis::product", _product_vmap, lib=_library)

product = torch.ops.tamis.product.default

# ---- linear


def _linear(
    x: Tensor,
    values: Tensor,
    index: Sequence[Tensor],
    image: Tensor,
    bias: Tensor | None,
    kind: int,
    format: str,
    shape: Sequence[int],
) -> Tensor:
    bias = None if bias is None else bias.float()
    y: Tensor = product(x, image, bias, None, kind, shape[0], "none", False)
    return y


def _linear_fake(
    x: Tensor,
    values: Tensor,
    index: Sequence[Tensor],
    image: Tensor,
    bias: Tensor | None,
    kind: int,
    format: str,
    shape: Sequence[int],
) -> Tensor:
    return x.new_empty((*x.shape[:-1], shape[0]))


def _linear_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, values, index, _, bias, _, ctx.format, shape = inputs
    ctx.shape = Shape(*shape)
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.save_for_backward(x, values, *index)


def _linear_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    """dx = dy w, dw = dy^T x where w is stored, db = the sum of dy."""
    x, values, *index = ctx.saved_tensors
    needs_x, needs_values, _, _, needs_bias, *_ = ctx.needs_input_grad
    grad_x = grad_values = grad_bias = None
    rows = grad.reshape(-1, grad.shape[-1])
    if needs_x:
        dense = to_dense(ctx.format, values, index, ctx.shape).to(grad.dtype)
        grad_x = grad @ dense
    if needs_values:
        dense = rows.t() @ x.reshape(-1, x.shape[-1])
        grad_values = from_dense(ctx.format, dense, index, ctx.shape).to(values.dtype)
    if needs_bias:
        grad_bias = rows.sum(0, dtype=torch.float32).to(ctx.bias_dtype)
    return grad_x, grad_values, [None] * len(index), None, grad_bias, None, None, None


def _linear_vmap(info: Any, dims: Any, *args: Any) -> tuple[Tensor, int]:
    x, values, index, image, bias, *rest = args
    x_dim, values_dim, index_dims, image_dim, bias_dim, *_ = dims
    _refuse_batched_weights(values_dim, image_dim, bias_dim, *(index_dims or ()))
    return linear(_batch_first(x, x_dim, info.batch_size), values, index, image, bias, *rest), 0


_library.impl("linear", _linear, "CompositeExplicitAutograd")
torch.library.register_fake("tamis::linear", _linear_fake, lib=_library)
torch.library.register_autograd(
    "tamis::linear", _linear_backward, setup_context=_linear_setup, lib=_library
)

torch.library.register_vmap("tamis::linear", _linear_vmap, lib=_library)

linear = torch.ops.tamis.linear.default

# ---- pack


def _pack(
    values: Tensor,
    index: Sequence[Tensor],
    format: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    image_bytes: int,
    keep_dense: bool,
    t_max: int,
) -> Tensor:
    image, _, _ = build(
        format, values, index, Shape(*shape), dtype, keep_dense=keep_dense, t_max=t_max, check=False
    )
    return image


def _pack_fake(
    values: Tensor,
    index: Sequence[Tensor],
    format: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    image_bytes: int,
    keep_dense: bool,
    t_max: int,
) -> Tensor:
    return values.new_empty(image_bytes, dtype=torch.uint8)


_library.impl("pack", _pack, "CompositeExplicitAutograd")
torch.library.register_fake("tamis::pack", _pack_fake, lib=_library)

pack = torch.ops.tamis.pack.default
