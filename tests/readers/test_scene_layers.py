"""Detectors, angles and classes of the pixels of a stack: what the generator of products wrote comes back."""

import pickle
from pathlib import Path

import landsat_products
import numpy as np
import pytest
import rasterio
import safe_products
import xarray as xr

import xoffset
from xoffset.model.grids import spatial_ref

REAL = Path("/work/shared/data/sentinel2_safe")
DATES = ("2021-07-17T10:20:31.024", "2021-07-27T10:20:33.024")
ANGLES = ("sun_azimuth", "sun_elevation", "view_azimuth", "view_zenith")


@pytest.fixture(scope="module", params=["gml", "jp2"])
def written(request, tmp_path_factory):
    """Two L1C products of one orbit, with masks of the older or the newer kind, and a stack of them."""
    folder = tmp_path_factory.mktemp(request.param)
    options = {"masks": request.param, "baseline": "02.09" if request.param == "gml" else "04.00"}
    truths = [safe_products.write(folder, date=date, seed=k, **options) for k, date in enumerate(DATES)]
    return folder, truths, xoffset.open_stack(folder, band="B04")


def expected_angles(truth, band="B04", detectors=None):
    """Angles that the generator made, linear in both directions, at pixels of 10 m."""
    rows, columns = (np.mgrid[: truth.size, : truth.size] + 0.5) * 10.0 / truth.step

    def at(nodes):
        """Value of a plane through the nodes that are known."""
        row, column = np.indices(nodes.shape)
        known = np.isfinite(nodes)
        terms = np.stack([np.ones(known.sum()), row[known], column[known]], axis=1)
        constant, down, right = np.linalg.lstsq(terms, nodes[known], rcond=None)[0]
        return constant + down * rows + right * columns

    zenith, azimuth = map(at, truth.sun)
    found = {"sun_azimuth": azimuth, "sun_elevation": 90.0 - zenith}
    seen = truth.detectors["10m"] if detectors is None else detectors
    views = {number: tuple(map(at, truth.view[band, number])) for number in safe_products.DETECTORS}
    for k, name in enumerate(("view_zenith", "view_azimuth")):
        layers = [np.where(seen == number, view[k], 0.0) for number, view in views.items()]
        found[name] = np.where(seen > 0, sum(layers), np.nan)
    return found


def lazy(stack):
    return stack.chunk(time=2, y=70, x=110)


# ------------------------------------------------------------------------------------------------------------ detectors


def test_detectors_are_those_that_were_written(written):
    folder, truths, stack = written
    found = xoffset.detectors(folder, like=stack, band="B04")
    assert (found.name, found.dims, found.dtype) == ("detector", ("time", "y", "x"), np.uint8)
    np.testing.assert_array_equal(found, [truth.detectors["10m"] for truth in truths])
    assert set(np.unique(found)) == {0, *safe_products.DETECTORS}
    xr.testing.assert_identical(found.coords.to_dataset(), stack.coords.to_dataset())
    assert found.attrs["long_name"].startswith("number of the detector")
    assert "units" not in found.attrs
    for band in ("red", "B4", "B04_10m"):
        xr.testing.assert_equal(xoffset.detectors(folder, like=stack, band=band), found)


def test_detectors_on_coarser_pixels(written):
    folder, truths, _ = written
    stack = xoffset.open_stack(folder, band="B11")
    found = xoffset.detectors(folder, like=stack, band="B11")
    np.testing.assert_array_equal(found, [truth.detectors["20m"] for truth in truths])


def test_detectors_beyond_the_tile_are_none(written):
    folder, truths, stack = written
    x = stack.x.values[0] + 10.0 * np.arange(-5, 245)
    y = stack.y.values[0] - 10.0 * np.arange(-7, 250)
    wide = xr.DataArray(
        np.zeros((2, 257, 250), np.float32),
        dims=("time", "y", "x"),
        coords={"time": stack.time, "y": y, "x": x, "spatial_ref": stack.spatial_ref},
    )
    found = xoffset.detectors(folder, like=wide, band="B04").values
    np.testing.assert_array_equal(found[:, 7:247, 5:245], [truth.detectors["10m"] for truth in truths])
    found[:, 7:247, 5:245] = 0
    assert not found.any()
    classes = xoffset.class_layer(folder, like=wide)
    outside = classes.values == 128
    assert not outside[:, 7:247, 5:245].any()
    assert outside.sum() == 2 * (257 * 250 - 240 * 240)
    assert np.isnan(xoffset.angles(folder, like=wide, band="B04").view_zenith.values[:, :7]).all()


