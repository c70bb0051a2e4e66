"""The command's jobs on checkpoints, in process: inspect, prune, check, pack, unpack.

Paths are safetensors files, or model folders. Each returns a :class:`Result`: rows, a dict a layer
(name, n, k, dtype, format, pattern, zeros, elements, error, ...). ``progress(what, done, total)``
is called between steps; a true result stops the job with CancelledError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from . import _context, _core
from ._matrix import FORMATS, Format
from ._pattern import Pattern

Path = str | os.PathLike[str]
Progress = Callable[[str, int, int], object]
Method = Literal["magnitude", "wanda"]

_VERBS = ("inspect", "prune", "check", "pack", "unpack")


@dataclass(frozen=True)
class Result:
    """What a job found or did."""

    rows: list[dict[str, Any]]
    holds: bool = True
    """check: whether every layer holds its pattern."""


def _run(
    verb: str,
    source: Path,
    out: Path | None = None,
    *,
    force: bool = False,
    layers: Iterable[str] = (),
    pattern: str | Pattern | None = None,
    method: Method = "magnitude",
    block_norm: str = "l1",
    calibration: Path | None = None,
    skip_unfit: bool = False,
    format: Format | None = None,
    progress: Progress | None = None,
) -> Result:
    holds, rows = _core.job_run(
        _VERBS.index(verb),
        _context.cpu(),
        os.fspath(source),
        None if out is None else os.fspath(out),
        force,
        tuple(layers),
        None if pattern is None else Pattern.parse(pattern).tuple,
        method,
        ("l1", "l2").index(block_norm),
        None if calibration is None else os.fspath(calibration),
        skip_unfit,
        -1 if format is None else FORMATS.index(format),
        progress,
    )
    return Result(rows, holds or verb != "check")


def inspect(
    source: Path, *, layers: Iterable[str] = (), progress: Progress | None = None
) -> Result:
    """Layers with their zeros, patterns that hold, and bytes in each format."""
    return _run("inspect", source, layers=layers, progress=progress)


def prune(
    source: Path,
    out: Path,
    pattern: str | Pattern,
    *,
    method: Method = "magnitude",
    layers: Iterable[str] = (),
    block_norm: Literal["l1", "l2"] = "l1",
    calibration: Path | None = None,
    skip_unfit: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Writes a pruned standard checkpoint. layers are globs of tensor names; wanda needs
    calibration, a text file with a text a line."""
    return _run(
        "prune",
        source,
        out,
        pattern=pattern,
        method=method,
        layers=layers,
        block_norm=block_norm,
        calibration=calibration,
        skip_unfit=skip_unfit,
        force=force,
        progress=progress,
    )


def check(
    source: Path,
    pattern: str | Pattern | None = None,
    *,
    layers: Iterable[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Whether layers hold the pattern, or each the one recorded for it in the file."""
    return _run("check", source, pattern=pattern, layers=layers, progress=progress)


def pack(
    source: Path,
    out: Path,
    *,
    format: Format | None = None,
    layers: Iterable[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Stores layers in sparse formats, each in the smallest unless said; lossless but for -0.0."""
    return _run("pack", source, out, format=format, layers=layers, force=force, progress=progress)


def unpack(
    source: Path, out: Path, *, force: bool = False, progress: Progress | None = None
) -> Result:
    """Gives back the dense checkpoint of a packed one, bit for bit."""
    return _run("unpack", source, out, force=force, progress=progress)
