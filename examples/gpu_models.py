"""Whole models on a Hopper GPU: dense, torch's semi-structured tensors and tamis side by side.

    python examples/gpu_models.py --out table            # every model and variant
    python examples/gpu_models.py --models vit-h --variants dense tamis

Models have random weights of the published shapes: timm's ViT-L/16 (batch 256), ViT-H/14 (64) and
SAM's ViT-H encoder (4 images of 1024 x 1024), and decoder layers of Hugging Face's Llama in the
shape of the 7B model (a prompt of 4096 tokens; one token for 1, 16 and 64 sequences that are 1024
long). Dense layers keep their random weights; for the others they are pruned 2:4 by magnitude.

Every variant is timed in turn, round after round, in one process; figures are medians of the
rounds, with the interval that holds the median with 95 % probability. "compiled" is torch.compile
of each block, "compiled whole" of the model; decoding runs as CUDA graphs, every variant alike.
Before anything is timed, and when all variants stand, what each is timed with is run once and its
output compared with the eager dense model's of the same weights. What is measured is written after
every round, so that a run that is cut short leaves something.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import inspect
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

import tamis

Call = Callable[[], torch.Tensor]
VARIANTS = [
    f"{what}{how}"
    for what in ("dense", "torch 2:4", "tamis")
    for how in ("", " compiled", " compiled whole")
]
USUAL = ["dense", "dense compiled", "torch 2:4", "tamis", "tamis compiled"]


@dataclass
class Case:
    """A model, its input, and which of its layers are pruned."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    layers: list[str]
    blocks: str  # attribute with the repeated blocks
    tokens: int  # rows of a linear layer's input
    graphs: bool = False  # run as a CUDA graph


def images(batch: int, size: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.randn(batch, 3, size, size, device="cuda", dtype=torch.bfloat16),)


def timm_model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import timm

        with torch.device("cuda"):
            return timm.create_model(name, **options).bfloat16().eval()

    return make


class FixedCache:
    """A layer's keys and values of `past` tokens, of which the last is written by every call: what
    a decoding step costs, repeatable and fit for a CUDA graph.

    Both are tensors of their own: where they are parts of a larger one, a compiled layer copies all
    of that, there and back."""

    def __init__(self, batch: int, heads: int, past: int, dim: int) -> None:
        shape = (batch, heads, past, dim)
        self.keys = torch.randn(shape, device="cuda", dtype=torch.bfloat16)
        self.values = torch.randn(shape, device="cuda", dtype=torch.bfloat16)

    def update(self, k: torch.Tensor, v: torch.Tensor, *_: Any, **__: Any) -> Any:
        self.keys[:, :, -1:] = k
        self.values[:, :, -1:] = v
        return self.keys, self.values


class Decoder(nn.Module):
    """Some decoder layers of Hugging Face's Llama, in the shape of the 7B model."""

    def __init__(self, count: int = 4) -> None:
        super().__init__()
        from transformers import LlamaConfig
        from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

        config = LlamaConfig(
            hidden_size=4096,
            intermediate_size=11008,
            num_attention_heads=32,
            num_key_value_heads=32,
            num_hidden_layers=count,
            vocab_size=32,
        )
        config._attn_implementation = "sdpa"
        # each layer is the first of a cache of its own: one compiled graph serves them all
        self.layers = nn.ModuleList(LlamaDecoderLayer(config, 0) for _ in range(count))
        self.rotary = LlamaRotaryEmbedding(config)
        named = inspect.signature(LlamaDecoderLayer.forward).parameters
        self.cache_name = "cache" if "cache" in named else "past_key_values"

    def forward(self, x: torch.Tensor, positions: torch.Tensor, *caches: Any) -> torch.Tensor:
        places = self.rotary(x, positions)
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            x = layer(x, position_embeddings=places, **{self.cache_name: cache})
        return x


