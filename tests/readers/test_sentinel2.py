"""Sentinel-2 products: what the generator wrote comes back, real ones open, and others are told."""

import logging
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import safe_products

import xoffset
from xoffset.readers.sentinel2 import product as sentinel2

THREE_PARTS = r"(?s)open_stack\(\) needs .*[;:] .*\. (Fetch|Unpack|Leave|Take|Give|Check|Pass) "


def with_gaps(values):
    return np.where(values == 0, np.nan, values.astype(np.float32))


def edit(path, pattern, text):
    """Replace what a pattern finds in a file, which it must find."""
    old = path.read_text()
    new, count = re.subn(pattern, text, old, flags=re.DOTALL)
    assert count
    path.write_text(new)


def file_in(truth, pattern):
    (found,) = truth.path.glob(pattern)
    return found


def only(place, tile=None):
    (product,) = sentinel2.open_product(str(place), tile)
    return product


# ----------------------------------------------------------------------------------------- what is written is read back


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"level": "L2A", "bands": ("B04", "B8A"), "baseline": "02.14"},
        {"as_zip": True, "refined": True, "baseline": "05.11", "platform": "S2C"},
        {"level": "L2A", "as_zip": True, "compression": zipfile.ZIP_DEFLATED, "bands": ("B02", "B12")},
        {"baseline": "02.01", "tile": "56HKH", "orbit": 143},
    ],
)
def test_pixels_and_metadata_come_back(tmp_path, options):
    truth = safe_products.write(tmp_path, **options)
    for name, values in truth.pixels.items():
        lazy = xoffset.open_stack(truth.path, band=name, chunks=50)
        stack = xoffset.open_stack(truth.path, band=name)
        np.testing.assert_array_equal(stack.values[0], with_gaps(values))
        np.testing.assert_array_equal(lazy.values, stack.values)
        assert stack.dtype == lazy.dtype == "float32"
        band, side = name.split("_")
        x, y = truth.corner
        half = int(side[:-1]) / 2
        assert (stack.x[0], stack.y[0]) == (x + half, y - half)
        assert stack.time.values[0] == truth.date
        assert stack.scene.item() == truth.name
        assert stack.platform.item() == options.get("platform", "S2A")
        assert stack.relative_orbit.item() == options.get("orbit", 65)
        assert stack.tile.item() == truth.tile
        assert stack.level.item() == options.get("level", "L1C")
        assert stack.radiometric_offset.item() == truth.offset
        assert stack.quantification.item() == 10000
        zenith, azimuth = truth.mean_sun
        np.testing.assert_allclose([stack.sun_elevation.item(), stack.sun_azimuth.item()], [90 - zenith, azimuth])
        zenith, azimuth = truth.mean_view[band]
        np.testing.assert_allclose([stack.view_zenith.item(), stack.view_azimuth.item()], [zenith, azimuth])


@pytest.mark.parametrize("as_zip", [False, True])
def test_tiles_of_old_products_in_two_zones(tmp_path, as_zip):
    truths = safe_products.write_old(tmp_path, as_zip=as_zip)
    path = truths["04MGV"].path
    for tile, truth in truths.items():
        stack = xoffset.open_stack(path, band="B04", tile=tile)
        np.testing.assert_array_equal(stack.values[0], with_gaps(truth.pixels["B04_10m"]))
        assert stack.time.values[0] == truth.date
        assert stack.tile.item() == tile
        assert f'ID["EPSG",{truth.epsg}]' in stack.spatial_ref.attrs["crs_wkt"]
        assert stack.scene.item() == truth.name
    assert [each.metadata.tile_of_id() for each in sentinel2.open_product(str(path), None)] == list(truths)
    with pytest.raises(ValueError, match=r"needs tile 31TGK; .* has 04MGV, 05MKP\. Pass tile= one of them"):
        xoffset.open_stack(path, band="B04", tile="31TGK")


def test_series_of_folders_and_zip_files(tmp_path):
    truths = [
        safe_products.write(tmp_path, date="2022-03-01T10:20:31", baseline="04.00", seed=1),
        safe_products.write(tmp_path, date="2021-03-01T10:20:31", baseline="03.00", seed=2, as_zip=True),
        safe_products.write(tmp_path, date="2016-03-01T10:20:31", baseline="02.01", seed=3),
    ][::-1]
    for source in (tmp_path, f"{tmp_path}/*", [truth.path for truth in truths]):
        stack = xoffset.open_stack(source, band="red")
        assert list(stack.time.values) == [truth.date for truth in truths]
        assert stack.radiometric_offset.values.tolist() == [0, 0, -1000]
        for image, truth in zip(stack.values, truths, strict=True):
            np.testing.assert_array_equal(image, with_gaps(truth.pixels["B04_10m"]))
        assert len(set(stack.geometry.values)) == 3


