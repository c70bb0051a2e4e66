"""Masks that hold zeros through training.

A masked layer keeps its dense weight as the trained parameter (the optimizer sees the same
object as before) and shows the rest of the model that weight with dropped elements exactly +0.0.
So momentum, weight decay or a careless ``weight.data`` update can change what is stored behind a
dropped element, but never the weight that is computed with. Cost: one elementwise pass over the
weight a forward, one bool an element.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import parametrize

from ._layers import Layer, LayerFilter, find_layers
from ._select import select_mask

MODES = ("ratchet", "regrow")


class Mask(nn.Module):
    """The parametrisation: w where the mask is set, +0.0 elsewhere.

    With ``learn_dropped`` the gradient of the shown weight reaches dropped elements too (a
    straight-through estimate), so that they move and may earn their place back when masks are
    renewed with mode "regrow"; without it they get no gradient. A mask of numbers, as torch.ao has
    it, is set where they are not 0.
    """

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor, *, learn_dropped: bool = False) -> None:
        super().__init__()
        self.register_buffer("mask", mask if mask.dtype is torch.bool else mask != 0)
        self.learn_dropped = learn_dropped

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros((), dtype=weight.dtype, device=weight.device)
        if self.learn_dropped:
            return weight - torch.where(self.mask, zero, weight).detach()
        return torch.where(self.mask, weight, zero)

    def extra_repr(self) -> str:
        return f"zeros={self.zeros} of {self.mask.numel()}, learn_dropped={self.learn_dropped}"

    @property
    def zeros(self) -> int:
        """Dropped elements."""
        return int(self.mask.numel() - self.mask.count_nonzero())


def layer_mask(layer: Layer) -> Mask | None:
    """The mask that holds the layer's weight; None where none does."""
    if not parametrize.is_parametrized(layer.owner, layer.tensor_name):
        return None
    chain = layer.owner.parametrizations[layer.tensor_name]
    return next((part for part in chain if isinstance(part, Mask)), None)


def masked_layers(model: nn.Module) -> Iterator[tuple[Layer, Mask]]:
    """Layers whose weight a mask holds."""
    for layer in find_layers(model):
        mask = layer_mask(layer)
        if mask is not None:
            yield layer, mask


def master_weight(layer: Layer) -> torch.Tensor:
    """The trained parameter behind a mask; the weight itself where there is none."""
    if parametrize.is_parametrized(layer.owner, layer.tensor_name):
        original: torch.Tensor = layer.owner.parametrizations[layer.tensor_name].original
        return original
    return layer.weight


def hold_mask(layer: Layer, mask: torch.Tensor, *, learn_dropped: bool = False) -> Mask:
    """Puts a mask on a layer, or new bits into the one that is there."""
    existing = layer_mask(layer)
    weight = layer.weight
    mask = mask.to(weight.device)
    if existing is not None:
        with torch.no_grad():
            existing.mask.copy_(mask)
        existing.learn_dropped = learn_dropped
        return existing
    new = Mask(mask, learn_dropped=learn_dropped)
    # "unsafe" skips a trial run: it would compute with weights that may lie on the meta device.
    parametrize.register_parametrization(layer.owner, layer.tensor_name, new, unsafe=True)
    return new


def hold(model: nn.Module, layers: LayerFilter = None) -> int:
    """Masks the zeros that layers have now, so that training keeps them. Returns how many layers.

    With a model that is dense yet it makes room for the masks of a checkpoint:
    ``hold(model); model.load_state_dict(saved)``.
    """
    chosen = find_layers(model, layers)
    for layer in chosen:
        hold_mask(layer, layer.weight.detach() != 0)
    return len(chosen)


def release(model: nn.Module) -> int:
    """Takes every mask off, its zeros written into the weights. Returns how many layers.

    Parameters stay the objects that the optimizer knows.
    """
    count = 0
    for layer, mask in list(masked_layers(model)):
        chain = layer.owner.parametrizations[layer.tensor_name]
        if len(chain) > 1:
            raise ValueError(
                f"release: {layer.tensor_path} has {len(chain) - 1} other parametrizations beside "
                "the mask: remove them first with torch.nn.utils.parametrize"
            )
        original = chain.original
        with torch.no_grad():
            original.masked_fill_(~mask.mask, 0.0)
        parametrize.remove_parametrizations(layer.owner, layer.tensor_name, leave_parametrized=True)
        restore_order(layer)
        count += 1
    return count


def restore_order(layer: Layer) -> None:
    """Puts the weight first among its module's parameters again, where torch's layers have it."""
    parameters = layer.owner._parameters
    for name in [name for name in parameters if name != layer.tensor_name]:
        parameters[name] = parameters.pop(name)


def renew_mask(layer: Layer, pattern: str, *, mode: str, norm: str = "l1") -> None:
    """Selects a held layer's mask anew.

    "regrow" ranks the dense weights behind the mask, so dropped ones may return; "ratchet" ranks
    the shown weights, in which dropped ones are zeros, and lets none return.
    """
    if mode not in MODES:
        raise ValueError(f'mode is "{mode}", but must be "ratchet" or "regrow"')
    held = layer_mask(layer)
    if held is None:
        raise ValueError(f"{layer.tensor_path} has no mask to renew: prune it with hold=True first")
    source = layer.weight if mode == "ratchet" else master_weight(layer)
    chosen = select_mask(layer.to_matrix(source.detach()), pattern, norm=norm)
    mask = layer.from_matrix(chosen).to(held.mask.device)
    if mode == "ratchet":
        mask = mask & held.mask
    with torch.no_grad():
        held.mask.copy_(mask)
