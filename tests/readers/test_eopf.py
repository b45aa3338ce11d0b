"""Sentinel-2 products in the EOPF Zarr format: what the generator wrote is read back, from wherever it is opened."""

import contextlib
import functools
import http.server
import json
import pickle
import shutil
import threading
import zipfile
from pathlib import Path

import dask
import eopf_products as made
import numpy as np
import pytest
import xarray as xr
import zarr

import xoffset
from xoffset.model.grids import crs_of
from xoffset.readers.eopf import product as eopf
from xoffset.readers.grids import Grid
from xoffset.readers.open_stack import open_stack

DAYS = ("20220428", "20220503")
KINDS = [(2, False), (3, False), (2, True), (3, True)]


def reflectance(content, step, band):
    numbers = content.pixels[step, band]
    # as CF has it: in float64, since an offset is added
    values = numbers.astype(np.float64) * 0.0001 + content.offset
    return np.where(numbers == 0, np.nan, values).astype(np.float32)


def write_two(folder, **options):
    """Products of two days; what is in them."""
    contents = [made.product(made.names(day), seed=k) for k, day in enumerate(DAYS)]
    return contents, [made.write(folder, each, **options) for each in contents]


# -------------------------------------------------------------------------------------------------------------- pixels


@pytest.mark.parametrize(("zarr_format", "is_zipped"), KINDS)
def test_pixels_times_and_what_is_told_of_them(tmp_path, zarr_format, is_zipped):
    contents, paths = write_two(tmp_path, zarr_format=zarr_format, is_zipped=is_zipped)
    stack = open_stack(paths[::-1], band="B04")
    assert stack.dtype == np.float32
    for k, content in enumerate(contents):
        np.testing.assert_array_equal(stack.values[k], reflectance(content, 10, "b04"))
    np.testing.assert_array_equal(
        stack.time.values, np.array([each.sensed.removesuffix("Z") for each in contents], "datetime64[us]")
    )
    assert stack.scene.values.tolist() == [each.name for each in contents]
    assert (stack.platform == "S2A").all()
    assert stack.relative_orbit.values.tolist() == [22, 22]
    assert (stack.tile == "32TPS").all()
    assert (stack.level == "L2A").all()
    assert (stack.geometry == "baseline 04.00 or alike, refinement unknown, DEM unknown").all()
    np.testing.assert_array_equal(stack.sun_azimuth, 151.0)
    np.testing.assert_array_equal(stack.sun_elevation, 90.0 - 41.0)
    place = made.BANDS.index("b04")
    np.testing.assert_array_equal(stack.view_zenith, contents[0].mean_view[place, 0])
    np.testing.assert_array_equal(stack.view_azimuth, contents[0].mean_view[place, 1])
    # values are reflectance already
    np.testing.assert_array_equal(stack.radiometric_offset, 0.0)
    np.testing.assert_array_equal(stack.quantification, 1.0)
    assert crs_of(stack).to_epsg() == made.EPSG
    assert (float(stack.x[0]), float(stack.y[0])) == (made.CORNER[0] + 5, made.CORNER[1] - 5)


def test_a_folder_and_a_pattern_hold_products(tmp_path):
    _, paths = write_two(tmp_path)
    stack = open_stack(paths, band="red")
    for source in (str(tmp_path), tmp_path, f"{tmp_path}/*.zarr"):
        xr.testing.assert_identical(open_stack(source, band="red").drop_attrs(), stack.drop_attrs())
    assert open_stack(str(tmp_path), band="red", tile="T32TPS").sizes["time"] == 2


