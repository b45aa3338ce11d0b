"""netCDF by CF, meshes, GeoZarr and Icechunk: what readers of others find in them is what was there, in its place."""

import json
from pathlib import Path

import h5py
import made
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr
import zarr

import xoffset
from xoffset.formats import cf, geozarr, icechunk, mesh
from xoffset.model.flags import FLAGS

PRODUCTS = {
    "shifts": made.shifts, "series": made.series, "rate": made.rate, "profile": made.profile,
    "trajectories": made.trajectories,
}  # fmt: skip
WRITERS = {
    "cf": lambda data, path, **options: cf.write(data, path.with_suffix(".nc"), **options),
    "mesh": lambda data, path, **options: mesh.write(data, path.with_suffix(".nc"), **options),
    "geozarr": lambda data, path, **options: geozarr.write(data, path.with_suffix(".zarr"), **options),
}


class TestCf:
    @pytest.mark.parametrize("name", PRODUCTS)
    def test_values_dates_and_crs_come_back(self, name, tmp_path):
        data = PRODUCTS[name]()
        path = cf.write(data, tmp_path / "a.nc")
        with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as found:
            for key in data.variables:
                if data[key].dtype.kind == "M":  # xarray reads floats as nanoseconds
                    read = found[key].values.astype("M8[us]")
                    assert (np.abs(read - data[key].values) <= np.timedelta64(1, "us"))[~np.isnat(read)].all()
                    np.testing.assert_array_equal(np.isnat(read), np.isnat(data[key].values))
                else:
                    np.testing.assert_array_equal(found[key].values, data[key].values, err_msg=key)
                    assert data[key].attrs.get("units") in (None, found[key].attrs.get("units"))
            assert "EPSG" in found.spatial_ref.attrs["crs_wkt"]
            named = {each.encoding.get("grid_mapping") for key, each in found.data_vars.items() if each.ndim > 1}
            assert named == ({None} if name == "trajectories" else {"spatial_ref"})

    @pytest.mark.parametrize("name", PRODUCTS)
    def test_reopens_to_the_microsecond(self, name, tmp_path):
        data = PRODUCTS[name]()
        found = xoffset.open_result(cf.write(data, tmp_path / "a.nc"))
        for key in data.variables:
            np.testing.assert_array_equal(found[key].values, data[key].values)

    def test_what_the_conventions_ask(self, tmp_path):
        with h5py.File(cf.write(made.series(), tmp_path / "a.nc")) as file:
            assert file.attrs["Conventions"] == "CF-1.11"
            assert {"title", "source", "history"} <= set(file.attrs)
            assert file["time"].attrs["units"] == "seconds since 1970-01-01"
            assert file["time"].attrs["units_metadata"] == "leap_seconds: unknown"
            assert file["time"].dtype == np.float64
            assert file["time"][1] == pytest.approx(1583922030.250001, abs=1e-6)
            assert (file["x"].attrs["axis"], file["y"].attrs["axis"], file["time"].attrs["axis"]) == ("X", "Y", "T")
            assert not {"_FillValue", "missing_value"} & (set(file["x"].attrs) | set(file["time"].attrs))
            assert np.isnan(file["dx"].attrs["_FillValue"])
            assert file["dx"].attrs["ancillary_variables"] == "sigma_dx flags"
            assert file["flags"].attrs["flag_masks"].dtype == file["flags"].dtype == np.int64
            assert file["flags"].attrs["standard_name"] == "quality_flag"

    def test_only_glaciers_have_standard_names(self, tmp_path):
        with h5py.File(cf.write(made.rate(), tmp_path / "a.nc")) as file:
            assert "standard_name" not in file["vx"].attrs
            assert file["vx"].attrs["comment"] == "A year is 365.25 days."
        with h5py.File(cf.write(made.rate(), tmp_path / "b.nc", glacier=True)) as file:
            assert file["vx"].attrs["standard_name"] == "land_ice_surface_x_velocity"
            assert file["vy"].attrs["standard_name"] == "land_ice_surface_y_velocity"

    def test_a_unit_that_nobody_knows_is_said_in_words(self, tmp_path):
        data = made.shifts().assign(template_size=(("y", "x"), np.full((6, 9), 32.0), {"units": "pixel"}))
        with h5py.File(cf.write(data, tmp_path / "a.nc")) as file:
            assert file["template_size"].attrs["units"] == "1"
            assert file["template_size"].attrs["long_name"].endswith("in pixels")

    def test_the_product_stays_as_it_was(self, tmp_path):
        data = made.series()
        before = data.copy(deep=True)
        cf.write(data, tmp_path / "a.nc", glacier=True)
        xr.testing.assert_identical(data, before)
        assert "grid_mapping" not in data.dx.encoding

    def test_attributes_that_netcdf_cannot_hold_become_texts(self, tmp_path):
        data = made.series().assign_attrs(nothing=None, switch=True, table={"a": 1}, numbers=[1.0, 2.0], text="a")
        data.dx.attrs["when"] = np.datetime64("2020-01-01")
        with h5py.File(cf.write(data, tmp_path / "a.nc")) as file:
            told = dict(file.attrs)
            assert (told["nothing"], told["switch"], told["table"], told["text"]) == ("None", "True", "{'a': 1}", "a")
            np.testing.assert_array_equal(told["numbers"], [1.0, 2.0])
            assert file["dx"].attrs["when"] == "2020-01-01"

    def test_scattered_points(self, tmp_path):
        data = made.shifts().isel(y=xr.DataArray([0, 1], dims="point"), x=xr.DataArray([8, 2], dims="point"))
        with xr.open_dataset(cf.write(data, tmp_path / "a.nc"), engine="h5netcdf", decode_coords="all") as found:
            np.testing.assert_array_equal(found.dx, data.dx)
            np.testing.assert_array_equal(found.x, [made.X[8], made.X[2]])
            assert found.dx.encoding["grid_mapping"] == "spatial_ref"

    def test_lazy(self, tmp_path):
        lazy = cf.write(made.series().chunk(y=3), tmp_path / "a.nc")
        found, expected = (
            xoffset.open_result(path).compute() for path in (lazy, cf.write(made.series(), tmp_path / "b.nc"))
        )
        xr.testing.assert_identical(found, expected)

    def test_other_units_are_converted(self, tmp_path):
        data = made.rate()
        data["vx"] = (data.vx / 365.25).assign_attrs(units="m d-1")
        with h5py.File(cf.write(data, tmp_path / "a.nc")) as file:
            assert file["vx"].attrs["units"] == "m yr-1"
            np.testing.assert_allclose(file["vx"][:], made.rate().vx, rtol=1e-6)


