"""SparseWeight: what a sparse module holds in place of its weight. The contract:

**What is stored.** Canonical components (docs/formats.md): the parameter ``values`` and the buffers
``index`` (nm) or ``columns`` and ``offsets`` (csr, bsr). A module that names its SparseWeight
``weight`` has state_dict keys ``fc.weight.values``, ``fc.weight.index``: exactly the entries that
``tamis pack`` writes. Components of another number of non-zeros load too. A module whose
``_load_from_state_dict`` calls ``take_dense`` loads a dense ``fc.weight`` as well, which is encoded
and must hold the pattern.

**What is derived.** ``image`` (kernel-ready bytes) and ``bias32`` (the bias in float32) are
non-persistent buffers, built at the first use and again when ``values`` (another tensor, or its
version counter), the device or the input's type changed. ``refresh()`` builds them at once: needed
before ``torch.compile`` or a CUDA-graph capture only where the weight was never used, and after
values changed behind a compiled graph's back. It writes into the same memory where sizes agree, so
captured graphs see the new weight; 2:4 weights on a GPU that were checked once are rebuilt without
waiting, in a capture too. Loading a state_dict into a weight that has an image builds it. Copies,
pickles and moves drop what is derived.

**The call.** ``weight(x, bias=None, activation="none", residual=None, gate=False)`` is
``act(F.linear(x, w, bias)) + residual``; with gate (rows of w are gate and up in turn, see
``interleave``) ``act(y[..., 0::2]) * y[..., 1::2] + residual``. x has any axes before the last, and
w's type; under autocast x is cast, and the image is in autocast's type. Without gradients it is one
operator, ``tamis::product``; with gradients (x, values or bias want one, grad mode is on) it is
``tamis::linear`` and torch's own operations behind it. activation is one of ``ACTIVATIONS``.

**Compiled.** With gradients wanted for ``values``, the image is built in the graph at every call.
Otherwise the graph reads the buffers ``image`` and ``bias32`` as they are.

**Questions.** ``shape``, ``dtype``, ``device``, ``requires_grad`` as of a tensor; ``to_dense()``;
``kernel(t)``, ``describe(t)``, ``resident_bytes``, ``density``, ``has_dense``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C._functorch import TransformType, peek_interpreter_stack
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.autograd import forward_ad
from torch.nn import functional as F

from .. import _context, _core
from . import _images, _ops
from ._behind import behind
from ._formats import INDEX_NAMES, Shape, to_dense
from ._kept import KeptDense, kept_dense
from ._predict import Weight

# What an eager call asks, without the look-ups: forward is on the way of every layer.
_is_compiling = torch.compiler.is_compiling
_is_grad_enabled = torch.is_grad_enabled
_any_autocast = torch._C._is_any_autocast_enabled
_product = _ops.product


class _Ready(NamedTuple):
    """What the derived buffers were made from."""

    values: Tensor
    version: int
    dtype: torch.dtype  # of inputs
    kind: int
    fuses_gate: bool
    layout: bytes
    bias: Tensor | None
    bias_version: int
    kept: KeptDense | None = None


def _version(tensor: Tensor) -> int:
    """The count of a tensor's changes; -1 for one of inference mode, which does not count."""
    return -1 if tensor.is_inference() else tensor._version


def _transforms_gradients() -> bool:
    top = peek_interpreter_stack()
    return top is not None and top.key() != TransformType.Vmap