@pytest.mark.parametrize(
    ("band", "step", "stored"),
    [
        ("B04", 10, "b04"), ("b4", 10, "b04"), ("red", 10, "b04"), ("B04_20m", 20, "b04"), ("b04_r60m", 60, "b04"),
        ("B8A", 20, "b8a"), ("nir08", 20, "b8a"), ("B8", 10, "b08"), ("nir", 10, "b08"), ("rededge1", 20, "b05"),
        ("B01", 60, "b01"), ("B01_20m", 20, "b01"), ("swir22", 20, "b12"),
    ],
)  # fmt: skip
def test_bands_by_their_names_and_by_common_names(tmp_path, band, step, stored):
    content = made.product()
    stack = open_stack(made.write(tmp_path, content), band=band)
    np.testing.assert_array_equal(stack.values[0], reflectance(content, step, stored))
    assert float(stack.x[1] - stack.x[0]) == step


def test_l1c_and_names_in_capitals(tmp_path):
    content = made.product(made.names("20220428", level="L1C"), offset=0.0)
    stack = open_stack(made.write(tmp_path, content, upper=True), band="B10")
    np.testing.assert_array_equal(stack.values[0], reflectance(content, 60, "b10"))
    assert stack.level.item() == "L1C"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_without_a_summary(tmp_path, zarr_format):
    path = made.write(tmp_path, zarr_format=zarr_format, is_consolidated=False)
    np.testing.assert_array_equal(open_stack(path, band="B04").values[0], reflectance(made.product(), 10, "b04"))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("nodata", [None, 1000])
def test_trees_opened_in_any_way_give_the_same(tmp_path, zarr_format, nodata):
    """xarray decodes 0 of Zarr 3 to the offset, -0.1: that is not a reflectance."""
    path = made.write(tmp_path, zarr_format=zarr_format)
    wanted = open_stack(path, band="B04", nodata=nodata)
    if nodata is None:
        assert not (wanted == np.float32(-0.1)).any()
        assert np.isnan(wanted.values[:, :, -1]).all()
    for options in ({}, {"mask_and_scale": False}, {"chunks": {}}, {"chunks": {}, "mask_and_scale": False}):
        with xr.open_datatree(path, engine="zarr", **options) as tree:
            for source in (tree, [tree]):
                stack = open_stack(source, band="B04", nodata=nodata)
                assert isinstance(stack.data, np.ndarray) != ("chunks" in options)  # lazy in, lazy out
                xr.testing.assert_identical(stack.compute().drop_attrs(), wanted.drop_attrs())


def test_numpy_equals_dask_whatever_the_blocks(tmp_path):
    _, paths = write_two(tmp_path)
    whole = open_stack(paths, band="B04")
    for chunks in (7, {"y": 33}, {"x": 60, "y": -1}, 200):
        lazy = open_stack(paths, band="B04", chunks=chunks)
        assert lazy.chunks is not None
        xr.testing.assert_identical(lazy.compute(), whole)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy)).values, whole.values)
    box = (600_200, 5_199_300, 600_500, 5_199_600)
    np.testing.assert_array_equal(
        open_stack(paths, band="B04", bbox=box), whole.sel(x=slice(*box[::2]), y=slice(*box[:0:-2]))
    )


@pytest.mark.parametrize("is_zipped", [False, True])
def test_many_threads_read_at_once(tmp_path, is_zipped):
    path = made.write(tmp_path, is_zipped=is_zipped)
    lazy = open_stack(path, band="B04", chunks=20)
    with dask.config.set(scheduler="threads", num_workers=8):
        np.testing.assert_array_equal(lazy.values[0], reflectance(made.product(), 10, "b04"))


def test_products_of_one_pass_lie_side_by_side(tmp_path):
    _, paths = write_two(tmp_path / "a")
    shifted = made.product(made.names("20220508"), seed=5, shift=(12, -7))
    stack = open_stack([*paths, made.write(tmp_path / "b", shifted)], band="B04")
    assert stack.shape == (3, 127, 132)
    np.testing.assert_array_equal(stack.values[2, :120, 12:], reflectance(shifted, 10, "b04"))


