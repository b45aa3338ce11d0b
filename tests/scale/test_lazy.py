"""Lazy in, lazy out: nothing is computed while a result is described, and its graph stays small."""

import inspect
import time

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import rasterio
import safe_products
import xarray as xr
from affine import Affine

import xoffset
from xoffset import synthetic

DATES = ["2020-01-01", "2020-05-01", "2020-09-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 3, "step": 8}
SUN = xr.Dataset(
    {"sun_azimuth": ("time", [150.0, 140.0, 145.0, 151.0]), "sun_elevation": ("time", [20.0, 55.0, 50.0, 21.0])},
    coords={"time": np.array(DATES, "M8[us]")},
)
VIEW = xr.Dataset(
    {"view_zenith": ("time", [8.0, 9.0, 8.0, 9.0]), "view_azimuth": ("time", [285.0, 104.0, 285.0, 104.0])},
    coords={"time": np.array(DATES, "M8[us]")},
)


@pytest.fixture(autouse=True)
def no_compute():
    """Fail at any compute, unless a test says `allowed`."""

    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=refuse):
        yield


def allowed():
    return dask.config.set(scheduler="threads")


@pytest.fixture(scope="module")
def stack():
    images, _ = synthetic.stack((72, 80), dates=DATES, field="constant", velocity=15.0, snr=10.0, nodata=0.05)
    return images


@pytest.fixture(scope="module")
def lazy(stack):
    return stack.chunk(time=1, y=32, x=32)


@pytest.fixture(scope="module")
def network(stack):
    return xoffset.pairs(stack)


def saved(lazy, folder):
    with allowed():
        xoffset.correlate(lazy, xoffset.pairs(lazy), **OPTIONS).to_zarr(folder / "shifts.zarr", consolidated=False)
    return folder / "shifts.zarr"


def cube(shifts, folder):
    with allowed():
        return xoffset.formats.itslive_cube.write(shifts, folder / "cube.zarr")


def images(folder):
    for k in range(2):
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        values = np.random.default_rng(k).integers(1, 200, (1, 40, 50)).astype("uint8")
        with rasterio.open(
            folder / f"a_2020010{k + 1}.tif", "w", driver="GTiff", height=40, width=50, count=1, dtype="uint8", **place
        ) as file:
            file.write(values)
    return folder


def beside(function, folder, **options):
    safe_products.write(folder)
    return function(folder, like=xoffset.open_stack(folder, band="B04", chunks=60), **options)


def around(shifts):
    """Polygon around all nodes but the first row, in their CRS."""
    (west, east), (south, north) = ((float(v.min()) - 1.0, float(v.max()) + 1.0) for v in (shifts.x, shifts.y[1:]))
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    return {"type": "Polygon", "coordinates": [corners], "crs": crs}


def stake(shifts):
    return pd.DataFrame({"x": [float(shifts.x[1])], "y": [float(shifts.y[1])], "v_east": [1.0], "v_north": [2.0]})


