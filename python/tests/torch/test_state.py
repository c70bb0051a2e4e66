"""Sparse models are saved, loaded, copied, moved, compiled and trained like others."""

import copy
import io
import os
import pickle
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

import tamis
from tamis import files


def make(pattern: str = "2:4", **options: object) -> tuple[nn.Sequential, nn.Sequential]:
    """A pruned dense model, and the same on sparse kernels."""
    torch.manual_seed(0)
    dense = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.LayerNorm(32)
    ).eval()
    tamis.prune(dense, pattern)
    sparse = copy.deepcopy(dense)
    tamis.sparsify(sparse, pattern, keep_dense=False, **options)
    return dense, sparse


def same(a: nn.Module, b: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    with torch.inference_mode():
        torch.testing.assert_close(a(x), b(x), rtol=tolerance, atol=tolerance)


PATTERNS = ["2:4", "unstructured 90%", "block 16x16 50%"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_state_dict_goes_to_another_sparse_model_and_takes_a_dense_one(pattern: str) -> None:
    dense, sparse = make(pattern)
    _, other = make(pattern)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(sparse.state_dict())
    same(other, dense)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(dense.state_dict())  # dense entries are encoded
    same(other, dense)


def test_safetensors_takes_the_state_dict(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    dense, sparse = make()
    safetensors.save_file(sparse.state_dict(), tmp_path / "m.safetensors")
    _, other = make()
    other.load_state_dict(safetensors.load_file(tmp_path / "m.safetensors"))
    same(other, dense)


def test_pickle_torch_save_and_deepcopy() -> None:
    dense, sparse = make()
    same(pickle.loads(pickle.dumps(sparse)), dense)
    same(copy.deepcopy(sparse), dense)
    file = io.BytesIO()
    torch.save(sparse.state_dict(), file)
    file.seek(0)
    _, other = make()
    other.load_state_dict(torch.load(file, weights_only=True))
    same(other, dense)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_and_to_take_the_model_along(dtype: torch.dtype) -> None:
    dense, sparse = make()
    same(sparse.to(dtype), copy.deepcopy(dense).to(dtype), dtype)
    assert sparse[0].weight.dtype == dtype
    same(sparse.float(), dense.to(dtype).float())


def test_a_meta_model_is_made_sparse_and_then_loaded() -> None:
    dense, sparse = make()
    with torch.device("meta"):
        empty = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.LayerNorm(32))
    tamis.sparsify(empty.eval(), "2:4")
    assert empty[0].weight.values.is_meta
    with pytest.raises(Exception, match="meta"), torch.inference_mode():
        empty(torch.randn(5, 64))
    empty.load_state_dict(sparse.state_dict(), assign=True)
    same(empty, dense)


def test_autocast_runs_in_its_type() -> None:
    dense, sparse = make()
    x = torch.randn(5, 64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        got, want = sparse[:3](x), dense[:3](x)
    assert got.dtype == want.dtype == torch.bfloat16
    torch.testing.assert_close(got, want, rtol=5e-2, atol=5e-2)


def test_compiled_whole_with_any_number_of_rows() -> None:
    dense, sparse = make()
    compiled = torch.compile(sparse, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch.inference_mode():
        for rows in (5, 9, 33):
            x = torch.randn(rows, 64)
            torch.testing.assert_close(compiled(x), dense(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_training_moves_kept_weights_alone(pattern: str) -> None:
    dense, sparse = make(pattern, trainable=True)
    zeros = [dense[i].weight == 0 for i in (0, 2)]
    tamis.hold(dense)
    models, x = (dense.train(), sparse.train()), torch.randn(16, 64)
    optimizers = [torch.optim.SGD(m.parameters(), 0.1) for m in models]
    for _ in range(3):
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    for i, zero in zip((0, 2), zeros, strict=True):
        trained = sparse[i].weight.to_dense()
        assert (trained[zero] == 0).all()
        torch.testing.assert_close(trained, dense[i].weight, rtol=1e-4, atol=1e-6)
    same(sparse.eval(), dense.eval())


def test_gradients_reach_the_input_through_frozen_weights() -> None:
    dense, sparse = make()
    x, y = (torch.ones(3, 64, requires_grad=True) for _ in range(2))
    dense(x).sum().backward()
    sparse(y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-6)
    assert sparse[0].weight.values.grad is None and sparse[0].bias.grad is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("way", ["graph", "reduce-overhead"])
def test_cuda_graphs(way: str) -> None:
    dense, sparse = (m.cuda().bfloat16() for m in make())
    tamis.refresh(sparse)
    x = torch.randn(16, 64, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        if way == "reduce-overhead":
            call = torch.compile(sparse, mode="reduce-overhead", fullgraph=True)
            for _ in range(3):
                got = call(x).clone()
        else:
            sparse(x)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                got = sparse(x)
            x.copy_(torch.randn_like(x))
            graph.replay()
        torch.testing.assert_close(got, dense(x), rtol=3e-2, atol=3e-2)


def test_a_packed_checkpoint_loads_into_a_model_and_goes_back(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    for pattern in PATTERNS:
        folder = tmp_path / pattern.replace(" ", "-").replace("%", "").replace(":", "-")
        folder.mkdir()
        dense, sparse = make(pattern)
        plain, packed, again, back = (folder / f"{i}.safetensors" for i in range(4))
        safetensors.save_file(dense.state_dict(), plain)
        files.pack(plain, packed, layers=["0.weight", "2.weight"])
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.LayerNorm(32))
        report = tamis.load_packed(model.eval(), packed)
        same(model, dense)
        assert len(report.sparse) == 2 and isinstance(model[0], tamis.SparseLinear)
        tamis.save_packed(sparse, again)
        files.unpack(again, back)
        loaded = safetensors.load_file(back)
        for name, tensor in dense.state_dict().items():
            assert torch.equal(loaded[name], tensor), name
        with pytest.raises(FileExistsError):
            tamis.save_packed(sparse, again)


def test_a_packed_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    _, sparse = make()
    tamis.save_packed(sparse, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="128 x 64"):
        tamis.load_packed(nn.Sequential(nn.Linear(32, 128)), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"has not.*3\.bias"):
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        tamis.load_packed(model, tmp_path / "m.safetensors")
    with pytest.raises(OSError, match="nowhere"):
        tamis.load_packed(model, tmp_path / "nowhere.safetensors")


def _work(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    _, sparse = make(trainable=True)
    parallel = nn.parallel.DistributedDataParallel(sparse.train())
    optimizer = torch.optim.SGD(parallel.parameters(), 0.1)
    torch.manual_seed(rank)
    for _ in range(2):
        optimizer.zero_grad()
        parallel(torch.randn(8, 64)).square().mean().backward()
        optimizer.step()
    torch.save(sparse.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_train_one_sparse_model(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_work, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.weight.values"], make()[1].state_dict()["0.weight.values"])
