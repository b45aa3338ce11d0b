"""Motion along a line, parallel and normal to a fault."""

from __future__ import annotations

import numpy as np
import pytest
import reference_stacking
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import grids
from xoffset.model.flags import FLAGS

NAMES = ("parallel", "normal", "sigma_parallel", "sigma_normal")


def grid(shape=(20, 30), *, spacing=(80.0, -80.0), seed=0, dtype="float64"):
    """Rate of random vectors, with their errors."""
    generator = np.random.default_rng(seed)
    rows, columns = shape
    values = {name: generator.standard_normal(shape) for name in ("vx", "vy")}
    values |= {f"sigma_{name}": generator.uniform(0.1, 1.0, shape) for name in ("vx", "vy")}
    values["cov_vxvy"] = 0.4 * values["sigma_vx"] * values["sigma_vy"] * np.cos(np.arange(columns))
    coords = {"y": 5e6 + spacing[1] * np.arange(rows), "x": 5e5 + spacing[0] * np.arange(columns)}
    return xr.Dataset({name: (("y", "x"), each.astype(dtype)) for name, each in values.items()}, coords)


def plane(data):
    """The same grid, moved by a plane that interpolation reproduces."""
    x, y = data.x - data.x[0], data.y - data.y[0]
    return data.assign(vx=(0.0 * data.vx + 1.0 + 0.01 * x - 0.02 * y), vy=(0.0 * data.vy - 2.0 + 0.03 * x + 0.01 * y))


def place(data, column, row):
    """Coordinates of a node, or between nodes."""
    step = grids.spacing(data, "test")
    return float(data.x[0]) + column * step.x, float(data.y[0]) + row * step.y


# ------------------------------------------------------------------------------------------------------- known motions


@pytest.mark.parametrize("spacing", [(80.0, -80.0), (80.0, 80.0), (-60.0, 90.0)])
def test_samples_lie_on_the_line_and_hold_its_motion(spacing):
    data = plane(grid(spacing=spacing))
    line = [place(data, 2.3, 1.7), place(data, 20.0, 4.0), place(data, 25.0, 18.2)]
    found = xoffset.profile(data, line, spacing=33.0, strike=0.0)
    legs = np.hypot(*np.diff(line, axis=0).T)
    assert found.sizes == {"distance": int(legs.sum() // 33.0) + 1}
    np.testing.assert_allclose(found.distance, 33.0 * np.arange(found.sizes["distance"]))
    walked = np.hypot(np.diff(found.x), np.diff(found.y))
    corner = int(legs[0] // 33.0)
    np.testing.assert_allclose(np.delete(walked, corner), 33.0, rtol=1e-6)
    assert walked[corner] < 33.0
    x, y = found.x - data.x[0], found.y - data.y[0]
    np.testing.assert_allclose(found.normal, 1.0 + 0.01 * x - 0.02 * y)
    np.testing.assert_allclose(found.parallel, -2.0 + 0.03 * x + 0.01 * y)
    assert found.parallel.attrs["units"] == "m yr-1"


@pytest.mark.parametrize(
    ("strike", "parallel", "normal"),
    [(0.0, 2.0, 1.0), (90.0, 1.0, -2.0), (180.0, -2.0, -1.0), (270.0, -1.0, 2.0), (-90.0, -1.0, 2.0)],
)
def test_parallel_is_toward_the_strike_and_normal_to_its_right(strike, parallel, normal):
    data = grid().assign(vx=0.0 * grid().vx + 1.0, vy=0.0 * grid().vy + 2.0)
    found = xoffset.profile(data, [place(data, 1, 1), place(data, 9, 6)], strike=strike)
    np.testing.assert_allclose(found.parallel, parallel, atol=1e-12)
    np.testing.assert_allclose(found.normal, normal, atol=1e-12)
    assert found.attrs["strike"] == strike % 360.0


@pytest.mark.parametrize("end", [(9.0, 3.0), (-9.0, 4.0), (2.0, -9.0)])
def test_by_default_the_fault_runs_across_the_line(end):
    data = grid().assign(vx=0.0 * grid().vx + 1.0, vy=0.0 * grid().vy + 2.0)
    line = np.array([place(data, 12, 10), place(data, 12 + end[0], 10 + end[1])])
    x, y = (line[1] - line[0]) / np.hypot(*(line[1] - line[0]))
    found = xoffset.profile(data, line)
    np.testing.assert_allclose(found.normal, x + 2.0 * y)
    # to the left of the line
    np.testing.assert_allclose(found.parallel, -y + 2.0 * x)


def test_the_way_back_is_the_same_profile():
    data = grid()
    line = [place(data, 2, 3), place(data, 22, 3)]
    there, back = (xoffset.profile(data, each, strike=30.0, width=200.0) for each in (line, line[::-1]))
    for name in NAMES:
        np.testing.assert_allclose(there[name], back[name][::-1], rtol=1e-9)


def test_a_fault_shows_its_slip():
    stack, truth = synthetic.stack((160, 200), field="fault", velocity=30.0, direction=0.0)
    rate = xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), search=6))
    middle = float(truth.y.mean())
    line = [(float(rate.x[1]), middle), (float(rate.x[-2]), middle)]
    found, expected = (xoffset.profile(each, line, width=400.0, spacing=80.0) for each in (rate, truth[["vx", "vy"]]))
    assert "sigma_parallel" not in expected
    far = abs(found.x - float(truth.x.mean())) > 350.0
    assert int(far.sum()) > 10
    np.testing.assert_allclose(found.parallel.where(far, 0.0), expected.parallel.where(far, 0.0), atol=0.4)
    np.testing.assert_allclose(found.normal.where(far, 0.0), 0.0, atol=0.2)
    assert float(found.parallel[-1] - found.parallel[0]) > 50.0


