"""Components folded into images: a GPU's business, played through on a CPU with a decoder that
remembers what each image was built from; and on a GPU where there is one."""

import copy
import pickle

import pytest
import torch
from torch import nn

import tamis
from tamis.torch import _folded, _images, _kept, _linear

GPU = torch.cuda.is_available()


@pytest.fixture(
    params=[
        "remembered",
        pytest.param("gpu", marks=pytest.mark.skipif(not GPU, reason="needs a GPU")),
        pytest.param("gpu, dense kept", marks=pytest.mark.skipif(not GPU, reason="needs a GPU")),
    ]
)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple:
    if request.param != "remembered":
        return "cuda", torch.bfloat16, request.param != "gpu"
    images: dict[bytes, dict[str, torch.Tensor]] = {}
    build = _images.build

    def remember(format: str, values: torch.Tensor, index: list, *args: object, **options: object):
        made = build(format, values, index, *args, **options)
        parts = {"values": values.detach().clone(), "index": index[0].clone()}
        images[made[0].numpy().tobytes()] = parts
        return made

    def decode(image: torch.Tensor, *_: object) -> dict:
        return {name: part.clone() for name, part in images[image.numpy().tobytes()].items()}

    monkeypatch.setattr(_images, "build", remember)
    monkeypatch.setattr(_folded, "decode", decode)
    monkeypatch.setattr(
        _folded,
        "can_fold",
        lambda weight: weight.format == "nm" and not weight.values.requires_grad,
    )
    return "cpu", torch.float32, False


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gate, self.up, self.down = nn.Linear(32, 48), nn.Linear(32, 48), nn.Linear(48, 32)
        self.joined: nn.Module | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.joined is None:
            return self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return self.down(self.joined(x))


def make(place: tuple) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    device, dtype, keep_dense = place
    dense = Gated().to(device, dtype).eval()
    tamis.prune(dense, "2:4")
    sparse = copy.deepcopy(dense)
    tamis.sparsify(sparse, keep_dense=keep_dense)
    sparse.joined = _linear.join([sparse.gate, sparse.up], gate="silu")
    tamis.refresh(sparse, is_folded=True)
    return dense, sparse, torch.randn(5, 32, device=device, dtype=dtype)


def same(sparse: nn.Module, dense: nn.Module, x: torch.Tensor) -> None:
    tolerance = 1e-5 if x.dtype == torch.float32 else 3e-2
    with torch.inference_mode():
        torch.testing.assert_close(sparse(x), dense(x), rtol=tolerance, atol=tolerance)


def is_folded(model: nn.Module) -> bool:
    return all(layer.weight.values.numel() == 0 for layer in (model.gate, model.up, model.down))


def test_it_computes_without_components(place: tuple) -> None:
    dense, sparse, x = make(place)
    assert is_folded(sparse) and sparse.gate.weight.image is None
    same(sparse, dense, x)
    assert is_folded(sparse)
    for name in ("gate", "up", "down"):
        weight = getattr(sparse, name).weight
        assert torch.equal(weight.to_dense(), getattr(dense, name).weight)
        assert weight.shape == (48, 32) or weight.shape == (32, 48)
    again = tamis.refresh(sparse, is_folded=True)
    assert again is None and is_folded(sparse)
    same(sparse, dense, x)


def test_state_copies_and_moves_have_them(place: tuple) -> None:
    dense, sparse, x = make(place)
    state = sparse.state_dict()
    assert state["up.weight.values"].shape == (48, 16) and is_folded(sparse)
    same(copy.deepcopy(sparse), dense, x)
    same(pickle.loads(pickle.dumps(sparse)), dense, x)
    _, other, _ = make(place)
    with torch.no_grad():
        zeros = {
            name: part if name.endswith("index") else torch.zeros_like(part)
            for name, part in state.items()
        }
        other.load_state_dict(zeros)
        other.load_state_dict(state)
    same(other, dense, x)
    moved = sparse.to(torch.float32).cpu()
    assert moved.up.weight.values.shape == (48, 16)
    same(moved, dense.float().cpu(), x.float().cpu())


def test_gradients_bring_them_back(place: tuple) -> None:
    dense, sparse, x = make(place)
    first, second = (x.clone().requires_grad_() for _ in range(2))
    dense(first).sum().backward()
    sparse(second).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=3e-2, atol=3e-2)
    assert not is_folded(sparse)
    same(sparse, dense, x)
    tamis.refresh(sparse, is_folded=True)
    assert is_folded(sparse)
    same(sparse, dense, x)
    tamis.unfold(sparse)
    assert torch.equal(sparse.up.weight.to_dense(), dense.up.weight) and not is_folded(sparse)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_a_folded_weight_serves_dense_without_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_kept, "dense_ranges", lambda about, t_max: ((513, 1024),))
    dense = nn.Sequential(nn.Linear(4096, 1024)).cuda().bfloat16()
    tamis.prune(dense, "2:4")
    sparse = copy.deepcopy(dense)
    report = tamis.sparsify(sparse, keep_dense=True)
    weight = sparse[0].weight
    assert report.rows[0].keeps_dense and weight.lasting_kept is not None
    assert copy.deepcopy(sparse)[0].weight.lasting_kept is None
    _, last = weight.lasting_kept.ranges[0]
    x = torch.randn(last, 4096, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    y, want = sparse(x), dense(x)
    torch.testing.assert_close(y, want, rtol=1e-2, atol=1e-2)
    grads = [torch.autograd.grad(out.sum(), x)[0] for out in (y, want)]
    torch.testing.assert_close(*grads, rtol=1e-2, atol=1e-2)
    sparse.half()
    assert weight.lasting_kept is None
    torch.testing.assert_close(sparse(x.half()), dense.half()(x.half()), rtol=1e-2, atol=1e-2)