def test_floats_of_converted_products_are_not_scaled_again(tmp_path):
    """Stores that were decoded once keep the attributes of what was stored in `_eopf_attrs`."""
    content = made.product()
    path = made.write(tmp_path, content)
    group = zarr.open_group(path, path="measurements/reflectance/r10m")
    old = dict(group["b04"].attrs)
    attrs = {key: value for key, value in old.items() if key not in ("scale_factor", "add_offset")}
    values = reflectance(content, 10, "b04")
    values[3, 4] = -0.1  # what xarray makes of 0 where it does not know the fill value
    group.create_array("b04", shape=values.shape, dtype="f4", fill_value=0.0, overwrite=True, attributes=attrs)[...] = (
        values
    )
    zarr.consolidate_metadata(path)
    stack = open_stack(path, band="B04")
    values[3, 4] = np.nan
    np.testing.assert_array_equal(stack.values[0], values)
    assert stack.quantification.item() == 1.0


def test_several_dates_in_one_store(tmp_path):
    content = made.product()
    path = made.write(tmp_path, content)
    group = zarr.open_group(path, path="measurements/reflectance/r10m")
    attrs = dict(group["b04"].attrs) | {"_ARRAY_DIMENSIONS": ["time", "y", "x"]}
    attrs = {key: value for key, value in attrs.items() if not key.startswith("proj:")}
    both = np.stack([content.pixels[10, "b04"], content.pixels[10, "b02"]])
    made_of = {"shape": both.shape, "dtype": "u2", "fill_value": 0, "overwrite": True, "chunks": (1, 60, 60)}
    group.create_array("b04", attributes=attrs, **made_of)[...] = both
    days = np.array(["2022-04-28T10:16", "2022-05-03T10:16"], "M8[s]").astype("i8")
    group.create_array(
        "time", shape=(2,), dtype="i8", attributes={"_ARRAY_DIMENSIONS": ["time"], "units": "seconds since 1970-01-01"}
    )[...] = days
    zarr.consolidate_metadata(path)
    stack = open_stack(path, band="B04")
    assert stack.time.values.astype("M8[m]").astype(str).tolist() == ["2022-04-28T10:16", "2022-05-03T10:16"]
    np.testing.assert_array_equal(stack.values[1], reflectance(content, 10, "b02"))


# -------------------------------------------------------------------------------------------------- layers beside them


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("opened", ["path", "tree"])
def test_masks_and_angles_on_the_grid_of_a_stack(tmp_path, zarr_format, opened):
    contents, source = write_two(tmp_path, zarr_format=zarr_format)
    stack = open_stack(source, band="B04")
    if opened == "tree":
        source = [xr.open_datatree(path, engine="zarr") for path in source]
    detector = xoffset.detectors(source, like=stack, band="B04")
    np.testing.assert_array_equal(detector.values[0], contents[0].detectors["b04"])
    classes = xoffset.class_layer(source, like=stack)
    np.testing.assert_array_equal(classes.values[1], np.kron(contents[1].scl, np.ones((2, 2))))
    # of 20 m on 10 m, and the other way round
    coarse = open_stack(source, band="B11")
    np.testing.assert_array_equal(
        xoffset.detectors(source, like=stack, band="B11").values[0],
        np.kron(contents[0].detectors["b11"], np.ones((2, 2))),
    )
    # the pixel that holds the centre, which lies on a corner of four
    np.testing.assert_array_equal(
        xoffset.detectors(source, like=coarse, band="B04").values[0], contents[0].detectors["b04"][1::2, 1::2]
    )
    angles = xoffset.angles(source, like=stack, band="B04")
    column, row = (np.arange(120) + 0.5) * 10 / 5000, (np.arange(120) + 0.5)[:, None] * 10 / 5000
    ramp = 0.5 * row + 0.25 * column
    np.testing.assert_allclose(angles.sun_elevation[0], 90 - (40 + ramp), atol=5e-4)
    np.testing.assert_allclose(angles.sun_azimuth[0], 150 + ramp, atol=2e-3)
    seen_by = contents[0].detectors["b04"]
    zenith = np.where(seen_by == 4, 3 + ramp, np.where(seen_by == 5, 4 + ramp, np.nan))
    azimuth = np.where(seen_by == 4, 100 + ramp, np.where(seen_by == 5, 110 + ramp, np.nan))
    np.testing.assert_allclose(angles.view_zenith[0], zenith, atol=2e-3)
    np.testing.assert_allclose(angles.view_azimuth[0], azimuth, atol=0.02)
    assert np.isnan(angles.view_zenith.values[0][seen_by == 0]).all()