# what each function makes of lazy input; dates and tables are always there
RECIPES = {
    "correlate": lambda shifts, lazy, folder: xoffset.correlate(lazy, xoffset.pairs(lazy), **OPTIONS),
    "extend": lambda shifts, lazy, folder: xoffset.extend(shifts.isel(pair=[0]), lazy, xoffset.pairs(lazy), **OPTIONS),
    "screen": lambda shifts, lazy, folder: xoffset.screen(
        shifts,
        min_score=0.5,
        min_peak_gap=0.1,
        max_separation="auto",
        min_valid_fraction=0.7,
        pycorr=(0.05, 1.0, 0.0),
        max_speed=50.0,
        ndc=0.2,
        median_test=2.0,
        max_range=0.5,
        max_angle_spread=45.0,
        max_deviation=3.5,
        max_closure=3.0,
        min_clump=4,
        direction=xr.full_like(shifts.dx[0].drop_attrs(), 90.0),
    ),
    "losses": lambda shifts, lazy, folder: xoffset.losses(shifts),
    "drop_masked": lambda shifts, lazy, folder: xoffset.drop_masked(shifts, lazy > 0.0),
    "discard_pairs": lambda shifts, lazy, folder: xoffset.discard_pairs(shifts),
    "combine_bands": lambda shifts, lazy, folder: xoffset.combine_bands({"B03": shifts, "B04": 1.01 * shifts}),
    "discard_pixels": lambda shifts, lazy, folder: xoffset.discard_pixels(shifts, min_pairs=2),
    "remove_median": lambda shifts, lazy, folder: xoffset.remove_median(shifts),
    "misclosure": lambda shifts, lazy, folder: xoffset.misclosure(shifts, xoffset.invert(shifts, reference="first")),
    "drop_misclosed": lambda shifts, lazy, folder: xoffset.drop_misclosed(xoffset.invert(shifts, reference="first")),
    "tio_smoothness": lambda shifts, lazy, folder: xoffset.tio_smoothness(shifts),
    "crop": lambda shifts, lazy, folder: xoffset.crop(lazy, tuple(map(float, (*lazy.x[[2, 40]], *lazy.y[[40, 2]])))),
    "one_a_year": lambda shifts, lazy, folder: xoffset.one_a_year(lazy),
    "grid_step": lambda shifts, lazy, folder: xoffset.grid_step(lazy),
    "whole_pixels": lambda shifts, lazy, folder: xoffset.whole_pixels(shifts),
    "destripe": lambda shifts, lazy, folder: xoffset.destripe(
        shifts, xr.ones_like(lazy[0], dtype="uint8").drop_vars("time")
    ),
    "denoise": lambda shifts, lazy, folder: xoffset.denoise(shifts, method="nlm"),
    "invert": lambda shifts, lazy, folder: xoffset.invert(shifts, reference=DATES[0]),
    "light": lambda shifts, lazy, folder: xoffset.light(
        shifts, dem=lazy[0].drop_vars("time").astype("float32"), sun=SUN, min_slope=0.0
    ),
    "remove_season": lambda shifts, lazy, folder: xoffset.remove_season(
        xoffset.resample(xoffset.invert(shifts, reference=DATES[0]), "61D")
    ),
    "rereference": lambda shifts, lazy, folder: xoffset.rereference(
        xoffset.invert(shifts, reference=DATES[0]), DATES[1:3]
    ),
    "resample": lambda shifts, lazy, folder: xoffset.resample(
        xoffset.invert(shifts, reference=DATES[0]), "30D", max_gap="200D"
    ),
    "trajectory": lambda shifts, lazy, folder: xoffset.trajectory(
        xoffset.invert(shifts, reference=DATES[0]), [(float(lazy.x[30]), float(lazy.y[40]))], window=160.0
    ),
    "velocity": lambda shifts, lazy, folder: xoffset.velocity(shifts),
    "mean_displacement": lambda shifts, lazy, folder: xoffset.mean_displacement(shifts),
    "mean_velocity": lambda shifts, lazy, folder: xoffset.mean_velocity(shifts, estimator="mpic"),
    "vector_coherence": lambda shifts, lazy, folder: xoffset.vector_coherence(shifts, window=3),
    "quality": lambda shifts, lazy, folder: xoffset.quality(shifts),
    "strain": lambda shifts, lazy, folder: xoffset.strain(shifts, window=3),
    "profile": lambda shifts, lazy, folder: xoffset.profile(
        shifts, [(shifts.x[0], shifts.y[0]), (shifts.x[-1], shifts.y[-2])], width=20.0
    ),
    "ground": lambda shifts, lazy, folder: xoffset.ground(shifts),
    "decompose": lambda shifts, lazy, folder: xoffset.decompose(xoffset.invert(shifts), seasonal=True, steps="search"),
    "coseismic": lambda shifts, lazy, folder: xoffset.coseismic(shifts, "2020-06-01"),
    "yearly_velocity": lambda shifts, lazy, folder: xoffset.yearly_velocity(shifts),
    "interval_velocity": lambda shifts, lazy, folder: xoffset.interval_velocity(shifts),
    "onset": lambda shifts, lazy, folder: xoffset.onset(xoffset.invert(shifts, reference=DATES[0])),
    "inverse_velocity": lambda shifts, lazy, folder: xoffset.inverse_velocity(
        longer(xoffset.invert(shifts, reference=DATES[0]))
    ),
    "calibrate": lambda shifts, lazy, folder: xoffset.calibrate(
        shifts, xr.DataArray(np.ones(shifts.dx.shape[1:], bool), coords=shifts[["y", "x"]].coords, dims=("y", "x"))
    ),
    "widen_sheared": lambda shifts, lazy, folder: xoffset.widen_sheared(xoffset.velocity(shifts), shifts=shifts),
    "coregister": lambda shifts, lazy, folder: xoffset.coregister(lazy, template=16, search=4, step=8).to_dataset(
        name="image"
    ),
    "correct": lambda shifts, lazy, folder: xoffset.correct(
        shifts,
        stable=xr.DataArray(np.ones(shifts.dx.shape[1:], bool), coords=shifts[["y", "x"]].coords, dims=("y", "x")),
        order="auto",
        stripes="auto",
        view=VIEW,
    ),
    "thinning_bias": lambda shifts, lazy, folder: xoffset.thinning_bias(shifts, view=VIEW),
    "closure": lambda shifts, lazy, folder: xoffset.closure(shifts),
    "stable_statistics": lambda shifts, lazy, folder: xoffset.stable_statistics(
        shifts, xr.DataArray(np.ones(shifts.dx.shape[1:], bool), coords=shifts[["y", "x"]].coords, dims=("y", "x"))
    ),
    "area_mean": lambda shifts, lazy, folder: xoffset.area_mean(shifts, around(shifts)),
    "compare": lambda shifts, lazy, folder: xoffset.compare(xoffset.velocity(shifts), stake(shifts)),
    "search_range": lambda shifts, lazy, folder: xoffset.search_range(
        lazy, xoffset.pairs(lazy), search=4, max_speed=10.0
    ).to_dataset(),
    "estimate": lambda shifts, lazy, folder: xoffset.estimate(lazy, xoffset.pairs(lazy), **OPTIONS, calibrate=False),
    "estimate_run": lambda shifts, lazy, folder: xoffset.estimate_run("generic", lazy, folder, calibrate=False),
    "plan": lambda shifts, lazy, folder: xoffset.plan(lazy, v_max=15.0).network,
    "pairs": lambda shifts, lazy, folder: xoffset.pairs(lazy),
    "pair": lambda shifts, lazy, folder: xoffset.pair(shifts, DATES[0], DATES[1]),
    "diagnose": lambda shifts, lazy, folder: xoffset.diagnose(shifts),
    "from_table": lambda shifts, lazy, folder: xoffset.from_table(
        pd.DataFrame({"reference": [DATES[0]], "secondary": [DATES[1]], "dx": [1.0], "dy": [2.0]})
    ),
    "open_stack": lambda shifts, lazy, folder: xoffset.open_stack(images(folder), date="%Y%m%d", chunks=16),
    "detectors": lambda shifts, lazy, folder: beside(xoffset.detectors, folder, band="B04"),
    "angles": lambda shifts, lazy, folder: beside(xoffset.angles, folder, band="B04"),
    "class_layer": lambda shifts, lazy, folder: beside(xoffset.class_layer, folder),
    "open_shifts": lambda shifts, lazy, folder: xoffset.open_shifts(cube(shifts, folder)),
    "open_result": lambda shifts, lazy, folder: xoffset.open_result(saved(lazy, folder)),
}
WRITERS = {"explore", "report", "run", "to_geotiff", "to_zarr", "warmup"}
# lazy over files that catalogues name: see tests/readers/test_open_stac.py
OF_CATALOGUES = {"open_stac"}
# counts a few values, which is its result: see tests/inspection/test_info.py
COUNTING = {"info", "sun_term"}
# reads elevations into memory, which are few beside images: see tests/readers/test_open_dem.py
IN_MEMORY = {"open_dem", "open_speed"}
# those that are lazy only if their input is
EAGER = [
    "correlate", "extend", "screen", "losses", "denoise", "calibrate", "coregister", "correct", "invert", "light",
    "rereference", "resample", "trajectory", "velocity", "mean_displacement", "mean_velocity", "vector_coherence",
    "quality", "strain", "profile", "ground", "stable_statistics", "area_mean", "compare", "thinning_bias",
    "drop_masked", "discard_pairs", "whole_pixels", "destripe", "combine_bands", "discard_pixels", "remove_median",
    "misclosure", "drop_misclosed", "onset", "inverse_velocity", "widen_sheared",
]  # fmt: skip


