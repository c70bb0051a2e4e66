"""Layers of a model whose weights can be pruned, each seen as one [n, k] matrix.

n counts output features, k input features, in the order in which the product reads them:

- ``nn.Linear``: the weight as it is.
- Hugging Face ``Conv1D`` keeps [k, n]: transposed.
- ``nn.Conv2d`` keeps [n, c, kh, kw]: k runs over (kh, kw, c), channels fastest, as an image in
  channels-last order would be read. A group of 2:4 is four neighbouring channels of one tap.
- ``nn.MultiheadAttention`` keeps q, k and v joined in ``in_proj_weight``: as it is.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

LayerFilter = str | Iterable[str] | Callable[[str, nn.Module], bool] | None


@dataclass(frozen=True)
class Layer:
    """One weight of a model: ``owner.<tensor_name>``, an [n, k] matrix to the library."""

    name: str
    """Path of the module in the model, "blocks.0.mlp.fc1"; "" for the model itself."""
    owner: Any
    """The module (of a type that is not known here)."""
    kind: str
    """linear, conv2d, conv1d (Hugging Face's) or in_proj."""
    tensor_name: str = "weight"

    @property
    def tensor_path(self) -> str:
        """Name of the weight in a state_dict: "blocks.0.mlp.fc1.weight"."""
        return f"{self.name}.{self.tensor_name}" if self.name else self.tensor_name

    @property
    def weight(self) -> torch.Tensor:
        """The weight as the module holds it (with parametrisations applied)."""
        tensor: torch.Tensor = getattr(self.owner, self.tensor_name)
        return tensor

    @property
    def shape(self) -> tuple[int, int]:
        """n and k."""
        weight = self.weight
        if self.kind == "conv1d":
            return int(weight.shape[1]), int(weight.shape[0])
        n = int(weight.shape[0])
        return n, weight.numel() // max(n, 1)

    def to_matrix(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor of the weight's shape as contiguous [n, k]; a view where that is possible."""
        if self.kind == "conv1d":
            return tensor.t().contiguous()
        if self.kind == "conv2d":
            return tensor.permute(0, 2, 3, 1).reshape(tensor.shape[0], -1).contiguous()
        return tensor.contiguous()

    def from_matrix(self, matrix: torch.Tensor) -> torch.Tensor:
        """The inverse: an [n, k] matrix in the weight's own shape."""
        if self.kind == "conv1d":
            return matrix.t()
        if self.kind == "conv2d":
            n, c, kh, kw = self.weight.shape
            return matrix.reshape(n, kh, kw, c).permute(0, 3, 1, 2)
        return matrix


def _is_conv1d(module: nn.Module) -> bool:
    kind = type(module)
    return kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.")


def layer_kind(module: nn.Module) -> str | None:
    """Which kind of layer the module is; None where its weight is none that can be pruned."""
    if isinstance(module, nn.MultiheadAttention):
        return "in_proj" if module.in_proj_weight is not None else None
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Conv2d):
        return "conv2d" if module.groups == 1 else None
    if _is_conv1d(module):
        return "conv1d"
    return None


def all_layers(model: nn.Module) -> Iterator[Layer]:
    """Every layer of the model in its own order; a shared module once."""
    for name, module in model.named_modules():
        kind = layer_kind(module)
        if kind is not None:
            tensor_name = "in_proj_weight" if kind == "in_proj" else "weight"
            yield Layer(name, module, kind, tensor_name)


def _matches(layer: Layer, globs: list[str]) -> list[str]:
    return [
        glob
        for glob in globs
        if fnmatch.fnmatchcase(layer.name, glob) or fnmatch.fnmatchcase(layer.tensor_path, glob)
    ]


def find_layers(model: nn.Module, layers: LayerFilter = None) -> list[Layer]:
    """Layers that a filter takes: a glob or several over module or tensor names, or a predicate
    ``(name, module) -> bool``; None takes all.

    A glob that matches nothing is an error that says which names there are, and so is a model
    without any layer: nothing pruned is never a silent success.
    """
    found = list(all_layers(model))
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no nn.Linear, nn.Conv2d (groups=1) or Conv1D to prune"
        )
    if layers is None:
        return found
    if callable(layers):
        chosen = [layer for layer in found if layers(layer.name, layer.owner)]
        if not chosen:
            raise ValueError(
                "layers: the predicate takes none of the model's layers, which are "
                f"{_some(found)}"
            )
        return chosen
    globs = [layers] if isinstance(layers, str) else list(layers)
    used: set[str] = set()
    chosen = []
    for layer in found:
        matching = _matches(layer, globs)
        used.update(matching)
        if matching:
            chosen.append(layer)
    for glob in globs:
        if glob not in used:
            raise ValueError(f'layers: "{glob}" matches no layer; there are {_some(found)}')
    return chosen


def _some(layers: list[Layer], limit: int = 8) -> str:
    names = ", ".join(layer.name or "(the model itself)" for layer in layers[:limit])
    rest = len(layers) - limit
    return f"{names} and {rest} more" if rest > 0 else names


def shared_weights(model: nn.Module) -> dict[int, list[str]]:
    """Names of every parameter that several modules hold, by the parameter's id: tied weights."""
    names: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                names.setdefault(id(parameter), []).append(f"{path}.{name}" if path else name)
    return {key: paths for key, paths in names.items() if len(paths) > 1}
