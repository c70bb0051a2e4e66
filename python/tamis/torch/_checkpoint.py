"""Checkpoints of ``tamis pack`` into a model, and a model into one."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import _core, files
from ._formats import INDEX_NAMES, Shape, to_dense
from ._linear import SparseConv2d, SparseLinear
from ._report import SparseRow, SparsifyReport
from ._sparsify import TOKENS, finish, put_module
from ._weight import SparseWeight

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    index = path / "model.safetensors.index.json"
    if not index.exists():
        return [path / "model.safetensors"]
    return sorted({path / name for name in json.loads(index.read_text())["weight_map"].values()})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file, which the library has checked before."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise _core.UnsupportedError(
                f'{path}: "{name}" is {entry["dtype"]}, which no layer takes'
            )
        begin, end = entry["data_offsets"]
        raw = torch.frombuffer(data, dtype=torch.uint8)[begin:end] if data else torch.empty(0)
        tensors[name] = raw.clone().view(dtype).reshape(entry["shape"])
    return tensors, metadata


def _take_packed(
    tensors: dict[str, Tensor], metadata: dict[str, str]
) -> dict[str, tuple[dict[str, Any], dict[str, Tensor]]]:
    """Packed tensors by name: their description and components, taken out of tensors."""
    packed = {}
    for key, text in metadata.items():
        if not key.startswith("tamis.") or key in ("tamis.packed", "tamis.prune"):
            continue
        name, about = key.removeprefix("tamis."), json.loads(text)
        parts = ("values", *INDEX_NAMES[about["format"]])
        packed[name] = (about, {part: tensors.pop(f"{name}.{part}") for part in parts})
    return packed


def load_packed(
    model: nn.Module, path: str | os.PathLike[str], *, fuse: bool = True, trainable: bool = False
) -> SparsifyReport:
    """Loads a checkpoint, dense or from ``tamis pack``, strictly. Linear layers that are packed in
    it become sparse on the file's components; where a layer of another kind is packed, its weight
    is decoded. Returns the report that ``sparsify`` would."""
    source = Path(path)
    files.inspect(source)  # every length, hash and index, before anything is used
    report = SparsifyReport("as in the file", TOKENS)
    dense: dict[str, Tensor] = {}
    sparse: list[tuple[SparseRow, str, SparseWeight]] = []
    for file in _files_of(source):
        tensors, metadata = _read(file)
        for name, (about, parts) in _take_packed(tensors, metadata).items():
            numbers = (
                about.get(key, 0) for key in ("keep", "group", "block_rows", "block_columns")
            )
            shape = Shape(about["n"], about["k"], *numbers)
            place, _, tensor = name.rpartition(".")
            owner = _find(model, place)
            if not isinstance(owner, (nn.Linear, SparseLinear)) or tensor != "weight":
                index = [parts[part] for part in INDEX_NAMES[about["format"]]]
                dense[name] = to_dense(about["format"], parts["values"], index, shape)
                continue
            weight = _make_weight(owner, about["format"], shape, parts, trainable)
            sparse.append((_row(name, weight), place, weight))
        dense.update(tensors)
    _check_names(model, dense, {f"{place}.weight" for _, place, _ in sparse})
    for row, place, weight in sparse:
        owner = model.get_submodule(place)
        module = SparseLinear(weight, owner.bias)  # type: ignore[arg-type]
        module.train(owner.training)
        put_module(model, owner, module)
        report.rows.append(row)
    model.load_state_dict(dense, strict=False)
    finish(model, report, fuse)
    return report


def _find(model: nn.Module, place: str) -> nn.Module | None:
    try:
        return model.get_submodule(place)
    except AttributeError:
        return None


def _make_weight(
    owner: Any, format: str, shape: Shape, parts: dict[str, Tensor], trainable: bool
) -> SparseWeight:
    like = owner.weight
    if tuple(like.shape) != shape[:2]:
        raise _core.InvalidError(
            f"the file's weight is {shape.n} x {shape.k}, but the layer's {tuple(like.shape)}"
        )
    device = torch.device("cpu") if like.device.type == "meta" else like.device
    moved = {name: part.to(device) for name, part in parts.items()}
    moved["values"] = moved["values"].to(like.dtype)
    return SparseWeight(format, shape, moved, requires_grad=trainable)


def _row(name: str, weight: SparseWeight) -> SparseRow:
    n, k = weight.shape
    format = {"nm": f"nm {weight._shape.keep}:{weight._shape.group}"}.get(
        weight.format, weight.format
    )
    dense_bytes = n * k * weight.values.element_size()
    return SparseRow(
        name, "linear", n, k, 1 - weight.density, format=format, dense_bytes=dense_bytes
    )


def _check_names(model: nn.Module, dense: dict[str, Tensor], sparse: set[str]) -> None:
    """Strictly: every entry of the model is there once, and nothing else."""
    have, want = dense.keys() | sparse, set()
    for name in model.state_dict():
        place = name.rpartition(".")[0]
        owner = _find(model, place)
        want.add(place if isinstance(owner, SparseWeight) else name)
    for names, text in ((want - have, "lacks"), (have - want, "has, and the model has not,")):
        if names:
            shown = ", ".join(sorted(names)[:4])
            raise _core.InvalidError(f"load_packed: the file {text} {len(names)} tensors: {shown}")


def save_packed(model: nn.Module, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Writes a model as ``tamis pack`` would: sparse linear layers as components, the rest dense.
    ``tamis unpack``, ``inspect`` and ``check`` read it. A path that exists is refused without
    force."""
    target = Path(path)
    if target.exists() and not force:
        raise FileExistsError(f"save_packed: {target} exists: force=True replaces it")
    state, formats = _dense_state(model)
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".tamis-") as folder:
        step = Path(folder) / "0.safetensors"
        _write(step, state)
        for i, (format, names) in enumerate(sorted(formats.items()), 1):
            following = Path(folder) / f"{i}.safetensors"
            globs = ["".join(f"[{c}]" if c in "*?[" else c for c in name) for name in names]
            files.pack(step, following, format=format, layers=globs)  # type: ignore[arg-type]
            step = following
        os.replace(step, target)


def _dense_state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """The state_dict of the dense model, and which of its weights are sparse, by format."""
    state: dict[str, Tensor] = {}
    formats: dict[str, list[str]] = {}
    owners = dict(model.named_modules())
    for name, tensor in model.state_dict().items():
        place, _, part = name.rpartition(".")
        weight = owners.get(place)
        if not isinstance(weight, SparseWeight):
            state[name] = tensor
        elif part == "values":
            parent = owners[place.rpartition(".")[0]]
            dense = weight.to_dense()
            if isinstance(parent, SparseConv2d):  # safetensors jobs take matrices alone
                dense = dense.reshape(-1, *parent.kernel_size, parent.in_channels).permute(
                    0, 3, 1, 2
                )
            else:
                formats.setdefault(weight.format, []).append(place)
            state[place] = dense
    return state, formats


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """A safetensors file: larger elements first, then by name."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    begin = 0
    for name in order:
        tensor = tensors[name]
        end = begin + tensor.numel() * tensor.element_size()
        kind = _NAMES.get(tensor.dtype)
        if kind is None:
            raise _core.UnsupportedError(f'save_packed: "{name}" is {tensor.dtype}')
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            plain = tensors[name].detach().cpu().contiguous().reshape(-1)
            file.write(plain.view(torch.uint8).numpy().tobytes())
