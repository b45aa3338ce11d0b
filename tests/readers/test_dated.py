"""Files of several dates: GeoTIFFs whose bands are dates, and netCDF with an axis of time."""

import os
import pickle
import sys
from datetime import datetime
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.enums import ColorInterp

import xoffset
from xoffset import open_stack
from xoffset.model import grids
from xoffset.readers import dates
from xoffset.readers.stored import Stored

UTM = "EPSG:32632"
PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)
SHAPE = (30, 40)


def values(count=3, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(1, 200, (count, *SHAPE)).astype(dtype)


def write(path, bands, descriptions=(), tags=(), **profile):
    profile = {"crs": UTM, "transform": PLACE, "height": SHAPE[0], "width": SHAPE[1]} | profile
    with rasterio.open(path, "w", driver="GTiff", count=len(bands), dtype=bands.dtype.name, **profile) as file:
        file.write(bands)
        for number, description in enumerate(descriptions, start=1):
            file.set_band_description(number, description)
        for number, (domain, named) in enumerate(tags, start=1):
            file.update_tags(number, ns=domain, **named)
    return str(path)


# --------------------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-07-17", "2020-07-17"),
        ("2020-07-17T10:30:00Z", "2020-07-17T10:30"),
        ("2020-07-17 10:30:12.5", "2020-07-17T10:30:12.5"),
        ("2020-07-17T12:30:00+02:00", "2020-07-17T10:30"),
        ("20200717", "2020-07-17"),
        ("20200717T103012", "2020-07-17T10:30:12"),
        ("B04_20200717", "2020-07-17"),
        ("ndvi 2020_07_17", "2020-07-17"),
        ("20200717T103031_20200717T103211_T31TGK_B4", "2020-07-17T10:30:31"),
        ("LC08_192026_20200717_B4", "2020-07-17"),
        ("S2A_MSIL2A_20200717T103031_N0214_R108_T31TGK_20200717T134235", "2020-07-17T10:30:31"),
        ("2020-07-17T10:30/2020-08-17T10:30", None),
        ("2020-07-17_2020-08-17", None),
        ("20200717T103012_20200717T110000", None),
        ("2020-07-17T10:30 of 2020-08-17", None),
        ("2020-13-17", None),
        ("17.07.2020", None),
        ("red", None),
        ("2020", None),
        ("", None),
    ],
)
def test_dates_of_descriptions(text, date):
    assert dates.of_text(text) == (None if date is None else np.datetime64(date, "us"))


# ------------------------------------------------------------------------------------------------------------- GeoTIFF


@pytest.mark.parametrize("chunks", [None, 16])
def test_bands_are_dates(tmp_path, chunks):
    bands = values()
    path = write(tmp_path / "cube.tif", bands, ["B04_20200717", "2020-06-01T10:30:00Z", "20200901"], nodata=7)
    stack = open_stack(path, chunks=chunks)
    order = [1, 0, 2]
    np.testing.assert_array_equal(stack, np.where(bands[order] == 7, np.nan, bands[order]))
    assert stack.dtype == np.float32
    assert list(stack.scene.values) == ["2020-06-01T10:30:00Z", "B04_20200717", "20200901"]
    np.testing.assert_array_equal(
        stack.time, np.array(["2020-06-01T10:30", "2020-07-17", "2020-09-01"], dtype="datetime64[us]")
    )


@pytest.mark.parametrize(
    "tags",
    [
        [(None, {"TIMESTAMP": "2020-07-17T10:00:00Z"}), (None, {"timestamp": "2020-07-18"})],
        [("IMAGERY", {"ACQUISITIONDATETIME": "2020-07-17T10:00:00Z"}), (None, {"DATE": "2020-07-18"})],
    ],
)
def test_tags_of_bands_are_dates(tmp_path, tags):
    stack = open_stack(write(tmp_path / "cube.tif", values(2), tags=tags))
    assert list(stack.time.values.astype(str)) == ["2020-07-17T10:00:00.000000", "2020-07-18T00:00:00.000000"]
    assert list(stack.scene.values) == ["cube_1", "cube_2"]


