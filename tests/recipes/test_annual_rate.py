"""The recipe `annual-rate`: every parameter has its effect, and every product its name, sign and unit."""

import json
import tomllib

import numpy as np
import pyproj
import pytest
import rasterio
import safe_products
import stac_items
import xarray as xr
from click.testing import CliRunner

import xoffset
from xoffset import cli, synthetic
from xoffset.pipeline import planning
from xoffset.recipes import AnnualRate

h5py = pytest.importorskip("h5py")

DATES = ["2018-03-02", "2018-11-22", "2019-11-22", "2020-02-01", "2020-12-01", "2021-11-01"]
CHOSEN = ["20181122", "20191122", "20201201", "20211101"]
PAIRS = [(a, b) for k, a in enumerate(CHOSEN) for b in CHOSEN[k + 1 :]]
SIDE = 216
QUICK = {"search_limit": 8}


@pytest.fixture(scope="module")
def images():
    """Images (time, y, x) of a landslide that moves by 20 m a year, southeast, misplaced by some metres."""
    return synthetic.stack(
        (SIDE, SIDE), dates=DATES, velocity=20.0, direction=120.0, snr=8.0, misregistration=4.0, seed=6
    )


@pytest.fixture(scope="module")
def stack(images):
    return images[0].chunk()


@pytest.fixture(scope="module")
def slides(images, tmp_path_factory):
    """File of a polygon around what moves."""
    truth = images[1]
    moves = np.hypot(truth.vx, truth.vy).values > 0.5
    rows, columns = np.nonzero(moves)
    x, y = truth.x.values[columns], truth.y.values[rows]
    (west, east), (south, north) = (x.min(), x.max()), (y.min(), y.max())
    ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    code = pyproj.CRS.from_wkt(images[0].spatial_ref.attrs["crs_wkt"]).to_epsg()
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    path = tmp_path_factory.mktemp("slides") / "slides.geojson"
    shape = {"type": "Polygon", "coordinates": [np.array(ring).tolist()]}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [
        {"type": "Feature", "properties": {}, "geometry": shape}]}))  # fmt: skip
    return str(path)


@pytest.fixture(scope="module")
def run(stack, slides, tmp_path_factory):
    out = tmp_path_factory.mktemp("annual") / "out"
    found = xoffset.run("annual-rate", stack, out, landslides=slides, landslide_buffer=100.0, **QUICK)
    return {name: each.compute() for name, each in found.items()}, out


def results(scenes, **fields):
    """Results of the recipe, lazy, and nothing is written."""
    return planning.make_plan(AnnualRate(**QUICK | fields), scenes, {}).results


# ----------------------------------------------------------------------------------------------------------- parameters


def test_one_image_a_year_of_one_season(run, stack):
    assert run[0]["series"].time.dt.strftime("%Y%m%d").values.tolist() == CHOSEN
    ends = [np.datetime_as_string(run[0]["matches"][name].values, "D") for name in ("reference", "secondary")]
    assert [(a.replace("-", ""), b.replace("-", "")) for a, b in zip(*ends, strict=True)] == PAIRS


@pytest.fixture(scope="module")
def scenes(images, tmp_path_factory):
    """Products of three dates with random classes, and a box in their middle."""
    folder = tmp_path_factory.mktemp("safe")
    for orbit, date, image in zip((65, 65, 65, 8), DATES[1:], images[0].values[1:], strict=False):
        safe_products.write(
            folder, date=f"{date}T10:20:31", orbit=orbit, level="L2A", bands=("B04", "B08"), size=SIDE,
            pixels={"B08": np.clip(image, 1, 10000).round().astype(int)},
        )  # fmt: skip
    whole = xoffset.open_stack(folder, band="B08", orbit=65)
    box = (float(whole.x[60]), float(whole.y[150]), float(whole.x[150]), float(whole.y[60]))
    return folder, whole, box


def test_band_orbit_and_tile_are_those_of_the_products(scenes):
    folder, whole, _ = scenes
    assert results(folder, relative_orbit=65, classes="none")["images"].identical(whole.chunk()) or results(
        folder, relative_orbit=65, classes="none"
    )["images"].equals(whole)
    other = results(folder, relative_orbit=65, band="B04", classes="none", tile="31TGK")["images"]
    assert other.equals(xoffset.open_stack(folder, band="B04", orbit=65, tile="31TGK"))
    with pytest.raises(ValueError, match="orbit"):
        results(folder, classes="none")


