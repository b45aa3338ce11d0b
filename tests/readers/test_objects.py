"""Arrays, datasets and trees of other loaders as they come: of odc-stac, stackstac, rioxarray and xarray-eopf."""

import datetime as dt
from types import SimpleNamespace

import dask
import eopf_products as made
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset.model.grids import crs_of, spatial_ref
from xoffset.readers.open_stack import open_stack

SHAPE = (2, 40, 50)
X, Y = 500_005.0 + 10 * np.arange(50), 3_999_995.0 - 10 * np.arange(40)
TIMES = np.array(["2020-01-01T10:00", "2020-01-02T10:00"], "M8[ns]")


def numbers(seed=0, dtype="uint16"):
    values = np.random.default_rng(seed).integers(1, 4000, SHAPE).astype(dtype)
    values[:, :3, :4] = 0
    return values


def as_floats(values, dtype=np.float32):
    return np.where(values == 0, np.nan, values).astype(dtype)


def of_odc(chunks=None, **options):
    """What odc.stac.load() of odc-stac 0.5.3 makes of two items with one band."""
    data = xr.DataArray(numbers(), dims=("time", "y", "x"), coords={"y": Y, "x": X, "time": TIMES}, attrs={"nodata": 0})
    data = data.assign_coords(spatial_ref=spatial_ref(pyproj.CRS(32632)).copy(data=np.int32(32632)))
    data.encoding["grid_mapping"] = "spatial_ref"
    dataset = xr.Dataset({"red": data, "nir": data + 1}).assign(options)
    dataset["nir"].attrs = dict(data.attrs)
    return dataset if chunks is None else dataset.chunk(chunks)


def of_stackstac(xy_coords="topleft", **changes):
    """What stackstac.stack() of stackstac 0.5.1 makes of two items with one asset, rescaled."""
    shift = {"topleft": (-5.0, 5.0), "center": (0.0, 0.0)}[xy_coords]
    coords = {
        "time": TIMES, "id": ("time", ["S2A_0", "S2A_1"]), "band": ["red"], "x": X + shift[0], "y": Y + shift[1],
        "view:sun_azimuth": ("time", [150.0, 151.0]), "view:sun_elevation": 40.0, "s2:mgrs_tile": "32TPS",
        "sat:relative_orbit": 22, "earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.00",
        "platform": "sentinel-2a", "proj:epsg": 32632, "proj:code": "EPSG:32632", "common_name": "red", "epsg": 32632,
    }  # fmt: skip
    values = np.where(numbers() == 0, np.nan, numbers() * 0.0001 - 0.1)[:, None]
    data = xr.DataArray(
        values, dims=("time", "band", "y", "x"), coords=coords, name="stackstac-57a080b506a925210848c60efc88f954"
    )
    center_wavelength = xr.DataArray(np.array(None, dtype=object))
    data = data.assign_coords(center_wavelength=center_wavelength)
    spec = SimpleNamespace(epsg=32632, bounds=(500_000.0, 3_999_600.0, 500_500.0, 4_000_000.0), resolutions_xy=(10, 10))
    transform = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
    return data.assign_attrs({"spec": spec, "crs": "epsg:32632", "transform": transform, "resolution": 10.0} | changes)


# ------------------------------------------------------------------------------------------------------------- odc-stac


def test_a_dataset_of_odc_stac():
    stack = open_stack(of_odc(), band="red")
    np.testing.assert_array_equal(stack, as_floats(numbers()))
    assert (stack.dtype, stack.name, stack.dims) == (np.float32, "image", ("time", "y", "x"))
    np.testing.assert_array_equal(stack.time.values, TIMES.astype("M8[us]"))
    assert stack.time.dtype == "M8[us]"
    assert crs_of(stack).to_epsg() == 32632
    np.testing.assert_array_equal(stack.x, X)
    np.testing.assert_array_equal(open_stack(of_odc(), band="NIR"), as_floats(numbers() + 1) - 0)
    np.testing.assert_array_equal(open_stack(of_odc()[["red"]]), stack)
    np.testing.assert_array_equal(open_stack(of_odc().red), stack)
    np.testing.assert_array_equal(open_stack(of_odc().to_dataarray("band").astype("uint16"), band="red"), numbers())


