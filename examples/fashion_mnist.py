"""Prune, retrain, recover: Fashion-MNIST on a CPU.

A small vision transformer and a small convolutional network are trained dense. For each of four
patterns the dense network is pruned at once and judged; and, from the dense network again, pruned
step by step while it is retrained, its zeros held, and judged. A control gets the same retraining
and stays dense. Every seed repeats it all. Results are written as they come: an interrupted run
goes on where it was.

    python examples/fashion_mnist.py --out fashion            # all: half an hour of one core
    python examples/fashion_mnist.py --out fashion --seeds 1  # a quick look

Networks this small train fastest on one thread, so rows run side by side, a process a core.

The data set is Debian's package dataset-fashion-mnist (60,000 + 10,000 images of 28 x 28, 10
classes), or any folder with the four files given by --data.
"""

from __future__ import annotations

import argparse
import copy
import functools
import concurrent.futures
import gzip
import json
import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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
    """16 patches of 7 x 7, 2 blocks, width 64: 66,000 weights in its blocks, 14,000 around them.

    The head reads all patches, not their mean: where something is tells a bag from a shirt.
    """

    def __init__(self, dim: int = 64, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 7, stride=7)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(16 * dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).flatten(1))


class ConvNet(nn.Module):
    """Three convolutions, the second and third with stride 2, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (16, 32, 64))
        self.fc1, self.fc2 = nn.Linear(64 * 16, 128), nn.Linear(128, 10)
        self.to(memory_format=torch.channels_last)  # trains a tenth faster on a CPU

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


@functools.cache
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


def count_steps(images: int, epochs: float) -> int:
    return max(1, int(epochs * images / BATCH))


def train(
    model: nn.Module,
    data: tuple[torch.Tensor, torch.Tensor],
    steps: int,
    rate: float,
    seed: int,
    after_step: Callable[[], object] = lambda: None,
) -> None:
    """AdamW, one cycle of the cosine, every image once an epoch."""
    images, labels = data
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02, fused=True)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.15)
    model.train()
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=generator)
        batch, order = order[:BATCH], order[BATCH:]
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        after_step()
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
        temporary.write_text(json.dumps(row) + "\n")
        os.replace(temporary, path)

    def all(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]


EPOCHS, RETRAIN_EPOCHS = 4.0, 3.0
RENEW_EVERY = 20  # steps


def retrain(
    name: str, dense: nn.Module, pattern: str, sets: dict, steps: int, growing: float, seed: int
) -> dict[str, object]:
    """A row: the dense network pruned at once, and pruned while it is retrained."""
    make, layers, rate = MODELS[name]
    row: dict[str, object] = {}
    model = make()
    model.load_state_dict(dense.state_dict())
    if pattern == CONTROL:
        train(model, sets["train"], steps, rate, seed)
        return {"retrained": accuracy(model, sets["test"])}
    at_once = copy.deepcopy(model)
    tamis.prune(at_once, pattern, layers=layers)
    row["pruned"] = accuracy(at_once, sets["test"])
    if growing == 0:
        tamis.prune(model, pattern, layers=layers, hold=True)
        train(model, sets["train"], steps, rate, seed)
    else:
        end = max(1, int(growing * steps))
        schedule = tamis.GradualSparsity(model, pattern, end=end, every=RENEW_EVERY, layers=layers)
        train(model, sets["train"], steps, rate, seed, after_step=schedule.step)
    row["retrained"] = accuracy(model, sets["test"])
    tamis.release(model)
    again = tamis.prune(model, pattern, layers=layers)  # takes nothing: the zeros held
    row["sparsity"] = again.sparsity
    row["holds"] = all(layer.error == 0 for layer in again.pruned)
    return row


class Run(NamedTuple):
    """What all tasks of a run share."""

    scale: float
    growing: float
    out: Path
    data: Path

    def saved(self, name: str, seed: int) -> Path:
        """The dense network, from which the patterns' tasks start."""
        return self.out / f"{name.split()[0]}-{seed}.pt"


