"""Every product comes back from disk as it was, and remains a product to work with."""

import subprocess
import sys

import numpy as np
import pyproj
import pytest
import rioxarray  # noqa: F401
import xarray as xr

from xoffset.model import grids, products, variables
from xoffset.readers.open_result import open_result

DATES = np.array(["2020-01-01", "2020-01-11", "2020-01-21T10:30:00", "2020-02-01T23:59:59.123456"], dtype="M8[us]")
UTM = pyproj.CRS.from_epsg(32632)
STEP = {"function": "test", "step": 8, "mask": None, "note": "rock, ice → «fast»"}
# zarr 3.1.0 says so of every text coordinate of a stack; later ones do not
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part in the Zarr format 3")

FORMATS = ("zarr3", "zarr2", "netcdf")
PRODUCTS = ("stack", "network", "shifts", "series", "rate")


def save(data: xr.Dataset, folder, form: str = "zarr3"):
    path = folder / f"{form}{'.nc' if form == 'netcdf' else '.zarr'}"
    if form == "netcdf":
        data.to_netcdf(path, engine="h5netcdf")
    elif form == "zarr2":
        data.to_zarr(path, zarr_format=2)
    else:
        data.to_zarr(path, zarr_format=3, consolidated=False)
    return path


def make(name: str, *, crs: pyproj.CRS | None = UTM, dates=DATES, shape=(5, 7), dtype="float32") -> xr.Dataset:
    x, y = 300_005.0 + 80 * np.arange(shape[1]), 4_999_995.0 - 80 * np.arange(shape[0])
    stack = products.stack(
        field((len(dates), *shape), 0, dtype),
        time=dates, x=x, y=y, crs=crs, attrs={},
    )  # fmt: skip
    platforms = np.array([f"S2{'AB'[k % 2]}" for k in range(len(dates))], dtype=object)
    stack = stack.assign_coords(platform=("time", platforms))
    network = products.network(dates[:-1], dates[1:])
    if name == "stack":
        return stack.to_dataset()
    if name == "network":
        return network
    pairs = fields(variables.SHIFTS, (len(dates) - 1, *shape), dtype)
    shifts = products.shifts(pairs, network, x=x, y=y, like=stack, step=STEP)
    if name == "shifts":
        return shifts
    if name == "series":
        per_date = {name: variables.SERIES[name] for name in ("dx", "dy", "sigma_dx", "sigma_dy")}
        per_pixel = {"rms": field(shape, 5, dtype), "n_pairs": np.full(shape, 3, "int16")}
        return products.series(fields(per_date, (len(dates), *shape), dtype) | per_pixel, dates, like=shifts, step=STEP)
    return products.rate(fields(variables.RATE, shape, dtype), like=shifts, step=STEP)


def fields(table, shape, dtype):
    sizes = {("pair",): shape[:1], ("y", "x"): shape[-2:], (): ()}
    made = {
        name: field(sizes.get(table[name].dims, shape), seed, dtype)
        for seed, name in enumerate(table)
        if name not in ("first", "last")
    }
    dates = np.array(["2020-01-01", "2021-06-30T12"], "M8[us]")
    made |= {name: np.full(shape, date) for name, date in zip(("first", "last"), dates, strict=True) if name in table}
    return made | {"flags": np.random.default_rng(9).integers(0, 1 << 28, shape).astype("int32")}


def numbers(data):
    """A product without the variables that are dates, with which nobody can calculate."""
    return data.drop_vars([name for name, variable in data.data_vars.items() if variable.dtype.kind == "M"])


def field(shape, seed, dtype="float32"):
    values = np.asarray(np.random.default_rng(seed).normal(size=shape), dtype=dtype)
    if not shape:
        return values
    values[(..., 0, slice(3)) if len(shape) > 1 else 0] = np.nan
    return values


@pytest.fixture(params=FORMATS)
def form(request):
    return request.param


@pytest.mark.parametrize("product", PRODUCTS)
class TestEveryProduct:
    @pytest.mark.parametrize("crs", [UTM, None], ids=["utm", "no crs"])
    def test_comes_back_identical(self, product, crs, form, tmp_path):
        data = make(product, crs=crs)
        again = open_result(save(data, tmp_path, form))
        xr.testing.assert_identical(again, data)
        assert {name: v.dtype for name, v in again.variables.items()} == {n: v.dtype for n, v in data.variables.items()}
        if product != "network":
            assert again.rio.crs == data.rio.crs
            assert (grids.crs_of(again) == crs) if crs else (grids.crs_of(again) is None)

    def test_goes_on_to_every_other_format(self, product, form, tmp_path):
        data = make(product)
        opened = open_result(save(data, tmp_path, form))
        for other in FORMATS:
            (tmp_path / other).mkdir()
            xr.testing.assert_identical(open_result(save(opened, tmp_path / other, other)), data)

    def test_stays_on_disk_until_computed(self, product, form, tmp_path):
        again = open_result(save(make(product), tmp_path, form))
        assert all(variable.chunks is not None for variable in again.data_vars.values())
        assert all(coordinate.chunks is None for coordinate in again.coords.values())
        assert again.load().identical(make(product))


