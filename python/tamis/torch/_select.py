"""Selection by the library for tensors: the same bits as the command and numpy get."""

from __future__ import annotations

import numpy as np
import torch

from .. import _masks
from .._arrays import Array
from .._pattern import Pattern
from . import _device

_NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


def as_host(matrix: torch.Tensor) -> tuple[Array, str]:
    """A tensor as a host array and the library's name of its type; 16-bit floats as uint16.

    float64 becomes float32, whose rounding keeps the order of magnitudes.
    """
    host = matrix.detach().cpu().contiguous()
    if host.dtype == torch.float64:
        host = host.float()
    name = _NAMES.get(host.dtype)
    if name is None:
        raise TypeError(f"the weight is {host.dtype}, but must be float32, bfloat16 or float16")
    if name == "f32":
        return host.numpy(), name
    return host.view(torch.int16).numpy().view(np.uint16), name


def parse_pattern(text: str | Pattern) -> str:
    """A pattern in the library's own words."""
    return str(Pattern.parse(text))


def why_unfit(pattern: str, n: int, k: int) -> str | None:
    """Why an n x k weight cannot hold the pattern; None where it can."""
    try:
        Pattern.parse(pattern).need_fit(n, k)
    except ValueError as error:
        return str(error).partition(": ")[2] or str(error)
    return None


def select_mask(
    matrix: torch.Tensor,
    pattern: str,
    *,
    norm: str = "l1",
    scores: torch.Tensor | None = None,
) -> torch.Tensor:
    """Which elements of an [n, k] weight stay: bool, on the weight's device."""
    if matrix.device.type == "meta":
        raise ValueError(
            "a weight on the meta device has no values to select by: materialise the model first "
            "(to_empty, then load_state_dict)"
        )
    parsed = Pattern.parse(pattern)
    if matrix.is_cuda and parsed.kind == "nm" and scores is None:
        parsed.need_fit(*matrix.shape)
        if bool(matrix.isfinite().all()):  # else the host names the element
            return _device.select_groups(matrix, parsed.keep, parsed.group)
    host, name = as_host(matrix)
    ranks = None if scores is None else scores.detach().float().cpu().contiguous().numpy()
    if norm not in ("l1", "l2"):
        raise ValueError(f'norm is "{norm}", but must be "l1" or "l2"')
    mask = _masks.select(
        host, pattern, scores=ranks, block_norm="l1" if norm == "l1" else "l2", dtype=name
    )
    return torch.from_numpy(mask).to(matrix.device)
