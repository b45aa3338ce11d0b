"""The recipe `pycorr`: every layer and picture is read back by others' libraries, and is what was computed."""

import io
import logging
import zipfile

import h5py
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
from matplotlib.image import imread
from pycorr_scenes import DAYS, OFF, OPTIONS, STEM, scene_in

import xoffset
from xoffset.formats import pycorr

HELD = ("vx", "vx_masked", "vy", "vy_masked", "vv", "vv_masked", "corr", "del_corr")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return scene_in(tmp_path_factory.mktemp("pycorr"))


@pytest.fixture(scope="module")
def run(scene):
    """Products in memory, and the folder of a run with netCDF."""
    out = scene.folder.parent / "netcdf"
    found = xoffset.run("pycorr", scene.folder, out, lgo_mask_filename=str(scene.mask), **OPTIONS)
    return {name: each.compute() for name, each in found.items()}, out


@pytest.fixture(scope="module")
def tiffs(scene):
    """Folder of the same run with GeoTIFFs, in metres a year."""
    out = scene.folder.parent / "tiffs"
    changes = OPTIONS | {"output_geotiffs_instead_of_netCDF": True, "mpy": True, "plotvmax": 600.0}
    xoffset.run("pycorr", scene.folder, out, lgo_mask_filename=str(scene.mask), out_name_base="ice", **changes)
    return out


def truth_of(products, name):
    """A layer from the products in memory, in metres a day or as it is."""
    matches, corrected = products["matches"].isel(pair=0), products["corrected"].isel(pair=0)
    kept = corrected if name.endswith("_masked") else matches
    removed = {"dx": 0.0, "dy": 0.0} if kept is corrected else {k: corrected[f"removed_{k}"] for k in ("dx", "dy")}
    vx, vy = ((kept[k] - removed[k]) / DAYS for k in ("dx", "dy"))
    layers = {
        "vx": vx, "vy": vy, "vv": np.hypot(vx, vy), "corr": matches.score, "del_corr": matches.peak_gap,
        "d2idx2": matches.curvature_x, "d2jdx2": matches.curvature_y, "del_i": matches.dx / 10.0,
        "del_j": -matches.dy / 10.0,
    }  # fmt: skip
    return layers[name.removesuffix("_masked")].values


LAYERS = [
    *((name, "m/d", -9999.0) for name in ("vx", "vy", "vv", "vx_masked", "vy_masked", "vv_masked")),
    ("corr", "1", -2.0), ("del_corr", "1", -2.0), ("d2idx2", "pixel-2", -999.0), ("d2jdx2", "pixel-2", -999.0),
    ("del_i", "pixel", -9999.0), ("del_j", "pixel", -9999.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "unit", "fill"), LAYERS)
def test_layers_of_netcdf_hold_what_was_computed(run, name, unit, fill):
    with h5py.File(run[1] / f"{STEM}_hp.nc") as file:
        layer = file[name]
        assert layer.dtype == np.float32
        assert layer.attrs["units"] in (unit, unit.encode())
        assert layer.attrs["_FillValue"][0] == fill
        assert layer.attrs["grid_mapping"] in ("transverse_mercator", b"transverse_mercator")
        values = layer[:]
    wanted = truth_of(run[0], name)
    np.testing.assert_array_equal(values == np.float32(fill), np.isnan(wanted))
    np.testing.assert_allclose(np.where(values == fill, np.nan, values), wanted, rtol=1e-5, atol=1e-6)
    assert (values != fill).mean() > 0.3


def test_masked_layers_lack_what_the_rule_masks(run):
    lost = np.isnan(truth_of(run[0], "vx_masked")) & ~np.isnan(truth_of(run[0], "vx"))
    score, gap = truth_of(run[0], "corr"), truth_of(run[0], "del_corr")
    np.testing.assert_array_equal(lost, ~np.isnan(truth_of(run[0], "vx")) & ~(gap >= 0.05) & (score < 1.0))


