"""Host time of a linear layer from Python, eager: dense beside sparse, call by call.

    python python/bench/host_time.py [cuda|cpu]

The layer is small, so that the device keeps up and what is timed is the way to it: 16 rows, on a
GPU 1024 x 1024 in bf16, on a CPU 64 x 64 in fp32, where dense and sparse compute for about a
microsecond. Candidates take turns, 100 calls each, 40 rounds; a line of JSON each, in
docs/measuring.md's columns, with the median of the rounds and the ends of its 95 % interval.
"""

import json
import platform
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

import tamis
from tamis import _core
from tamis.torch import SparseWeight, _ops
from tamis.torch._linear import SparseLinear

CALLS, ROUNDS, ROWS = 100, 40, 16


def make_candidates(device, dtype, n):
    """Name to a call without arguments."""
    dense = nn.Linear(n, n).to(device, dtype).requires_grad_(False)
    kept = tamis.select(dense.weight.float().cpu().numpy(), "2:4")
    dense.weight[torch.from_numpy(~kept).to(device)] = 0
    weight = SparseWeight.from_dense(dense.weight, "nm", keep=2, group=4)
    sparse = SparseLinear(weight, dense.bias)
    x = torch.randn(ROWS, n, device=device).to(dtype)
    sparse(x)
    arguments = (x, weight.image, dense.bias.float(), None, weight._ready.kind, n, "none", False)
    return {
        "F.linear": lambda: F.linear(x, dense.weight, dense.bias),
        "nn.Linear": lambda: dense(x),
        "SparseLinear": lambda: sparse(x),
        "SparseWeight": lambda: weight(x, dense.bias),
        "tamis::product": lambda: _ops.product(*arguments),
        "extension": lambda: _core.torch_product(*arguments),
    }


def measure(candidates, synchronize):
    """Microseconds a call, of each round."""
    took = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            took[name].append((time.perf_counter() - start) / CALLS * 1e6)
    synchronize()
    return {name: sorted(times) for name, times in took.items()}


def main():
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda" if torch.cuda.is_available() else "cpu"
    is_cuda = device == "cuda"
    dtype, n = (torch.bfloat16, 1024) if is_cuda else (torch.float32, 64)
    torch.set_num_threads(1)
    with torch.no_grad():
        candidates = make_candidates(device, dtype, n)
        took = measure(candidates, torch.cuda.synchronize if is_cuda else lambda: None)
    base = took["F.linear"][ROUNDS // 2]
    for name, times in took.items():
        row = {
            "op": "spmm",
            "who": "torch" if name in ("F.linear", "nn.Linear") else "tamis",
            "label": name,
            "dtype": "bf16" if is_cuda else "f32",
            "t": ROWS,
            "k": n,
            "n": n,
            "state": "host",
            "us": round(times[ROUNDS // 2], 3),
            "us_min": round(times[13], 3),  # order statistics of 40
            "us_max": round(times[26], 3),
            "rounds": ROUNDS,
            "beyond_us": round(times[ROUNDS // 2] - base, 3),
            "device": torch.cuda.get_device_name() if is_cuda else tamis.device_text(),
            "versions": f"python {platform.python_version()}, torch {torch.__version__}",
            "commit": tamis.__commit__,
            "date": time.strftime("%Y-%m-%d"),
        }
        print(json.dumps(row), flush=True)


main()