def test_rows_may_run_upwards(written):
    folder, truths, stack = written
    upwards = stack.isel(y=slice(None, None, -1))
    np.testing.assert_array_equal(
        xoffset.detectors(folder, like=upwards, band="B04"), [truth.detectors["10m"][::-1] for truth in truths]
    )
    angles = xoffset.angles(folder, like=stack, band="B04").isel(y=slice(None, None, -1))
    xr.testing.assert_equal(xoffset.angles(folder, like=upwards, band="B04"), angles)


def test_overlapping_footprints_are_parted_along_their_middle(tmp_path):
    truth = safe_products.write(tmp_path, masks="gml", baseline="02.09", overlap=200.0)
    stack = xoffset.open_stack(truth.path, band="B04")
    found = xoffset.detectors(truth.path, like=stack, band="B04").values[0]
    wrong = found != truth.detectors["10m"]
    assert wrong.sum() <= 240  # no more than a pixel a row, beside the edge
    beside = np.pad(truth.detectors["10m"], ((0, 0), (1, 1)), mode="edge")
    assert (wrong <= ((beside[:, :-2] == found) | (beside[:, 2:] == found))).all()


# --------------------------------------------------------------------------------------------------------------- angles


def test_angles_are_those_that_were_written(written):
    folder, truths, stack = written
    found = xoffset.angles(folder, like=stack, band="B04")
    assert set(found.data_vars) == set(ANGLES)
    assert {each.dtype for each in found.data_vars.values()} == {np.dtype(np.float32)}
    assert all(each.dims == ("time", "y", "x") and each.attrs["units"] == "degree" for each in found.data_vars.values())
    assert found.spatial_ref.attrs["crs_wkt"]
    assert {"platform", "relative_orbit", "scene"} <= set(found.coords)
    for k, truth in enumerate(truths):
        for name, values in expected_angles(truth).items():
            np.testing.assert_allclose(found[name].values[k], values, atol=1e-3, err_msg=name)


def test_angles_jump_where_the_detector_does(written):
    folder, truths, stack = written
    azimuth = xoffset.angles(folder, like=stack, band="B04").view_azimuth.values[0]
    numbers = truths[0].detectors["10m"].astype(int)
    steps, changes = np.abs(np.diff(azimuth, axis=1)), np.diff(numbers, axis=1) == 1
    assert changes.any(axis=1).all()
    assert (steps[changes] > 180.0).all()
    assert np.nanmax(steps[~changes]) < 0.01
    np.testing.assert_array_equal(np.isnan(azimuth), numbers == 0)


def test_angles_of_a_band_are_its_own(written):
    folder, truths, stack = written
    found = xoffset.angles(folder, like=stack, band="B11").view_zenith.values[0]
    values = expected_angles(truths[0], "B11")["view_zenith"]
    np.testing.assert_allclose(np.nanmean(found), np.nanmean(values), atol=1e-3)
    assert abs(np.nanmean(found) - np.nanmean(expected_angles(truths[0])["view_zenith"])) > 0.5


# -------------------------------------------------------------------------------------------------------------- classes


def test_masks_of_l1c_are_those_that_were_written(written):
    folder, truths, stack = written
    found = xoffset.class_layer(folder, like=stack)
    assert (found.name, found.dims, found.dtype) == ("classes", ("time", "y", "x"), np.uint8)
    assert found.attrs["flag_meanings"] == "opaque_cloud cirrus snow snow_unknown no_data"
    assert list(found.attrs["flag_masks"]) == [1, 2, 4, 64, 128]
    assert "flag_values" not in found.attrs
    tells_snow = any(folder.rglob("*CLASSI*"))
    for k, truth in enumerate(truths):
        fine = {name: each.repeat(6, axis=0).repeat(6, axis=1) for name, each in truth.classes.items()}
        bits = fine["opaque"] * 1 + fine["cirrus"] * 2 + (fine["snow"] * 4 if tells_snow else 64)
        np.testing.assert_array_equal(found.values[k], bits)