class SparseWeight(nn.Module):
    """A weight of n x k in a sparse format, and the product with it. The module's docstring is the
    contract."""

    values: nn.Parameter
    image: Tensor | None
    bias32: Tensor | None
    _ready: _Ready | None
    _dense: Tensor | None = None  # memory of what is kept dense
    lasting_kept: KeptDense | None = None
    """What is kept dense, where it holds until image and weight are dropped: no need to ask."""

    def __init__(
        self,
        format: str,
        shape: Shape,
        components: dict[str, Tensor],
        *,
        requires_grad: bool = False,
        keep_dense: bool = False,
        t_max: int = 16384,
    ) -> None:
        super().__init__()
        if format not in INDEX_NAMES:
            raise _core.InvalidError(
                f'format is "{format}", but must be one of {", ".join(INDEX_NAMES)}'
            )
        self.format = format
        self._shape = Shape(*shape)
        self.keep_dense = keep_dense
        self.t_max = t_max
        self.values = nn.Parameter(components["values"], requires_grad)
        for name in INDEX_NAMES[format]:
            self.register_buffer(name, components[name])
        self.register_buffer("image", None, persistent=False)
        self.register_buffer("bias32", None, persistent=False)
        self._ready = None

    @classmethod
    def from_dense(
        cls,
        weight: Tensor,
        format: str,
        *,
        keep: int = 0,
        group: int = 0,
        block: tuple[int, int] = (0, 0),
        requires_grad: bool = False,
        keep_dense: bool = False,
        t_max: int = 16384,
    ) -> SparseWeight:
        """Encodes a dense weight, which must hold the pattern (nm: keep of every group), on its
        device. requires_grad makes the kept values trainable."""
        components = _images.encode(weight, format, keep, group, block)
        return cls(
            format,
            Shape(weight.shape[0], weight.shape[1], keep, group, *block),
            components,
            requires_grad=requires_grad,
            keep_dense=keep_dense,
            t_max=t_max,
        )

    # ---- what it is

    @property
    def shape(self) -> torch.Size:
        """Of the dense weight: [n, k]."""
        return torch.Size(self._shape[:2])

    @property
    def dtype(self) -> torch.dtype:
        """Of the values."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        return self.values.device

    @property
    def density(self) -> float:
        """Share of weights stored."""
        return min(1.0, self.values.numel() / max(1, self._shape.n * self._shape.k))

    @property
    def index_tensors(self) -> list[Tensor]:
        """Components beside values, in the order of docs/formats.md."""
        return _images.index_of(self.format, self)

    @property
    def resident_bytes(self) -> int:
        """Memory of components and image, and of a dense weight that is kept."""
        held = [self.values, *self.index_tensors, self.image, self._dense]
        return sum(part.numel() * part.element_size() for part in held if part is not None)

    @property
    def has_dense(self) -> bool:
        """Whether the dense weight is held, too."""
        ready = self._ready or self.refresh()
        is_part = any(part[1] == "dense" for part in _core.layout_parts(ready.layout))
        return is_part or ready.kept is not None

    def to_dense(self) -> Tensor:
        """The dense weight [n, k]; differentiable in values."""
        return to_dense(self.format, self.values, self.index_tensors, self._shape)

    def describe(
        self,
        t: int,
        *,
        activation: str = "none",
        bias: bool = False,
        residual: bool = False,
        gate: bool = False,
    ) -> tuple[str, str]:
        """The kernel for t rows of input, and a line a range of rows with modelled times."""
        ready = self._ready or self.refresh()
        is_cuda = self.device.type == "cuda"
        kernel, text = _core.plan_describe(
            _images.context_of(self.device),
            _context.CUDA if is_cuda else _context.CPU,
            ready.kind,
            _images.NUMBERS[ready.dtype if is_cuda else torch.float32],
            activation,
            bias,
            residual,
            gate,
            t,
        )
        return str(kernel), text

    def kernel(self, t: int) -> str:
        """Name of the kernel that serves t rows of input; "F.linear" for a kept dense weight's."""
        name, _ = self.describe(t)
        return "F.linear" if self.dense_serves(t) else name

    def dense_serves(self, t: int) -> bool:
        """Whether t rows of input go to a dense weight that is kept on a GPU."""
        kept = self._ready.kept if self._ready is not None else None
        return kept is not None and kept.serves_rows(t)

    def extra_repr(self) -> str:
        n, k, keep, group, *block = self._shape
        pattern = {"nm": f"{keep}:{group}", "bsr": f"block {block[0]}x{block[1]}"}
        return f"{n}x{k}, {pattern.get(self.format, self.format)}, {self.density:.0%} stored"

    # ---- the product

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None = None,
        activation: str = "none",
        residual: Tensor | None = None,
        gate: bool = False,
    ) -> Tensor:
        if _is_compiling():
            return self._traced(x, bias, activation, residual, gate)
        if forward_ad._current_level >= 0:
            raise _core.UnsupportedError(
                "a sparse product has no forward-mode derivative: use backward() or "
                "torch.autograd.grad"
            )
        if _any_autocast():
            x, residual = _autocast(x), None if residual is None else _autocast(residual)
        values = self._parameters["values"]
        ready = self._ready
        if (
            ready is None
            or ready.values is not values
            or (ready.version >= 0 and ready.version != values._version)
            or ready.dtype is not x.dtype
        ):
            ready = self._prepare(x)
        if _is_grad_enabled() and self._wants_grad(x, bias, residual):
            return self._differentiable(x, bias, activation, residual, gate, ready.kind)
        if ready.kept is not None and activation == "none" and residual is None and not gate:
            if ready.kept.serves(x, bias):
                return F.linear(x, ready.kept.weight, bias)
        if bias is not None and bias.dtype is not torch.float32:
            if ready.bias is not bias or (
                ready.bias_version >= 0 and ready.bias_version != bias._version
            ):
                ready = self._set_bias(bias, ready)
            bias = self._buffers["bias32"]
        if gate and not ready.fuses_gate:
            return self._composed(x, bias, activation, residual, ready.kind)
        return _product(  # type: ignore[no-any-return]
            x,
            self._buffers["image"],
            bias,
            residual,
            ready.kind,
            self._shape[0] // 2 if gate else self._shape[0],
            activation,
            gate,
        )

    def _wants_grad(self, x: Tensor, bias: Tensor | None, residual: Tensor | None) -> bool:
        return (
            x.requires_grad
            or self.values.requires_grad
            or (bias is not None and bias.requires_grad)
            or (residual is not None and residual.requires_grad)
        )

    def _differentiable(
        self,
        x: Tensor,
        bias: Tensor | None,
        activation: str,
        residual: Tensor | None,
        gate: bool,
        kind: int,
        image: Tensor | None = None,
    ) -> Tensor:
        """The product alone in one operator; what is behind it in torch's, which differentiate."""
        if not _is_compiling() and _transforms_gradients():
            raise _core.UnsupportedError(
                "torch.func does not differentiate operators that torch did not bring: use "
                "backward() or torch.autograd.grad for a sparse product"
            )
        y = _ops.linear(
            x,
            self.values,
            self.index_tensors,
            self.image if image is None else image,
            bias,
            kind,
            self.format,
            list(self._shape),
        )
        return behind(y, activation, residual, gate)

    def _composed(
        self, x: Tensor, bias32: Tensor | None, activation: str, residual: Tensor | None, kind: int
    ) -> Tensor:
        """Gate and up where no kernel fuses them."""
        y = _ops.product(x, self.image, bias32, None, kind, self._shape.n, "none", False)
        return behind(y, activation, residual, True)

    def _set_bias(self, bias: Tensor, ready: _Ready) -> _Ready:
        """Remembers a bias in float32, in the same memory where there is some."""
        self.bias32 = _renew(self.bias32, bias.detach().float())
        self._ready = ready._replace(bias=bias, bias_version=_version(bias))
        return self._ready

    def _traced(
        self, x: Tensor, bias: Tensor | None, activation: str, residual: Tensor | None, gate: bool
    ) -> Tensor:
        """What torch.compile and torch.export see."""
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, residual = x.to(dtype), None if residual is None else residual.to(dtype)
        ready = self._ready
        if ready is None or self.image is None or ready.dtype != x.dtype:
            raise _core.InvalidError(
                f"a sparse weight of {self._shape.n} x {self._shape.k} has no image for inputs of "
                f"{x.dtype} yet: call the model once, or tamis.refresh(model), before it is "
                "compiled"
            )
        if torch.is_grad_enabled() and self._wants_grad(x, bias, residual):
            image = self.image
            if self.values.requires_grad:
                image = _ops.pack(
                    self.values,
                    self.index_tensors,
                    self.format,
                    list(self._shape),
                    x.dtype,
                    self.image.numel(),
                    self.keep_dense,
                    self.t_max,
                )
            return self._differentiable(x, bias, activation, residual, gate, ready.kind, image)
        is_plain = activation == "none" and residual is None and not gate
        if ready.kept is not None and is_plain and not torch.compiler.is_exporting():
            if ready.kept.serves(x, bias):  # with dynamic rows a guard: the graph holds for a range
                return F.linear(x, ready.kept.weight, bias)
        if bias is not None and bias.dtype != torch.float32:
            bias = self.bias32 if self.bias32 is not None else bias.float()
        if gate and not ready.fuses_gate:
            return self._composed(x, bias, activation, residual, ready.kind)
        n = self._shape.n // 2 if gate else self._shape.n
        return _ops.product(  # type: ignore[no-any-return]
            x, self.image, bias, residual, ready.kind, n, activation, gate
        )

    # ---- what is derived

    def refresh(self, dtype: torch.dtype | None = None, bias: Tensor | None = None) -> _Ready:
        """Builds the image now, for inputs of dtype (default: the values' type), and remembers
        bias in float32. Not inside a CUDA-graph capture."""
        if self.values.is_meta:
            raise _core.InvalidError(
                "a sparse weight on the meta device has no values to build an image of: load a "
                "state_dict with assign=True, or to_empty() and load it, first"
            )
        old, is_known = self.image, self._ready is not None
        if old is not None and old.is_inference() and not torch.is_inference_mode_enabled():
            old = None
        if (
            self.device.type == "cuda"
            and torch.cuda.is_current_stream_capturing()
            and not (is_known and self._builds_behind())
        ):
            raise _core.InvalidError(
                f"the sparse weight of {self._shape.n} x {self._shape.k} changed or was never "
                "used, and its image cannot be built inside a CUDA-graph capture: call the model "
                "once, or tamis.refresh(model), before capturing"
            )
        dtype = dtype or self.values.dtype
        with torch.no_grad(), temporarily_clear_interpreter_stack():
            self.image, kind, layout = _images.build(
                self.format,
                self.values,
                self.index_tensors,
                self._shape,
                dtype,
                keep_dense=self.keep_dense,
                t_max=self.t_max,
                check=not is_known,
                out=old,
            )
        self._ready = _Ready(
            values=self.values,
            version=_version(self.values),
            dtype=dtype,
            kind=kind,
            fuses_gate=False,
            layout=layout,
            bias=None,
            bias_version=0,
        )
        self._ready = self._ready._replace(
            fuses_gate=self._can_fuse_gate(), kept=self._keep(self._ready)
        )
        if bias is not None and bias.dtype is not torch.float32:
            self._set_bias(bias, self._ready)
        return self._ready

    def _builds_behind(self) -> bool:
        """Whether an image is built by work that is only enqueued."""
        return (self.format, *self._shape[2:4]) == ("nm", 2, 4)

    def _can_fuse_gate(self) -> bool:
        if self._shape.n % 2:
            return False
        try:
            self.describe(1, activation="silu", gate=True)
        except _core.Error:
            return False
        return True

    def _keep(self, ready: _Ready) -> KeptDense | None:
        if not self.keep_dense or self.device.type != "cuda" or self.image is None:
            return None
        density = round(self.density, 4)
        about = Weight(self.device, ready.dtype, self.format, *self._shape, density, True)
        kept = kept_dense(self.image, ready.kind, about, self.t_max, self._dense)
        self._dense = None if kept is None else kept.weight
        return kept

    def _prepare(self, x: Tensor) -> _Ready:
        if x.is_meta and self.values.is_meta:
            self.image = torch.empty(0, dtype=torch.uint8, device="meta")
            return _Ready(self.values, 0, x.dtype, 0, True, b"", None, 0)
        if torch._C._functorch.is_functorch_wrapped_tensor(self.values):
            raise _core.UnsupportedError(
                "torch.func transforms the values of a sparse weight, whose image is built from "
                "numbers: differentiate them by backward(), and transform over x alone"
            )
        if x.device != self.values.device:
            raise _core.InvalidError(
                f"x is on {x.device}, but the sparse weight on {self.values.device}"
            )
        if x.dtype != self.values.dtype and not torch.is_autocast_enabled(x.device.type):
            raise _core.InvalidError(
                f"x is {x.dtype}, but the sparse weight {self.values.dtype}: convert one of them, "
                "or use autocast"
            )
        return self.refresh(x.dtype)

    def _drop(self) -> None:
        self._buffers["image"] = None
        self._buffers["bias32"] = None
        self._ready = self._dense = self.lasting_kept = None

    def _apply(self, fn: Any, recurse: bool = True) -> SparseWeight:
        self._drop()  # another device or type wants another image
        super()._apply(fn, recurse)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_ready"] = state["_dense"] = state["lasting_kept"] = None
        state["_buffers"] = {**self._buffers, "image": None, "bias32": None}
        return state

    # ---- loading

    def take_dense(self, state_dict: dict[str, Any], name: str) -> None:
        """Replaces a dense entry of that name, where there is one, by this weight's components:
        for the _load_from_state_dict of the module that holds this weight, before it calls
        super's, with name = prefix + "weight"."""
        dense = state_dict.pop(name, None)
        if dense is None:
            return
        block = (self._shape.block_rows, self._shape.block_columns)
        weight = dense.detach().to(self.dtype)
        parts = _images.encode(weight, self.format, *self._shape[2:4], block)
        state_dict.update({f"{name}.{part}": tensor for part, tensor in parts.items()})

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        if self.format != "nm":
            self._take_sizes(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        ready, self._ready = self._ready, None
        if ready is not None and not self.values.is_meta:  # compiled graphs go on with the new
            is_same_bias = not local_metadata.get("assign_to_params_buffers", False)
            if not is_same_bias:
                self.bias32 = None
            self.refresh(ready.dtype, ready.bias if is_same_bias else None)

    def _take_sizes(self, state_dict: dict[str, Any], prefix: str) -> None:
        """csr and bsr have as many entries as the weight that is loaded."""
        values = state_dict.get(prefix + "values")
        columns = state_dict.get(prefix + "columns")
        if values is None or columns is None or values.shape == self.values.shape:
            return
        fresh = torch.empty_like(values, dtype=self.dtype, device=self.device)
        self.values = nn.Parameter(fresh, self.values.requires_grad)
        self._buffers["columns"] = torch.empty_like(columns, device=self.device)


def _autocast(x: Tensor) -> Tensor:
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.is_floating_point():
        return x.to(torch.get_autocast_dtype(kind))
    return x


def _renew(old: Tensor | None, new: Tensor) -> Tensor:
    """new's content, in old's memory where that fits: captured graphs hold on to its address."""
    if old is None or old.shape != new.shape or old.device != new.device or old.is_inference():
        return new
    return old.copy_(new)