def test_lazy_in_lazy_out():
    def refuse(*arguments, **options):
        raise AssertionError("computed")

    lazy = of_odc({"time": 1, "y": 20, "x": 25})
    with dask.config.set(scheduler=refuse):
        stack = open_stack(lazy, band="red")
        merged = open_stack(lazy, band="red", chunks={"y": -1, "x": 10})
    assert stack.chunks == ((1, 1), (20, 20), (25, 25))
    assert merged.chunks == ((1, 1), (40,), (10,) * 5)
    whole = open_stack(of_odc(), band="red")
    for each in (stack, merged):
        xr.testing.assert_identical(each.compute(), whole)
    with pytest.raises(ValueError, match="no chunks="):
        open_stack(of_odc(), band="red", chunks=10)


def test_a_stack_is_usable_and_saved(tmp_path):
    stack = open_stack(of_odc(), band="red")
    assert xoffset.pairs(stack).sizes["pair"] == 1
    stack.to_zarr(tmp_path / "a.zarr", consolidated=False)
    xr.testing.assert_identical(open_stack(tmp_path / "a.zarr"), stack)
    # what was a stack already stays one, with what it tells
    again = open_stack(stack.assign_coords(platform=("time", ["S2A", "S2B"]), scene=("time", ["a", "b"])))
    assert again.platform.values.tolist() == ["S2A", "S2B"]
    assert again.scene.values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(again, stack)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("uint8", "f4"), ("int16", "f4"), ("int32", "f8"), ("uint32", "f8"), ("f4", "f4"), ("f8", "f8")],
)
def test_types(dtype, wanted):
    values = numbers(dtype="uint8").astype(dtype)
    data = of_odc().red.copy(data=values).assign_attrs(nodata=0)
    stack = open_stack(data)
    assert stack.dtype == wanted
    np.testing.assert_array_equal(stack, as_floats(values, wanted))
    other = open_stack(data, nodata=int(values.max()))  # in place of the one declared
    np.testing.assert_array_equal(np.isnan(other), values == values.max())


def test_times_out_of_order_are_sorted():
    data = of_odc().red.isel(time=[1, 0]).assign_coords(id=("time", ["b", "a"]))
    stack = open_stack(data)
    np.testing.assert_array_equal(stack, as_floats(numbers()))
    assert stack.scene.values.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "times",
    [
        TIMES.astype("M8[us]"), TIMES.astype("M8[s]"), pd.DatetimeIndex(TIMES).tz_localize("UTC"),
        pd.DatetimeIndex(TIMES + np.timedelta64(2, "h")).tz_localize("Etc/GMT-2"),
        np.array([dt.datetime(2020, 1, day, 10, tzinfo=dt.UTC) for day in (1, 2)], dtype=object),
        np.array(["2020-01-01T10:00:00Z", "2020-01-02T10:00:00Z"], dtype=object),
    ],
)  # fmt: skip
def test_times_of_any_kind_are_utc(times):
    stack = open_stack(of_odc().red.drop_vars("time").assign_coords(time=("time", times)))
    np.testing.assert_array_equal(stack.time.values, TIMES.astype("M8[us]"))


# ------------------------------------------------------------------------------------------------------------ stackstac


@pytest.mark.parametrize("xy_coords", ["topleft", "center"])
def test_stackstac_gives_corners_which_are_put_right(xy_coords):
    data = of_stackstac(xy_coords)
    for each in (data, data.sel(band="red"), data.isel(band=0, drop=True), data.chunk(y=20)):
        stack = open_stack(each)
        np.testing.assert_array_equal(stack.x, X)
        np.testing.assert_array_equal(stack.y, Y)
    part = open_stack(data.isel(x=slice(7, 20), y=slice(3, None)), band="red")
    np.testing.assert_array_equal(part.x, X[7:20])
    np.testing.assert_array_equal(part.y, Y[3:])


