"""What stands behind a product, in torch's operations: for gradients, and where no kernel fuses
it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import _core

ACTIVATIONS = ("none", "relu", "relu2", "gelu", "gelu_tanh", "silu")


def activate(y: Tensor, activation: str) -> Tensor:
    """An activation by its name, in torch's operations."""
    if activation == "none":
        return y
    if activation == "relu2":
        return F.relu(y).square()
    if activation in ("gelu", "gelu_tanh"):
        return F.gelu(y, approximate="tanh" if activation == "gelu_tanh" else "none")
    if activation == "relu":
        return F.relu(y)
    if activation == "silu":
        return F.silu(y)
    raise _core.InvalidError(f'activation is "{activation}", but must be one of {ACTIVATIONS}')


def interleave(gate: Tensor, up: Tensor) -> Tensor:
    """Rows (of weights, components or biases) in turn, gate first, as ``gate=True`` wants them."""
    return torch.stack((gate, up), 1).flatten(0, 1)


def behind(y: Tensor, activation: str, residual: Tensor | None, gate: bool) -> Tensor:
    """act(y) + residual; with gate act of the even columns times the odd ones."""
    y = activate(y[..., 0::2], activation) * y[..., 1::2] if gate else activate(y, activation)
    return y if residual is None else y + residual
