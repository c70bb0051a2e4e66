"""Zeros held through training, schedules, save and load, several processes."""

import copy
import io
import itertools
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn
from torch.nn.utils import parametrize

import tamis


def make(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(64, 16, generator=generator)
        loss = (model(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.5),
        lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9),
    ],
)
def test_momentum_and_decay_never_revive_a_weight(make_optimizer: object) -> None:
    model = make()
    optimizer = make_optimizer(model.parameters())
    train(model, optimizer)  # fills the momenta of weights that are dropped next
    tamis.prune(model, "2:4", hold=True)
    zeros = [layer.weight.detach() == 0 for layer in (model[0], model[2])]
    before = model[0].weight.detach().clone()
    for _ in range(4):
        train(model, optimizer)
        for layer, zero in zip((model[0], model[2]), zeros, strict=True):
            assert (layer.weight[zero] == 0).all() and (layer.weight[~zero] != 0).all()
    assert not torch.equal(before, model[0].weight)  # the others did learn


def test_the_optimizer_keeps_its_parameters() -> None:
    model = make()
    known = {id(parameter) for parameter in model.parameters()}
    tamis.prune(model, "2:4", hold=True)
    assert {id(parameter) for parameter in model.parameters()} == known
    tamis.release(model)
    assert {id(parameter) for parameter in model.parameters()} == known
    assert list(model.state_dict()) == list(make().state_dict())
    assert tamis.check(model[0].weight.detach().numpy(), "2:4").holds


def test_dropped_weights_get_a_gradient_only_if_asked() -> None:
    for learn in (False, True):
        model = make()
        tamis.prune(model, "2:4", hold=True, learn_dropped=learn)
        zero = model[0].weight == 0
        model(torch.randn(4, 16)).sum().backward()
        grad = model[0].parametrizations.weight.original.grad
        assert bool((grad[zero] != 0).any()) == learn
        assert (grad[~zero] != 0).any()


def test_the_same_mask_after_save_and_load() -> None:
    model = make()
    tamis.prune(model, "unstructured 70%", hold=True)
    with torch.no_grad():  # a kept weight that happens to be zero stays a kept one
        original = model[0].parametrizations.weight.original
        original[model[0].parametrizations.weight[0].mask.nonzero()[0].tolist()] = 0.0
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = make(1)
    tamis.hold(other)
    other.load_state_dict(torch.load(file))
    for i in (0, 2):
        mask, loaded = (m[i].parametrizations.weight[0].mask for m in (model, other))
        assert torch.equal(mask, loaded)
        assert torch.equal(model[i].weight, other[i].weight)
    with pytest.raises(RuntimeError, match="state_dict"):  # torch's rule for parametrisations
        torch.save(model, io.BytesIO())
    assert torch.equal(copy.deepcopy(model)[2].weight, model[2].weight)


def test_hold_keeps_zeros_that_are_there() -> None:
    model = make()
    tamis.prune(model, "4:8")
    assert tamis.hold(model) == 2
    train(model, torch.optim.AdamW(model.parameters(), 0.1))
    assert tamis.check(model[0].weight.detach().numpy(), "4:8").holds


def test_gradual_sparsity_follows_the_cubic_schedule() -> None:
    model = make()
    schedule = tamis.GradualSparsity(model, "unstructured 80%", begin=2, end=12, every=2)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    shares, masks = [], []
    for _ in range(14):
        train(model, optimizer, 1)
        schedule.step()
        shares.append(1 - float(model[0].weight.count_nonzero()) / 512)
        masks.append(model[0].parametrizations.weight[0].mask.clone())
    expected = [0.8 * (1 - (1 - (step - 2) / 10) ** 3) for step in (2, 4, 6, 8, 10, 12)]
    assert shares[1::2] == pytest.approx([*expected, 0.8], abs=0.5 / 512)
    assert shares[2] == shares[1] and shares[13] == shares[11]
    for earlier, later in itertools.pairwise(masks):
        assert not (later & ~earlier).any()  # ratchet: nothing returns
    assert schedule.report().rows[0].zeros == round(0.8 * 512)


def test_gradual_two_of_four_passes_three_of_four() -> None:
    model = make()
    schedule = tamis.GradualSparsity(model, "2:4", end=10, every=1)
    seen = []
    for _ in range(10):
        schedule.step()
        seen.append(int((model[0].weight.reshape(-1, 4) != 0).sum(1).max()))
    assert seen[0] == 4 or seen[0] == 3
    assert 3 in seen and seen[-1] == 2 and seen == sorted(seen, reverse=True)


def test_regrow_lets_weights_return_and_ratchet_does_not() -> None:
    for mode in ("regrow", "ratchet"):
        model = make()
        schedule = tamis.GradualSparsity(model, "2:4", end=4, mode=mode)
        for _ in range(3):
            schedule.step()
        mask = model[0].parametrizations.weight[0].mask.clone()
        assert not mask.all()
        with torch.no_grad():  # what lies behind the dropped becomes the largest
            original = model[0].parametrizations.weight.original
            original[~mask] = 10.0
        schedule.step()
        after = model[0].parametrizations.weight[0].mask
        assert bool((after & ~mask).any()) == (mode == "regrow")
        assert tamis.check(model[0].weight.detach().numpy(), "2:4").holds


def test_a_schedule_goes_on_after_save_and_load() -> None:
    model = make()
    schedule = tamis.GradualSparsity(model, "unstructured 50%", end=8)
    for _ in range(4):
        schedule.step()
    other = make(1)
    again = tamis.GradualSparsity(other, "unstructured 50%", end=8)
    other.load_state_dict(model.state_dict())
    again.load_state_dict(schedule.state_dict())
    for _ in range(4):
        schedule.step(), again.step()
    assert torch.equal(model[0].weight, other[0].weight)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"end": 0}, "0 <= begin < end"),
        ({"end": 4, "every": 0}, "every is 0"),
        ({"end": 4, "mode": "grow"}, '"ratchet" or "regrow"'),
        ({"end": 4, "initial": 1.0}, "initial is 1.0"),
    ],
)
def test_a_schedule_refuses_what_makes_no_sense(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tamis.GradualSparsity(make(), "2:4", **options)


def test_a_masked_model_compiles_whole() -> None:
    model = make()
    tamis.prune(model, "2:4", hold=True)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 16)
    compiled(x).sum().backward()
    assert torch.allclose(compiled(x), model(x))
    assert model[0].parametrizations.weight.original.grad is not None


def _work(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    model = make()
    schedule = tamis.GradualSparsity(model, "2:4", end=4)
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(parallel.parameters(), 0.05)
    torch.manual_seed(rank)
    for _ in range(6):
        loss = parallel(torch.randn(32, 16)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(model.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_hold_the_same_masks_and_weights(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_work, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    mask = first["0.parametrizations.weight.0.mask"]
    assert (mask.reshape(-1, 4).sum(1) == 2).all()


def test_a_mask_of_numbers_is_set_where_they_are_not_0() -> None:
    layer = nn.Linear(16, 16, bias=False)
    parametrize.register_parametrization(layer, "weight", tamis.FakeSparsity(torch.eye(16)))
    assert torch.equal(layer.weight != 0, torch.eye(16, dtype=torch.bool))