def test_tags_add_the_time_of_day(tmp_path):
    tags = [(None, {"TIMESTAMP": "2020-07-17T10:00:00Z"}), (None, {})]
    stack = open_stack(write(tmp_path / "cube.tif", values(2), ["2020-07-17", "2020-08-17"], tags))
    assert stack.time.values[0] == np.datetime64("2020-07-17T10:00")


def test_alpha_is_no_date(tmp_path):
    bands = values(3, "uint8")
    bands[2] = np.where(bands[0] > 100, 255, 0)
    path = write(tmp_path / "cube.tif", bands, ["2020-07-17", "2020-08-17", "alpha"])
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
    stack = open_stack(path)
    assert stack.sizes["time"] == 2
    np.testing.assert_array_equal(np.isnan(stack), np.broadcast_to(bands[2] == 0, stack.shape))


def test_files_of_several_dates_join(tmp_path):
    paths = [
        write(tmp_path / "a.tif", values(2), ["2020-07-17", "2020-08-17"]),
        write(tmp_path / "b.tif", values(1, seed=1), ["2020-06-01"]),  # its name tells none
        write(tmp_path / "c_20210101.tif", values(1, seed=2)),
    ]
    stack = open_stack(paths)
    assert list(stack.scene.values) == ["2020-06-01", "2020-07-17", "2020-08-17", "c_20210101"]
    np.testing.assert_array_equal(stack[[0, 3]], [values(1, seed=1)[0], values(1, seed=2)[0]])


def test_given_dates_one_a_band(tmp_path):
    bands = values()
    path = write(tmp_path / "cube.tif", bands, ["2019-07-17", "x", "y"])
    stack = open_stack(path, date=["2020-03-01", "2020-01-01", "2020-02-01"])
    np.testing.assert_array_equal(stack, bands[[1, 2, 0]])
    other = write(tmp_path / "other.tif", values(1))
    assert open_stack([path, other], date=[f"2020-0{k}-01" for k in range(1, 5)]).sizes["time"] == 4
    assert open_stack([path, other], date=(f"2020-0{k}-01" for k in range(1, 5))).sizes["time"] == 4


def test_a_band_is_one_date(tmp_path):
    bands = values()
    path = write(tmp_path / "cube_20200101.tif", bands, ["2020-07-17", "2020-08-17", "2020-09-17"])
    stack = open_stack(path, band=2)
    np.testing.assert_array_equal(stack, bands[1:2])
    assert stack.time.values[0] == np.datetime64("2020-01-01")


@pytest.mark.parametrize(
    ("descriptions", "options", "told"),
    [
        (["2020-07-17", "dem"], {}, r"band 1 \('2020-07-17'\) tells one and band 2 \('dem'\) does not.*Pass band="),
        (["B02_20200717", "B03_20200717"], {}, "got 2020-07-17.* from bands 1 and 2 of cube.tif.*pass band="),
        (["red", "blue"], {}, r"needs one band; cube.tif has bands 1 \(red\), 2 \(blue\).*or dates if each"),
        (["2020-07-17/2020-08-17", "2020-07-17/2020-09-17"], {}, "needs one band"),
        (["red", "blue"], {"date": ["2020-01-01"]}, "needs one band"),
        (["red", "blue"], {"date": ["2020-01-01"] * 3}, "got 3 dates for 2 images"),
        (["red", "blue"], {"date": ["2020-01-01"] * 2}, "every date once; got 2020-01-01.* from both red of cube.tif"),
        (["red", "blue"], {"date": ["2020-01-01", "1.2.2020"]}, "date in ISO 8601"),
    ],
)
def test_ambiguous_bands_are_refused(tmp_path, descriptions, options, told):
    path = write(tmp_path / "cube.tif", values(2), descriptions)
    with pytest.raises(ValueError, match=told):
        open_stack(path, **options)


