"""The sparsifier of torch.ao.pruning and torchao under its own names and parameters.

What it computes is the library's selection, so it differs on purpose where the original depends
on chance or on rounding: of equal scores the lower index is kept, magnitudes are compared and not
their squares (which vanish in 16 bits), a share of blocks is floor(share * count + 1/2), a weight
that is NaN or infinite is an error, dropped elements are +0.0. docs/pytorch.md lists it all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ._layers import Layer, layer_kind
from ._masks import Mask, hold_mask, layer_mask, restore_order
from ._select import select_mask

FakeSparsity = Mask
"""torch.ao's name of the parametrisation. Its mask is of bool, torch.ao's of float."""

Norm = int | Callable[[torch.Tensor], torch.Tensor] | None
_SETTINGS = ("sparsity_level", "sparse_block_shape", "zeros_per_block")


class WeightNormSparsifier:
    """Zeroes elements inside the blocks of smallest mean norm.

    sparsity_level      share of blocks that lose elements, 0 to 1
    sparse_block_shape  rows and columns of a block
    zeros_per_block     how many of each such block; None: all
    norm                2 (or None), 1, or a function of the weight that gives scores >= 0

    2:4 is ``sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2``.
    """

    def __init__(
        self,
        sparsity_level: float = 0.5,
        sparse_block_shape: tuple[int, int] = (1, 4),
        zeros_per_block: int | None = None,
        norm: Norm = None,
    ) -> None:
        if zeros_per_block is None:
            zeros_per_block = sparse_block_shape[0] * sparse_block_shape[1]
        if norm is not None and not callable(norm) and norm not in (1, 2):
            raise NotImplementedError(
                f"WeightNormSparsifier: norm is {norm}, but must be 1, 2 or a function"
            )
        self.norm = norm
        self.defaults: dict[str, Any] = {
            "sparsity_level": sparsity_level,
            "sparse_block_shape": sparse_block_shape,
            "zeros_per_block": zeros_per_block,
        }
        self.groups: list[dict[str, Any]] = []
        self.config: list[dict[str, Any]] = []
        self.model: nn.Module | None = None
        self.enable_mask_update = True

    def prepare(self, model: nn.Module, config: list[dict[str, Any]] | None = None) -> None:
        """Puts a mask of ones on every layer of config; None: on every nn.Linear.

        An entry of config names a tensor, ``{"tensor_fqn": "0.weight"}``, and may set parameters
        of its own.
        """
        self.model = model
        if config is None:
            config = [
                {"tensor_fqn": f"{name}.weight" if name else "weight"}
                for name, module in model.named_modules()
                if isinstance(module, nn.Linear)
            ]
        if not config:
            raise ValueError("WeightNormSparsifier.prepare: there is no layer to prune")
        self.config = config
        self.groups = [self._group(model, entry) for entry in config]
        for group in self.groups:
            weight = getattr(group["module"], group["tensor_name"])
            hold_mask(group["layer"], torch.ones_like(weight, dtype=torch.bool))

    def _group(self, model: nn.Module, entry: dict[str, Any]) -> dict[str, Any]:
        path = entry.get("tensor_fqn")
        if path is None:
            raise ValueError(f"prepare: an entry of config has no tensor_fqn: {entry}")
        name, _, tensor_name = path.rpartition(".")
        module = model.get_submodule(name)
        if entry.get("module", module) is not module:
            raise ValueError(f"prepare: config gives {path} a module that is not the model's")
        kind = layer_kind(module) or "linear"
        group = {**self.defaults, **entry}
        group.update(
            module=module,
            module_fqn=name,
            tensor_name=tensor_name,
            tensor_fqn=path,
            layer=Layer(name, module, kind, tensor_name),
        )
        return group

    def step(self, use_path: bool = True) -> None:
        """Selects every mask anew, among the weights that are still there."""
        if not self.enable_mask_update:
            return
        with torch.no_grad():
            for group in self.groups:
                self.update_mask(**group)

    def update_mask(
        self,
        module: nn.Module,
        tensor_name: str,
        sparsity_level: float,
        sparse_block_shape: tuple[int, int],
        zeros_per_block: int,
        **rest: Any,
    ) -> None:
        """Selects the mask of one tensor."""
        rows, columns = sparse_block_shape
        if not 0 <= zeros_per_block <= rows * columns:
            raise ValueError(
                f"zeros_per_block is {zeros_per_block}, but a block of {rows} x {columns} has "
                f"{rows * columns} elements"
            )
        layer = rest.get("layer") or Layer("", module, layer_kind(module) or "linear", tensor_name)
        held = layer_mask(layer)
        if held is None:
            raise ValueError(f"{tensor_name} has no mask: call prepare first")
        weight = layer.weight.detach()
        matrix = weight.reshape(weight.shape[0], -1)
        keep = torch.ones_like(matrix, dtype=torch.bool)
        if sparsity_level > 0 and zeros_per_block > 0:
            keep = self._block_mask(matrix, min(sparsity_level, 1.0), (rows, columns))
            if zeros_per_block < rows * columns:
                keep |= self._inner_mask(matrix, (rows, columns), zeros_per_block)
        held.mask.copy_(keep.reshape(weight.shape))

    def _scores(self, matrix: torch.Tensor) -> torch.Tensor | None:
        return self.norm(matrix.float()) if callable(self.norm) else None

    def _block_mask(
        self, matrix: torch.Tensor, level: float, block: tuple[int, int]
    ) -> torch.Tensor:
        """Keeps the share of blocks with the largest mean score."""
        if level >= 1.0:
            return torch.zeros_like(matrix, dtype=torch.bool)
        percent = f"{100.0 * level:.7f}".rstrip("0").rstrip(".")
        # A function's scores are averaged as they are.
        norm = "l1" if self.norm == 1 or callable(self.norm) else "l2"
        pattern = f"block {block[0]}x{block[1]} {percent}%"
        return select_mask(matrix, pattern, norm=norm, scores=self._scores(matrix))

    def _inner_mask(self, matrix: torch.Tensor, block: tuple[int, int], zeros: int) -> torch.Tensor:
        """Drops the smallest ``zeros`` elements of every block."""
        n, k = matrix.shape
        rows, columns = block
        scores = self._scores(matrix)
        source = matrix.float().abs() if scores is None else scores.float()
        # What an edge block lacks must not count among its zeros: it ranks above everything.
        largest = torch.finfo(torch.float32).max
        padded = nn.functional.pad(source, (0, -k % columns, 0, -n % rows), value=largest)
        down, across = padded.shape[0] // rows, padded.shape[1] // columns
        blocks = padded.reshape(down, rows, across, columns).permute(0, 2, 1, 3)
        flat = blocks.reshape(down * across, rows * columns)
        percent = f"{100.0 * zeros / (rows * columns):.7f}"
        keep = select_mask(flat, f"unstructured {percent}% per row", scores=flat)
        keep = keep.reshape(down, across, rows, columns).permute(0, 2, 1, 3)
        return keep.reshape(down * rows, across * columns)[:n, :k]

    def squash_mask(
        self,
        params_to_keep: tuple[str, ...] | None = None,
        params_to_keep_per_layer: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Writes the zeros into the weights and takes the masks off.

        Parameters named in params_to_keep (of all layers, or by the module's path) are left on the
        module as ``module.sparse_params``.
        """
        for group in self.groups:
            layer: Layer = group["layer"]
            names = tuple(params_to_keep or ())
            names += tuple((params_to_keep_per_layer or {}).get(layer.name, ()))
            if names:
                layer.owner.sparse_params = {name: group[name] for name in names}
            held = layer_mask(layer)
            if held is None:
                continue
            original = layer.owner.parametrizations[layer.tensor_name].original
            with torch.no_grad():
                original.masked_fill_(~held.mask, 0.0)
            parametrize.remove_parametrizations(layer.owner, layer.tensor_name)
            restore_order(layer)

    def state_dict(self) -> dict[str, Any]:
        """Settings of every group by tensor name, and the masks."""
        groups = [
            {key: group[key] for key in (*_SETTINGS, "tensor_fqn", "module_fqn", "tensor_name")}
            for group in self.groups
        ]
        state = {group["tensor_fqn"]: {"mask": self._mask(group).mask} for group in self.groups}
        return {"state": state, "groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """Gives the prepared model the saved masks and settings."""
        if self.model is None:
            raise ValueError("load_state_dict: call prepare first")
        saved = copy.deepcopy(state_dict)
        self.groups = [self._group(self.model, entry) for entry in saved["groups"]]
        for group in self.groups:
            state = saved["state"].get(group["tensor_fqn"])
            if state is None:
                if strict:
                    raise ValueError(f"load_state_dict: no mask of {group['tensor_fqn']}")
                continue
            hold_mask(group["layer"], state["mask"])

    def _mask(self, group: dict[str, Any]) -> Mask:
        held = layer_mask(group["layer"])
        if held is None:
            raise ValueError(f"{group['tensor_fqn']} has no mask: it was squashed")
        return held

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.groups):
            settings = ", ".join(f"{key}={group[key]}" for key in _SETTINGS)
            lines.append(f"  {i}: {group['tensor_fqn']}: {settings}")
        return "\n".join([*lines, ")"])


def _is_linear(module: nn.Module, name: str) -> bool:
    return isinstance(module, nn.Linear)


def apply_fake_sparsity(
    model: nn.Module,
    *,
    filter_fn: Callable[[nn.Module, str], bool] = _is_linear,
    sparsity_level: float = 1.0,
    sparse_block_shape: tuple[int, int] = (1, 4),
    zeros_per_block: int | None = 2,
) -> None:
    """Prunes in place, 2:4 unless said otherwise, and leaves a plain dense model with zeros."""
    config = [
        {"tensor_fqn": f"{name}.weight" if name else "weight"}
        for name, module in model.named_modules()
        if filter_fn(module, name)
    ]
    if not config:
        raise ValueError("apply_fake_sparsity: filter_fn takes no module of the model")
    sparsifier = WeightNormSparsifier(sparsity_level, sparse_block_shape, zeros_per_block)
    sparsifier.prepare(model, config)
    sparsifier.step()
    sparsifier.squash_mask()
