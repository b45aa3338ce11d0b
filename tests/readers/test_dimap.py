"""Orthoimages of Pléiades and SPOT 6/7 in DIMAP, read back as they were written."""

import math
import re
from pathlib import Path

import dimap_products as products
import numpy as np
import pytest

import xoffset
from xoffset import open_stack
from xoffset.readers import dimap
from xoffset.readers.grids import Grid

TIMES = ("2020-07-17T10:30:12.345Z", "2020-08-12T10:34:02.5Z")

NAMES = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")


def place_of(folder, kind, path):
    """The product as a user may name it."""
    return {
        "folder": folder,
        "image": path.parent,
        "document": path,
        "volume": folder / "VOL_PHR.XML",
        "zip": products.pack(folder),
    }[kind]


@pytest.mark.parametrize("kind", ["folder", "image", "document", "volume", "zip"])
@pytest.mark.parametrize("tiles", [(1, 1), (2, 3)])
def test_pixels_come_back(tmp_path, kind, tiles):
    path, pixels = products.write(tmp_path / "order", tiles=tiles)
    place = place_of(tmp_path / "order", kind, path)
    stack = open_stack(place, band="red")
    np.testing.assert_array_equal(stack[0], pixels[0])
    np.testing.assert_array_equal(open_stack(place, band="B3", chunks=17)[0], pixels[3])
    np.testing.assert_array_equal(open_stack(place, band=2)[0], pixels[1])
    assert (float(stack.x[0]), float(stack.y[0])) == (300_000.25, 4_999_999.75)
    assert "32632" in stack.spatial_ref.attrs["crs_wkt"]


@pytest.mark.parametrize("is_zip", [False, True])
def test_tiles_of_jpeg_2000(tmp_path, is_zip):
    path, pixels = products.write(tmp_path / "order", driver="JP2OpenJPEG", tiles=(2, 2), shape=(128, 160))
    stack = open_stack(products.pack(tmp_path / "order") if is_zip else path, band="B0", chunks=50)
    np.testing.assert_array_equal(stack[0], pixels[2])
    assert dimap.open_product(str(path), None)[0].layers("B0", None)[0].image.strip == 64


def test_what_the_document_tells(tmp_path):
    products.write(tmp_path / "a", time=TIMES[0])
    products.write(tmp_path / "b", time=TIMES[1], mission=("SPOT", "7"))
    stack = open_stack([tmp_path / "b", tmp_path / "a"], band="nir")
    assert [str(time)[:23] for time in stack.time.values] == ["2020-07-17T10:30:12.345", "2020-08-12T10:34:02.500"]
    assert list(stack.platform.values) == ["PHR1A", "SPOT7"]
    assert list(stack.scene.values) == [
        "DS_PHR1A_PMS_20200717103012345_ORT_C1", "DS_SPOT7_PMS_2020081210340252_ORT_C1".replace("340252", "34025"),
    ]  # fmt: skip
    assert list(stack.level.values) == ["ORTHO", "ORTHO"]
    assert list(stack.geometry.values) == ["DIMAP ortho on R3D_ORTHO over SRTM"] * 2
    told = [stack[name].values[0] for name in NAMES]
    assert told == list(products.ANGLES)
    np.testing.assert_array_equal(stack.radiometric_offset, 100.0)
    np.testing.assert_array_equal(stack.quantification, 10_000.0)


def test_reflectance_of_counts(tmp_path):
    path, _ = products.write(tmp_path, radiometry="BASIC")
    scene = dimap.open_product(str(path), None)[0].layers("B2", None)[0].scene
    # 17 July: the sun is 1.0163 astronomical units away
    radiance = 1000 / products.GAINS["B2"] + 0.5
    expected = math.pi * radiance * 1.0163**2 / (products.IRRADIANCES["B2"] * math.sin(math.radians(58.5)))
    assert (1000 + scene.radiometric_offset) / scene.quantification == pytest.approx(expected, rel=2e-4)


def test_stretched_values_have_no_reflectance(tmp_path):
    path, _ = products.write(tmp_path, radiometry="LINEAR_STRETCH")
    assert "quantification" not in open_stack(path, band="red").coords