def test_what_stackstac_tells_of_the_dates():
    stack = open_stack(of_stackstac(), band="red")
    assert stack.dtype == np.float64
    np.testing.assert_array_equal(stack, of_stackstac().values[:, 0])  # scaled already, and not once more
    assert stack.platform.values.tolist() == ["S2A", "S2A"]
    assert stack.relative_orbit.values.tolist() == [22, 22]
    assert stack.tile.values.tolist() == ["32TPS"] * 2
    assert stack.scene.values.tolist() == ["S2A_0", "S2A_1"]
    assert stack.sun_azimuth.values.tolist() == [150.0, 151.0]
    assert stack.sun_elevation.values.tolist() == [40.0, 40.0]
    assert set(stack.geometry.values) == {"baseline 05.00 or alike, refinement unknown, DEM unknown"}
    # floats may be scaled or not: nobody says
    assert not {"radiometric_offset", "quantification"} & set(stack.coords)
    assert set(stack.coords) <= {
        "time", "y", "x", "spatial_ref", "platform", "relative_orbit", "tile", "scene", "sun_azimuth", "sun_elevation",
        "geometry",
    }  # fmt: skip


def test_offsets_that_are_told_are_not_applied():
    """Reflectance is (value + radiometric_offset) / quantification, where the loader tells either."""
    data = of_odc().red.assign_attrs(scale_factor=0.0001, add_offset=-0.1)
    stack = open_stack(data)
    np.testing.assert_array_equal(stack, as_floats(numbers()))
    np.testing.assert_allclose(stack.quantification, 10_000)
    np.testing.assert_allclose(stack.radiometric_offset, -1000)
    applied = open_stack(of_odc().red.assign_coords({"earthsearch:boa_offset_applied": ("time", [True, True])}))
    assert applied.radiometric_offset.values.tolist() == [0, 0]
    for values in ([True, False], [False, False]):  # what "false" means differs between catalogues
        coords = {"earthsearch:boa_offset_applied": ("time", values)}
        assert "radiometric_offset" not in open_stack(of_odc().red.assign_coords(coords)).coords


@pytest.mark.parametrize(
    ("coords", "name", "wanted"),
    [
        ({"platform": "landsat-8"}, "platform", "LC08"),
        ({"platform": "LANDSAT_7"}, "platform", "LE07"),
        ({"platform": "Sentinel-2B"}, "platform", "S2B"),
        ({"landsat:wrs_path": "063", "landsat:wrs_row": "018"}, "tile", "063018"),
        ({"landsat:wrs_path": "063"}, "relative_orbit", 63),
        ({"grid:code": "MGRS-1CAB"}, "tile", "01CAB"),
        ({"s2:product_uri": "S2A_X.SAFE", "id": "b"}, "scene", "S2A_X"),
        ({"s2:mean_solar_zenith": 30.0}, "sun_elevation", 60.0),
        ({"view:incidence_angle": 3.5}, "view_zenith", 3.5),
        ({"processing:level": "L2A"}, "level", "L2A"),
        ({"platform": ("time", ["sentinel-2a", None])}, "platform", None),
        ({"view:sun_azimuth": ("time", [1.0, np.nan])}, "sun_azimuth", None),
        ({"sat:relative_orbit": "descending"}, "relative_orbit", None),
        ({"processing:level": "L2"}, "level", None),
    ],
)
def test_names_of_stac(coords, name, wanted):
    stack = open_stack(of_odc().red.assign_coords(coords))
    assert (stack[name].values.tolist() if name in stack.coords else [None]) == [wanted] * (2 if wanted else 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.drop_attrs(), "without its transform"),
        (lambda data: data.coarsen(x=2, y=2).mean().assign_attrs(data.attrs), "does not fit its transform"),
        (lambda data: data.assign_coords(x=data.x + 2), "does not fit its transform"),
        (lambda data: data.drop_vars(["x", "y"]), "or its coordinates"),
    ],
)
def test_stackstac_without_knowing_its_centres_is_refused(change, words):
    with pytest.raises(ValueError, match=words) as caught:
        open_stack(change(of_stackstac()), band="red")
    assert "xy_coords='center'" in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ rioxarray