def test_every_path_that_means_a_product(tmp_path):
    truth = safe_products.write(tmp_path / "a")
    folder = next(truth.path.glob("GRANULE/*"))
    zipped = shutil.make_archive(str(tmp_path / "contents"), "zip", truth.path)  # without the folder NAME.SAFE
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        for file in truth.path.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(truth.path.parent))
        archive.writestr(f"__MACOSX/{truth.name}.SAFE/._MTD_MSIL1C.xml", b"\0\5\26\7")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(truth.path, truth.path.name)
    renamed = tmp_path / "renamed"
    shutil.copytree(truth.path, renamed)
    places = [
        truth.path / "MTD_MSIL1C.xml", truth.path / "manifest.safe", folder, folder / "MTD_TL.xml",
        zipped, tmp_path / "mac.zip", tmp_path / "a.tar", renamed,
    ]  # fmt: skip
    for place in places:
        assert sentinel2.is_product(str(place)), place
        stack = xoffset.open_stack(place, band="B04")
        np.testing.assert_array_equal(stack.values[0], with_gaps(truth.pixels["B04_10m"]))
        assert stack.scene.item() == truth.name
        assert stack.relative_orbit.item() == 65
    assert not sentinel2.is_product(str(next(folder.glob("IMG_DATA/*_B04.jp2"))))
    assert not sentinel2.is_product(str(tmp_path))
    assert not sentinel2.is_product("https://example.com/a.SAFE")


def test_a_tile_that_came_alone(tmp_path):
    truth = safe_products.write_old(tmp_path)["05MKP"]
    folder = next(truth.path.glob("GRANULE/*05MKP*"))
    alone = shutil.move(folder, tmp_path / folder.name)
    stack = xoffset.open_stack(alone, band="B04")
    np.testing.assert_array_equal(stack.values[0], with_gaps(truth.pixels["B04_10m"]))
    assert stack.time.values[0] == truth.date
    assert (stack.platform.item(), stack.level.item(), stack.tile.item()) == ("S2A", "L1C", "05MKP")
    # what only the metadata of the product tell is unknown
    assert not {"relative_orbit", "radiometric_offset", "quantification"} & set(stack.coords)
    assert stack.geometry.item() == "baseline 02.04 or alike, refinement unknown, DEM unknown"
    assert xoffset.open_stack(alone, band="B04", tile="05MKP").equals(stack)
    with pytest.raises(ValueError, match="has 05MKP"):
        xoffset.open_stack(alone, band="B04", tile="31TGK")


# ---------------------------------------------------------------------------------------------------------------- bands


@pytest.mark.parametrize(
    ("band", "file"),
    [
        ("B04", "R10m/*_B04_10m.jp2"),
        ("B4", "R10m/*_B04_10m.jp2"),
        ("red", "R10m/*_B04_10m.jp2"),
        ("B04_20m", "R20m/*_B04_20m.jp2"),
        ("B4_60m", "R60m/*_B04_60m.jp2"),
        ("B8A", "R20m/*_B8A_20m.jp2"),
        ("nir08", "R20m/*_B8A_20m.jp2"),
        ("B01", "R60m/*_B01_60m.jp2"),
        ("SCL", "R20m/*_SCL_20m.jp2"),
        ("SCL_60m", "R60m/*_SCL_60m.jp2"),
    ],
)
def test_names_of_bands(tmp_path, band, file):
    truth = safe_products.write(tmp_path, level="L2A", bands=("B04", "B8A", "B01"))
    with rasterio.open(file_in(truth, f"GRANULE/*/IMG_DATA/{file}")) as dataset:
        expected = dataset.read()
    np.testing.assert_array_equal(xoffset.open_stack(truth.path, band=band).values, with_gaps(expected))


def test_files_that_users_and_systems_leave_do_not_count(tmp_path):
    truth = safe_products.write(tmp_path)
    image = file_in(truth, "GRANULE/*/IMG_DATA/*_B04.jp2")
    image.with_suffix(".tif").write_bytes(b"converted")
    for name in (f"._{image.name}", f"{image.name}.aux.xml", f"{image.stem}_clipped.tif", "B04_old.jp2"):
        (image.parent / name).write_bytes(b"x")
    (truth.path / "GRANULE/._L1C_T31TGK").mkdir()
    (truth.path / "GRANULE/._L1C_T31TGK/MTD_TL.xml").write_bytes(b"x")
    stack = xoffset.open_stack(truth.path, band="B04")
    np.testing.assert_array_equal(stack.values[0], with_gaps(truth.pixels["B04_10m"]))