def test_descriptions_and_tags_must_agree(tmp_path):
    tags = [(None, {"TIMESTAMP": "2020-07-18T10:00:00Z"}), (None, {})]
    path = write(tmp_path / "cube.tif", values(2), ["2020-07-17", "2020-08-17"], tags)
    with pytest.raises(ValueError, match=r"description and the tags of band 1 of cube.tif tell 2020-07-17.*2020-07-18"):
        open_stack(path)


def test_pairs_that_were_written_are_no_stack(tmp_path):
    stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    shifts = stack.offset.correlate(stack.offset.pairs(), template=16, search=4, step=8)
    shifts.offset.to_geotiff(tmp_path)
    with pytest.raises(ValueError, match=r"needs one band; dx.tif has bands"):
        open_stack(tmp_path / "dx.tif")


def test_bands_that_gdal_copied_from_netcdf(tmp_path):
    data = with_crs(cube(dtype="float64"))
    data.time.encoding = {"units": "hours since 2019-12-31T12:00", "dtype": "float64"}
    save(data, tmp_path / "cube.nc", format="NETCDF4")
    with rasterio.open(f'NETCDF:"{tmp_path / "cube.nc"}":ndvi') as file:
        rasterio.shutil.copy(file, tmp_path / "copy.tif", driver="GTiff")
    stack = open_stack(tmp_path / "copy.tif")
    np.testing.assert_array_equal(stack.time, data.time)
    np.testing.assert_array_equal(stack, data.ndvi)


# -------------------------------------------------------------------------------------------------------------- netCDF


def cube(count=3, dtype="float32", **attrs):
    """Images (time, y, x) as others write them, and their axes."""
    height, width = SHAPE
    time = np.array([f"2020-0{k + 1}-17T10:30" for k in range(count)], dtype="datetime64[ns]")
    coords = {
        "time": ("time", time, {"standard_name": "time"}),
        "y": ("y", 5e6 - 10.0 * np.arange(height) - 5, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", 5e5 + 10.0 * np.arange(width) + 5, {"units": "m", "standard_name": "projection_x_coordinate"}),
    }
    return xr.Dataset({"ndvi": (("time", "y", "x"), values(count, dtype), attrs)}, coords=coords)


def with_crs(data, name="crs"):
    import pyproj

    data["ndvi"].attrs["grid_mapping"] = name
    return data.assign({name: ((), 0, pyproj.CRS(UTM).to_cf())})


def save(data, path, **options):
    data.to_netcdf(path, **({"engine": "h5netcdf"} | options))
    return str(path)


@pytest.fixture(autouse=True)
def needs_h5netcdf():
    pytest.importorskip("h5netcdf")


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("order", [("time", "y", "x"), ("y", "x", "time"), ("x", "y", "time")])
@pytest.mark.parametrize("is_northward", [False, True])
def test_a_cube_is_a_stack(tmp_path, engine, order, is_northward):
    data = with_crs(cube(dtype="float64"))
    data = data.isel(y=slice(None, None, -1)) if is_northward else data
    path = save(data.transpose(*order), tmp_path / "cube.nc", engine=engine)
    stack = open_stack(path, band="ndvi")
    np.testing.assert_array_equal(stack, data.ndvi)
    np.testing.assert_array_equal(stack.y, data.y)
    np.testing.assert_array_equal(stack.x, data.x)
    np.testing.assert_array_equal(stack.time, data.time)
    assert grids.crs_of(stack).to_epsg() == 32632
    assert stack.dtype == np.float64
    lazy = open_stack(path, chunks={"y": 7, "x": 9})
    xr.testing.assert_identical(lazy.compute(), open_stack(path))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy))[1:, 3:9, 4:20], stack[1:, 3:9, 4:20])