def test_nodata_is_that_of_the_document(tmp_path):
    pixels = products.ground((60, 80), 4)
    pixels[:, 10:20, 30:50] = 0
    path, _ = products.write(tmp_path / "order", pixels=pixels)
    stack = open_stack(path, band="red")
    np.testing.assert_array_equal(np.isnan(stack[0]), pixels[0] == 0)
    text = path.read_text().replace("NODATA", "OTHER")
    path.write_text(text)
    assert not np.isnan(open_stack(path, band="red")).any()
    np.testing.assert_array_equal(np.isnan(open_stack(path, band="red", nodata=0)[0]), pixels[0] == 0)


def test_panchromatic_and_colour_of_one_pass(tmp_path):
    _, pan = products.write(tmp_path, time=TIMES[0], spectral="P", shape=(80, 120))
    _, colour = products.write(tmp_path, time="2020-07-17T10:30:12.9Z", spectral="MS", pixel=2.0, shape=(20, 30))
    found = dimap.open_product(str(tmp_path), None)
    assert len(found) == 1
    np.testing.assert_array_equal(open_stack(tmp_path, band="pan")[0], pan[0])
    stack = open_stack(tmp_path, band="blue")
    np.testing.assert_array_equal(stack[0], colour[2])
    assert float(stack.x[1] - stack.x[0]) == 2.0
    with pytest.raises(ValueError, match=r"needs one band; .* has bands P \(pan\), B2 \(red\), B1 \(green\)"):
        open_stack(tmp_path)


def test_of_two_resolutions_the_finest(tmp_path):
    _, fine = products.write(tmp_path, spectral="PMS")
    products.write(tmp_path, spectral="MS", pixel=2.0, shape=(15, 20))
    np.testing.assert_array_equal(open_stack(tmp_path, band="red")[0], fine[0])


def test_the_folder_of_a_delivery_is_one_place(tmp_path):
    path, pixels = products.write(tmp_path / "order" / "PROD_PHR1A_001")
    for folder in (path.parents[1], tmp_path / "order"):
        (folder / "VOL_PHR.XML").write_text("<Dimap_Document/>")
    np.testing.assert_array_equal(open_stack(tmp_path / "order", band="red")[0], pixels[0])


def test_two_passes_in_one_folder(tmp_path):
    for time, index in zip(TIMES, ("1A", "1B"), strict=True):
        products.write(tmp_path, time=time, mission=("PHR", index))
    assert list(open_stack(tmp_path, band="red").platform.values) == ["PHR1A", "PHR1B"]
    assert open_stack(str(tmp_path / "IMG_*"), band="red").sizes["time"] == 2


def test_without_the_optional_parts(tmp_path):
    path, pixels = products.write(tmp_path, has_index=False, has_center=False)
    stack = open_stack(path, band="red")
    np.testing.assert_array_equal(stack[0], pixels[0])
    assert str(stack.time.values[0]) == "2020-07-17T10:30:12.345000"
    assert "sun_azimuth" not in stack.coords


def test_one_band_needs_no_name(tmp_path):
    path, pixels = products.write(tmp_path, spectral="P")
    np.testing.assert_array_equal(open_stack(path)[0], pixels[0])


def test_angles_cover_the_image(tmp_path):
    path, _ = products.write(tmp_path)
    product = dimap.open_product(str(path), None)[0]
    grid = product.layers("B0", None)[0].image.grid
    wider = Grid(grid.x - 5, grid.y, 0.5, -0.5, 100, 60, grid.crs)
    for name, value in zip(
        ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith"), products.ANGLES, strict=True
    ):
        found = product.angles(None, wider)[name]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(found).all(axis=0), [True] * 10 + [False] * 80 + [True] * 10)
        assert np.nanmax(found) == np.nanmin(found) == np.float32(value)


def test_angles_beside_a_stack(tmp_path):
    for time, spectral, index in ((TIMES[0], "P", "1A"), (TIMES[0], "PMS", "1A"), (TIMES[1], "PMS", "1B")):
        products.write(tmp_path, time=time, spectral=spectral, mission=("PHR", index))
    stack = open_stack(tmp_path, band="red")
    angles = xoffset.angles(tmp_path, like=stack, band="red")
    for name, value in zip(
        ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith"), products.ANGLES, strict=True
    ):
        np.testing.assert_array_equal(angles[name], np.full(stack.shape, np.float32(value)))