def test_computing_would_be_noticed(lazy):
    with pytest.raises(AssertionError, match="computed while building"):
        lazy.mean().compute()


def test_no_function_is_forgotten():
    functions = {name for name in xoffset.__all__ if inspect.isfunction(getattr(xoffset, name))}
    assert functions == RECIPES.keys() | WRITERS | OF_CATALOGUES | COUNTING | IN_MEMORY


def longer(series):
    """A series followed by itself."""
    series = series[["dx", "dy", "sigma_dx", "sigma_dy"]]
    later = series.assign_coords(time=series.time + np.timedelta64(800, "D"))
    return xr.concat([series, later], "time", coords="minimal", compat="override")


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_is_computed_while_building(name, lazy, network, tmp_path):
    shifts = xoffset.correlate(lazy, network, **OPTIONS)
    result = RECIPES[name](shifts, lazy, tmp_path)
    tables = "pairs", "plan", "search_range", "estimate", "estimate_run", "diagnose", "from_table", "tio_smoothness"
    if name in (*tables, "grid_step"):
        assert not dask.is_dask_collection(result)
    else:
        values = [result] if isinstance(result, xr.DataArray) else result.data_vars.values()
        assert all(variable.chunks is not None for variable in values)
        assert not any(coordinate.chunks for coordinate in result.coords.values())