@pytest.mark.parametrize(
    ("names", "attrs"),
    [
        ({"x": "easting", "y": "northing"}, {}),
        ({"x": "cols", "y": "rows"}, {"cols": {"axis": "X", "units": "m"}, "rows": {"axis": "Y", "units": "m"}}),
        ({"x": "a", "y": "b", "time": "when"}, {
            "a": {"standard_name": "projection_x_coordinate", "units": "m"},
            "b": {"standard_name": "projection_y_coordinate", "units": "m"},
        }),
    ],
)  # fmt: skip
def test_other_names_of_axes(tmp_path, names, attrs):
    data = with_crs(cube(), "somewhere").rename(names)
    for name in names.values():
        data[name].attrs = attrs.get(name, {})
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    np.testing.assert_array_equal(stack, data.ndvi)
    np.testing.assert_array_equal(stack.x, data[names["x"]])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_numbers_stay_exact(tmp_path, dtype):
    data = cube(dtype=dtype)
    if dtype != "bool":
        data.ndvi[0, 0, :2] = [np.iinfo(dtype).max, np.iinfo(dtype).max - 1] if dtype[0] != "f" else [16777217, 0.1]
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    np.testing.assert_array_equal(stack, data.ndvi)
    assert stack.dtype == ("float64" if dtype in ("int32", "float64") else "float32")


def test_packed_values_are_decoded(tmp_path):
    packed = values(dtype="int16")
    packed[0, 0, :6] = [-999, -32768, 1000, 1001, 0, -1]
    attrs = {"scale_factor": 0.25, "add_offset": -10.0, "_FillValue": np.int16(-999), "missing_value": np.int16(-32768),
             "valid_range": np.array([0, 1000], dtype="int16")}  # fmt: skip
    data = cube()
    data["ndvi"] = (("time", "y", "x"), packed)
    data.ndvi.encoding["_FillValue"] = None
    data.ndvi.attrs = attrs
    path = save(data, tmp_path / "cube.nc")
    expected = packed * 0.25 - 10.0
    expected[0, 0, [0, 1, 3, 5]] = np.nan
    np.testing.assert_array_equal(open_stack(path), expected)
    assert open_stack(path).dtype == np.float32
    given = open_stack(path, nodata=0)
    assert np.isnan(given[0, 0, 4])


def test_a_valid_range_of_decoded_values(tmp_path):
    data = cube(dtype="int16")
    data.ndvi.attrs = {"scale_factor": 0.5, "valid_max": 50.0}
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    expected = data.ndvi.values * 0.5
    np.testing.assert_array_equal(stack, np.where(expected > 50, np.nan, expected))


def test_unsigned_bytes(tmp_path):
    data = cube(dtype="int8")
    data.ndvi[0, 0, :3] = [-1, -2, 5]
    data.ndvi.attrs = {"_Unsigned": "true", "_FillValue": np.int8(-1)}
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    np.testing.assert_array_equal(stack[0, 0, :3], [np.nan, 254, 5])


def test_what_netcdf_never_wrote_is_missing(tmp_path):
    data = cube()
    data.ndvi[1] = np.float32(9.969209968386869e36)
    data.ndvi.encoding["_FillValue"] = None
    assert open_stack(save(data, tmp_path / "cube.nc"))[1].isnull().all()


def test_several_variables_need_a_band(tmp_path):
    data = cube()
    data["cloud"] = data.ndvi > 100
    data["cloud"] = data["cloud"].astype("uint8")
    data["dem"] = data.ndvi[0].drop_vars("time")
    path = save(data, tmp_path / "cube.nc")
    with pytest.raises(ValueError, match=r"needs one band; cube.nc holds ndvi, cloud. Pass band='ndvi'"):
        open_stack(path)
    with pytest.raises(ValueError, match=r"got 'dem', which has no dates. Choose of: ndvi, cloud"):
        open_stack(path, band="dem")
    with pytest.raises(ValueError, match="got 'red', which is not there"):
        open_stack(path, band="red")
    np.testing.assert_array_equal(open_stack(path, band="cloud"), data.cloud)
    np.testing.assert_array_equal(open_stack([f"NETCDF:{path}:cloud"]), data.cloud)


def test_an_axis_of_one(tmp_path):
    data = cube().expand_dims(band=[1], axis=1)
    np.testing.assert_array_equal(open_stack(save(data, tmp_path / "cube.nc")), data.ndvi[:, 0])
    data = cube(1)
    np.testing.assert_array_equal(open_stack(save(data, tmp_path / "one.nc")).time, data.time)