@pytest.fixture
def rasters(tmp_path):
    """Two rasters; their paths."""
    paths = []
    for k, values in enumerate(numbers()):
        path = tmp_path / f"T32TPS_2020010{k + 1}T100000_B04.tif"
        profile = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000), "nodata": 0}
        with rasterio.open(path, "w", width=50, height=40, count=2, dtype="uint16", driver="GTiff", **profile) as file:
            file.write(np.stack([values, values + 7]))
            file.descriptions = ("red", "nir")
        paths.append(path)
    return paths


@pytest.mark.parametrize("options", [{}, {"masked": True}, {"mask_and_scale": True}, {"chunks": {"x": 25}}])
def test_arrays_of_rioxarray(rasters, options):
    rioxarray = pytest.importorskip("rioxarray")
    arrays = [rioxarray.open_rasterio(path, **options) for path in rasters]
    for stack in (
        open_stack(arrays, band=1),
        open_stack(arrays, band="red"),
        open_stack(arrays[::-1], band=1, date=["2020-01-02T10:00", "2020-01-01T10:00"]),
        open_stack([each.sel(band=1) for each in arrays]),
        open_stack([each.squeeze("band", drop=True) for each in (array.sel(band=[1]) for array in arrays)]),
    ):
        np.testing.assert_array_equal(stack, as_floats(numbers()))
        np.testing.assert_array_equal(stack.time.values, TIMES.astype("M8[us]"))  # by the names of the files
        assert isinstance(stack.data, np.ndarray) != ("chunks" in options)
        assert not {"radiometric_offset", "quantification"} & set(stack.coords)
    with pytest.raises(ValueError, match=r"one band.* 1, 2 along 'band'"):
        open_stack(arrays)
    one = open_stack(arrays[0], band=1)
    assert one.shape == (1, *SHAPE[1:])
    for each in arrays:
        each.close()


def test_arrays_without_a_date():
    bare = of_odc().red.isel(time=0)
    assert open_stack(bare).time.values.tolist() == TIMES[:1].astype("M8[us]").tolist()  # it kept its own
    bare = bare.drop_vars("time")
    with pytest.raises(ValueError, match="a date for every image"):
        open_stack(bare)
    stack = open_stack([bare, bare], date=["2020-02-02", dt.date(2020, 2, 1)])
    assert stack.time.values.astype("M8[D]").astype(str).tolist() == ["2020-02-01", "2020-02-02"]
    with pytest.raises(ValueError, match="one date a file"):
        open_stack([bare, bare], date=["2020-02-02"])
    with pytest.raises(ValueError, match="no date="):
        open_stack(of_odc().red, date=["2020-02-02"])


# ---------------------------------------------------------------------------------------------------------- xarray-eopf


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_dataset_of_xarray_eopf(tmp_path, zarr_format):
    """xarray-eopf 0.3.1 joins the groups of a product, with its other metadata as attributes and no time."""
    path = made.write(tmp_path, zarr_format=zarr_format)
    wanted = open_stack(path, band="B04")
    with xr.open_datatree(path, engine="zarr") as tree:
        dataset = (
            tree["measurements/reflectance/r10m"].to_dataset(inherit=False).assign_attrs(tree.attrs["other_metadata"])
        )
        dataset = dataset.assign_coords(spatial_ref=spatial_ref(pyproj.CRS(made.EPSG)))
        for band in ("b04", "B04", "B4"):
            stack = open_stack(dataset, band=band)
            np.testing.assert_array_equal(stack, wanted)
            assert stack.dtype == np.float32
            assert stack.time.values[0] == wanted.time.values[0]
            assert stack.quantification.item() == 1
    # a group by itself, opened without decoding
    with xr.open_dataset(path, engine="zarr", group="measurements/reflectance/r10m", mask_and_scale=False) as dataset:
        dated = dataset.assign_coords(spatial_ref=spatial_ref(pyproj.CRS(made.EPSG))).expand_dims(time=TIMES[:1])
        np.testing.assert_array_equal(open_stack(dated, band="b04"), wanted)