def test_a_size_in_the_name_of_a_band_of_l1c(tmp_path):
    truth = safe_products.write(tmp_path)
    assert xoffset.open_stack(truth.path, band="B04_10m").equals(xoffset.open_stack(truth.path, band="B04"))
    with pytest.raises(ValueError, match=r"needs band 'B04_20m'; .* has B04, B11\. Pass band="):
        xoffset.open_stack(truth.path, band="B04_20m")


def test_zero_is_a_probability(tmp_path):
    truth = safe_products.write(tmp_path, level="L2A")
    for band in ("CLD", "SNW"):
        stack = xoffset.open_stack(truth.path, band=band)
        assert (stack.values == 0).all()
        assert "quantification" not in stack.coords
    assert np.isnan(xoffset.open_stack(truth.path, band="SCL").values).any()
    kept = xoffset.open_stack(truth.path, band="B04", nodata=65535)
    assert (kept.values[0] == truth.pixels["B04_10m"]).all()


@pytest.mark.parametrize("band", ["B09", "B99", "pan", "", "B04_30m", 4, None])
def test_unknown_bands_are_told_with_those_that_are_there(tmp_path, band):
    truth = safe_products.write(tmp_path, level="L2A")
    with pytest.raises(ValueError, match=r"has B04 \(10, 20, 60 m\), B11 \(20, 60 m\), CLD \(20 m\), SCL \(20, 60 m\)"):
        xoffset.open_stack(truth.path, band=band)
    with pytest.raises(ValueError, match=r"got TCI .* Pass band='B04' \(red\)"):
        xoffset.open_stack(truth.path, band="TCI")


# ------------------------------------------------------------------------------------------------------------- metadata


def test_offsets_are_those_of_the_metadata_whatever_the_baseline(tmp_path):
    applied = safe_products.write(tmp_path, baseline="05.10", offset=0.0)
    anew = safe_products.write(tmp_path, baseline="02.09", offset=-1000.0, date="2019-01-01T10:20:30")
    stack = xoffset.open_stack([applied.path, anew.path], band="B04")
    assert stack.radiometric_offset.values.tolist() == [-1000, 0]
    edit(anew.path / "MTD_MSIL1C.xml", r'<RADIO_ADD_OFFSET band_id="3">-1000</RADIO_ADD_OFFSET>', "")
    with pytest.raises(ValueError, match="RADIO_ADD_OFFSET of other bands but none of B04"):
        xoffset.open_stack(anew.path, band="B04")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"baseline": "02.01"}, "baseline before 02.04, not refined, DEM GLOBEF"),
        ({"baseline": "02.04"}, "baseline 02.04 or alike, not refined, DEM GLOBEF"),
        ({"baseline": "02.09"}, "baseline 02.04 or alike, not refined, DEM GLOBEF"),
        ({"baseline": "03.01", "refined": True}, "baseline 03.00 or alike, refined, DEM GLOBEF"),
        ({"baseline": "05.09"}, "baseline 05.00 or alike, not refined, DEM GLOBEF"),
        ({"baseline": "05.11", "refined": None}, "baseline 05.00 or alike, refinement unknown, DEM GLOBEF"),
        ({"baseline": "99.99"}, "baseline 99.99, not refined, DEM GLOBEF"),
        ({"dem": "COP-DEM_GLO-90-DGED__2021_1"}, "baseline 04.00 or alike, not refined, DEM Copernicus 90 m"),
        ({"dem": "CopernicusDEM30"}, "baseline 04.00 or alike, not refined, DEM Copernicus 30 m"),
        ({"dem": "/app/s/i/e81d/dem/"}, "baseline 04.00 or alike, not refined, DEM unknown"),
    ],
)
def test_classes_of_geometry(tmp_path, options, expected):
    assert xoffset.open_stack(safe_products.write(tmp_path, **options).path, band="B04").geometry.item() == expected


def test_the_geometry_of_l2a_is_that_of_its_l1c(tmp_path):
    truth = safe_products.write(tmp_path, level="L2A", baseline="05.00", offset=-1000.0)
    edit(file_in(truth, "GRANULE/*/MTD_TL.xml"), r"(<L1C_TILE_ID>[^<]*)N05.00", r"\1N02.07")
    geometry = xoffset.open_stack(truth.path, band="B04").geometry.item()
    assert geometry.startswith("baseline 02.04 or alike")


