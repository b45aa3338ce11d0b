"""Scattered points: what looks at no neighbours gives them what it gives the nodes of a grid, to the last bit."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

DATES = np.array(["2020-01-01", "2020-03-01", "2020-05-20", "2020-08-01", "2020-11-01", "2021-02-01"], "M8[us]")
ROWS, COLUMNS = np.array([2, 5, 1, 5, 3]), np.array([4, 1, 1, 6, 3])

OF_SHIFTS = {
    "screen": lambda s: xoffset.screen(s, neighbourhood=False, min_score=0.6, max_separation="auto"),
    "invert": lambda s: xoffset.invert(s, reference=DATES[0]),
    "invert to one date": lambda s: xoffset.invert(s, loss="l1", reference=DATES[0], islands="bridge"),
    "invert smooth": lambda s: xoffset.invert(s, smooth="gcv", reference=DATES[0]),
    "velocity": xoffset.velocity,
    "decompose": lambda s: xoffset.decompose(s, steps=[DATES[2]], exponential=[(DATES[1], 40.0)], seasonal=True),
    "coseismic": lambda s: xoffset.coseismic(s, "2020-05-01", trend=True, postseismic=20.0),
    "yearly_velocity": xoffset.yearly_velocity,
    "interval_velocity": xoffset.interval_velocity,
    "mean_displacement": xoffset.mean_displacement,
    "mean_velocity": xoffset.mean_velocity,
    "quality": xoffset.quality,
    "ground": xoffset.ground,
    "pair": lambda s: xoffset.pair(s, DATES[1], DATES[3]),
}
OF_SERIES = {
    "velocity": lambda s: xoffset.velocity(s, bootstrap=20),
    "decompose": lambda s: xoffset.decompose(s, steps="search"),
    "coseismic": lambda s: xoffset.coseismic(s, "2020-05-01"),
    "rereference": lambda s: xoffset.rereference(s, DATES[1:3]),
    "resample": lambda s: xoffset.resample(s, "20D", max_gap="80D"),
    "ground": xoffset.ground,
    "ground of a rate": lambda s: xoffset.ground(xoffset.velocity(s)),
}


@pytest.fixture(scope="module")
def shifts():
    stack = synthetic.stack((112, 112), dates=DATES, velocity=15.0, snr=6.0, nodata=0.05, crs="EPSG:3413")[0]
    return xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=5, step=12)


def at_points(data):
    return data.isel(y=xr.DataArray(ROWS, dims="point"), x=xr.DataArray(COLUMNS, dims="point"))


def check(function, data):
    of_grid, points = at_points(function(data)), at_points(data)
    found = function(points)
    assert [dim for dim in found.dims if dim in ("y", "x")] == []
    xr.testing.assert_identical(found, of_grid)
    for chunks in ({"point": 2}, {"point": 3} | {dim: 2 for dim in points.dims if dim != "point"}):
        lazy = function(points.chunk(chunks))
        assert any(each.chunks for each in lazy.variables.values())
        lazy = lazy.compute()
        for name in lazy.data_vars:
            assert lazy[name].identical(of_grid[name]), name
        xr.testing.assert_identical(lazy.coords.to_dataset(), of_grid.coords.to_dataset())


@pytest.mark.parametrize("name", OF_SHIFTS)
def test_points_of_shifts_give_what_their_nodes_give(name, shifts):
    check(OF_SHIFTS[name], shifts)


@pytest.mark.parametrize("name", OF_SERIES)
def test_points_of_series_give_what_their_nodes_give(name, shifts):
    check(OF_SERIES[name], xoffset.invert(shifts))


def test_one_point_is_enough(shifts):
    for function in (xoffset.invert, xoffset.velocity, xoffset.ground):
        alone = at_points(shifts).isel(point=[2])
        xr.testing.assert_equal(function(alone), at_points(function(shifts)).isel(point=[2]))


def test_what_goes_with_the_points_goes_through(shifts):
    """Weights, a prior and stable ground at the same points; names and other coordinates stay."""
    rng = np.random.default_rng(0)
    rows, columns = (xr.DataArray(rng.integers(0, 8, 40), dims="point") for _ in range(2))
    points = shifts.isel(y=rows, x=columns)
    names = np.array([f"S{k}" for k in range(40)], dtype=object)
    points = points.assign_coords(name=("point", names), height=("point", rng.random(40)))
    weights = xr.DataArray(rng.random(shifts.dx.shape), coords=shifts.dx.coords, dims=shifts.dx.dims)
    prior = xoffset.invert(shifts)
    options = {"weights": weights, "prior": prior, "smooth": 0.1}
    there = {name: each.isel(y=rows, x=columns) if hasattr(each, "isel") else each for name, each in options.items()}
    found = xoffset.invert(points, **there)
    xr.testing.assert_equal(
        found.drop_vars(["name", "height"]), xoffset.invert(shifts, **options).isel(y=rows, x=columns)
    )
    assert list(found.name.values) == list(names)
    xr.testing.assert_identical(found.height.variable, points.height.variable)
    stable = xr.ones_like(points.x, dtype=bool)
    assert np.isfinite(xoffset.invert(points, stable=stable).geolocation_dx).all()
    xr.testing.assert_identical(xoffset.invert(shifts=points, stable=stable), xoffset.invert(points, stable=stable))


def test_the_places_of_points_are_their_own_in_ground(shifts):
    """Far apart, the axes of a polar grid point elsewhere at each of them."""
    points = at_points(shifts).assign_coords(x=("point", 1e5 * np.arange(1, 6)), y=("point", -3e5 * np.ones(5)))
    turned = xoffset.ground(points)
    for k in range(5):
        alone = points.isel(point=k).drop_vars(["x", "y"]).expand_dims(["y", "x"], axis=[-2, -1])
        alone = alone.assign_coords(x=[points.x.values[k]], y=[points.y.values[k]])
        np.testing.assert_array_equal(turned.d_north[:, k], xoffset.ground(alone).d_north[:, 0, 0])


def test_the_closure_of_points_is_that_of_each_alone(shifts):
    """Neighbours in the list of points are none on the ground, so no gradient is taken between them."""
    points = at_points(shifts)
    for data in (points, points.chunk(point=2)):
        closed = xoffset.closure(data).compute()
        for k in range(points.sizes["point"]):
            alone = points.isel(point=k).drop_vars(["x", "y"]).expand_dims(["y", "x"], axis=[-2, -1])
            alone = xoffset.closure(alone.assign_coords(x=[0.0], y=[0.0]))
            for name in ("closure", "tolerance", "n_triplets", "date_closure", "date_n_triplets"):
                np.testing.assert_array_equal(closed[name][:, k], alone[name][:, 0, 0], err_msg=name)
    assert closed.is_bad.dims == ("time",)
    assert closed.closure.dims == ("pair", "point")


def test_diagnose_takes_what_has_pairs(shifts):
    xr.testing.assert_identical(xoffset.diagnose(at_points(shifts)), xoffset.diagnose(shifts))


# ----------------------------------------------------------------------------------------------------------- accessors

KINDS = {
    "shifts": lambda shifts: shifts,
    "series": xoffset.invert,
    "rate": xoffset.velocity,
    "displacement": xoffset.mean_displacement,
    "map": xoffset.quality,
}
OPTIONS = {
    "sun_term": {"sun": xr.Dataset(coords={"time": []})},
    "screen": {"neighbourhood": False}, "coseismic": {"date": "2020-05-01"}, "rereference": {"reference": DATES[1]},
    "resample": {"dates": "30D"}, "pair": {"reference": DATES[0], "secondary": DATES[1]},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_accessor_offers_what_works(kind, shifts):
    data, on_grid = KINDS[kind](at_points(shifts)), KINDS[kind](shifts)
    assert repr(data.offset)
    for name in dir(data.offset):
        # some are for maps with pairs, one needs more dates
        if name not in ("remove_season", "plot") and (kind != "map" or name not in ("diagnose", "pair")):
            getattr(data.offset, name)(**OPTIONS.get(name, {}))
    # and no less than that
    beside = {"calibrate", "extend", "vector_coherence", "trajectory", "strain", "profile", "to_geotiff", "to_zarr"}
    beside |= {
        "area_mean",
        "compare",
        "stable_statistics",
        "correct",
        "denoise",
        "light",
        "thinning_bias",
        "drop_masked",
        "discard_pairs",
    }
    beside |= {"destripe", "remove_median", "misclosure", "widen_sheared", "explore"}
    assert set(dir(on_grid.offset)) - beside == set(dir(data.offset))
    if kind == "shifts":
        for name in ("network", "chord", "valid"):
            assert getattr(data.offset.plot, name)().axes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.zarr", "a.nc"])
def test_points_come_back_identical(kind, name, shifts, tmp_path):
    names = np.array(["A", "Bär", "C 3", "", "E"], dtype=object)
    data = KINDS[kind](at_points(shifts)).assign_coords(name=("point", names))
    if name.endswith("zarr"):
        data.to_zarr(tmp_path / name, consolidated=False)
    else:
        data.to_netcdf(tmp_path / name, engine="h5netcdf")
    back = xoffset.open_result(tmp_path / name)
    xr.testing.assert_identical(back, data)
    if kind == "shifts":
        xr.testing.assert_identical(xoffset.invert(back).compute().drop_attrs(), xoffset.invert(data).drop_attrs())
