"""Strain from the plane through the vectors of a window."""

from __future__ import annotations

import numpy as np
import pytest
import reference_stacking
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._kernels.maps import gradient
from xoffset.model.dates import DATE_ENCODING
from xoffset.model.flags import FLAGS

COMPONENTS = ("exx", "eyy", "exy", "dilatation", "rotation")


def field(shape=(9, 12), kind="rate", *, spacing=(80.0, -80.0), sigma=0.1, dtype="float64"):
    """Empty product with coordinates, to be filled."""
    names = ("vx", "vy") if kind == "rate" else ("dx", "dy")
    rows, columns = shape[-2:]
    coords = {"y": 5e6 + spacing[1] * np.arange(rows), "x": 5e5 + spacing[0] * np.arange(columns)}
    dims = ("y", "x")
    if kind == "shifts":
        dates = np.array(["2020-01-01", "2020-07-01", "2021-01-01"], "M8[us]")
        coords |= {"reference": ("pair", dates[:-1]), "secondary": ("pair", dates[1:])}
        dims, shape = ("pair", *dims), (2, rows, columns)
    data = {name: (dims, np.zeros(shape, dtype)) for name in names}
    data |= {f"sigma_{name}": (dims, np.full(shape, sigma, dtype)) for name in names}
    return xr.Dataset(data, coords)


def affine(data, matrix):
    """The same product, moved by a matrix times the place."""
    names = ("vx", "vy") if "vx" in data else ("dx", "dy")
    x, y = data.x - data.x[0], data.y - data.y[0]
    moved = {
        name: (data[name] * 0.0 + 3.0 + row[0] * x + row[1] * y).transpose(*data[name].dims)
        for name, row in zip(names, matrix, strict=True)
    }
    return data.assign(moved)


def random_rate(shape=(11, 14), seed=0, holes=0.25, dtype="float64"):
    generator = np.random.default_rng(seed)
    data = field(shape, dtype=dtype)
    for name in ("vx", "vy"):
        data[name] = data[name] + generator.standard_normal(shape).astype(dtype)
        data[f"sigma_{name}"] = data[f"sigma_{name}"] * generator.uniform(0.5, 2.0, shape).astype(dtype)
    data["cov_vxvy"] = 0.3 * data.sigma_vx * data.sigma_vy * np.cos(np.arange(shape[1]))
    return data.assign(vx=data.vx.where(generator.random(shape) >= holes)).astype(dtype)


# ------------------------------------------------------------------------------------------------------- known strains


@pytest.mark.parametrize("kind", ["rate", "shifts"])
@pytest.mark.parametrize("spacing", [(80.0, -80.0), (80.0, 80.0), (-50.0, 120.0)])
@pytest.mark.parametrize("window", [3, 5])
def test_an_affine_motion_has_its_strain_everywhere(kind, spacing, window):
    matrix = np.array([[0.01, -0.004], [0.02, -0.03]])
    found = xoffset.strain(affine(field(kind=kind, spacing=spacing), matrix), window=window)
    expected = {
        "exx": 0.01, "eyy": -0.03, "exy": 0.008, "dilatation": -0.02, "rotation": 0.012,
        "max_shear": np.hypot(0.02, 0.008),
    }  # fmt: skip
    inner = found.isel(y=slice(1, -1), x=slice(1, -1))
    for name, value in expected.items():
        np.testing.assert_allclose(inner[name], value, atol=1e-9, err_msg=name)
    values, vectors = np.linalg.eigh([[0.01, 0.008], [0.008, -0.03]])
    np.testing.assert_allclose(inner.e1, values[1])
    np.testing.assert_allclose(inner.e2, values[0])
    np.testing.assert_allclose(inner.azimuth, np.degrees(np.arctan2(*vectors[:, 1])) % 180.0)
    assert (inner.flags == 0).all()
    assert found.exx.attrs["units"] == ("yr-1" if kind == "rate" else "1")
    assert found.exx.dims == (("y", "x") if kind == "rate" else ("pair", "y", "x"))
    assert set(found.coords) >= ({"reference", "secondary"} if kind == "shifts" else {"y", "x"})


@pytest.mark.parametrize(
    ("matrix", "azimuth"),
    [
        ([[0.01, 0.0], [0.0, 0.0]], 90.0), ([[0.0, 0.0], [0.0, 0.01]], 0.0), ([[0.0, 0.01], [0.01, 0.0]], 45.0),
        ([[0.0, -0.01], [-0.01, 0.0]], 135.0), ([[-0.01, 0.0], [0.0, 0.0]], 0.0),
    ],
)  # fmt: skip
def test_the_azimuth_is_that_of_the_stretch(matrix, azimuth):
    found = xoffset.strain(affine(field(), np.array(matrix))).isel(y=4, x=5)
    assert abs((float(found.azimuth) - azimuth + 90.0) % 180.0 - 90.0) < 1e-6