def test_clouds_of_the_image_and_of_the_area_leave_it_out(scenes):
    folder, _, box = scenes
    given = {"relative_orbit": 65, "aoi": box, "aoi_buffer": 100.0}
    cloudy = {"max_cloud_bbox": 100.0} | given
    assert results(folder, **cloudy)["stack"].sizes["time"] == 3
    with pytest.raises(ValueError, match=r"needs a date of at most 0\.005"):
        results(folder, **given)
    with pytest.raises(ValueError, match=r"needs a date of at most 0\.1"):
        results(folder, max_cloud_image=10.0, **cloudy)
    # classes are random: each is a ninth or so
    assert results(folder, max_cloud_image=12.0, mask_classes=(3,), **cloudy)["stack"].sizes["time"] == 3
    with pytest.raises(ValueError, match=r"needs a date of at most 0\.12"):
        results(folder, max_cloud_image=12.0, **cloudy)


def test_the_area_of_interest_has_a_buffer(scenes):
    folder, whole, box = scenes
    found = results(folder, relative_orbit=65, aoi=box, aoi_buffer=200.0, classes="none")["stack"]
    xr.testing.assert_equal(found[0].compute(), whole.isel(y=slice(40, 171), x=slice(40, 171))[0])


def test_grid_and_chips_are_those_of_autorift(stack, run):
    matches = run[0]["matches"]
    assert abs(float(matches.x[1] - matches.x[0])) == 80.0
    assert set(np.unique(matches.template_size.values[np.isfinite(matches.template_size.values)])) <= {16.0, 32.0}
    finer = results(stack, grid=40.0)["matches"]
    assert abs(float(finer.x[1] - finer.x[0])) == 40.0
    large = results(stack, chip_size_min=32, chip_size_max=64)["matches"].isel(pair=[0]).compute()
    sizes = large.template_size.values
    assert set(np.unique(sizes[np.isfinite(sizes)])) <= {32.0, 64.0}


def test_search_and_filter_reach_as_far_as_asked_for(stack):
    moved = stack.copy(
        data=np.stack([np.roll(each, 9 * (k > 2), axis=1) for k, each in enumerate(stack.values)])
    ).chunk()
    pair = {"pair": [1]}
    near, far = (results(moved, search_limit=k)["matches"].isel(pair).compute() for k in (4, 14))
    assert float(far.dx.median()) == pytest.approx(90.0, abs=6.0)
    assert not abs(float(near.dx.median()) - 90.0) < 20.0
    narrow, wide = (results(stack, prefilter_width=k)["matches"].isel(pair).compute() for k in (5, 101))
    assert float(abs(narrow.dx - wide.dx).median()) > 0.05


def test_stable_ground_is_that_outside_of_landslides(run, stack, slides):
    matches, corrected = run[0]["matches"], run[0]["corrected"]
    ground = xoffset.masking.stable_ground(stack, moving=slides, buffer=100.0)
    wanted = xoffset.remove_median(matches, stable=ground)
    xr.testing.assert_allclose(corrected.removed_dx, wanted.removed_dx, atol=1e-5)
    wider = results(stack, landslides=slides, landslide_buffer=400.0)["ground"]
    assert int(wider.sum()) < int(ground.sum())
    assert "ground" not in results(stack)


def test_pairs_weigh_alike_unless_asked_for(run, stack):
    plain = xoffset.invert(run[0]["corrected"], weights="uniform", loss="linear", reference="first")
    xr.testing.assert_allclose(run[0]["series"].dx, plain.dx, atol=1e-4)
    steps = {step.name: step.options for step in AnnualRate(weighted=True).steps}
    assert steps["series"] == {"reference": "first"}
    assert steps["velocity"] == {}


def test_the_rate_is_a_plain_line(run):
    """As MintPy has it: least squares, and the standard error from the scatter."""
    series, rate = run[0]["series"], run[0]["velocity"]
    years = (series.time.values - series.time.values[0]) / np.timedelta64(1, "D") / 365.25
    away = years - years.mean()
    for name in ("x", "y"):
        moved = series[f"d{name}"].values
        slope = np.tensordot(away, moved, 1) / (away**2).sum()
        known = np.isfinite(slope)
        assert known.mean() > 0.5
        np.testing.assert_allclose(rate[f"v{name}"].values[known], slope[known], atol=2e-4)
        rest = moved - moved.mean(axis=0) - away[:, None, None] * slope
        error = np.sqrt((rest**2).sum(axis=0) / ((years.size - 2) * (away**2).sum()))
        ratio = rate[f"sigma_v{name}"].values / error
        assert np.nanmedian(ratio) == pytest.approx(1.0, abs=0.35)


def test_the_landslide_is_found(run, images):
    truth = images[1].interp(x=run[0]["velocity"].x, y=run[0]["velocity"].y)
    moves = np.hypot(truth.vx, truth.vy) > 15.0
    for name in ("vx", "vy"):
        assert float(abs(run[0]["velocity"][name] - truth[name]).where(moves).median()) < 1.5


