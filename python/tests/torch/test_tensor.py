"""The lecture's flow: torch's names from tamis, and a 2:4 weight as a tensor."""

import copy
import io

import pytest
import torch
from torch import nn

import tamis

LECTURE = """
from torch import nn
import torch
from {pruning} import WeightNormSparsifier
from {sparse} import to_sparse_semi_structured

model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 128)).eval()
sparsifier = WeightNormSparsifier(
    sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2
)
sparse_config = [
    {{"tensor_fqn": f"{{name}}.weight"}}
    for name, module in model.named_modules()
    if isinstance(module, nn.Linear)
]
sparsifier.prepare(model, sparse_config)
sparsifier.step()
sparsifier.squash_mask()
x = torch.randn(64, 128)
with torch.inference_mode():
    pruned = model(x)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.weight = nn.Parameter(to_sparse_semi_structured(module.weight))
    sparse = model(x)
"""


def test_the_lectures_example_runs_with_two_import_lines_changed() -> None:
    theirs = LECTURE.format(pruning="torch.ao.pruning", sparse="torch.sparse")
    ours = LECTURE.format(pruning="tamis", sparse="tamis")
    changed = [a for a, b in zip(theirs.splitlines(), ours.splitlines(), strict=True) if a != b]
    assert len(changed) == 2 and all("import" in line for line in changed)
    names: dict = {}
    exec(ours, names)
    assert isinstance(names["model"][0].weight, tamis.SparseSemiStructuredTensor)
    assert isinstance(names["model"][0].weight, nn.Parameter)
    torch.testing.assert_close(names["sparse"], names["pruned"], rtol=1e-5, atol=1e-5)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    layer = nn.Linear(64, 32)
    tamis.prune(layer, "2:4")
    dense = layer.weight.detach()
    return dense, tamis.to_sparse_semi_structured(dense)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_products_on_either_side(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    dense, sparse = pair
    x, tall, bias = torch.randn(5, 64), torch.randn(64, 7), torch.randn(32)
    close(x @ sparse.t(), x @ dense.t())
    close(torch.mm(sparse, tall), dense @ tall)
    close(torch.addmm(bias, x, sparse.t()), torch.addmm(bias, x, dense.t()))
    close(nn.functional.linear(x, sparse, bias), nn.functional.linear(x, dense, bias))
    batch = torch.randn(2, 3, 64)
    close(nn.functional.linear(batch, sparse), nn.functional.linear(batch, dense))
    close(torch.randn(4, 32).new_ones(4, 32) @ sparse, torch.ones(4, 32) @ dense)
    with pytest.raises(ValueError, match="one must be dense"):
        sparse @ sparse.t()


def test_it_decodes_copies_moves_and_is_saved(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    dense, sparse = pair
    assert torch.equal(sparse.to_dense(), dense)
    assert torch.equal(sparse.t().to_dense(), dense.t())
    assert sparse.values().shape == (32, 32) and sparse.indices().dtype == torch.uint8
    assert torch.equal(copy.deepcopy(sparse).to_dense(), dense)
    half = sparse.to(torch.bfloat16)
    assert half.dtype == torch.bfloat16 and torch.equal(half.to_dense(), dense.bfloat16())
    file = io.BytesIO()
    torch.save(sparse, file)
    file.seek(0)
    again = torch.load(file, weights_only=True)
    assert torch.equal(again.to_dense(), dense)
    assert "SparseSemiStructuredTensor(shape=(32, 64)" in repr(sparse)


def test_gradients_pass_to_the_input(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    dense, sparse = pair
    x, y = (torch.ones(3, 64, requires_grad=True) for _ in range(2))
    nn.functional.linear(x, sparse).sum().backward()
    nn.functional.linear(y, dense).sum().backward()
    close(x.grad, y.grad)


def test_it_compiles_whole() -> None:
    model = nn.Sequential(nn.Linear(64, 32)).eval()
    tamis.prune(model, "2:4")
    x = torch.randn(5, 64)
    expected = model(x).detach()
    model[0].weight = nn.Parameter(
        tamis.to_sparse_semi_structured(model[0].weight), requires_grad=False
    )
    with torch.inference_mode():
        close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)


def test_an_unpruned_weight_is_refused_where_torch_would_drop_by_place() -> None:
    with pytest.raises(tamis.PatternError, match="row 0"):
        tamis.to_sparse_semi_structured(torch.ones(8, 16))


def test_what_it_does_not_serve_is_named(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises(NotImplementedError, match=r"exp.*addmm.*to_dense\(\)"):
        pair[1].exp()
    with pytest.raises(ValueError, match="two"):
        tamis.to_sparse_semi_structured(torch.zeros(4))
    with pytest.raises(ValueError, match=r"\.t\(\)"):
        tamis.to_sparse_semi_structured(torch.zeros(4, 4), transposed=True)
