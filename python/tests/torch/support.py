"""Weights and comparisons that the tests share."""

import torch

import tamis
from tamis.torch import SparseWeight


def prune(weight, pattern):
    """Zeros a weight in place."""
    kept = tamis.select(weight.detach().float().cpu().numpy(), pattern)
    weight.detach()[torch.from_numpy(~kept).to(weight.device)] = 0
    return weight


def make_weight(n=64, k=128, pattern="2:4", device="cpu", dtype=torch.float32, **options):
    """A SparseWeight and the dense weight that it holds."""
    generator = torch.Generator().manual_seed(n * 1000 + k)
    dense = torch.randn(n, k, generator=generator).to(device, dtype)
    prune(dense, pattern)
    parsed = tamis.Pattern.parse(pattern)
    kind = {"nm": "nm", "block": "bsr"}.get(parsed.kind, "csr")
    block = (parsed.block_rows, parsed.block_columns)
    made = SparseWeight.from_dense(
        dense, kind, keep=parsed.keep, group=parsed.group, block=block, **options
    )
    return made, dense


def assert_near(got, want, dtype):
    """Both in float64, within the type's rounding of sums of some hundred terms."""
    tolerance = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    assert got.shape == want.shape
    if want.numel() == 0:
        return
    worst = ((got - want).abs() / (want.abs() + want.abs().mean() + 1e-9)).max()
    assert worst <= tolerance, f"relative difference {worst:.3g}"