def test_files_with_one_date_each_join(tmp_path):
    data = cube()
    for k in range(3):
        save(data.isel(time=[2 - k]), tmp_path / f"part_{k}.nc")
    stack = open_stack(tmp_path / "*.nc")
    np.testing.assert_array_equal(stack, data.ndvi)
    assert list(stack.scene.values) == ["part_2_1", "part_1_1", "part_0_1"]


def test_saved_stacks_join(tmp_path):
    data = cube()
    first = open_stack(save(data, tmp_path / "cube.nc")).assign_coords(platform=("time", ["S2A", "S2B", "S2A"]))
    first[:2].to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    first[2:].to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    stack = open_stack([tmp_path / "a.nc", tmp_path / "b.nc"])
    np.testing.assert_array_equal(stack, first)
    assert list(stack.platform.values) == ["S2A", "S2B", "S2A"]
    assert list(stack.scene.values) == list(first.scene.values)


@pytest.mark.parametrize(("unit", "scale"), [("km", 1e-3), ("US_survey_foot", 3937 / 1200)])
def test_coordinates_in_other_lengths(tmp_path, unit, scale):
    data = cube()
    for name in "xy":
        data[name] = (name, data[name].values * scale, {"units": unit})
    np.testing.assert_allclose(open_stack(save(data, tmp_path / "cube.nc")).x, cube().x)


def test_coordinates_without_a_unit_need_the_pixel_size(tmp_path):
    data = cube()
    for name in "xy":
        data[name].attrs = {}
    path = save(data, tmp_path / "cube.nc")
    with pytest.raises(ValueError, match=r"what coordinates count; got 'ndvi' of cube.nc .* 10 and -10.*pixel_size=10"):
        open_stack(path)
    with pytest.raises(ValueError, match="steps of 10 and -10 for pixel_size=20"):
        open_stack(path, pixel_size=20)
    np.testing.assert_array_equal(open_stack(path, pixel_size=10).x, data.x)
    with pytest.raises(ValueError, match="pixel_size= only for images without georeference"):
        open_stack(save(cube(), tmp_path / "other.nc"), pixel_size=10)


def in_degrees(data):
    return data.assign_coords(x=data.x.values * 1e-6, y=data.y.values * 1e-6).rename(x="lon", y="lat")


def changed(name, **attrs):
    def change(data):
        data[name].attrs |= attrs
        return data

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.expand_dims(band=2, axis=1), r"variables \(time, y, x\); got 'ndvi' of .*isel\(band=0"),
        (in_degrees, r"on a grid in metres; got 'ndvi' of cube.nc on 'lat' and 'lon' in degrees.*rio.reproject"),
        (changed("x", units="degrees", standard_name=""), "in degrees"),
        (lambda data: data.drop_vars("x"), "pixel centres as coordinates; got 'ndvi' of cube.nc without those of 'x'"),
        (lambda data: data.drop_vars(["x", "y"]).rename(x="a", y="b"), "which axis is x and which is y"),
        (lambda data: data.isel(x=[0, 1, 3, 4]), "even steps; got 'x' of 'ndvi' of cube.nc"),
        (lambda data: data.isel(x=[0]), "even steps; got 'x'"),
        (lambda data: data.isel(x=slice(None, None, -1)), "columns from west to east"),
        (changed("x", units="furlong"), "needs 'x' in m; got units 'furlong'"),
        (lambda data: data.isel(time=[0, 1, 1]), "every date once; got 2020-02-17T10:30:00.000000 from both cube_2"),
        (lambda data: data.drop_vars("time"), "needs dates; got 'ndvi' of cube.nc with the axis 'time' and no coord"),
        (lambda data: data.assign_coords(time=[20200101, 20200201, 20200301]), "need no guess; got 'time'.*date="),
        (lambda data: data.convert_calendar("noleap"), "calendar; got 'time'.*'noleap'.*convert_calendar.'standard'"),
        (lambda data: data.convert_calendar("360_day", align_on="date"), "'360_day'.*align_on='date'"),
        (lambda data: data.assign_coords(time=[*data.time.values[:2], np.datetime64("NaT")]), "1 of 'ndvi'"),
        (changed("ndvi", grid_mapping="crs"), "CRS that a file names; got grid_mapping 'crs'"),
        (changed("ndvi", scale_factor="big"), "finite number as scale_factor of 'ndvi' of cube.nc; got 'big'"),
        (changed("ndvi", scale_factor=0.0), "finite number as scale_factor"),
        (lambda data: data.assign_attrs(crs="EPSG:4326"), "geographic CRS"),
        (lambda data: data.assign_attrs(crs="EPSG:3857"), "Web Mercator"),
    ],
)  # fmt: skip
def test_bad_cubes_are_refused(tmp_path, change, told):
    data = change(cube())
    for each in data.variables.values():
        each.encoding.pop("_FillValue", None)
    path = save(data, tmp_path / "cube.nc")
    with pytest.raises(ValueError, match=told):
        open_stack(path)


