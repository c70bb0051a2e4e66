"""``tamis.sparsify``: a model's layers on sparse kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from .._pattern import Pattern
from . import _swap
from ._choice import Choice, choose
from ._folded import fold
from ._fuse import install_compile_pass
from ._layers import Layer, LayerFilter, find_layers, shared_weights
from ._linear import JoinedLinear, SparseConv2d, SparseLinear
from ._masks import layer_mask
from ._prune import choose_layers, prune
from ._report import SparseRow, SparsifyReport
from ._select import parse_pattern
from ._weight import SparseWeight

KeepDense = bool | Literal["auto"]
TOKENS = (1, 16, 64, 256, 1024, 4096, 16384)


@dataclass(frozen=True)
class _Options:
    pattern: str | None
    keep_dense: KeepDense
    tokens: tuple[int, ...]
    trainable: bool


def sparsify(
    model: nn.Module,
    pattern: str | None = None,
    *,
    layers: LayerFilter = None,
    keep_dense: KeepDense = "auto",
    tokens: Sequence[int] = TOKENS,
    fuse: bool = True,
    trainable: bool = False,
    norm: str = "l1",
) -> SparsifyReport:
    """Puts layers on sparse kernels, in place, and reports.

    pattern     prunes the layers first, as ``tamis.prune`` does. None: they are pruned already, and
                each takes the format that its zeros suit best.
    layers      as for ``prune``.
    keep_dense  "auto": a layer stays dense where dense is or may be faster at all of ``tokens``,
                and keeps its dense weight beside the sparse one where that is so at some of them,
                or at a number between. True: always both. False: never; least memory.
    tokens      numbers of rows that calls will bring, for "auto" and the report.
    fuse        activations, residuals, gates and q/k/v into the products (docs/pytorch.md, Fusion).
    trainable   kept values get gradients and can be trained; else they are fixed.

    Biases are left as they are. A model on the meta device takes n:m patterns; load a state_dict
    with assign=True afterwards.
    """
    if keep_dense not in (True, False, "auto"):
        raise ValueError(
            f'sparsify: keep_dense is {keep_dense!r}, but must be True, False or "auto"'
        )
    if not tokens or min(tokens) < 1:
        raise ValueError(f"sparsify: tokens are {tuple(tokens)}, but must be 1 or more")
    text = None if pattern is None else parse_pattern(pattern)
    options = _Options(text, keep_dense, tuple(sorted(set(tokens))), trainable)
    report = SparsifyReport(text or "as found", options.tokens)
    for layer, row in _rows_to_convert(model, text, layers, norm, report):
        report.rows.append(_convert(model, layer, row, options))
    finish(model, report, fuse)
    return report


def finish(model: nn.Module, report: SparsifyReport, fuse: bool) -> None:
    """What is left when layers are in place: fusion, images, and bytes in the report."""
    if fuse:
        report.fused = _swap.swap_known(model)
        install_compile_pass()
    _let_encoder_layers_be(model)
    refresh(model, is_folded=True)
    for row in report.rows:
        _measure_row(model, row)
    images = (module.image for module in model.modules() if isinstance(module, JoinedLinear))
    report.joined_bytes = sum(image.numel() for image in images if image is not None)


def refresh(
    model: nn.Module, dtype: torch.dtype | None = None, *, is_folded: bool = False
) -> None:
    """Builds the images of all sparse weights in a model now, for inputs of dtype: before compiling
    or capturing a model that was not called yet, and after weights changed behind a compiled
    graph's back. Weights on the meta device are left for later. is_folded: on a GPU, frozen 2:4
    weights then lie in their images alone."""
    joined: set[int] = set()
    for module in model.modules():
        if isinstance(module, JoinedLinear) and not module.parts[0].weight.values.is_meta:
            joined.update(id(part.weight) for part in module.parts)
            module.refresh(dtype)
    for module in model.modules():
        bias = getattr(module, "bias", None)
        for child in [module, *module.children()]:
            if not isinstance(child, SparseWeight) or id(child) in joined or child.values.is_meta:
                continue
            if child is not module or module is model:
                child.refresh(dtype, bias if isinstance(bias, torch.Tensor) else None)
                if is_folded:
                    fold(child)


def _rows_to_convert(
    model: nn.Module, pattern: str | None, layers: LayerFilter, norm: str, report: SparsifyReport
) -> list[tuple[Layer, SparseRow]]:
    """Layers that go on, pruned, each with the start of its row; rows of the others are added."""
    is_meta = any(p.is_meta for p in model.parameters())
    errors: dict[str, float] = {}
    if pattern is None:
        chosen = find_layers(model, layers)
    elif is_meta:
        chosen, skipped = choose_layers(model, pattern, layers)
        report.rows += [SparseRow.stays_dense(row) for row in skipped]
    else:
        named = {layer.tensor_path: layer for layer in find_layers(model, layers)}
        pruned = prune(model, pattern, layers=layers, norm=norm)
        report.rows += [SparseRow.stays_dense(row) for row in pruned.rows if row.skipped]
        chosen = [named[row.name] for row in pruned.pruned]
        errors = {row.name: row.error for row in pruned.pruned}
    shared = shared_weights(model)
    found = []
    for layer in chosen:
        row = SparseRow.of(layer, errors.get(layer.tensor_path))
        reason = _why_not(model, layer, shared)
        if reason is not None:
            row.dense_because = reason
            report.rows.append(row)
        else:
            found.append((layer, row))
    return found


def _why_not(model: nn.Module, layer: Layer, shared: dict[int, list[str]]) -> str | None:
    """Why a layer's module cannot be swapped, whatever its zeros."""
    if layer.kind == "in_proj":
        return "nn.MultiheadAttention reads the weight without a layer"
    if layer.name == "":
        return "it is the model itself: put it into an nn.Sequential"
    parent = model.get_submodule(layer.name.rpartition(".")[0])
    if isinstance(parent, nn.MultiheadAttention):
        return "nn.MultiheadAttention reads the weight without a layer"
    names = [] if layer_mask(layer) else shared.get(id(layer.weight), [])
    if names:
        return f"shared with {', '.join(n for n in names if n != layer.tensor_path)}"
    if layer.weight.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"its weight is {layer.weight.dtype}"
    return None