def test_trees_that_are_no_products():
    tree = xr.DataTree.from_dict({"/a/b": of_odc()})
    np.testing.assert_array_equal(open_stack(tree, band="red"), as_floats(numbers()))
    with pytest.raises(ValueError, match=r"data in /a, /b.*to_dataset"):
        open_stack(xr.DataTree.from_dict({"/a": of_odc(), "/b": of_odc()}), band="red")
    with pytest.raises(ValueError, match="data in none"):
        open_stack(xr.DataTree())


# ------------------------------------------------------------------------------------------------------------ bad input


def without_crs(data):
    data = data.drop_vars("spatial_ref")
    data.encoding = {}
    return data


def in_zone_33(data):
    return data.assign_coords(spatial_ref=spatial_ref(pyproj.CRS(32633)))


def geographic(data, code=4326):
    names = {"x": "longitude", "y": "latitude"}
    places = {"longitude": 9 + np.arange(50) * 1e-4, "latitude": 46 - np.arange(40) * 1e-4}
    return data.rename(names).assign_coords(places | {"spatial_ref": spatial_ref(pyproj.CRS(code))})


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: geographic(of_odc()[["red"]]), ValueError, "EPSG:32632"),
        (lambda: geographic(of_odc()).red, ValueError, "EPSG:32632"),
        (lambda: xr.DataArray(numbers(), dims=("time", "lat", "lon")), ValueError, "Reproject|needs dims"),
        (lambda: of_odc().red.isel(time=[0, 0]).assign_coords(id=("time", ["a", "b"])), ValueError, "from a and b"),
        (lambda: [of_odc().red, of_odc().red], ValueError, "every date once"),
        (lambda: [of_odc().red, of_odc().red.isel(x=slice(3, None))], ValueError, "one grid"),
        (lambda: [of_odc().red, "a.tif"], TypeError, "a list of both"),
        (lambda: [of_odc().red, in_zone_33(of_odc().red)], ValueError, "one CRS"),
        (lambda: [of_odc().red, without_crs(of_odc().red)], ValueError, "one CRS"),
        (lambda: of_odc().red.astype(complex), TypeError, "real numbers"),
        (lambda: of_odc().red > 3, TypeError, "real numbers"),
        (lambda: of_odc().red.assign_coords(time=[1, 2]), TypeError, "datetime64"),
        (lambda: of_odc().red.assign_coords(time=TIMES[[0, 0]] + np.array([0, "NaT"], "m8[ns]")), ValueError, "NaT"),
        (lambda: of_odc().red.assign_coords(x=X + 3 * (X[5] == X)), ValueError, "evenly spaced"),
        (lambda: of_odc().red.drop_vars("x"), ValueError, "coordinates x and y"),
        (lambda: of_odc().red.isel(x=slice(0)), ValueError, "at least one"),
        (lambda: of_odc().red.rename(y="row"), ValueError, "needs dims"),
        (lambda: of_odc(), ValueError, "one band"),
        (lambda: of_odc()[[]], ValueError, "no images"),
        (lambda: of_odc().red.assign_attrs(nodata="none"), ValueError, "nodata"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        open_stack(make())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"align": "cubic"}, "align="), ({"pixel_size": 10.0}, "pixel_size="), ({"tile": "32TPS"}, "tile="),
        ({"band": "green"}, "band 'green'.*red, nir"), ({"bbox": (0, 0, 1, 1)}, "bbox"), ({"bbox": 3}, "bbox"),
    ],
)  # fmt: skip
def test_options_that_are_not_for_arrays(options, words):
    with pytest.raises(ValueError, match=words):
        open_stack(of_odc(), **{"band": "red"} | options)


def test_what_only_some_arrays_tell_is_left_out():
    later = of_odc().red.assign_coords(time=TIMES + np.timedelta64(9, "D"))
    both = [of_odc().red.assign_coords(platform="sentinel-2a"), later]
    stack = open_stack(both)
    assert stack.sizes["time"] == 4
    assert "platform" not in stack.coords
    both[1] = later.assign_coords(platform="sentinel-2b")
    assert open_stack(both).platform.values.tolist() == ["S2A", "S2A", "S2B", "S2B"]
    assert crs_of(stack).to_epsg() == 32632


