"""Files as they are: orientation tags, rows of netCDF, sparse and changed files, common ground, undeclared zeros."""

import logging
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from scipy.ndimage import gaussian_filter

from xoffset.readers import orientation, zeros
from xoffset.readers.open_stack import open_stack

UTM = "EPSG:32632"
PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)
DAYS = ("20200101", "20210101")


def ground(shape=(160, 160)):
    values = gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.2)
    return (1 + 254 * (values - values.min()) / np.ptp(values)).astype("u1")


def moved():
    """Two images between which the ground moves 2 px to the right and 3 px down."""
    return ground()[8:136, 8:136], ground()[5:133, 6:134]


def write(path, values, **profile):
    profile = {"driver": "GTiff", "crs": UTM, "transform": PLACE} | profile
    height, width = values.shape
    with rasterio.open(path, "w", height=height, width=width, count=1, dtype=values.dtype.name, **profile) as file:
        file.write(values, 1)
    return str(path)


def displacement(stack):
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=6, step=16)
    return [round(float(shifts[name].compute().median()), 1) for name in ("dx", "dy")]


# ---------------------------------------------------------------------------------------------------- orientation tags

# the stored array that a tag turns into the shown one, from the table of TIFF 6.0: where row 0 and column 0 are seen
STORED = {
    1: lambda shown: shown,  # top, left
    2: lambda shown: shown[:, ::-1],  # top, right
    3: lambda shown: shown[::-1, ::-1],  # bottom, right
    4: lambda shown: shown[::-1],  # bottom, left
    5: lambda shown: shown.T,  # left, top
    6: lambda shown: shown[:, ::-1].T,  # right, top
    7: lambda shown: shown[::-1, ::-1].T,  # right, bottom
    8: lambda shown: shown[::-1].T,  # left, bottom
}


