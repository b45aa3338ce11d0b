"""Orthoscenes of PlanetScope, read back as they were written."""

import json
import math
from pathlib import Path

import numpy as np
import planetscope_products as products
import pytest

import xoffset
from xoffset import open_stack
from xoffset.readers import planetscope
from xoffset.readers.grids import Grid

ITEMS = ("20200717_102030_1032", "20210717_102030_12_2257")

NAMES = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")


@pytest.mark.parametrize("kind", ["folder", "order", "image", "zip"])
def test_pixels_come_back(tmp_path, kind):
    folder = tmp_path / "order" / ("PSScene" if kind == "order" else "")
    image, pixels, _ = products.write(folder)
    place = {"folder": folder, "order": tmp_path / "order", "image": image, "zip": products.pack(tmp_path / "order")}[
        kind
    ]
    stack = open_stack(place, band="red")
    expected = np.where(pixels[2] == 0, np.nan, pixels[2])
    np.testing.assert_array_equal(stack[0], expected)
    assert np.isnan(stack[0, :4]).all()
    np.testing.assert_array_equal(open_stack(place, band=3, chunks=17)[0], expected)
    np.testing.assert_array_equal(open_stack(place, band="B3")[0], expected)
    assert (float(stack.x[0]), float(stack.y[0])) == (300_001.5, 4_999_998.5)


def test_a_flat_folder_of_many_scenes(tmp_path):
    _, old, _ = products.write(tmp_path, ITEMS[0], kind="_SR", tools="_clip")
    _, new, _ = products.write(
        tmp_path, ITEMS[1], kind="_SR_8b", tools="_clip", bands=8, instrument="PSB.SD", corner=(300_030.0, 5_000_000.0)
    )
    stack = open_stack(tmp_path, band="nir")
    assert stack.shape == (2, 60, 90)
    np.testing.assert_array_equal(stack[0, 4:, :80], old[3][4:])
    np.testing.assert_array_equal(stack[1, 4:, 10:], new[7][4:])
    assert [str(time) for time in stack.time.values] == ["2020-07-17T10:20:30.123456", "2021-07-17T10:20:30.123456"]
    assert list(stack.scene.values) == list(ITEMS)
    assert list(stack.platform.values) == ["PS2", "PSB.SD"]
    assert list(stack.level.values) == ["3B SR", "3B SR"]
    assert list(stack.geometry.values) == ["PlanetScope 3B with ground control"] * 2
    told = [stack[name].values[0] for name in NAMES]
    assert told == list(products.ANGLES)
    np.testing.assert_array_equal(stack.radiometric_offset, 0.0)
    np.testing.assert_array_equal(stack.quantification, 10_000.0)
    assert open_stack(str(tmp_path / "*_SR_clip.tif"), band="nir").sizes["time"] == 1
    assert open_stack(str(tmp_path / "*"), band="nir").sizes["time"] == 2  # with metadata and masks


def test_reflectance_of_radiance(tmp_path):
    image, _, _ = products.write(tmp_path, bands=8, kind="_8b")
    for band, number in (("coastal", 1), ("green", 4), ("yellow", 5), ("rededge1", 7)):
        scene = planetscope.open_product(str(image), None)[0].layers(band, None)[0].scene
        assert scene.quantification == pytest.approx(1 / products.COEFFICIENTS[number - 1], rel=1e-12)
        assert scene.radiometric_offset == 0.0


@pytest.mark.parametrize(
    ("has_json", "has_xml", "time"),
    [
        (True, False, "2020-07-17T10:20:30.123456"),
        (False, True, "2020-07-17T10:20:30.123456"),
        (False, False, "2020-07-17T10:20:30.000000"),
    ],
)
def test_without_some_metadata(tmp_path, has_json, has_xml, time):
    image, _, _ = products.write(tmp_path, has_json=has_json, has_xml=has_xml)
    stack = open_stack(image, band="red")
    assert str(stack.time.values[0]) == time
    assert ("quantification" in stack.coords) == has_xml
    assert ("view_azimuth" in stack.coords) == has_json
    assert ("platform" in stack.coords) == (has_json or has_xml)
    if has_json and not has_xml:  # 3 degrees off nadir, seen from the ground
        expected = math.degrees(math.asin((6371 + 475) / 6371 * math.sin(math.radians(3))))
        assert float(stack.view_zenith[0]) == pytest.approx(expected, abs=1e-9)