def test_terrain_computes_nothing(lazy):
    masking, dem = xoffset.masking, (3.0 * lazy[0]).drop_vars("time")
    times = xr.DataArray([20.0, 40.0], dims="time", coords={"time": lazy.time[:2]})
    found = [function(dem) for function in (masking.slope, masking.aspect, masking.slope_mask)]
    found.append(masking.cast_shadow(dem, sun_azimuth=200.0, sun_elevation=times))
    found += [masking.stable_ground(lazy, **given) for given in ({"dem": dem}, {"moving": dem > 1}, {"classes": dem})]
    found.append(masking.stable_ground(lazy, dem=xr.zeros_like(dem).copy(data=np.ones(dem.shape))))
    assert all(each.chunks is not None for each in found)
    assert not any(coordinate.chunks for each in found for coordinate in each.coords.values())


def test_masks_compute_nothing(lazy, tmp_path):
    found = [beside(xoffset.masking.classes, tmp_path)]
    found.append(xoffset.masking.classes(lazy, like=lazy, legend="scl"))
    bands = dict.fromkeys(("blue", "green", "red", "nir", "swir16"), lazy)
    found.append(xoffset.masking.classes(bands, like=lazy))
    found += [xoffset.masking.usable(each, buffer=30.0, closing=20.0, opening=20.0) for each in found]
    assert all(each.chunks is not None for each in found)
    assert not any(coordinate.chunks for each in found for coordinate in each.coords.values())


def test_a_rate_of_a_series_is_lazy(lazy, network):
    rate = xoffset.velocity(xoffset.invert(xoffset.screen(xoffset.correlate(lazy, network, **OPTIONS))))
    assert all(variable.chunks is not None for variable in rate.data_vars.values())


def test_accessors_compute_nothing(lazy):
    shifts = lazy.offset.correlate(lazy.offset.pairs(), **OPTIONS).offset.screen(min_score=0.4)
    assert dask.is_dask_collection(shifts.offset.invert().offset.velocity())
    assert not dask.is_dask_collection(shifts.offset.diagnose())


def test_refusals_compute_nothing(lazy, network):
    with pytest.raises(ValueError, match="Reorder"):
        xoffset.correlate(lazy.transpose("y", "x", "time"), network)
    with pytest.raises(ValueError, match="Use a smaller template"):
        xoffset.correlate(lazy, network, template=200)


def test_a_lazy_mask_makes_a_lazy_result(stack, lazy, network):
    mask = (lazy > 0).coarsen(y=2, x=2).all()
    assert dask.is_dask_collection(xoffset.correlate(stack, network, mask=mask, **OPTIONS))
    assert dask.is_dask_collection(xoffset.correlate(lazy, network, mask=stack > 0, **OPTIONS))
    assert not dask.is_dask_collection(xoffset.correlate(stack, network, mask=stack > 0, **OPTIONS))
    xoffset.estimate(lazy, network, **OPTIONS, mask=mask, calibrate=False)
    xoffset.closure(xoffset.correlate(lazy, network, mask=mask, **OPTIONS), stable=mask[0])


@pytest.mark.parametrize("name", EAGER)
def test_eager_in_eager_out(name, stack, network, tmp_path):
    shifts = xoffset.correlate(stack, network, **OPTIONS)
    result = RECIPES[name](shifts, stack, tmp_path)
    assert not dask.is_dask_collection(result)
    assert all(isinstance(variable.data, np.ndarray) for variable in result.variables.values())