def run_task(run: Run, name: str, seed: int, pattern: str) -> None:
    """A row: one model, one seed; "dense" is trained, every other pattern starts from it."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # Adam's moments of dropped weights fade into them: slow
    make, _, rate = MODELS[name]
    results, sets = Results(run.out), load(run.data)
    images = len(sets["train"][0])
    saved = run.saved(name, seed)
    begin = time.process_time()
    if pattern == "dense":
        torch.manual_seed(seed)
        dense = make()
        train(dense, sets["train"], count_steps(images, run.scale * EPOCHS), rate, seed)
        torch.save(dense.state_dict(), saved.with_suffix(".tmp"))
        os.replace(saved.with_suffix(".tmp"), saved)
        row: dict[str, object] = {"dense": accuracy(dense, sets["test"])}
    else:
        dense = make()
        dense.load_state_dict(torch.load(saved))
        torch.manual_seed(seed + 1000)  # dropout: the same for every pattern
        steps = count_steps(images, run.scale * RETRAIN_EPOCHS)
        row = retrain(name, dense, pattern, sets, steps, run.growing, seed + 1000)
    results.add(name, seed, pattern, {**row, "cpu_s": time.process_time() - begin})


def missing_tasks(run: Run, models: list[str], seeds: int) -> dict[tuple[str, int], list[str]]:
    """Rows that are not there yet, by model and seed; "dense", which the others need, first."""
    results = Results(run.out)
    missing = {}
    for name in models:
        for seed in range(seeds):
            rows = [p for p in [CONTROL, *PATTERNS] if results.get(name, seed, p) is None]
            if results.get(name, seed, "dense") is None or not run.saved(name, seed).exists():
                rows = ["dense", *rows]
            missing[name, seed] = rows
    return missing


def run_all(run: Run, models: list[str], seeds: int, jobs: int) -> None:
    """Every missing row, a process each, the patterns of a seed behind its dense network."""
    missing = missing_tasks(run, models, seeds)
    total, begin = sum(map(len, missing.values())), time.monotonic()
    done = 0
    running: dict[concurrent.futures.Future[None], tuple[str, int, str]] = {}
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads, dead
    with concurrent.futures.ProcessPoolExecutor(jobs, spawn) as pool:

        def submit_next(key: tuple[str, int]) -> None:
            """All of a seed's rows, but "dense" alone as long as it is missing."""
            rows = missing[key]
            count = 1 if "dense" in rows else len(rows)
            missing[key] = rows[count:]
            for pattern in rows[:count]:
                running[pool.submit(run_task, run, *key, pattern)] = (*key, pattern)

        for key in list(missing):
            submit_next(key)
        try:
            while running:
                future = next(concurrent.futures.as_completed(running))
                name, seed, pattern = running.pop(future)
                future.result()
                done += 1
                left = (time.monotonic() - begin) / done * (total - done) / 60
                print(
                    f"{done} of {total}: {name}, seed {seed}, {pattern}; about {left:.0f} min left",
                    flush=True,
                )
                submit_next((name, seed))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # rows that are there stay
            raise


def mean_and_spread(values: list[float]) -> tuple[float, float]:
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def summary(rows: list[dict]) -> list[dict]:
    """Mean and standard deviation over seeds, a row a model and pattern."""
    dense = {(row["model"], row["seed"]): row["dense"] for row in rows if "dense" in row}
    control = {
        (row["model"], row["seed"]): row["retrained"] for row in rows if row["pattern"] == CONTROL
    }
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
            if pattern in PATTERNS:
                changes = [row["retrained"] - control[name, row["seed"]] for row in mine]
                line["against_control"] = mean_and_spread(changes)
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
        cell(row.get("against_control"), sign=True),
        str(row["seeds"]),
    ]


HEAD = [
    *("model", "pattern", "zeros", "dense %", "pruned %", "retrained %"),
    *("change", "against trained on", "seeds"),
]


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


def draw_page(table: list[dict], growing: float) -> str:
    zeros = "set at once" if growing == 0 else f"growing in the first {growing:.0%}, then held"
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
trained dense for {EPOCHS:g} epochs. "pruned": its smallest weights set to zero at once.
"retrained": the dense network trained {RETRAIN_EPOCHS:g} epochs more, its zeros {zeros}.
"{CONTROL}" is the dense network given the same {RETRAIN_EPOCHS:g} epochs. "change" is
retrained minus the same seed's dense, "against trained on" minus that control; the band is ±0.3
points. First and last layers stay dense.</p>
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
    parser.add_argument(
        "--growing",
        type=float,
        default=0.5,
        help="share of retraining in which zeros grow; 0: all are set before it",
    )
    options = parser.parse_args()
    if not 0 <= options.growing <= 1:
        parser.error(f"--growing is {options.growing:g}, but must be 0 to 1")
    options.out.mkdir(parents=True, exist_ok=True)
    load(options.data)  # says at once what is missing
    run = Run(options.scale, options.growing, options.out, options.data)
    run_all(run, options.models, options.seeds, options.jobs)
    rows = Results(options.out).all()
    table = summary(rows)
    (options.out / "report.html").write_text(draw_page(table, options.growing))
    print(draw_text(table))
    print(f"{sum(row['cpu_s'] for row in rows):.0f} s of one core in all")
    print(f"{options.out / 'report.html'} has it as a page")


if __name__ == "__main__":
    main()
