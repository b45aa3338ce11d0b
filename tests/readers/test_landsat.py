"""Landsat scenes: all that the generator wrote comes back, and real metadata say what their files say."""

import json
import logging
import re
import tarfile
from pathlib import Path
from xml.etree import ElementTree as ET

import landsat_products as written_by
import numpy as np
import pytest
import rasterio
import xarray as xr
from landsat_products import write_scene

import xoffset
from xoffset.readers.grids import Grid
from xoffset.readers.landsat import angles as landsat_angles
from xoffset.readers.landsat import bands as landsat_bands
from xoffset.readers.landsat import mtl
from xoffset.readers.landsat import product as landsat
from xoffset.readers.open_stack import open_stack
from xoffset.readers.products import open_products

TIME = np.datetime64("2016-07-18T20:37:06.339158", "us")
GRID = Grid(
    written_by.CORNER[0], written_by.CORNER[1], 30.0, -30.0, written_by.SHAPE[1], written_by.SHAPE[0],
    rasterio.CRS.from_string(written_by.CRS),
)  # fmt: skip


def as_floats(values):
    return np.where(values == 0, np.nan, values).astype(np.float32)


def only(place):
    (product,) = open_products(str(place), None)
    return product


# ------------------------------------------------------------------------------------------------- what was written


@pytest.mark.parametrize(
    ("platform", "collection", "level", "time"),
    [
        ("LC08", "02", "L1TP", "2016-07-18T20:37:06.3391580"),
        ("LC09", "02", "L2SP", "2022-01-29T15:28:34.3964280"),
        ("LC08", "01", "L1GT", "2016-07-18T20:37:06.3391580"),
        ("LC08", "pre", "L1T", "2016-07-18T20:37:06.3391580"),
        ("LE07", "02", "L1TP", "2002-01-09T16:13:46.0400581"),
        ("LE07", "02", "L2SP", "2002-01-09T16:13:46.0400581"),
        ("LE07", "01", "L1TP", "2002-01-09T16:13:46.0400581"),
        ("LT05", "02", "L2SP", "1986-04-24T14:54:18.1790940"),
        ("LT04", "pre", "L1G", "1986-04-24T14:54:18.1790940"),
        ("LM01", "02", "L1GS", "1972-09-08T13:43:34.0910000"),
        ("LM05", "01", "L1TP", "1986-09-08T13:43:34.0910000"),
    ],
)
def test_every_band_comes_back(tmp_path, platform, collection, level, time):
    written = write_scene(tmp_path, platform=platform, collection=collection, level=level, time=time)
    for band, values in written.pixels.items():
        stack = open_stack(written.place, band=band)
        assert stack.dtype == np.float32
        np.testing.assert_array_equal(stack[0], as_floats(values))
        number = landsat_bands.number(band)
        if number in written.scales and not band.startswith("ST_"):
            factor, addend = written.scales[number]
            reflectance = (stack + stack.radiometric_offset) / stack.quantification
            np.testing.assert_allclose(reflectance[0], as_floats(values) * factor + addend, rtol=1e-6, atol=1e-6)
        else:
            assert "quantification" not in stack.coords
            assert "radiometric_offset" not in stack.coords
    assert stack.time.values[0] == np.datetime64(time[:26], "us")
    assert stack.platform.item() == platform
    assert stack.relative_orbit.item() == 63
    assert stack.tile.item() == "063018"
    assert stack.scene.item() == written.name
    assert stack.level.item() == level
    assert (stack.sun_azimuth.item(), stack.sun_elevation.item()) == written_by.SUN
    name = {"02": "C2", "01": "C1", "pre": "pre-collection"}[collection]
    correction = "L1TP" if level == "L2SP" else level
    assert stack.geometry.item() == f"{name} {correction} GLS2000"


def test_scales_are_as_exact_as_their_decimals(tmp_path):
    level_1 = open_stack(write_scene(tmp_path / "1").place, band="red")
    assert (level_1.radiometric_offset.item(), level_1.quantification.item()) == (-5000, 50000)
    level_2 = open_stack(write_scene(tmp_path / "2", level="L2SP").place, band="red")
    np.testing.assert_allclose(level_2.radiometric_offset.item() / level_2.quantification.item(), -0.2, rtol=1e-11)
    np.testing.assert_allclose(1 / level_2.quantification.item(), 2.75e-5, rtol=1e-11)


@pytest.mark.parametrize("notation", ["txt", "xml", "json"])
@pytest.mark.parametrize("collection", ["01", "02", "pre"])
def test_notations_say_the_same(tmp_path, notation, collection):
    plain = write_scene(tmp_path / "plain", collection=collection)
    other = write_scene(tmp_path / "other", collection=collection, notations=(notation,))
    xr.testing.assert_identical(open_stack(other.place, band="B8"), open_stack(plain.place, band="B8"))


def test_one_scene_in_three_notations_is_one(tmp_path):
    written = write_scene(tmp_path, notations=("json", "txt", "xml"))
    assert len(open_products(str(written.place), None)) == 1


@pytest.mark.parametrize("packed", [".tar", ".tar.gz", ".tgz"])
def test_archives_are_read_in_place(tmp_path, packed):
    folder = write_scene(tmp_path / "folder", notations=("xml",), coefficients="chips")
    archive = write_scene(tmp_path / "archive", notations=("xml",), coefficients="chips", packed=packed)
    expected = open_stack(folder.place, band="B8", chunks=32)
    stack = open_stack(archive.place, band="B8", chunks=32)
    assert [file.name for file in archive.folder.parent.rglob("*") if file.is_file()] == [archive.place.name]
    xr.testing.assert_identical(stack.compute(), expected.compute())


