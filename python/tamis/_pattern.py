"""Patterns: which zeros are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import _core

Kind = Literal["dense", "unstructured", "nm", "block", "rows", "columns", "nm_in_block"]
Scope = Literal["default", "per tensor", "per row"]

_KINDS: tuple[Kind, ...] = (
    "dense",
    "unstructured",
    "nm",
    "block",
    "rows",
    "columns",
    "nm_in_block",
)
_SCOPES: tuple[Scope, ...] = ("default", "per tensor", "per row")


@dataclass(frozen=True)
class Pattern:
    """Which zeros a weight of N x K may have, written as in the command.

    ``Pattern.parse("2:4")``, ``"4:8"``, ``"unstructured 80%"``, ``"block 16x16 50% per row"``,
    ``"rows 50%"``, ``"2:4 in block 64x64 50%"``. In n:m, n is the number kept of every m along K.
    docs/patterns.md has the grammar.
    """

    kind: Kind = "dense"
    scope: Scope = "default"
    keep: int = 0
    group: int = 0
    block_rows: int = 0
    block_columns: int = 0
    share_ppb: int = 0

    @classmethod
    def parse(cls, text: str | Pattern) -> Pattern:
        """The pattern of a text; a pattern is returned as it is. Raises InvalidError."""
        if isinstance(text, Pattern):
            return text
        kind, scope, *numbers = _core.pattern_parse(text)
        return cls(_KINDS[kind], _SCOPES[scope], *numbers)

    @property
    def tuple(self) -> _core.PatternTuple:
        """As the extension takes it."""
        return (
            _KINDS.index(self.kind),
            _SCOPES.index(self.scope),
            self.keep,
            self.group,
            self.block_rows,
            self.block_columns,
            self.share_ppb,
        )

    @property
    def sparsity(self) -> float:
        """Share of zeros that it asks for."""
        dropped = self.share_ppb / 1e9
        if self.kind == "dense":
            return 0.0
        if self.kind == "nm":
            return 1.0 - self.keep / self.group
        if self.kind == "nm_in_block":
            return 1.0 - (1.0 - dropped) * self.keep / self.group
        return dropped

    def fits(self, n: int, k: int) -> bool:
        """Whether a weight of n x k can hold it."""
        try:
            _core.pattern_fits(self.tuple, n, k)
        except _core.PatternError:
            return False
        return True

    def need_fit(self, n: int, k: int) -> None:
        """Raises PatternError, with the reason, where a weight of n x k cannot hold it."""
        _core.pattern_fits(self.tuple, n, k)

    def __str__(self) -> str:
        return _core.pattern_print(self.tuple)
