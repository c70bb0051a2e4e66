"""SparseWeight: gradients, what is derived, copies and moves, compiled and captured."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tamis
from support import assert_near, make_weight
from tamis.torch import SparseWeight, _kept, _predict


class Layer(nn.Module):
    """What modules on a SparseWeight look like."""

    def __init__(self, weight, bias=None, activation="none"):
        super().__init__()
        self.weight = weight
        self.bias = None if bias is None else nn.Parameter(bias)
        self.activation = activation

    def forward(self, x):
        return self.weight(x, self.bias, self.activation)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        self.weight.take_dense(state_dict, prefix + "weight")
        super()._load_from_state_dict(state_dict, prefix, *args)


def make_layer(device, dtype, activation="gelu", **options):
    weight, dense = make_weight(device=device, dtype=dtype, **options)
    bias = torch.randn(64, generator=torch.Generator().manual_seed(1)).to(device, dtype)
    return Layer(weight, bias, activation), dense


def reference(layer, dense, x):
    y = F.linear(x.double(), dense.double(), layer.bias.double())
    return F.gelu(y) if layer.activation == "gelu" else y


@pytest.fixture
def x(device, dtype):
    return torch.randn(3, 7, 128, generator=torch.Generator().manual_seed(2)).to(device, dtype)


@pytest.mark.parametrize("pattern", ["2:4", "4:8", "unstructured 80%", "block 24x20 60%"])
def test_gradients_equal_masked_dense(pattern):
    weight, dense = make_weight(60, 120, pattern, requires_grad=True)
    bias = torch.randn(60, requires_grad=True)
    x = torch.randn(5, 120, requires_grad=True)
    residual = torch.randn(5, 60, requires_grad=True)
    weight(x, bias, "gelu", residual).square().sum().backward()
    got = [x.grad, bias.grad, residual.grad, weight.values.grad]
    want_w = dense.clone().requires_grad_()
    want = [t.detach().clone().requires_grad_() for t in (x, bias, residual)]
    (F.gelu(F.linear(want[0], want_w, want[1])) + want[2]).square().sum().backward()
    for a, b in zip(got[:3], want, strict=True):
        torch.testing.assert_close(a, b.grad, atol=1e-3, rtol=1e-4)
    stored = tamis.torch._formats.from_dense(
        weight.format, want_w.grad, weight.index_tensors, weight._shape
    )
    torch.testing.assert_close(got[3], stored, atol=1e-3, rtol=1e-4)


def test_gradcheck_and_double_backward():
    weight, _ = make_weight(8, 16, requires_grad=True)
    x = torch.randn(3, 16, requires_grad=True)
    first = torch.autograd.grad(weight(x).square().sum(), x, create_graph=True)[0]
    first.square().sum().backward()
    dense = weight.to_dense().detach()
    want = 2 * x.detach() @ dense.t() @ dense
    torch.testing.assert_close(first.detach(), want, atol=1e-4, rtol=1e-4)
    assert weight.values.grad is not None


def test_training_updates_are_seen(device, dtype, x):
    layer, _ = make_layer(device, dtype, requires_grad=True)
    before = layer(x).detach()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(x).float().square().mean().backward()
    optimizer.step()
    with torch.no_grad():
        after = layer(x)
    assert not torch.equal(before, after)
    assert_near(after, reference(layer, layer.weight.to_dense(), x), dtype)


def test_image_is_built_once_and_again_after_changes(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    weight = layer.weight
    assert weight.image is None
    with torch.no_grad():
        layer(x)
        ready, address = weight._ready, weight.image.data_ptr()
        layer(x)
        assert weight._ready is ready
        weight.values.mul_(2)
        layer.bias.add_(1)
        y = layer(x)
    assert weight._ready is not ready and weight.image.data_ptr() == address
    assert_near(y, reference(layer, weight.to_dense(), x), dtype)


def test_state_dict_holds_components_only(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    with torch.no_grad():
        y = layer(x)
        assert sorted(layer.state_dict()) == ["bias", "weight.index", "weight.values"]
        other, _ = make_layer(device, dtype)
        other.weight.values.zero_()
        other(x)
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other(x), y)


def test_dense_state_dict_is_encoded_and_must_hold(device, dtype, x):
    layer, dense = make_layer(device, dtype)
    other, _ = make_layer(device, dtype)
    with torch.no_grad():
        other.weight.values.zero_()
    other.load_state_dict({"weight": dense, "bias": layer.bias.detach()})
    with torch.no_grad():
        assert torch.equal(other(x), layer(x))
    with pytest.raises(tamis.PatternError, match="row 0"):
        other.load_state_dict({"weight": torch.ones_like(dense), "bias": layer.bias.detach()})


def test_another_number_of_values_loads():
    one, dense = make_weight(pattern="unstructured 80%")
    two, _ = make_weight(pattern="unstructured 60%")
    two.load_state_dict(one.state_dict())
    assert torch.equal(two.to_dense(), dense)


def test_copies_pickles_and_saves(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    with torch.no_grad():
        y = layer(x)
        assert torch.equal(copy.deepcopy(layer)(x), y)
        assert torch.equal(pickle.loads(pickle.dumps(layer))(x), y)
    stream = io.BytesIO()
    torch.save(layer.state_dict(), stream)
    stream.seek(0)
    assert set(torch.load(stream, weights_only=True)) == set(layer.state_dict())


def test_safetensors(tmp_path, device, dtype, x):
    safetensors = pytest.importorskip("safetensors.torch")
    layer, _ = make_layer(device, dtype)
    safetensors.save_model(layer, tmp_path / "a.safetensors")
    other, _ = make_layer(device, dtype)
    with torch.no_grad():
        other.weight.values.zero_()
        safetensors.load_model(other, tmp_path / "a.safetensors")
        assert torch.equal(other(x), layer(x))


def test_moves_and_types(device, x):
    layer, dense = make_layer("cpu", torch.float32)
    with torch.no_grad():
        layer(torch.randn(2, 128))
        layer = layer.to(device).bfloat16()
        assert layer.weight.image is None and layer.weight.dtype is torch.bfloat16
        x = x.bfloat16()
        y = layer(x)
        assert_near(y, reference(layer, dense.to(device).bfloat16(), x), torch.bfloat16)
        assert_near(layer.half()(x.half()), y, torch.bfloat16)


def test_meta_device_has_shapes_and_no_image():
    layer, _ = make_layer("cpu", torch.float32)
    meta = copy.deepcopy(layer).to("meta")
    assert meta(torch.empty(3, 7, 128, device="meta")).shape == (3, 7, 64)
    with pytest.raises(tamis.InvalidError, match="meta"):
        meta.weight.refresh()
    loaded = meta.to_empty(device="cpu")
    loaded.load_state_dict(layer.state_dict())
    x = torch.randn(2, 128)
    with torch.no_grad():
        assert torch.equal(loaded(x), layer(x))


def test_autocast(device):
    layer, dense = make_layer(device, torch.float32)
    x = torch.randn(4, 128, device=device)
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        y = layer(x)
    assert y.dtype is torch.bfloat16
    assert_near(y, reference(layer, dense, x), torch.bfloat16)


def test_autocast_trains(device):
    layer, _ = make_layer(device, torch.float32, requires_grad=True)
    x = torch.randn(4, 128, device=device)
    with torch.autocast(device, torch.bfloat16):
        loss = layer(x).float().square().mean()
    loss.backward()
    assert layer.weight.values.grad.dtype is torch.float32
    assert layer.bias.grad.abs().sum() > 0


def test_inference_mode(device, dtype, x):
    layer, dense = make_layer(device, dtype)
    with torch.inference_mode():
        assert_near(layer(x), reference(layer, dense, x), dtype)
        inside, _ = make_layer(device, dtype)
        inside(x)
    with torch.no_grad():
        assert_near(layer(x), reference(layer, dense, x), dtype)


def test_functional_call_uses_the_weights_it_is_given(device, dtype, x):
    layer, dense = make_layer(device, dtype, activation="none")
    doubled = {name: 2 * p.detach() for name, p in layer.named_parameters()}
    with torch.no_grad():
        y = torch.func.functional_call(layer, doubled, (x,))
        assert_near(y, 2 * reference(layer, dense, x), dtype)
        assert_near(layer(x), reference(layer, dense, x), dtype)


def test_other_derivatives_are_refused_with_a_way_out(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    with pytest.raises(tamis.UnsupportedError, match="backward"):
        torch.func.grad(lambda x: layer(x).float().sum())(x)
    with pytest.raises(tamis.UnsupportedError, match="forward-mode"):
        torch.func.jvp(layer, (x,), (x,))
    with pytest.raises(tamis.UnsupportedError, match="values of a sparse weight"):
        torch.func.grad(
            lambda values: (
                torch.func.functional_call(layer, {"weight.values": values}, (x,)).float().sum()
            )
        )(layer.weight.values.detach())


def test_compile_with_any_number_of_rows(device, dtype):
    layer, dense = make_layer(device, dtype)
    tamis.refresh(layer)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    with torch.no_grad():
        for t in (2, 5, 130):
            x = torch.randn(t, 128, device=device).to(dtype)
            assert_near(compiled(x), reference(layer, dense, x), dtype)


def test_a_compiled_layer_goes_on_with_a_loaded_state_dict(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    other, dense = make_layer(device, dtype)
    with torch.no_grad():
        other.weight.values.mul_(-2)
        other.bias.add_(1)
        tamis.refresh(layer)
        compiled = torch.compile(layer, fullgraph=True)
        compiled(x)
        layer.load_state_dict(other.state_dict())
        assert_near(compiled(x), reference(other, -2 * dense, x), dtype)
        loaded = {name: part.clone() for name, part in other.state_dict().items()}
        loaded["bias"] += 1
        layer.load_state_dict(loaded, assign=True)
        other.bias.add_(1)
        assert_near(compiled(x), reference(other, -2 * dense, x), dtype)


def test_compiled_training_sees_its_own_steps(device, dtype, x):
    layer, _ = make_layer(device, dtype, requires_grad=True)
    tamis.refresh(layer)
    compiled = torch.compile(layer, fullgraph=True)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        y = compiled(x)
        assert_near(y, reference(layer, layer.weight.to_dense(), x), dtype)
        y.float().square().mean().backward()
        optimizer.step()


def test_compile_without_an_image_says_what_to_do(device, dtype, x):
    layer, _ = make_layer(device, dtype)
    with torch.no_grad(), pytest.raises(Exception, match=r"tamis\.refresh"):
        torch.compile(layer, fullgraph=True)(x)


def test_export(device, dtype, x):
    layer, dense = make_layer(device, dtype)
    tamis.refresh(layer)
    with torch.no_grad():
        program = torch.export.export(layer, (x,))
        assert_near(program.module()(x), reference(layer, dense, x), dtype)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
def test_reduce_overhead():
    layer, dense = make_layer("cuda", torch.bfloat16)
    tamis.refresh(layer)
    compiled = torch.compile(layer, fullgraph=True, mode="reduce-overhead")
    with torch.no_grad():
        for seed in range(4):
            torch.manual_seed(seed)
            x = torch.randn(48, 128, device="cuda", dtype=torch.bfloat16)
            assert_near(compiled(x).clone(), reference(layer, dense, x), torch.bfloat16)


@needs_gpu
def test_cuda_graph_replays_new_inputs_and_new_weights():
    layer, dense = make_layer("cuda", torch.bfloat16)
    x = torch.randn(33, 128, device="cuda", dtype=torch.bfloat16)
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            layer(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = layer(x)
        x.copy_(torch.randn_like(x))
        graph.replay()
        assert_near(y, reference(layer, dense, x), torch.bfloat16)
        layer.weight.values.mul_(0.5)
        tamis.refresh(layer)
        graph.replay()
        assert_near(y, reference(layer, dense * 0.5, x), torch.bfloat16)


@needs_gpu
def test_capture_without_an_image_says_what_to_do():
    layer, _ = make_layer("cuda", torch.bfloat16)
    x = torch.randn(33, 128, device="cuda", dtype=torch.bfloat16)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), pytest.raises(tamis.InvalidError, match=r"tamis\.refresh"):
        with torch.cuda.graph(graph):
            layer(x)
    torch.cuda.synchronize()


@needs_gpu
def test_runs_on_the_current_stream():
    layer, dense = make_layer("cuda", torch.bfloat16)
    x = torch.randn(512, 128, device="cuda", dtype=torch.bfloat16)
    with torch.no_grad():
        layer(x)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.cuda._sleep(20_000_000)
            x.zero_()  # seen only by work that is behind it on this stream
            y = layer(x)
        side.synchronize()
        assert_near(y, reference(layer, dense, torch.zeros_like(x)), torch.bfloat16)


@needs_gpu
def test_run_allocates_only_its_output():
    layer, _ = make_layer("cuda", torch.bfloat16)
    x = torch.randn(512, 128, device="cuda", dtype=torch.bfloat16)
    with torch.no_grad():
        layer(x)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        y = layer(x)
        peak = torch.cuda.max_memory_allocated()
    work = 1 << 20  # some kernels take work memory; none here as much as this
    assert peak - before <= y.numel() * 2 + work


def test_dense_serves_where_the_model_is_not_sure_of_less(monkeypatch):
    def time(weight, t, t_max):
        if weight.format == "dense":
            return "dense", 5.0 if t < 256 else 50.0
        # sparse is slower at 48..96, but less than a call; twice as slow at 256; a bit less at 4096
        return "sparse", {48: 10.0, 64: 10.0, 96: 10.0, 256: 99.0, 4096: 48.0}.get(t, 4.0)

    monkeypatch.setattr(_predict, "_time", time)
    weight = _predict.Weight(
        torch.device("cuda"), torch.bfloat16, "nm", 64, 64, 2, 4, 0, 0, 0.5, False
    )
    ranges = _predict.dense_ranges(weight, 16384)
    assert ranges == ((193, 256), (3073, 4096))
    kept = _kept.KeptDense(torch.empty(0), ranges)
    found = [kept.serves_rows(t) for t in (64, 192, 193, 256, 257, 4096, 4097)]
    assert found == [False, False, True, True, False, True, False]


@needs_gpu
def test_kept_dense_weights_are_torchs_own_product_where_faster(monkeypatch):
    monkeypatch.setattr(_kept, "dense_ranges", lambda about, t_max: ((513, 1024),))
    weight, dense = make_weight(1024, 4096, device="cuda", dtype=torch.bfloat16, keep_dense=True)
    bias = torch.randn(1024, device="cuda", dtype=torch.bfloat16)
    ways = set()
    for t in (1, 16, 256, 768, 1024, 1536, 16384):
        x = torch.randn(t, 4096, device="cuda", dtype=torch.bfloat16)
        with torch.no_grad():
            y = weight(x, bias)
            is_dense = weight.dense_serves(t)
            assert (weight.kernel(t) == "F.linear") == is_dense
        assert_near(y, F.linear(x.double(), dense.double(), bias.double()), torch.bfloat16)
        if is_dense:
            torch.testing.assert_close(y, F.linear(x, dense, bias), rtol=1e-2, atol=1e-2)
        ways.add(is_dense)
    assert ways == {False, True}


def test_what_is_kept_dense_serves_plain_products_of_its_rows(monkeypatch):
    def keep(weight, ready):
        return _kept.KeptDense(weight.to_dense().detach() * 2, ((4, 8),))  # twice: to be seen

    monkeypatch.setattr(SparseWeight, "_keep", keep)
    weight, dense = make_weight(keep_dense=True)
    bias, residual = torch.randn(64), torch.randn(6, 64)
    with torch.no_grad():
        for t, times in ((3, 1), (4, 2), (8, 2), (9, 1)):
            x = torch.randn(t, 128)
            assert_near(weight(x, bias), F.linear(x, dense * times, bias), torch.float32)
        x = torch.randn(2, 3, 128)
        assert_near(weight(x, bias), F.linear(x, dense * 2, bias), torch.float32)
        x = torch.randn(6, 128)
        want = F.relu(F.linear(x, dense, bias)) + residual  # fused: the library's
        assert_near(weight(x, bias, "relu", residual), want, torch.float32)
    x.requires_grad_()
    assert_near(weight(x, bias), F.linear(x, dense, bias), torch.float32)


def test_more_numbers_of_rows_than_there_are_exact_plans():
    weight, dense = make_weight(8, 16)
    for t in range(500, 600):
        x = torch.randn(t, 16)
        with torch.no_grad():
            assert_near(weight(x), x.double() @ dense.double().t(), torch.float32)


@needs_gpu
def test_kept_dense_weights_serve_compiled_graphs_too(monkeypatch):
    monkeypatch.setattr(_kept, "dense_ranges", lambda about, t_max: ((513, 1024),))
    weight, dense = make_weight(1024, 4096, device="cuda", dtype=torch.bfloat16, keep_dense=True)
    weight.refresh()
    compiled = torch.compile(weight, fullgraph=True)
    for t in (16, 1024, 4096, 1000):
        x = torch.randn(t, 4096, device="cuda", dtype=torch.bfloat16)
        with torch.no_grad():
            assert_near(compiled(x), F.linear(x.double(), dense.double()), torch.bfloat16)
            torch.testing.assert_close(compiled(x), weight(x), rtol=2e-2, atol=2e-2)
