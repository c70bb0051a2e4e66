"""tamis.prune: what it takes, what it zeroes, what it says."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import tamis
from tamis.torch import _device


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(64, 32)
        self.act = nn.GELU()
        self.second = nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.act(self.first(x)))


PATTERNS = [
    "2:4",
    "4:8",
    "1:4",
    "unstructured 80%",
    "unstructured 50% per row",
    "block 8x8 50%",
    "rows 50%",
    "columns 25%",
    "2:4 in block 8x16 50%",
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_holds_afterwards_as_the_library_selects(
    pattern: str, dtype: torch.dtype
) -> None:
    model = TwoLayers().to(dtype)
    before = model.first.weight.detach().clone()
    report = tamis.prune(model, pattern)
    assert len(report.pruned) == 2
    for layer in (model.first, model.second):
        assert tamis.check(layer.weight.detach().float().numpy(), pattern).holds
    # bfloat16 and float16 are exact in float32, so the library's choice there is the same
    mask = tamis.select(before.float().numpy(), pattern)
    expected = torch.where(torch.from_numpy(mask), before, 0.0)
    assert torch.equal(model.first.weight.detach(), expected)
    assert not torch.signbit(model.first.weight[torch.from_numpy(~mask)]).any()  # +0.0


def test_prune_takes_a_glob_several_or_a_predicate() -> None:
    def pruned(layers: object) -> list[str]:
        return [row.name for row in tamis.prune(TwoLayers(), "2:4", layers=layers).pruned]

    assert pruned("fir*") == ["first.weight"]
    assert pruned(["first.weight", "sec[a-o]nd"]) == ["first.weight", "second.weight"]
    assert pruned(lambda name, module: module.out_features == 16) == ["second.weight"]


def test_a_glob_that_matches_nothing_names_what_there_is() -> None:
    with pytest.raises(ValueError, match='"third" matches no layer; there are first, second'):
        tamis.prune(TwoLayers(), "2:4", layers=["first", "third"])


def test_a_model_without_layers_is_no_success() -> None:
    with pytest.raises(ValueError, match=r"Sequential has no nn\.Linear"):
        tamis.prune(nn.Sequential(nn.ReLU()), "2:4")


def test_an_unfit_layer_is_an_error_where_named_and_a_row_where_not() -> None:
    model = nn.Sequential(nn.Linear(30, 8), nn.Linear(8, 4))
    with pytest.raises(ValueError, match=r"0.weight: .*30"):
        tamis.prune(model, "2:4", layers="0")
    report = tamis.prune(model, "2:4")
    assert [row.skipped is None for row in report.rows] == [False, True] or [
        row.name for row in report.pruned
    ] == ["1.weight"]
    assert "1 stay dense" in str(report)
    assert model[0].weight.count_nonzero() == 240


def test_a_weight_shared_with_an_embedding_stays_dense_unless_named() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(32, 16)
            self.body = nn.Linear(16, 16)
            self.head = nn.Linear(16, 32, bias=False)
            self.head.weight = self.embed.weight

    model = Tied()
    report = tamis.prune(model, "2:4")
    assert [row.name for row in report.pruned] == ["body.weight"]
    assert "embed.weight" in next(row.skipped for row in report.rows if row.skipped)
    assert len(tamis.prune(model, "2:4", layers="head").pruned) == 1


def test_nothing_changes_where_one_layer_fails() -> None:
    model = TwoLayers()
    with torch.no_grad():
        model.second.weight[3, 5] = float("nan")
    before = model.first.weight.detach().clone()
    with pytest.raises(tamis.NonFiniteError, match="row 3") as caught:
        tamis.prune(model, "2:4")
    assert "second.weight" in caught.value.__notes__[0]
    assert torch.equal(model.first.weight, before)


def test_convolutions_are_pruned_along_channels() -> None:
    conv = nn.Conv2d(8, 6, 3)
    tamis.prune(conv, "2:4")
    groups = conv.weight.detach().permute(0, 2, 3, 1).reshape(-1, 4)
    assert (groups.count_nonzero(1) <= 2).all()


def test_hugging_face_conv1d_is_pruned_along_inputs() -> None:
    pytorch_utils = pytest.importorskip("transformers.pytorch_utils")
    layer = pytorch_utils.Conv1D(8, 16)  # weight [16 inputs, 8 outputs]
    tamis.prune(layer, "2:4")
    assert (layer.weight.detach().t().reshape(-1, 4).count_nonzero(1) <= 2).all()


def test_joined_attention_weights_are_pruned() -> None:
    layer = nn.MultiheadAttention(16, 2)
    report = tamis.prune(layer, "2:4")
    assert sorted(row.name for row in report.pruned) == ["in_proj_weight", "out_proj.weight"]
    assert (layer.in_proj_weight.reshape(-1, 4).count_nonzero(1) <= 2).all()


def test_scores_decide_where_they_are_given() -> None:
    layer = nn.Linear(8, 1)
    scores = torch.tensor([[9.0, 8, 1, 2, 1, 9, 2, 8]])
    tamis.prune(layer, "2:4", scores={"weight": scores})
    assert (layer.weight[0] != 0).tolist() == [True, True, False, False, False, True, False, True]
    with pytest.raises(ValueError, match='scores has "other"'):
        tamis.prune(layer, "2:4", scores={"other": scores})


def test_the_report_counts_and_serialises() -> None:
    model = TwoLayers()
    before = model.first.weight.detach().double().clone()
    report = tamis.prune(model, "2:4")
    row = report.rows[0]
    lost = (before - model.first.weight.detach().double()).norm() / before.norm()
    assert row.error == pytest.approx(float(lost), rel=1e-9)
    assert (row.n, row.k, row.sparsity, row.zeros_before) == (32, 64, 0.5, 0)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["layers"][0]["name"] == "first.weight" and plain["sparsity"] == 0.5
    assert "first.weight" in str(report) and "50.0%" in str(report)
    assert "<td>first.weight</td>" in report._repr_html_()


def test_equal_scores_keep_the_lower_index() -> None:
    layer = nn.Linear(8, 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    tamis.prune(layer, "2:4")
    assert np.array_equal(layer.weight.detach()[0] != 0, [1, 1, 0, 0, 1, 1, 0, 0])


def test_a_weight_that_is_computed_is_held_or_refused() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)))
    with pytest.raises(ValueError, match=r"0\.weight is no parameter"):
        tamis.prune(model, "2:4")
    tamis.prune(model, "2:4", hold=True)
    assert (model[0].weight.reshape(-1, 4).count_nonzero(1) <= 2).all()
    other = nn.Sequential(nn.Linear(8, 4))
    torch_prune.l1_unstructured(other[0], "weight", 0.5)
    with pytest.raises(ValueError, match=r"0\.weight is no parameter"):
        tamis.prune(other, "2:4")


def test_a_meta_model_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="materialise the model first"):
        tamis.prune(nn.Linear(8, 8, device="meta"), "2:4")


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4:8", "7:16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpus_selection_is_the_librarys(pattern: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(48, 64, generator=generator).to(dtype)
    weight[:8] = torch.randint(-2, 3, (8, 64), generator=generator).to(dtype)  # many ties
    weight[8, :8] = -0.0
    keep, group = map(int, pattern.split(":"))
    mask = _device.select_groups(weight, keep, group)  # the same operations on any device
    assert np.array_equal(mask.numpy(), tamis.select(weight.float().numpy(), pattern))