def test_what_it_does_not_have(tmp_path):
    path, _ = products.write(tmp_path)
    product = dimap.open_product(str(path), None)[0]
    grid = product.layers("B0", None)[0].image.grid
    with pytest.raises(ValueError, match=r"detectors\(\) needs products that tell.*Leave it out"):
        product.detectors(None, grid)
    with pytest.raises(ValueError, match=r"class_layer\(\) needs products with a raster of classes.*Leave it out"):
        product.class_layer(grid)


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("SENSOR", "got an image in the geometry of the sensor.*Order it as ORTHO"),
        ("PROJECTED", "got processing 'PROJECTED', which leaves the parallax of the terrain"),
        ("MOSAIC", "got a mosaic, which has no single time"),
    ],
)
def test_other_than_orthoimages_are_refused(tmp_path, level, told):
    path, _ = products.write(tmp_path, level=level)
    with pytest.raises(ValueError, match=told):
        open_stack(path, band="red")


def edited(path, old, new):
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


@pytest.mark.parametrize(
    ("old", "new", "error", "told"),
    [
        ("</Dataset_Sources>", "", OSError, "whole and plain XML; got what is no XML"),
        ("<Dimap_Document>", "<!DOCTYPE a [<!ENTITY b 'c'>]><Dimap_Document>", ValueError, "got a document type"),
        ('FORMAT version="2.0"', 'FORMAT version="1.1"', ValueError, "got <Dimap_Document> of version '1.1'"),
        ("<NBANDS>4", "<NBANDS>four", ValueError, "got 'four' where NBANDS should be a number"),
        ("<TIME>2020-07-17T10:30:12.345Z", "<TIME>17/07/2020", ValueError, "date in ISO 8601 as time of DIM_"),
        (">157.25<", ">nan<", ValueError, "got 'nan' where Solar_Incidences/SUN_AZIMUTH should be a number"),
        ("<Data_File .*</Data_Files>", "</Data_Files>", ValueError, r"got no image \(Data_File\)"),
        ("</Data_Files>", "</Data_Files><Data_Files/>", ValueError, "got bands in several files"),
        ("<MISSION>.*?</MISSION>", "", ValueError, "needs MISSION in the metadata"),
    ],
)
def test_damaged_documents_are_refused(tmp_path, old, new, error, told):
    path, _ = products.write(tmp_path)
    edited(path, old, new)
    with pytest.raises(error, match=told):
        open_stack(path, band="red")


@pytest.mark.parametrize("is_zip", [False, True])
def test_missing_images_are_refused(tmp_path, is_zip):
    path, _ = products.write(tmp_path / "order", tiles=(2, 2))
    next(path.parent.glob("*_R2C1.TIF")).unlink()
    place = products.pack(tmp_path / "order") if is_zip else tmp_path / "order"
    with pytest.raises(FileNotFoundError, match=r"needs all images of a product; .*_R2C1.TIF \(1 of 4\)"):
        open_stack(place, band="red")


def test_unknown_bands_and_tiles_are_refused(tmp_path):
    path, _ = products.write(tmp_path)
    with pytest.raises(
        ValueError, match=r"needs band 'B04'; .* has bands B2 \(red\), B1 \(green\), B0 \(blue\), B3 \(nir\)"
    ):
        open_stack(path, band="B04")
    with pytest.raises(ValueError, match="needs no tile= for DIMAP products"):
        open_stack(path, band="red", tile="31TGK")


def test_geographic_products_are_refused(tmp_path):
    path, _ = products.write(tmp_path, epsg=4326, corner=(7.0, 45.0), pixel=5e-6)
    with pytest.raises(ValueError, match="needs a projected CRS"):
        open_stack(path, band="red")


def test_images_that_change_are_noticed(tmp_path):
    path, _ = products.write(tmp_path)
    stack = open_stack(path, band="red", chunks=20)
    image = next(path.parent.glob("*.TIF"))
    image.write_bytes(image.read_bytes() + b" ")
    with pytest.raises(OSError, match="has changed since"):
        stack.compute()


def test_other_folders_are_none(tmp_path):
    (tmp_path / "VOL_x.XML").write_text("")
    (tmp_path / "DIM_folder").mkdir()
    assert not dimap.is_product(str(tmp_path / "nothing"))
    assert not dimap.is_product(str(tmp_path))
    assert not dimap.is_product("https://example.com/DIM_a.XML")
    assert not dimap.is_product(str(Path(__file__)))
