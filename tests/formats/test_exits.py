"""Every product of every function goes to GeoTIFF, to maps, and through stores and back."""

import functools

import digests
import numba
import numpy as np
import pytest
import rasterio
import xarray as xr

import xoffset
from xoffset import plotting
from xoffset.formats import cf, geozarr, gridded
from xoffset.model import variables

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="minutes without compilation")

# what the calls of the table of digests lack
MORE = {
    "correlate nested both ways": lambda: digests.correlated(template=(16, 32), matcher=xoffset.NCC(both_ways=True)),
    "ground shifts": lambda: xoffset.ground(digests.shifts()),
    "ground coseismic": lambda: xoffset.ground(digests.CALLS["coseismic postseismic"]()),
    "ground decays": lambda: xoffset.ground(digests.CALLS["decompose decays"]()),
    "strain coseismic": lambda: xoffset.strain(digests.CALLS["coseismic postseismic"]()),
    "profile coseismic": lambda: xoffset.profile(
        digests.CALLS["coseismic postseismic"](), digests.section(digests.rate())
    ),
    "one date of a series": lambda: digests.series().isel(time=2),
    "one interval": lambda: xoffset.interval_velocity(digests.yearly()).isel(interval=0),
    "one year": lambda: xoffset.yearly_velocity(digests.yearly()).isel(year=0),
}
# one call for each set of variables and dims
NAMES = [
    "pairs", "diagnose", "from_table", "screen dask", "screen nested both ways", "calibrate", "closure stable",
    "closure dask", "invert stable", "invert smooth dask", "invert islands separate", "rereference", "resample",
    "resample gap dask", "trajectory", "velocity series bootstrap", "velocity dask", "decompose shifts",
    "decompose seasons", "decompose steps searched", "decompose decays", "decompose dask", "coseismic dask",
    "coseismic postseismic", "annual", "annual all dask", "interval_velocity",
    "interval_velocity series dask", "mean_displacement", "mean_velocity", "vector_coherence dask", "quality",
    "strain", "strain shifts", "strain series dask", "profile", "profile swath", "profile series dask",
    "ground", "ground series dask", "stable_statistics", "stable_statistics rate", "area_mean", "area_mean rate dask",
    "compare", "compare series dask", *MORE,
]  # fmt: skip

# those that go through stores alone, since the others have the same variables, with the same dims and types
AGAIN = [
    "pairs", "screen dask", "screen nested both ways", "closure stable", "invert islands separate", "rereference",
    "resample", "resample gap dask", "velocity dask", "decompose steps searched", "coseismic dask", "annual",
    "interval_velocity series dask", "mean_velocity", "strain", "profile", "ground", "compare",
]  # fmt: skip


@functools.cache
def product(name):
    return (digests.CALLS | MORE)[name]()


@functools.cache
def computed(name):
    return product(name).compute()


def is_map(data):
    return {"y", "x"} <= set(data.dims)


# those without maps
OTHERS = ("pairs", "diagnose", "trajectory", "profile", "from_table", "stable_statistics", "area_mean", "compare")
MAPS = [name for name in NAMES if not name.startswith(OTHERS)]
EACH = [name for name in NAMES if name not in AGAIN]
EACH_MAP = [name for name in MAPS if name not in AGAIN]


def variables_of(names):
    # texts differ by their length, which is of no concern
    return {
        (key, data.dims, data.dtype if data.dtype.kind in "fiub" else data.dtype.kind)
        for name in names
        for key, data in product(name).variables.items()
    }


def test_every_variable_goes_to_every_format():
    assert variables_of(EACH) == variables_of(NAMES)
    assert variables_of(EACH_MAP) == variables_of(MAPS)


@pytest.mark.parametrize("name", EACH_MAP)
def test_to_geotiff(name, tmp_path):
    found = product(name)
    maps = [key for key, data in found.data_vars.items() if is_map(data)]
    paths = xoffset.to_geotiff(found, tmp_path)
    assert [path.stem for path in paths] == maps
    for path in paths:
        data = computed(name)[path.stem].transpose(..., "y", "x")
        expected = data.values
        if data.dtype.kind == "M":
            expected = np.where(np.isnat(expected), np.nan, expected.astype("M8[us]").astype(float) / 86_400e6)
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(), expected.reshape(-1, *expected.shape[-2:]))
            units = "days since 1970-01-01" if data.dtype.kind == "M" else data.attrs.get("units")
            assert (file.units[0] or None) == units
            if data.dtype.kind in "fM":
                assert np.isnan(file.nodata)
            assert len(set(file.descriptions)) == file.count


