"""Contexts by device and number of threads, how many threads the numpy functions use, and the
tuning table by which kernels are chosen."""

import os
from pathlib import Path

from . import _core

CPU, CUDA = 0, 1

_threads = 0


def set_threads(threads: int) -> None:
    """Limits the numpy functions to that many threads; 0: the cores this process may use.

    Products of torch tensors use torch.get_num_threads() instead.
    """
    global _threads
    _core.context(CPU, 0, threads)
    _threads = threads


def get_threads() -> int:
    """Threads that the numpy functions use."""
    return int(_core.context_describe(cpu())["threads"])


def use_tuning(path: str | os.PathLike[str] | None = None) -> None:
    """Chooses kernels by the times and prices of a file that ``tamis tune`` wrote.

    path  the file; None: where ``tamis tune`` writes, in the user's cache.

    To be called before anything is computed: what runs already was chosen by the library's tables.
    """
    if path is None:
        cache = os.environ.get("XDG_CACHE_HOME", "")
        folder = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
        path = folder / "tamis" / "tuning.txt"
    _core.context_tune(Path(path).read_bytes())


def cpu() -> int:
    """Number of the context that the numpy functions use."""
    return _core.context(CPU, 0, _threads)


def device_text(device: str = "cpu") -> str:
    """What products run on: device is "cpu", "cuda" or "cuda:1".

    Raises DeviceError, with the reason, where there is no such GPU, or tamis was built without
    GPU kernels.
    """
    kind, _, index = device.partition(":")
    if kind == "cpu":
        described = _core.context_describe(cpu())
        return f"{described['cpu']} ({described['isa']}, {described['threads']} threads)"
    if kind != "cuda" or not (index or "0").isdigit():
        raise _core.InvalidError(f'device is "{device}", but must be cpu, cuda or cuda:<number>')
    return str(_core.context_describe(_core.context(CUDA, int(index or 0), 0))["device"])
