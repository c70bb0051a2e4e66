"""A sparse nn.Linear beside the dense one, eager from Python, at every number of rows that matters.

    python python/bench/linear_sweep.py ROWS.jsonl

bf16 on a GPU, on the shapes of ViT-L, ViT-H and Llama-7B (q, k and v, and gate and up, as one; no
biases for Llama): 25 numbers of rows from 1 to 16384. Sparse is what tamis.sparsify makes of the
layer with nothing said, so dense weights are kept where the model is not sure. Both take turns,
some milliseconds each, host and GPU together as a user meets them; where sparse is not ahead after
3 rounds, 7 and then 13 more count instead. A line of JSON each, in docs/measuring.md's columns.
"""

import json
import sys
import time

import torch
from torch import nn

import tamis

SHAPES = [
    ("ViT-L qkv", 3072, 1024),
    ("ViT-L proj", 1024, 1024),
    ("ViT-L fc1", 4096, 1024),
    ("ViT-L fc2", 1024, 4096),
    ("ViT-H qkv", 3840, 1280),
    ("ViT-H proj", 1280, 1280),
    ("ViT-H fc1", 5120, 1280),
    ("ViT-H fc2", 1280, 5120),
    ("Llama qkv", 12288, 4096),
    ("Llama o", 4096, 4096),
    ("Llama gate, up", 22016, 4096),
    ("Llama gate", 11008, 4096),
    ("Llama down", 4096, 11008),
]
TOKENS = [1, 2, 4, 8, 16, *(s << i for i in range(3, 13) for s in (3, 4))]
ROUNDS = (3, 7, 13)


def took(layer, x, times):
    """Microseconds a call."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        layer(x)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / times * 1e6


def take_turns(layers, x, times, rounds):
    """Sorted microseconds of each layer."""
    found = [[] for _ in layers]
    for i in range(rounds):
        turns = list(zip(layers, found, strict=True))
        for layer, times_of_it in turns if i % 2 else turns[::-1]:
            took(layer, x, max(1, times // 4))
            times_of_it.append(took(layer, x, times))
    return [sorted(one) for one in found]


def measure(label, n, k, write):
    has_bias = not label.startswith("Llama")
    options = {"bias": has_bias, "device": "cuda", "dtype": torch.bfloat16}
    dense, holder = nn.Linear(k, n, **options), nn.Sequential(nn.Linear(k, n, **options))
    tamis.sparsify(holder, "2:4")
    layers = [dense, holder[0]]
    for t in TOKENS:
        x = torch.randn(t, k, device="cuda", dtype=torch.bfloat16)
        times = max(3, min(100, int(2500 / max(20, t * n * k / 3e8))))
        for layer in layers:
            took(layer, x, 3)
        for rounds in ROUNDS:
            of_dense, of_sparse = take_turns(layers, x, times, rounds)
            ratio = of_dense[rounds // 2] / of_sparse[rounds // 2]
            if ratio >= 0.985:
                break
        for who, us in (("torch", of_dense), ("tamis", of_sparse)):
            write(make_row(label, n, k, t, who, us, ratio, holder[0]))


def make_row(label, n, k, t, who, us, ratio, sparse):
    is_sparse = who == "tamis" and isinstance(sparse, tamis.SparseLinear)
    kernel = sparse.weight.kernel(t) if is_sparse else "F.linear"
    return {
        "op": "spmm",
        "who": who,
        "label": label,
        "kernel": kernel,
        "format": "nm" if kernel != "F.linear" else "dense",
        "pattern": "2:4" if who == "tamis" else None,
        "dtype": "bf16",
        "t": t,
        "k": k,
        "n": n,
        "epilogue": None if label.startswith("Llama") else "bias",
        "state": "eager",
        "us": round(us[len(us) // 2], 2),
        "us_min": round(us[0], 2),
        "us_max": round(us[-1], 2),
        "rounds": len(us),
        "ratio_dense": round(ratio, 4) if who == "tamis" else 1.0,
        "device": torch.cuda.get_device_name(),
        "versions": f"torch {torch.__version__}, tamis {tamis.__version__}",
        "commit": tamis.__commit__,
        "date": time.strftime("%Y-%m-%d"),
    }


def main():
    if not torch.cuda.is_available():
        raise SystemExit("linear_sweep: there is no CUDA GPU that torch can use")
    with open(sys.argv[1], "w", encoding="utf-8") as file, torch.inference_mode():
        for shape in SHAPES:
            ratios = {}

            def write(row, ratios=ratios):
                file.write(json.dumps(row) + "\n")
                if row["who"] == "tamis":
                    ratios[row["t"]] = row["ratio_dense"]

            measure(*shape, write)
            file.flush()
            print(*shape, *(f"{t}:{ratio:.2f}" for t, ratio in ratios.items()), flush=True)


main()