@pytest.mark.parametrize(
    ("message", "told"), [("has been refined", "refined"), ("has not been refined", "not refined")]
)
def test_quality_reports_tell_refining_where_data_strips_do_not(tmp_path, message, told):
    truth = safe_products.write(tmp_path, refined=None)
    report = truth.path / "DATASTRIP/DS_2BPS/QI_DATA/GEOMETRIC_QUALITY.xml"
    report.parent.mkdir(parents=True)
    report.write_text(f"<a xmlns='https://x'><check><message>Geometry of image {message}.</message></check></a>")
    assert f", {told}, " in xoffset.open_stack(truth.path, band="B04").geometry.item()


def test_without_sensing_time_the_data_take_is_told(tmp_path, caplog):
    truth = safe_products.write(tmp_path)
    edit(file_in(truth, "GRANULE/*/MTD_TL.xml"), r"<SENSING_TIME.*?</SENSING_TIME>", "")
    edit(truth.path / "MTD_MSIL1C.xml", r"(<DATATAKE_SENSING_START>)[^<]*", r"\g<1>2021-07-17T10:10:00.5Z")
    with caplog.at_level(logging.INFO):
        stack = xoffset.open_stack(truth.path, band="B04")
    assert stack.time.values[0] == np.datetime64("2021-07-17T10:10:00.5")
    assert "no sensing time of its tile" in caplog.text


def test_processing_time_and_masks(tmp_path):
    truth = safe_products.write(tmp_path, processed="2022-01-02T03:04:05", baseline="02.09", masks="gml")
    product = only(truth.path)
    assert product.layers("B04", None)[0].scene.processed == np.datetime64("2022-01-02T03:04:05")
    assert product.mask("DETFOO", "red").name.endswith("MSK_DETFOO_B04.gml")
    assert product.mask("DETFOO", "red").root().tag == "Mask"
    assert product.mask("CLOUDS").name.endswith("MSK_CLOUDS_B00.gml")
    assert product.mask("CLASSI") is None
    assert not product.mask("CLOUDS").is_raster
    assert product.tile_metadata.find(".//Sun_Angles_Grid") is not None
    raster = only(safe_products.write(tmp_path, as_zip=True).path).mask("DETFOO", "B11")
    assert raster.is_raster
    with rasterio.open(raster.tree.gdal_path(raster.name)) as dataset:
        np.testing.assert_array_equal(dataset.read(1), truth.detectors["20m"])


# ------------------------------------------------------------------------------------------------------------ bad input


def refused(place, error=(ValueError, OSError), match=None, **options):
    with pytest.raises(error, match=match) as told:
        xoffset.open_stack(place, **{"band": "B04"} | options)
    assert re.search(THREE_PARTS, str(told.value)), str(told.value)
    return str(told.value)


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_letters_of_names_may_be_small_or_large(tmp_path, change):
    truth = safe_products.write(tmp_path, refined=True)
    as_written = xoffset.open_stack(truth.path, band="B04", tile="31TGK")
    for path in sorted(truth.path.rglob("*"), reverse=True):
        path.rename(path.with_name(change(path.name)))
    stack = xoffset.open_stack(truth.path, band="B04", tile="31TGK")
    assert stack.identical(as_written)
    assert stack.radiometric_offset.item() == -1000


