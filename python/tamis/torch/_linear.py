"""Modules on sparse kernels: linear layers, convolutions, and several layers read as one.

Each holds a ``SparseWeight`` where the dense layer has its weight, so its state_dict has the
entries that ``tamis pack`` writes (``fc.weight.values``, ``fc.weight.index``); a dense
``fc.weight`` loads too and must hold the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import _context, _core
from . import _folded, _images, _ops
from ._behind import activate, interleave
from ._formats import Shape
from ._kept import KeptDense, kept_dense
from ._predict import Weight
from ._weight import SparseWeight, _renew

_is_compiling = torch.compiler.is_compiling


class _SparseLayer(nn.Module):
    """What sparse layers share: a weight, a bias, and loading a dense weight."""

    weight: SparseWeight
    bias: nn.Parameter | None
    activation: str

    def _as_matrix(self, dense: Tensor) -> Tensor:
        return dense

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        name = prefix + "weight"
        if name in state_dict:
            state_dict[name] = self._as_matrix(state_dict[name])
            self.weight.take_dense(state_dict, name)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class SparseLinear(_SparseLayer):
    """act(x w^T + bias): an ``nn.Linear`` whose weight is sparse, its activation in the kernel."""

    def __init__(
        self, weight: SparseWeight, bias: nn.Parameter | None, activation: str = "none"
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.register_parameter("bias", bias)  # there, too, where it is None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        # past nn.Module's attribute look-ups and call hooks: they cost as much as the launch
        weight: Any = self._modules["weight"]
        bias = self._parameters["bias"]
        kept = weight.lasting_kept
        if (
            kept is not None
            and self.activation == "none"
            and not _is_compiling()
            and kept.serves_rows(x.numel() // self.in_features)
        ):
            return F.linear(x, kept.weight, bias)
        y: Tensor = weight.forward(x, bias, self.activation)
        return y

    def _run(self, x: Tensor, activation: str, residual: Tensor | None) -> Tensor:
        if residual is not None:
            residual = residual.contiguous()  # kernels read rows that lie evenly
        y: Tensor = self.weight.forward(x, self.bias, activation, residual)
        return y

    def run(
        self, x: Tensor, *, activation: str | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """The layer with what is fused behind it: act(layer(x)) + residual.

        A residual of another shape is broadcast, and one of another type promotes, as an addition
        behind the layer would do.
        """
        if activation is not None and self.activation != "none":
            y = activate(self._run(x, self.activation, None), activation)
            return y if residual is None else residual + y
        act = self.activation if activation is None else activation
        if residual is not None and not self._adds(x, residual):
            return residual + self._run(x, act, None)
        return self._run(x, act, residual)

    def _adds(self, x: Tensor, residual: Tensor) -> bool:
        return (
            residual.shape[:-1] == x.shape[:-1]
            and residual.shape[-1] == self.out_features
            and residual.dtype == x.dtype
        )

    def extra_repr(self) -> str:
        behind = "" if self.activation == "none" else f", activation={self.activation}"
        bias = self.bias is not None
        return f"{self.in_features}, {self.out_features}, bias={bias}{behind}"


class SparseConv2d(_SparseLayer):
    """An ``nn.Conv2d`` (groups=1) with a sparse weight.

    A 1 x 1 kernel is a linear layer over pixels. A larger one reads its patches out first, taps
    one behind another with channels fastest: right everywhere, and a win where the product is far
    longer than that copy.
    """

    def __init__(self, conv: nn.Conv2d, weight: SparseWeight) -> None:
        super().__init__()
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.kernel_size, self.stride, self.dilation = conv.kernel_size, conv.stride, conv.dilation
        self.padding, self.padding_mode = conv.padding, conv.padding_mode
        self._sides: list[int] = list(conv._reversed_padding_repeated_twice)
        self.weight = weight
        self.bias: nn.Parameter | None = conv.bias  # type: ignore[assignment]
        self.activation = "none"

    def _as_matrix(self, dense: Tensor) -> Tensor:
        if dense.ndim == 2:
            return dense
        return dense.permute(0, 2, 3, 1).reshape(dense.shape[0], -1)

    def _patches(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to [b, out h, out w, kh*kw*c]."""
        if any(self._sides):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = F.pad(x, self._sides, mode=mode)
        rows = x.permute(0, 2, 3, 1)
        (kh, kw), (sh, sw), (dh, dw) = self.kernel_size, self.stride, self.dilation
        high = (rows.shape[1] - dh * (kh - 1) - 1) // sh + 1
        wide = (rows.shape[2] - dw * (kw - 1) - 1) // sw + 1
        taps = [
            rows[:, i * dh : i * dh + (high - 1) * sh + 1 : sh][
                :, :, j * dw : j * dw + (wide - 1) * sw + 1 : sw
            ]
            for i in range(kh)
            for j in range(kw)
        ]
        return taps[0].contiguous() if len(taps) == 1 else torch.cat(taps, -1)

    def forward(self, x: Tensor) -> Tensor:
        batched = x if x.ndim == 4 else x.unsqueeze(0)
        y: Tensor = self.weight(self._patches(batched), self.bias, self.activation)
        y = y.permute(0, 3, 1, 2)
        return y if x.ndim == 4 else y.squeeze(0)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"
        )