def test_archives_without_a_telling_name(tmp_path):
    written = write_scene(tmp_path, packed=".tar")
    other = written.place.rename(tmp_path / "download.tar")
    assert open_stack(other, band="B8").scene.item() == written.name


@pytest.mark.parametrize("pattern", ["*", "LC08*", "*/*", "**/*", "**/*_MTL.*"])
def test_patterns_that_find_all_files_of_scenes(tmp_path, pattern):
    is_flat = "/" not in pattern
    scenes = [
        write_scene(tmp_path, is_flat=is_flat, time=time, notations=("txt", "xml"), coefficients="chips")
        for time in ("2016-07-18T20:37:06", "2016-08-03T20:37:09")
    ]
    stack = open_stack(str(tmp_path / pattern), band="pan")
    assert stack.scene.values.tolist() == [scene.name for scene in scenes]
    assert "quantification" in stack.coords


@pytest.mark.parametrize("folder", ["./", "scene/", "./a/b/"])
def test_folders_within_archives(tmp_path, folder):
    written = write_scene(tmp_path, has_angles=True)
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        for file in written.files:
            tar.add(file, arcname=folder + file.name)
    np.testing.assert_array_equal(open_stack(archive, band="pan")[0], as_floats(written.pixels["B8"]))


def test_metadata_from_before_2012(tmp_path):
    """Other keys, names that end in two digits, no name of the scene, no reflectance."""
    (tmp_path / "L71063018_01820020101_MTL.txt").write_text(OLD + "\0" * 100)
    random = np.random.default_rng(0)
    images = {end: random.integers(1, 250, (20, 20), dtype="uint8") for end in ("B10", "B61", "B80")}
    for end, values in images.items():
        written_by.write_image(tmp_path / f"L71063018_01820020101_{end}.TIF", values)
    for band, end in (("B1", "B10"), ("blue", "B10"), ("B6_VCID_1", "B61"), ("pan", "B80")):
        stack = open_stack(tmp_path, band=band)
        np.testing.assert_array_equal(stack[0], images[end])
    assert stack.time.values[0] == np.datetime64("2002-01-01T20:37:06.339158", "us")
    assert stack.platform.item() == "LE07"
    assert stack.tile.item() == "063018"
    assert stack.geometry.item() == "pre-collection L1T GLS2000"
    assert stack.sun_azimuth.item() == 200
    assert "quantification" not in stack.coords


OLD = """GROUP = L1_METADATA_FILE
  GROUP = METADATA_FILE_INFO
    PRODUCT_CREATION_TIME = 2004-02-12T14:54:31Z
  END_GROUP = METADATA_FILE_INFO
  GROUP = PRODUCT_METADATA
    PRODUCT_TYPE = "L1T"
    ELEVATION_SOURCE = "GLS2000"
    SPACECRAFT_ID = "Landsat7"
    SENSOR_ID = "ETM+"
    ACQUISITION_DATE = 2002-01-01
    SCENE_CENTER_SCAN_TIME = 20:37:06.3391580Z
    WRS_PATH = 63
    STARTING_ROW = 18
    BAND1_FILE_NAME = "L71063018_01820020101_B10.TIF"
    BAND61_FILE_NAME = "L71063018_01820020101_B61.TIF"
    BAND8_FILE_NAME = "L71063018_01820020101_B80.TIF"
    METADATA_L1_FILE_NAME = "L71063018_01820020101_MTL.txt"
  END_GROUP = PRODUCT_METADATA
  GROUP = MIN_MAX_RADIANCE
    LMAX_BAND1 = 191.600
  END_GROUP = MIN_MAX_RADIANCE
  GROUP = PRODUCT_PARAMETERS
    SUN_AZIMUTH = -160.0
    SUN_ELEVATION = 5.1
  END_GROUP = PRODUCT_PARAMETERS
END_GROUP = L1_METADATA_FILE
END
"""


def test_metadata_files_folders_and_lists(tmp_path):
    first = write_scene(tmp_path / "scenes")
    second = write_scene(tmp_path / "scenes", time="2016-08-03T20:37:09.4636130", seed=5)
    both = open_stack(tmp_path / "scenes", band="pan")
    assert both.scene.values.tolist() == [first.name, second.name]
    listed = [next(second.folder.glob("*_MTL.txt")), first.folder]
    xr.testing.assert_equal(open_stack(listed, band="pan"), both)
    xr.testing.assert_equal(open_stack(str(tmp_path / "scenes" / "*"), band="pan"), both)


def test_flat_folder_of_scenes(tmp_path):
    first = write_scene(tmp_path, is_flat=True, collection="pre", level="L1T")
    second = write_scene(tmp_path, is_flat=True, collection="pre", level="L1T", time="2016-08-03T20:37:09.46", seed=5)
    stack = open_stack(tmp_path, band="B4")
    assert stack.scene.values.tolist() == [first.name, second.name]
    np.testing.assert_array_equal(stack[1], as_floats(second.pixels["B4"]))
    assert open_stack(tmp_path / f"{first.name}_MTL.txt", band="B4").sizes["time"] == 1


def test_tiles(tmp_path):
    write_scene(tmp_path, is_flat=True)
    other = write_scene(tmp_path, is_flat=True, row=19, time="2016-07-18T20:37:30", seed=1)
    assert open_stack(tmp_path, band="B4", tile="063019").scene.values.tolist() == [other.name]
    with pytest.raises(ValueError, match=r"needs tile 063020; .* has 063018, 063019\. Pass tile="):
        open_stack(tmp_path, band="B4", tile="063020")