def test_what_lies_beside_products_is_passed_over(tmp_path, caplog):
    truths = [safe_products.write(tmp_path, date=f"2021-07-{day}T10:20:31", seed=day) for day in (17, 27)]
    alone = xoffset.open_stack([truth.path for truth in truths], band="B04")
    for name in ("readme.txt", ".DS_Store", f"{truths[0].name}.SAFE.md5", f"{truths[0].name}-ql.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "quicklooks").mkdir()
    stack = xoffset.open_stack(tmp_path / "*", band="B04")
    assert stack.identical(alone)
    assert all(name in caplog.text for name in ("readme.txt", ".SAFE.md5", "-ql.jpg", "quicklooks"))
    # what may be an image or a product is not
    for name, error in (("other.tif", OSError), ("other.jpg", OSError), ("other.zip.part", OSError)):
        (tmp_path / name).write_bytes(b"PK\3\4" if name.endswith("part") else b"no image")
        refused(tmp_path / "*", error, name)
        (tmp_path / name).unlink()


def test_products_in_folders_of_their_own(tmp_path):
    truths = [safe_products.write(tmp_path / str(day), date=f"2021-07-{day}T10:20:31", seed=day) for day in (17, 27)]
    alone = xoffset.open_stack([truth.path for truth in truths], band="B04")
    for source in (tmp_path, tmp_path / "*", tmp_path / "**", [truth.path.parent for truth in truths]):
        assert xoffset.open_stack(source, band="B04").identical(alone)


def test_masks_that_a_pattern_for_images_finds_do_not_count(tmp_path):
    truth = safe_products.write(tmp_path, masks="jp2")
    stack = xoffset.open_stack(f"{tmp_path}/**/*_B04.jp2")
    np.testing.assert_array_equal(stack[0].values, truth.pixels["B04_10m"])
    mask = xoffset.open_stack(f"{tmp_path}/**/MSK_DETFOO_B04.jp2", date=["2021-07-17"])
    np.testing.assert_array_equal(mask[0].values, truth.detectors["10m"])


@pytest.mark.parametrize("kind", ["zip", "link", "copy"])
def test_a_product_that_is_there_twice_counts_once(tmp_path, caplog, kind):
    truth = safe_products.write(tmp_path / "a")
    alone = xoffset.open_stack(truth.path, band="B04")
    if kind == "zip":
        shutil.make_archive(str(tmp_path / "a" / "b"), "zip", tmp_path / "a", truth.path.name)
    elif kind == "link":
        (tmp_path / "a/b.SAFE").symlink_to(truth.path)
    else:
        shutil.copytree(truth.path, f"{truth.path} (1).SAFE")
    assert xoffset.open_stack(tmp_path / "a", band="B04").identical(alone)
    assert "is there twice" in caplog.text


def test_metadata_of_another_product_are_refused(tmp_path):
    truth = safe_products.write(tmp_path / "a")
    other = safe_products.write(tmp_path / "b", level="L2A", tile="32TLR", offset=0.0)
    as_written = xoffset.open_stack(truth.path, band="B04")
    # those of both levels: each tile has its own
    shutil.copy(other.path / "MTD_MSIL2A.xml", truth.path)
    assert xoffset.open_stack(truth.path, band="B04").identical(as_written)
    (truth.path / "MTD_MSIL1C.xml").unlink()
    refused(truth.path, ValueError, r"MTD_MSIL2A\.xml \(L2A of 32TLR\) with the tile 31TGK of L1C")
    third = safe_products.write(tmp_path / "c", tile="32TLR", offset=0.0)
    shutil.copy(third.path / "MTD_MSIL1C.xml", truth.path)
    refused(truth.path, ValueError, r"MTD_MSIL1C\.xml \(L1C of 32TLR\) with the tile 31TGK")


def test_images_that_the_metadata_list_count_before_copies(tmp_path):
    truth = safe_products.write(tmp_path)
    image = file_in(truth, "GRANULE/*/IMG_DATA/*_B04.jp2")
    for name in ("A_B04.jp2", f"A_{image.name}", f"old/{image.name.replace('_B04', '_MINE_B04')}"):
        safe_products._write_jp2(image.parent / name, np.full((1, 240, 240), 7, np.uint16), truth, 10)
    stack = xoffset.open_stack(truth.path, band="B04")
    np.testing.assert_array_equal(stack[0].values, with_gaps(truth.pixels["B04_10m"]))


def test_folders_of_a_product_may_be_links(tmp_path):
    truth = safe_products.write(tmp_path / "store")
    linked = tmp_path / "scenes" / truth.path.name
    linked.mkdir(parents=True)
    for path in truth.path.iterdir():
        (linked / path.name).symlink_to(path)
    (linked / "round").symlink_to(linked)
    (linked / "up").symlink_to(tmp_path)  # where other products lie
    safe_products.write(tmp_path / "store", date="2021-08-17T10:20:31")
    stack = xoffset.open_stack(linked, band="B04")
    np.testing.assert_array_equal(stack[0].values, with_gaps(truth.pixels["B04_10m"]))
    assert stack.sizes["time"] == 1


def test_each_tile_has_the_data_strip_that_it_names(tmp_path):
    found = safe_products.write_old(tmp_path)
    truth = found["05MKP"]
    (strip,) = (truth.path / "DATASTRIP").iterdir()
    other = Path(str(strip).replace("_S20160701T204643_", "_S20160701T204833_"))
    other.mkdir()
    (file,) = strip.glob("*.xml")
    copied = shutil.copy(file, other / file.name.replace("_S20160701T204643.", "_S20160701T204833."))
    edit(copied, "NOT_REFINED", "REFINED")
    edit(file_in(truth, "GRANULE/*05MKP*/*.xml"), r"(DATASTRIP_ID>[^<]*_S)\d+T\d+", r"\g<1>20160701T204833")
    for tile, told in (("04MGV", "not refined"), ("05MKP", "refined")):
        assert f", {told}," in xoffset.open_stack(truth.path, band="B04", tile=tile).geometry.item()


def test_images_that_are_missing_or_cut(tmp_path):
    truth = safe_products.write(tmp_path / "a")
    image = file_in(truth, "GRANULE/*/IMG_DATA/*_B04.jp2")
    whole = image.read_bytes()
    for share in (0.999, 0.9, 0.3, 0.01, 0):
        image.write_bytes(whole[: int(len(whole) * share)])
        told = refused(
            truth.path, OSError, r"^open_stack\(\) needs whole images that GDAL can read; got .* cannot .the file ends"
        )
        assert image.name in told
        # the same inside an archive, whose own checksums are right
        shutil.make_archive(str(tmp_path / "cut"), "zip", truth.path)
        assert image.name in refused(
            tmp_path / "cut.zip", OSError, "needs whole images that GDAL can read; got .*cut.zip"
        )
    image.unlink()
    told = refused(truth.path, FileNotFoundError, "needs the image of band B04")
    assert "it has B11" in told
    shutil.rmtree(image.parent)
    assert "it has none" in refused(truth.path, FileNotFoundError, "needs the image of band B04")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bits_that_flipped_in_an_archive_are_told(tmp_path, compression):
    truth = safe_products.write(tmp_path, as_zip=True, compression=compression)
    with zipfile.ZipFile(truth.path) as archive:
        (member,) = (each for each in archive.infolist() if re.search("IMG_DATA/.*_B04.jp2", each.filename))
    content = bytearray(truth.path.read_bytes())
    for share in (0.2, 0.5, 0.9):
        damaged = content.copy()
        damaged[member.header_offset + 200 + int(share * (member.compress_size - 200))] ^= 1
        truth.path.write_bytes(damaged)
        refused(truth.path, OSError, "_B04.jp2 that cannot be read")


def test_a_file_that_changes_is_noticed(tmp_path):
    truth = safe_products.write(tmp_path, as_zip=True)
    lazy = xoffset.open_stack(truth.path, band="B04", chunks=100)
    content = truth.path.read_bytes()
    truth.path.unlink()
    truth.path.write_bytes(content)
    with pytest.raises(OSError, match="has changed since"):
        lazy.compute()


@pytest.mark.parametrize("name", ["MTD_MSIL1C.xml", "GRANULE/*/MTD_TL.xml"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"<html>404</html>",
        lambda text: b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        lambda text: b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    ],
)
def test_damaged_metadata(tmp_path, name, damage):
    truth = safe_products.write(tmp_path / "a")
    file = file_in(truth, name)
    file.write_bytes(damage(file.read_bytes()))
    assert file.name in refused(truth.path)
    shutil.make_archive(str(tmp_path / "S2A_MSIL1C_a"), "zip", truth.path)
    assert file.name in refused(tmp_path / "S2A_MSIL1C_a.zip")


@pytest.mark.parametrize(
    ("name", "pattern", "text"),
    [
        ("GRANULE/*/MTD_TL.xml", r"<SENSING_TIME[^>]*>[^<]*", "<SENSING_TIME>yesterday"),
        ("GRANULE/*/MTD_TL.xml", r"<TILE_ID.*?</TILE_ID>", ""),
        ("GRANULE/*/MTD_TL.xml", r"(<TILE_ID[^>]*>)[^<]*", r"\1nothing"),
        ("GRANULE/*/MTD_TL.xml", r"(?<=<AZIMUTH_ANGLE unit=.deg.>)[^<]*", "east"),
        ("GRANULE/*/MTD_TL.xml", r"<ULX>", "<ULX>west"),
        ("GRANULE/*/MTD_TL.xml", r"<ULX>[^<]*", "<ULX>NaN"),
        ("GRANULE/*/MTD_TL.xml", r"(?<=<SENSING_TIME metadataLevel=.Standard.>)[^<]*", "2021-07-17"),
        ("GRANULE/*/MTD_TL.xml", r"(<SENSING_TIME[^>]*>[^<]*)Z", r"\1+02:00"),
        ("GRANULE/*/MTD_TL.xml", r"(?<=<SENSING_TIME metadataLevel=.Standard.>)[^<]*", "2021-02-30T10:20:31Z"),
        ("GRANULE/*/MTD_TL.xml", "_T31TGK_", "_T32TLR_"),
        ("MTD_MSIL1C.xml", r"<QUANTIFICATION_VALUE.*?</QUANTIFICATION_VALUE>", ""),
        ("MTD_MSIL1C.xml", r"(?<=<QUANTIFICATION_VALUE unit=.none.>)", "ten"),
        ("MTD_MSIL1C.xml", r"(?<=<RADIO_ADD_OFFSET band_id=.3.>)", "ten"),
        ("MTD_MSIL1C.xml", r"(?<=<QUANTIFICATION_VALUE unit=.none.>)[^<]*", "0"),
        ("MTD_MSIL1C.xml", r"(?<=<QUANTIFICATION_VALUE unit=.none.>)[^<]*", "inf"),
        ("MTD_MSIL1C.xml", r"(?<=<RADIO_ADD_OFFSET band_id=.3.>)[^<]*", "NaN"),
        (
            "MTD_MSIL1C.xml",
            r"(?<=<RADIO_ADD_OFFSET band_id=.3.>)",
            "0</RADIO_ADD_OFFSET><RADIO_ADD_OFFSET band_id='3'>",
        ),
        ("MTD_MSIL1C.xml", r"(?<=<SENSING_ORBIT_NUMBER>)[^<]*", "6.5"),
        ("MTD_MSIL1C.xml", "Level-1C</PROC", "Level-1B</PROC"),
        ("MTD_MSIL1C.xml", r"(?<=<GENERATION_TIME>)\d+", "20x1"),
    ],
)
def test_metadata_that_make_no_sense(tmp_path, name, pattern, text):
    truth = safe_products.write(tmp_path)
    edit(file_in(truth, name), pattern, text)
    refused(truth.path, ValueError)


def test_images_that_lie_elsewhere(tmp_path):
    truth = safe_products.write(tmp_path)
    file = file_in(truth, "GRANULE/*/MTD_TL.xml")
    edit(file, r"<ULX>[^<]*</ULX>", "<ULX>400000</ULX>")
    refused(truth.path, ValueError, "lie where the metadata of their tile say")
    other = safe_products.write(tmp_path, date="2020-01-01T10:20:30")
    edit(file_in(other, "GRANULE/*/MTD_TL.xml"), "EPSG:32631", "EPSG:32632")
    refused(other.path, ValueError, "in EPSG:32632; got .* in EPSG:32631")
    # where the metadata do not tell, the image counts
    edit(file, r"<Tile_Geocoding>.*?</Tile_Geocoding>", "")
    assert xoffset.open_stack(truth.path, band="B04").sizes["x"] == 240


def test_folders_that_are_no_sentinel_2_product(tmp_path):
    empty = tmp_path / "S2A_MSIL1C_20200717T221941_N0209_R029_T01LAC_20200717T234135.SAFE"
    empty.mkdir()
    refused(empty, FileNotFoundError, "which is empty")
    other = tmp_path / "S1A_IW_GRDH_1SDV_20210608T175808_20210608T175833_038252_04839C_339D.SAFE"
    (other / "measurement").mkdir(parents=True)
    (other / "measurement/iw-vv.tiff").write_bytes(b"")
    (other / "manifest.safe").write_text("<a/>")
    refused(other, FileNotFoundError, "got none in .* which holds manifest.safe, measurement")
    refused(other / "manifest.safe", FileNotFoundError, "got none in")
    truth = safe_products.write(tmp_path)
    metadata = truth.path / "MTD_MSIL1C.xml"
    text = metadata.read_text()
    metadata.unlink()  # offsets would be unknown
    refused(truth.path, FileNotFoundError, r"got .* without, which holds DATASTRIP, GRANULE, manifest.safe")
    metadata.write_text(text)
    shutil.rmtree(truth.path / "GRANULE")
    refused(truth.path, FileNotFoundError, r"GRANULE/\*/MTD_TL.xml")


def test_half_of_the_files_will_do_if_they_are_those_needed(tmp_path):
    truth = safe_products.write(tmp_path)
    for pattern in ("manifest.safe", "DATASTRIP", "GRANULE/*/QI_DATA"):
        found = file_in(truth, pattern)
        (shutil.rmtree if found.is_dir() else Path.unlink)(found)
    assert "refinement unknown" in xoffset.open_stack(truth.path, band="B04").geometry.item()
    assert only(truth.path).mask("DETFOO", "B04") is None


def test_archives_that_do_harm(tmp_path):
    truth = safe_products.write(tmp_path, as_zip=True)
    content = truth.path.read_bytes()
    for name, data, match in (
        ("../../x.xml", b"x", "outside"),
        ("/etc/x.xml", b"x", "outside"),
        ("bomb.xml", bytes(100 * 2**20), "inflates to"),
        ("other.tar", b"x", "another archive"),
    ):
        truth.path.write_bytes(content)
        with zipfile.ZipFile(truth.path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        refused(truth.path, ValueError, match)
    truth.path.write_bytes(content[: len(content) // 2])
    refused(truth.path, OSError, "damaged or cut")
    truth.path.write_bytes(b"")
    refused(truth.path, ValueError, "neither")


def test_archives_that_nobody_knows(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    refused(tmp_path / "a.zip", ValueError, "with readme.txt")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(tmp_path / "a.zip", "a.zip")
    refused(tmp_path / "b.tar", ValueError, "another archive, a.zip")


# ------------------------------------------------------------------------------------------------------------ real data

L2A = "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857"
L1C = "S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135"


@pytest.mark.data
def test_a_real_l2a_product(data_folder):
    stack = xoffset.open_stack(data_folder / "sentinel2_safe" / f"{L2A}.SAFE", band="B04")
    assert stack.shape == (1, 100, 100)  # thumbnails of the whole tile
    assert float(stack.x[1] - stack.x[0]) == 1098
    assert str(stack.time.values[0]) == "2019-02-12T19:33:32.161000"
    assert (stack.platform.item(), stack.relative_orbit.item(), stack.tile.item()) == ("S2A", 13, "07HFE")
    assert (stack.scene.item(), stack.level.item()) == (L2A, "L2A")
    assert (stack.radiometric_offset.item(), stack.quantification.item()) == (0, 10000)
    np.testing.assert_allclose(stack.sun_elevation.item(), 90 - 32.707073851362)
    np.testing.assert_allclose(stack.view_zenith.item(), 10.778802813877)
    assert stack.geometry.item() == "baseline 02.04 or alike, refinement unknown, DEM unknown"
    assert 0 < np.isfinite(stack.values).mean() < 0.1  # 97 % of the tile lies beyond the swath
    for band in ("B04_20m", "SCL", "AOT", "B8A", "CLD"):
        assert xoffset.open_stack(data_folder / "sentinel2_safe" / f"{L2A}.SAFE", band=band).shape == (1, 100, 100)


@pytest.mark.data
def test_a_real_l1c_product_without_images(data_folder):
    place = data_folder / "sentinel2_safe" / f"{L1C}.SAFE"
    product = only(place)
    scene = product.metadata.scene("B04")
    assert scene.name == "S2A_MSIL1C_20200717T221941_N0209_R029_T01LAC_20200717T234135"
    assert scene.date == np.datetime64("2020-07-17T22:20:29.740125")
    assert scene.processed == np.datetime64("2020-07-17T23:41:35")
    assert scene.geometry == "baseline 02.04 or alike, not refined, DEM GLOBEF"
    assert (scene.tile, scene.relative_orbit) == ("01LAC", 29)
    refused(place, FileNotFoundError, "without it, of tile 01LAC, though its metadata list it")


LISTINGS = {
    "L1C_02.01": ["59HNA"], "L1C_02.01_tile": ["29KQB"], "L1C_02.04_old": ["04MGV", "04MHV"], "L1C_02.07": ["20LLK"],
    "L1C_04.00": ["36MZB"], "L2A_02.01": ["23LMD"], "L2A_02.14": ["19XEH"], "L2A_04.00": ["36RUT"],
}  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("name", LISTINGS)
def test_files_of_all_published_layouts_are_found(data_folder, tmp_path, name):
    lines = (data_folder / "sentinel2_safe/aws_safe_listings" / f"{name}.csv").read_text().split()
    files = sorted(line.split(";")[1] for line in lines if not line.endswith("/"))
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (place,) = {tmp_path / file.split("/")[0] for file in files}
    assert sentinel2.is_product(str(place))
    tree = sentinel2.archives.open_tree(str(place))
    granules = sentinel2.files.granules(tree)
    assert [each.tile for each in granules] == LISTINGS[name]
    found = set()
    for each in granules:
        level = name[:3]
        bands = {band for band, _ in each.images}
        expected = {"B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B09", "B11", "B12"}
        expected |= {"B08", "B10"} if level == "L1C" else {"SCL", "AOT", "WVP", "CLD", "SNW"}
        assert bands - {"TCI", "VIS", "B08"} == expected - {"B08"}
        assert {each.masks["DETFOO", band] for band in sentinel2.metadata.BANDS} <= set(each.names)
        assert ("CLASSI" if "04.00" in name else "CLOUDS", "B00") in each.masks
        assert (each.product_metadata is None) == (name == "L1C_02.01_tile")
        assert len(each.datastrips()) == (name != "L1C_02.01_tile")
        found |= {*each.images.values(), *each.masks.values(), each.metadata}
    # nothing that is an image or a mask of a tile is left over
    images = {file.split("/", 1)[1] for file in files if "/IMG_DATA/" in file or "MSK_" in file}
    assert images - found <= {file for file in images if "PVI" in file or "DDV" in file}