@pytest.mark.parametrize("name", EAGER)
def test_lazy_results_declare_what_they_hold(name, stack, lazy, network, tmp_path):
    eager = RECIPES[name](xoffset.correlate(stack, network, **OPTIONS), stack, tmp_path)
    described = RECIPES[name](xoffset.correlate(lazy, network, **OPTIONS), lazy, tmp_path)
    for key, variable in described.data_vars.items():
        assert (variable.dtype, variable.shape) == (eager[key].dtype, eager[key].shape)
        assert variable.data._meta.dtype == variable.dtype
        assert variable.attrs == eager[key].attrs
    assert described.attrs == eager.attrs
    with allowed():
        computed = described.compute()
    xr.testing.assert_identical(computed, eager)
    assert {key: each.dtype for key, each in computed.items()} == {key: each.dtype for key, each in eager.items()}


# -------------------------------------------------------------------------------------------------------- large graphs


def full_tile(chunks, *, dates=60, side=10980):
    """Stack as large as a Sentinel-2 tile, without a pixel in memory."""
    when = np.datetime64("2020-01-01", "us") + np.timedelta64(5, "D") * np.arange(dates)
    coords = {"time": when, "y": 5e6 - 10.0 * np.arange(side), "x": 5e5 + 10.0 * np.arange(side)}
    pixels = da.zeros((dates, side, side), chunks=chunks, dtype="uint16")
    return xr.DataArray(pixels, dims=("time", "y", "x"), coords=coords)


def tasks(data):
    return len(dict(data.__dask_graph__()))


@pytest.mark.parametrize("chunks", [(60, 1024, 1024), (1, 1024, 1024), (1, 512, 512), (1, 5490, 5490)])
def test_graph_of_a_full_tile_is_small(chunks):
    cloudpickle = pytest.importorskip("cloudpickle")
    images = full_tile(chunks)
    start = time.process_time()
    shifts = xoffset.correlate(images, xoffset.pairs(images, max_gap=7))
    assert time.process_time() - start < 2.0
    assert shifts.sizes["pair"] == 392
    # a graph by pair would have 1.4 million, and the images have 29 040 of their own in blocks of 512 px
    for graph in (shifts, dask.optimize(shifts)[0]):
        assert tasks(graph) < 6_000
        assert len(cloudpickle.dumps(graph.__dask_graph__())) < 5e6


# in a graph of so many blocks, the tasks of a block beside one for each variable that is new
ADDED = {
    "screen": (xoffset.screen, {"min_score": 0.5}, 2.0),
    "invert": (xoffset.invert, {}, 3.0),
    "strain": (xoffset.strain, {"window": 5}, 2.0),
    "velocity": (xoffset.velocity, {}, 1.0),
    "decompose": (xoffset.decompose, {"seasonal": True}, 1.0),
}


@pytest.mark.parametrize("name", ADDED)
def test_a_step_adds_few_tasks_a_block(name):
    images = full_tile((1, 512, 512), side=4096, dates=12)
    shifts = xoffset.correlate(images, xoffset.pairs(images, max_gap=7))
    function, options, most = ADDED[name]
    series = xoffset.invert(shifts, reference=images.time.values[0])
    given = shifts if name in ("screen", "invert", "strain") else series
    found = function(given, **options)
    blocks = shifts.dx.data.npartitions
    for before, after in ((given, found), dask.optimize(given, found)):
        new = tasks(after) - tasks(before[[each for each in before if before[each].chunks]])
        assert new / blocks <= most + sum(each.chunks is not None for each in found.data_vars.values())


def test_a_match_is_made_once_however_it_is_computed(stack, network, tmp_path, monkeypatch):
    matched = []
    match = xoffset.NCC.match_tile
    monkeypatch.setattr(xoffset.NCC, "match_tile", lambda *args, **given: matched.append(1) or match(*args, **given))
    shifts = xoffset.correlate(stack.chunk({"time": 1, "y": 40, "x": 40}), network, **OPTIONS)
    rate = xoffset.velocity(xoffset.screen(shifts))
    ways = [
        shifts.compute,
        lambda: dask.compute(shifts.dx, shifts.score),
        lambda: dask.compute(shifts, rate),
        lambda: shifts.to_zarr(tmp_path / "shifts.zarr", consolidated=False),
        lambda: dask.optimize(rate)[0].to_zarr(tmp_path / "rate.zarr", consolidated=False),
    ]
    with allowed():
        shifts.compute()
        once = len(matched)
        for way in ways:
            matched.clear()
            way()
            assert len(matched) == once