def test_dask_equals_numpy(tmp_path):
    written = write_scene(tmp_path, packed=".tar")
    whole = open_stack(written.place, band="pan")
    parts = open_stack(written.place, band="pan", chunks=17)
    assert parts.chunks is not None
    xr.testing.assert_identical(parts.compute(), whole)


@pytest.mark.parametrize(
    ("platform", "name", "band"),
    [
        ("LC08", "coastal", "B1"), ("LC08", "red", "B4"), ("LC08", "NIR08", "B5"), ("LC08", "pan", "B8"),
        ("LC08", "b8", "B8"), ("LE07", "red", "B3"), ("LE07", "pan", "B8"), ("LE07", "nir", "B4"),
        ("LE07", "b6_vcid_1", "B6_VCID_1"), ("LT05", "red", "B3"), ("LT05", "swir22", "B7"), ("LT05", "lwir", "B6"),
        ("LM01", "red", "B5"), ("LM03", "green", "B4"), ("LM01", "nir", "B7"), ("LM05", "red", "B2"),
        ("LM04", "nir08", "B3"),
    ],
)  # fmt: skip
def test_names_of_bands(tmp_path, platform, name, band):
    written = write_scene(tmp_path, platform=platform, time="1999-07-18T20:37:06")
    np.testing.assert_array_equal(open_stack(written.place, band=name)[0], as_floats(written.pixels[band]))


@pytest.mark.parametrize(("name", "band"), [("B4", "SR_B4"), ("red", "SR_B4"), ("B10", "ST_B10"), ("lwir11", "ST_B10")])
def test_names_of_bands_of_level_2(tmp_path, name, band):
    written = write_scene(tmp_path, level="L2SP")
    np.testing.assert_array_equal(open_stack(written.place, band=name)[0], as_floats(written.pixels[band]))


@pytest.mark.parametrize("band", [None, "B12", "rededge1", "B04", 4, "pan"])
def test_unknown_bands_are_listed(tmp_path, band):
    written = write_scene(tmp_path, platform="LT05", time="1986-04-24T14:54:18")
    match = r"B1 \(blue\), B2 \(green\), B3 \(red\), .*QA_PIXEL\. Pass band= with one of these names"
    with pytest.raises(ValueError, match=match):
        open_stack(written.place, band=band)


def test_gaps_are_nan_and_told(tmp_path, caplog):
    write_scene(tmp_path, platform="LE07", time="2003-05-01T20:00:00", seed=3)
    gaps = write_scene(tmp_path, platform="LE07", collection="01", time="2004-05-01T20:00:00", has_gaps=True)
    mended = write_scene(tmp_path, platform="LE07", time="2005-05-01T20:00:00", slc="ON", seed=4)
    off = write_scene(tmp_path, platform="LE07", time="2006-05-01T20:00:00", slc="OFF", has_gaps=True, seed=5)
    with caplog.at_level(logging.INFO, "xoffset"):
        stack = open_stack(tmp_path, band="pan")
    assert stack.attrs["slc_off"] == f"{gaps.name}, {off.name}"
    assert {name for name in (gaps.name, off.name, mended.name) if name in caplog.text} == {gaps.name, off.name}
    np.testing.assert_array_equal(stack[1], as_floats(gaps.pixels["B8"]))
    assert np.isnan(stack[1]).mean() > 2 * np.isnan(stack[0]).mean()
    assert "slc_off" not in open_stack(mended.place, band="pan").attrs


def test_declared_and_given_fill_values(tmp_path):
    written = write_scene(tmp_path)
    file = written.folder / f"{written.name}_B4.TIF"
    written_by.write_image(file, written.pixels["B4"], nodata=7)
    stack = open_stack(written.place, band="B4")[0]
    np.testing.assert_array_equal(np.isnan(stack), written.pixels["B4"] == 7)
    given = open_stack(written.place, band="B5", nodata=written.pixels["B5"][20, 20])[0]
    assert np.isnan(given[20, 20])
    assert not np.isnan(given[0, 0])
    quality = open_stack(written.place, band="QA_PIXEL")[0]
    np.testing.assert_array_equal(np.isnan(quality), written.quality == 1)


# ------------------------------------------------------------------------------------------------------ quality, angles


@pytest.mark.parametrize(
    ("platform", "collection", "name", "bit"),
    [
        ("LC08", "02", "cloud", 3), ("LC08", "02", "cirrus", 2), ("LT05", "02", "snow", 5), ("LC08", "01", "cloud", 4),
        ("LC08", "01", "cirrus", 12), ("LE07", "01", "cloud_shadow", 8), ("LC08", "pre", "cloud", 15),
        ("LC08", "pre", "snow", 11),
    ],
)  # fmt: skip
def test_class_layer(tmp_path, platform, collection, name, bit):
    written = write_scene(tmp_path, platform=platform, collection=collection, time="1999-07-18T20:37:06")
    values, classes, are_bits, crs = only(written.place).class_layer(GRID)
    assert are_bits
    assert crs == GRID.crs
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, written.quality)
    assert classes[name] == 1 << bit
    assert classes["fill"] == 1
    assert all(value.bit_count() == 1 for value in classes.values())