@pytest.mark.parametrize(("band", "size"), [("B04_10m", 10), ("B11_20m", 20), ("B11_60m", 60)])
def test_classes_of_l2a_are_those_that_were_written(tmp_path, band, size):
    truth = safe_products.write(tmp_path, level="L2A", as_zip=True)
    stack = xoffset.open_stack(truth.path, band=band)
    found = xoffset.class_layer(truth.path, like=stack)
    classes = truth.classes["SCL_20m"]
    if size == 10:
        classes = classes.repeat(2, axis=0).repeat(2, axis=1)
    elif size == 60:
        classes = classes[1::3, 1::3]  # the pixel that holds the centre
    np.testing.assert_array_equal(found.values[0], classes)
    assert found.dtype == np.uint8
    assert list(found.attrs["flag_values"]) == list(range(12))
    names = found.attrs["flag_meanings"].split()
    assert (names[0], names[3], names[6], names[11]) == ("no_data", "cloud_shadow", "water", "snow_or_ice")
    assert "flag_masks" not in found.attrs


def test_landsat_tells_bits_of_quality_and_angles_but_no_detectors(tmp_path):
    written = [
        landsat_products.write_scene(tmp_path, time=time, packed=packed, has_angles=True, seed=k)
        for k, (time, packed) in enumerate([("2016-07-18T20:37:06", None), ("2016-08-03T20:37:09", ".tar")])
    ]
    places = [each.place for each in written]
    stack = xoffset.open_stack(places, band="red")
    found = xoffset.class_layer(places, like=stack)
    np.testing.assert_array_equal(found, [each.quality for each in written])
    assert found.dtype == np.uint16
    assert found.attrs["flag_meanings"].startswith("fill ")
    assert found.attrs["flag_masks"][0] == 1
    angles = xoffset.angles(places, like=stack)
    zenith = np.stack([each.angles["VZA"] for each in written])[:, 3:, :-2] / 100.0
    np.testing.assert_allclose(angles.view_zenith.values[:, 3:, :-2], zenith, atol=1e-5)
    with pytest.raises(ValueError, match=r"^detectors\(\) needs products that tell which detector"):
        xoffset.detectors(places, like=stack)
    xr.testing.assert_identical(xoffset.class_layer(places, like=lazy(stack)).compute(), found)


# ----------------------------------------------------------------------------------------------------- blocks and crops