class TestMesh:
    # the file as a whole is a list of its variables
    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_what_qgis_asks(self, tmp_path):
        data = made.series()
        path = mesh.write(data, tmp_path / "a.nc")
        with rasterio.open(path) as file:
            places = {place.rsplit(":", 1)[1]: place for place in file.subdatasets}
        assert set(places) == {"dx", "dy", "sigma_dx", "sigma_dy"}
        told = {}
        for name, place in places.items():
            with rasterio.open(place) as file:
                assert file.crs.to_epsg() == made.EPSG
                assert tuple(file.transform)[:6] == (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0)
                # its reader compares with this number, and NaN is equal to nothing
                assert file.nodata == -9999.0
                values = file.read()
                np.testing.assert_array_equal(np.where(values == -9999.0, np.nan, values), data[name].values)
                assert file.tags()["time#units"] == "seconds since 1970-01-01"
                texts = [float(file.tags(band)["NETCDF_DIM_time"]) for band in file.indexes]
                np.testing.assert_allclose(texts, made.DATES.astype("int64") / 1e6, atol=1e-3)
                told[name] = file.tags(1).get("long_name", "")
        rest = "component of displacement since the reference date"
        assert (told["dx"], told["dy"]) == (f"x {rest}", f"y {rest}")
        assert not any(" component" in told[name] for name in ("sigma_dx", "sigma_dy"))

    def test_a_map_needs_its_date(self, tmp_path):
        with h5py.File(mesh.write(made.rate(), tmp_path / "a.nc")) as file:
            assert file["vx"].shape == (1, 6, 9)
            assert file["time"][0] == made.DATES[2].astype("int64") / 1e6
        with h5py.File(mesh.write(made.rate(), tmp_path / "b.nc", date="2020-06-01")) as file:
            assert file["time"][0] == 1_590_969_600.0
        with pytest.raises(ValueError, match=r"Give it: date='2021-06-01'"):
            mesh.write(made.rate().drop_vars("last"), tmp_path / "c.nc")
        with pytest.raises(ValueError, match=r"which has its own.*Leave it out"):
            mesh.write(made.series(), tmp_path / "c.nc", date="2020-06-01")
        with pytest.raises(ValueError, match=r"or one pair: shifts\.isel\(pair=0\)"):
            mesh.write(made.shifts(), tmp_path / "c.nc")

    def test_rows_go_north_up(self, tmp_path):
        turned = made.series().isel(y=slice(None, None, -1), x=slice(None, None, -1))
        a, b = mesh.write(turned, tmp_path / "a.nc"), mesh.write(made.series(), tmp_path / "b.nc")
        with h5py.File(a) as one, h5py.File(b) as other:
            np.testing.assert_array_equal(one["dx"][:], other["dx"][:])
            np.testing.assert_array_equal(one["y"][:], other["y"][:])


