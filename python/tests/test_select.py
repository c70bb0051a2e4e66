"""Patterns, selection and checking of numpy arrays."""

import numpy as np
import pytest

import tamis


def weights(n, k, seed=0):
    return np.random.default_rng(seed).standard_normal((n, k)).astype(np.float32)


@pytest.mark.parametrize(
    "text",
    ["dense", "2:4", "4:8", "unstructured 80%", "block 8x8 50% per row", "block 16x16 50%",
     "rows 50%", "columns 25%", "2:4 in block 64x64 50%"],
)  # fmt: skip
def test_pattern_prints_what_it_parsed(text):
    assert str(tamis.Pattern.parse(text)) == text
    assert tamis.Pattern.parse(str(tamis.Pattern.parse(text))) == tamis.Pattern.parse(text)


def test_pattern_refuses_nonsense_with_a_sentence():
    with pytest.raises(tamis.InvalidError, match="5:4"):
        tamis.Pattern.parse("5:4")


def test_pattern_that_does_not_fit_says_the_limit():
    assert not tamis.Pattern.parse("2:4").fits(8, 6)
    with pytest.raises(tamis.PatternError, match="multiple of 4, and 6 is not"):
        tamis.Pattern.parse("2:4").need_fit(8, 6)


def test_sparsity_is_the_share_of_zeros():
    assert tamis.Pattern.parse("1:4").sparsity == 0.75
    assert tamis.Pattern.parse("2:4 in block 64x64 50%").sparsity == 0.75
    assert tamis.Pattern.parse("unstructured 80%").sparsity == 0.8


def test_select_keeps_the_two_largest_of_four():
    w = weights(32, 64)
    kept = tamis.select(w, "2:4")
    groups = np.abs(w).reshape(-1, 4)
    order = np.argsort(-groups, axis=1, kind="stable")[:, :2]
    expected = np.zeros_like(groups, bool)
    np.put_along_axis(expected, order, True, axis=1)
    assert (kept == expected.reshape(32, 64)).all()


def test_select_drops_exactly_the_share():
    kept = tamis.select(weights(33, 47), "unstructured 80%")
    assert (~kept).sum() == int(0.8 * 33 * 47 + 0.5)


def test_select_takes_scores_and_norms():
    w = weights(4, 8)
    scores = np.ones_like(w)
    scores[:, ::4] = scores[:, 1::4] = 2
    assert tamis.select(w, "2:4", scores=scores)[:, [0, 1, 4, 5]].all()
    norms = np.array([0, 0, 1, 1] * 2, np.float32)
    assert tamis.select(w, "2:4", column_norms=norms)[:, [2, 3, 6, 7]].all()


def test_select_refuses_nan_and_says_where():
    w = weights(4, 8)
    w[2, 5] = np.nan
    with pytest.raises(tamis.NonFiniteError, match=r"2.*5"):
        tamis.select(w, "2:4")


def test_apply_changes_in_place_and_check_holds():
    w = weights(16, 32)
    assert not tamis.check(w, "2:4")
    assert tamis.apply(w, tamis.select(w, "2:4")) is w
    assert tamis.check(w, "2:4")
    assert tamis.count_zeros(w)["zeros"] == w.size // 2


def test_check_names_the_first_violation():
    w = weights(16, 32)
    tamis.apply(w, tamis.select(w, "2:4"))
    w[3, 8:12] = 1
    found = tamis.check(w, "2:4")
    assert (found.holds, found.row) == (False, 3) and "3" in found.sentence


def test_bfloat16_comes_as_ml_dtypes_or_bits():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    w = weights(8, 16).astype(ml_dtypes.bfloat16)
    kept = tamis.select(w, "2:4")
    assert (kept == tamis.select(w.view(np.uint16), "2:4", dtype="bf16")).all()
    assert (kept == tamis.select(w.astype(np.float32), "2:4")).all()


def test_masks_pack_to_bits_and_back():
    kept = weights(5, 13) > 0
    assert (tamis.unpack_mask(tamis.pack_mask(kept), 13) == kept).all()


def test_errors_are_errors_of_python_too():
    assert issubclass(tamis.PatternError, ValueError) and issubclass(tamis.FileError, OSError)
    with pytest.raises(tamis.Error):
        tamis.select(weights(4, 6), "2:4")


def test_wrong_types_and_axes_are_refused():
    with pytest.raises(tamis.InvalidError, match="int64"):
        tamis.select(np.zeros((4, 8), np.int64), "2:4")
    with pytest.raises(tamis.InvalidError, match="axes"):
        tamis.select(np.zeros(8, np.float32), "2:4")