def test_a_buffer_in_degrees_ends_at_the_antimeridian():
    west, south, east, north = AnnualRate(aoi=(179.0, -17.0, 179.995, -16.5)).box
    assert east == 180.0
    assert 178.9 < west < 179.0
    assert (south, north) == pytest.approx((-17.0 - 2000.0 / 111_320.0, -16.5 + 2000.0 / 111_320.0))


def test_bad_parameters_are_named(stack):
    for fields, advice in (
        ({"chip_size_max": 48}, "chip_size_max of chip_size_min, doubled"),
        ({"mask_classes": ("cloud",)}, "numbers of classes as mask_classes"),
        ({"aoi_buffer": 10.0}, "needs aoi for aoi_buffer"),
        ({"landslide_buffer": 10.0}, "needs landslides for landslide_buffer"),
        ({"images": "files", "datetime": "2020"}, "needs a catalogue for datetime"),
        ({"max_cloud_image": 101.0}, "from 0 to 100 as max_cloud_image"),
        ({"grid": 0.0}, "as grid"),
        ({"tile": "60 HUB"}, "letters and digits as tile"),
        ({"aoi": (1.0, 2.0, 3.0)}, "needs aoi=.west"),
        ({"aoi": ("a", "b", "c", "d")}, "needs aoi=.west"),
        ({"aoi": (5.0, 2.0, 3.0, 4.0)}, "needs aoi=.west"),
        ({"classes": "none", "max_cloud_bbox": 1.0}, "for max_cloud_bbox; got none .*would have no effect"),
        ({"images": "catalogue", "mask_classes": (8,)}, "for mask_classes; got none .*would have no effect"),
        ({"images": "catalogue", "classes": "products"}, "needs files for classes='products'"),
    ):
        with pytest.raises(ValueError, match=advice):
            AnnualRate(**fields)
    with pytest.raises(ValueError, match="whole number of pixels"):
        results(stack, grid=75.0)
    with pytest.raises(ValueError, match="classes='products'; got other images"):
        results(stack, classes="products")
    with pytest.raises(ValueError, match=r"images whose classes are known.*for max_cloud_image"):
        results(stack, max_cloud_image=10.0)


# ------------------------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize(("folder", "product"), [(".", "matches"), ("corrected", "corrected")])
@pytest.mark.parametrize(("end", "name"), [("EW", "dx"), ("NS", "dy")])
def test_offsets_are_in_metres(run, folder, product, end, name):
    for pair, (first, second) in enumerate(PAIRS):
        with rasterio.open(run[1] / folder / f"autorift_{first}T000000_{second}T000000_{end}Offset.tif") as file:
            wanted = run[0][product][name][pair]
            assert (file.count, file.dtypes[0], file.nodata, file.tags()["units"]) == (1, "float32", -32768.0, "m")
            assert (file.transform.a, file.transform.e) == (80.0, -80.0)
            np.testing.assert_allclose(file.xy(0, 0), (float(wanted.x[0]), float(wanted.y[0])))
            np.testing.assert_array_equal(file.read(1), wanted.fillna(-32768.0).values)
    lines = (run[1] / folder / "metadata.txt").read_text().splitlines()
    assert len(lines) == 2 * len(PAIRS)
    assert f"autorift_{PAIRS[0][0]}T000000_{PAIRS[0][1]}T000000_EWOffset.tif {PAIRS[0][0]} {PAIRS[0][1]}" in lines


@pytest.mark.parametrize(("again", "advice"), [([0, 0], "one match of each pair of days"), ([], "two days a pair")])
def test_offsets_that_names_cannot_tell_apart_are_refused(run, again, advice, tmp_path):
    shifts = run[0]["matches"].isel(pair=again or [0])
    if not again:
        shifts = shifts.assign_coords(secondary=shifts["reference"] + np.timedelta64(2, "h"))
    with pytest.raises(ValueError, match=advice):
        xoffset.formats.autorift.write_offsets(shifts, tmp_path)