FUNCTIONS = {
    "detectors": lambda source, like: xoffset.detectors(source, like=like, band="B04").to_dataset(),
    "angles": lambda source, like: xoffset.angles(source, like=like, band="B04"),
    "class_layer": lambda source, like: xoffset.class_layer(source, like=like).to_dataset(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_chunks_change_no_bit(written, function):
    folder, _, stack = written
    whole = function(folder, stack)
    for like in (lazy(stack), stack.chunk(time=1, y=33, x=240), stack.chunk(y=(1, 100, 139), x=(7, 233))):
        parts = function(folder, like)
        for name, each in parts.data_vars.items():
            assert each.chunks == ((1, 1), *like.chunks[1:])
            assert each.dtype == whole[name].dtype
        xr.testing.assert_identical(parts.compute(), whole)
    assert all(isinstance(each.data, np.ndarray) for each in whole.data_vars.values())


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_crops_are_those_of_the_whole(written, function):
    folder, _, stack = written
    whole = function(folder, stack)
    left, top = (float(stack[name].values[k]) for name, k in (("x", 0), ("y", 0)))
    for low, high in (((300.0, 600.0), (700.0, 1500.0)), ((1200.0, 0.0), (1330.0, 2400.0))):
        box = (left + low[0], top - high[1], left + high[0], top - low[1])
        crop = xoffset.open_stack(folder, band="B04", bbox=box)
        part = function(folder, crop)
        xr.testing.assert_equal(part, whole.sel(x=crop.x, y=crop.y))


def test_lazy_layers_read_nothing_before(written):
    folder, _, stack = written
    angles = xoffset.angles(folder, like=lazy(stack), band="B04")
    graph = angles.view_zenith.data.__dask_graph__()
    assert sum("block" in str(key) or "read" in str(key).lower() for key in graph) > 0
    assert angles.view_zenith.data.npartitions == 2 * 4 * 3


# --------------------------------------------------------------------------------------------- products and their dates


def test_products_are_found_by_their_dates(tmp_path):
    truths = [
        safe_products.write(tmp_path, date=date, seed=k, as_zip=k == 1)
        for k, date in enumerate([*DATES, "2021-08-06T10:20:35"])
    ]
    stack = xoffset.open_stack(tmp_path, band="B04")
    whole = xoffset.detectors(tmp_path, like=stack, band="B04")
    for source in (tmp_path, f"{tmp_path}/S2*", [truth.path for truth in truths[::-1]]):
        found = xoffset.detectors(source, like=stack.isel(time=[1]), band="B04")
        xr.testing.assert_identical(found, whole.isel(time=[1]))
    # dates of band files are those of the data take, and some programs keep the day only
    moved = stack.assign_coords(time=stack.time + np.timedelta64(9, "m"))
    np.testing.assert_array_equal(xoffset.detectors(tmp_path, like=moved, band="B04"), whole)
    days = stack.assign_coords(time=stack.time.values.astype("M8[D]").astype("M8[us]"))
    np.testing.assert_array_equal(xoffset.detectors(tmp_path, like=days, band="B04"), whole)


def test_a_pass_before_midnight_is_of_its_own_day(tmp_path):
    for k, date in enumerate(("2021-07-17T23:45:31", "2021-07-18T10:20:31")):
        safe_products.write(tmp_path, date=date, seed=k)
    stack = xoffset.open_stack(tmp_path, band="B04")
    days = stack.assign_coords(time=stack.time.values.astype("M8[D]").astype("M8[us]")).drop_vars("scene")
    whole = xoffset.detectors(tmp_path, like=stack, band="B04")
    np.testing.assert_array_equal(xoffset.detectors(tmp_path, like=days, band="B04"), whole)


def test_dates_without_a_product_are_listed(tmp_path):
    truths = [safe_products.write(tmp_path, date=date) for date in DATES]
    stack = xoffset.open_stack(tmp_path, band="B04")
    with pytest.raises(
        ValueError, match=r"angles\(\) needs a product for every date.*for 2021-07-27T10:20:33\. Add them"
    ):
        xoffset.angles(truths[0].path, like=stack, band="B04")
    moved = stack.assign_coords(time=stack.time + np.timedelta64(31, "m"))
    with pytest.raises(ValueError, match=r"got none for 2021-07-17T10:51:31, 2021-07-27T10:51:33\. Add"):
        xoffset.class_layer(tmp_path, like=moved)


def test_the_product_that_the_stack_was_made_of_counts(tmp_path, caplog):
    """Two processings of one acquisition: the newer one has swapped detectors."""
    older = safe_products.write(tmp_path / "a", masks="jp2")
    newer = safe_products.write(tmp_path / "b", masks="jp2", processed="2023-01-01T00:00:00", baseline="05.00")
    (mask,) = newer.path.rglob("*DETFOO_B04.jp2")
    swapped = np.where(newer.detectors["10m"] > 0, 11 - newer.detectors["10m"], 0).astype(np.uint8)
    safe_products._write_jp2(mask, swapped[np.newaxis], newer, 10)
    both = [older.path, newer.path]
    stack = xoffset.open_stack(older.path, band="B04")
    np.testing.assert_array_equal(xoffset.detectors(both, like=stack, band="B04").values[0], older.detectors["10m"])
    caplog.set_level("INFO")
    unnamed = stack.drop_vars("scene")
    np.testing.assert_array_equal(xoffset.detectors(both, like=unnamed, band="B04").values[0], swapped)
    assert f"the newest counts: {newer.name}" in caplog.text


def test_levels_are_not_mixed(tmp_path):
    first = safe_products.write(tmp_path, level="L1C")
    second = safe_products.write(tmp_path, level="L2A")
    stack = xoffset.open_stack(second.path, band="B04_10m")
    found = xoffset.class_layer(tmp_path, like=stack)
    assert "flag_values" in found.attrs
    with pytest.raises(ValueError, match=r"class_layer\(\) needs products of one level; got L1C and L2A"):
        xoffset.class_layer([first.path, second.path], like=stack.drop_vars(["level", "scene"]))


def test_tiles_of_a_product_and_of_a_pass(tmp_path):
    """Two tiles side by side, seen seconds apart: a stack that spans both, and one of each."""
    corners = (500_040.0, 4_900_020.0), (502_200.0, 4_900_020.0)
    left = safe_products.write(tmp_path, tile="31TGK", corner=corners[0])
    right = safe_products.write(tmp_path, tile="31TGL", corner=corners[1], date="2021-07-17T10:20:45")
    stack = xoffset.open_stack(left.path, band="B04")
    both = xr.DataArray(
        np.zeros((1, 240, 456), np.float32),
        dims=("time", "y", "x"),
        coords={"time": stack.time, "y": stack.y, "x": 500_045.0 + 10.0 * np.arange(456)},
    ).assign_coords(spatial_ref=stack.spatial_ref)
    found = xoffset.detectors(tmp_path, like=both, band="B04").values[0]
    wanted = np.zeros((240, 456), np.uint8)
    wanted[:, 216:] = right.detectors["10m"]
    wanted[:, :240] = np.where(left.detectors["10m"] > 0, left.detectors["10m"], wanted[:, :240])
    np.testing.assert_array_equal(found, wanted)
    zenith = xoffset.angles(tmp_path, like=both, band="B04").view_zenith.values[0]
    np.testing.assert_array_equal(np.isnan(zenith), wanted == 0)
    named = both.assign_coords(tile=("time", ["31TGK + 31TGL"]), scene=("time", [f"{left.name} + {right.name}"]))
    np.testing.assert_array_equal(xoffset.detectors(tmp_path, like=named, band="B04").values[0], wanted)
    # of one tile only its own product counts
    np.testing.assert_array_equal(xoffset.detectors(tmp_path, like=stack, band="B04").values[0], left.detectors["10m"])
    classes = xoffset.class_layer(tmp_path, like=both)
    assert not (classes.values & 128).any()


def test_satellites_that_pass_within_minutes_are_told_apart(tmp_path):
    corner, when = landsat_products.CORNER, "2016-07-18T20:{}:06"
    landsat = landsat_products.write_scene(tmp_path / "landsat", time=when.format(37))
    sentinel = safe_products.write(tmp_path, tile="07VEG", corner=corner, date=when.format(29))
    stack = xoffset.open_stack(sentinel.path, band="B04")
    both = [landsat.place, sentinel.path]
    for like in (stack, stack.drop_vars(["scene", "tile"])):
        found = xoffset.class_layer(both, like=like)
        xr.testing.assert_identical(
            found.drop_vars(["scene", "tile"], errors="ignore"),
            xoffset.class_layer(sentinel.path, like=stack).drop_vars(["scene", "tile"]),
        )
    with pytest.raises(
        ValueError, match=r"class_layer\(\) needs the products of one pass for each date; got LC08.* and S2A"
    ):
        xoffset.class_layer(both, like=stack.drop_vars(["scene", "tile", "platform", "relative_orbit", "level"]))


def test_layers_are_made_by_other_processes_too(written):
    """What a task carries can be sent to another process."""
    folder, _, stack = written
    whole = xoffset.angles(folder, like=stack, band="B04")
    parts = xoffset.angles(folder, like=lazy(stack), band="B04")
    assert len(pickle.dumps(parts.view_zenith.data.__dask_graph__())) < 4e6
    xr.testing.assert_identical(pickle.loads(pickle.dumps(parts)).compute(), whole)


def test_a_tile_of_an_old_product(tmp_path):
    truths = safe_products.write_old(tmp_path, as_zip=True)
    path = next(iter(truths.values())).path
    for tile, truth in truths.items():
        stack = xoffset.open_stack(path, band="B04", tile=tile)
        found = xoffset.detectors(path, like=stack, band="B04")
        np.testing.assert_array_equal(found.values[0], truth.detectors["10m"])


# ------------------------------------------------------------------------------------------------------------ bad input


def test_a_product_without_masks_is_refused(tmp_path):
    truth = safe_products.write(tmp_path, masks="gml", baseline="02.09")
    stack = xoffset.open_stack(truth.path, band="B04")
    for mask in truth.path.rglob("MSK_*"):
        mask.unlink()
    for like in (stack, lazy(stack)):
        with pytest.raises(FileNotFoundError, match=r"^detectors\(\) needs the footprints.*MSK_DETFOO_B04.*Fetch"):
            xoffset.detectors(truth.path, like=like, band="B04")
        with pytest.raises(FileNotFoundError, match=r"^angles\(\) needs the footprints"):
            xoffset.angles(truth.path, like=like, band="B04")
        with pytest.raises(FileNotFoundError, match=r"^class_layer\(\) needs the masks of clouds"):
            xoffset.class_layer(truth.path, like=like)


def test_a_product_without_its_classification_is_refused(tmp_path):
    truth = safe_products.write(tmp_path, level="L2A")
    stack = xoffset.open_stack(truth.path, band="B04_10m")
    for image in truth.path.rglob("*_SCL_*"):
        image.unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=r"^class_layer\(\) needs .*SCL"):
        xoffset.class_layer(truth.path, like=stack)


def test_damaged_masks_are_refused(tmp_path):
    truth = safe_products.write(tmp_path, masks="jp2")
    stack = xoffset.open_stack(truth.path, band="B04")
    (mask,) = truth.path.rglob("*DETFOO_B04.jp2")
    mask.write_bytes(b"no image at all")
    with pytest.raises(OSError, match=r"^detectors\(\) needs whole images"):
        xoffset.detectors(truth.path, like=stack, band="B04")
    (mask,) = truth.path.rglob("*CLASSI_B00.jp2")
    safe_products._write_jp2(mask, np.zeros((1, 40, 40), np.uint8), truth, 60)
    with pytest.raises(ValueError, match=r"^class_layer\(\) needs a mask of 3 bands; got 1"):
        xoffset.class_layer(truth.path, like=stack)


@pytest.mark.parametrize("kind", ["gml", "jp2"])
def test_another_crs_is_refused(tmp_path, kind):
    import pyproj

    truth = safe_products.write(tmp_path, masks=kind)
    stack = xoffset.open_stack(truth.path, band="B04")
    other = stack.drop_vars("spatial_ref").assign_coords(spatial_ref=spatial_ref(pyproj.CRS.from_epsg(32632)))
    for like in (other, lazy(other)):
        for name in ("detectors", "angles"):
            with pytest.raises(
                ValueError,
                match=r"^\w+\(\) needs a grid in the CRS of the product; got .* 32N.*reproject_match",
            ):
                FUNCTIONS[name](truth.path, like)


def test_another_crs_is_refused_of_every_product(tmp_path):
    """Numbers of another zone may be those of the image, and mean another place."""
    import dimap_products
    import planetscope_products
    import pyproj
    from landsat_products import write_scene

    landsat = write_scene(tmp_path / "landsat", has_angles=True).place
    planet = tmp_path / "planet"
    planetscope_products.write(planet, "20190811_103012_1032")
    dimap_products.write(tmp_path / "dimap")
    for place in (landsat, planet, tmp_path / "dimap"):
        stack = xoffset.open_stack(place, band="red")
        xoffset.angles(place, like=stack)
        other = stack.drop_vars("spatial_ref").assign_coords(spatial_ref=spatial_ref(pyproj.CRS.from_epsg(32660)))
        with pytest.raises(ValueError, match=r"needs a grid in the CRS of the product; got .* 60N.*reproject_match"):
            xoffset.angles(place, like=other)


# ------------------------------------------------------------------------------------------- classes in another CRS


def _landsat(folder):
    from landsat_products import write_scene

    return write_scene(folder).place


def _planet(folder):
    import planetscope_products

    planetscope_products.write(folder, "20190811_103012_1032")
    return folder


def _eopf(folder):
    import eopf_products

    return eopf_products.write(folder)


def _gml_without_clouds(folder):
    """Polygons tell their CRS, and where there are none only the tile does."""
    truth = safe_products.write(folder, masks="gml", baseline="02.09")
    (path,) = truth.path.rglob("MSK_CLOUDS_B00.gml")
    text = path.read_text()
    start, end = text.index("<eop:maskMembers>"), text.index("</eop:maskMembers>") + len("</eop:maskMembers>")
    path.write_text(text[:start] + text[end:])
    return truth.path


PRODUCTS = {
    "L2A": lambda folder: safe_products.write(folder, level="L2A").path,
    "L1C raster": lambda folder: safe_products.write(folder, masks="jp2").path,
    "L1C polygons": lambda folder: safe_products.write(folder, masks="gml", baseline="02.09").path,
    "L1C without clouds": _gml_without_clouds,
    "EOPF": _eopf,
    "Landsat": _landsat,
    "PlanetScope": _planet,
}


def turned(stack, zones, step):
    """Stack on the grid of a zone of UTM beside, over the same ground and beyond it, and where its pixels are there."""
    import pyproj

    own = xoffset.model.grids.crs_of(stack)
    code = own.to_epsg() + zones
    there = pyproj.Transformer.from_crs(own, code, always_xy=True)
    x, y = there.transform(float(stack.x.mean()), float(stack.y.mean()))
    side = 0.7 * float(np.ptp(stack.x.values))
    # not through the middle, where centres lie on edges
    axis_x, axis_y = (np.arange(at - side + 0.123 * step, at + side, step) for at in (x, y))
    like = xr.DataArray(
        np.zeros((stack.sizes["time"], axis_y.size, axis_x.size), np.float32),
        dims=("time", "y", "x"),
        coords={"time": stack.time, "y": axis_y[::-1], "x": axis_x},
    ).assign_coords(spatial_ref=spatial_ref(pyproj.CRS.from_epsg(code)))
    places = there.transform(*np.meshgrid(like.x.values, like.y.values), direction="INVERSE")
    return like, places


@pytest.mark.parametrize(
    ("kind", "zones", "step"), [*((kind, 1, 1.7) for kind in PRODUCTS), ("L2A", -1, 0.9), ("Landsat", -1, 0.9)]
)
def test_classes_in_another_crs_are_those_of_the_pixels_that_hold_the_centres(tmp_path, kind, zones, step, caplog):
    place = PRODUCTS[kind](tmp_path)
    stack = xoffset.open_stack(place, band="red")
    pixel = float(stack.x[1] - stack.x[0])
    own = xoffset.class_layer(place, like=stack)
    assert "laid" not in own.attrs
    like, (x, y) = turned(stack, zones, step * pixel)
    with caplog.at_level("INFO"):
        found = xoffset.class_layer(place, like=like)
    assert caplog.text.count("lays the classes on the stack from another CRS") == 1
    assert found.attrs["laid"] == "by position, from another CRS"

    column = np.floor((x - stack.x.values[0]) / pixel + 0.5).astype(int)
    row = np.floor((stack.y.values[0] - y) / pixel + 0.5).astype(int)
    is_inside = (row >= 0) & (row < stack.sizes["y"]) & (column >= 0) & (column < stack.sizes["x"])
    assert 0.2 < is_inside.mean() < 0.8
    # what lies on an edge, to a millionth of a pixel, may go either way
    at = np.stack([(x - stack.x.values[0]) / pixel, (stack.y.values[0] - y) / pixel])
    is_on_edge = (np.abs(at + 0.5 - np.rint(at + 0.5)) < 1e-5).any(axis=0)
    assert is_on_edge.mean() < 1e-3
    nothing = own.attrs["flag_meanings"].split().index("fill" if kind == "Landsat" else "no_data")
    outside = np.ravel(own.attrs.get("flag_values", own.attrs.get("flag_masks")))[nothing]
    values = own.values[0][row.clip(0, stack.sizes["y"] - 1), column.clip(0, stack.sizes["x"] - 1)]
    wanted = np.where(is_inside, values, outside)
    np.testing.assert_array_equal(found.values[0][~is_on_edge], wanted[~is_on_edge])
    assert kind == "L1C without clouds" or np.unique(values[is_inside]).size > 2

    some = xoffset.class_layer(place, like=like.chunk(y=37, x=61))
    assert some.chunks
    xr.testing.assert_identical(some.compute(), found)
    classes = xoffset.masking.classes(place, like=like)
    assert classes.attrs["laid"] == found.attrs["laid"]
    assert (classes.values[0][~is_inside & ~is_on_edge] == 1).all()
    upwards = like.isel(y=slice(None, None, -1))
    np.testing.assert_array_equal(xoffset.class_layer(place, like=upwards), found[:, ::-1])


def test_tiles_of_two_zones_are_put_side_by_side(tmp_path):
    """The tile in the east is of another zone than the stack, which takes from each what it has."""
    west = safe_products.write(tmp_path, level="L2A")
    stack = xoffset.open_stack(west.path, band="B04")
    like, _ = turned(stack, 1, 20.0)
    alone = xoffset.class_layer(west.path, like=like).values[0]
    x, y = float(like.x.mean()), float(like.y.mean())
    safe_products.write(tmp_path, level="L2A", tile="32TLQ", corner=(round(x, -2), round(y, -2) + 1200.0), seed=4)
    both = xoffset.class_layer(tmp_path, like=like).values[0]
    assert ((both != 0) & (alone == 0)).any()
    np.testing.assert_array_equal(both[alone != 0], alone[alone != 0])


def test_wrong_bands_are_refused(written):
    folder, _, stack = written
    for band, message in ((None, "needs one band"), ("B99", "needs band 'B99'"), ("green", "needs band 'green'")):
        for function in (xoffset.detectors, xoffset.angles):
            with pytest.raises(ValueError, match=rf"^{function.__name__}\(\) {message}.*B04.*Pass band="):
                function(folder, like=stack, band=band)


def test_what_is_no_product_is_refused(tmp_path, written):
    _, _, stack = written
    path = tmp_path / "a_20210717.tif"
    profile = {"driver": "GTiff", "width": 9, "height": 9, "count": 1, "dtype": "uint8", "crs": "EPSG:32631"}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)) as file:
        file.write(np.ones((1, 9, 9), np.uint8))
    with pytest.raises(ValueError, match=r"^detectors\(\) needs products with their metadata.*Give the products"):
        xoffset.detectors(path, like=stack, band="B04")
    with pytest.raises(FileNotFoundError, match=r"^angles\(\) needs images"):
        xoffset.angles(f"{tmp_path}/none*", like=stack, band="B04")
    with pytest.raises(TypeError, match=r"^class_layer\(\) needs a file"):
        xoffset.class_layer(7, like=stack)


