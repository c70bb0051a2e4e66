"""What ``sparsify`` did, layer by layer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ._choice import Choice
from ._layers import Layer
from ._prune import PruneRow, draw_html, draw_table
from ._swap import Fusion


@dataclass
class SparseRow:
    """One layer."""

    name: str
    """The weight's name in the dense model's state_dict."""
    kind: str
    n: int
    k: int
    sparsity: float = 0.0
    error: float | None = None
    """||dW|| / ||W|| where sparsify pruned it."""
    format: str = "dense"
    """"nm 2:4", "csr", "bsr 16x16", "dense"."""
    kernels: dict[int, str] = field(default_factory=dict)
    """The kernel that serves so many tokens."""
    gain: dict[int, float] = field(default_factory=dict)
    """Dense time over sparse time at so many tokens, by the library's model."""
    keeps_dense: bool = False
    """The dense weight lies beside the sparse one."""
    dense_because: str | None = None
    """Why the layer stays dense; None where it is sparse."""
    dense_bytes: int = 0
    resident_bytes: int = 0
    """Components and image (and the dense weight, where it is kept)."""

    @classmethod
    def of(cls, layer: Layer, error: float | None) -> SparseRow:
        """The start of a layer's row."""
        n, k = layer.shape
        weight = layer.weight.detach()
        row = cls(layer.tensor_path, layer.kind, n, k, error=error)
        row.dense_bytes = weight.numel() * weight.element_size()
        if not weight.is_meta:
            row.sparsity = 1.0 - int(weight.count_nonzero()) / max(weight.numel(), 1)
        return row

    @classmethod
    def stays_dense(cls, pruned: PruneRow) -> SparseRow:
        """The row of a layer that prune passed over."""
        return cls(
            pruned.name,
            pruned.kind,
            pruned.n,
            pruned.k,
            pruned.sparsity,
            dense_because=pruned.skipped,
        )

    def take(self, choice: Choice) -> None:
        """Notes what was chosen for the layer."""
        self.kernels, self.gain = choice.kernels, choice.gain
        if choice.format is not None:
            self.format = choice.text


def _mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


@dataclass
class SparsifyReport:
    """What ``sparsify`` did: rows of layers, and what was fused."""

    pattern: str
    tokens: tuple[int, ...]
    rows: list[SparseRow] = field(default_factory=list)
    fused: list[Fusion] = field(default_factory=list)
    joined_bytes: int = 0
    """Images of layers that are computed together; their rows count the components alone."""

    @property
    def sparse(self) -> list[SparseRow]:
        """Rows of layers on sparse kernels."""
        return [row for row in self.rows if row.dense_because is None]

    @property
    def resident_bytes(self) -> int:
        """Of all layers in the report, dense ones included."""
        return self.joined_bytes + sum(row.resident_bytes for row in self.rows)

    @property
    def dense_bytes(self) -> int:
        """What the same layers hold dense."""
        return sum(row.dense_bytes for row in self.rows)

    def gain(self, tokens: int) -> float:
        """Predicted dense time over time now, all layers of the report together, at one of
        ``tokens``. A layer's dense time is taken as its weights."""
        time = {id(row): float(row.n * row.k) for row in self.rows}
        before = sum(time.values())
        now = sum(
            time[id(row)] / max(row.gain.get(tokens, 1.0), 1.0 if row.keeps_dense else 0.0)
            if row.dense_because is None and row.gain.get(tokens)
            else time[id(row)]
            for row in self.rows
        )
        return before / now if now else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "pattern": self.pattern,
            "tokens": list(self.tokens),
            "gain": {str(t): self.gain(t) for t in self.tokens},
            "resident_bytes": self.resident_bytes,
            "dense_bytes": self.dense_bytes,
            "joined_bytes": self.joined_bytes,
            "layers": [
                {
                    **asdict(row),
                    "kernels": {str(t): name for t, name in row.kernels.items()},
                    "gain": {str(t): value for t, value in row.gain.items()},
                }
                for row in self.rows
            ],
            "fused": [asdict(fusion) for fusion in self.fused],
        }

    def _cells(self) -> list[list[str]]:
        shown = [t for t in (self.tokens[0], self.tokens[len(self.tokens) // 2], self.tokens[-1])]
        shown = sorted(set(shown))
        head = ["layer", "n x k", "zeros", "format", "bytes"]
        table = [[*head, *(f"gain at {t}" for t in shown), "kernels"]]
        for name, row in _alike(self.rows):
            cells = [name, f"{row.n} x {row.k}", f"{row.sparsity:.1%}"]
            if row.dense_because is not None:
                table.append([*cells, "dense", "", *("" for _ in shown), row.dense_because])
                continue
            share = row.resident_bytes / max(row.dense_bytes, 1)
            gains = [f"{row.gain[t]:.2f}x" if t in row.gain else "" for t in shown]
            beside = " and dense" if row.keeps_dense else ""
            table.append(
                [*cells, row.format + beside, f"{share:.0%}", *gains, _ranges(row.kernels)]
            )
        return table

    def _head(self) -> str:
        left = len(self.rows) - len(self.sparse)
        head = f"{self.pattern}: {len(self.sparse)} layers on sparse kernels"
        head += f", {left} stay dense" if left else ""
        head += f"; {self.resident_bytes:,} bytes of {self.dense_bytes:,} dense"
        gains = ", ".join(f"{self.gain(t):.2f}x at {t}" for t in self.tokens)
        return f"{head}; predicted gain of these layers by tokens: {gains}"

    def __str__(self) -> str:
        lines = [self._head(), draw_table(self._cells())]
        if self.fused:
            lines.append("fused: " + _grouped(self.fused))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return draw_html(self._head(), self._cells())


def _alike(rows: list[SparseRow]) -> list[tuple[str, SparseRow]]:
    """One row for each kind of layer that the model repeats: "blocks.*.mlp.fc1.weight (24)"."""
    kinds: dict[tuple[object, ...], list[SparseRow]] = {}
    for row in rows:
        name = re.sub(r"(?<=\.)\d+(?=\.)", "*", row.name)
        kernels = tuple(row.kernels.items())
        key = (
            name,
            row.n,
            row.k,
            row.format,
            row.keeps_dense,
            row.dense_because,
            kernels,
            round(row.sparsity, 2),
        )
        kinds.setdefault(key, []).append(row)
    return [
        (same[0].name if len(same) == 1 else f"{key[0]} ({len(same)})", same[0])
        for key, same in kinds.items()
    ]


def _ranges(kernels: dict[int, str]) -> str:
    """ "1-64: kernel a; 256-16384: kernel b"."""
    spans: list[tuple[int, int, str]] = []
    for t, name in kernels.items():
        if spans and spans[-1][2] == name:
            spans[-1] = (spans[-1][0], t, name)
        else:
            spans.append((t, t, name))
    return "; ".join(f"{a if a == b else f'{a}-{b}'}: {name}" for a, b, name in spans)


def _grouped(fused: list[Fusion]) -> str:
    counts: dict[str, int] = {}
    for fusion in fused:
        counts[fusion.what] = counts.get(fusion.what, 0) + 1
    return ", ".join(f"{what} ({count} times)" for what, count in counts.items())