def test_class_layer_by_position(tmp_path):
    written = write_scene(tmp_path)
    # pixels of 15 m, half of them to the left of the scene
    grid = Grid(GRID.x - 750, GRID.y, 15.0, -15.0, 100, 10, GRID.crs)
    values, classes, *_ = only(written.place).class_layer(grid)
    assert (values[:, :50] == classes["fill"]).all()
    np.testing.assert_array_equal(values[:, 50:], written.quality[:5, :25].repeat(2, axis=0).repeat(2, axis=1))


def test_no_class_layer(tmp_path):
    written = write_scene(tmp_path, platform="LT05", collection="pre", level="L1T", time="1986-04-24T14:54:18")
    path = written.folder / f"{written.name}_MTL.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "QUALITY" not in line))
    with pytest.raises(ValueError, match=r"needs a scene with a layer of quality, BQA; .* Fetch one"):
        only(written.place).class_layer(GRID)


def test_no_detectors(tmp_path):
    with pytest.raises(ValueError, match=r"needs products that tell which detector.*Use it without"):
        only(write_scene(tmp_path).place).detectors("B8", GRID)


def test_rasters_of_angles(tmp_path):
    written = write_scene(tmp_path, has_angles=True, coefficients="chips")
    angles = only(written.place).angles("B4", GRID)
    empty = written.angles["SZA"] == 0
    assert not empty[5, 5]
    for name, layer in (("sun_azimuth", "SAA"), ("view_azimuth", "VAA"), ("view_zenith", "VZA")):
        degrees = written.angles[layer] / 100
        expected = np.where(empty, np.nan, degrees % 360 if name.endswith("azimuth") else degrees)
        assert angles[name].dtype == np.float32
        np.testing.assert_allclose(angles[name], expected, atol=1e-4)
    np.testing.assert_allclose(
        angles["sun_elevation"], np.where(empty, np.nan, 90 - written.angles["SZA"] / 100), atol=1e-4
    )


def test_angles_of_chips(tmp_path):
    written = write_scene(tmp_path, coefficients="chips")
    wide = Grid(GRID.x - 300, GRID.y, 30.0, -30.0, 70, 40, GRID.crs)
    angles = only(written.place).angles("B4", wide)
    line, sample = np.mgrid[0:40, -10:60]
    x, y, z = 0.03 - 1e-4 * (sample - 25), -0.04 + 1e-5 * (line - 20), 0.99875
    seen = (sample >= 0) & (sample < 50)
    zenith, azimuth = np.degrees(np.arctan2(np.hypot(x, y), z)), np.degrees(np.arctan2(x, y)) % 360
    np.testing.assert_allclose(angles["view_zenith"], np.where(seen, zenith, np.nan), atol=1e-4)
    np.testing.assert_allclose(angles["view_azimuth"], np.where(seen, azimuth, np.nan), atol=1e-3)
    sun = np.degrees(np.arctan2(0.3, -0.5)) % 360
    np.testing.assert_allclose(angles["sun_azimuth"], np.where(seen, sun, np.nan), atol=1e-3)


def test_mean_view_angles(tmp_path):
    stack = open_stack(write_scene(tmp_path, coefficients="chips").place, band="B4")
    np.testing.assert_allclose(stack.view_azimuth.item(), np.degrees(np.arctan2(0.03, -0.04)) % 360, atol=1e-6)
    np.testing.assert_allclose(stack.view_zenith.item(), np.degrees(np.arctan2(0.05, 0.99875)), atol=1e-6)


def test_angles_of_an_orbit(tmp_path):
    """The satellite passes over the middle: to the east it is seen in the west, at a zenith angle of x / height."""
    written = write_scene(tmp_path, platform="LE07", time="1999-07-18T20:37:06", coefficients="orbit")
    middle = written_by.CORNER[0] + 25 * 30
    grid = Grid(middle - 60_000, GRID.y, 1000.0, -30.0, 120, 4, GRID.crs)
    angles = only(written.place).angles("B8", grid)
    away = grid.x_centres - middle
    # curvature of the earth adds what the arc of the ground takes
    expected = np.degrees(np.arctan(abs(away) / written_by.HEIGHT) + abs(away) / 6_390_000)
    np.testing.assert_allclose(angles["view_zenith"][0], expected, atol=0.02)
    east = away > 5_000
    np.testing.assert_allclose(angles["view_azimuth"][:, east], 270, atol=1.5)
    np.testing.assert_allclose(angles["view_azimuth"][:, away < -5_000], 90, atol=1.5)
    far = Grid(middle + 300_000, GRID.y, 1000.0, -30.0, 10, 4, GRID.crs)
    assert np.isnan(only(written.place).angles("B8", far)["view_zenith"]).all()


@pytest.mark.parametrize(
    ("kind", "platform", "time"), [("chips", "LC08", "2016-07-18T20:37:06"), ("orbit", "LE07", "1999-07-18T20:37:06")]
)
def test_angles_are_the_same_in_parts(tmp_path, kind, platform, time):
    product = only(write_scene(tmp_path, platform=platform, time=time, coefficients=kind).place)
    whole = product.angles("B4", GRID)
    part = product.angles("B4", GRID.part((slice(7, 19), slice(11, 44))))
    for name, values in part.items():
        np.testing.assert_array_equal(values, whole[name][7:19, 11:44])


