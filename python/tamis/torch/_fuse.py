"""Fusion in graphs: what stands behind a sparse product goes into it, whatever the model's classes.

Works on torch.fx graphs in which products are ``tamis::product``: those that ``torch.compile``
hands to Inductor (``install_compile_pass``), and any other (``fuse_graph``). Fused are an
activation behind a product, and the addition of a tensor of the result's shape and type. The kernel
rounds once where the separate operations rounded each time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

_X, _IMAGE, _BIAS, _RESIDUAL, _KIND, _OUT, _ACTIVATION, _GATE = range(8)

_ACTIVATIONS: dict[Any, str] = {
    F.relu: "relu",
    torch.relu: "relu",
    F.silu: "silu",
    F.gelu: "gelu",
    torch._C._nn.gelu: "gelu",
    torch.ops.aten.relu.default: "relu",
    torch.ops.aten.silu.default: "silu",
    torch.ops.aten.gelu.default: "gelu",
}
_ADDITIONS = {
    operator.add,
    operator.iadd,
    torch.add,
    torch.ops.aten.add.Tensor,
}


def _is_product(node: Any) -> bool:
    return (
        isinstance(node, fx.Node)
        and node.op == "call_function"
        and node.target is torch.ops.tamis.product.default
        and len(node.args) == 8
        and not node.kwargs
    )


def _activation_of(node: fx.Node) -> str | None:
    """The library's name of what a node applies to its one tensor; None for anything else."""
    if node.op == "call_method" and node.target == "relu":
        return "relu"
    if node.op != "call_function" or len(node.args) != 1:
        return None
    name = _ACTIVATIONS.get(node.target)
    if name == "gelu" and node.kwargs.get("approximate", "none") == "tanh":
        return "gelu_tanh"
    return name


def _value(node: Any) -> torch.Tensor | None:
    """The example tensor that a traced graph keeps with a node."""
    if not isinstance(node, fx.Node):
        return None
    value = node.meta.get("example_value", node.meta.get("val"))
    return value if isinstance(value, torch.Tensor) else None


def _through_passive(node: fx.Node) -> fx.Node:
    """From a product over what does nothing (a dropout at rest) to the last such node."""
    while len(node.users) == 1:
        (user,) = node.users
        rests = user.target is F.dropout and _argument(user, 2, "training", True) is False
        none = user.target is F.dropout and _argument(user, 1, "p", 0.5) == 0
        if not (rests or none) or user.args[0] is not node:
            break
        node = user
    return node


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _replace(graph: fx.Graph, product: fx.Node, last: fx.Node, **changes: Any) -> fx.Node:
    """A product in last's place with other arguments; the old nodes go."""
    args = list(product.args)
    for name, value in changes.items():
        args[{"activation": _ACTIVATION, "residual": _RESIDUAL}[name]] = value
    with graph.inserting_before(last):
        new = graph.call_function(torch.ops.tamis.product.default, tuple(args))
    new.meta = dict(last.meta)
    last.replace_all_uses_with(new)
    while last is not product:
        before = next(arg for arg in last.args if _leads_to(arg, product))
        assert isinstance(before, fx.Node)
        graph.erase_node(last)
        last = before
    graph.erase_node(product)
    return new


def _leads_to(node: Any, product: fx.Node) -> bool:
    while isinstance(node, fx.Node) and node is not product:
        if node.target is not F.dropout:
            return False
        node = node.args[0]
    return node is product


def _try_activation(graph: fx.Graph, product: fx.Node) -> fx.Node | None:
    if product.args[_ACTIVATION] != "none" or product.args[_RESIDUAL] is not None:
        return None
    if len(product.users) != 1:
        return None
    (user,) = product.users
    name = _activation_of(user)
    return None if name is None else _replace(graph, product, user, activation=name)


def _try_residual(graph: fx.Graph, product: fx.Node) -> fx.Node | None:
    if product.args[_RESIDUAL] is not None:
        return None
    last = _through_passive(product)
    if len(last.users) != 1:
        return None
    (user,) = last.users
    if user.op != "call_function" or user.target not in _ADDITIONS or len(user.args) != 2:
        return None
    if user.kwargs:  # alpha, out
        return None
    first, second = user.args
    other = second if first is last else first
    mine, theirs = _value(product), _value(other)
    if mine is None or theirs is None or other is last:
        return None
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype or mine.device != theirs.device:
        return None
    return _replace(graph, product, user, residual=other)


def fuse_graph(graph: fx.Graph) -> list[str]:
    """Fuses in place; returns what was fused: "relu", "residual" ..."""
    done: list[str] = []
    for node in list(graph.nodes):
        if not _is_product(node):
            continue
        if (fused := _try_activation(graph, node)) is not None:
            done.append(str(fused.args[_ACTIVATION]))
            node = fused
        if _try_residual(graph, node) is not None:
            done.append("residual")
    if done:
        graph.lint()
    return done


Pass = Callable[[fx.Graph], None]


class CompilePass:
    """The pass in the form in which Inductor takes it; those that were there before run first."""

    def __init__(self, before: tuple[Pass, ...] = ()) -> None:
        self.before = before
        self.fused: list[str] = []
        """What was fused since the process began, for reports and tests."""

    def __call__(self, graph: fx.Graph) -> None:
        for other in self.before:
            other(graph)
        self.fused += fuse_graph(graph)

    def uuid(self) -> Any:
        """Part of the key under which Inductor caches compiled graphs."""
        others = (getattr(other, "uuid", None) for other in self.before)
        return ("tamis fusion 1", *(uuid() if uuid is not None else None for uuid in others))

    def __getstate__(self) -> dict[str, Any]:
        return {"before": (), "fused": [], "key": self.uuid()}  # what Inductor hashes


def install_compile_pass() -> CompilePass:
    """Makes ``torch.compile`` fuse behind sparse products from now on; twice is once."""
    from torch._inductor import config

    from ._inductor_pass import InductorPass

    current = config.pre_grad_custom_pass
    if isinstance(current, CompilePass):
        return current
    if isinstance(current, (list, tuple)):  # newer torches take several
        before = tuple(current)
    else:
        before = () if current is None else (current,)
    new = InductorPass(before)
    config.pre_grad_custom_pass = new
    return new