def test_clouds_of_l1c_are_bits(tmp_path):
    content = made.product(made.names("20220428", level="L1C"))
    (product,) = eopf.open_product(made.write(tmp_path, content), None)
    grid = Grid(made.CORNER[0] - 60, made.CORNER[1], 60.0, -60.0, 21, 20, product.layers("B01", None)[0].image.grid.crs)
    values, names, are_bits, crs = product.class_layer(grid)
    np.testing.assert_array_equal(values[:, 1:], content.classes)
    assert are_bits
    assert crs == grid.crs
    assert (values[:, 0] == names["no_data"]).all()  # outside of the tile nothing is known


def test_no_grid_of_another_crs(tmp_path):
    (product,) = eopf.open_product(made.write(tmp_path), None)
    grid = Grid(0.0, 0.0, 10.0, -10.0, 5, 5, None)
    with pytest.raises(ValueError, match="reproject_match"):
        product.detectors("B04", grid)


# ------------------------------------------------------------------------------------------------------------ laziness


def requested(tmp_path, monkeypatch):
    """Names of the chunks that are read, as they come."""
    seen = []
    get = zarr.storage.LocalStore.get

    async def counted(self, key, *arguments, **options):
        seen.append(key)
        return await get(self, key, *arguments, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    return lambda: [key for key in seen if Path(key).name[0].isdigit() and not key.startswith("conditions/geometry")]


def test_only_the_chunks_of_the_window_are_read(tmp_path, monkeypatch):
    path = made.write(tmp_path)
    chunks = requested(tmp_path, monkeypatch)
    lazy = open_stack(path, band="B04", chunks=60)
    assert {Path(key).parent.name for key in chunks()} <= {"x", "y"}
    before = len(chunks())
    lazy[:, :10, :10].compute()
    assert [Path(key).name for key in chunks()[before:]] == ["0.0"]
    before = len(chunks())
    open_stack(path, band="B04", bbox=(600_000, 5_198_900, 600_500, 5_199_300))
    assert {key for key in chunks()[before:] if "b04" in key} == {"measurements/reflectance/r10m/b04/1.0"}


def test_nothing_is_computed_on_opening(tmp_path):
    path = made.write(tmp_path)

    def refuse(*arguments, **options):
        raise AssertionError("computed")

    tree = xr.open_datatree(path, engine="zarr", chunks={})
    with dask.config.set(scheduler=refuse):
        open_stack(tree, band="B04")
        open_stack(path, band="B04", chunks=50)


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("band", "words"),
    [
        (None, "the name of a band"), ("B99", "B04 (red, 10 and 20 and 60 m)"), (4, "band 4"), ("B08_20m", "B08_20m"),
        ("B04_15m", "B04_15m"), ("b", "coastal"), ("", "band ''"), ("red_x", "red_x"),
    ],
)  # fmt: skip
def test_unknown_bands_are_refused_with_those_there_are(tmp_path, band, words):
    path = made.write(tmp_path)
    with pytest.raises(ValueError, match="Pass band='B04'") as caught:
        open_stack(path, band=band)
    assert words in str(caught.value)


@pytest.mark.parametrize("is_tree", [False, True])
def test_a_missing_group_is_named(tmp_path, is_tree):
    path = made.write(tmp_path, is_consolidated=False)
    shutil.rmtree(Path(path, "measurements"))
    source = xr.open_datatree(path, engine="zarr", consolidated=False) if is_tree else path
    with pytest.raises(ValueError, match=r"the group 'measurements/reflectance'.* has conditions in its root"):
        open_stack(source, band="B04")