def test_angles_and_classes_of_a_stack(tmp_path):
    first = write_scene(tmp_path, has_angles=True)
    second = write_scene(tmp_path, has_angles=True, time="2016-08-03T20:37:09.4636130", packed=".tar", seed=5)
    stack = open_stack(tmp_path, band="red", chunks=16)
    angles = xoffset.angles(tmp_path, like=stack, band="red").compute()
    classes = xoffset.class_layer(tmp_path, like=stack).compute()
    for k, written in enumerate((first, second)):
        expected = np.where(written.angles["SZA"] == 0, np.nan, written.angles["VZA"] / 100)
        np.testing.assert_allclose(angles.view_zenith[k], expected, atol=1e-4)
        seen = ~np.isnan(stack[k].values)
        np.testing.assert_array_equal(classes[k].values[seen], written.quality[seen])
    with pytest.raises(ValueError, match=r"which does not. Use it without"):
        xoffset.detectors(tmp_path, like=stack)


def test_angles_without_coefficients(tmp_path):
    angles = only(write_scene(tmp_path, platform="LM01", time="1972-09-08T13:43:34").place).angles(None, GRID)
    np.testing.assert_allclose(angles["sun_azimuth"], written_by.SUN[0], rtol=1e-6)
    np.testing.assert_allclose(angles["sun_elevation"], written_by.SUN[1], rtol=1e-6)
    assert np.isnan(angles["view_azimuth"]).all()
    assert np.isnan(angles["view_zenith"]).all()


# ------------------------------------------------------------------------------------------------- images beside an MTL


def test_images_beside_metadata(tmp_path):
    written = write_scene(tmp_path, is_flat=True, collection="pre", level="L1T")
    other = write_scene(tmp_path, is_flat=True, collection="pre", level="L1T", time="2016-08-03T20:37:09.46", seed=5)
    for scene in (written, other):
        (tmp_path / f"{scene.name}_B8.TIF").rename(tmp_path / f"{scene.name}_B8_crop.tif")
    stack = open_stack(str(tmp_path / "*_B8_crop.tif"))
    assert stack.time.values[0] == TIME
    assert stack.scene.values.tolist() == [f"{written.name}_B8_crop", f"{other.name}_B8_crop"]
    assert stack.platform.values.tolist() == ["LC08"] * 2
    assert stack.relative_orbit.values.tolist() == [63] * 2
    assert stack.geometry.values.tolist() == ["pre-collection L1T GLS2000"] * 2
    assert stack.sun_azimuth.values.tolist() == [written_by.SUN[0]] * 2
    assert stack.tile.values.tolist() == ["063018"] * 2
    assert "quantification" not in stack.coords
    given = open_stack(str(tmp_path / "*_B8_crop.tif"), date=["2016-07-18T01:00", "2016-08-03"])
    assert given.time.values[0] == np.datetime64("2016-07-18T01:00")


@pytest.mark.parametrize(
    ("end", "band"), [("B8", "B8"), ("B10_x", "B10"), ("B12", None), ("BQA_2", "BQA"), ("B1.b", None)]
)
def test_band_of_an_image_beside_metadata(tmp_path, end, band):
    written = write_scene(tmp_path, is_flat=True, collection="pre", level="L1T")
    assert landsat.scene_beside(str(tmp_path / f"{written.name}_{end}.tif")).band == band


def test_metadata_of_another_scene_say_nothing(tmp_path):
    written = write_scene(tmp_path, is_flat=True)
    (tmp_path / f"{written.name}_MTL.txt").rename(tmp_path / "LC08_L1TP_063018_20160803_20160804_02_T1_MTL.txt")
    stack = open_stack(str(tmp_path / "*_B8.TIF"))
    assert stack.time.values[0] == np.datetime64("2016-07-18")


# ------------------------------------------------------------------------------------------------------------ bad input


def mtl_of(written):
    return written.folder / f"{written.name}_MTL.txt"


def test_bands_that_were_cut_out(tmp_path):
    written = write_scene(tmp_path, coefficients="chips")
    file = written.folder / f"{written.name}_B8.TIF"
    whole = open_stack(written.place, band="pan")
    file.rename(file.with_name(f"{written.name}_B8_valley.tif"))
    cut = open_stack(written.place, band="pan")
    np.testing.assert_array_equal(cut, whole)
    assert cut.time.values == whole.time.values
    assert cut.scene.item() == written.name
    assert set(whole.coords) - set(cut.coords) == {"quantification", "radiometric_offset"}
    (written.folder / f"{written.name}_B8_other.tif").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"_B8\.TIF is missing"):
        open_stack(written.place, band="pan")


def test_missing_files_are_named(tmp_path):
    written = write_scene(tmp_path)
    (written.folder / f"{written.name}_B8.TIF").rename(written.folder / "pan.TIF")
    match = rf"needs the files that the metadata of a scene name; {written.name}_B8.TIF is missing in .*Fetch it"
    with pytest.raises(FileNotFoundError, match=match):
        open_stack(written.place, band="B8")


def test_metadata_alone(tmp_path):
    written = write_scene(tmp_path)
    for file in written.folder.glob("*.TIF"):
        file.unlink()
    for place in (written.place, mtl_of(written)):
        with pytest.raises(FileNotFoundError, match=rf"{written.name}_B4.TIF is missing in"):
            open_stack(place, band="B4")