def test_hundredths_of_a_second_in_the_name(tmp_path):
    image, _, _ = products.write(tmp_path, ITEMS[1], has_json=False, has_xml=False)
    assert str(open_stack(image, band="red").time.values[0]) == "2021-07-17T10:20:30.120000"


@pytest.mark.parametrize("shift", [(0, 0), (-6, 4), (1.4, -1.4)])
def test_classes_of_the_mask(tmp_path, shift):
    """Shifts in metres; of less than half a pixel the nearest class is the same one."""
    image, _, mask = products.write(tmp_path)
    product = planetscope.open_product(str(image), None)[0]
    grid = product.layers("red", None)[0].image.grid
    pixel_shift = [round(each / 3) for each in shift]
    shift = shift if abs(shift[0]) < 3 else [3 * each for each in pixel_shift]
    moved = Grid(grid.x + shift[0], grid.y - shift[1], 3, -3, 80, 60, grid.crs)
    classes, meanings, are_bits, _ = product.class_layer(moved)
    assert are_bits
    assert list(meanings) == [*products.CLASSES, "unusable", "no_data"]
    expected = sum(mask[k].astype(int) * meanings[name] for k, name in enumerate(products.CLASSES))
    expected = np.where(mask[7] != 0, expected | meanings["unusable"], expected)
    expected[:4] |= meanings["no_data"]
    down, right = pixel_shift[1], pixel_shift[0]
    padded = np.pad(expected, 10, constant_values=meanings["no_data"])[10 + down : 70 + down, 10 + right : 90 + right]
    np.testing.assert_array_equal(classes, padded)


@pytest.mark.parametrize("chunks", [None, 32])
def test_layers_beside_a_stack(tmp_path, chunks):
    masks = [products.write(tmp_path, item)[2] for item in ITEMS]
    stack = open_stack(tmp_path, band="red", chunks=chunks)
    classes = xoffset.class_layer(tmp_path, like=stack)
    bits = dict(zip(classes.attrs["flag_meanings"].split(), classes.attrs["flag_masks"], strict=True))
    for name, k in (("cloud", 5), ("unusable", 7)):
        np.testing.assert_array_equal((classes & bits[name]) != 0, np.array([mask[k] != 0 for mask in masks]))
    angles = xoffset.angles(tmp_path, like=stack)
    for name, value in zip(
        ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith"), products.ANGLES, strict=True
    ):
        np.testing.assert_array_equal(angles[name], np.float32(value))
    with pytest.raises(ValueError, match=r"detectors\(\) needs products that tell which detector"):
        xoffset.detectors(tmp_path, like=stack).compute()


def test_the_mask_never_masks(tmp_path):
    image, pixels, mask = products.write(tmp_path)
    assert (mask[5] != 0).any()
    np.testing.assert_array_equal(np.isnan(open_stack(image, band="red")[0]), pixels[2] == 0)


def test_angles_cover_the_image(tmp_path):
    image, _, _ = products.write(tmp_path)
    product = planetscope.open_product(str(image), None)[0]
    grid = product.layers("red", None)[0].image.grid
    wider = Grid(grid.x - 30, grid.y, 3, -3, 100, 60, grid.crs)
    found = product.angles(None, wider)
    for name, value in zip(
        ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith"), products.ANGLES, strict=True
    ):
        np.testing.assert_array_equal(np.isnan(found[name]).all(axis=0), [True] * 10 + [False] * 80 + [True] * 10)
        assert np.nanmax(found[name]) == np.nanmin(found[name]) == np.float32(value)


def test_what_it_does_not_have(tmp_path):
    image, _, _ = products.write(tmp_path, has_mask=False)
    product = planetscope.open_product(str(image), None)[0]
    grid = product.layers("red", None)[0].image.grid
    with pytest.raises(ValueError, match=r"detectors\(\) needs products that tell.*Leave it out"):
        product.detectors(None, grid)
    with pytest.raises(
        ValueError, match=r"class_layer\(\) needs the UDM2 mask .* without 20200717_102030_1032_3B_udm2"
    ):
        product.class_layer(grid)