def test_the_ice_moves_as_it_does(run, scene):
    """Velocity where the ice is fast, in metres a day toward east and north, and none on land."""
    from pycorr_scenes import glacier

    truth = glacier()[1]
    with h5py.File(run[1] / f"{STEM}_hp.nc") as file:
        vx, vy, x, y = (file[name][:] for name in ("vx_masked", "vy_masked", "x", "y"))
    at = truth[["vx", "vy"]].sel(x=x, y=y, method="nearest")
    speed = np.hypot(at.vx, at.vy).values
    fast, land = (speed > 0.8 * speed.max()) & (vx > -9999.0), (speed == 0.0) & (vx > -9999.0)
    for found, wanted in ((vx, at.vx.values), (vy, at.vy.values)):
        assert np.median(found[fast]) == pytest.approx(np.median(wanted[fast]) / 365.25, rel=0.1)
        assert abs(np.median(found[land])) < 0.01


def test_the_mask_is_a_layer(run, scene):
    with h5py.File(run[1] / f"{STEM}_hp.nc") as file:
        layer, x, y = file["lgo_mask"], file["x"][:], file["y"][:]
        assert layer.dtype == np.int8
        assert layer.attrs["_FillValue"][0] == -1
        values = layer[:]
    wanted = scene.is_land.sel(x=x, y=y, method="nearest").values
    rows = np.arange(scene.stack.sizes["y"])[scene.stack.indexes["y"].get_indexer(y, method="nearest")]
    np.testing.assert_array_equal(values[rows >= 6], wanted[rows >= 6])


def attributes(path, name):
    with h5py.File(path) as file:
        told = dict(file[name].attrs.items())
    told = {key: each.decode() if isinstance(each, bytes) else each for key, each in told.items()}
    return {
        key: each.item() if np.size(each) == 1 and not isinstance(each, str) else each for key, each in told.items()
    }


def test_the_offset_of_land_is_told(run):
    told = attributes(run[1] / f"{STEM}_hp.nc", "offset_correction")
    assert told["offset_correction_type_applied"] == "lgo_masked_correction"
    assert told["final_offset_correction_units"] == "pixels"
    # to the right and downwards, and added: the second image lies a pixel to the right and below
    assert float(told["final_offset_correction_i"]) == pytest.approx(-OFF[0] / 10.0, abs=0.02)
    assert float(told["final_offset_correction_j"]) == pytest.approx(OFF[1] / 10.0, abs=0.02)
    assert int(told["number_of_land_pixels"]) == int(run[0]["corrected"].n_stable[0]) >= 500
    assert str(told["number_of_land_pixels"]) in told["offset_correction_type_descritption"]


def test_times_of_the_pair_are_told(run):
    told = attributes(run[1] / f"{STEM}_hp.nc", "image_pair_times")
    assert float(told["del_t"]) == DAYS
    assert (told["del_t_units"], told["del_t_speed_units"]) == ("days", "m/d")
    assert [told[f"{name}_date"] for name in ("start", "mid", "end")] == [
        "2020-05-12T00:00:00", "2020-05-19T12:00:00", "2020-05-27T00:00:00",
    ]  # fmt: skip
    assert float(told["start_time_decimal_year"]) == pytest.approx(2020.0 + 132.0 / 366.0)


def test_images_are_told(run, scene):
    told = attributes(run[1] / f"{STEM}_hp.nc", "input_image_details")
    assert told["image1_filename"] == "S2_20200512_B08"
    assert told["image2_filename"] == "S2_20200527_B08"
    assert (float(told["image1_pix_x_size"]), float(told["image2_pix_y_size"])) == (10.0, -10.0)
    assert "UTM" in told["image1_proj_WKT"]
    with rasterio.open(scene.folder / "S2_20200512_B08.tif") as file:
        np.testing.assert_allclose(told["image1_proj_GeoTransform"], file.transform.to_gdal())


def test_the_log_is_in_the_file(run):
    with h5py.File(run[1] / f"{STEM}_hp.nc") as file:
        text = b"".join(file["processing_log"][:]).decode()
        assert file["processing_log"].dtype == "S1"
        np.testing.assert_array_equal(file["chars"][:], np.arange(len(text)))
    lines = text.splitlines()
    assert lines[0].startswith("xoffset run pycorr ")
    assert "--half-target-chip 16" in lines[0]
    assert lines[2:4] == [
        "image 1: S2_20200512_B08, 2020-05-12T00:00:00",
        "image 2: S2_20200527_B08, 2020-05-27T00:00:00",
    ]
    matched, left = (int(run[0][name].dx.notnull().sum()) for name in ("matches", "corrected"))
    assert f"matched: {matched} of " in text
    assert lines[-1] == f"left by the masks: {left} of {matched}"
    assert "offset correction: lgo_masked_correction for land pixels" in text