def test_a_rotation_is_no_strain():
    angle = 1e-3
    turn = np.array([[np.cos(angle) - 1.0, -np.sin(angle)], [np.sin(angle), np.cos(angle) - 1.0]])
    found = xoffset.strain(affine(field(), turn)).isel(y=slice(1, -1), x=slice(1, -1))
    np.testing.assert_allclose(found.rotation, angle, rtol=1e-6)
    assert float(abs(found.exx).max()) < angle**2
    assert float(found.max_shear.max()) < angle**2


def test_a_shift_of_all_is_nothing():
    found = xoffset.strain(affine(field(), np.zeros((2, 2))))
    for name in (*COMPONENTS, "max_shear"):
        np.testing.assert_allclose(found[name].dropna("y", how="all").fillna(0.0), 0.0, atol=1e-12)


def test_strain_of_a_difference_is_the_difference_of_strains():
    one, two = random_rate(seed=1, holes=0.0), random_rate(seed=2, holes=0.0)
    both = one.assign(vx=two.vx - one.vx, vy=two.vy - one.vy)
    for name in COMPONENTS:
        difference = xoffset.strain(two)[name] - xoffset.strain(one)[name]
        np.testing.assert_allclose(xoffset.strain(both)[name], difference, atol=1e-12)


def test_a_large_level_costs_nothing():
    data = random_rate(holes=0.0)
    found, expected = (xoffset.strain(data.assign(vx=data.vx + level)) for level in (1e6, 0.0))
    np.testing.assert_allclose(found.exx, expected.exx, atol=1e-9)


# ------------------------------------------------------------------------------------------------------------ the twin


@pytest.mark.small
@pytest.mark.parametrize(("radius", "overlap", "least"), [(1, 4.0, 3), (2, 4.0, 13), (2, 1.0, 1), (3, 2.5, 25)])
def test_kernel_equals_lstsq_and_dense_covariances(radius, overlap, least):
    data = random_rate((7, 9), holes=0.4)
    data.sigma_vx[1, 2] = np.nan
    data.vy[2, 2] = np.inf
    correlation = (data.cov_vxvy / (data.sigma_vx * data.sigma_vy)).fillna(0.0)
    fields = [data[name].values for name in ("vx", "vy", "sigma_vx", "sigma_vy")] + [correlation.values]
    tent = reference_stacking.tent([0], np.arange(np.ceil(overlap)), overlap)[0]
    out = np.empty((10, 7, 9))
    gradient.gradient(radius, least, tent, *fields, out)
    rows = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0.5, 0.5, 0], [1, 0, 0, 1], [0, -0.5, 0.5, 0]])
    seen = 0
    for i, j in np.ndindex(7, 9):
        expected = reference_stacking.strain(fields, i, j, radius, least, overlap, (1.0, 1.0))
        np.testing.assert_allclose(rows @ out[:4, i, j], expected[:5], atol=1e-12)
        xx, xy, yx, yy, normal, shear = out[4:, i, j]
        variances = [xx, yy, 0.25 * (xy + yx + 2 * shear), xx + yy + 2 * normal, 0.25 * (xy + yx - 2 * shear)]
        np.testing.assert_allclose(np.sqrt(variances), expected[5:], atol=1e-12)
        seen += np.isfinite(expected[5:]).all()
    assert seen > 5


@pytest.mark.parametrize("spacing", [(80.0, -80.0), (-50.0, 120.0)])
def test_standard_errors_are_those_of_the_plane(spacing):
    data = random_rate()
    places = {"y": spacing[1] * np.arange(11), "x": spacing[0] * np.arange(14)}
    data = data.assign_coords(places)
    found = xoffset.strain(data, overlap=3.0)
    correlation = data.cov_vxvy / (data.sigma_vx * data.sigma_vy)
    fields = [data[name].values for name in ("vx", "vy", "sigma_vx", "sigma_vy")] + [correlation.values]
    for i, j in ((0, 3), (5, 5), (7, 13), (4, 0)):
        expected = reference_stacking.strain(fields, i, j, 2, 13, 3.0, spacing)
        np.testing.assert_allclose([found[name][i, j] for name in COMPONENTS], expected[:5], atol=1e-12)
        np.testing.assert_allclose([found[f"sigma_{name}"][i, j] for name in COMPONENTS], expected[5:], rtol=1e-9)