@pytest.mark.parametrize("is_tree", [False, True])
def test_copies_of_other_sizes_are_not_taken_for_a_missing_group(tmp_path, is_tree):
    path = made.write(tmp_path, is_consolidated=False)
    shutil.rmtree(Path(path, "measurements/reflectance/r10m"))
    source = xr.open_datatree(path, engine="zarr", consolidated=False) if is_tree else path
    with pytest.raises(ValueError, match=r"'measurements/reflectance/r10m'.*r20m and r60m.*band='B04_20m'"):
        open_stack(source, band="B04")
    assert open_stack(source, band="B04_20m").shape == (1, 60, 60)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["measurements/reflectance/r10m/x", "conditions/geometry/mean_sun_angles"])
def test_damaged_coordinates_and_angles_are_named(tmp_path, zarr_format, name):
    path = made.write(tmp_path, zarr_format=zarr_format)
    Path(path, name, "0" if zarr_format == 2 else "c/0").write_bytes(b"\x02\x01\x21\x08")
    with pytest.raises(OSError, match=f"open_stack.*'{name}' in chunk 0"):
        open_stack(path, band="B04")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("content", ["{garbage", ""])
def test_a_damaged_description_is_told(tmp_path, zarr_format, content):
    path = made.write(tmp_path, zarr_format=zarr_format)
    Path(path, ".zmetadata" if zarr_format == 2 else "zarr.json").write_text(content)
    with pytest.raises(OSError, match="a Zarr store that can be read"):
        open_stack(path, band="B04")


def test_other_tiles_are_refused(tmp_path):
    path = made.write(tmp_path)
    with pytest.raises(ValueError, match=r"needs tile 31TGK; .* has 32TPS"):
        open_stack(path, band="B04", tile="31TGK")


@pytest.mark.parametrize(
    ("lost", "ask", "words"),
    [
        (
            "conditions/mask/detector_footprint",
            "detectors",
            "has l1c_classification, l2a_classification in 'conditions/mask'",
        ),
        ("conditions/geometry", "angles", "the group 'conditions/geometry'"),
        ("conditions/geometry/sun_angles", "angles", "'conditions/geometry/sun_angles'"),
        ("conditions/mask", "class_layer", "has geometry in 'conditions'"),
    ],
)
def test_missing_layers_are_named_where_they_are_asked_for(tmp_path, lost, ask, words):
    path = made.write(tmp_path, is_consolidated=False)
    stack = open_stack(path, band="B04")
    shutil.rmtree(Path(path, lost))
    np.testing.assert_array_equal(open_stack(path, band="B04"), stack)
    options = {} if ask == "class_layer" else {"band": "B04"}
    with pytest.raises(ValueError, match="needs the group") as caught:
        getattr(xoffset, ask)(path, like=stack, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [None, 60])
def test_damaged_and_missing_chunks_are_named(tmp_path, zarr_format, chunks):
    path = made.write(tmp_path, zarr_format=zarr_format)
    chunk = Path(path, "measurements/reflectance/r10m/b04", "0.1" if zarr_format == 2 else "c/0/1")
    content = chunk.read_bytes()
    for damage, words in ((content[:40], "readable values"), (None, "was lost")):
        chunk.unlink() if damage is None else chunk.write_bytes(damage)
        with pytest.raises(OSError, match=r"chunk 0/1 \(y 0 to 59, x 60 to 119\)") as caught:
            open_stack(path, band="B04", chunks=chunks).compute()
        assert words in str(caught.value)
        assert "measurements/reflectance/r10m/b04" in str(caught.value)
    chunk.write_bytes(content)
    open_stack(path, band="B04")