def test_gdal_places_the_layers(run):
    matches = run[0]["matches"]
    with rasterio.open(f"netcdf:{run[1] / f'{STEM}_hp.nc'}:vx_masked") as file:
        assert file.crs.to_epsg() == 32632
        assert file.xy(0, 0) == (pytest.approx(float(matches.x[0])), pytest.approx(float(matches.y[0])))
        assert file.nodata == -9999.0


@pytest.mark.parametrize("name", HELD)
def test_geotiffs_hold_each_layer_under_its_own_name(run, tiffs, name):
    with rasterio.open(tiffs / f"ice_{name}.tif") as file:
        values, fill = file.read(1), file.nodata
        assert (file.count, file.dtypes[0]) == (1, "float32")
        assert file.units[0] == ("1" if "corr" in name else "m/yr")
        assert fill == (-2.0 if "corr" in name else -9999.0)
        assert file.tags()["offset_correction_type_applied"] == "lgo_masked_correction"
        assert file.tags()["processing_log"].startswith("xoffset run pycorr ")
    wanted = truth_of(run[0], name) * (1.0 if "corr" in name else 365.25)
    np.testing.assert_array_equal(values == fill, np.isnan(wanted))
    np.testing.assert_allclose(np.where(values == fill, np.nan, values), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("ending", ["", "_log10"])
def test_pictures_have_the_colours_of_the_speed(run, ending):
    speed = truth_of(run[0], "vv_masked")
    with rasterio.open(run[1] / f"{STEM}{ending}.tif") as file:
        colours = np.moveaxis(file.read(), 0, -1)
        assert [each.name for each in file.colorinterp] == ["red", "green", "blue", "alpha"]
        assert file.crs.to_epsg() == 32632
    is_shown = np.isfinite(speed) & ((speed > 0.0) | (ending == ""))
    np.testing.assert_array_equal(colours[..., 3], np.where(is_shown, 255, 0))
    share = np.log(speed / 0.1) / np.log(20.0) if ending else speed / 2.0
    from cmcrameri import cm

    wanted = cm.batlow(np.clip(share[is_shown], 0.0, 1.0), bytes=True)
    assert (colours[is_shown] == wanted).all(axis=-1).mean() > 0.99
    assert len(np.unique(colours[is_shown], axis=0)) > 20


@pytest.mark.parametrize("ending", ["", "_log10"])
def test_kmz_lie_on_the_ground_with_a_bar(run, ending):
    with zipfile.ZipFile(run[1] / f"{STEM}{ending}.kmz") as archive:
        assert set(archive.namelist()) == {"doc.kml", "layer_0.png", "colours.png"}
        text = archive.read("doc.kml").decode()
        picture, bar = (imread(io.BytesIO(archive.read(name))) for name in ("layer_0.png", "colours.png"))
    assert "<begin>2020-05-12T00:00:00Z</begin>" in text
    assert picture.shape[-1] == 4
    assert np.unique(picture[..., :3].reshape(-1, 3), axis=0).shape[0] > 20
    assert bar.shape[1] > bar.shape[0]


def test_our_reader_has_them_back(run, tiffs, scene):
    """Displacements, scores and curvatures of both kinds of files, and what was masked."""
    products = run[0]
    found = pycorr.read(run[1] / f"{STEM}_hp.nc").load()
    np.testing.assert_allclose(found.dx, products["corrected"].dx, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.curvature_x, products["matches"].curvature_x, rtol=1e-6)
    np.testing.assert_allclose(found.score, products["matches"].score, rtol=1e-6)
    lost = products["corrected"].dx.isnull() & products["matches"].dx.notnull()
    assert xoffset.flags.flagged(found, "pycorr").values.sum() == int(lost.sum()) > 0
    whole = pycorr.read(run[1] / f"{STEM}_hp.nc", masked=False).load()
    np.testing.assert_allclose(whole.dy.isnull(), products["matches"].dy.isnull())
    read = pycorr.read(tiffs / "ice_vx.tif", dates=("2020-05-12", "2020-05-27")).load()
    np.testing.assert_allclose(read.dy, found.dy, rtol=1e-4, atol=1e-3)


def test_any_projection_goes_into_netcdf(run, tmp_path):
    shifts = run[0]["corrected"].rio.write_crs("EPSG:3413")
    (path,) = pycorr.write(shifts, tmp_path)
    with h5py.File(path) as file:
        assert "polar_stereographic" in file
    assert pycorr.read(path).rio.crs.to_epsg() == 3413


def test_what_was_taken_off_differs_within_a_pair(run, tmp_path):
    corrected = run[0]["corrected"]
    ramp = corrected.assign(removed_dx=corrected.removed_dx + (corrected.x - corrected.x[0]) * 1e-2)
    with pytest.raises(ValueError, match=r"one shift a pair.*'removed_dx' that differs.*correct\(order=0\)"):
        pycorr.write(ramp, tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "advice"),
    [
        ({"base": "../ice"}, ValueError, r"name without signs of folders as base"),
        ({"per": "month"}, ValueError, r"per 'day' or 'year'; got 'month'"),
        ({"classes": "lgo.tif"}, TypeError, r"DataArray \(y, x\) as classes; got str"),
    ],
)
def test_writers_refuse_what_they_cannot_write(run, tmp_path, changes, error, advice):
    with pytest.raises(error, match=advice):
        pycorr.write(run[0]["corrected"], tmp_path, **changes)
    other = run[0]["matches"].isel(x=slice(1, None))
    with pytest.raises(ValueError, match=r"same pairs and nodes"):
        pycorr.write(run[0]["corrected"], tmp_path, unmasked=other)