def test_dates_of_a_cube_as_texts(tmp_path):
    data = cube().assign_coords(time=["2020-01-17", "2020-02-17T10:30Z", "20200317"])
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    assert stack.time.values[1] == np.datetime64("2020-02-17T10:30")
    data = cube().assign_coords(time=["2020-01-17", "2020-02-17", "17.3.2020"])
    with pytest.raises(ValueError, match=r"date in ISO 8601 as each 'time' of 'ndvi' of bad.nc"):
        open_stack(save(data, tmp_path / "bad.nc"))


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_dates_beside_the_axis_of_numbered_images(tmp_path, engine):
    data = cube().rename_dims(time="scene").reset_index("time").assign_coords(scene=[5, 6, 7])
    data = data.assign_coords(line=("y", 0.1 * np.arange(SHAPE[0]), {"units": "seconds since 2020-01-01"}))
    stack = open_stack(save(data, tmp_path / "cube.nc", engine=engine))
    np.testing.assert_array_equal(stack.time, data.time)
    np.testing.assert_array_equal(stack, data.ndvi)
    # of two the one that is called so counts, and none of them where nothing tells
    other = data.assign_coords(made=("scene", data.time.values + np.timedelta64(9, "D")))
    np.testing.assert_array_equal(open_stack(save(other, tmp_path / "two.nc", engine=engine)).time, data.time)
    other = other.rename(time="seen")
    del other.seen.attrs["standard_name"]
    with pytest.raises(ValueError, match=r"needs one band; three\.nc has bands"):
        open_stack(save(other, tmp_path / "three.nc", engine=engine))


def test_dates_of_a_classic_file_as_letters(tmp_path):
    data = cube().assign_coords(time=np.array(["2020-01-17", "2020-02-17T10:30", "20200317"], dtype="S"))
    stack = open_stack(save(data, tmp_path / "cube.nc", engine="scipy"))
    assert stack.time.values[1:].tolist() == [datetime(2020, 2, 17, 10, 30), datetime(2020, 3, 17)]


@pytest.mark.parametrize("units", ["milliseconds since 2020-01-01", "microseconds since 1970-01-01"])
def test_values_out_of_range_do_not_count_whatever_the_unit_of_time(tmp_path, units):
    data = with_crs(cube(dtype="int16", valid_range=np.array([3, 900], dtype="int16")))
    data.ndvi[:] = np.arange(data.ndvi.size).reshape(data.ndvi.shape)
    data.time.encoding = {"units": units, "dtype": "int64"}
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    np.testing.assert_array_equal(stack, data.ndvi.where((data.ndvi >= 3) & (data.ndvi <= 900)))
    assert stack.dtype == np.float32


