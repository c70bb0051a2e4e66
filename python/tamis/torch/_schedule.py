"""Sparsity that grows during training.

s(t) = s_end + (s_begin - s_end) (1 - (t - begin) / (end - begin))^3: most weights go early, while
there is time to repair the damage (the cubic schedule of Zhu and Gupta, arXiv 1710.01878).
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from ._layers import LayerFilter
from ._masks import MODES, hold_mask, master_weight, renew_mask
from ._prune import PruneReport, choose_layers, prune_row
from ._select import parse_pattern

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_GROUP = re.compile(r"^\s*(\d+)\s*:\s*(\d+)\s*$")


def cubic(progress: float, begin: float, end: float) -> float:
    """The share at a progress from 0 to 1; clamped outside."""
    left = 1.0 - min(max(progress, 0.0), 1.0)
    return end + (begin - end) * left**3


class GradualSparsity:
    """Prunes a model step by step towards a pattern, holding the zeros with masks.

    Call ``step()`` once after each optimizer step. From step ``begin`` to step ``end`` it renews
    masks every ``every`` steps. A share of zeros grows along the cubic schedule from ``initial``;
    n:m, which has no share, keeps ever fewer of each group: m-1, then m-2, down to n.

    mode "ratchet": zeros never return. mode "regrow": each renewal ranks the dense weights, which
    dropped elements keep on training (straight through), so they may return until the end.
    """

    def __init__(
        self,
        model: nn.Module,
        pattern: str,
        *,
        begin: int = 0,
        end: int,
        every: int = 1,
        initial: float = 0.0,
        layers: LayerFilter = None,
        mode: str = "ratchet",
        norm: str = "l1",
    ) -> None:
        if not 0 <= begin < end:
            raise ValueError(
                f"GradualSparsity: begin is {begin} and end {end}, but 0 <= begin < end"
            )
        if every < 1:
            raise ValueError(f"GradualSparsity: every is {every}, but must be at least 1")
        if mode not in MODES:
            raise ValueError(
                f'GradualSparsity: mode is "{mode}", but must be "ratchet" or "regrow"'
            )
        if not 0.0 <= initial < 1.0:
            raise ValueError(f"GradualSparsity: initial is {initial}, but must be 0 to below 1")
        self.pattern = parse_pattern(pattern)
        self.begin, self.end, self.every, self.initial = begin, end, every, initial
        self.mode, self.norm = mode, norm
        self.steps = 0
        self._applied: str | None = None
        self.layers, skipped = choose_layers(model, self.pattern, layers)
        self._skipped = skipped
        for layer in self.layers:
            weight = layer.weight.detach()
            hold_mask(layer, weight == weight, learn_dropped=mode == "regrow")

    def pattern_at(self, step: int) -> str | None:
        """The pattern after that many steps; None before the first zeros."""
        if step < self.begin:
            return None
        progress = (min(step, self.end) - self.begin) / (self.end - self.begin)
        group = _GROUP.match(self.pattern)
        if group:
            keep, size = int(group[1]), int(group[2])
            zeros = cubic(progress, 0.0, float(size - keep))
            now = size - int(zeros + (0.5 if progress < 1.0 else 1e-9))
            return None if now == size else f"{now}:{size}"
        share = _SHARE.search(self.pattern)
        if share is None:
            return self.pattern
        percent = cubic(progress, 100.0 * self.initial, float(share[1]))
        text = f"{percent:.7f}".rstrip("0").rstrip(".")
        return _SHARE.sub(f"{text}%", self.pattern, count=1)

    def step(self) -> bool:
        """Counts one training step; returns whether masks were renewed."""
        self.steps += 1
        due = (self.steps - self.begin) % self.every == 0 or self.steps == self.end
        if not due or not self.begin <= self.steps <= self.end:
            return False
        pattern = self.pattern_at(self.steps)
        if pattern is None or pattern == self._applied:
            if self.mode == "ratchet" or pattern is None:
                return False
        for layer in self.layers:
            renew_mask(layer, pattern, mode=self.mode, norm=self.norm)
        self._applied = pattern
        if self.steps == self.end:
            self._freeze()
        return True

    def _freeze(self) -> None:
        # From here on masks stay; what lies behind them shall not train on.
        for layer in self.layers:
            mask = layer.owner.parametrizations[layer.tensor_name][0].mask
            hold_mask(layer, mask.clone(), learn_dropped=False)

    def report(self) -> PruneReport:
        """What is pruned by now."""
        rows = [
            prune_row(layer, self._applied or "dense", master_weight(layer))
            for layer in self.layers
        ]
        return PruneReport(pattern=self._applied or "dense", rows=rows + self._skipped)

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` needs to go on; masks are in the model's own."""
        return {"steps": self.steps, "applied": self._applied}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the saved schedule was."""
        self.steps = int(state["steps"])
        self._applied = state["applied"]
        if self.steps >= self.end:
            self._freeze()