def test_images_are_read_within_a_task_if_that_costs_little():
    images = full_tile((1, 512, 512), dates=3, side=2048)
    of_reads = xoffset.correlate(images, xoffset.pairs(images))
    assert not any("zeros" in name for name in of_reads.__dask_graph__().layers)
    # what takes long to make is made once, and so is what is read in chunks larger than a block
    for other in (images.rolling(x=3).mean(), full_tile((1, 2048, 2048), dates=3, side=2048)):
        shifts = xoffset.correlate(other, xoffset.pairs(other))
        assert set(other.__dask_graph__().layers) <= set(shifts.__dask_graph__().layers)


def test_graph_of_a_full_tile_with_a_mask_of_another_grid_is_small():
    images, network = full_tile((1, 2048, 2048)), xoffset.pairs(full_tile((1, 2048, 2048)), max_gap=4)
    coarse = (full_tile((1, 2048, 2048), side=5490) == 0).assign_coords(
        y=5e6 - 5.0 - 20.0 * np.arange(5490), x=5e5 + 5.0 + 20.0 * np.arange(5490)
    )
    start = time.process_time()
    shifts = xoffset.correlate(images, network, mask=coarse)
    # a task a block and date for the mask
    assert tasks(shifts.dx) - tasks(images) - tasks(coarse) < 15_000
    assert time.process_time() - start < 5.0


def test_whole_path_of_a_full_tile_is_built_in_seconds():
    images = full_tile((1, 1024, 1024))
    start = time.process_time()
    shifts = xoffset.screen(xoffset.correlate(images, xoffset.pairs(images, max_gap=7)), min_score=0.5)
    series = xoffset.invert(shifts)
    rates = xoffset.velocity(series), xoffset.velocity(shifts)
    assert time.process_time() - start < 10.0
    assert all(tasks(rate) < 30_000 for rate in rates)
    assert series.sizes == {"time": 60, "y": 1369, "x": 1369}
    assert series.dx.dtype == "float32"


def test_tasks_hardly_grow_with_the_pairs():
    """No task is one of a pair; but the more pairs, the smaller the blocks whose results fit in a task."""
    images = full_tile((60, 1024, 1024), side=4096)
    few, many = (xoffset.correlate(images, xoffset.pairs(images, max_gap=gap)) for gap in (1, 20))
    assert many.sizes["pair"] > 15 * few.sizes["pair"]
    assert tasks(many) < 4 * tasks(few)


def test_chunks_of_the_results_hold_all_pairs_and_dates():
    images = full_tile((1, 1024, 1024), dates=8, side=4096)
    shifts = xoffset.correlate(images, xoffset.pairs(images))
    assert shifts.dx.chunksizes["pair"] == (28,)
    assert all(shifts[name].chunks == shifts.dx.chunks for name in shifts.data_vars)
    assert xoffset.invert(shifts).dx.chunksizes["time"] == (8,)


# ------------------------------------------------------------------------------------------------------ other machines


@pytest.fixture(scope="module")
def eager_rate(stack, network):
    return xoffset.velocity(xoffset.screen(xoffset.correlate(stack, network, **OPTIONS)))


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": -1}, {"time": 2, "y": 7, "x": 90}, {"y": 31, "x": 17}])
def test_any_chunks_give_the_same_bits(chunks, stack, network, eager_rate):
    rate = xoffset.velocity(xoffset.screen(xoffset.correlate(stack.chunk(chunks), network, **OPTIONS)))
    with allowed():
        xr.testing.assert_identical(rate.compute(), eager_rate)


def test_graphs_travel(lazy, network, eager_rate):
    cloudpickle = pytest.importorskip("cloudpickle")
    rate = xoffset.velocity(xoffset.screen(xoffset.correlate(lazy, network, **OPTIONS)))
    copied = cloudpickle.loads(cloudpickle.dumps(rate))
    with allowed():
        xr.testing.assert_identical(copied.compute(), eager_rate)


def test_names_of_tasks_follow_from_the_input(lazy, network):
    first, again = (xoffset.velocity(xoffset.correlate(lazy, network, **OPTIONS)) for _ in range(2))
    other = xoffset.velocity(xoffset.correlate(lazy, network, **OPTIONS | {"search": 4}))
    assert first.vx.data.name == again.vx.data.name
    assert first.vx.data.name != other.vx.data.name


def test_distributed_gives_the_same_bits(lazy, network, eager_rate):
    distributed = pytest.importorskip("distributed")
    rate = xoffset.velocity(xoffset.screen(xoffset.correlate(lazy, network, **OPTIONS)))
    with (
        distributed.LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        dask.config.set(scheduler=client),
    ):
        computed = rate.compute()
    xr.testing.assert_identical(computed, eager_rate)