@pytest.mark.parametrize("name", EACH)
def test_to_cf(name, tmp_path):
    found = computed(name)
    again = xoffset.open_result(cf.write(found, tmp_path / "a.nc")).compute()
    for key, data in found.variables.items():
        assert again[key].dims == data.dims
        np.testing.assert_array_equal(again[key].values, data.values, err_msg=str(key))


@pytest.mark.parametrize("name", EACH_MAP)
def test_to_geozarr(name, tmp_path):
    found = gridded.north_up(computed(name), "test")
    levels = 2 if min(found.sizes["y"], found.sizes["x"]) > 3 else 1
    again = xoffset.open_result(geozarr.write(product(name), tmp_path / "a.zarr", levels=levels) / "0").compute()
    for key in filter(lambda key: is_map(found[key]), found.data_vars):
        np.testing.assert_array_equal(again[key].values, found[key].values, err_msg=str(key))


DRAWN = [
    "closure stable", "screen dask", "calibrate", "invert smooth dask", "velocity dask", "decompose steps searched",
    "decompose decays", "coseismic postseismic", "annual", "mean_displacement", "vector_coherence dask", "quality",
    "strain series dask", "ground shifts", "ground decays", "one date of a series", "one year",
]  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_to_maps(name, tmp_path):
    found = computed(name)
    names = {path.stem for path in plotting.save_maps(found, tmp_path)}
    if not {"dx", "score"} <= set(found.data_vars):  # of shifts two maps tell more than all layers
        of_series = "dx" in found and "time" in found["dx"].dims
        for key, data in found.data_vars.items():
            if is_map(data) and key != "flags" and not (of_series and "time" in data.dims and key not in ("dx", "dy")):
                assert any(each == key or each.startswith(f"{key}_") for each in names), key
    assert names


@pytest.mark.parametrize("suffix", ["zarr", "nc"])
@pytest.mark.parametrize("name", NAMES)
def test_to_a_store_and_back(name, suffix):
    # blocks are written as they are computed, into one kind of store
    found = product(name) if suffix == "zarr" else computed(name)
    xr.testing.assert_identical(digests.reopened(found, suffix), computed(name))


@pytest.mark.parametrize("name", ["profile", "profile swath", "trajectory"])
def test_what_is_no_map_says_where_it_can_go(name, tmp_path):
    with pytest.raises(ValueError, match=r"are no maps: save them with to_zarr\(\), or as a table, to_dataframe\(\)"):
        xoffset.to_geotiff(product(name), tmp_path)
    assert len(product(name).to_dataframe())
    with pytest.raises(ValueError, match=r"draw a profile with dataset\['parallel'\]\.plot\(\)"):
        plotting.save_maps(product(name), tmp_path)


def cyclic():
    return sorted({(name, each.units) for table in variables.TABLES for name, each in table.items() if each.period})


@pytest.mark.parametrize(
    ("name", "units"), [*cyclic(), ("direction", "rad"), ("azimuth", "degrees"), ("aspect", "deg")]
)
def test_no_overview_averages_what_goes_round(name, units, tmp_path):
    period = variables.period_of(name, units)
    values = np.tile(np.array([0.01, 0.99], "float32") * np.float32(period), (600, 350))
    grid = {"y": -10.0 * np.arange(600), "x": 10.0 * np.arange(700)}
    field = xr.DataArray(values, grid, ("y", "x"), name, {"units": units})
    (path,) = xoffset.to_geotiff(field.to_dataset(), tmp_path)
    with rasterio.open(path) as file:
        # angles in radians are turned into degrees
        written = np.unique(values * np.float32(57.29578 if (name, units) == ("direction", "rad") else 1.0))
        for value in np.unique(file.read(1, out_shape=(300, 350))):
            assert np.isclose(written, value, rtol=1e-5).any()


def test_overviews_of_dates_hold_dates_that_are_there(tmp_path):
    dates = np.tile(np.array(["2020-01-01", "2021-01-01"], "M8[us]"), (600, 350))
    grid = {"y": -10.0 * np.arange(600), "x": 10.0 * np.arange(700)}
    (path,) = xoffset.to_geotiff(xr.Dataset({"step_date": (("y", "x"), dates)}, grid), tmp_path)
    with rasterio.open(path) as file:
        assert set(np.unique(file.read(1, out_shape=(300, 350)))) <= {18262.0, 18628.0}
