"""Paths of points: motions whose paths are known, errors that are known, and nothing beyond what the series tells."""

import dask
import numpy as np
import pandas as pd
import pyproj
import pytest
import reference_trajectories
import xarray as xr

import xoffset
from xoffset.model import grids, products
from xoffset.model.flags import FLAGS

DATES = np.array(["2020-01-01", "2020-02-20", "2020-03-01", "2020-07-01", "2021-01-01", "2021-01-31"], "M8[us]")
NAMES = ("x", "y", "dx", "dy", "sigma_dx", "sigma_dy", "dx_eulerian", "dy_eulerian")
NODATA, OUTSIDE = FLAGS["nodata"], FLAGS["outside"]
ORIGIN = (5e5, 5e6)
AWAY = np.array([33.0, 12.0])


def series_of(move, shape=(21, 25), spacing=(10.0, -10.0), dtype="float64", sigma=0.5):
    """Series whose step from one date to the next, at every node, is that of a map of places: move(x, y, k) -> x, y."""
    x = ORIGIN[0] + spacing[0] * np.arange(shape[1])
    y = ORIGIN[1] + spacing[1] * np.arange(shape[0])
    columns, rows = np.meshgrid(x - x.mean(), y - y.mean())
    steps = [np.zeros((2, *shape))]
    for k in range(DATES.size - 1):
        moved = move(columns, rows, k)
        steps.append(np.stack([moved[0] - columns, moved[1] - rows]))
    total = np.cumsum(steps, axis=0).astype(dtype)
    errors = np.full_like(total[:, 0], sigma) * (1.0 + np.arange(DATES.size))[:, None, None].astype(dtype)
    fields = {"dx": total[:, 0], "dy": total[:, 1], "sigma_dx": errors, "sigma_dy": 2.0 * errors}
    fields["flags"] = np.zeros(total[:, 0].shape, dtype=np.int32)
    return products.series(fields, DATES, like=xr.Dataset(coords={"y": y, "x": x}), step={"function": "invert"})


def centre(series):
    return np.array([float(series.x.mean()), float(series.y.mean())])


def turn(x, y, k, angle=0.2):
    """Rigid rotation about the middle."""
    return x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)


def random_series(dtype="float64", seed=4, shape=(8, 9), missing=0.05):
    """Series of noise that moves points by about a node a date."""
    random = np.random.default_rng(seed)
    series = series_of(lambda x, y, k: (x, y), shape=shape, dtype=dtype)
    lost = random.random(series.dx.shape) < missing
    for name, scale in (("dx", 4.0), ("dy", 4.0), ("sigma_dx", 0.0), ("sigma_dy", 0.0)):
        values = random.normal(size=lost.shape) * scale if scale else random.uniform(0.1, 1.0, lost.shape)
        series[name] = (series[name].dims, np.where(lost, np.nan, values).astype(dtype), series[name].attrs)
    return series


# --------------------------------------------------------------------------------------------------------- known paths


@pytest.mark.parametrize("spacing", [(10.0, -10.0), (10.0, 10.0), (-8.0, 12.0)])
def test_a_point_goes_round(spacing):
    series = series_of(turn, spacing=spacing)
    middle = centre(series)
    away = np.array([[37.0, 21.0], [-40.0, 13.0], [0.0, 0.0], [20.0, 0.0]])
    path = xoffset.trajectory(series, middle + away)
    angle = 0.2 * np.arange(DATES.size)
    expected = turn(away[:, :1], away[:, 1:], None, angle)
    np.testing.assert_allclose(path.x - middle[0], expected[0], atol=1e-8)
    np.testing.assert_allclose(path.y - middle[1], expected[1], atol=1e-8)
    np.testing.assert_allclose(path.dx, expected[0] - away[:, :1], atol=1e-8)
    np.testing.assert_allclose(path.dy, expected[1] - away[:, 1:], atol=1e-8)
    assert (path.flags == 0).all()
    # what passes the place of the start goes straight on
    straight = np.arange(DATES.size) * (np.array(turn(*away.T, None)).T - away)[:, :1]
    np.testing.assert_allclose(path.dx_eulerian, np.arange(DATES.size) * straight[:, 1:2], atol=1e-8)
    off = np.hypot(path.dx - path.dx_eulerian, path.dy - path.dy_eulerian)[:, -1]
    np.testing.assert_allclose(off[2], 0.0, atol=1e-8)
    assert (off[[0, 1, 3]] > 5.0).all()


