"""Prune, retrain, recover: Fashion-MNIST on a CPU.

A small vision transformer and a small convolutional network are trained; then each is pruned by
five patterns, judged as it is, retrained with its zeros held, and judged again. Every seed repeats
it all. Results are written as they come: an interrupted run goes on where it was.

    python examples/fashion_mnist.py --out fashion            # all: about 15 minutes on two cores
    python examples/fashion_mnist.py --out fashion --seeds 1  # a quick look

Networks this small train fastest on one thread, so seeds run side by side, a process a core.

The data set is Debian's package dataset-fashion-mnist (60,000 + 10,000 images of 28 x 28, 10
classes), or any folder with the four files given by --data.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import gzip
import json
import multiprocessing
import os
import re
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import tamis

CONTROL = "dense, trained on"
PATTERNS = ["2:4", "4:8", "block 16x16 50%", "unstructured 80%"]
DATA = Path("/usr/share/datasets/fashion-mnist")
BATCH = 128


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """16 patches of 7 x 7, 2 blocks, width 64: 66,000 weights in its blocks."""

    def __init__(self, dim: int = 64, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 7, stride=7)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class ConvNet(nn.Module):
    """Three convolutions, the second and third with stride 2, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (16, 32, 64))
        self.fc1, self.fc2 = nn.Linear(64 * 16, 128), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, norm in zip((self.conv1, self.conv2, self.conv3), self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return self.fc2(F.dropout(F.relu(self.fc1(x.flatten(1))), 0.2, self.training))


MODELS = {
    # what is pruned: the layers inside; the first and the last stay dense
    "vision transformer": (VisionTransformer, ["blocks.*"], 3e-3),
    "convolutional net": (ConvNet, ["conv2", "conv3", "fc1"], 3e-3),
}


def read_idx(path: Path) -> np.ndarray:
    """One file of the data set: big-endian sizes, then bytes."""
    with gzip.open(path) as file:
        data = file.read()
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Images as floats of mean 0 and deviation 1, and labels."""
    sets = {}
    for name, stem in (("train", "train"), ("test", "t10k")):
        path = folder / f"{stem}-images-idx3-ubyte.gz"
        if not path.exists():
            raise SystemExit(
                f"{path} is missing: apt-get install dataset-fashion-mnist, or name a folder with "
                "--data"
            )
        images = torch.from_numpy(read_idx(path).copy()).float()
        labels = torch.from_numpy(read_idx(folder / f"{stem}-labels-idx1-ubyte.gz").copy()).long()
        sets[name] = ((images.unsqueeze(1) / 255 - 0.286) / 0.353, labels)
    return sets


def train(
    model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], epochs: float, rate: float, seed: int
) -> None:
    """AdamW, one cycle of the cosine; half of the batches are mirrored."""
    images, labels = data
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, int(epochs * len(images) / BATCH))
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.15)
    model.train()
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=generator)
        batch, order = order[:BATCH], order[BATCH:]
        x = images[batch]
        if torch.rand((), generator=generator) < 0.5:
            x = x.flip(3)
        loss = F.cross_entropy(model(x), labels[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        plan.step()


@torch.inference_mode()
def accuracy(model: nn.Module, data: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Per cent of the images named right."""
    images, labels = data
    model.eval()
    right = sum(
        int((model(x).argmax(1) == y).sum())
        for x, y in zip(images.split(1000), labels.split(1000), strict=True)
    )
    return 100.0 * right / len(labels)


class Results:
    """Rows by (model, seed, pattern), each a file: any number of processes may add some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "rows"
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, model: str, seed: int, pattern: str) -> Path:
        stem = re.sub(r"[^a-z0-9]+", "-", f"{model} {pattern} seed {seed}".lower())
        return self.folder / f"{stem}.json"

    def get(self, model: str, seed: int, pattern: str) -> dict | None:
        path = self.path(model, seed, pattern)
        return json.loads(path.read_text()) if path.exists() else None

    def add(self, model: str, seed: int, pattern: str, row: dict) -> None:
        path = self.path(model, seed, pattern)
        row = {"model": model, "seed": seed, "pattern": pattern, **row}
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(row))
        os.replace(temporary, path)

    def all(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]


EPOCHS, RETRAIN_EPOCHS = 5.0, 2.5
# Blocks take out of layers this narrow what the others need longer to make up for.
LONGER = {"block 16x16 50%": 5.0}


def prune_and_retrain(task: tuple[str, int, float, Path, Path]) -> str:
    """One model and one seed: the dense row, a control, then a row a pattern."""
    name, seed, scale, out, data = task
    torch.set_num_threads(1)
    make, layers, rate = MODELS[name]
    results, sets = Results(out), load(data)
    torch.manual_seed(seed)
    dense = make()
    saved = out / f"{name.split()[0]}-{seed}.pt"
    if results.get(name, seed, "dense") and saved.exists():
        dense.load_state_dict(torch.load(saved))
    else:
        begin = time.perf_counter()
        train(dense, sets["train"], scale * EPOCHS, rate, seed)
        torch.save(dense.state_dict(), saved)
        row = {"dense": accuracy(dense, sets["test"]), "seconds": time.perf_counter() - begin}
        results.add(name, seed, "dense", row)
    for pattern in [CONTROL, *PATTERNS]:
        if results.get(name, seed, pattern):
            continue
        begin = time.perf_counter()
        model = make()
        model.load_state_dict(dense.state_dict())
        row = {}
        if pattern != CONTROL:
            report = tamis.prune(model, pattern, layers=layers, hold=True)
            row["sparsity"] = report.sparsity
            row["pruned"] = accuracy(model, sets["test"])
        train(model, sets["train"], scale * LONGER.get(pattern, RETRAIN_EPOCHS), rate, seed + 1000)
        row["retrained"] = accuracy(model, sets["test"])
        if pattern != CONTROL:
            tamis.release(model)
            again = tamis.prune(model, pattern, layers=layers)  # takes nothing: the zeros held
            row["holds"] = all(layer.error == 0 for layer in again.pruned)
        results.add(name, seed, pattern, {**row, "seconds": time.perf_counter() - begin})
    return f"{name}, seed {seed}"


def mean_and_spread(values: list[float]) -> tuple[float, float]:
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def summary(rows: list[dict]) -> list[dict]:
    """Mean and standard deviation over seeds, a row a model and pattern."""
    dense = {(row["model"], row["seed"]): row["dense"] for row in rows if "dense" in row}
    table = []
    for name in MODELS:
        for pattern in ["dense", CONTROL, *PATTERNS]:
            mine = [row for row in rows if (row["model"], row["pattern"]) == (name, pattern)]
            if not mine:
                continue
            line: dict = {"model": name, "pattern": pattern, "seeds": len(mine)}
            for column in ("dense", "pruned", "retrained"):
                if column in mine[0]:
                    line[column] = mean_and_spread([row[column] for row in mine])
            if pattern != "dense":
                changes = [row["retrained"] - dense[name, row["seed"]] for row in mine]
                line["change"] = mean_and_spread(changes)
            if "holds" in mine[0]:
                line["holds"] = all(row["holds"] for row in mine)
                line["sparsity"] = statistics.mean(row["sparsity"] for row in mine)
            table.append(line)
    return table


def cell(value: tuple[float, float] | None, sign: bool = False) -> str:
    if value is None:
        return ""
    return f"{value[0]:+.2f} ± {value[1]:.2f}" if sign else f"{value[0]:.2f} ± {value[1]:.2f}"


def cells(row: dict) -> list[str]:
    zeros = f"{row['sparsity']:.0%}" if "sparsity" in row else ""
    return [
        row["model"],
        row["pattern"],
        zeros,
        cell(row.get("dense")),
        cell(row.get("pruned")),
        cell(row.get("retrained")),
        cell(row.get("change"), sign=True),
        str(row["seeds"]),
    ]


HEAD = ["model", "pattern", "zeros", "dense %", "pruned %", "retrained %", "change", "seeds"]


def draw_text(table: list[dict]) -> str:
    lines = [HEAD, *map(cells, table)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def draw_bar(row: dict) -> str:
    """Change against dense as a bar with its spread; the scale is ±1 point."""
    if "change" not in row:
        return ""
    mean, spread = row["change"]
    x, low, high = (100 + 90 * max(-1.1, min(1.1, v)) for v in (mean, mean - spread, mean + spread))
    return (
        f'<svg width="200" height="18" role="img" aria-label="{mean:+.2f}">'
        '<rect x="73" y="0" width="54" height="18" fill="#dfeedd"/>'
        '<line x1="100" x2="100" y1="0" y2="18" stroke="#777"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="9" y2="9" stroke="#1b4f72" stroke-width="2"/>'
        f'<circle cx="{x:.1f}" cy="9" r="4" fill="#1b4f72"/></svg>'
    )


def draw_page(table: list[dict]) -> str:
    head = "".join(f"<th>{text}</th>" for text in [*HEAD, "change against dense, ±1 point"])
    body = "".join(
        "<tr>" + "".join(f"<td>{text}</td>" for text in [*cells(row), draw_bar(row)]) + "</tr>\n"
        for row in table
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Fashion-MNIST, pruned and retrained</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 68em; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ padding: .3em .8em; text-align: left }}
tr:nth-child(even) {{ background: #f6f6f4 }} th {{ border-bottom: 2px solid #444 }}
td {{ font-variant-numeric: tabular-nums }}
</style>
<h1>Fashion-MNIST, pruned and retrained</h1>
<p>Accuracy on 10,000 test images: mean and standard deviation over seeds. Each network was
trained dense for {EPOCHS:g} epochs, pruned at once by the magnitude of its weights, judged,
retrained for {RETRAIN_EPOCHS:g} epochs (blocks {LONGER[PATTERNS[2]]:g}) with its zeros held, and
judged again. "change" is retrained
minus the same seed's dense; the band is ±0.3 points; "{CONTROL}" is the dense network given the
same retraining. First and last layers stay dense.</p>
<table><tr>{head}</tr>
{body}</table>
<p>tamis {tamis.__version__}, torch {torch.__version__}, torch's CPU kernels.
Made by examples/fashion_mnist.py.</p></html>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("fashion"), help="folder of results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data set")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--scale", type=float, default=1.0, help="of the epochs: 0.1 is a glance")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    load(options.data)  # says at once what is missing
    tasks = [
        (name, seed, options.scale, options.out, options.data)
        for seed in range(options.seeds)
        for name in options.models
    ]
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads, dead
    with concurrent.futures.ProcessPoolExecutor(options.jobs, spawn) as pool:
        for done in pool.map(prune_and_retrain, tasks):
            print(f"{done}: done", flush=True)
    table = summary(Results(options.out).all())
    (options.out / "report.html").write_text(draw_page(table))
    print(draw_text(table))
    print(f"{options.out / 'report.html'} has it as a page")


if __name__ == "__main__":
    main()
