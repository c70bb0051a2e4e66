"""tamis.sparsify: every pattern and kind of layer computes what the pruned dense model did."""

import copy
import json

import pytest
import torch
from torch import nn

import tamis
from tamis.torch import _predict


class Mixed(nn.Module):
    """A linear layer, convolutions of several kinds, and one more linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.point = nn.Conv2d(32, 64, 1)
        self.wide = nn.Conv2d(
            64, 32, (3, 2), dilation=(2, 1), padding="same", padding_mode="reflect"
        )
        self.fc = nn.Linear(32, 48)
        self.head = nn.Linear(48, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.wide(torch.relu(self.point(torch.relu(self.conv(x)))))
        return self.head(torch.relu(self.fc(x.mean((2, 3)))))


PATTERNS = [
    "2:4",
    "1:4",
    "4:8",
    "unstructured 80%",
    "block 8x8 50%",
    "rows 50%",
    "columns 50%",
    "2:4 in block 16x16 50%",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_and_layer_computes_the_pruned_model(pattern: str) -> None:
    dense = Mixed().eval()
    tamis.prune(dense, pattern)
    sparse = copy.deepcopy(dense)
    report = tamis.sparsify(sparse, pattern, keep_dense=False)
    assert len(report.sparse) == 5, str(report)
    x = torch.randn(2, 16, 12, 12)
    with torch.inference_mode():
        torch.testing.assert_close(sparse(x), dense(x), rtol=1e-4, atol=1e-5)


def test_the_format_is_found_where_no_pattern_is_named() -> None:
    for pattern, text in (
        ("2:4", "nm 2:4"),
        ("unstructured 95%", "csr"),
        ("block 16x16 80%", "bsr"),
    ):
        model = nn.Sequential(nn.Linear(128, 128))
        tamis.prune(model, pattern)
        report = tamis.sparsify(model)
        assert report.rows[0].format.startswith(text), (pattern, report.rows[0].format)


def test_a_dense_layer_is_left_alone_and_the_report_says_why() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    tamis.prune(model, "2:4", layers="0")
    report = tamis.sparsify(model)
    assert isinstance(model[0], tamis.SparseLinear) and type(model[1]) is nn.Linear
    assert report.rows[1].dense_because == "it has no zeros to speak of: prune it first"
    assert report.rows[1].dense_because in str(report)


def test_keep_dense_auto_leaves_a_layer_dense_where_sparse_would_lose() -> None:
    model = nn.Sequential(nn.Linear(256, 256))
    report = tamis.sparsify(model, "unstructured 5%", tokens=(64, 256))
    assert type(model[0]) is nn.Linear
    assert "faster" in str(report.rows[0].dense_because)
    assert all(gain < 0.97 for gain in report.rows[0].gain.values())
    report = tamis.sparsify(model, "unstructured 5%", tokens=(64, 256), keep_dense=False)
    assert isinstance(model[0], tamis.SparseLinear) and report.rows[0].dense_because is None


def test_keep_dense_auto_looks_between_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def time(weight: _predict.Weight, t: int, t_max: int) -> tuple[str, float]:
        return "kernel", 2.0 if weight.format != "dense" and t == 48 else 1.0

    monkeypatch.setattr(_predict, "_time", time)
    rows = [
        tamis.sparsify(nn.Sequential(nn.Linear(64, 64)), "2:4", tokens=tokens).rows[0]
        for tokens in ((16, 64), (64, 128))
    ]
    assert [row.keeps_dense for row in rows] == [True, False]
    assert list(rows[0].gain) == [16, 64]


def test_keep_dense_true_serves_dense_where_it_is_faster() -> None:
    model = nn.Sequential(nn.Linear(256, 256))
    tamis.sparsify(model, "unstructured 5%", tokens=(64,), keep_dense=True)
    assert "dense" in model[0].weight.kernel(64)
    assert model[0].weight.has_dense


def test_the_report_counts_bytes_kernels_and_gain() -> None:
    model = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    report = tamis.sparsify(model, "2:4", tokens=(1, 64), keep_dense=False)
    row = report.rows[0]
    assert row.resident_bytes == model[0].weight.resident_bytes > 0
    assert row.dense_bytes == 128 * 128 * 4 and report.dense_bytes == (128 + 64) * 128 * 4
    assert set(row.kernels) == {1, 64} and "nm24" in row.kernels[64]
    assert row.kernels[64] == model[0].weight.kernel(64)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["layers"][0]["gain"]["64"] == row.gain[64] > 0
    assert report.gain(64) == pytest.approx(row.gain[64], rel=0.2)
    assert plain["fused"][0]["what"] == "0 + relu" in str(report)
    assert "<table>" in report._repr_html_()


def test_hugging_face_conv1d_becomes_sparse() -> None:
    pytorch_utils = pytest.importorskip("transformers.pytorch_utils")
    model = nn.Sequential(pytorch_utils.Conv1D(48, 32))
    tamis.prune(model, "2:4")
    x = torch.randn(3, 32)
    expected = model(x).detach()
    tamis.sparsify(model, keep_dense=False)
    torch.testing.assert_close(model(x).detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_at_two_places_stays_one() -> None:
    layer = nn.Linear(32, 32)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    tamis.sparsify(model, "2:4", keep_dense=False)
    assert model[0] is model[2] and isinstance(model[0], tamis.SparseLinear)


def test_multi_head_attention_stays_dense_and_runs() -> None:
    model = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu").eval()
    tamis.prune(model, "2:4")
    dense = copy.deepcopy(model)
    report = tamis.sparsify(model, keep_dense=False)
    kept = {row.name for row in report.rows if row.dense_because}
    assert kept == {"self_attn.in_proj_weight", "self_attn.out_proj.weight"}
    x = torch.randn(2, 5, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), dense(x), rtol=1e-4, atol=1e-5)


def test_held_masks_go_into_the_sparse_weight() -> None:
    model = nn.Sequential(nn.Linear(32, 32))
    tamis.prune(model, "2:4", hold=True)
    shown = model[0].weight.detach().clone()
    tamis.sparsify(model, keep_dense=False)
    assert torch.equal(model[0].weight.to_dense(), shown)


def test_hooks_move_to_the_sparse_layer() -> None:
    model = nn.Sequential(nn.Linear(32, 32))
    seen = []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    tamis.sparsify(model, "2:4", keep_dense=False)
    model(torch.randn(2, 32))
    assert seen == [1]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: tamis.sparsify(m, "2:4", keep_dense="maybe"), "keep_dense is 'maybe'"),
        (lambda m: tamis.sparsify(m, "2:4", tokens=()), "tokens are"),
        (lambda m: tamis.sparsify(m, "2:5"), "none of 1 layers"),
        (lambda m: tamis.sparsify(m, "two"), "pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(call: object, sentence: str) -> None:
    model = nn.Sequential(nn.Linear(32, 32))
    with pytest.raises(ValueError, match=sentence):
        call(model)
    assert type(model[0]) is nn.Linear and (model[0].weight != 0).all()
