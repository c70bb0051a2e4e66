"""``tamis.prune``: zeros in place, by any pattern that the library has."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ._layers import Layer, LayerFilter, find_layers, shared_weights
from ._masks import hold_mask, layer_mask
from ._select import parse_pattern, select_mask, why_unfit


@dataclass
class PruneRow:
    """What was done to one layer."""

    name: str
    """The weight's name in the state_dict."""
    kind: str
    n: int
    k: int
    pattern: str
    zeros: int
    zeros_before: int
    error: float
    """||dW|| / ||W|| in the Frobenius norm, against the weight before."""
    skipped: str | None = None
    """Why the layer stays dense; None where it was pruned."""

    @property
    def sparsity(self) -> float:
        """Share of zeros, those it had before included."""
        return self.zeros / max(self.n * self.k, 1)


@dataclass
class PruneReport:
    """What ``prune`` did, a row a layer."""

    pattern: str
    rows: list[PruneRow] = field(default_factory=list)

    @property
    def pruned(self) -> list[PruneRow]:
        """Rows of the layers that were pruned."""
        return [row for row in self.rows if row.skipped is None]

    @property
    def sparsity(self) -> float:
        """Share of zeros over all pruned layers."""
        weights = sum(row.n * row.k for row in self.pruned)
        return sum(row.zeros for row in self.pruned) / max(weights, 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        rows = [{**asdict(row), "sparsity": row.sparsity} for row in self.rows]
        return {"pattern": self.pattern, "sparsity": self.sparsity, "layers": rows}

    def _cells(self) -> list[list[str]]:
        table = [["layer", "n x k", "zeros", "error"]]
        for row in self.rows:
            shape = f"{row.n} x {row.k}"
            if row.skipped is None:
                table.append([row.name, shape, f"{row.sparsity:.1%}", f"{row.error:.4f}"])
            else:
                table.append([row.name, shape, "dense", row.skipped])
        return table

    def __str__(self) -> str:
        head = f"{self.pattern}: {len(self.pruned)} layers pruned, {self.sparsity:.1%} zeros"
        left = len(self.rows) - len(self.pruned)
        return head + (f", {left} stay dense" if left else "") + "\n" + draw_table(self._cells())

    def _repr_html_(self) -> str:
        return draw_html(f"{self.pattern}: {self.sparsity:.1%} zeros", self._cells())


def draw_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; all but the first and the last are right-aligned."""
    columns = len(rows[0])
    widths = [max(len(row[i]) for row in rows) for i in range(columns)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(widths[i]) if i in (0, columns - 1) else cell.rjust(widths[i])
            for i, cell in enumerate(row)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def draw_html(title: str, rows: Sequence[Sequence[str]]) -> str:
    """The same as an HTML table, for notebooks."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[1:]
    )
    return f"<table><caption>{html.escape(title)}</caption><tr>{head}</tr>{body}</table>"


def prune_row(
    layer: Layer, pattern: str, before: torch.Tensor, skipped: str | None = None
) -> PruneRow:
    """The row of a layer, whose weight was ``before``."""
    n, k = layer.shape
    row = PruneRow(layer.tensor_path, layer.kind, n, k, pattern, 0, 0, 0.0, skipped)
    if before.device.type == "meta":
        return row
    with torch.no_grad():
        after = layer.weight.detach()
        row.zeros = int(after.numel() - after.count_nonzero())
        row.zeros_before = int(before.numel() - before.count_nonzero())
        if skipped is None:
            norm = torch.linalg.vector_norm(before, dtype=torch.float64)
            lost = torch.linalg.vector_norm(before - after, dtype=torch.float64)
            row.error = float(lost / norm) if norm > 0 else 0.0
    return row