@pytest.mark.parametrize("is_zipped", [False, True])
def test_chunks_beyond_the_swath_may_be_left_out(tmp_path, is_zipped):
    content = made.product()
    content.pixels[10, "b04"][:, 60:] = 0
    content.detectors["b04"][:, 60:] = 0
    path = made.write(tmp_path, content, zarr_format=3, is_zipped=is_zipped)
    if not is_zipped:
        assert not Path(path, "measurements/reflectance/r10m/b04/c/0/1").exists()
    np.testing.assert_array_equal(open_stack(path, band="B04").values[0], reflectance(content, 10, "b04"))
    content.detectors["b04"][70, 70] = 5  # somebody saw it
    path = made.write(tmp_path, content, zarr_format=3, is_zipped=is_zipped)
    with pytest.raises(OSError, match="chunk 1/1"):
        open_stack(path, band="B04")


def rewritten(path, change):
    """Change the attributes of the root."""
    root = zarr.open_group(path, use_consolidated=False)
    attrs = json.loads(json.dumps(dict(root.attrs)))
    change(attrs["stac_discovery"]["properties"], attrs["other_metadata"], attrs)
    root.attrs.put(attrs)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told, more, attrs: told.update({"product:type": "S03OLCEFR"}), "whose type is S03OLCEFR"),
        (lambda told, more, attrs: told.update({"proj:epsg": 999999}), "a CRS that pyproj knows"),
        (lambda told, more, attrs: told.update({"proj:epsg": 32633}), "one CRS"),
    ],
)
def test_roots_that_make_no_sense_are_refused(tmp_path, change, words):
    path = rewritten(made.write(tmp_path, is_consolidated=False), change)
    with pytest.raises(ValueError, match=words):
        open_stack(path, band="B04")


def test_a_store_tells_its_date_somewhere(tmp_path):
    path = rewritten(made.write(tmp_path, is_consolidated=False), lambda told, more, attrs: attrs.clear())
    stack = open_stack(path, band="B04")  # by its name, and its CRS beside the pixels
    assert stack.time.values[0] == np.datetime64("2022-04-28T10:06:01")
    assert (stack.platform.item(), stack.tile.item(), stack.relative_orbit.item()) == ("S2A", "32TPS", 22)
    bare = Path(path).rename(tmp_path / "product.zarr")
    with pytest.raises(ValueError, match="the date of every product"):
        open_stack(bare, band="B04")


def test_the_start_of_the_pass_is_second_best(tmp_path):
    path = rewritten(
        made.write(tmp_path, is_consolidated=False), lambda told, more, attrs: more.pop("mean_sensing_time")
    )
    assert open_stack(path, band="B04").time.values[0] == np.datetime64("2022-04-28T10:06:01.024")


def test_coordinates_half_a_pixel_off_are_refused(tmp_path):
    path = made.write(tmp_path)
    group = zarr.open_group(path, path="measurements/reflectance/r10m")
    group["x"][...] = group["x"][...] - 5
    with pytest.raises(ValueError, match=r"0\.5 px apart"):
        open_stack(path, band="B04")
    group["x"][3] = 0
    with pytest.raises(ValueError, match=r"even steps.*damaged"):
        open_stack(path, band="B04")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"date": "%Y"}, "date="), ({"pixel_size": 10.0}, "pixel_size="), ({"chunks": 0}, "chunks="),
        ({"tile": "31"}, "tile="), ({"bbox": (0, 0, 1, 1)}, "bbox"),
    ],
)  # fmt: skip
def test_options_are_checked(tmp_path, options, words):
    path = made.write(tmp_path)
    for source in (path, xr.open_datatree(path, engine="zarr")):
        with pytest.raises(ValueError, match=words):
            open_stack(source, band="B04", **options)


def test_what_is_no_product_stays_what_it_was(tmp_path):
    stack, _ = xoffset.synthetic.stack((32, 32))
    stack.to_zarr(tmp_path / "saved.zarr", consolidated=False)
    xr.testing.assert_identical(open_stack(tmp_path / "saved.zarr"), stack)
    assert not eopf.is_product(str(tmp_path / "saved.zarr"))
    for place in ("", "/nowhere", str(tmp_path), __file__, "http://127.0.0.1:9/x.zarr", "s3://x", "zip://x"):
        assert not eopf.is_product(place)
    with pytest.raises(FileNotFoundError):
        open_stack(tmp_path / "none.zarr", band="B04")