class LinearLayers(nn.Module):
    """The linear layers of a vision transformer, one after another, each on an input of its own."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        shapes = [(dim, 3 * dim), (dim, dim), (dim, 4 * dim), (4 * dim, dim)]
        self.layers = nn.ModuleList(nn.Linear(*shape) for _ in range(depth) for shape in shapes)

    def forward(self, narrow: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            y = layer(narrow if layer.in_features == narrow.shape[-1] else wide)
        return y


def linear_layers(dim: int, depth: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        with torch.device("cuda"):
            return LinearLayers(dim, depth).bfloat16().eval()

    return make


def two_widths(tokens: int, dim: int) -> tuple[Any, ...]:
    widths = (dim, 4 * dim)
    return tuple(torch.randn(tokens, w, device="cuda", dtype=torch.bfloat16) for w in widths)


def decoder() -> nn.Module:
    with torch.device("cuda"):
        return Decoder().bfloat16().eval()


def prompt(tokens: int) -> tuple[Any, ...]:
    x = torch.randn(1, tokens, 4096, device="cuda", dtype=torch.bfloat16)
    return x, torch.arange(tokens, device="cuda").unsqueeze(0)


def one_token(batch: int, past: int = 1024, layers: int = 4) -> tuple[Any, ...]:
    x = torch.randn(batch, 1, 4096, device="cuda", dtype=torch.bfloat16)
    positions = torch.full((batch, 1), past - 1, device="cuda")
    return x, positions, *(FixedCache(batch, 32, past, 128) for _ in range(layers))


CASES = {
    "vit-h-linear": Case(
        "ViT-H/14, its linear layers alone",
        linear_layers(1280, 32),
        lambda: two_widths(64 * 257, 1280),
        ["layers.*"],
        "layers",
        64 * 257,
    ),
    "vit-h": Case(
        "ViT-H/14, batch 64",
        timm_model("vit_huge_patch14_224"),
        images(64, 224),
        ["blocks.*"],
        "blocks",
        64 * 257,
    ),
    "vit-l": Case(
        "ViT-L/16, batch 256",
        timm_model("vit_large_patch16_224"),
        images(256, 224),
        ["blocks.*"],
        "blocks",
        256 * 197,
    ),
    "sam": Case(
        "SAM ViT-H encoder, batch 4",
        timm_model("samvit_huge_patch16", num_classes=0),
        images(4, 1024),
        ["blocks.*"],
        "blocks",
        4 * 4096,
    ),
    "llama-prefill": Case(
        "Llama-7B layers, 4096 tokens", decoder, lambda: prompt(4096), ["layers.*"], "layers", 4096
    ),
    **{
        f"llama-{batch}": Case(
            f"Llama-7B layers, decoding {batch}",
            decoder,
            lambda batch=batch: one_token(batch),
            ["layers.*"],
            "layers",
            batch,
            graphs=True,
        )
        for batch in (1, 16, 64)
    },
}


def to_torch_sparse(model: nn.Module, layers: list[str]) -> nn.Module:
    """torch's own way: a tensor subclass in each layer. Weights are pruned already."""
    from fnmatch import fnmatchcase

    from torch.sparse import to_sparse_semi_structured

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and any(fnmatchcase(name, glob) for glob in layers):
            weight = to_sparse_semi_structured(module.weight.detach())
            module.weight = nn.Parameter(weight, requires_grad=False)
    return model


def compiled(model: nn.Module, case: Case, is_whole: bool) -> nn.Module:
    if is_whole:
        return torch.compile(model, dynamic=False)
    for block in getattr(model, case.blocks):
        block.compile(dynamic=False)
    return model


def captured(call: Call) -> Call:
    """The call as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()

    def replay() -> torch.Tensor:
        graph.replay()
        return out

    return replay


def weight_bytes(model: nn.Module) -> int:
    parts = [*model.parameters(), *model.buffers()]
    return sum(part.numel() * part.element_size() for part in parts if part.is_cuda)


def working_bytes(call: Call) -> int:
    """Memory that a call takes besides what was there, its output included."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