# --------------------------------------------------------------------------------------------------- swaths and errors


@pytest.mark.small
def test_a_swath_is_the_mean_across_the_line():
    data = grid()
    found = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], width=320.0, strike=0.0)
    np.testing.assert_allclose(found.normal, data.vx[6:11, 3:21].mean("y"))
    narrow = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], strike=0.0)
    np.testing.assert_allclose(narrow.normal, data.vx[8, 3:21])
    np.testing.assert_allclose(narrow.sigma_parallel, data.sigma_vy[8, 3:21])
    np.testing.assert_allclose(narrow.sigma_normal, data.sigma_vx[8, 3:21])


@pytest.mark.small
@pytest.mark.parametrize("overlap", [1.0, 4.0])
@pytest.mark.parametrize("strike", [0.0, 35.0])
def test_errors_are_those_of_the_mean(overlap, strike):
    """A swath across nodes, against the dense covariance."""
    data = grid()
    found = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], width=320.0, strike=strike, overlap=overlap)
    sine, cosine = np.sin(np.radians(strike)), np.cos(np.radians(strike))
    turn = np.array([[sine, cosine], [cosine, -sine]])
    row = np.arange(6, 11)
    for sample in (0, 7, 17):
        column = np.full(5, sample + 3)
        sigma_x, sigma_y, both = (data[name].values[row, column] for name in ("sigma_vx", "sigma_vy", "cov_vxvy"))
        model_ = reference_stacking.error_model(row, column, sigma_x, sigma_y, both / (sigma_x * sigma_y), overlap)
        mean = np.kron(np.eye(2), np.full((1, 5), 0.2))
        expected = np.sqrt(np.diag(turn @ mean @ model_ @ mean.T @ turn.T))
        np.testing.assert_allclose([found.sigma_parallel[sample], found.sigma_normal[sample]], expected, rtol=1e-9)


def test_windows_that_share_pixels_gain_less_from_a_mean():
    data = grid()
    line = [place(data, 3, 8), place(data, 20, 8)]
    one, four = (xoffset.profile(data, line, width=640.0, overlap=overlap) for overlap in (1.0, 4.0))
    assert (four.sigma_parallel > 1.2 * one.sigma_parallel).all()
    np.testing.assert_array_equal(one.parallel, four.parallel)


def test_the_errors_of_matches_are_told():
    stack, _ = synthetic.stack((300, 300), field="constant", velocity=23.0, direction=70.0, snr=4.0, seed=5)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4).isel(y=slice(2, -2), x=slice(2, -2))
    lines = [[(x, float(shifts.y[0])), (x, float(shifts.y[-1]))] for x in shifts.x.values[2:-2:4]]
    ratio = []
    for line in lines:
        found = xoffset.profile(shifts, line, width=320.0, strike=70.0)
        for name, value in (("parallel", shifts.dx.mean() * np.sin(1.2217) + shifts.dy.mean() * np.cos(1.2217)),):
            ratio.append((found[name] - float(value)) / found[f"sigma_{name}"])
    assert 0.7 < float(np.sqrt(np.mean(np.square(ratio)))) < 1.35