@pytest.mark.parametrize("name", ["/etc/zarr.json", "../zarr.json"])
def test_zip_files_that_lead_out_are_refused(tmp_path, name):
    packed = made.write(tmp_path, is_zipped=True)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises((ValueError, OSError), match=r"/etc/zarr.json|\.\./zarr.json"):
        open_stack(packed, band="B04")


def test_a_store_within_a_folder_of_a_zip_file(tmp_path):
    path = Path(made.write(tmp_path / "a"))
    packed = tmp_path / f"{path.name}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in path.rglob("*"):
            archive.write(file, f"{path.name}/{file.relative_to(path).as_posix()}")
    np.testing.assert_array_equal(open_stack(packed, band="B04").values[0], reflectance(made.product(), 10, "b04"))


# ------------------------------------------------------------------------------------------------------------ servers


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, keeps the names that were asked for, and lists nothing."""

    def log_message(self, *_):
        self.server.asked.append(self.path)

    def list_directory(self, path):
        self.send_error(404)


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("aiohttp", reason="stores on servers need the extra http")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as found:
        found.asked = []
        found.address = f"http://127.0.0.1:{found.server_address[1]}"
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        with contextlib.suppress(OSError):
            found.shutdown()
        thread.join()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_server(tmp_path, server, zarr_format):
    path = made.write(tmp_path, zarr_format=zarr_format)
    address = f"{server.address}/{Path(path).name}"
    wanted = open_stack(path, band="B04")
    xr.testing.assert_identical(open_stack(address, band="B04"), wanted)
    server.asked.clear()
    lazy = open_stack(address, band="B04", chunks=60)
    assert len(server.asked) < 20
    assert not [name for name in server.asked if "/b04/" in name]
    server.asked.clear()
    np.testing.assert_array_equal(lazy[:, :5, :5], wanted[:, :5, :5])
    assert len(server.asked) == 1  # the chunk
    detector = xoffset.detectors(address, like=wanted, band="B04")
    np.testing.assert_array_equal(detector.values[0], made.product().detectors["b04"])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_that_a_server_lost_are_named(tmp_path, server, zarr_format):
    path = made.write(tmp_path, zarr_format=zarr_format)
    address = f"{server.address}/{Path(path).name}"
    chunk = Path(path, "measurements/reflectance/r10m/b04", "1.0" if zarr_format == 2 else "c/1/0")
    for damage in (chunk.read_bytes()[:30], None):
        chunk.unlink() if damage is None else chunk.write_bytes(damage)
        with pytest.raises(OSError, match="chunk 1/0"):
            open_stack(address, band="B04")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_stores_that_were_removed_are_not_empty_images(tmp_path, server, zarr_format):
    path = made.write(tmp_path, zarr_format=zarr_format)
    address = f"{server.address}/{Path(path).name}"
    lazy = [open_stack(place, band="B04", chunks=60) for place in (path, address)]
    for file in Path(path).rglob("b04/**/*"):  # footprints and pixels alike; what describes them stays
        if file.is_file() and not file.name.startswith((".", "zarr.json")):
            file.unlink()
    for stack in lazy:
        with pytest.raises(OSError, match="was lost"):
            stack.compute()
    shutil.rmtree(path)
    for stack in lazy:
        with pytest.raises((OSError, ValueError), match=r"open_stack\(\) needs"):
            stack.compute()


def test_a_server_that_is_gone(tmp_path, server):
    path = made.write(tmp_path)
    address = f"{server.address}/{Path(path).name}"
    lazy = open_stack(address, band="B04", chunks=60)
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="open_stack"):
        lazy.compute()
    with pytest.raises(OSError, match="not to be reached"):
        open_stack(address, band="B04")