def test_letters_of_suffixes(tmp_path):
    written = write_scene(tmp_path)
    file = written.folder / f"{written.name}_B8.TIF"
    file.rename(file.with_suffix(".tif"))
    np.testing.assert_array_equal(open_stack(written.place, band="B8")[0], as_floats(written.pixels["B8"]))


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda text: "", "none"),
        (lambda text: text[: len(text) // 2], "a (line|file that ends)"),
        (lambda text: text.rsplit("END_GROUP", 1)[0], "a file that ends within L1_METADATA_FILE|LANDSAT_METADATA_FILE"),
        (lambda text: "\0\1\2" + text, "a binary file"),
        (lambda text: text + text, "twice"),
        (lambda text: text.replace("METADATA_FILE\n", "METADATA_FILE\nA = 1\n", 1), "a file of LANDSAT_METADATA_FILE"),
        (lambda text: "GROUP = OTHER\n A = 1\nEND_GROUP = OTHER\n", "a file of OTHER"),
        (lambda text: text.replace("20:37:06.3391580Z", "25:37:06Z"), "the time 2016-07-18 25:37:06"),
        (lambda text: text.replace("= 2016-07-18", "= 2016-07-19"), r"and 2016-07-19 for LC08_"),
        (lambda text: text.replace("WRS_ROW = 018", "WRS_ROW = 019"), r"row 19 and 2016-07-18 for LC08_"),
        (lambda text: text.replace("LANDSAT_8", "LANDSAT_9"), "Landsat 9 for LC08_"),
        (lambda text: text.replace("LANDSAT_8", "SENTINEL_2"), "another satellite"),
        (lambda text: text.replace("SUN_ELEVATION = 49", "SUN_ELEVATION = 149"), "SUN_ELEVATION = 149"),
        (lambda text: text.replace("SUN_AZIMUTH = 159", "SUN_AZIMUTH = NaN"), "SUN_AZIMUTH = NaN"),
        (lambda text: re.sub(r"REFLECTANCE_MULT_BAND_4 = .*", "REFLECTANCE_MULT_BAND_4 = 0", text), "BAND_4 = 0"),
        (lambda text: re.sub(r" *REFLECTANCE_ADD_BAND_4 = .*\n", "", text), "without what is to be added"),
        (lambda text: re.sub(r" *DATE_ACQUIRED = .*\n", "", text), "no DATE_ACQUIRED"),
        (lambda text: re.sub(r" *WRS_PATH = .*\n", "", text), "no WRS_PATH"),
        (lambda text: re.sub(r'BAND_4 = "', 'BAND_4 = "../', text), "the file name"),
        (lambda text: re.sub(r" *FILE_NAME_.*\n", "", text), "no file of any band"),
    ],
)
def test_damaged_metadata(tmp_path, change, got):
    written = write_scene(tmp_path)
    mtl_of(written).write_text(change(mtl_of(written).read_text()))
    match = rf"(?s)needs whole metadata of a Landsat scene; got .*({got}).* in {mtl_of(written).name}.* Fetch the file"
    with pytest.raises(ValueError, match=match):
        open_stack(written.place, band="B4")


@pytest.mark.parametrize("notation", ["xml", "json"])
@pytest.mark.parametrize("change", [lambda text: text[:-30], lambda text: text[:1], lambda text: text[:-1] + text])
def test_damaged_notations(tmp_path, notation, change):
    written = write_scene(tmp_path, notations=(notation,))
    file = written.folder / f"{written.name}_MTL.{notation}"
    file.write_text(change(file.read_text()))
    with pytest.raises((ValueError, OSError), match=rf"(?s)needs .*metadata .*; got .* in {file.name}.*Fetch"):
        open_stack(written.place, band="B4")


def test_entities_are_refused(tmp_path):
    written = write_scene(tmp_path, notations=("xml",))
    file = written.folder / f"{written.name}_MTL.xml"
    bomb = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    file.write_text(file.read_text().replace("?>\n", f"?>\n{bomb}").replace("GLS2000", "&a;"))
    with pytest.raises(ValueError, match="DOCTYPE"):
        open_stack(written.place, band="B4")


def test_json_of_another_kind(tmp_path):
    written = write_scene(tmp_path, notations=("json",))
    file = written.folder / f"{written.name}_MTL.json"
    for text in ("[1]", '{"LANDSAT_METADATA_FILE": [1]}', '{"LANDSAT_METADATA_FILE": {"A": 1}}', '{"A": 1, "A": 2}'):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"needs whole metadata of a Landsat scene; got .* Fetch the file"):
            open_stack(written.place, band="B4")


def test_tar_within_a_tar(tmp_path):
    inner = write_scene(tmp_path, packed=".tar")
    outer = tmp_path / "LC08_bundle.tar"
    written_by.pack(outer, [inner.place])
    assert landsat.is_product(str(outer))
    with pytest.raises((ValueError, OSError), match=r"another archive, .*inside.*Take that one out"):
        open_stack(outer, band="B8")


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_tars_that_lead_out(tmp_path, kind):
    written = write_scene(tmp_path)
    archive = tmp_path / f"{written.name}.tar"
    written_by.pack(archive, written.files)
    with tarfile.open(archive, "a") as tar:
        entry = tarfile.TarInfo({"parent": "../x.txt", "absolute": "/tmp/x.txt", "link": "x.TIF"}[kind])
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "../../x.TIF"
        tar.addfile(entry)
    with pytest.raises((ValueError, OSError), match=r"needs products in folders, .* got .* Unpack it yourself"):
        open_stack(archive, band="B8")