@dataclass
class Variant:
    """One way to run a model, and its times."""

    name: str
    model: nn.Module  # held: a captured graph reads its weights where they lie
    call: Call
    first_s: float
    bytes: int
    ms: list[float] = field(default_factory=list)
    report: tamis.SparsifyReport | None = None

    def run(self, times: int) -> float:
        """Milliseconds a call, of some in a row."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(times):
            self.call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / times

    @property
    def median(self) -> float:
        return sorted(self.ms)[len(self.ms) // 2]

    @property
    def interval(self) -> tuple[float, float]:
        """Order statistics that hold the median with 95 %: of nine, the second and the eighth."""
        ordered, n = sorted(self.ms), len(self.ms)
        off = int(n / 2 - 0.98 * n**0.5)
        return ordered[max(0, off)], ordered[min(n - 1, n - 1 - off)]


def build(
    case: Case,
    name: str,
    dense: nn.Module,
    pruned: nn.Module,
    args: tuple[Any, ...],
) -> Variant:
    """Makes a variant and runs it."""
    report = None
    if name.startswith("dense"):
        model = dense if name == "dense" else copy.deepcopy(dense)
    else:
        model = copy.deepcopy(pruned)
    if name.startswith("torch"):
        model = to_torch_sparse(model, case.layers)
    elif name.startswith("tamis"):
        report = tamis.sparsify(model, layers=case.layers, keep_dense=False)
    held = weight_bytes(model)
    if "compiled" in name:
        model = compiled(model, case, name.endswith("whole"))
    begin = time.perf_counter()
    model(*args)
    torch.cuda.synchronize()
    first = time.perf_counter() - begin
    peak = held + working_bytes(lambda: model(*args))
    print(f"{case.name}, {name}: {held / 1e6:.0f} MB of weights, at the peak {peak / 1e6:.0f} MB")
    call = captured(lambda: model(*args)) if case.graphs else (lambda: model(*args))
    return Variant(name, model, call, first, held, report=report)


def difference(got: torch.Tensor, want: torch.Tensor) -> float:
    """Mean square of the difference over that of the wanted, rooted."""
    got, want = got.float(), want.float()
    return float((got - want).square().mean().sqrt() / want.square().mean().sqrt())


def measure(case: Case, names: list[str], rounds: int) -> Iterator[list[dict[str, Any]]]:
    """Rows of all variants of one model, after each round."""
    torch.manual_seed(0)
    dense, args = case.make(), case.inputs()
    pruned = copy.deepcopy(dense)
    tamis.prune(pruned, "2:4", layers=case.layers)
    of_dense, of_pruned = dense(*args), pruned(*args)
    variants = []
    for name in names:
        try:
            variant = build(case, name, dense, pruned, args)
        except Exception as error:  # a rival that cannot run is a row like any other
            print(f"{case.name}, {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        print(f"{case.name}, {name}: first call {variant.first_s:.1f} s", flush=True)
        variants.append(variant)
    for variant in variants:  # a graph that reads what was let go since shows here
        is_dense = variant.name.startswith("dense")
        off = difference(variant.call(), of_dense if is_dense else of_pruned)
        print(f"{case.name}, {variant.name}: is off the eager dense one by {off:.2e}", flush=True)
    del of_dense, of_pruned
    once = {variant.name: variant.run(2) for variant in variants}
    for done in range(1, rounds + 1):
        for variant in variants:
            variant.run(max(1, int(20 / once[variant.name])))  # into its own state of the clocks
            variant.ms.append(variant.run(max(2, int(60 / once[variant.name]))))
        yield rows_of(case, variants, done)


def rows_of(case: Case, variants: list[Variant], rounds: int) -> list[dict[str, Any]]:
    fastest = min((v.median for v in variants if v.name.startswith("dense")), default=None)
    rows = []
    for variant in variants:
        low, high = variant.interval
        is_dense = variant.name.startswith("dense")
        rows.append(
            {
                "op": "model",
                "who": "tamis" if "tamis" in variant.name else "torch",
                "kernel": variant.name,
                "format": "dense" if is_dense else "nm",
                "pattern": "dense" if is_dense else "2:4",
                "sparsity": 0.0 if is_dense else 0.5,
                "dtype": "bf16",
                "isa": "sm90",
                "threads": None,
                "t": case.tokens,
                "k": None,
                "n": None,
                "epilogue": None,
                "state": "sustained",
                "us": variant.median * 1e3,
                "us_min": low * 1e3,
                "us_max": high * 1e3,
                "rounds": rounds,
                "quiet": None,
                "cycles": None,
                "bytes": None,
                "resident_bytes": variant.bytes,
                "ratio_dense": fastest / variant.median if fastest else None,
                "device": torch.cuda.get_device_name(),
                "versions": versions(),
                "commit": tamis.__commit__,
                "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "label": case.name,
            }
        )
    return rows


def versions() -> str:
    found = [f"torch {torch.__version__}", f"tamis {tamis.__version__}"]
    for name in ("timm", "transformers"):
        try:
            found.append(f"{name} {__import__(name).__version__}")
        except ImportError:
            continue
    return ", ".join(found)


def draw(rows: list[dict[str, Any]]) -> str:
    """A table in Markdown: a line a model, milliseconds with their interval, and the ratio."""
    names = [name for name in VARIANTS if any(row["kernel"] == name for row in rows)]
    lines = [
        "| model | " + " | ".join(names) + " | best tamis over best dense |",
        "|---" * (len(names) + 2) + "|",
    ]
    for label in dict.fromkeys(row["label"] for row in rows):
        mine = {row["kernel"]: row for row in rows if row["label"] == label}
        cells = []
        for name in names:
            row = mine.get(name)
            cells.append(
                ""
                if row is None
                else f"{row['us'] / 1e3:.3g} ({row['us_min'] / 1e3:.3g}-{row['us_max'] / 1e3:.3g})"
            )
        best = max(
            (row["ratio_dense"] or 0 for row in mine.values() if row["who"] == "tamis"), default=0
        )
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {best:.2f} |")
    return "\n".join(lines)


def write(rows: list[dict[str, Any]], out: Path) -> None:
    with (out / "models.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (out / "table.md").write_text(draw(rows) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=USUAL)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("gpu_models"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("gpu_models: there is no CUDA GPU that torch can use")
    options.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    with torch.inference_mode():
        for name in options.models:
            torch._dynamo.reset()
            for rows[name] in measure(CASES[name], options.variants, options.rounds):
                write([row for model in rows.values() for row in model], options.out)
            torch.cuda.empty_cache()
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