def _convert(model: nn.Module, layer: Layer, row: SparseRow, options: _Options) -> SparseRow:
    """Swaps one layer's module, or says why it stays dense."""
    weight = layer.weight.detach()
    matrix = layer.to_matrix(weight)
    kept = None if options.pattern is None else Pattern.parse(options.pattern)
    choice = choose(matrix, kept, options.tokens, layer.owner.bias is not None)
    row.take(choice)
    if choice.format is None or (options.keep_dense == "auto" and choice.never_wins):
        slower = "dense is or may be faster at every number of tokens"
        row.dense_because = choice.why_dense or slower
        return row
    keep = options.keep_dense is True or (options.keep_dense == "auto" and bool(choice.unsure_at))
    module = _make(layer, matrix, choice, keep, options)
    module.train(layer.owner.training)
    for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
        getattr(module, hooks).update(getattr(layer.owner, hooks))
    put_module(model, layer.owner, module)
    row.keeps_dense = keep
    return row


def _make(
    layer: Layer, matrix: torch.Tensor, choice: Choice, keep: bool, options: _Options
) -> nn.Module:
    assert choice.format is not None
    weight = SparseWeight.from_dense(
        matrix,
        choice.format,
        keep=choice.keep,
        group=choice.group,
        block=choice.block,
        requires_grad=options.trainable,
        keep_dense=keep,
        t_max=max(options.tokens),
    )
    owner: Any = layer.owner
    if layer.kind == "conv2d":
        return SparseConv2d(owner, weight)
    return SparseLinear(weight, owner.bias)


def put_module(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts new wherever old stands: a module may stand in several places."""
    for parent in model.modules():
        for name, child in list(parent._modules.items()):
            if child is old:
                parent._modules[name] = new


def _let_encoder_layers_be(model: nn.Module) -> None:
    # torch's encoder layer has a path that reads linear1.weight as a tensor; this closes it.
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and any(
            isinstance(child, SparseLinear) for child in module.children()
        ):
            module.activation_relu_or_gelu = 0


def _measure_row(model: nn.Module, row: SparseRow) -> None:
    """Bytes that the layer holds now."""
    module = model.get_submodule(row.name.rpartition(".")[0])
    if isinstance(module, (SparseLinear, SparseConv2d)):
        row.resident_bytes = module.weight.resident_bytes
        for t in filter(module.weight.dense_serves, row.kernels):
            row.kernels[t] = "F.linear"
    else:
        row.resident_bytes = row.dense_bytes