def choose_layers(
    model: nn.Module, pattern: str, layers: LayerFilter
) -> tuple[list[Layer], list[PruneRow]]:
    """Layers to prune, and rows of those that stay dense.

    Where layers are named, one that the pattern does not fit is an error. Where all are taken it
    stays dense, and so does a weight that another module shares (a head tied to an embedding);
    the rows say so.
    """
    chosen, skipped = [], []
    shared = shared_weights(model)
    for layer in find_layers(model, layers):
        n, k = layer.shape
        reason = why_unfit(pattern, n, k)
        if reason is not None and layers is not None:
            raise ValueError(f"prune: {layer.tensor_path}: {reason}")
        names = [] if layer_mask(layer) else shared.get(id(layer.weight), [])
        if reason is None and layers is None and names:
            others = ", ".join(name for name in names if name != layer.tensor_path)
            reason = f"shared with {others}: name it in layers to prune both"
        if reason is None:
            chosen.append(layer)
        else:
            skipped.append(prune_row(layer, "dense", layer.weight.detach(), reason))
    if not chosen:
        first = skipped[0]
        raise ValueError(
            f'prune: "{pattern}" fits none of {len(skipped)} layers; {first.name}: {first.skipped}'
        )
    return chosen, skipped


def prune(
    model: nn.Module,
    pattern: str,
    *,
    layers: LayerFilter = None,
    norm: str = "l1",
    scores: dict[str, torch.Tensor] | None = None,
    hold: bool = False,
    learn_dropped: bool = False,
) -> PruneReport:
    """Sets weights to zero in place so that each layer holds the pattern, and reports.

    pattern  any that the library has: "2:4", "4:8", "unstructured 80%", "block 32x32 90%",
             "rows 50%", "columns 50%", "2:4 in block 64x64 50%" (docs/patterns.md). The choice is
             exact and the same on every machine: of equal scores the lower index stays.
    layers   a glob or several over module or tensor names ("blocks.*.mlp.*"), or a predicate
             (name, module) -> bool. None: every nn.Linear, nn.Conv2d and Conv1D that the pattern
             fits; the report names the others.
    norm     how blocks, rows and columns are scored: by the mean of magnitudes, "l1", or of their
             squares, "l2".
    scores   importance by tensor name, of the weight's shape and not negative; the magnitude of
             the weight where a name is missing.
    hold     keep the zeros during training: see docs/pytorch.md, "Prune once, retrain".
    """
    pattern = parse_pattern(pattern)
    chosen, skipped = choose_layers(model, pattern, layers)
    scores = dict(scores or {})
    unknown = scores.keys() - {layer.tensor_path for layer in chosen}
    if unknown:
        raise ValueError(f'prune: scores has "{sorted(unknown)[0]}", which is no layer to prune')
    for layer in chosen:
        _check_stored(layer, hold)
    masks = []
    for layer in chosen:  # all are selected before any is changed
        weight = layer.weight.detach()
        score = scores.get(layer.tensor_path)
        if score is not None and score.shape != weight.shape:
            raise ValueError(
                f"prune: scores of {layer.tensor_path} are {tuple(score.shape)}, but the weight is "
                f"{tuple(weight.shape)}"
            )
        matrix = None if score is None else layer.to_matrix(score)
        try:
            mask = select_mask(layer.to_matrix(weight), pattern, norm=norm, scores=matrix)
        except Exception as error:
            error.add_note(f"while pruning {layer.tensor_path}")
            raise
        masks.append(layer.from_matrix(mask))
    report = PruneReport(pattern)
    for layer, mask in zip(chosen, masks, strict=True):
        report.rows.append(_apply(layer, pattern, mask, hold, learn_dropped))
    report.rows += skipped
    return report


def _check_stored(layer: Layer, hold: bool) -> None:
    """Zeros in a weight that something else computes anew would be gone at the next forward."""
    if layer.tensor_name in layer.owner._parameters or layer_mask(layer) is not None:
        return
    if hold and parametrize.is_parametrized(layer.owner, layer.tensor_name):
        return  # the mask comes last
    raise ValueError(
        f"prune: {layer.tensor_path} is no parameter, but computed by a parametrization or a hook: "
        "remove that first, or, where it is one of torch.nn.utils.parametrize, use hold=True"
    )


def _apply(
    layer: Layer, pattern: str, mask: torch.Tensor, hold: bool, learn_dropped: bool
) -> PruneRow:
    before = layer.weight.detach().clone()
    if hold or layer_mask(layer) is not None:
        hold_mask(layer, mask, learn_dropped=learn_dropped)
    else:
        with torch.no_grad():
            layer.weight.masked_fill_(~mask.to(layer.weight.device), 0.0)
    return prune_row(layer, pattern, before)