def test_a_box():
    box = (500_100, 3_999_700, 500_200, 3_999_800)
    stack = open_stack(of_odc(), band="red", bbox=box)
    assert stack.shape == (2, 10, 10)
    np.testing.assert_array_equal(stack, open_stack(of_odc(), band="red").sel(x=slice(*box[::2]), y=slice(*box[:0:-2])))


# ----------------------------------------------------------------------------------------------------- the real loaders


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what odc-stac calls
def test_the_real_odc_stac(rasters):
    odc = pytest.importorskip("odc.stac", reason="the extra stac is not installed")
    import pystac

    items = []
    for k, path in enumerate(rasters):
        shape = {"type": "Polygon", "coordinates": [[[9, 36.1], [9.01, 36.1], [9.01, 36.2], [9, 36.2], [9, 36.1]]]}
        item = pystac.Item(
            f"S2A_{k}",
            shape,
            [9, 36.1, 9.01, 36.2],
            dt.datetime(2020, 1, 1 + k, 10, tzinfo=dt.UTC),
            {"proj:code": "EPSG:32632"},
        )
        place = {"proj:shape": [40, 50], "proj:transform": [10, 0, 500_000, 0, -10, 4_000_000]}
        place |= {"raster:bands": [{"data_type": "uint16", "nodata": 0}]}
        item.add_asset("red", pystac.Asset(str(path), media_type="image/tiff; application=geotiff", extra_fields=place))
        item.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
        items.append(item)
    for options in ({}, {"chunks": {"x": 20}}, {"groupby": "solar_day"}):
        stack = open_stack(odc.load(items, crs="EPSG:32632", resolution=10, **options), band="red")
        np.testing.assert_array_equal(stack, as_floats(numbers()))
        np.testing.assert_array_equal(stack.x, X)
        np.testing.assert_array_equal(stack.time.values, TIMES.astype("M8[us]"))


def test_bands_of_stackstac_by_their_common_names():
    data = xr.concat([of_stackstac(), of_stackstac() + 1], "band").assign_attrs(of_stackstac().attrs)
    data = data.assign_coords(band=["B04", "B08"], common_name=("band", ["red", "nir"]))
    data.name = of_stackstac().name
    for name, band in (("red", "B04"), ("nir", "B08")):
        np.testing.assert_array_equal(open_stack(data, band=name), open_stack(data, band=band))
    assert not np.array_equal(open_stack(data, band="red"), open_stack(data, band="nir"), equal_nan=True)
    with pytest.raises(ValueError, match="band 'blue'"):
        open_stack(data, band="blue")


def test_view_azimuths_whose_sense_is_not_known_are_left_out():
    """By its definition view:azimuth points from the satellite to the scene; Sentinel-2 items copy the other sense."""
    data = of_stackstac().assign_coords({"view:azimuth": 100.0})
    assert open_stack(data).view_azimuth.values.tolist() == [100.0, 100.0]
    assert "view_azimuth" not in open_stack(data.assign_coords(platform="landsat-8")).coords
    assert "view_azimuth" not in open_stack(data.drop_vars("platform")).coords


def test_infinite_pixels_are_missing():
    data = of_odc().red.astype("f4").assign_attrs(nodata=np.nan)
    data[0, 5, 5], data[0, 5, 6] = np.inf, -np.inf
    assert np.isnan(open_stack(data)[0, 5, 5:7]).all()
    assert int(np.isnan(open_stack(data)).sum()) == 2


@pytest.mark.parametrize(("told", "wanted"), [("landsat-1", "LM01"), ("LANDSAT_7", "LE07"), ("landsat-9", "LC09")])
def test_platforms_of_landsat(told, wanted):
    data = of_stackstac().assign_coords(platform=told)
    assert open_stack(data).platform.values.tolist() == [wanted, wanted]


def test_common_names_of_bands_of_eopf():
    dataset = of_odc().rename(red="b04", nir="b08")
    np.testing.assert_array_equal(open_stack(dataset, band="nir"), open_stack(dataset, band="b08"))
    for names in ({"b04": "B04", "b08": "B11"}, {"b04": "b04", "b08": "blue"}):  # B11 of HLS may be thermal
        with pytest.raises(ValueError, match="band 'swir16'"):
            open_stack(dataset.rename(names), band="swir16")