def test_cut_and_foreign_archives(tmp_path):
    written = write_scene(tmp_path, packed=".tar")
    written.place.write_bytes(written.place.read_bytes()[:-20_000])
    with pytest.raises((ValueError, OSError), match=r"needs products in folders, .*Fetch it again"):
        open_stack(written.place, band="B8")
    written.place.write_bytes(b"no archive")
    with pytest.raises((ValueError, OSError), match=r"needs products in folders, "):
        open_stack(written.place, band="B8")
    image = tmp_path / "LC08_L1TP_063018_20160718_20160718_02_T1_B8.TIF"
    written_by.write_image(image, written.pixels["B8"])
    written.place.unlink()
    written_by.pack(written.place, [image])
    with pytest.raises(
        ValueError, match=r"needs Landsat scenes with their metadata; .*_MTL.txt.*Fetch the whole scene"
    ):
        open_stack(written.place, band="B8")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "\0" + text,
        lambda text: re.sub(r"(MEAN_SAT_VECTOR = ).*", r"\1(1, x, 3)", text),
        lambda text: re.sub(r"(MEAN_SAT_VECTOR = ).*", r"\1(1, 3)", text),
        lambda text: text.split("GROUP = PROJECTION")[0],
        lambda text: "GROUP = A\n" + text.replace("END\n", "END_GROUP = A\n"),
    ],
)
def test_damaged_coefficients(tmp_path, change):
    written = write_scene(tmp_path, coefficients="chips")
    file = written.folder / f"{written.name}_ANG.txt"
    file.write_text(change(file.read_text()))
    with pytest.raises(ValueError, match=rf"needs whole metadata of a Landsat scene; got .* in {file.name}"):
        open_stack(written.place, band="B4")


@pytest.mark.parametrize(
    ("key", "kind"),
    [("BAND04_SAT_X_NUM_COEF", "chips"), ("BAND04_SCA02_LINE_DEN_COEF", "chips"), ("EPHEMERIS_ECEF_Y", "orbit")],
)
def test_coefficients_cut_short(tmp_path, key, kind):
    platform, time = ("LC08", "2016-07-18T20:37:06") if kind == "chips" else ("LE07", "1999-07-18T20:37:06")
    written = write_scene(tmp_path, platform=platform, time=time, coefficients=kind)
    file = written.folder / f"{written.name}_ANG.txt"
    file.write_text(re.sub(rf"({key} = \(.*?,).*?\)", r"\1 2.0)", file.read_text(), flags=re.DOTALL))
    with pytest.raises(ValueError, match=rf"got {key.removeprefix('X')} = .* in {file.name}"):
        only(written.place).angles("B4", GRID)


def test_other_things_are_no_scenes(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"")
    (tmp_path / "._LC08_MTL.txt").write_bytes(b"")
    (tmp_path / "notes.zip").write_bytes(b"PK")
    for place in (
        tmp_path,
        tmp_path / "a.tif",
        tmp_path / "notes.zip",
        tmp_path / "nothing",
        "NETCDF:x",
        "\0",
        "a" * 5000,
    ):
        assert not landsat.is_product(str(place))


# ----------------------------------------------------------------------------------------------------------- real files


def real_values(path):
    """Values of the first key of a name in a file, read without the reader: {key: text}."""
    found: dict[str, str] = {}
    if path.suffix == ".xml":
        pairs = ((each.tag, each.text or "") for each in ET.parse(path).iter())
    elif path.suffix == ".json":
        groups = json.loads(path.read_text())["LANDSAT_METADATA_FILE"]
        pairs = ((key, value) for group in groups.values() for key, value in group.items())
    else:
        pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    for key, value in pairs:
        found.setdefault(key.strip(), value.strip().strip('"'))
    return found


@pytest.mark.data
def test_real_metadata(data_folder):
    files = sorted((data_folder / "stac_and_landsat_metadata" / "landsat").glob("*_MTL.*"))
    files += sorted((data_folder / "yahtse_landsat8").glob("*_MTL.txt"))
    assert len(files) == 9
    for file in files:
        found, told = mtl.read(file.read_bytes(), file.name), real_values(file)
        time = f"{told['DATE_ACQUIRED']}T{told['SCENE_CENTER_TIME'].rstrip('Z')[:15]}"
        assert found.date == np.datetime64(time, "us")
        assert (found.path, found.row) == (int(told["WRS_PATH"]), int(told["WRS_ROW"]))
        assert (found.sun_azimuth, found.sun_elevation) == (float(told["SUN_AZIMUTH"]), float(told["SUN_ELEVATION"]))
        assert found.name == file.name.split("_MTL")[0]
        assert found.platform[3] == told["SPACECRAFT_ID"][-1]
        assert found.platform == (file.name[:4] if file.name[2] == "0" else f"{file.name[:2]}0{file.name[2]}")
        assert found.has_gaps == (told.get("SENSOR_MODE_SLC") == "OFF")
        assert all(name.startswith(found.name) for name in found.files.values())
        assert {"LC": "SR_B4", "LE": "SR_B3", "LT": "SR_B3", "LM": "B5"}[found.platform[:2]].lstrip("SR_") in {
            name.lstrip("SR_") for name in found.files
        }


@pytest.mark.data
def test_real_metadata_with_images(tmp_path, data_folder):
    """Scenes whose metadata are real, and whose images are small."""
    files = sorted((data_folder / "stac_and_landsat_metadata" / "landsat").glob("*_MTL.*"))
    for k, file in enumerate(files):
        folder = tmp_path / f"{k} {file.name}"
        folder.mkdir()
        (folder / file.name).write_bytes(file.read_bytes())
        values = np.random.default_rng(k).integers(0, 200, (20, 20), dtype="uint16")
        for name in set(re.findall(r"[\w.]+\.TIF", file.read_text())):
            written_by.write_image(folder / name, values)
        stack = open_stack(folder, band="red")
        np.testing.assert_array_equal(stack[0], as_floats(values))
        is_level_2 = stack.level.item() == "L2SP"
        number = {"C": "4", "E": "3", "T": "3", "M": "5"}[stack.platform.item()[1]]
        assert only(folder).layers("red", None)[0].scene.band == f"{'SR_' if is_level_2 else ''}B{number}"
        factor, addend = (2.75e-5, -0.2) if is_level_2 else (1.3446e-3, -0.001552)
        np.testing.assert_allclose(1 / stack.quantification, factor, rtol=1e-10)
        np.testing.assert_allclose(stack.radiometric_offset / stack.quantification, addend, rtol=1e-10)
        assert only(folder).class_layer(GRID)[1]["cloud"] == 8