# ----------------------------------------------------------------------------------------------------------- bad input


def test_basic_scenes_are_refused(tmp_path):
    products.write(tmp_path, level="1B")
    with pytest.raises(ValueError, match=r"needs orthoscenes of PlanetScope \(3B\); got .* a basic scene \(1B\)"):
        open_stack(tmp_path, band="red")


def test_two_images_of_one_scene_are_refused(tmp_path):
    products.write(tmp_path)
    products.write(tmp_path, kind="_SR")
    with pytest.raises(
        ValueError, match=r"one image a scene; got 20200717_102030_1032_3B_AnalyticMS.tif and .*_SR.tif"
    ):
        open_stack(tmp_path, band="red")
    assert open_stack(str(tmp_path / "*_AnalyticMS_SR.tif"), band="red").level.values[0] == "3B SR"


def test_unknown_bands_and_tiles_are_refused(tmp_path):
    image, _, _ = products.write(tmp_path)
    with pytest.raises(
        ValueError, match=r"needs band 'swir16'; .* has bands 1 \(blue\), 2 \(green\), 3 \(red\), 4 \(nir\)"
    ):
        open_stack(image, band="swir16")
    with pytest.raises(ValueError, match=r"needs one band; .* has bands 1 \(blue\)"):
        open_stack(image)
    with pytest.raises(ValueError, match="needs no tile= for PlanetScope"):
        open_stack(image, band="red", tile="31TGK")
    image, _, _ = products.write(tmp_path / "three", bands=3)
    with pytest.raises(ValueError, match="images of 4 or 8 bands; got 3"):
        open_stack(image, band="red")


def test_damaged_metadata_are_refused(tmp_path):
    image, _, _ = products.write(tmp_path)
    path = tmp_path / f"{ITEMS[0]}_metadata.json"
    told = json.loads(path.read_text())
    for change, error, match in (
        ({"sun_azimuth": "high"}, ValueError, "number as sun_azimuth of .*; got 'high'"),
        ({"acquired": "17.7.2020"}, ValueError, "date in ISO 8601 as time of"),
        ({"acquired": "2019-07-17T10:20:30Z"}, ValueError, "metadata that belong to their image"),
    ):
        path.write_text(json.dumps(told | {"properties": told["properties"] | change}))
        with pytest.raises(error, match=match):
            open_stack(image, band="red")
    for text in ('{"type": "Feature"', '{"type": "Feature"}', "[]", '{"properties": []}'):
        path.write_text(text)
        with pytest.raises(OSError, match=r"as JSON with 'properties'; got .*, which is damaged"):
            open_stack(image, band="red")
    path.unlink()
    document = next(tmp_path.glob("*.xml"))
    text = document.read_text()
    document.write_text(text.replace(str(products.COEFFICIENTS[2]), "0"))
    with pytest.raises(ValueError, match=r"number as reflectanceCoefficient of .*; got '0'"):
        open_stack(image, band="red")
    document.write_text(text[:500])
    with pytest.raises(OSError, match="whole and plain XML"):
        open_stack(image, band="red")


def test_masks_of_another_kind_are_refused(tmp_path):
    image, _, _ = products.write(tmp_path)
    product = planetscope.open_product(str(image), None)[0]
    Path(tmp_path, f"{ITEMS[0]}_3B_udm2.tif").write_bytes(image.read_bytes())
    with pytest.raises(ValueError, match="UDM2 masks of 8 bands; got 4"):
        product.class_layer(product.layers("red", None)[0].image.grid)


def test_other_places_are_none(tmp_path):
    (tmp_path / "20200717_102030_1032_3B_Visual.tif").write_text("")
    assert not planetscope.is_product(str(tmp_path / "nothing"))
    assert not planetscope.is_product(str(tmp_path))
    assert not planetscope.is_product("https://example.com/20200717_102030_1032_3B_AnalyticMS.tif")
