"""The recipe `tio`: every parameter of the service has its effect, and every product its name, sign and unit."""

import tomllib

import numpy as np
import pytest
import rasterio
import safe_products
import xarray as xr
from click.testing import CliRunner
from PIL import Image

import xoffset
from xoffset import cli, synthetic
from xoffset.pipeline import planning
from xoffset.recipes import Tio

DATES = ["2017-06-02", "2017-06-22", "2017-07-12", "2017-08-11", "2017-09-20", "2017-10-10"]
CLOUDY = 3
DAYS = [date.replace("-", "") for k, date in enumerate(DATES) if k != CLOUDY]
PAIRS = [f"{DAYS[i]}-{DAYS[j]}" for i in range(5) for j in range(i + 1, min(i + 3, 5))]
SIDE, PRODUCT = 72, 240
# pixels of the tile that the region holds
ROWS, COLUMNS = slice(90, 138), slice(86, 146)


@pytest.fixture(scope="module")
def images():
    """Images (time, y, x) of a landslide, and noise."""
    part = slice(PRODUCT // 2 - SIDE // 2, PRODUCT // 2 + SIDE // 2)
    whole = synthetic.stack((PRODUCT, PRODUCT), dates=DATES, velocity=60.0, direction=120.0, snr=6.0, seed=4)[0]
    return whole, whole[:, part, part]


@pytest.fixture(scope="module")
def stack(images):
    return images[1].isel(time=[k for k in range(6) if k != CLOUDY]).chunk()


@pytest.fixture(scope="module")
def scenes(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("safe")
    for k, (date, image) in enumerate(zip(DATES, images[0].values, strict=True)):
        vapour = np.full((PRODUCT, PRODUCT), 2600 if k == CLOUDY else 1100)
        vapour[200:] = 9000  # a cloud outside of the region
        pixels = {"B03": np.clip(image, 1, 10000).round().astype(int), "B09": vapour}
        safe_products.write(
            folder, date=f"{date}T10:20:31", pixels=pixels, bands=("B03", "B04", "B09"), size=PRODUCT, baseline="02.05"
        )
    return folder


@pytest.fixture(scope="module")
def region(scenes):
    """Box of the region in metres."""
    whole = xoffset.open_stack(scenes, band="B03").isel(y=ROWS, x=COLUMNS)
    return (float(whole.x[0]) - 3.0, float(whole.y[-1]) - 3.0, float(whole.x[-1]) + 3.0, float(whole.y[0]) + 3.0)


@pytest.fixture(scope="module")
def run(scenes, region, tmp_path_factory):
    out = tmp_path_factory.mktemp("tio") / "out"
    found = xoffset.run("tio", scenes, out, region_of_interest=region, max_pairs_per_date=2)
    return {name: each.compute() for name, each in found.items()}, out


def results(scenes, **fields):
    """Results of the recipe, lazy, and nothing is written."""
    return planning.make_plan(Tio(**fields), scenes, {}).results


def spread(field):
    return float(np.abs(field - field.median()).median())


# ----------------------------------------------------------------------------------------------------------- parameters


def test_band_and_tile_are_those_of_the_products(scenes, tmp_path):
    assert results(scenes, cloud_band="none")["stack"].identical(xoffset.open_stack(scenes, band="B03", chunks=1024))
    other = results(scenes, cloud_band="none", band="B04")["stack"]
    assert other.identical(xoffset.open_stack(scenes, band="B04", chunks=1024))
    for date in ("2016-07-01T20:46:43.000", "2016-07-11T20:46:43.000"):
        safe_products.write_old(tmp_path, date=date)
    assert set(results(tmp_path, tile="05MKP", band="B04")["stack"].tile.values) == {"05MKP"}


def test_the_region_is_cropped_by_whole_pixels(scenes, region, run):
    whole = xoffset.open_stack(scenes, band="B03").isel(y=ROWS, x=COLUMNS)
    cropped = results(scenes, cloud_band="none", region_of_interest=region)["stack"]
    xr.testing.assert_equal(cropped.compute(), whole)
    west, south, east, north = rasterio.warp.transform_bounds("EPSG:32631", "EPSG:4326", *region)
    inside = results(scenes, cloud_band="none", region_of_interest=(west, south, east, north))["stack"]
    assert set(whole.x.values) <= set(inside.x.values)
    assert inside.sizes["x"] <= whole.sizes["x"] + 2
    # windows reach four pixels farther
    np.testing.assert_array_equal(run[0]["series"].x, whole.x[4:-4])


def test_dates_whose_water_vapour_band_is_bright_are_left_out(scenes, region, run):
    days = run[0]["series"].time.dt.strftime("%Y%m%d").values.tolist()
    assert days == DAYS
    for threshold, count in ((1099.0, None), (1100.0, 5), (2600.0, 6)):
        if count is None:
            with pytest.raises(ValueError, match=r"needs a date of at most 1099"):
                results(scenes, region_of_interest=region, cloud_thres=threshold)
        else:
            found = results(scenes, region_of_interest=region, cloud_thres=threshold)
            assert found["stack"].sizes["time"] == count
    assert results(scenes, cloud_thres=9000.0)["stack"].sizes["time"] == 6
    assert results(scenes, region_of_interest=region, cloud_band="none")["stack"].sizes["time"] == 6


def test_each_image_is_matched_with_the_next_ones(stack):
    assert [results(stack, max_pairs_per_date=k)["network"].sizes["pair"] for k in (1, 2, 4)] == [4, 7, 10]


def test_matching_has_the_parameters_of_micmac(stack):
    one = {"max_pairs_per_date": 1}
    still = slice(None, 12)
    narrow, wide = (
        spread(results(stack, window_size=k, regularization_parameter=0.05, **one)["matches"].dx[0, still].compute())
        for k in (1, 5)
    )
    assert wide < 0.8 * narrow
    rough, smooth = (
        spread(results(stack, regularization_parameter=k, window_size=2, **one)["matches"].dx[0, still].compute())
        for k in (0.0, 1.0)
    )
    assert smooth < 0.9 * rough
    moved = stack.copy(data=np.stack([np.roll(each, 6 * k, axis=1) for k, each in enumerate(stack.values)])).chunk()
    far, near = (
        results(moved, spatial_matching_range=k, **one)["matches"].dx[0].compute().median() for k in (6.0, 1.0)
    )
    assert float(far) == pytest.approx(60.0, abs=5.0)
    assert not float(near) > 40.0


def test_the_median_of_the_whole_map_comes_off(stack):
    off, on = (results(stack, max_pairs_per_date=1, rm_median=each)["used"].compute() for each in (False, True))
    assert float(abs(on.dx.median(("y", "x"))).max()) < 1e-5
    xr.testing.assert_allclose(on.dx + on.removed_dx, off.dx, atol=1e-4)
    assert "removed_dx" not in off


@pytest.fixture(scope="module")
def shifts(stack):
    """Shifts of a network, with blunders and holes, on a few nodes."""
    found = results(stack)["corrected"].isel(y=slice(20, 26), x=slice(20, 30)).compute()
    found["dx"][2, :3] += 12.0
    found["dx"][4, 3:, :5] += 4.0
    for name in ("dx", "dy"):
        found[name][3:, 0, 0] = np.nan
    return found


def inverted(shifts, **fields):
    """Series that the steps after matching make of shifts."""
    made = {"corrected": shifts, "network": shifts}
    for step in Tio(**fields).steps:
        if step.name in ("used", "strength", "inverted", "series", "misclosed"):
            subjects = [made.get(str(each), each) for each in step.subjects]
            options = {
                name: made.get(each, each) if isinstance(each, str) else each for name, each in step.options.items()
            }
            made[step.name] = step.call(*subjects, **options)
    return made


def test_the_inversion_is_that_of_tio(shifts):
    found = inverted(shifts, rms_misclosure_threshold=0)["series"]
    strength = xoffset.tio_smoothness(shifts, coefficient=0.003)
    wanted = xoffset.invert(
        xoffset.discard_pixels(shifts),
        weights="tio",
        loss="tio",
        residual_scale=2.0,
        smooth=strength,
        reference="first",
    )
    xr.testing.assert_equal(found, wanted)
    assert not found.dx[:, 1:].isnull().any()


def test_smoothing_bends_and_below_a_limit_does_not(shifts):
    none, tiny, usual, strong = (
        inverted(shifts, smoothing_coefficient=k, rms_misclosure_threshold=0)["series"].dx.values
        for k in (0.0, 0.00009, 0.003, 300.0)
    )
    np.testing.assert_array_equal(none, tiny)
    assert 0.0 < np.nanmax(np.abs(usual - none)) < 1e-3
    assert np.nanmax(np.abs(np.diff(strong, 2, axis=0))) < np.nanmax(np.abs(np.diff(none, 2, axis=0)))


def test_misclosure_in_metres_masks_pixels(shifts):
    made = inverted(shifts, rms_misclosure_threshold=1.0)
    rms = made["inverted"].rms
    assert 0.1 < float((rms > 1.0).mean()) < 0.9
    assert bool((made["series"].dx.isnull().all("time") | (rms <= 1.0)).all())
    known = made["inverted"].dx.notnull() & (rms <= 1.0)
    assert bool((made["series"].dx.notnull() == known).all())
    assert "inverted" not in inverted(shifts, rms_misclosure_threshold=0)


def test_residuals_weigh_pairs_by_their_scale(shifts):
    plain = xoffset.invert(shifts, weights="tio", loss="linear", reference="first").dx[:, 1]
    away = [
        float(abs(inverted(shifts, weighting_res_scaling_val=k)["inverted"].dx[:, 1] - plain).max())
        for k in (0.5, 2.0, 200.0)
    ]
    assert away[0] > away[1] > 1.0 > 0.05 > away[2]


def test_large_residuals_are_masked_as_the_form_says(shifts):
    kept, masked = (inverted(shifts, mask_large_residuals=each)["inverted"] for each in (False, True))
    rest = abs(inverted(shifts)["misclosed"].residual_dx).max("pair")
    moved = abs(masked.dx - kept.dx).max("time")
    assert float(moved.where(rest > 6.0).max()) > 0.05
    assert float(moved[3:].max()) < 1e-3  # residuals of less than 5 m
    assert Tio().mask_large_residuals is False


def test_pixels_need_enough_pairs(shifts):
    sparse = inverted(shifts)["inverted"].dx[:, 0, 0]
    assert bool(sparse.notnull().any())  # seven of ten pairs lack
    assert bool(inverted(shifts, maximum_fraction_of_discarded_pairs=0.69)["inverted"].dx[:, 0, 0].isnull().all())
    counts = [int(inverted(shifts, minimum_pairs_per_image=k)["used"].dx[:, 0, 0].notnull().sum()) for k in (1, 2, 3)]
    assert counts == [3, 0, 0]


def test_bad_parameters_are_named():
    for fields, advice in (
        ({"cloud_thres": -1}, "from 0 to inf as cloud_thres"),
        ({"max_pairs_per_date": 2.5}, "a whole number from 1 to inf as max_pairs_per_date"),
        ({"region_of_interest": (5.0, 45.0, 4.0, 46.0)}, "needs region_of_interest=.west"),
        ({"region_of_interest": "here"}, "needs region_of_interest=.west"),
        ({"mask_large_residuals": 5}, "True or False"),
        ({"tile": "31 TGK"}, "letters and digits as tile"),
        ({"cloud_band": "none", "cloud_thres": 500.0}, "with band B09 for cloud_thres; got none .*no effect"),
        ({"maximum_fraction_of_discarded_pairs": 1.5}, "from 0 to 1"),
    ):
        with pytest.raises((ValueError, TypeError), match=advice):
            Tio(**fields)
    with pytest.raises(TypeError, match="Did you mean 'max_pairs_per_date'"):
        Tio.of({"max_pairs_per_dates": 3})


def test_scenes_that_lack_what_is_asked_for_are_refused(stack):
    with pytest.raises(ValueError, match="needs products of Sentinel-2 as scenes for cloud_band='products'"):
        results(stack, cloud_band="products")
    with pytest.raises(ValueError, match="with band B09 for cloud_thres"):
        results(stack, cloud_thres=500.0)
    twice = stack.assign_coords(time=stack.time.where(np.arange(5) != 1, stack.time[0] + np.timedelta64(1, "h")))
    with pytest.raises(ValueError, match="needs images of two days in each pair"):
        results(twice)


# ------------------------------------------------------------------------------------------------------------- products


def expected(run, name):
    """Values (band, y, x) that a file should have, from the products in metres, north positive."""
    products = run[0]
    series, used = products["series"], xoffset.discard_pixels(products["corrected"])
    rest = xoffset.misclosure(used, products["inverted"])
    return {
        "depl_cumule_EW": series.dx, "depl_cumule_NS": -series.dy, "RMSpixel_dates_EW": rest.rms_dx,
        "RMSpixel_dates_NS": rest.rms_dy, "RMSpixel_pairs_EW": abs(rest.residual_dx),
        "RMSpixel_pairs_NS": abs(rest.residual_dy),
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "depl_cumule_EW",
        "depl_cumule_NS",
        "RMSpixel_dates_EW",
        "RMSpixel_dates_NS",
        "RMSpixel_pairs_EW",
        "RMSpixel_pairs_NS",
    ],
)
def test_products_are_those_of_the_service(run, name):
    wanted = expected(run, name)
    with rasterio.open(run[1] / f"{name}.tiff") as file:
        assert (file.dtypes[0], file.nodata, file.tags()["units"]) == ("float32", 9999.0, "m")
        assert list(file.descriptions) == (PAIRS if "pairs" in name else DAYS)
        assert (file.tags()["first"], file.tags()["last"]) == (DAYS[0], DAYS[-1])
        assert file.transform.e == -10.0
        assert file.crs.to_epsg() == 32631
        np.testing.assert_allclose(file.xy(0, 0), (float(wanted.x[0]), float(wanted.y[0])))
        found = file.read()
    np.testing.assert_allclose(found, wanted.fillna(9999.0), rtol=1e-6, atol=1e-7)
    assert (found != 9999.0).any()


def test_series_come_back(run):
    back = xoffset.formats.tio.read(run[1])
    for name in ("dx", "dy"):
        np.testing.assert_array_equal(back[name], run[0]["series"][name])
    assert back.time.dt.strftime("%Y%m%d").values.tolist() == DAYS
    assert back.spatial_ref.attrs["crs_wkt"] == run[0]["series"].spatial_ref.attrs["crs_wkt"]


@pytest.mark.parametrize(("end", "name", "sign"), [("EW", "dx", 1.0), ("NS", "dy", -1.0)])
def test_quicklooks_move_and_lie_on_the_map(run, end, name, sign):
    from matplotlib import colormaps

    path = run[1] / f"quicklook_depl_cumule_{end}.png"
    series = sign * run[0]["series"][name]
    with Image.open(path) as picture:
        assert (picture.format, picture.n_frames, picture.is_animated) == ("PNG", 5, True)
        picture.seek(4)
        colours = np.asarray(picture.convert("RGBA"))
    a, d, b, e, west, north = map(float, path.with_suffix(".pngw").read_text().split())
    assert (d, b) == (0.0, 0.0)
    assert a > 0.0 > e
    most = float(np.abs(series).max())
    inside, _ = np.nonzero(series[4].notnull().values)
    row = int(inside[len(inside) // 2])
    known = np.flatnonzero(series[4, row].notnull().values)
    column = int(known[np.abs(known - 50).argmin()])
    to_degrees = rasterio.warp.transform("EPSG:32631", "EPSG:4326", [series.x[column]], [series.y[row]])
    place = round((to_degrees[1][0] - north) / e), round((to_degrees[0][0] - west) / a)
    wanted = colormaps["jet"]((float(series[4, row, column]) + most) / (2.0 * most))
    np.testing.assert_allclose(colours[place][:3], 255.0 * np.array(wanted[:3]), atol=12)
    assert colours[place][3] == 255


def test_the_run_is_written_down_and_made_again(run, scenes, tmp_path):
    told = tomllib.loads((run[1] / "recipe.toml").read_text())
    assert (told["recipe"], told["band"], told["cloud_band"], told["max_pairs_per_date"]) == (
        "tio",
        "B03",
        "products",
        2,
    )
    assert told["not_written"] == {}
    again = xoffset.run(run[1] / "recipe.toml", scenes, tmp_path / "again")
    xr.testing.assert_identical(again["series"].compute(), run[0]["series"])
    with pytest.raises(ValueError, match="needs the same images, parameters and version"):
        xoffset.run(run[1] / "recipe.toml", scenes, tmp_path / "again", max_pairs_per_date=3)


def test_without_the_band_of_clouds_it_is_said(images, tmp_path):
    for date, image in zip(DATES[:3], images[0].values, strict=False):
        pixels = {"B03": np.clip(image, 1, 10000).round().astype(int)}
        safe_products.write(tmp_path, date=f"{date}T10:20:31", pixels=pixels, bands=("B03",), size=PRODUCT)
    plan = planning.make_plan(Tio(), tmp_path, {})
    assert plan.recipe.cloud_band == "none"
    assert "B09" in str(plan.not_written)


def test_script_and_options_are_the_fields(scenes, region, tmp_path):
    script = Tio(region_of_interest=region).script(scenes)
    for call in ("drop_cloudy(", "crop(", "remove_median(", "tio_smoothness(", "misclosure(", "formats.tio.write("):
        assert call in script
    compile(script, "script", "exec")
    told = CliRunner().invoke(cli.main, ["run", "tio", "--help"])
    for option in ("--cloud-thres", "--max-pairs-per-date", "--weighting-res-scaling-val", "--no-rm-median"):
        assert option in told.output