def _can_fuse_gate(weight: SparseWeight, kind: int, dtype: torch.dtype, gate: str) -> bool:
    """Whether the device has a kernel that combines gate and up, for images of that kind."""
    is_cuda = weight.device.type == "cuda"
    number = _images.NUMBERS[dtype if is_cuda else torch.float32]
    device = _context.CUDA if is_cuda else _context.CPU
    context = _images.context_of(weight.device)
    try:
        _core.plan_describe(context, device, kind, number, gate, False, False, True, 1)
    except _core.Error:
        return False
    return True


def interleave_rows(pair: Sequence[Tensor]) -> Tensor:
    """Rows of two in turn."""
    return interleave(*pair)


def _components(weight: SparseWeight) -> dict[str, Tensor]:
    if isinstance(weight, _folded.FoldedWeight):
        return weight.components()
    return {"values": weight.values.detach(), "index": weight.index_tensors[0]}


def join(parts: Sequence[nn.Module], gate: str | None = None) -> JoinedLinear | None:
    """Layers of one input as one; None where they do not go together."""
    sparse = [part for part in parts if isinstance(part, SparseLinear)]
    if len(sparse) != len(parts):
        return None
    first = sparse[0]
    alike = all(
        part.weight.format == first.weight.format == "nm"
        and part.weight._shape[1:] == first.weight._shape[1:]
        and (part.bias is None) == (first.bias is None)
        and part.activation == "none"
        and part.weight.keep_dense == first.weight.keep_dense
        for part in sparse
    )
    if not alike or (gate is not None and len({part.out_features for part in sparse}) != 1):
        return None
    return JoinedLinear(sparse, gate)