def tiff(values, tag, order="<", is_big=False):
    """Bytes of a TIFF file of one strip, which is all of EXIF if there are no pixels."""
    height, width = values.shape
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 274: tag, 277: 1, 278: height, 279: values.size}
    count, entry, offset = ("Q", "HHQQ", "Q") if is_big else ("H", "HHII", "I")
    start = 16 if is_big else 8
    size = struct.calcsize(order + count) + (len(entries) + 1) * struct.calcsize(order + entry)
    entries[273] = start + size + struct.calcsize(order + offset)
    head = struct.pack(order + "2sH", b"II" if order == "<" else b"MM", 43 if is_big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if is_big else struct.pack(order + "I", 8)
    head += struct.pack(order + count, len(entries))
    for name in sorted(entries):
        is_short = name in (258, 259, 262, 274, 277)
        value = struct.pack(order + ("H" if is_short else "I"), entries[name]).ljust(8 if is_big else 4, b"\0")
        head += struct.pack(order + entry[:3], name, 3 if is_short else 4, 1) + value
    return head + struct.pack(order + offset, 0) + values.tobytes()


def photograph(folder, kind, name, shown, tag):
    """File of an image that its tag turns into what is shown."""
    stored = np.ascontiguousarray(STORED[tag](shown))
    path = folder / f"{name}.{kind[:3]}"
    exif = tiff(np.zeros((0, 0), "u1"), tag)
    if kind.startswith("tif"):
        path.write_bytes(tiff(stored, tag, ">" if "motorola" in kind else "<", "big" in kind))
    else:
        options = {"QUALITY": 98} if kind == "jpg" else {}
        write(path, stored, driver={"jpg": "JPEG", "png": "PNG"}[kind], crs=None, transform=PLACE, **options)
        for other in folder.glob("*.aux.xml"):  # the georeference that kept rasterio from warning
            other.unlink()
        data = path.read_bytes()
        if kind == "jpg":
            part = b"Exif\0\0" + exif
            data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + data[2:]
        else:
            part = b"eXIf" + exif
            data = data[:33] + struct.pack(">I", len(exif)) + part + struct.pack(">I", zlib.crc32(part)) + data[33:]
        path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("kind", ["tif", "tif motorola", "tif big", "tif big motorola", "png", "jpg"])
@pytest.mark.parametrize("tag", STORED)
def test_photographs_are_turned_as_they_are_shown(tmp_path, kind, tag):
    shown = ground((48, 40))
    path = photograph(tmp_path, kind, "a_20200101", shown, tag)
    stack = open_stack(path, pixel_size=2.0)
    assert stack.shape == (1, 48, 40)
    np.testing.assert_array_equal(stack.y, -2.0 * (np.arange(48) + 0.5))
    assert np.abs(stack[0] - shown).max() <= (20 if kind == "jpg" else 0)
    assert np.abs(stack[0] - shown).mean() < (4 if kind == "jpg" else 1e-9)
    for chunks in (7, {"y": 13, "x": -1}):
        xr.testing.assert_identical(open_stack(path, pixel_size=2.0, chunks=chunks).compute(), stack)
    crop = open_stack(path, pixel_size=2.0, bbox=(6, -40, 34, -10))
    xr.testing.assert_equal(crop, stack.isel(y=slice(5, 20), x=slice(3, 17)))


@pytest.mark.parametrize("kind", ["jpg", "tif", "png"])
@pytest.mark.parametrize("tag", [6, 4])
def test_a_tag_turns_no_motion(tmp_path, kind, tag):
    files = [photograph(tmp_path, kind, f"a_{day}", image, tag) for day, image in zip(DAYS, moved(), strict=True)]
    assert displacement(open_stack(files, pixel_size=10.0)) == pytest.approx([20, -30], abs=0.5)


def test_tags_may_differ_between_photographs(tmp_path):
    files = [
        photograph(tmp_path, "png", f"a_{day}", image, tag)
        for day, image, tag in zip(DAYS, moved(), (1, 8), strict=True)
    ]
    assert displacement(open_stack(files, pixel_size=10.0)) == pytest.approx([20, -30], abs=0.5)


@pytest.mark.parametrize("tag", [0, 9, 1])
def test_a_tag_that_means_nothing_turns_nothing(tmp_path, tag):
    path = tmp_path / "a_20200101.tif"
    path.write_bytes(tiff(ground((20, 30)), tag))
    np.testing.assert_array_equal(open_stack(path, pixel_size=1)[0], ground((20, 30)))


def test_the_tag_of_webp(tmp_path):
    path = tmp_path / "a.webp"
    for start in (b"", b"Exif\0\0"):
        exif = start + tiff(np.zeros((0, 0), "u1"), 6)
        path.write_bytes(b"RIFF\0\0\0\0WEBPVP8 " + struct.pack("<I", 3) + b"abc\0EXIF" + struct.pack("<I", 99) + exif)
        assert orientation.tagged(str(path), "WEBP", {}) == 6
    path.write_bytes(path.read_bytes()[:40])
    assert orientation.tagged(str(path), "WEBP", {}) == orientation.UPRIGHT


def test_a_tag_on_a_georeferenced_file_is_refused(tmp_path):
    path = tmp_path / "a_20200101.tif"
    path.write_bytes(tiff(ground((20, 30)), 3))
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    with pytest.raises(ValueError, match=r"that lie upright; got a_20200101.tif with orientation tag 3.*rio convert"):
        open_stack(path)


# --------------------------------------------------------------------------------------------------------- netCDF rows


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("is_northward", [False, True])
@pytest.mark.parametrize("chunks", [None, 50])
def test_rows_of_netcdf_are_put_north_up(tmp_path, engine, is_northward, chunks):
    pytest.importorskip(engine)
    axes = {"x": 5e5 + 10.0 * np.arange(128), "y": 5e6 - 10.0 * np.arange(128)}
    for day, image in zip(DAYS, moved(), strict=True):
        data = xr.Dataset({"image": (("y", "x"), image.astype("f4"))}, coords=axes)
        data = data.isel(y=slice(None, None, -1)) if is_northward else data
        data.to_netcdf(tmp_path / f"a_{day}.nc", engine=engine)
    stack = open_stack(tmp_path / "*.nc", pixel_size=10.0, chunks=chunks)
    np.testing.assert_array_equal(stack[0], moved()[0])
    assert displacement(stack) == pytest.approx([20, -30], abs=0.5)


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({}, "no coordinates x and y"),
        ({"x": 10.0 * np.arange(30)}, "no coordinates x and y"),
        ({"x": np.arange(30.0), "y": np.arange(20.0)}, "x and y in steps of 1 and 1 for pixel_size=10"),
        ({"x": 10.0 * np.arange(30), "y": 5.0 * np.arange(20)}, "x and y in steps of 10 and 5"),
        ({"x": -10.0 * np.arange(30), "y": 10.0 * np.arange(20)}, "x and y in steps of -10 and 10"),
        ({"x": 10.0 * np.arange(30), "y": 10.0 * np.arange(20) ** 1.1}, "x and y in steps of 10 and nan"),
    ],
)
def test_rows_that_may_run_either_way_are_refused(tmp_path, axes, told):
    data = xr.Dataset({"image": (("y", "x"), ground((20, 30)).astype("f4"))}, coords=axes)
    data.to_netcdf(tmp_path / "a_20200101.nc", engine="scipy")
    with pytest.raises(ValueError, match=rf"rows run north or south; got a_20200101.nc .*{told}.*write_transform\(\)"):
        open_stack(tmp_path / "a_20200101.nc", pixel_size=10.0)


