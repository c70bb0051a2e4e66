"""The operators, by torch's own checks and against torch's dense products."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.library import opcheck
from torch.nn import functional as F

import tamis
from support import assert_near, make_weight
from tamis.torch import _ops
from tamis.torch._behind import activate


def reference(x, dense, bias=None, activation="none", residual=None, gate=False):
    y = F.linear(x.double(), dense.double(), None if bias is None else bias.double())
    y = activate(y[..., 0::2], activation) * y[..., 1::2] if gate else activate(y, activation)
    return y if residual is None else y + residual.double()


def inputs(device, dtype, n=64, k=128, t=(3, 7)):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(*t, k, generator=generator).to(device, dtype)
    bias = torch.randn(n, generator=generator).to(device)
    residual = torch.randn(*t, n, generator=generator).to(device, dtype)
    return x, bias, residual


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("activation", ["none", "relu", "relu2", "gelu", "gelu_tanh", "silu"])
def test_product_equals_dense(device, dtype, activation, with_bias, with_residual):
    weight, dense = make_weight(device=device, dtype=dtype)
    x, bias, residual = inputs(device, dtype)
    bias, residual = bias if with_bias else None, residual if with_residual else None
    with torch.no_grad():
        y = weight(x, bias, activation, residual)
    assert y.dtype == dtype and y.is_contiguous()
    assert_near(y, reference(x, dense, bias, activation, residual), dtype)


@pytest.mark.parametrize("t", [(0,), (1,), (2, 1), (), (129,), (4, 3, 5)])
def test_any_axes_before_the_last(device, dtype, t):
    weight, dense = make_weight(device=device, dtype=dtype)
    x, bias, _ = inputs(device, dtype, t=t)
    with torch.no_grad():
        assert_near(weight(x, bias), reference(x, dense, bias), dtype)


def test_strided_inputs_are_read_as_they_lie(device, dtype):
    weight, dense = make_weight(device=device, dtype=dtype)
    wide = torch.randn(6, 5, 256, device=device).to(dtype)
    swapped = torch.randn(5, 6, 128, device=device).to(dtype).transpose(0, 1)
    columns = torch.randn(128, 30, device=device).to(dtype).t()
    with torch.no_grad():
        for x in (wide[..., 128:], wide[::2, :, :128], swapped, columns, wide[:1, :1, :128]):
            assert_near(weight(x), reference(x, dense), dtype)


def test_gate_and_up_in_turn(device, dtype):
    weight, dense = make_weight(device=device, dtype=dtype)
    x, bias, _ = inputs(device, dtype)
    residual = torch.randn(3, 7, 32, device=device).to(dtype)
    with torch.no_grad():
        y = weight(x, bias, "silu", residual, gate=True)
    assert_near(y, reference(x, dense, bias, "silu", residual, True), dtype)


@pytest.mark.parametrize("pattern", ["2:4", "4:8", "1:4", "unstructured 80%", "block 16x16 50%",
                                     "block 24x20 60%"])  # fmt: skip
def test_every_format_on_a_cpu(pattern):
    weight, dense = make_weight(60, 120, pattern)
    x, bias, _ = inputs("cpu", torch.float32, 60, 120)
    assert torch.equal(weight.to_dense(), dense)
    with torch.no_grad():
        assert_near(weight(x, bias, "gelu"), reference(x, dense, bias, "gelu"), torch.float32)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_types(device, half):
    weight, dense = make_weight(device=device, dtype=half)
    x, bias, residual = inputs(device, half)
    with torch.no_grad():
        y = weight(x, bias.to(half), "relu", residual)
    assert y.dtype == half
    assert_near(y, reference(x, dense, bias.to(half), "relu", residual), half)


def test_opcheck_product(device, dtype):
    weight, _ = make_weight(device=device, dtype=dtype)
    x, bias, residual = inputs(device, dtype)
    ready = weight.refresh()
    opcheck(_ops.product, (x, weight.image, bias, residual, ready.kind, 64, "gelu", False))
    opcheck(_ops.product, (x, weight.image, None, None, ready.kind, 64, "none", False))
    if ready.fuses_gate:
        opcheck(_ops.product, (x, weight.image, None, None, ready.kind, 32, "silu", True))


@pytest.mark.parametrize("pattern", ["2:4", "4:8", "unstructured 80%", "block 16x16 50%"])
def test_opcheck_linear_and_pack(pattern):
    weight, _ = make_weight(pattern=pattern)
    x, bias, _ = inputs("cpu", torch.float32)
    kind, shape = weight.refresh().kind, list(weight._shape)
    values = weight.values.detach().requires_grad_()
    index = weight.index_tensors
    opcheck(
        _ops.linear,
        (x.requires_grad_(), values, index, weight.image, bias.requires_grad_(), kind,
         weight.format, shape),
    )  # fmt: skip
    opcheck(
        _ops.pack,
        (values.detach(), index, weight.format, shape, torch.float32, weight.image.numel(), False,
         16384),
    )  # fmt: skip


def test_opcheck_linear_on_the_device(device, dtype):
    weight, _ = make_weight(device=device, dtype=dtype)
    x, bias, _ = inputs(device, dtype)
    ready = weight.refresh()
    values = weight.values.detach().requires_grad_()
    opcheck(
        _ops.linear,
        (x.requires_grad_(), values, [weight.index], weight.image, bias.requires_grad_(),
         ready.kind, "nm", list(weight._shape)),
        atol=0.1 if dtype != torch.float32 else 1e-4,
        rtol=0.05 if dtype != torch.float32 else 1e-4,
    )  # fmt: skip


def test_wrong_arguments_are_sentences(device, dtype):
    weight, _ = make_weight(device=device, dtype=dtype)
    x, bias, residual = inputs(device, dtype)
    with torch.no_grad():
        with pytest.raises(tamis.InvalidError, match="127 features"):
            weight(x[..., 1:])
        with pytest.raises(tamis.InvalidError, match=r"residual .*21 x 64"):
            weight(x, None, "none", residual[:2])
        with pytest.raises(tamis.InvalidError, match="bias"):
            weight(x, bias[:10])
        with pytest.raises(tamis.InvalidError, match="tanh"):
            weight(x, None, "tanh")
        with pytest.raises(tamis.InvalidError, match="float64"):
            weight(x.double())
        with pytest.raises(tamis.InvalidError, match="kind 1 "):
            _ops.product(x, weight.image, None, None, 1, 64, "none", False)
        with pytest.raises(tamis.InvalidError, match="image"):
            _ops.product(x, weight.image[:8], None, None, weight._ready.kind, 64, "none", False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_refuses_float32_and_names_bf16():
    weight, _ = make_weight(device="cuda")
    with pytest.raises(tamis.Error, match="bf16"):
        weight(torch.randn(4, 128, device="cuda"))


def test_vmap_over_x(device, dtype):
    weight, dense = make_weight(device=device, dtype=dtype)
    x, _, _ = inputs(device, dtype)
    with torch.no_grad():
        assert_near(torch.vmap(weight)(x), reference(x, dense), dtype)
        moved = torch.vmap(weight, in_dims=1)(x)
    assert_near(moved, reference(x.transpose(0, 1), dense), dtype)


def test_vmap_over_weights_is_refused(device, dtype):
    weight, _ = make_weight(device=device, dtype=dtype)
    x, bias, _ = inputs(device, dtype)
    biases = torch.stack([bias, bias])
    with torch.no_grad(), pytest.raises(Exception, match="vmap over the weights or biases"):
        torch.vmap(lambda b: weight(x, b))(biases)


def test_many_threads_run_one_weight(device, dtype):
    weight, _ = make_weight(device=device, dtype=dtype)
    x, bias, _ = inputs(device, dtype)
    want = weight(x, bias).detach()

    def work(seed):
        with torch.no_grad():
            rows = x[seed % 3]  # other numbers of rows make other plans meanwhile
            return all(torch.equal(weight(x, bias), want) and weight(rows).shape == (7, 64)
                       for _ in range(50))  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