@pytest.mark.parametrize(
    ("units", "stored"),
    [
        ("days since 2020-01-01", [0.5, 31.25, 60]),
        ("hours since 2020-01-01 00:00:00", [12, 750, 1440]),
        ("seconds since 1970-01-01T00:00:00Z", [1577880000, 1580536800, 1583020800]),
        ("hours since 2020-01-01 02:00:00 +02:00", [12, 750, 1440]),
    ],
)
def test_times_of_cf(tmp_path, units, stored):
    data = cube().assign_coords(time=("time", stored, {"units": units}))
    stack = open_stack(save(data, tmp_path / "cube.nc"))
    assert list(stack.time.values.astype("datetime64[m]").astype(str)) == [
        "2020-01-01T12:00", "2020-02-01T06:00", "2020-03-01T00:00",
    ]  # fmt: skip


def test_given_dates_of_a_cube(tmp_path):
    data = cube().drop_vars("time")
    stack = open_stack(save(data, tmp_path / "cube.nc"), date=["2020-03-01", "2020-01-01", "2020-02-01"])
    np.testing.assert_array_equal(stack, data.ndvi[[1, 2, 0]])
    with pytest.raises(ValueError, match=r"got 2 dates for 3 images in 1 files, from cube.nc on"):
        open_stack(tmp_path / "cube.nc", date=["2020-03-01", "2020-01-01"])


def test_a_cube_without_the_extra(tmp_path, monkeypatch):
    path = save(with_crs(cube()), tmp_path / "cube.nc")
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(ImportError, match=r"h5netcdf and h5py to read the dates of .*pip install 'xoffset\[netcdf\]'"):
        open_stack(path)


def test_a_cube_that_changed_is_refused(tmp_path):
    path = save(cube(), tmp_path / "cube.nc")
    stack = open_stack(path, chunks=20)
    os.utime(path, (1, 1))
    with pytest.raises(OSError, match=r"cube.nc has changed since"):
        stack.compute()


def test_a_damaged_cube_is_refused(tmp_path):
    data = cube(dtype="uint16")
    path = save(data, tmp_path / "cube.nc", encoding={"ndvi": {"zlib": True, "chunksizes": (1, 30, 40)}})
    content = Path(path).read_bytes()
    import h5py

    with h5py.File(path) as file:
        start = file["ndvi"].id.get_chunk_info(1).byte_offset
    Path(path).write_bytes(content[: start + 10] + bytes(40) + content[start + 50 :])
    with pytest.raises(OSError, match=r"for 'ndvi' in chunk 1/0/0 .* of .*cube.nc. The file is damaged"):
        open_stack(path)


@pytest.mark.parametrize("chunks", [None, -1])
def test_chunks_of_many_dates_are_decoded_once(tmp_path, monkeypatch, chunks):
    data = cube(3, "int16").transpose("y", "time", "x")
    path = save(data, tmp_path / "cube.nc", encoding={"ndvi": {"zlib": True, "chunksizes": (10, 2, 40)}})
    reads, raw = [], Stored.raw
    monkeypatch.setattr(Stored, "raw", lambda self, key=...: reads.append(key) or raw(self, key))
    stack = open_stack(path, chunks=chunks)
    with dask.config.set(scheduler="sync"):
        np.testing.assert_array_equal(stack, data.ndvi.transpose("time", "y", "x"))
    assert len(reads) == 2  # of the first two dates, and of the third


@pytest.mark.data
@pytest.mark.parametrize("band", ["ndvi", "scl"])
def test_sixty_eight_dates_of_slovenia(data_folder, band):
    path = data_folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc"
    stack = open_stack(path, band=band)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        np.testing.assert_array_equal(stack, found[band])
        np.testing.assert_array_equal(stack.time, found.time)
        np.testing.assert_allclose(stack.x, found.x, rtol=0, atol=1e-6)
        np.testing.assert_allclose(stack.y, found.y, rtol=0, atol=1e-6)
    assert grids.crs_of(stack).to_epsg() == 32633
    twice = stack.sel(time="2015-12-08")  # two times of day
    assert list(twice.time.dt.minute.values) == [4, 11]
    lazy = open_stack(path, band=band, chunks=30, bbox=(465_300, 5_079_500, 465_800, 5_080_000))
    np.testing.assert_array_equal(lazy, stack.sel(x=lazy.x, y=lazy.y))