class JoinedLinear(nn.Module):
    """Several sparse layers of the same input as one product: q, k and v; gate and up.

    Holds nothing but an image built from the layers' own components, which stay where they were:
    names, checkpoints and training see the separate layers. With ``gate``, an activation, it is
    act(first(x)) * second(x).
    """

    image: Tensor | None
    bias32: Tensor | None

    def __init__(self, parts: Sequence[SparseLinear], gate: str | None = None) -> None:
        super().__init__()
        self._parts = (tuple(parts),)  # in a tuple of a tuple: no submodules of this one
        self.gate = gate
        self.sizes = [part.out_features for part in parts]
        self.register_buffer("image", None, persistent=False)
        self.register_buffer("bias32", None, persistent=False)
        self._kind = 0
        self._made_from: tuple[Any, ...] = ()
        self._fuses_gate = False
        self._kept: KeptDense | None = None
        self._kept_bias: Tensor | None = None

    @property
    def parts(self) -> tuple[SparseLinear, ...]:
        """The layers that it joins."""
        return self._parts[0]

    def _state(self, dtype: torch.dtype) -> tuple[Any, ...]:
        tensors = [part.weight.values for part in self.parts]
        tensors += [part.bias for part in self.parts if part.bias is not None]
        versions = (0 if t.is_inference() else t._version for t in tensors)
        return (dtype, *map(id, tensors), *versions)

    def refresh(self, dtype: torch.dtype | None = None) -> None:
        """Builds the image for inputs of that type (default: the values')."""
        weights = [part.weight for part in self.parts]
        first = weights[0]
        dtype = dtype or first.dtype
        with torch.no_grad():
            parts = [_components(weight) for weight in weights]
            image = self._build(parts, dtype, interleave_rows if self.gate else torch.cat)
            self._fuses_gate = self.gate is not None and _can_fuse_gate(
                first, self._kind, dtype, self.gate
            )
            if self.gate is not None and not self._fuses_gate:  # halves are easier to combine
                image = self._build(parts, dtype, torch.cat)
            put = interleave_rows if self._fuses_gate else torch.cat
            self.image = _renew(self.image, image)
            biases = [part.bias.float() for part in self.parts if part.bias is not None]
            self.bias32 = _renew(self.bias32, put(biases)) if biases else None
            self._keep(first, dtype)
            for i, weight in enumerate(weights):
                _folded.fold_into(weight, self, i)
        self._made_from = self._state(dtype)

    def _build(
        self, parts: list[dict[str, Tensor]], dtype: torch.dtype, put: Callable[..., Tensor]
    ) -> Tensor:
        first = self.parts[0].weight
        image, self._kind, _ = _images.build(
            "nm",
            put([part["values"] for part in parts]),
            [put([part["index"] for part in parts])],
            Shape(sum(self.sizes), *first._shape[1:]),
            dtype,
            keep_dense=first.keep_dense,
            t_max=first.t_max,
        )
        return image

    def _keep(self, first: SparseWeight, dtype: torch.dtype) -> None:
        """Keeps the joined weight dense where its parts are; a gate is left to the library."""
        self._kept = self._kept_bias = None
        if not first.keep_dense or self.gate is not None or first.device.type != "cuda":
            return
        assert self.image is not None
        n = sum(self.sizes)
        about = Weight(first.device, dtype, "nm", n, *first._shape[1:], first.density, True)
        self._kept = kept_dense(self.image, self._kind, about, first.t_max, None)
        if self._kept is not None and self.bias32 is not None:
            self._kept_bias = self.bias32.to(dtype)

    def decode_part(self, i: int) -> dict[str, Tensor]:
        """Components of one of the layers, out of the image."""
        assert self.image is not None
        dtype: torch.dtype = self._made_from[0]
        n, k = sum(self.sizes), self.parts[0].in_features
        whole = _folded.decode(self.image, self._kind, n, k, dtype)
        if self._fuses_gate:
            return {name: part[i::2].contiguous() for name, part in whole.items()}
        return {name: part.split(self.sizes)[i].clone() for name, part in whole.items()}

    def _apply(self, fn: Any, recurse: bool = True) -> JoinedLinear:
        self.image = self.bias32 = self._kept = self._kept_bias = None
        self._made_from = ()
        super()._apply(fn, recurse)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_buffers"] = dict.fromkeys(self._buffers)
        state["_made_from"] = ()
        state["_kept"] = state["_kept_bias"] = None
        return state

    def wants_parts(self, x: Tensor) -> bool:
        """Whether the layers must run one by one: gradients are wanted."""
        if not torch.is_grad_enabled():
            return False
        return x.requires_grad or any(
            p.requires_grad for part in self.parts for p in part.parameters()
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.wants_parts(x) or torch.is_autocast_enabled(x.device.type) or x.is_meta:
            ys = [part(x) for part in self.parts]
            return activate(ys[0], self.gate) * ys[1] if self.gate else torch.cat(ys, -1)
        if not torch.compiler.is_compiling() and self._made_from != self._state(x.dtype):
            self.refresh(x.dtype)
        if self.image is None:
            raise RuntimeError(
                "layers joined into one product have no image yet: call the model once, or "
                "tamis.refresh(model), before it is compiled"
            )
        n = sum(self.sizes)
        if self._kept is not None and not torch.compiler.is_exporting():
            if self._kept.serves(x, self._kept_bias):
                return F.linear(x, self._kept.weight, self._kept_bias)
        if self.gate is None:
            y: Tensor = _ops.product(x, self.image, self.bias32, None, self._kind, n, "none", False)
            return y
        if self._fuses_gate:
            y = _ops.product(x, self.image, self.bias32, None, self._kind, n // 2, self.gate, True)
            return y
        y = _ops.product(x, self.image, self.bias32, None, self._kind, n, "none", False)
        return activate(y[..., : n // 2], self.gate) * y[..., n // 2 :]

    def extra_repr(self) -> str:
        sizes = " + ".join(map(str, self.sizes))
        return f"{self.parts[0].in_features} -> {sizes}" + (
            f", gate={self.gate}" if self.gate else ""
        )