def test_points_drift_apart_where_ground_stretches():
    series = series_of(lambda x, y, k: (1.1 * x, y / 1.1))
    middle = centre(series)
    path = xoffset.trajectory(series, middle + np.array([[30.0, 50.0], [-60.0, -80.0]]))
    growth = 1.1 ** np.arange(DATES.size)
    np.testing.assert_allclose(path.x - middle[0], np.outer([30.0, -60.0], growth), rtol=1e-9)
    np.testing.assert_allclose(path.y - middle[1], np.outer([50.0, -80.0], 1.0 / growth), rtol=1e-9)


def test_where_all_ground_moves_alike_both_are_one():
    series = series_of(lambda x, y, k: (x + 3.0 * (k + 1), y - k))
    path = xoffset.trajectory(series, [centre(series) + 1.234])
    np.testing.assert_allclose(path.dx, path.dx_eulerian, atol=1e-9)
    np.testing.assert_allclose(path.dx[0], 3.0 * np.cumsum([0, 1, 2, 3, 4, 5]), atol=1e-9)
    np.testing.assert_allclose(path.dy[0], -np.cumsum([0, 0, 1, 2, 3, 4]), atol=1e-9)


def test_the_zero_of_the_series_does_not_matter():
    series = series_of(turn)
    points = [centre(series) + AWAY]
    moved = xoffset.rereference(series, DATES[4])
    for name in NAMES:
        np.testing.assert_allclose(
            xoffset.trajectory(moved, points)[name], xoffset.trajectory(series, points)[name], atol=1e-8
        )


def test_a_later_start():
    series = series_of(turn)
    points = [centre(series) + AWAY]
    whole = xoffset.trajectory(series, points)
    later = xoffset.trajectory(series, np.stack([whole.x[:, 2], whole.y[:, 2]], axis=1), start="2020-03-01")
    assert later.attrs["start"] == str(DATES[2])
    np.testing.assert_array_equal(later.time, DATES[2:])
    np.testing.assert_allclose(later.x, whole.x[:, 2:], atol=1e-8)
    np.testing.assert_allclose(later.dx, whole.dx[:, 2:] - whole.dx[:, 2], atol=1e-8)
    assert later.dx[0, 0] == 0.0
    alone = xoffset.trajectory(series, points, start=DATES[-1])
    assert alone.sizes == {"point": 1, "time": 1}
    assert (alone.x.item(), alone.dx.item(), alone.sigma_dx.item()) == (points[0][0], 0.0, 0.0)