@pytest.mark.parametrize("unit", ["m", "metre", "km", "degrees"])
def test_rows_of_netcdf_need_metres(tmp_path, unit):
    step = 0.01 if unit == "km" else 10.0
    axes = {name: (name, step * np.arange(size), {"units": unit}) for name, size in (("x", 30), ("y", 20))}
    data = xr.Dataset({"image": (("y", "x"), ground((20, 30)).astype("f4"))}, coords=axes)
    data.to_netcdf(tmp_path / "a_20200101.nc", engine="scipy")
    if unit.startswith("m"):
        stack = open_stack(tmp_path / "a_20200101.nc", pixel_size=step)
        np.testing.assert_array_equal(stack[0], ground((20, 30))[::-1])
    else:
        with pytest.raises(ValueError, match=rf"steps of {step:g} and {step:g} {unit} for pixel_size"):
            open_stack(tmp_path / "a_20200101.nc", pixel_size=step)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@pytest.mark.parametrize("has_crs", [False, True])
@pytest.mark.parametrize(
    ("unit", "scale"), [("km", 1e-3), ("degrees", 1e-5), ("US_survey_foot", 3937 / 1200), ("feet", 1 / 0.3048)]
)
def test_a_georeference_of_netcdf_in_other_units_is_refused(tmp_path, unit, scale, has_crs):
    axes = {
        name: (name, scale * values, {"units": unit, "standard_name": f"projection_{name}_coordinate"})
        for name, values in (("x", 5e5 + 10.0 * np.arange(60)), ("y", 5e6 - 10.0 * np.arange(40)))
    }
    data = xr.Dataset({"image": (("y", "x"), ground((40, 60)))}, coords=axes)
    if has_crs:
        import rioxarray  # noqa: F401 (gives the accessor)

        data = data.rio.write_crs("EPSG:32632")
    data.to_netcdf(tmp_path / "a_20200101.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=rf"needs axes in metres; got '.' of a_20200101.nc in {unit}"):
        open_stack(tmp_path / "a_20200101.nc")


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("is_placed", [False, True])
def test_transposed_arrays_of_netcdf_are_refused(tmp_path, is_placed, engine):
    import rioxarray  # noqa: F401 (gives the accessor)

    axes = {"x": 5e5 + 10.0 * np.arange(40), "y": 5e6 - 10.0 * np.arange(40)}
    data = xr.DataArray(ground((40, 40)).astype("f4"), coords=axes, dims=("y", "x"), name="image")
    if is_placed:
        data = data.rio.write_crs("EPSG:32632").rio.write_transform()
    data.transpose("x", "y").to_netcdf(tmp_path / "a_20200101.nc", engine=engine)
    with pytest.raises(ValueError, match=r"needs images \(y, x\); got 'image' of a_20200101.nc with dims \('x', 'y'\)"):
        open_stack(tmp_path / "a_20200101.nc", pixel_size=None if is_placed else 10.0)


def test_latitudes_beside_axes_in_metres_do_no_harm(tmp_path):
    import rioxarray  # noqa: F401 (gives the accessor)

    axes = {"x": 5e5 + 10.0 * np.arange(60), "y": 5e6 - 10.0 * np.arange(40)}
    data = xr.DataArray(ground((40, 60)), coords=axes, dims=("y", "x"), name="image").rio.write_crs("EPSG:32632")
    angles = {name: (("y", "x"), np.full((40, 60), 45.0), {"units": "degrees"}) for name in ("lat", "lon")}
    data.assign_coords(angles).rio.write_transform().to_netcdf(tmp_path / "a_20200101.nc", engine="h5netcdf")
    name = f"NETCDF:{tmp_path / 'a_20200101.nc'}:image"
    stack = open_stack([name], date=["2020-01-01"])
    np.testing.assert_array_equal(stack[0], ground((40, 60)))
    assert stack.x[0] == 5e5


@pytest.mark.parametrize("units", [{}, {"lat": "degrees_north", "lon": "degrees_east"}])
def test_degrees_of_netcdf_without_a_crs_are_refused(tmp_path, units):
    axes = {"lat": np.linspace(46, 45, 40), "lon": np.linspace(7, 8, 60)}
    coords = {name: (name, values, {"units": units[name]} if units else {}) for name, values in axes.items()}
    data = xr.Dataset({"image": (("lat", "lon"), ground((40, 60)))}, coords=coords)
    data.to_netcdf(tmp_path / "a_20200101.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"needs axes in metres; got 'l..' of a_20200101.nc in degrees"):
        open_stack(tmp_path / "a_20200101.nc")


def test_the_advice_on_netcdf_works(tmp_path):
    pytest.importorskip("h5netcdf")
    import rioxarray  # noqa: F401

    axes = {"x": 5e5 + 10.0 * np.arange(30), "y": 5e6 - 10.0 * np.arange(20)}
    data = xr.Dataset({"image": (("y", "x"), ground((20, 30)).astype("f4"))}, coords=axes)
    for rows in (slice(None), slice(None, None, -1)):
        data.isel(y=rows).rio.write_crs(UTM).rio.write_transform().to_netcdf(tmp_path / "a_20200101.nc")
        stack = open_stack(tmp_path / "a_20200101.nc")
        xr.testing.assert_equal(stack[0].reset_coords(drop=True).sortby("y", ascending=False), data.image)


def test_a_file_of_several_variables_is_named(tmp_path):
    axes = {"x": 10.0 * np.arange(30), "y": -10.0 * np.arange(20)}
    image = (("y", "x"), ground((20, 30)).astype("f4"))
    xr.Dataset({"red": image, "blue": image}, coords=axes).to_netcdf(tmp_path / "a_20200101.nc", engine="scipy")
    with pytest.raises(ValueError, match=r"holds several variables or none. Name one .*'NETCDF:.*:red'"):
        open_stack(tmp_path / "a_20200101.nc", pixel_size=10.0)
    stack = open_stack([f"NETCDF:{tmp_path / 'a_20200101.nc'}:red"], pixel_size=10.0, date=["2020-01-01"])
    np.testing.assert_array_equal(stack[0], image[1])


# ------------------------------------------------------------------------------------------------------ sparse, changed


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("options", [{"tiled": True, "blockxsize": 64, "blockysize": 64}, {"blockysize": 16}])
@pytest.mark.parametrize("compress", [{}, {"compress": "deflate"}])
def test_tiles_never_written_are_missing(tmp_path, interleave, options, compress):
    path = tmp_path / "a_20200101.tif"
    values = np.stack([ground((64, 64)), ground((64, 64))[::-1]]).astype("u2")
    values[:, :32] = 0  # zeros that are written are values
    profile = {"driver": "GTiff", "height": 200, "width": 230, "count": 2, "dtype": "uint16", "crs": UTM}
    with rasterio.open(
        path, "w", transform=PLACE, SPARSE_OK=True, interleave=interleave, **profile, **options, **compress
    ) as file:
        file.write(values, window=rasterio.windows.Window(64, 64, 64, 64))
    with rasterio.open(path) as file:
        raw = file.read()
        height, width = file.block_shapes[0]
        is_written = [
            [
                [
                    file.get_tag_item(f"BLOCK_OFFSET_{x // width}_{y // height}", "TIFF", bidx=k) is not None
                    for x in range(230)
                ]
                for y in range(200)
            ]
            for k in (1, 2)
        ]
    wanted = np.where(is_written, raw, np.nan)
    assert 0.5 < np.isnan(wanted[0]).mean() < 0.95
    for band in (1, 2):
        stack = open_stack(path, band=band)
        np.testing.assert_array_equal(stack[0], wanted[band - 1])
        np.testing.assert_array_equal(stack[0, 96:128, 64:128], values[band - 1, 32:])
        xr.testing.assert_equal(open_stack(path, band=band, chunks=37).compute(), stack)
    crop = open_stack(path, band=1, bbox=(5e5 + 1000, 5e6 - 1000, 5e5 + 1500, 5e6 - 500))
    np.testing.assert_array_equal(crop[0], wanted[0, 50:100, 100:150])


def test_a_declared_value_of_tiles_never_written_is_missing_too(tmp_path):
    path = tmp_path / "a_20200101.tif"
    profile = {"driver": "GTiff", "height": 128, "width": 128, "count": 1, "dtype": "uint8", "crs": UTM, "nodata": 7}
    with rasterio.open(
        path, "w", transform=PLACE, SPARSE_OK=True, tiled=True, blockxsize=64, blockysize=64, **profile
    ) as f:
        f.write(np.ones((1, 64, 64), "u1"), window=rasterio.windows.Window(64, 0, 64, 64))
    for nodata in (None, 255):
        stack = open_stack(path, nodata=nodata)
        assert stack[0].isnull().mean() == 0.75
        assert (stack[0, :64, 64:] == 1).all()


@pytest.mark.parametrize("way", ["no georeference", "vrt"])
@pytest.mark.parametrize("big", ["NO", "YES"])
def test_tiles_never_written_behind_a_vrt_are_refused(tmp_path, way, big):
    import rasterio.shutil

    path, size = tmp_path / "a_20200101.tif", None if way == "vrt" else 10.0
    profile = {"driver": "GTiff", "height": 128, "width": 128, "count": 1, "dtype": "uint8"}
    profile |= {"crs": UTM, "transform": PLACE} if way == "vrt" else {}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "SPARSE_OK": True, "BIGTIFF": big}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile, **tiles) as file:
            file.write(np.ones((1, 64, 64), "u1"), window=rasterio.windows.Window(64, 0, 64, 64))
    if way == "vrt":
        rasterio.shutil.copy(str(path), str(path.with_suffix(".vrt")), driver="VRT")
        path = path.with_suffix(".vrt")
    with pytest.raises(
        ValueError, match=r"needs pixels that were written; got a_2020.*tiles of a_20200101.tif.*nodata=0"
    ):
        open_stack(path, pixel_size=size)
    for chunks in (None, 50):
        stack = open_stack(path, pixel_size=size, nodata=0, chunks=chunks)
        assert float(stack[0].isnull().mean()) == 0.75


