"""Which sparse format serves a layer, and where dense would be faster.

The library's cost model answers, by which its plans choose too; dense is its own fastest dense
kernel, on a GPU cuBLASLt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from .. import _core
from .._masks import check
from .._pattern import Pattern
from ._predict import Weight, dense_time, is_doubtful, numbers_of_rows, sparse_time
from ._select import as_host


@dataclass
class Choice:
    """What was found for one weight."""

    format: str | None = None
    """None: it stays dense, for why_dense."""
    keep: int = 0
    group: int = 0
    block: tuple[int, int] = (0, 0)
    kernels: dict[int, str] = field(default_factory=dict)
    gain: dict[int, float] = field(default_factory=dict)
    why_dense: str | None = None

    unsure_at: tuple[int, ...] = ()
    """Numbers of tokens, of those asked for and some between, at which dense may be faster."""

    @property
    def text(self) -> str:
        """For people: "nm 2:4"."""
        if self.format == "nm":
            return f"nm {self.keep}:{self.group}"
        if self.format == "bsr":
            return f"bsr {self.block[0]}x{self.block[1]}"
        return self.format or "dense"

    @property
    def never_wins(self) -> bool:
        """Whether dense is or may be faster at all of the tokens asked for, by more than noise."""
        return bool(self.gain) and all(
            gain < 0.97 or t in self.unsure_at for t, gain in self.gain.items()
        )


def _candidates(matrix: torch.Tensor, pattern: Pattern | None) -> list[Choice]:
    if pattern is not None:
        return _of_pattern(pattern)
    host, name = as_host(matrix)
    found = [
        Choice("nm", keep, group)
        for keep, group in ((1, 4), (2, 4), (4, 8))
        if matrix.shape[1] % group == 0 and check(host, f"{keep}:{group}", dtype=name).holds
    ][:1]
    found += [Choice("bsr", block=(size, size)) for size in (64, 32, 16, 8)]
    return [*found, Choice("csr")]


def _of_pattern(pattern: Pattern) -> list[Choice]:
    block = Choice("bsr", block=(pattern.block_rows, pattern.block_columns))
    group = Choice("nm", pattern.keep, pattern.group)
    return {
        "nm": [group],
        "nm_in_block": [group, block],
        "block": [block, Choice("csr")],
        "dense": [],
    }.get(pattern.kind, [Choice("csr")])


def _density(matrix: torch.Tensor, choice: Choice) -> float:
    """Share of weights that the format would store."""
    if choice.format == "nm":
        return choice.keep / choice.group
    if choice.format == "csr":
        return int(matrix.count_nonzero()) / matrix.numel()
    r, c = choice.block
    n, k = matrix.shape
    padded = torch.nn.functional.pad(matrix.float(), (0, -k % c, 0, -n % r))
    down, across = padded.shape[0] // r, padded.shape[1] // c
    blocks = padded.reshape(down, r, across, c).ne(0).any(3).any(1)
    return int(blocks.count_nonzero()) / blocks.numel()


def _judge(
    matrix: torch.Tensor, choice: Choice, tokens: tuple[int, ...], has_bias: bool
) -> float | None:
    """Fills what is open in choice; the mean of gains, or None where the device has no kernel."""
    n, k = matrix.shape
    assert choice.format is not None
    weight = Weight(
        matrix.device,
        matrix.dtype,
        choice.format,
        n,
        k,
        choice.keep,
        choice.group,
        *choice.block,
        round(_density(matrix, choice), 4),
        has_bias,
    )
    for t in sorted({*tokens, *numbers_of_rows(tokens[0], tokens[-1])}):
        try:
            kernel, ours = sparse_time(weight, t, tokens[-1])
        except _core.UnsupportedError as error:
            choice.why_dense = str(error)
            return None
        rival = dense_time(weight, t, tokens[-1])
        if rival is not None and is_doubtful(matrix.device, rival, ours):
            choice.unsure_at += (t,)
        if t in tokens:
            choice.kernels[t] = kernel
            if rival is not None:
                choice.gain[t] = rival / ours
    return sum(map(math.log, choice.gain.values())) / max(len(choice.gain), 1)


def choose(
    matrix: torch.Tensor, pattern: Pattern | None, tokens: tuple[int, ...], has_bias: bool
) -> Choice:
    """The best format of an [n, k] weight with zeros, for a pattern or as it is found."""
    if matrix.is_meta:
        return _choose_unseen(pattern)
    zeros = matrix.numel() - int(matrix.count_nonzero())
    if pattern is None and zeros * 100 < matrix.numel():
        return Choice(why_dense="it has no zeros to speak of: prune it first")
    best, best_gain, reason = None, -math.inf, None
    for candidate in _candidates(matrix, pattern):
        gain = _judge(matrix, candidate, tokens, has_bias)
        reason = candidate.why_dense or reason
        if gain is not None and gain > best_gain:
            best, best_gain = candidate, gain
    return best or Choice(why_dense=reason or "the pattern leaves it dense")


def _choose_unseen(pattern: Pattern | None) -> Choice:
    if pattern is None or pattern.kind != "nm":
        return Choice(why_dense="on the meta device only n:m can be made, by name")
    return Choice("nm", pattern.keep, pattern.group)