@pytest.mark.small
@pytest.mark.parametrize("window", [None, 35.0, 8.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_path_is_its_twin(dtype, window):
    series = random_series(dtype)
    random = np.random.default_rng(5)
    points = centre(series) + random.uniform(-20.0, 20.0, (40, 2))
    path = xoffset.trajectory(series, points, start=DATES[1], window=window)
    known = 0
    for k, point in enumerate(points):
        expected = reference_trajectories.path(series, point, 1, np.inf if window is None else window)
        if np.isnan(path.x[k, 0]):
            assert (path.flags[k] == FLAGS["no_reference"]).all()
            continue
        found = np.stack([path[name][k] for name in NAMES])
        np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == "float32" else 1e-9, atol=1e-4)
        known += np.isfinite(found).all()
    assert known > 5
    assert (path.flags == NODATA).any()
    assert path.x.dtype == "float64"
    assert path.dx.dtype == path.sigma_dx.dtype == path.dx_eulerian.dtype == dtype


# ------------------------------------------------------------------------------------------------------- what is lost


@pytest.mark.small
def test_a_point_on_a_node_needs_that_node_only():
    series = series_of(lambda x, y, k: (x, y))
    everything = series.dx.copy(deep=True)
    series.dx[:] = np.nan
    series.dx[:, 4, 7] = everything[:, 4, 7]
    node = (float(series.x[7]), float(series.y[4]))
    path = xoffset.trajectory(series, [node, (node[0] + 1.0, node[1]), (node[0], node[1] - 1.0)])
    assert (path.flags[0] == 0).all()
    assert (path.flags[1:] == FLAGS["no_reference"]).all()
    assert all(np.isnan(path[name][1:]).all() for name in NAMES)


def test_the_corners_of_the_grid_belong_to_it():
    series = series_of(lambda x, y, k: (x, y), spacing=(0.1, -0.1))
    corners = [(float(series.x[i]), float(series.y[j])) for i in (0, -1) for j in (0, -1)]
    assert (xoffset.trajectory(series, corners).flags == 0).all()


@pytest.mark.small
@pytest.mark.parametrize("name", ["dx", "dy"])
def test_a_step_goes_over_a_date_without_a_value(name):
    series = series_of(turn)
    points = [centre(series) + AWAY]
    usual = xoffset.trajectory(series, points)
    series[name][2] = np.nan
    path = xoffset.trajectory(series, points)
    np.testing.assert_array_equal(path.flags[0], [0, 0, NODATA, 0, 0, 0])
    np.testing.assert_array_equal(np.isnan(path.x[0]), [False, False, True, False, False, False])
    assert np.isnan(path.dx_eulerian[0, 2]) == (name == "dx")
    np.testing.assert_allclose(path.x[0, :2], usual.x[0, :2])
    # two steps at once from the same place: as far as the series tells there
    wanted = xoffset.trajectory(series.isel(time=[0, 1, 3, 4, 5]), points)
    np.testing.assert_array_equal(path.x[0, 3:], wanted.x[0, 2:])


@pytest.mark.small
def test_a_point_that_leaves_the_grid_is_gone():
    series = series_of(lambda x, y, k: (x + 25.0 if k != 3 else x - 60.0, y))
    point = (float(series.x[-1]) - 40.0, float(series.y[5]))
    path = xoffset.trajectory(series, [point])
    # the step that leads out is known, none from there on, even if the ground comes back
    np.testing.assert_array_equal(path.flags[0], [0, 0, 0, OUTSIDE, OUTSIDE, OUTSIDE])
    assert float(path.x[0, 2]) == point[0] + 50.0
    assert np.isnan(path.x[0, 3:]).all()
    assert np.isfinite(path.dx_eulerian).all()


def test_islands_with_a_zero_of_their_own_count_as_missing():
    series = series_of(turn)
    points = [centre(series) + AWAY]
    other = series.copy(deep=True)
    other.dx[3] = other.dx[3] + 1000.0
    other.flags[3] = FLAGS["disconnected"]
    path = xoffset.trajectory(other, points)
    np.testing.assert_array_equal(path.flags[0], [0, 0, 0, NODATA, 0, 0])
    wanted = xoffset.trajectory(series.isel(time=[0, 1, 2, 4, 5]), points)
    np.testing.assert_array_equal(path.x[0, 4:], wanted.x[0, 3:])


@pytest.mark.parametrize("wrong", [np.nan, 0.0, -1.0])
def test_errors_that_are_not_known_are_nan(wrong):
    series = series_of(turn)
    series.sigma_dx[3] = wrong
    path = xoffset.trajectory(series, [centre(series) + AWAY])
    assert np.isfinite(path.dx).all()
    assert np.isnan(path.sigma_dx[0, 3])
    assert np.isfinite(path.sigma_dx[0, :3]).all()


# -------------------------------------------------------------------------------------------------------------- errors


def test_errors_of_a_short_path_are_those_of_two_dates():
    series = series_of(lambda x, y, k: (x + 0.1, y))
    path = xoffset.trajectory(series, [centre(series)])
    expected = 0.5 * np.sqrt(1.0 + (1.0 + np.arange(6)) ** 2)
    np.testing.assert_allclose(path.sigma_dx[0], [0.0, *expected[1:]])
    np.testing.assert_allclose(path.sigma_dy[0], [0.0, *2.0 * expected[1:]])


def test_errors_hold_for_windows_of_noise():
    """Ground that moves by five eighths of a window a date, with noise that belongs to the pixels of each date."""
    random = np.random.default_rng(7)
    side, step, sigma = 8, 5, 0.01
    series = series_of(lambda x, y, k: (x + step, y), shape=(160, 200), spacing=(1.0, -1.0), sigma=0.0)
    for name in ("dx", "dy"):
        noise = random.normal(size=(DATES.size, 160 + side - 1, 200 + side - 1))
        windows = np.lib.stride_tricks.sliding_window_view(noise, (side, side), axis=(1, 2)).mean(axis=(3, 4))
        series[name] = series[name] + sigma * side * windows
        series[f"sigma_{name}"] = xr.full_like(series[name], sigma)
    places = np.stack(np.meshgrid(np.arange(0, 170, 4), np.arange(0, 160, 4)), axis=-1).reshape(-1, 2)
    points = places * [1.0, -1.0] + ORIGIN
    path = xoffset.trajectory(series, points, window=side)
    errors = {name: path[name] - step * np.arange(DATES.size) * (name == "dx") for name in ("dx", "dy")}
    for name, values in errors.items():
        np.testing.assert_allclose(values.std("point")[1:], path[f"sigma_{name}"].mean("point")[1:], rtol=0.12)
    # without a window they would be those of two dates, half of the truth at the end
    naive = xoffset.trajectory(series, points).sigma_dx.mean("point")
    np.testing.assert_allclose(naive[1:], sigma * np.sqrt(2.0), rtol=1e-6)
    assert float(errors["dx"].std("point")[-1]) > 1.5 * float(naive[-1])


# -------------------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 2, "y": 3, "x": 5}, {"y": 1}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_chunks_give_the_same_bits(dtype, chunks):
    series = random_series(dtype)
    points = centre(series) + np.random.default_rng(5).uniform(-20.0, 20.0, (5, 2))
    lazy = xoffset.trajectory(series.chunk(chunks), points, window=20.0)
    assert all(dask.is_dask_collection(each.data) for each in lazy.data_vars.values())
    eager = xoffset.trajectory(series, points, window=20.0)
    xr.testing.assert_identical(lazy.compute(), eager)
    assert {key: each.dtype for key, each in lazy.data_vars.items()} == {k: v.dtype for k, v in eager.data_vars.items()}


def test_points_in_any_form():
    series = series_of(turn)
    point = tuple(centre(series) + 3.0)
    usual = xoffset.trajectory(series, [point])
    table = pd.DataFrame([point], columns=["x", "y"])
    for points in ([list(point)], np.array([point]), (point,), table, table.to_numpy()):
        xr.testing.assert_identical(xoffset.trajectory(series, points), usual)
    xr.testing.assert_identical(series.offset.trajectory([point]), usual)
    xr.testing.assert_identical(xoffset.trajectory(series.drop_vars("flags"), [point]), usual)


def test_paths_have_units_and_come_back_from_disk(tmp_path):
    series = random_series("float32").assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS(32632)))
    path = xoffset.trajectory(series, [centre(series)])
    assert {name: path[name].attrs["units"] for name in NAMES} == dict.fromkeys(NAMES, "m")
    assert path.flags.dtype == "int64"
    path.to_zarr(tmp_path / "path.zarr", consolidated=False)
    xr.testing.assert_identical(xoffset.open_result(tmp_path / "path.zarr").compute(), path)


def test_input_is_not_modified():
    series = random_series()
    copied = series.copy(deep=True)
    points = [centre(series)]
    xoffset.trajectory(series, points).x.values[:] = 7.0
    xr.testing.assert_identical(series, copied)