@pytest.mark.parametrize("way", ["pixels", "size", "date", "place", "copy"])
def test_a_file_that_changed_since_is_refused(tmp_path, way):
    path = Path(write(tmp_path / "a_20200101.tif", ground((40, 40))))
    other = write(tmp_path / "a_20210101.tif", ground((40, 40)))
    stack = open_stack([path, other], chunks=16)
    before = path.stat()
    if way == "pixels":
        write(path, ground((40, 40))[::-1])
    elif way == "copy":  # of the same size, with the date of the original
        Path(write(tmp_path / "b.tif", ground((40, 40))[::-1])).replace(path)
    elif way == "size":
        write(path, ground((20, 20)))
    elif way == "place":
        write(path, ground((40, 40)), transform=Affine(10, 0, 5e5 + 100, 0, -10, 5e6))
    later = before.st_mtime_ns + (0 if way in ("size", "copy") else 1_000_000)
    os.utime(path, ns=(later, later))
    with pytest.raises(OSError, match=r"a_20200101.tif has changed since. Open the stack again"):
        stack.compute()
    np.testing.assert_array_equal(stack[1], ground((40, 40)))  # the other one is as it was
    assert open_stack([path, other], chunks=16).compute().shape[0] == 2


def test_what_a_vrt_is_made_of_may_not_change_either(tmp_path):
    import rasterio.shutil

    path = Path(write(tmp_path / "a.tif", ground((40, 40))))
    rasterio.shutil.copy(str(path), str(tmp_path / "a_20200101.vrt"), driver="VRT")
    stack = open_stack(tmp_path / "a_20200101.vrt", chunks=16)
    np.testing.assert_array_equal(stack[0], ground((40, 40)))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    with pytest.raises(OSError, match=r"a_20200101.vrt has changed since"):
        stack.compute()