# ------------------------------------------------------------------------------------------------------- gaps and edges


@pytest.mark.small
def test_a_missing_node_leaves_its_points_without_a_vector():
    data = grid()
    data.vx[8, 10] = np.nan
    found = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], spacing=40.0, strike=0.0)
    missing = np.flatnonzero(np.isnan(found.normal))
    np.testing.assert_array_equal(missing, [13, 14, 15])
    np.testing.assert_array_equal(np.isnan(found.parallel), np.isnan(found.normal))
    assert set(found.flags.values[missing]) == {FLAGS["few_valid"]}
    assert int((found.flags != 0).sum()) == 3
    wide = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], width=160.0, strike=0.0)
    np.testing.assert_allclose(wide.normal[7], data.vx[[7, 9], 10].mean())
    assert (wide.flags == 0).all()
    data.vx[7, 10] = np.nan
    wide = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], width=160.0, strike=0.0)
    assert np.isnan(wide.normal[7])


def test_what_lies_outside_is_flagged():
    data = grid()
    found = xoffset.profile(data, [place(data, -3, 8), place(data, 33, 8)], strike=0.0)
    outside = np.array([*range(3), *range(33, 37)])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.normal)), outside)
    assert set(found.flags.values[outside]) == {FLAGS["outside"]}
    np.testing.assert_allclose(found.normal[3:33], data.vx[8])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_strip_of_one_node_is_a_grid(axis):
    data = grid().isel({axis: [4]})
    ends = [place(data, 0, 0), place(data, 29, 0) if axis == "y" else place(data, 0, 19)]
    found = xoffset.profile(data, ends, strike=0.0)
    np.testing.assert_allclose(found.normal, data.vx.squeeze())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_unknown_errors_stay_unknown(wrong):
    data = grid()
    data.sigma_vx[8, 10] = wrong
    found = xoffset.profile(data, [place(data, 3, 8), place(data, 20, 8)], strike=20.0)
    assert np.isfinite(found.parallel).all()
    np.testing.assert_array_equal(np.flatnonzero(~np.isfinite(found.sigma_parallel)), [7])


# --------------------------------------------------------------------------------------------------------- any product


@pytest.mark.parametrize("cut", [(3, 7), (20, 4), (20, 30)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_chunks_give_the_same_bits(cut, dtype):
    data = grid(dtype=dtype)
    several = xr.concat([data, 2.0 * data], "time").assign_coords(time=np.array(["2020-01-01", "2021-01-01"], "M8[us]"))
    line = [place(data, 3, 8), place(data, 20, 2), place(data, 40, 2)]
    for each in (data, several):
        expected = xoffset.profile(each, line, width=250.0)
        lazy = xoffset.profile(each.chunk(y=cut[0], x=cut[1]), line, width=250.0)
        assert all(variable.chunks is not None for variable in lazy.data_vars.values())
        xr.testing.assert_identical(lazy.compute(), expected)
        assert {expected[name].dtype for name in NAMES} == {lazy[name].dtype for name in NAMES} == {np.dtype(dtype)}
    assert expected.parallel.dims == ("time", "distance")
    np.testing.assert_allclose(expected.parallel[1], 2.0 * expected.parallel[0], rtol=1e-5)
    np.testing.assert_array_equal(expected.time, several.time)


def test_shifts_keep_their_pairs(tmp_path):
    stack, _ = synthetic.stack((96, 96), dates=["2020-01-01", "2020-06-01", "2021-01-01"], field="constant")
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    line = [(float(shifts.x[0]), float(shifts.y[0])), (float(shifts.x[-1]), float(shifts.y[-1]))]
    found = xoffset.profile(shifts, line)
    assert found.parallel.dims == ("pair", "distance")
    np.testing.assert_array_equal(found.secondary, shifts.secondary)
    for name, each in (("shifts", found), ("rate", xoffset.profile(xoffset.velocity(shifts), line))):
        each.to_zarr(tmp_path / f"{name}.zarr", consolidated=False)
        each.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        for ending in ("zarr", "nc"):
            xr.testing.assert_identical(xoffset.open_result(tmp_path / f"{name}.{ending}"), each)
