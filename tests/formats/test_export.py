"""GeoTIFFs that other programs read without being told anything."""

import filecmp
import json
import subprocess
import sys

import forked
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil
import rasterio.windows
import xarray as xr

from xoffset.formats import geotiff
from xoffset.formats.geotiff import to_geotiff
from xoffset.model import products
from xoffset.model.flags import FLAGS
from xoffset.readers.open_result import open_result

UTM = pyproj.CRS.from_epsg(32632)
DATES = np.array(["2020-01-01T10:00:00", "2020-01-11T10:00:00", "2020-02-01T10:00:00.250000"], dtype="M8[us]")


def make_stack(crs=UTM, shape=(6, 9)):
    x, y = 300_005.0 + 10 * np.arange(shape[1]), 4_999_995.0 - 10 * np.arange(shape[0])
    values = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    return products.stack(values, time=DATES, x=x, y=y, crs=crs, attrs={})


def make_shifts(crs=UTM, shape=(6, 9)):
    stack = make_stack(crs, shape)
    network = products.network(DATES[[0, 0]], DATES[[1, 2]])
    values = stack.values[:2].copy()
    values[0, 0, :4] = np.nan
    made = {"dx": values, "sigma_dx": np.abs(values), "flags": np.isnan(values).astype("int32") * 2}
    return products.shifts(made, network, x=stack.x.values, y=stack.y.values, like=stack, step={"function": "test"})


def make_rate(crs=UTM, shape=(6, 9)):
    fields = dict(zip(("vx", "vy", "direction"), make_stack(crs, shape).values, strict=True))
    return products.rate(fields, like=make_shifts(crs, shape), step={"function": "test"})