def test_a_file_that_is_looked_at_has_not_changed(tmp_path):
    path = Path(write(tmp_path / "a_20200101.tif", ground((40, 40))))
    stack = open_stack(path, chunks=16)
    path.with_name(path.name + ".aux.xml").write_text("<PAMDataset/>")  # statistics, as viewers leave them
    np.testing.assert_array_equal(stack[0], ground((40, 40)))


# -------------------------------------------------------------------------------------------------------- common ground


def place(x, y, step=10.0):
    return Affine(step, 0, 5e5 + x, 0, -step, 5e6 + y)


@pytest.mark.parametrize("align", [None, "nearest", "cubic"])
@pytest.mark.parametrize("away", [(1e5, 0), (0, -1e5), (1000, 0), (990, 990)])
def test_images_of_other_places_are_refused(tmp_path, align, away):
    files = [
        write(tmp_path / "a_20200101.tif", ground((100, 100))),
        write(tmp_path / "a_20200111.tif", ground((100, 100)), transform=place(*away)),
    ]
    message = r"of the same ground; .* less than 1%: a_20200101.tif covers .* in WGS 84 / UTM zone 32N; a_20200111.tif"
    for chunks in (None, 64):
        with pytest.raises(ValueError, match=message + r".*Leave out.*bbox="):
            open_stack(files, align=align, chunks=chunks)
    box = (5e5, 5e6 - 1000, 5e5 + 500, 5e6)
    assert open_stack(files, align=align, bbox=box).isnull().all(("y", "x")).values.tolist() == [False, True]