class TestGeozarr:
    @pytest.mark.parametrize("name", ["shifts", "series", "rate"])
    @pytest.mark.parametrize("is_lazy", [False, True])
    def test_the_full_level_is_the_product(self, name, is_lazy, tmp_path):
        data = PRODUCTS[name]()
        path = geozarr.write(data.chunk(y=4) if is_lazy else data, tmp_path / "a.zarr", levels=2)
        found = xr.open_zarr(path, group="0", consolidated=False, decode_coords="all")
        for key in data.variables:
            np.testing.assert_array_equal(found[key].values, data[key].values, err_msg=key)
        reopened = xoffset.open_result(path / "0")
        np.testing.assert_array_equal(reopened[next(iter(data))].values, data[next(iter(data))].values)

    def test_flags_that_where_made_floats_keep_their_reasons(self, tmp_path):
        data = made.rate().isel(x=slice(8))
        holed = data.where(data.x > data.x[0])
        assert holed.flags.dtype.kind == "f"
        path = geozarr.write(
            holed.assign(flags=holed.flags.assign_attrs(data.flags.attrs)), tmp_path / "a.zarr", levels=2
        )
        found = xr.open_zarr(path, group="1", consolidated=False, mask_and_scale=False).flags
        assert (found.values[:, 0] & FLAGS["nodata"] != 0).all()
        four = [data.flags.values[row::2, column::2] for row in (0, 1) for column in (0, 1)]
        np.testing.assert_array_equal(found.values[:, 1:], (four[0] | four[1] | four[2] | four[3])[:, 1:])

    def test_coarser_levels_hold_means_of_what_is_known(self, tmp_path):
        data = made.rate().isel(x=slice(8))
        path = geozarr.write(data, tmp_path / "a.zarr", levels=2)
        found = xr.open_zarr(path, group="1", consolidated=False, decode_coords="all")
        values = data.vx.values.astype("float64")
        for row in range(3):
            for column in range(4):
                four = values[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                assert found.vx.values[row, column] == pytest.approx(np.nanmean(four), rel=1e-6)
        # a value that lacks a part of its ground says why
        four = [data.flags.values[row::2, column::2] for row in (0, 1) for column in (0, 1)]
        np.testing.assert_array_equal(found.flags, four[0] | four[1] | four[2] | four[3])
        assert found.flags.dtype == data.flags.dtype
        assert found.flags.attrs["flag_meanings"] == data.flags.attrs["flag_meanings"]
        # what has no mean is one of the four
        np.testing.assert_array_equal(found.direction, data.direction[::2, ::2])
        np.testing.assert_array_equal(found["last"], data["last"][::2, ::2])
        np.testing.assert_array_equal(found.x, 300_010.0 + 20.0 * np.arange(4))
        np.testing.assert_array_equal(found.y, 4_999_990.0 - 20.0 * np.arange(3))
        assert found.vx.dtype == np.float32
        assert found.vx.attrs["units"] == "m yr-1"

    def test_attributes_of_the_conventions(self, tmp_path):
        path = geozarr.write(made.rate(), tmp_path / "a.zarr", levels=2)
        root = zarr.open_group(path, mode="r").attrs.asdict()
        uuids = {each["uuid"] for each in root["zarr_conventions"]}
        assert uuids == {
            "d35379db-88df-4056-af3a-620245f8e347", "f17cb550-5864-4468-aeb7-f3180cfb622f",
            "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
        }  # fmt: skip
        assert root["proj:code"] == "EPSG:32632"
        assert root["spatial:bbox"] == [300_000.0, 4_999_940.0, 300_090.0, 5_000_000.0]
        # with levels the place of each stands in its entry, not at the root
        assert not {"spatial:transform", "spatial:shape"} & set(root)
        first, second = root["multiscales"]["layout"]
        assert (first["asset"], second["asset"], second["derived_from"]) == ("0", "1", "0")
        assert first["spatial:transform"] == [10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0]
        assert second["spatial:transform"] == [20.0, 0.0, 300_000.0, 0.0, -20.0, 5_000_000.0]
        assert (first["spatial:shape"], second["spatial:shape"]) == ([6, 9], [3, 4])
        assert second["transform"] == {"scale": [2.0, 2.0], "translation": [0.0, 0.0]}
        for entry in (first, second):
            level = zarr.open_group(path, path=entry["asset"], mode="r")
            assert level.attrs["spatial:transform"] == entry["spatial:transform"]
            assert list(level["vx"].shape) == entry["spatial:shape"]
            assert "wkt" in level["vx"].attrs["_CRS"]

    def test_as_many_levels_as_the_side_needs(self, tmp_path):
        x, y = 10.0 * np.arange(700), -10.0 * np.arange(300)
        data = xr.Dataset({"vx": (("y", "x"), np.ones((300, 700), "float32"))}, made.coords(x=x, y=y))
        path = geozarr.write(data, tmp_path / "a.zarr")
        assert [name for name in ("0", "1", "2", "3") if (path / name).exists()] == ["0", "1", "2"]
        level = zarr.open_group(path, path="0", mode="r")
        assert level["vx"].chunks == (300, 512)
        with pytest.raises(ValueError, match=r"got levels=9 of 6 rows and 9 columns\. Pass levels=2 or less"):
            geozarr.write(made.rate(), tmp_path / "b.zarr", levels=9)

    def test_a_chunk_that_was_lost_is_unknown_and_not_zero(self, tmp_path):
        path = geozarr.write(made.series(), tmp_path / "a.zarr")
        (path / "0" / "dx" / "c" / "1" / "0" / "0").unlink()
        (path / "0" / "flags" / "c" / "1" / "0" / "0").unlink()
        found = xr.open_zarr(path, group="0", consolidated=False)
        assert found.dx[1].isnull().all()
        # nor good: the bit says that nothing was written
        assert (found.flags[1] & FLAGS["unwritten"] != 0).all()
        assert (found.flags[0] & FLAGS["unwritten"] == 0).all()


class TestIcechunk:
    def test_versions_stay(self, tmp_path):
        library = pytest.importorskip("icechunk")
        data = made.series()
        first = icechunk.write(data, tmp_path / "a")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            icechunk.write(data, tmp_path / "a")
        second = icechunk.write(data * 2.0, tmp_path / "a", message="twice", overwrite=True)
        repository = library.Repository.open(library.local_filesystem_storage(str(tmp_path / "a")))
        for name, factor in ((first, 1.0), (second, 2.0)):
            session = repository.readonly_session(snapshot_id=name)
            found = xr.open_zarr(session.store, consolidated=False, decode_coords="all")
            np.testing.assert_array_equal(found.dx, factor * data.dx)
            np.testing.assert_array_equal(found.time.values.astype("M8[us]"), made.DATES)
            assert "crs_wkt" in found.spatial_ref.attrs
        assert next(iter(repository.ancestry(branch="main"))).message == "twice"

    def test_a_folder_that_is_no_repository(self, tmp_path):
        pytest.importorskip("icechunk")
        (tmp_path / "notes.txt").write_text("precious")
        with pytest.raises(OSError, match=r"icechunk\.write\(\) needs an Icechunk repository .* no version has been"):
            icechunk.write(made.series(), tmp_path, overwrite=True)
        assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]

    def test_absent(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "icechunk", None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[icechunk\]'"):
            icechunk.write(made.series(), tmp_path / "a")
        assert not list(tmp_path.iterdir())


class TestSafely:
    @pytest.mark.parametrize("name", WRITERS)
    def test_nothing_is_replaced_unasked(self, name, tmp_path):
        path = WRITERS[name](made.series(), tmp_path / "a")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FileExistsError, match="overwrite=True"):
            WRITERS[name](made.series() * 2.0, tmp_path / "a")
        assert sorted(tmp_path.rglob("*")) == before
        WRITERS[name](made.series().drop_vars("dy"), tmp_path / "a", overwrite=True)
        group = (
            {"group": "0", "engine": "zarr", "consolidated": False}
            if path.suffix == ".zarr"
            else {"engine": "h5netcdf"}
        )
        with xr.open_dataset(path, **group) as found:
            assert "dy" not in found
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("name", WRITERS)
    @pytest.mark.parametrize("is_there", [False, True])
    def test_a_failure_leaves_what_was_there(self, name, is_there, tmp_path):
        if is_there:
            WRITERS[name](made.series(), tmp_path / "a")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        broken = made.series().chunk(time=1)
        broken["dy"] = broken.dy.map_blocks(_fail, template=broken.dy)
        with pytest.raises(RuntimeError, match="no disk"):
            WRITERS[name](broken, tmp_path / "a", overwrite=True)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("name", WRITERS)
    def test_bad_subjects(self, name, tmp_path):
        with pytest.raises(TypeError, match=r"needs a Dataset; got DataArray\. Make a DataArray one"):
            WRITERS[name](made.series().dx, tmp_path / "a")
        with pytest.raises(TypeError, match="overwrite"):
            WRITERS[name](made.series(), tmp_path / "a", overwrite="yes")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["mesh", "geozarr"])
    def test_no_maps(self, name, tmp_path):
        with pytest.raises(ValueError, match="Profiles, trajectories and points are no maps"):
            WRITERS[name](made.profile(), tmp_path / "a")