# ------------------------------------------------------------------------------------------------------------ real data


@pytest.mark.data
def test_real_layers():
    """The true tree holds thumbnails of the whole tile, whose masks and angles are at full size."""
    if not REAL.exists():
        pytest.skip("no real product here")
    (path,) = REAL.glob("S2A_MSIL2A*")
    stack = xoffset.open_stack(path, band="B04")
    found = xoffset.detectors(path, like=stack, band="B04")
    assert {int(each) for each in np.unique(found)} == {0, 11, 12}
    has_values = stack.notnull().values
    assert ((found.values > 0) == has_values).mean() > 0.99
    angles = xoffset.angles(path, like=stack, band="B04")
    np.testing.assert_array_equal(angles.view_zenith.isnull(), found == 0)
    np.testing.assert_allclose(angles.view_zenith.mean(), stack.view_zenith[0], atol=0.5)
    np.testing.assert_allclose(angles.sun_elevation.mean(), stack.sun_elevation[0], atol=0.5)
    classes = xoffset.class_layer(path, like=stack)
    assert ((classes.values > 0) == has_values).mean() > 0.98


def test_a_raster_with_numbers_of_no_detector_is_refused(tmp_path):
    truth = safe_products.write(tmp_path)
    stack = xoffset.open_stack(truth.path, band="B04")
    (mask,) = truth.path.rglob("*DETFOO_B04.jp2")
    with rasterio.open(mask) as dataset:
        profile = dataset.profile
    for number in (13, 300):  # 300 would be 44 in eight bits
        values = np.full((1, truth.size, truth.size), number, np.uint16)
        with rasterio.open(mask, "w", **profile | {"dtype": "uint16"}) as dataset:
            dataset.write(values)
        with pytest.raises(ValueError, match=rf"needs masks .* detector {number} of an instrument with 12"):
            xoffset.detectors(truth.path, like=stack, band="B04")
