"""The sparsifier of torch.ao under its own names, against torch.ao's own where that is defined."""

import pytest
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier as TorchSparsifier

import tamis


def make() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 8))


def pruned(kind: type, model: nn.Module, **options: object) -> list[torch.Tensor]:
    sparsifier = kind(**options)
    config = [{"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight"}]
    sparsifier.prepare(model, config)
    sparsifier.step()
    sparsifier.squash_mask()
    return [model[0].weight.detach(), model[2].weight.detach()]


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity_level": 1.0, "sparse_block_shape": (1, 4), "zeros_per_block": 2},
        {"sparsity_level": 0.5, "sparse_block_shape": (1, 4), "zeros_per_block": 4},
        {"sparsity_level": 0.5, "sparse_block_shape": (1, 4), "zeros_per_block": 2},
        {"sparsity_level": 0.25, "sparse_block_shape": (4, 4)},
        {"sparsity_level": 0.75, "sparse_block_shape": (8, 2), "zeros_per_block": 5, "norm": 1},
        {"sparsity_level": 1.0, "sparse_block_shape": (2, 4), "zeros_per_block": 3, "norm": 1},
        {"sparsity_level": 0.0},
        {"sparsity_level": 0.5, "norm": torch.square},
    ],
)
def test_the_same_weights_as_torch_ao_where_nothing_ties(options: dict) -> None:
    theirs = pruned(TorchSparsifier, make(), **options)
    ours = pruned(tamis.WeightNormSparsifier, make(), **options)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, other)


def test_blocks_at_the_edge_are_cropped_where_torch_ao_fails() -> None:
    layer = nn.Sequential(nn.Linear(30, 7))
    tamis.apply_fake_sparsity(layer)
    rows = layer[0].weight.detach()
    assert (rows[:, :28].reshape(-1, 4).count_nonzero(1) == 2).all()
    assert (rows[:, 28:].count_nonzero(1) == 0).all()  # two zeros of the two that are there


def test_prepare_takes_every_linear_layer_where_config_is_none() -> None:
    model = make()
    sparsifier = tamis.WeightNormSparsifier()
    sparsifier.prepare(model, None)
    assert [group["tensor_fqn"] for group in sparsifier.groups] == ["0.weight", "2.weight"]
    assert model[0].parametrizations.weight[0].mask.all()
    sparsifier.step()
    once = model[0].weight.detach().clone()
    sparsifier.step()  # ranks the masked weights: nothing returns
    assert torch.equal(model[0].weight, once)


def test_squash_leaves_a_plain_model_and_keeps_what_is_asked_for() -> None:
    model = make()
    sparsifier = tamis.WeightNormSparsifier(1.0, (1, 4), 2)
    sparsifier.prepare(model)
    sparsifier.step()
    sparsifier.squash_mask(("sparsity_level",), {"0": ("sparse_block_shape",)})
    assert list(model.state_dict()) == list(make().state_dict())
    assert model[0].sparse_params == {"sparsity_level": 1.0, "sparse_block_shape": (1, 4)}
    assert model[2].sparse_params == {"sparsity_level": 1.0}


def test_an_entry_of_config_overrides_the_defaults() -> None:
    model = make()
    sparsifier = tamis.WeightNormSparsifier(1.0, (1, 4), 2)
    sparsifier.prepare(
        model, [{"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight", "zeros_per_block": 3}]
    )
    sparsifier.step()
    assert (model[2].weight.reshape(-1, 4).count_nonzero(1) == 1).all()
    assert "zeros_per_block=3" in repr(sparsifier)


def test_state_goes_to_another_sparsifier() -> None:
    model, other = make(), make()
    first, second = (tamis.WeightNormSparsifier(1.0, (1, 4), 2) for _ in range(2))
    first.prepare(model)
    first.step()
    second.prepare(other)
    second.load_state_dict(first.state_dict())
    assert torch.equal(model[0].weight, other[0].weight)
    assert second.groups[0]["zeros_per_block"] == 2


def test_half_precision_ranks_what_squares_would_flush_to_zero() -> None:
    layer = nn.Sequential(nn.Linear(8, 1, bias=False).half())
    with torch.no_grad():
        layer[0].weight.copy_(torch.tensor([[1e-5, 2e-5, 3e-5, 4e-5, 4e-5, 1e-5, 2e-5, 3e-5]]))
    tamis.apply_fake_sparsity(layer)
    assert (layer[0].weight[0] != 0).tolist() == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: tamis.WeightNormSparsifier(norm=3), "norm is 3"),
        (lambda: tamis.apply_fake_sparsity(nn.ReLU()), "takes no module"),
        (lambda: tamis.WeightNormSparsifier().prepare(nn.ReLU()), "no layer to prune"),
    ],
)
def test_what_makes_no_sense_is_refused(call: object, sentence: str) -> None:
    with pytest.raises((ValueError, NotImplementedError), match=sentence):
        call()
