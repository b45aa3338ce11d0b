"""Vector instructions of the search against their plain twins, to the last bit, and those against NumPy."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import numba
import numpy as np
import pytest

from xoffset._kernels.matching import vectors

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-12}
IMAGES = np.random.default_rng(0).standard_normal((2, 280, 290))

needs_vectors = pytest.mark.skipif(not vectors.ARE_AT_HAND, reason="kernels run as plain Python, or are checked")


def products(kernel, dtype, size, half, place=(108, 105)):
    first, second = IMAGES.astype(dtype)
    shifts, lanes = 2 * half[0] + 1, -(-(2 * half[1] + 1) // vectors.LANES) * vectors.LANES
    out = np.full(shifts * lanes + 3, np.nan, dtype)
    pixels = np.full(vectors.MOST_ROWS * size, np.nan, dtype)
    kernel(first, second, *place, size, -half[0], -half[1], shifts, lanes, pixels, out)
    assert np.isnan(out[-3:]).all()  # nothing beyond
    return out[:-3].reshape(shifts, lanes)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "half"), [(8, (3, 5)), (1, (0, 0)), (3, (4, 9)), (10, (1, 4))])
def test_plain_products(size, half, dtype):
    found = products(vectors.plain_products, dtype, size, half)
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES[1], (size, size))
    windows = windows[108 - half[0] : 109 + half[0], 105 - half[1] : 105 - half[1] + found.shape[1]]
    expected = np.einsum("ij,sdij->sd", IMAGES[0, 108 : 108 + size, 105 : 105 + size], windows)
    np.testing.assert_allclose(found, expected, atol=size * TOLERANCE[dtype])


HALVES = [(0, 0), (0, 3), (1, 1), (2, 2), (3, 8), (4, 4), (5, 40), (20, 20), (45, 45), (100, 3), (3, 100)]


@needs_vectors
@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("half", HALVES)
def test_products_with_vectors_have_the_bits_of_plain_ones(half, dtype):
    for size in (1, 2, 3, 4, 5, 7, 8, 10, 13, 15, 16, 17, 31, 32, 64):
        found, expected = (
            products(kernel, dtype, size, half) for kernel in (vectors.vector_products, vectors.plain_products)
        )
        np.testing.assert_array_equal(found, expected, err_msg=str(size))


@needs_vectors
@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_every_size_have_the_bits_of_plain_ones(dtype):
    for size in range(1, 65):
        found, expected = (
            products(kernel, dtype, size, (9, 11)) for kernel in (vectors.vector_products, vectors.plain_products)
        )
        np.testing.assert_array_equal(found, expected, err_msg=str(size))


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_at_lags(dtype):
    """Those of vectors have the bits of plain ones, and these the values of NumPy."""
    image, (y, x) = np.ascontiguousarray(IMAGES[0, :60, :70], dtype), (21, 30)
    lag_y, lag_x = (each.ravel() for each in np.mgrid[0:30:3, -29:30:2])
    kernels = (vectors.plain_lags, vectors.vector_lags) if vectors.ARE_AT_HAND else (vectors.plain_lags,)
    found = np.full((len(kernels), lag_y.size + 2), np.nan, dtype)
    for kernel, out in zip(kernels, found, strict=True):
        kernel(image, y, x, lag_y, lag_x, np.empty(vectors.BLOCK, dtype), out[1:-1])
    assert np.isnan(found[:, [0, -1]]).all()
    np.testing.assert_array_equal(found[0], found[-1])
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (vectors.BLOCK, vectors.BLOCK))
    expected = (windows[y, x] * windows[y + lag_y, x + lag_x]).sum(axis=(1, 2))
    np.testing.assert_allclose(found[0, 1:-1], expected, atol=8 * TOLERANCE[dtype])


def scores(kernel, dtype, height, width, count, mean=0.3):
    generator = np.random.default_rng(1)
    sums = generator.standard_normal((9, height * 128 + 20)).astype(dtype)
    totals, inverses = generator.standard_normal((2, height + 20, width + 20)).astype(dtype)
    inverses = np.abs(np.where(inverses < -1.0, 0.0, inverses)).astype(dtype)
    score = np.full((height + 2, width + 3), np.nan, dtype)
    of_window = dtype(mean), dtype(0.7)
    kernel(sums, 1, 2, count, 5, 128, of_window, totals, inverses, 9, 11, height, width, score)
    # neither beyond the candidates nor between them and the last row
    assert np.isnan(score[:, width:]).all()
    assert np.isnan(score[height]).all()
    return score[:, :width], (sums, totals, inverses)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 3])
def test_plain_scores(count, dtype):
    height, width = 6, 16
    found, (sums, totals, inverses) = scores(vectors.plain_scores, dtype, height, width, count)
    total = sums[1 : 1 + 2 * count : 2].astype(float).sum(axis=0)
    total = np.stack([total[5 + 128 * i : 5 + 128 * i + width] for i in range(height)])
    means, scales = (each[9 : 9 + height, 11 : 11 + width] for each in (totals, inverses))
    value = np.minimum((total - 0.3 * means) * 0.7 * scales, 1.0)
    expected = np.where(scales > 0.0, value, vectors.ONE_VALUE)
    assert (scales == 0.0).any()
    assert (value == 1.0).any()
    np.testing.assert_allclose(found[:height], expected, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(found[-1], found[:height].max(axis=0))


@needs_vectors
@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", [1, 2, 7, 41])
def test_scores_with_vectors_have_the_bits_of_plain_ones(height, dtype):
    for width in (8, 16, 24, 40, 48, 96, 104):
        for count in (1, 2, 4):
            found, expected = (
                scores(kernel, dtype, height, width, count)[0]
                for kernel in (vectors.vector_scores, vectors.plain_scores)
            )
            np.testing.assert_array_equal(found, expected, err_msg=str((width, count)))


def cut(kernel, dtype, rows, columns):
    image = np.random.default_rng(2).standard_normal((rows + 9, columns + 12)).astype(dtype)
    pitch = columns + 3
    out = np.full(rows * pitch, np.nan, dtype)
    kernel(image, 5, 7, rows, columns, pitch, dtype(0.3), out)
    return out.reshape(rows, pitch), image[5 : 5 + rows, 7 : 7 + columns] - dtype(0.3)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [vectors.plain_cut, pytest.param(vectors.vector_cut, marks=needs_vectors)])
def test_windows_are_cut_and_nothing_is_written_between_their_rows(kernel, dtype):
    for columns in range(1, 68):
        found, expected = cut(kernel, dtype, 3, columns)
        np.testing.assert_array_equal(found[:, :columns], expected, err_msg=str(columns))
        assert np.isnan(found[:, columns:]).all()


@pytest.mark.small
def test_twins_take_over_where_vectors_cannot_be_had(monkeypatch):
    def missing(*given):
        raise AttributeError("no such instruction")

    monkeypatch.setattr(vectors._Writer, "multiply_add", missing)
    assert not vectors._are_at_hand()


@pytest.mark.small
@pytest.mark.parametrize("absent", ["llvmlite", "numba.core.cgutils", "numba.core.registry"])
def test_twins_take_over_without_parts_of_numba(absent, monkeypatch):
    # the file once more, as another numba would meet it
    monkeypatch.setitem(sys.modules, absent, None)
    above, _, name = absent.rpartition(".")
    if above:
        monkeypatch.delattr(importlib.import_module(above), name)
    spec = importlib.util.spec_from_file_location("vectors_again", vectors.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert not again.ARE_AT_HAND
    assert (again.products, again.scores, again.cut) == (again.plain_products, again.plain_scores, again.plain_cut)


@needs_vectors
@pytest.mark.small
def test_vectors_refuse_what_they_would_mix_up():
    image, wide = np.ones((30, 30), np.float32), np.ones((30, 60), np.float32)
    pixels, out = np.empty(40, np.float32), np.empty(9 * 8, np.float32)
    for first, second in ((image, wide[:, ::2]), (image, np.ones((30, 30))), (image, np.asfortranarray(image))):
        with pytest.raises(numba.TypingError, match="one type in C order"):
            vectors.vector_products(first, second, 9, 9, 4, -4, -3, 9, 8, pixels, out)