@pytest.mark.data
def test_real_coefficients(data_folder):
    """The polynomials agree with the orbit, and with the means that the file tells."""
    file = next((data_folder / "stac_and_landsat_metadata" / "landsat").glob("LC08*_ANG.txt"))
    coefficients = landsat_angles.read(file.read_bytes(), file.name)
    grid = Grid(353_685.0, 5_374_215.0, 3000.0, -3000.0, 79, 80, rasterio.CRS.from_epsg(32610))
    orbit = landsat_angles._Orbit(coefficients)
    x, y = np.meshgrid(grid.x_centres, grid.y_centres)
    for band, aside in (("8", 0.25), ("4", 0.5)):
        angles = landsat_angles.on_grid(coefficients, band, grid)
        view = vectors(angles["view_azimuth"], angles["view_zenith"])
        seen = ~np.isnan(view[0])
        assert 0.6 < seen.mean() < 0.8
        told = coefficients.numbers(f"RPC_BAND{band:0>2}", f"BAND{band:0>2}_MEAN_SAT_VECTOR", 3)
        np.testing.assert_allclose(view[:, seen].mean(axis=1), told, atol=2e-3)
        sun = vectors(angles["sun_azimuth"], 90 - angles["sun_elevation"])
        told = coefficients.numbers(f"RPC_BAND{band:0>2}", f"BAND{band:0>2}_MEAN_SUN_VECTOR", 3)
        np.testing.assert_allclose(sun[:, seen].mean(axis=1), told, atol=5e-4)
        by_orbit = orbit.vectors(x, y, grid.crs)[0]
        by_orbit /= np.linalg.norm(by_orbit, axis=0)
        between = np.degrees(np.arccos(np.clip((by_orbit * view).sum(axis=0), -1, 1)))
        assert np.nanmedian(between) < aside


def vectors(azimuth, zenith):
    azimuth, zenith = np.radians(azimuth), np.radians(zenith)
    return np.stack([np.sin(zenith) * np.sin(azimuth), np.sin(zenith) * np.cos(azimuth), np.cos(zenith)])


@pytest.mark.data
def test_yahtse_to_the_second(data_folder):
    stack = open_stack(str(data_folder / "yahtse_landsat8" / "*_B8_yahtse.tif"), chunks=512)
    expected = np.array(["2016-07-18T20:37:06", "2016-08-03T20:37:09"], dtype="M8[s]")
    np.testing.assert_array_equal(stack.time.values.astype("M8[s]"), expected)
    assert stack.platform.values.tolist() == ["LC08", "LC08"]
    assert stack.relative_orbit.values.tolist() == [63, 63]
    assert stack.geometry.values.tolist() == ["pre-collection L1T GLS2000"] * 2
    assert stack.scene.values.tolist() == ["LC80630182016200LGN00_B8_yahtse", "LC80630182016216LGN00_B8_yahtse"]
    np.testing.assert_allclose(stack.sun_azimuth, [159.61050887, 160.66607046])
    np.testing.assert_allclose(stack.sun_elevation, [49.49229894, 45.94985816])
    folder = Path(data_folder, "yahtse_landsat8")
    cut = open_stack(folder, band="pan", chunks=512)
    assert cut.scene.values.tolist() == ["LC80630182016200LGN00", "LC80630182016216LGN00"]
    xr.testing.assert_equal(cut.drop_vars("scene"), stack.drop_vars("scene"))
    with pytest.raises(FileNotFoundError, match=r"LC80630182016200LGN00_B4.TIF is missing"):
        open_stack(folder, band="red")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"  ", b"\t").replace(b" = ", b"\t=\t"),
        lambda content: content.replace(b"\nEND\n", b"\n"),
        lambda content: content.lower(),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.replace(
            b"  GROUP = PRODUCT_CONTENTS\n", b'  GROUP = PRODUCT_CONTENTS\n  ORIGIN = "Geogr\xe1fico"\n', 1
        ),
    ],
)
def test_metadata_that_went_through_other_programs(tmp_path, change):
    written = write_scene(tmp_path)
    plain = open_stack(written.place, band="pan")
    content = mtl_of(written).read_bytes()
    mtl_of(written).write_bytes(change(content))
    assert mtl_of(written).read_bytes() != content
    xr.testing.assert_identical(open_stack(written.place, band="pan"), plain)


def test_scenes_without_metadata_beside_others_are_told(tmp_path, caplog):
    for root, is_flat in ((tmp_path / "flat", True), (tmp_path / "folders", False)):
        whole = write_scene(root, is_flat=is_flat)
        bare = write_scene(root, is_flat=is_flat, time="2016-08-03T20:37:09")
        mtl_of(bare).unlink()
        caplog.clear()
        assert open_stack(root, band="pan").scene.values.tolist() == [whole.name]
        assert bare.name[:25] in caplog.text
    caplog.clear()
    open_stack(whole.place, band="pan")
    assert not caplog.text