@pytest.mark.parametrize("product", ["stack", "shifts", "series", "rate"])
class TestKeepsWorking:
    # the text coordinates of a stack: xarray warns that it reads them, and writes them right
    @pytest.mark.filterwarnings("ignore:variable .* has data in the form of a dask array with dtype=object")
    def test_rechunked_and_written_again(self, product, form, tmp_path):
        data = make(product)
        opened = open_result(save(data.chunk(y=5, x=4), tmp_path, form)).chunk(y=2, x=3)
        (tmp_path / "again").mkdir()
        xr.testing.assert_identical(open_result(save(opened, tmp_path / "again", form)), data)

    def test_computed_with_and_written_again(self, product, form, tmp_path):
        data = numbers(make(product))
        opened = open_result(save(data, tmp_path, form))
        (tmp_path / "again").mkdir()
        again = open_result(save((opened * 2).where(opened > 0).isel(x=slice(1, None)), tmp_path / "again", form))
        xr.testing.assert_identical(again, (data * 2).where(data > 0).isel(x=slice(1, None)))
        assert again.rio.crs == data.rio.crs

    def test_new_variables_are_in_full_precision(self, product, form, tmp_path):
        data = make(product)
        opened = open_result(save(data, tmp_path, form)).astype("float64") / 3
        (tmp_path / "again").mkdir()
        again = open_result(save(opened, tmp_path / "again", form))
        assert all(variable.dtype == "float64" for variable in again.data_vars.values())
        xr.testing.assert_identical(again, data.astype("float64") / 3)

    def test_new_coordinates_come_back_as_coordinates(self, product, form, tmp_path):
        opened = open_result(save(make(product), tmp_path, form))
        dim = next(iter(opened.data_vars.values())).dims[0]
        opened = opened.assign_coords(season=(dim, np.arange(opened.sizes[dim])))
        (tmp_path / "again").mkdir()
        xr.testing.assert_identical(open_result(save(opened, tmp_path / "again", form)), opened)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("product", "dim"), [("shifts", "pair"), ("network", "pair"), ("series", "time")])
class TestAppend:
    """First whole days, then times of day: xarray's own encoding, days, would spoil the second."""

    def test_is_exact(self, product, dim, zarr_format, tmp_path):
        whole = make(product)
        first, rest = whole.isel({dim: slice(0, 1)}), whole.isel({dim: slice(1, None)})
        path = tmp_path / "store.zarr"
        first.to_zarr(path, zarr_format=zarr_format, consolidated=False)
        rest.to_zarr(path, append_dim=dim, consolidated=False)
        again = open_result(path)
        xr.testing.assert_identical(again, whole)
        assert again.chunksizes.keys() <= {"pair", "time", "y", "x"}
        assert again.chunk({dim: 2}).identical(whole)

    def test_is_exact_after_reopening(self, product, dim, zarr_format, tmp_path):
        whole = make(product)
        parts = [whole.isel({dim: slice(k, k + 1)}) for k in range(whole.sizes[dim])]
        path = tmp_path / "store.zarr"
        parts[0].to_zarr(path, zarr_format=zarr_format, consolidated=False)
        for k, part in enumerate(parts[1:]):
            part.to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf")
            open_result(tmp_path / f"{k}.nc").to_zarr(path, append_dim=dim, consolidated=False)
        xr.testing.assert_identical(open_result(path), whole)


def test_a_summary_older_than_the_arrays_is_not_believed(tmp_path):
    whole = make("shifts")
    path = tmp_path / "store.zarr"
    whole.isel(pair=slice(0, 1)).to_zarr(path, zarr_format=2, consolidated=True)
    whole.isel(pair=slice(1, None)).to_zarr(path, append_dim="pair", consolidated=False)
    xr.testing.assert_identical(open_result(path), whole)


class TestChunks:
    def test_whole_shards_make_chunks_that_agree(self, tmp_path):
        data = make("series", shape=(48, 64))
        encoding = {name: data[name].encoding | {"chunks": (2, 4, 4), "shards": (4, 16, 32)} for name in ("dx", "dy")}
        encoding["rms"] = data["rms"].encoding | {"chunks": (12, 8)}
        data.to_zarr(tmp_path / "store.zarr", encoding=encoding, consolidated=False)
        again = open_result(tmp_path / "store.zarr")
        xr.testing.assert_identical(again, data)
        assert again.rio.crs == data.rio.crs
        assert again.chunksizes == {"time": (4,), "y": (48,), "x": (64,)}

    def test_large_arrays_are_split_along_stored_chunks(self, tmp_path):
        values = np.zeros((6, 1024, 2048), "float32")
        data = xr.Dataset({"dx": (("time", "y", "x"), values)}, coords={"time": np.arange(6)})
        chunks = {"dx": {"chunks": (6, 100, 300)}}
        data.chunk().to_zarr(tmp_path / "store.zarr", encoding=chunks, compute=False, consolidated=False)
        again = open_result(tmp_path / "store.zarr")["dx"]
        assert again.chunksizes["time"] == (6,)
        assert again.chunksizes["x"] == (2048,)
        assert again.chunksizes["y"][:-1] == (300,) * 3
        assert not {"chunks", "preferred_chunks", "shards"} & again.encoding.keys()

    def test_a_rewritten_store_is_not_mistaken_for_the_old_one(self, tmp_path):
        path = save(make("rate"), tmp_path)
        first = open_result(path)["vx"].data.name
        assert open_result(path)["vx"].data.name != first

    def test_an_empty_network(self, form, tmp_path):
        data = make("network").isel(pair=slice(0, 0))
        xr.testing.assert_identical(open_result(save(data, tmp_path, form)), data)