class TestFiles:
    def test_one_a_variable_in_a_new_folder(self, tmp_path):
        paths = to_geotiff(make_shifts(), tmp_path / "new" / "folder")
        assert paths == [tmp_path / "new" / "folder" / f"{name}.tif" for name in ("dx", "sigma_dx", "flags")]
        assert sorted((tmp_path / "new" / "folder").iterdir()) == sorted(paths)

    def test_values_come_back(self, tmp_path):
        shifts = make_shifts()
        for path in to_geotiff(shifts, tmp_path):
            with rasterio.open(path) as file:
                np.testing.assert_array_equal(file.read(), shifts[path.stem].values)
                assert file.dtypes[0] == shifts[path.stem].dtype

    def test_are_cloud_optimised(self, tmp_path):
        for path in to_geotiff(make_shifts(), tmp_path):
            with rasterio.open(path) as file:
                structure = file.tags(ns="IMAGE_STRUCTURE")
                assert structure["LAYOUT"] == "COG"
                assert structure["COMPRESSION"] == "ZSTD"
                assert structure["PREDICTOR"] == ("2" if path.stem == "flags" else "3")

    def test_nodata_is_nan_for_floats_and_absent_for_integers(self, tmp_path):
        to_geotiff(make_shifts(), tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            assert np.isnan(file.nodata)
            assert (file.read_masks(1)[0, :5] == [0, 0, 0, 0, 255]).all()
        with rasterio.open(tmp_path / "flags.tif") as file:
            assert file.nodata is None

    def test_large_ones_have_overviews(self, tmp_path):
        rate = make_rate(shape=(600, 700))
        rate["direction"][:] = np.tile([359.0, 1.0], 350)
        rate["vx"][:] = np.tile([359.0, 1.0], 350)
        to_geotiff(rate, tmp_path)
        for name, expected in {"vx": [180.0], "direction": [1.0, 359.0]}.items():
            with rasterio.open(tmp_path / f"{name}.tif") as file:
                assert file.overviews(1)
                assert set(np.unique(file.read(1, out_shape=(300, 350)))) <= set(expected)

    @pytest.mark.parametrize(
        ("name", "units", "high"),
        [
            ("azimuth", "degree", 179.0),
            ("annual_day_x", "day", 365.0),
            ("semiannual_day_y", "day", 182.0),
            ("aspect", "degree", 359.0),
            ("direction", None, 359.0),
        ],
    )
    def test_overviews_do_not_average_what_goes_round(self, name, units, high, tmp_path):
        field = make_rate(shape=(600, 700))["vx"].copy(data=np.tile(np.float32([high, 1.0]), (600, 350))).rename(name)
        field.attrs = {} if units is None else {"units": units}
        to_geotiff(field.to_dataset(), tmp_path)
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            assert set(np.unique(file.read(1, out_shape=(300, 350)))) <= {1.0, high}

    @pytest.mark.parametrize("dtype", ["int64", "float32"])
    def test_overviews_do_not_average_flags(self, dtype, tmp_path):
        flags = make_shifts(shape=(600, 700))["flags"].copy(data=np.tile([2, 8], (2, 600, 350)))
        to_geotiff(flags.astype(dtype, keep_attrs=True).to_dataset(), tmp_path)
        with rasterio.open(tmp_path / "flags.tif") as file:
            assert set(np.unique(file.read(1, out_shape=(300, 350)))) <= {2, 8}

    def test_many_bands_keep_blocks_small(self, tmp_path):
        values = np.zeros((200, 64, 64), "float32")
        data = xr.Dataset({"dx": (("time", "y", "x"), values)}, coords={"x": np.arange(64.0), "y": -np.arange(64.0)})
        to_geotiff(data, tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            bands = file.count if file.profile["interleave"] == "pixel" else 1
            assert bands * np.prod(file.block_shapes[0]) * 4 <= geotiff._BLOCK_BYTES

    @pytest.mark.parametrize("dtype", ["bool", "float16", "float64", ">f4", "int64", "uint16", "int8"])
    def test_any_real_type(self, dtype, tmp_path):
        data = make_rate()[["vx"]].fillna(0).astype(dtype)
        to_geotiff(data, tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            np.testing.assert_array_equal(file.read(1), data["vx"].values)


class TestGeoreference:
    @pytest.mark.parametrize("flip", [{}, {"y": -1}, {"x": -1}, {"y": -1, "x": -1}], ids=str)
    def test_north_up_whatever_the_order(self, flip, tmp_path):
        shifts = make_shifts()
        to_geotiff(shifts.isel({dim: slice(None, None, step) for dim, step in flip.items()}), tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            assert tuple(file.transform)[:6] == (10, 0, 300_000, 0, -10, 5_000_000)
            assert file.crs.to_epsg() == 32632
            np.testing.assert_array_equal(file.read(), shifts["dx"].values)

    def test_dims_in_any_order(self, tmp_path):
        shifts = make_shifts()
        to_geotiff(shifts.transpose("x", "pair", "y"), tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            np.testing.assert_array_equal(file.read(), shifts["dx"].values)

    def test_no_crs(self, tmp_path):
        to_geotiff(make_rate(crs=None), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert file.crs is None
            assert file.transform.c == 300_000

    def test_crs_left_as_a_variable(self, tmp_path):
        to_geotiff(make_rate().reset_coords("spatial_ref"), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert file.crs.to_epsg() == 32632
        assert not (tmp_path / "spatial_ref.tif").exists()

    def test_of_a_reopened_product(self, tmp_path):
        shifts = make_shifts()
        shifts.to_zarr(tmp_path / "shifts.zarr", zarr_format=2)  # whose summary tells that no variable was lost
        paths = to_geotiff(open_result(tmp_path / "shifts.zarr"), tmp_path / "reopened")
        for path, direct in zip(paths, to_geotiff(shifts[[path.stem for path in paths]], tmp_path), strict=True):
            assert filecmp.cmp(path, direct, shallow=False)

    def test_one_row(self, tmp_path):
        to_geotiff(make_rate().isel(y=[0]), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert tuple(file.transform)[:6] == (10, 0, 300_000, 0, -10, 5_000_000)


class TestLabels:
    def test_pairs(self, tmp_path):
        to_geotiff(make_shifts(), tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            assert file.descriptions == (
                "2020-01-01T10:00:00/2020-01-11T10:00:00",
                "2020-01-01T10:00:00/2020-02-01T10:00:00.250000",
            )
            assert file.units == ("m", "m")
            assert file.tags(1)["reference"] == "2020-01-01T10:00:00"
            assert file.tags(2)["secondary"] == "2020-02-01T10:00:00.250000"

    def test_dates(self, tmp_path):
        to_geotiff(make_stack().to_dataset(), tmp_path)
        with rasterio.open(tmp_path / "image.tif") as file:
            assert file.descriptions[:2] == ("2020-01-01T10:00:00", "2020-01-11T10:00:00")
            assert file.tags(3)["time"] == "2020-02-01T10:00:00.250000"

    def test_one_band(self, tmp_path):
        to_geotiff(make_rate(), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert file.descriptions == ("velocity along x",)
            assert file.units == ("m yr-1",)

    def test_dims_without_labels(self, tmp_path):
        to_geotiff(make_rate()[["vx"]].expand_dims(draw=2), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert file.descriptions == ("draw 0", "draw 1")

    def test_tags_of_the_file(self, tmp_path):
        shifts = make_shifts()
        shifts["dx"].attrs["AREA_OR_POINT"] = "Point"
        to_geotiff(shifts, tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            tags = file.tags()
        assert tags["AREA_OR_POINT"] == "Area"
        assert tags["units"] == "m"
        assert tags["long_name"] == "displacement along x"
        assert json.loads(tags["processing"])[-1]["function"] == "test"
        with rasterio.open(tmp_path / "flags.tif") as file:
            assert file.tags()["flag_masks"].split() == [str(bit) for bit in FLAGS.values()]
            assert file.tags()["flag_meanings"].split() == list(FLAGS)


class TestLazy:
    @pytest.mark.parametrize("limit", [1, 2000, 2**30])
    @pytest.mark.parametrize("chunks", [{}, {"y": 1}, {"y": (4, 2), "x": 5, "pair": 1}], ids=str)
    def test_same_bytes_as_eager(self, chunks, limit, tmp_path, monkeypatch):
        paths = to_geotiff(make_shifts(), tmp_path / "eager")
        monkeypatch.setattr(geotiff, "_STRIP_BYTES", limit)
        for path in to_geotiff(make_shifts().chunk(chunks), tmp_path / "lazy"):
            assert filecmp.cmp(path, paths[0].parent / path.name, shallow=False)

    def test_chunks_that_disagree(self, tmp_path):
        shifts = make_shifts()
        mixed = shifts.assign(dx=shifts["dx"].chunk(y=4), flags=shifts["flags"].chunk(y=5, pair=1))
        to_geotiff(mixed.isel(y=slice(None, None, -1)), tmp_path)
        with rasterio.open(tmp_path / "flags.tif") as file:
            np.testing.assert_array_equal(file.read(), shifts["flags"].values)

    def test_every_chunk_is_computed_once(self, tmp_path, monkeypatch):
        monkeypatch.setattr(geotiff, "_STRIP_BYTES", 1)
        seen = []

        def watch(values):
            if values.size:
                seen.append(values.shape)
            return values

        shifts = make_shifts().chunk(y=2, x=5)
        watched = xr.apply_ufunc(watch, shifts["dx"], dask="parallelized", output_dtypes=["float32"])
        to_geotiff(shifts.assign(dx=watched, dy=watched * 2), tmp_path)
        assert len(seen) == 3 * 2

    def test_a_failure_leaves_the_old_file(self, tmp_path):
        to_geotiff(make_rate(), tmp_path)
        before = (tmp_path / "vx.tif").read_bytes()

        def fail(values):
            raise RuntimeError("the disk is on fire")

        lazy = make_rate().chunk(y=2)
        lazy["vy"] = xr.apply_ufunc(fail, lazy["vy"], dask="parallelized", output_dtypes=["float32"])
        with pytest.raises(RuntimeError, match="on fire"):
            to_geotiff(lazy, tmp_path, overwrite=True)
        assert (tmp_path / "vx.tif").read_bytes() == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["direction.tif", "vx.tif", "vy.tif"]


class TestDates:
    def test_are_days_with_their_unit(self, tmp_path):
        rate = make_rate()
        dates = np.full((6, 9), "2020-01-02T12:00", "M8[us]")
        dates[0, 0] = "NaT"
        to_geotiff(rate.assign(step_date=(("y", "x"), dates)), tmp_path)
        with rasterio.open(tmp_path / "step_date.tif") as file:
            values = file.read(1)
            assert (file.dtypes[0], file.units[0]) == ("float64", "days since 1970-01-01")
            assert file.tags()["units"] == "days since 1970-01-01"
            assert np.isnan(file.nodata)
        assert np.isnan(values[0, 0])
        assert (values.ravel()[1:] == 18263.5).all()

    def test_of_one_layer_are_in_its_name(self, tmp_path):
        to_geotiff(make_shifts().isel(pair=0), tmp_path)
        with rasterio.open(tmp_path / "dx.tif") as file:
            assert file.descriptions == ("displacement along x, 2020-01-01T10:00:00/2020-01-11T10:00:00",)
            assert file.tags(1)["secondary"] == "2020-01-11T10:00:00"

    def test_other_coordinates_of_a_band_are_tags(self, tmp_path):
        data = make_rate()[["vx"]].expand_dims(exponential=2)
        coords = {"exponential": DATES[:2], "exponential_tau": ("exponential", [30.0, 60.0])}
        to_geotiff(data.assign_coords(coords), tmp_path)
        with rasterio.open(tmp_path / "vx.tif") as file:
            assert file.descriptions[0] == "2020-01-01T10:00:00"
            assert file.tags(2)["exponential_tau"] == "60.0"


FULL = """
import resource, signal, sys
import numpy as np, xarray as xr, xoffset
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
values = np.random.default_rng(0).normal(size=(2, 120, 120)).astype("float32")
data = xr.Dataset({name: (("time", "y", "x"), values) for name in ("dx", "dy")},
                  {"y": -np.arange(120.0), "x": np.arange(120.0)})
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    xoffset.to_geotiff(data, sys.argv[1], overwrite=True)
except OSError as error:
    print(error)
"""


class TestFullDisk:
    @pytest.mark.skipif(not forked.CAN_FORK, reason="no limit of file sizes")
    @pytest.mark.parametrize("room", [0, 500, 50_000, 110_000])
    def test_is_told_and_leaves_nothing(self, room, tmp_path):
        (tmp_path / "dx.tif").write_bytes(b"old")
        status, told, errors = forked.begin(FULL, tmp_path, room).end()
        assert status == 0, errors
        assert "to_geotiff() needs to write into" in told
        assert "MB free on that disk. Make room or give another folder" in told
        assert [path.name for path in tmp_path.iterdir()] == ["dx.tif"]
        assert (tmp_path / "dx.tif").read_bytes() == b"old"

    @pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
    def test_is_noticed_where_gdal_says_nothing(self, part, tmp_path, monkeypatch):
        copy = rasterio.shutil.copy

        def cut(source, target, **options):
            copy(source, target, **options)
            whole = target.read_bytes()
            target.write_bytes(whole[: int(part * len(whole))])

        monkeypatch.setattr(rasterio.shutil, "copy", cut)
        with pytest.raises(OSError, match=r"Make room or give another folder; no file has been changed"):
            to_geotiff(make_rate(shape=(600, 700)), tmp_path)
        assert not list(tmp_path.iterdir())

    def test_values_that_changed_on_the_way_are_noticed(self, tmp_path, monkeypatch):
        copy = rasterio.shutil.copy

        def spoil(source, target, **options):
            with rasterio.open(source, "r+") as file:
                file.write(np.zeros((1, 1, 1), file.dtypes[0]), window=rasterio.windows.Window(2, 2, 1, 1))
            copy(source, target, **options)

        monkeypatch.setattr(rasterio.shutil, "copy", spoil)
        with pytest.raises(OSError, match=r"other values in vx\.tif than were written"):
            to_geotiff(make_rate(), tmp_path)

    def test_what_the_computation_raises_is_not_explained_away(self, tmp_path):
        def fail(values):
            raise OSError("b.tif is truncated")

        lazy = make_rate().chunk(y=2)
        lazy["vy"] = xr.apply_ufunc(fail, lazy["vy"], dask="parallelized", output_dtypes=["float32"])
        with pytest.raises(OSError, match=r"^b\.tif is truncated$"):
            to_geotiff(lazy, tmp_path)


class TestChoice:
    @pytest.mark.parametrize("variables", ["vx", ["vx"], ("vx",)])
    def test_of_variables(self, variables, tmp_path):
        assert to_geotiff(make_rate(), tmp_path, variables=variables) == [tmp_path / "vx.tif"]

    def test_passes_over_what_is_not_on_the_grid(self, tmp_path):
        data = make_rate().assign(mean=3.0, by_row=("y", np.arange(6)))
        assert [path.stem for path in to_geotiff(data, tmp_path)] == ["vx", "vy", "direction"]

    def test_what_others_made_of_old_files_is_gone(self, tmp_path):
        to_geotiff(make_rate(), tmp_path)
        (tmp_path / "vx.tif.aux.xml").write_text("statistics of old values")
        (tmp_path / "vx.tif.msk").write_text("a mask of old pixels")
        to_geotiff(make_rate() * 2, tmp_path, overwrite=True)
        assert {path.suffix for path in tmp_path.iterdir()} == {".tif"}

    def test_overwrites_when_it_is_asked_to(self, tmp_path):
        to_geotiff(make_rate(), tmp_path)
        with pytest.raises(FileExistsError, match=r"vx\.tif and 2 more.*overwrite=True"):
            to_geotiff(make_rate() * 2, tmp_path)
        to_geotiff(make_rate() * 2, tmp_path, overwrite=True)
        with rasterio.open(tmp_path / "vx.tif") as file:
            np.testing.assert_array_equal(file.read(1), make_rate()["vx"].values * 2)


class TestRefusals:
    def test_an_array(self, tmp_path):
        with pytest.raises(TypeError, match="Make a DataArray one"):
            to_geotiff(make_stack(), tmp_path)

    def test_a_network(self, tmp_path):
        with pytest.raises(ValueError, match="Pass shifts, a series or a rate"):
            to_geotiff(products.network(DATES[:2], DATES[1:]), tmp_path)

    @pytest.mark.parametrize("variables", ["speed", ["vx", "by_row"], []])
    def test_unknown_variables(self, variables, tmp_path):
        with pytest.raises(ValueError, match=r"Choose from \['vx', 'vy', 'direction'\]"):
            to_geotiff(make_rate().assign(by_row=("y", np.arange(6))), tmp_path, variables=variables)

    def test_an_uneven_grid(self, tmp_path):
        rate = make_rate()
        with pytest.raises(ValueError, match="Resample to a regular grid"):
            to_geotiff(rate.isel(x=[0, 1, 3]), tmp_path)

    def test_no_coordinates(self, tmp_path):
        with pytest.raises(ValueError, match="Assign the pixel centres"):
            to_geotiff(make_rate().drop_vars(["x", "y"]), tmp_path)

    def test_four_dims(self, tmp_path):
        with pytest.raises(ValueError, match=r"Select along one of them: dataset.isel\(draw=0\)"):
            to_geotiff(make_shifts().expand_dims(draw=2), tmp_path)

    def test_no_bands(self, tmp_path):
        with pytest.raises(ValueError, match="Check the selection"):
            to_geotiff(make_shifts().isel(pair=[]), tmp_path)

    def test_complex_numbers(self, tmp_path):
        with pytest.raises(TypeError, match=r"leave it out: dataset.drop_vars\('vx'\)"):
            to_geotiff(make_rate().astype("complex64"), tmp_path)

    def test_a_file_for_a_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FileExistsError, match="Give another path"):
            to_geotiff(make_rate(), tmp_path / "file")


def test_importing_loads_no_heavy_library():
    heavy = ("rioxarray", "rasterio", "zarr", "matplotlib", "dask.array", "h5netcdf")
    code = f"import sys, xoffset.formats.geotiff; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