@pytest.mark.parametrize(("template", "step"), [(32, 8), (16, 8)])
def test_errors_of_matches_are_told(template, step):
    """Windows that share pixels share their noise: taken as independent, sigma would be half of the spread."""
    stack, _ = synthetic.stack((300, 300), field="constant", velocity=23.0, direction=70.0, snr=4.0, seed=3)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4, template=template, step=step)
    found = xoffset.strain(shifts, overlap=template / step)
    ratio = {name: float((found[name] / found[f"sigma_{name}"]).std()) for name in COMPONENTS}
    assert all(0.8 < each < 1.25 for each in ratio.values()), ratio
    alone = xoffset.strain(shifts, overlap=1.0)
    assert float((alone.exx / alone.sigma_exx).std()) > 1.5


def test_strain_of_a_glacier_is_that_of_the_truth():
    stack, truth = synthetic.stack((200, 200), field="glacier", velocity=20.0, direction=90.0)
    rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=4))
    found = xoffset.strain(rate, overlap=2.0)
    # a window of 16 px sees the mean of its pixels
    smooth = truth[["vx", "vy"]].rolling(x=17, y=17, center=True).mean()
    expected = xoffset.strain(smooth.interp(x=rate.x, y=rate.y))
    assert "sigma_exx" not in expected
    assert float(abs(found.exy - expected.exy).quantile(0.9)) < 0.05 * float(abs(expected.exy).max())
    assert float(abs(found.exx).quantile(0.9)) < 0.05 * float(abs(expected.exy).max())


# ------------------------------------------------------------------------------------------------------- gaps and grids


def test_too_few_nodes_are_flagged():
    data = affine(field(), np.array([[0.01, 0.0], [0.0, 0.0]]))
    found = xoffset.strain(data)
    # a corner holds 9 of 25 nodes, an edge 15
    assert int(found.flags[0, 0]) == FLAGS["few_valid"]
    assert np.isnan(found.exx[0, 0])
    assert int(found.flags[0, 5]) == 0
    assert np.isfinite(xoffset.strain(data, min_valid=0.3).exx).all()
    holes = data.where((data.x - data.x[0]) % 160.0 == 0.0)
    kept = xoffset.strain(holes)
    assert np.isnan(kept.exx[4, 5])
    assert np.isfinite(kept.exx[4, 4])
    np.testing.assert_allclose(xoffset.strain(holes, min_valid=0.1).exx[4, 5], 0.01)


def test_nodes_on_a_line_tell_no_strain():
    data = affine(field(), np.array([[0.01, 0.0], [0.0, 0.0]]))
    column = data.where(data.x == data.x[5])
    assert np.isnan(xoffset.strain(column, min_valid=0.0).exx).all()
    diagonal = data.where((data.x - data.x[0]) == -(data.y - data.y[0]))
    assert np.isnan(xoffset.strain(diagonal, min_valid=0.0).exx).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_unknown_vectors_are_left_out_and_unknown_errors_stay_unknown(wrong):
    data = affine(field(), np.array([[0.01, 0.0], [0.0, 0.0]]))
    one = data.copy(deep=True)
    one.vy[4, 5] = wrong
    np.testing.assert_allclose(xoffset.strain(one).exx[4, 5], 0.01)
    one = data.copy(deep=True)
    one.sigma_vx[4, 5] = wrong
    found = xoffset.strain(one)
    near = np.isnan(found.sigma_exx.where(np.isfinite(found.exx), 0.0)) | np.isinf(found.sigma_exx)
    assert int(near.sum()) == 25
    np.testing.assert_array_equal(found.exx, xoffset.strain(data).exx)


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (2, 3)])
def test_a_grid_without_extent_has_no_strain(shape):
    assert np.isnan(xoffset.strain(affine(field(shape), np.eye(2))).exx).all()


@pytest.mark.parametrize("cut", [(1, 6), (2, 5), (3, 14)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_chunks_give_the_same_bits(cut, dtype):
    data = random_rate(dtype=dtype)
    expected = xoffset.strain(data)
    lazy = xoffset.strain(data.chunk(y=cut[0], x=cut[1]))
    assert all(variable.chunks is not None for variable in lazy.data_vars.values())
    xr.testing.assert_identical(lazy.compute(), expected)
    assert (
        {expected[name].dtype for name in COMPONENTS} == {lazy[name].dtype for name in COMPONENTS} == {np.dtype(dtype)}
    )
    shifts = xr.concat([data, 2.0 * data], "time").rename(vx="dx", vy="dy", sigma_vx="sigma_dx", sigma_vy="sigma_dy")
    several = xoffset.strain(shifts.chunk(time=1, y=cut[0], x=cut[1]))
    xr.testing.assert_identical(several.compute(), xoffset.strain(shifts))


def test_a_product_keeps_its_dates():
    data = affine(field(kind="shifts"), np.eye(2))
    found = xoffset.strain(data)
    np.testing.assert_array_equal(found.reference, data.reference)
    assert found.reference.encoding["units"] == DATE_ENCODING["units"]