def test_two_groups_far_apart_are_refused(tmp_path):
    files = [
        write(tmp_path / f"a_2020010{k}.tif", ground((100, 100)), transform=place(3e5 * (k > 2), 0))
        for k in range(1, 5)
    ]
    with pytest.raises(ValueError, match=r"two of them see 0\.66%, less than 1%"):
        open_stack(files)
    assert open_stack(files[:2]).shape == (2, 100, 100)


@pytest.mark.parametrize("align", [None, "nearest"])
def test_one_stranger_among_images_of_one_place_is_refused(tmp_path, align):
    files = [
        write(tmp_path / f"a_2020010{k}.tif", ground((100, 100)), transform=place(2000 * (k == 3), 0))
        for k in range(1, 5)
    ]
    with pytest.raises(ValueError, match=r"some share none with any other: a_20200103.tif covers .*Leave out"):
        open_stack(files, align=align)
    box = (5e5, 5e6 - 900, 5e5 + 900, 5e6)
    assert open_stack(files, align=align, bbox=box).isnull().all(("y", "x")).values.tolist() == [
        False,
        False,
        True,
        False,
    ]
    with pytest.raises(ValueError, match=r"holds pixels of an image; .* a_20200101.tif, which covers"):
        open_stack(files, align=align, bbox=(5e5 + 1100, 5e6 - 900, 5e5 + 1900, 5e6))


def test_other_sides_of_the_globe_are_refused(tmp_path):
    files = [
        write(tmp_path / "a_20200101.tif", ground((100, 100))),
        write(tmp_path / "a_20200111.tif", ground((100, 100)), crs="EPSG:32602"),
        write(tmp_path / "a_20200121.tif", ground((100, 100)), crs="EPSG:3031", transform=place(0, 0)),
    ]
    for other in files[1:]:
        with pytest.raises(ValueError, match="images of the same ground"):
            open_stack([files[0], other], align="nearest")


@pytest.mark.parametrize("align", [None, "cubic"])
def test_neighbouring_scenes_are_stacked(tmp_path, align):
    # a strip of four, each with a tenth in common with the next; a box over the seam of tiles taken twice
    strip = [
        write(tmp_path / f"s_2020010{k}.tif", ground((100, 100)), transform=place(900 * k, 0)) for k in range(1, 5)
    ]
    assert open_stack(strip, align=align).shape == (4, 100, 370)
    tiles = [
        write(tmp_path / f"t_2020010{k}.tif", ground((100, 100)), transform=place(1000 * (k % 2), 0))
        for k in range(1, 5)
    ]
    box = (5e5 + 800, 5e6 - 500, 5e5 + 1200, 5e6 - 100)
    assert open_stack(tiles, align=align, bbox=box).isnull().mean(("y", "x")).values.tolist() == [0.5] * 4