class TestPlainCalls:
    """What a user types, with no argument of ours."""

    @pytest.mark.parametrize("product", PRODUCTS)
    def test_to_zarr(self, product, tmp_path):
        data = make(product)
        with pytest.warns(match="Consolidated metadata is currently not part in the Zarr format 3"):
            data.to_zarr(tmp_path / "store.zarr")
        xr.testing.assert_identical(open_result(tmp_path / "store.zarr"), data)
        xr.testing.assert_identical(open_result(str(tmp_path / "store.zarr")), data)

    @pytest.mark.parametrize("product", PRODUCTS)
    def test_to_netcdf(self, product, tmp_path):
        data = make(product)
        data.to_netcdf(tmp_path / "file.nc")
        xr.testing.assert_identical(open_result(tmp_path / "file.nc"), data)

    @pytest.mark.parametrize("zarr_format", [2, 3])
    @pytest.mark.parametrize("consolidated", [True, False])
    @pytest.mark.filterwarnings("ignore:Consolidated metadata is currently")
    def test_a_url(self, zarr_format, consolidated, tmp_path):
        data = make("rate")
        data.to_zarr(tmp_path / "store.zarr", zarr_format=zarr_format, consolidated=consolidated)
        xr.testing.assert_identical(open_result(f"file://{tmp_path}/store.zarr"), data)

    def test_closing_lets_the_file_be_replaced(self, tmp_path):
        data = numbers(make("rate"))
        path = save(data, tmp_path, "netcdf")
        with open_result(path) as opened:
            assert opened.load().identical(data)
        xr.testing.assert_identical(open_result(save(data * 2, tmp_path, "netcdf")), data * 2)

    def test_float64_and_packed_integers(self, form, tmp_path):
        data = make("rate", dtype="float64")
        data["vx"].encoding |= {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -32768}
        data["vx"][:] = np.where(np.isnan(data["vx"]), np.nan, 1.5)
        opened = open_result(save(data, tmp_path, form))
        xr.testing.assert_identical(opened, data)
        assert opened["vx"].encoding["dtype"] == "int16"
        (tmp_path / "again").mkdir()
        xr.testing.assert_identical(open_result(save(opened, tmp_path / "again", form)), data)


class TestRefusals:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="Check the path; relative ones start at"):
            open_result(tmp_path / "absent.zarr")

    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(ValueError, match="Give the path of the store itself, or read images with open_stack"):
            open_result(tmp_path)

    @pytest.mark.parametrize("start", [b"II*\0\0\0\0\0", b"CDF\x01", b""])
    def test_a_file_of_something_else(self, start, tmp_path):
        (tmp_path / "file.nc").write_bytes(start)
        with pytest.raises(ValueError, match="read images with open_stack"):
            open_result(tmp_path / "file.nc")

    def test_no_product(self, form, tmp_path):
        data = xr.Dataset({"height": ("station", np.zeros(3))})
        with pytest.raises(ValueError, match=r"\['height'\].* Open it with xarray.open_dataset\(\)"):
            open_result(save(data, tmp_path, form))

    def test_a_truncated_file(self, tmp_path):
        path = save(make("shifts"), tmp_path, "netcdf")
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(OSError, match="incomplete or damaged: write it again"):
            open_result(path)

    @pytest.mark.parametrize(("zarr_format", "name"), [(2, "vx/.zarray"), (3, "vx/zarr.json"), (3, "zarr.json")])
    def test_damaged_metadata(self, zarr_format, name, tmp_path):
        path = save(make("rate"), tmp_path, f"zarr{zarr_format}")
        (path / name).write_text("{")
        with pytest.raises(OSError, match="incomplete or damaged: write it again"):
            open_result(path)

    def test_a_url_where_nothing_is(self, tmp_path):
        with pytest.raises(OSError, match="needs a readable Zarr store"):
            open_result(f"file://{tmp_path}/absent.zarr")

    def test_netcdf_without_the_extra(self, tmp_path, monkeypatch):
        path = save(make("rate"), tmp_path, "netcdf")
        monkeypatch.setitem(sys.modules, "h5netcdf", None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[netcdf\]'"):
            open_result(path)


def test_importing_loads_no_heavy_library():
    heavy = ("rioxarray", "rasterio", "zarr", "matplotlib", "dask.array", "h5netcdf")
    code = f"import sys, xoffset.readers.open_result; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