@pytest.mark.parametrize(("end", "axis"), [("Rg", "x"), ("Az", "y")])
def test_files_of_mintpy_hold_the_products(run, end, axis):
    series, rate = run[0]["series"], run[0]["velocity"]
    rest = xoffset.misclosure(run[0]["corrected"], series)[f"residual_d{axis}"].values
    wanted = {
        f"timeseries{end}.h5": ("timeseries", series[f"d{axis}"].values, "m"),
        f"residualInv{end}.h5": (
            "residual",
            np.where(np.isfinite(rest).any(0), np.sqrt(np.nansum(rest**2, 0)), np.nan),
            "m",
        ),
        f"numInvOffset{end}.h5": ("mask", np.isfinite(rest).sum(0), "1"),
        f"velocity{end}.h5": ("velocity", rate[f"v{axis}"].values, "m/year"),
    }
    for name, (field, values, unit) in wanted.items():
        with h5py.File(run[1] / name) as file:
            assert file.attrs["UNIT"] == unit
            assert (float(file.attrs["X_STEP"]), float(file.attrs["Y_STEP"])) == (80.0, -80.0)
            assert file.attrs["FILE_TYPE"] == field
            np.testing.assert_allclose(file[field][:], values, rtol=1e-5, atol=1e-6)
    with h5py.File(run[1] / f"velocity{end}.h5") as file:
        np.testing.assert_allclose(file["velocityStd"][:], rate[f"sigma_v{axis}"].values, rtol=1e-6)
        assert (file.attrs["START_DATE"], file.attrs["END_DATE"]) == (CHOSEN[0], CHOSEN[-1])
    with h5py.File(run[1] / f"timeseries{end}.h5") as file:
        assert file["date"][:].astype(str).tolist() == CHOSEN


@pytest.mark.parametrize(("name", "variable"), [("velocity_ew.tif", "vx"), ("velocity_sn.tif", "vy")])
def test_velocities_are_maps(run, name, variable):
    with rasterio.open(run[1] / name) as file:
        assert (file.dtypes[0], file.tags()["units"]) == ("float32", "m yr-1")
        np.testing.assert_array_equal(file.read(1), run[0]["velocity"][variable].values)


def test_the_run_is_written_down_and_made_again(run, stack, tmp_path):
    told = tomllib.loads((run[1] / "recipe.toml").read_text())
    assert (told["recipe"], told["grid"], told["images"]) == ("annual-rate", 80.0, "files")
    assert "the classes are not known" in str(told["not_written"])
    again = xoffset.run(run[1] / "recipe.toml", stack, tmp_path / "again")
    xr.testing.assert_identical(again["velocity"].compute(), run[0]["velocity"])
    with pytest.raises(ValueError, match="needs the same images, parameters and version"):
        xoffset.run(run[1] / "recipe.toml", stack, tmp_path / "again", search_limit=9)


def test_catalogues_are_searched_with_the_choice_of_the_workflow():
    recipe = AnnualRate(
        collection="sentinel-2-l2a", aoi=(175.0, -40.0, 175.1, -39.9), datetime="2016/2021", relative_orbit=129
    )
    (way,) = recipe.ways("https://planetarycomputer.microsoft.com/api/stac/v1")
    step = way.steps[0]
    assert (step.call.__name__, step.options["band"], step.options["orbit"]) == ("open_stac", "B08", 129)
    assert (step.options["max_cloud"], step.options["max_cloud_scene"], step.options["one_a_year"]) == (0.5, 33.0, True)
    west, south, east, north = step.options["bbox"]
    np.testing.assert_allclose((175.0 - west, -40.0 - south), (0.02345, 0.017966), rtol=1e-2)
    assert (east - 175.1, north + 39.9) == pytest.approx((175.0 - west, -40.0 - south))
    script = recipe.script("https://planetarycomputer.microsoft.com/api/stac/v1")
    assert "xoffset.open_stac('https://planetarycomputer" in script
    assert "xoffset.filtering.Highpass(" in script


def test_items_of_a_catalogue_are_chosen(tmp_path):
    clear, cloudy = np.full((120, 120), 4, np.uint8), np.full((120, 120), 4, np.uint8)
    cloudy[20:40, 20:40] = 9
    items = [
        stac_items.sentinel2(tmp_path, date=f"{date}T10:20:31", classes=classes, cloud=cover, root=str(tmp_path))
        for date, classes, cover in (
            ("2019-07-02", clear, 10.0), ("2020-07-12", clear, 50.0), ("2020-07-20", clear, 20.0),
            ("2021-07-11", cloudy, 3.0), ("2021-09-01", clear, 3.0),
        )
    ]  # fmt: skip
    area = {"band": "B04", "aoi": (500_100.0, 4_997_700.0, 502_300.0, 4_999_900.0), "aoi_buffer": 50.0}
    found = results(items, **area)
    assert found["stack"].time.dt.strftime("%Y%m%d").values.tolist() == ["20190702", "20200720", "20210901"]
    assert found["network"].sizes["pair"] == 3
    more = results(items, max_cloud_image=60.0, max_cloud_bbox=10.0, **area)
    assert more["stack"].time.dt.strftime("%Y%m%d").values.tolist() == ["20190702", "20200712", "20210711"]


def test_options_are_the_fields():
    told = CliRunner().invoke(cli.main, ["run", "annual-rate", "--help"])
    for option in ("--max-cloud-image", "--landslide-buffer", "--chip-size-min", "--weighted"):
        assert option in told.output, told.output