# ----------------------------------------------------------------------------------------------------- undeclared zeros


def notices(caplog):
    return [each.getMessage() for each in caplog.records if each.name.startswith("xoffset")]


MASKS = {
    "disks": lambda y, x: (y % 64 - 32) ** 2 + (x % 64 - 32) ** 2 < 225,
    "stripes": lambda y, x: y % 18 < 6,
    "half": lambda y, x: x >= 128,
    "corner": lambda y, x: y + x < 24,
    "frame": lambda y, x: (y < 12) | (y > 243) | (x < 12) | (x > 243),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_undeclared_zeros_are_said_once(tmp_path, caplog, mask, dtype):
    hidden = MASKS[mask](*np.indices((256, 256)))
    values = np.where(hidden, 0, ground((256, 256))).astype(dtype)
    files = [write(tmp_path / f"a_{day}.tif", values) for day in DAYS]
    with caplog.at_level(logging.WARNING):
        stack = open_stack(files)
    assert len(notices(caplog)) == 1
    assert "a_20200101.tif and 1 more" in notices(caplog)[0]
    assert "nodata=0" in stack.attrs["undeclared_zeros"]
    caplog.clear()
    if mask != "disks":  # none lies in a corner, an edge or the middle
        xr.testing.assert_identical(open_stack(files, chunks=100).compute(), stack)
        assert len(notices(caplog)) == 1
    caplog.clear()
    declared = [write(tmp_path / f"b_{day}.tif", values, nodata=0) for day in DAYS]
    for chunks in (None, 100):
        for other in (open_stack(files, nodata=0, chunks=chunks), open_stack(declared, chunks=chunks)):
            assert "undeclared_zeros" not in other.attrs
            np.testing.assert_array_equal(other.isnull()[0], hidden)
    assert notices(caplog) == []


def test_dark_pixels_are_no_areas(tmp_path, caplog):
    values = np.random.default_rng(1).integers(0, 4, (256, 256)).astype("u1")  # a quarter of them 0
    values[50:54, 60:200] = 0
    path = write(tmp_path / "a_20200101.tif", values)
    for chunks in (None, 64):
        assert "undeclared_zeros" not in open_stack(path, chunks=chunks).attrs
    assert notices(caplog) == []


@pytest.mark.parametrize("side", [4, 10, 11, 40])
def test_an_area_is_found_wherever_it_lies(side):
    for top, left in ((0, 0), (3, 7), (199 - side, 50), (200 - side, 200 - side)):
        values = np.ones((200, 200), "f4")
        values[top : top + side, left : left + side] = 0
        assert zeros.has_area(values) == (side >= 11)


def test_lazy_images_are_looked_at_in_a_few_small_windows(tmp_path, monkeypatch):
    files = [write(tmp_path / f"a_202001{k:02}.tif", ground((300, 400)), tiled=True) for k in range(1, 9)]
    windows = []
    read = rasterio.io.DatasetReader.read
    monkeypatch.setattr(
        rasterio.io.DatasetReader, "read", lambda self, *a, **k: windows.append(k["window"]) or read(self, *a, **k)
    )
    open_stack(files, chunks=100)
    assert len(windows) == 18
    assert {(each.height, each.width) for each in windows} == {(32, 32)}


def test_damaged_files_are_told_when_they_are_computed(tmp_path):
    path = Path(write(tmp_path / "a_20200101.tif", ground((300, 400))))
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(OSError, match="which it cannot"):
        open_stack(path)
    stack = open_stack(path, chunks=100)
    with pytest.raises(OSError, match="which it cannot"):
        stack.compute()


def test_the_notice_is_safe_in_netcdf(tmp_path):
    values = ground((100, 100))
    values[:, 50:] = 0
    stack = open_stack(write(tmp_path / "a_20200101.tif", values))
    stack[0].reset_coords(drop=True).to_dataset(name="image").to_netcdf(tmp_path / "out.nc", engine="scipy")
    assert xr.load_dataset(tmp_path / "out.nc").image.attrs == stack.attrs | {"grid_mapping": "spatial_ref"}