def _fail(block):
    raise RuntimeError("no disk")


@pytest.mark.parametrize("name", WRITERS)
def test_the_transform_of_other_pixels_is_not_passed_on(name, tmp_path):
    data = made.series()
    data.spatial_ref.attrs["GeoTransform"] = "300000.0 10.0 0.0 5000000.0 0.0 -10.0"
    path = WRITERS[name](data.isel(y=slice(2, None), x=slice(3, None)), tmp_path / "a")
    is_store = path.suffix == ".zarr"
    group = {"group": "0", "engine": "zarr", "consolidated": False} if is_store else {"engine": "h5netcdf"}
    with xr.open_dataset(path, decode_coords="all", **group) as found:
        assert "GeoTransform" not in found.spatial_ref.attrs
        assert "crs_wkt" in found.spatial_ref.attrs
        assert tuple(found.rio.transform())[:6] == (10.0, 0.0, 300_030.0, 0.0, -10.0, 4_999_980.0)
    assert "GeoTransform" in data.spatial_ref.attrs


def test_no_crs_no_claim(tmp_path):
    data = made.series(epsg=None)
    with h5py.File(cf.write(data, tmp_path / "a.nc")) as file:
        assert "grid_mapping" not in file["dx"].attrs
        assert "spatial_ref" not in file
    path = geozarr.write(data, tmp_path / "a.zarr")
    attrs = json.loads(Path(path, "0", "zarr.json").read_text())["attributes"]
    assert not any(name.startswith("proj:") for name in attrs)