def test_pictures_without_a_crs_have_no_kmz(run, tmp_path, caplog):
    local = run[0]["corrected"].drop_vars("spatial_ref").drop_encoding()
    with caplog.at_level(logging.WARNING):
        names = [path.name for path in pycorr.write_browse(local, tmp_path)]
    assert names == [f"{STEM}.tif"]
    assert "writes no KMZ" in caplog.text
    with pytest.raises(ValueError, match=r"plotvmax above 0.1 for log10"):
        pycorr.write_browse(local, tmp_path, plotvmax=0.05, log10=True)


def test_several_pairs_have_files_of_their_own(tmp_path):
    dates = ["2020-05-12", "2020-05-27", "2020-06-11"]
    stack, _ = xoffset.synthetic.stack((96, 96), dates=dates, field="constant", velocity=200.0, direction=90.0)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4, step=16)
    names = ["S2_20200512_20200527", "S2_20200527_20200611"]
    found = pycorr.write(shifts, tmp_path, base="S2")
    assert [path.name for path in found] == [f"{name}_hp.nc" for name in names]
    for k, path in enumerate(found):
        with h5py.File(path) as file:
            values = file["vx"][:]
        np.testing.assert_allclose(values[values > -9999.0], shifts.dx[k].values[values > -9999.0] / 15.0, rtol=1e-5)
    pictures = pycorr.write_browse(shifts, tmp_path, base="S2")
    assert [path.name for path in pictures] == [f"{name}.{kind}" for name in names for kind in ("tif", "kmz")]
    with pytest.raises(TypeError, match=r"one of classes, images, base, log; got 'stem'"):
        pycorr.write(shifts, tmp_path, stem="S2")


@pytest.mark.parametrize(
    ("log", "error"), [(5, TypeError), (b"abc", TypeError), ("a\0b", ValueError), ("a\udcffb", ValueError)]
)
@pytest.mark.parametrize("write", [xoffset.formats.pycorr.write, xoffset.formats.pycorr.write_geotiffs])
def test_logs_that_files_cannot_hold_are_refused(tmp_path, write, log, error):
    stack, _ = xoffset.synthetic.stack((96, 96), field="constant", velocity=12.0)
    with pytest.raises(error, match="log"):
        write(stack.offset.correlate(stack.offset.pairs(), search=4), tmp_path / "out", log=log)
    assert not (tmp_path / "out").exists()
