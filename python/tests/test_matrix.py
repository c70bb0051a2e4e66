"""Canonical formats, scipy, and the product on a CPU."""

import math

import numpy as np
import pytest
from scipy import sparse

import tamis


def pruned(n=48, k=96, pattern="2:4", dtype=np.float32):
    w = np.random.default_rng(n + k).standard_normal((n, k)).astype(dtype)
    return tamis.apply(w, tamis.select(w, pattern))


FORMATS = [
    ("dense", {}, "dense"),
    ("nm", {"keep": 2, "group": 4}, "2:4"),
    ("nm", {"keep": 3, "group": 8}, "3:8"),
    ("csr", {}, "unstructured 80%"),
    ("bsr", {"block": (16, 8)}, "block 16x8 50%"),
    ("bsr", {"block": (20, 28)}, "block 20x28 50%"),
]


@pytest.mark.parametrize("format, options, pattern", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_encode_and_decode_give_the_same_bits(format, options, pattern, dtype):
    w = pruned(pattern=pattern, dtype=dtype)
    matrix = tamis.encode(w, format, **options)
    matrix.validate()
    assert matrix.decode().tobytes() == w.tobytes()
    assert (matrix.n, matrix.k) == w.shape and matrix.bytes > 0
    if format == "nm":
        assert matrix.density == pytest.approx(options["keep"] / options["group"])


def test_nm_is_bit_for_bit_the_example_of_the_docs():
    dense = np.array([[0, 1.5, 0, -2, 0, 0, 0, 0], [0, 0, 0, 4, 5, 0, 6, 0]], np.float32)
    matrix = tamis.encode(dense, "nm", keep=2, group=4)
    assert matrix.components["index"].tobytes() == bytes([0x4D, 0x8C])
    assert matrix.components["values"].tolist() == [[1.5, -2, 0, 0], [0, 4, 5, 6]]


def test_encode_refuses_what_is_not_in_the_pattern_and_says_where():
    w = pruned()
    w[3, 4:8] = 1
    with pytest.raises(tamis.PatternError, match="3"):
        tamis.encode(w, "nm", keep=2, group=4)


def test_negative_zeros_are_counted():
    w = pruned()
    w[0, w[0] == 0] = -0.0
    assert tamis.encode(w, "csr").negative_zeros == 48


def test_broken_components_are_refused():
    matrix = tamis.encode(pruned(pattern="unstructured 80%"), "csr")
    matrix.components["columns"][5] = 1000
    with pytest.raises(tamis.FormatError, match="1000"):
        matrix.decode()
    matrix = tamis.encode(pruned(), "nm", keep=2, group=4)
    matrix.components["index"] = matrix.components["index"].astype(np.int32)
    with pytest.raises(tamis.InvalidError, match="index"):
        matrix.decode()


@pytest.mark.parametrize("format, options", [("csr", {}), ("bsr", {"block": (16, 8)})])
def test_scipy_both_ways(format, options):
    w = pruned(pattern="block 16x8 50%")
    theirs = tamis.encode(w, format, **options).to_scipy()
    assert theirs.format == format and (theirs.toarray() == w).all()
    ours = tamis.from_scipy(theirs)
    assert (ours.decode() == w).all()


def test_scipy_matrices_out_of_order_are_put_in_order():
    data, columns, offsets = [1.0, 2.0, 3.0, 4.0], [3, 1, 1, 0], [0, 3, 4]
    theirs = sparse.csr_array((data, columns, offsets), shape=(2, 5))
    assert (tamis.from_scipy(theirs).decode() == [[0, 5, 0, 1, 0], [4, 0, 0, 0, 0]]).all()
    assert theirs.indices.tolist() == columns, "the caller's matrix stays as it is"


def test_scipy_refuses_other_formats_with_a_way_out():
    with pytest.raises(tamis.InvalidError, match="tocsr"):
        tamis.from_scipy(sparse.coo_array(np.eye(3)))
    with pytest.raises(tamis.InvalidError, match="csr and bsr"):
        tamis.encode(pruned(), "nm", keep=2, group=4).to_scipy()


@pytest.mark.parametrize("format, options, pattern", FORMATS)
@pytest.mark.parametrize("keep_dense", [False, True])
def test_linear_equals_float64(format, options, pattern, keep_dense):
    w = pruned(pattern=pattern)
    random = np.random.default_rng(1)
    bias = random.standard_normal(48).astype(np.float32)
    linear = tamis.Linear(tamis.encode(w, format, **options), bias, keep_dense=keep_dense)
    for shape in [(96,), (0, 96), (1, 96), (3, 5, 96), (130, 96)]:
        x = random.standard_normal(shape).astype(np.float32)
        want = x.astype(np.float64) @ w.T.astype(np.float64) + bias
        np.testing.assert_allclose(linear(x), want, rtol=1e-4, atol=1e-4)
    assert "spmm" in linear.kernel(130)


def test_linear_fuses_activation_and_residual():
    w = pruned()
    x = np.random.default_rng(2).standard_normal((7, 96)).astype(np.float32)
    residual = np.ones((7, 48), np.float32)
    z = x.astype(np.float64) @ w.T
    want = z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) + 1
    linear = tamis.Linear(tamis.encode(w, "nm", keep=2, group=4), activation="gelu")
    np.testing.assert_allclose(linear(x, residual), want, rtol=1e-4, atol=1e-4)


def test_linear_refuses_another_number_of_features():
    linear = tamis.Linear(tamis.encode(pruned(), "nm", keep=2, group=4))
    with pytest.raises(tamis.InvalidError, match="95 features"):
        linear(np.zeros((2, 95), np.float32))


def test_half_weights_run_in_float32():
    w = pruned(dtype=np.float16)
    x = np.random.default_rng(3).standard_normal((4, 96)).astype(np.float32)
    linear = tamis.Linear(tamis.encode(w, "nm", keep=2, group=4))
    np.testing.assert_allclose(linear(x), x @ w.astype(np.float32).T, rtol=1e-4, atol=1e-4)


def test_threads_change_no_bit():
    linear = tamis.Linear(tamis.encode(pruned(512, 512), "nm", keep=2, group=4))
    x = np.random.default_rng(4).standard_normal((64, 512)).astype(np.float32)
    many = linear(x)
    try:
        tamis.set_threads(1)
        assert tamis.get_threads() == 1
        assert linear(x).tobytes() == many.tobytes()
    finally:
        tamis.set_threads(0)


def test_device_text_says_why_there_is_no_gpu():
    assert "threads" in tamis.device_text()
    try:
        assert "sm_" in tamis.device_text("cuda")
    except tamis.DeviceError as error:
        assert str(error)
    with pytest.raises(tamis.InvalidError, match="tpu"):
        tamis.device_text("tpu")
