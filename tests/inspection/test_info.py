"""What info() and `xoffset info` say of every kind of thing, whole and broken, against what was written."""

import json
import shutil
import socket
import time
import warnings
import zipfile
from pathlib import Path

import dimap_products
import eopf_products
import itslive_files
import landsat_products
import made
import numpy as np
import planetscope_products
import pycorr_files
import pytest
import rasterio
import safe_products
import xarray as xr
import zarr
from affine import Affine
from click.testing import CliRunner
from rasterio.errors import NotGeoreferencedWarning

import xoffset
from xoffset import cli, synthetic
from xoffset.inspection import datasets
from xoffset.model import storage


def image(path, values, *, corner=(500_000.0, 5_000_000.0), step=10.0, crs="EPSG:32632", **profile):
    """Write a raster of one band, without georeference if `crs` is None."""
    values = np.asarray(values)
    place = {} if crs is None else {"crs": crs, "transform": Affine(step, 0, corner[0], 0, -step, corner[1])}
    bands = values if values.ndim == 3 else values[None]
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", dtype=bands.dtype.name, **shape, **place, **profile) as file:
            file.write(bands)
    return path


def shifts():
    """Two pairs one after the other, stored as results are."""
    product = made.shifts()
    product = product.assign_coords(reference=("pair", made.DATES[:2]), secondary=("pair", made.DATES[1:]))
    storage.encode(product)
    return product


@pytest.fixture(scope="module")
def matched():
    """Shifts of three dates as the library matches them, and their rate."""
    stack, _ = synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"], field="constant")
    shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=1), search=4)
    return shifts, xoffset.velocity(shifts)


def tell(*arguments):
    return CliRunner().invoke(cli.main, ["info", *map(str, arguments)])


# ------------------------------------------------------------------------------------------------- products of ours


class TestProducts:
    @pytest.mark.parametrize("kind", ["shifts", "series", "rate"])
    def test_kind_grid_crs_dates_and_share(self, kind, tmp_path):
        product = shifts() if kind == "shifts" else getattr(made, kind)()
        product.to_zarr(tmp_path / "a.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "a.zarr")
        assert found.kind == kind
        assert found["grid"] == {
            "columns": 9, "rows": 6, "unit_of_grid": "nodes", "spacing": [10.0, 10.0], "units": "m",
            "extent": [300_000.0, 4_999_940.0, 300_090.0, 5_000_000.0],
        }  # fmt: skip
        assert found["crs"] == "EPSG:32632, WGS 84 / UTM zone 32N"
        assert found["valid"]["share"] == pytest.approx(53 / 54)
        assert found["valid"]["counted"] == "all values"
        assert found["complete"] == {"state": "complete"}
        if kind == "rate":
            assert "dates" not in found.facts
        else:
            assert found["dates"]["number"] == 3
            assert found["dates"]["first"] == "2020-01-01T10:00:00"
            assert found["dates"]["longest_gap"]["from"].startswith("2020-03-11")

    def test_pairs_and_baselines(self, tmp_path):
        shifts().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        found = xoffset.info(tmp_path / "a.nc")
        days = [float(each / np.timedelta64(1, "D")) for each in np.diff(made.DATES)]
        assert found["pairs"]["number"] == 2
        assert found["pairs"]["baselines"] == pytest.approx(
            {"shortest": days[0], "median": np.mean(days), "longest": days[1]}
        )
        assert "2 with baselines of 70 to 328 days, median 199 days" in repr(found)

    def test_parameters_and_versions(self, tmp_path, matched):
        shifts, _ = matched
        xoffset.to_zarr(shifts, tmp_path / "a.zarr")
        found = xoffset.info(tmp_path / "a.zarr")
        assert found["history"][-1]["function"] == "correlate"
        assert found["history"][-1]["search"] == 4
        assert found["version"] == xoffset.__version__
        assert found["complete"]["tiles"] == {"total": 1, "done": 1, "empty": 0, "failed": 0}
        assert "correlate(template=32, search=4" in repr(found)
        assert found["valid"]["share"] == pytest.approx(float(np.isfinite(shifts.dx).mean()))

    def test_stack_network_and_points(self, tmp_path):
        stack, _ = synthetic.stack((64, 48), nodata=0.1)
        stack.rename("red").to_zarr(tmp_path / "stack.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "stack.zarr")
        assert found.kind == "stack"
        assert found["bands"] == {"red": None}
        assert found["valid"]["share"] == pytest.approx(float(np.isfinite(stack).mean()))
        xoffset.pairs(stack).to_zarr(tmp_path / "network.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "network.zarr")
        assert (found.kind, found["pairs"]["number"]) == ("network", 1)
        made.trajectories().to_netcdf(tmp_path / "paths.nc", engine="h5netcdf")
        assert xoffset.info(tmp_path / "paths.nc").kind == "displacement"

    def test_period_of_a_rate(self, tmp_path, matched):
        matched[1].to_zarr(tmp_path / "a.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "a.zarr")["period"]
        assert (found["first"][:10], found["last"][:10]) == ("2020-01-01", "2021-01-01")

    def test_without_values_crs_and_extent(self, tmp_path):
        """All NaN, one pair, one node, no CRS: each is told, none is an error."""
        one = made.shifts(epsg=None).isel(pair=[0], y=[0], x=[0])
        one.assign(dx=one.dx * np.nan).to_zarr(tmp_path / "a.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "a.zarr")
        assert found["crs"] is None
        assert found["grid"]["spacing"] is found["grid"]["extent"] is None
        assert found["valid"]["share"] == 0.0
        assert found["pairs"]["number"] == 1
        text = repr(found)
        assert "1 x 1 nodes" in text
        assert "CRS         none" in text
        assert "0 % of dx" in text

    def test_a_stack_of_one_date(self, tmp_path):
        stack, _ = synthetic.stack((32, 32))
        stack.isel(time=[0]).rename("red").to_zarr(tmp_path / "a.zarr", consolidated=False)
        found = xoffset.info(tmp_path / "a.zarr")
        assert found["dates"]["number"] == 1
        assert "dates       1, 2020-01-01" in repr(found)

    def test_exported_maps(self, tmp_path, matched):
        xoffset.to_geotiff(matched[1], tmp_path / "maps")
        found = xoffset.info(tmp_path / "maps")
        assert found.kind == "rate"
        assert {"vx", "vy", "sigma_vx"} <= set(found["variables"])
        assert found["history"][-1]["function"] == "velocity"
        assert xoffset.info(tmp_path / "maps" / "vx.tif").kind == "rate"

    def test_large_grids_are_looked_at_in_blocks(self, tmp_path):
        group = zarr.open_group(tmp_path / "a.zarr", mode="w")
        attrs = {"_ARRAY_DIMENSIONS": ["pair", "y", "x"], "units": "m"}
        for name in ("dx", "dy"):
            array = group.create_array(
                name, shape=(20, 10_000, 10_000), chunks=(1, 500, 500), dtype="f4", fill_value=float("nan"),
                dimension_names=("pair", "y", "x"), attributes=attrs,
            )  # fmt: skip
        for axis in ("y", "x"):
            array = group.create_array(axis, shape=(10_000,), dtype="f8", dimension_names=(axis,))
            array[:] = 10.0 * np.arange(10_000)
        start = time.monotonic()
        found = xoffset.info(tmp_path / "a.zarr")
        assert time.monotonic() - start < 20.0
        assert found["valid"]["share"] == 0.0
        assert found["valid"]["counted"] == "67 blocks with 0.84 % of the values"
        assert found["grid"]["columns"] == 10_000


@pytest.mark.parametrize("chunks", [(1, 64, 64), (6, 100, 33), None])
def test_the_share_in_blocks_is_near_that_of_all(chunks, monkeypatch):
    monkeypatch.setattr(datasets, "LOOKED_AT", 2**20)
    random = np.random.default_rng(0)
    values = np.where(random.random((6, 900, 700)) < 0.3, np.nan, 1.0).astype("f4")
    # half of the columns without a value, as beyond a swath
    values[:, :, :350] = np.nan
    data = xr.Dataset({"dx": (("pair", "y", "x"), values), "dy": (("pair", "y", "x"), values)})
    data.dx.encoding["chunks"] = chunks
    found = datasets.valid(data, {})
    assert "blocks" in found["counted"]
    if chunks is None:
        chunks = (1, 374, 700)
    assert found["share"] == pytest.approx(0.35, abs=0.05 if chunks[2] == 64 else 0.1)


@pytest.mark.parametrize("counts", [(3,), (20, 21), (7, 20, 20)])
def test_blocks_are_spread_evenly(counts):
    places = list(datasets._spread(list(counts), 60))
    assert all(0 <= k < count for place in places for k, count in zip(place, counts, strict=True))
    for axis, count in enumerate(counts):
        in_thirds = np.bincount([3 * place[axis] // count for place in places], minlength=3)
        assert in_thirds.min() >= 12


# ------------------------------------------------------------------------------------------------- unfinished stores


class Fails:
    def __init__(self, at):
        self.at = at

    def __call__(self, block, block_info=None):
        if block_info and block_info[0]["chunk-location"][-2:] == self.at:
            raise ValueError("a damaged file")
        return block


def unfinished(path):
    """Store of which one tile of six has failed."""
    product = shifts().chunk({"y": 3, "x": 3})
    broken = product.dx.data.map_blocks(Fails((1, 1)), dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    with pytest.raises(OSError, match="1 of 6 failed"):
        xoffset.to_zarr(product.assign(dx=product.dx.copy(data=broken)), path)
    return path.with_name(f"{path.name}.part")


class TestUnfinished:
    def test_tiles_done_and_failed(self, tmp_path):
        part = unfinished(tmp_path / "a.zarr")
        for path in (part, tmp_path / "a.zarr"):
            found = xoffset.info(path)
            assert found.kind == "shifts"
            assert found["complete"]["state"] == "unfinished"
            assert found["complete"]["tiles"] == {"total": 6, "done": 5, "empty": 0, "failed": 1}
            assert found["complete"]["reasons"] == {"(1, 1)": "ValueError: a damaged file"}
            assert found.is_whole
        # of what was written
        share = np.isfinite(shifts().dx).values
        share[:, 3:, 3:6] = False
        assert found["valid"]["share"] == pytest.approx(share.sum() / (2 * (54 - 9)))
        assert "where they were written" in found["valid"]["counted"]
        assert "unfinished: 5 of 6 tiles are done, 1 failed" in repr(found)

    def test_a_store_that_another_run_writes(self, tmp_path):
        unfinished(tmp_path / "a.zarr")
        held = {"host": "elsewhere", "process": 7, "began": None}
        (tmp_path / "a.zarr.lock").write_text(json.dumps(held))
        assert xoffset.info(tmp_path / "a.zarr")["complete"]["written_by"] == "process 7 on elsewhere"
        (tmp_path / "a.zarr.lock").write_text(
            json.dumps(held | {"host": socket.gethostname(), "process": 2**30, "began": "long ago"})
        )
        assert "written_by" not in xoffset.info(tmp_path / "a.zarr")["complete"]
        (tmp_path / "a.zarr.lock").write_text("{")
        assert "does not name itself" in xoffset.info(tmp_path / "a.zarr")["complete"]["written_by"]

    def test_lost_files_of_a_complete_store(self, tmp_path):
        xoffset.to_zarr(shifts().chunk({"y": 3, "x": 3}), tmp_path / "a.zarr")
        next((tmp_path / "a.zarr" / "dx" / "c").rglob("1/2")).unlink()
        found = xoffset.info(tmp_path / "a.zarr")
        assert "1 of 6 chunks of 'dx'" in " ".join(found["complete"]["lacking"])
        assert "incomplete" in found["complete"]["state"]

    def test_a_store_without_a_variable(self, tmp_path):
        made.rate().to_zarr(tmp_path / "a.zarr", consolidated=False)
        shutil.rmtree(tmp_path / "a.zarr" / "sigma_vx" / "c")
        assert "sigma_vx" in repr(xoffset.info(tmp_path / "a.zarr"))

    def test_a_store_without_the_record_of_its_tiles(self, tmp_path):
        part = unfinished(tmp_path / "a.zarr")
        shutil.rmtree(part / ".tiles" / "state")
        found = xoffset.info(part)
        assert found["complete"]["state"] == "unknown"
        assert "needs the record of the tiles" in found.problems[0]
        shutil.rmtree(part / ".tiles")
        assert "nothing tells which" in xoffset.info(part)["complete"]["state"]

    def test_a_store_without_its_places(self, tmp_path):
        product = made.rate()
        storage.encode(product)
        product.to_zarr(tmp_path / "a.zarr", consolidated=False)
        shutil.rmtree(tmp_path / "a.zarr" / "x" / "c")
        found = xoffset.info(tmp_path / "a.zarr")
        assert "chunks of 'x'" in found["complete"]["lacking"][0]
        assert found["grid"]["spacing"] is None

    def test_damaged_values_are_a_problem(self, tmp_path):
        shifts().to_zarr(tmp_path / "a.zarr", consolidated=False)
        file = next(each for each in (tmp_path / "a.zarr" / "dx" / "c").rglob("*") if each.is_file())
        file.write_bytes(file.read_bytes()[:-6])
        found = xoffset.info(tmp_path / "a.zarr")
        assert "valid" not in found.facts
        assert "needs readable values" in found.problems[0]
        assert tell(tmp_path / "a.zarr").exit_code == 1

    def test_cut_files_are_refused(self, tmp_path):
        shifts().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        content = (tmp_path / "a.nc").read_bytes()
        (tmp_path / "a.nc").write_bytes(content[: len(content) // 2])
        with pytest.raises(OSError, match=r"^info\(\) needs a whole HDF5 or netCDF4 file; got .*Fetch it again"):
            xoffset.info(tmp_path / "a.nc")
        shifts().to_zarr(tmp_path / "a.zarr", consolidated=False)
        (tmp_path / "a.zarr" / "zarr.json").write_text("{")
        with pytest.raises(OSError, match=r"^info\(\) needs .*; got .*"):
            xoffset.info(tmp_path / "a.zarr")

    def test_arrays_of_nobody(self, tmp_path):
        xr.Dataset({"a": ("k", [1.0, 2.0])}).to_zarr(tmp_path / "a.zarr", consolidated=False)
        with pytest.raises(ValueError, match=r"^info\(\) needs arrays on a grid.*variables \['a'\].*xarray"):
            xoffset.info(tmp_path / "a.zarr")


class TestRuns:
    def test_stages(self, tmp_path):
        stack, _ = synthetic.stack((96, 96), field="constant")
        xoffset.run("generic", stack, tmp_path / "out", search=4, template=16)
        found = xoffset.info(tmp_path / "out")
        assert found.kind == "run"
        assert found["recipe"] == "generic"
        assert found["parameters"]["template"] == 16
        kinds = [part.kind for part in found.parts]
        assert kinds == ["shifts", "shifts", "series", "rate"]
        assert set(found["stages"].values()) == {"complete, 1 of 1 tiles"}
        (tmp_path / "out" / "velocity.zarr").rename(tmp_path / "out" / "velocity.zarr.part")
        (tmp_path / "out" / "recipe.toml").write_text("recipe = ")
        found = xoffset.info(tmp_path / "out")
        assert found["stages"]["velocity.zarr"].startswith("unfinished")
        assert "recipe.toml cannot be read" in found.problems[0]

    def test_a_folder_of_a_run_that_has_just_begun(self, tmp_path):
        (tmp_path / "recipe.toml").write_text('recipe = "generic"\n')
        (tmp_path / "run.lock").write_text(json.dumps({"host": "elsewhere", "process": 7, "began": None}))
        found = xoffset.info(tmp_path)
        assert "nothing was written yet" in repr(found)
        assert "being written now by process 7 on elsewhere" in repr(found)


# ------------------------------------------------------------------------------------------------------------ scenes


class TestScenes:
    @pytest.mark.parametrize("as_zip", [False, True])
    def test_sentinel2(self, tmp_path, as_zip):
        safe_products.write(tmp_path, as_zip=as_zip)
        place = next(each for each in tmp_path.iterdir() if each.suffix == (".zip" if as_zip else ".SAFE"))
        found = xoffset.info(place)
        assert found.kind == "scene"
        scenes = found["scenes"]
        assert scenes == {
            "number": 1, "sensors": {"S2A": 1}, "levels": {"L1C": 1}, "tiles": {"31TGK": 1}, "orbits": {"65": 1},
        }  # fmt: skip
        assert found["bands"] == {"B04": 10.0, "B11": 20.0}
        assert found["dates"]["first"] == "2021-07-17T10:20:31"
        assert (found["grid"]["columns"], found["grid"]["spacing"]) == (240, [10.0, 10.0])
        assert found["crs"].startswith("EPSG:32631")
        assert "missing" not in found.facts

    def test_missing_band_and_clouds(self, tmp_path):
        safe_products.write(tmp_path)
        root = next(tmp_path.glob("*.SAFE"))
        next(root.glob("GRANULE/*/IMG_DATA/*_B04.jp2")).unlink()
        file = root / "MTD_MSIL1C.xml"
        text = file.read_text()
        end = text.rindex("</")
        file.write_text(f"{text[:end]}<Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment>{text[end:]}")
        found = xoffset.info(root)
        assert list(found["missing"].values()) == [["B04"]]
        assert found["clouds"] == {"number": 1, "least": 12.5, "median": 12.5, "most": 12.5}
        assert "12.5 % by the metadata" in repr(found)
        shutil.rmtree(next(root.rglob("IMG_DATA")))
        found = xoffset.info(root)
        assert found["grid"]["columns"] == 240

    def test_many_dates_of_which_one_lacks_a_tile(self, tmp_path):
        for date, tiles in (("2021-07-17", ("31TGK", "31TGL")), ("2021-07-27", ("31TGK",))):
            for tile in tiles:
                safe_products.write(tmp_path, date=f"{date}T10:20:31.024", tile=tile, size=240, bands=("B04",))
        found = xoffset.info(tmp_path)
        assert found.kind == "scenes"
        assert found["scenes"]["tiles"] == {"31TGK": 2, "31TGL": 1}
        assert found["missing"] == {"2021-07-27, orbit 65": ["tile 31TGL"]}
        assert set(found["grids"]) == {"31TGK", "31TGL"}

    def test_a_cut_archive_does_not_hide_the_others(self, tmp_path):
        safe_products.write(tmp_path, size=240, bands=("B04",), as_zip=True)
        whole = next(tmp_path.glob("*.zip"))
        cut = tmp_path / whole.name.replace("20210717", "20210727")
        cut.write_bytes(whole.read_bytes()[:2000])
        with pytest.raises(OSError, match=r"^info\(\) needs"):
            xoffset.info(cut)
        found = xoffset.info(tmp_path)
        assert found["scenes"]["number"] == 1
        assert cut.name in found.problems[0]
        result = tell(tmp_path)
        assert result.exit_code == 1
        assert "problem" in result.output

    @pytest.mark.parametrize("packed", [None, ".tar"])
    def test_landsat(self, tmp_path, packed):
        scene = landsat_products.write_scene(tmp_path, packed=packed)
        found = xoffset.info(scene.place)
        assert found["scenes"] == {
            "number": 1, "sensors": {"LC08": 1}, "levels": {"L1TP": 1}, "tiles": {"063018": 1}, "orbits": {"63": 1},
        }  # fmt: skip
        assert "B8" in found["bands"]
        assert "QA_PIXEL" not in found["bands"]
        assert found["dates"]["first"] == "2016-07-18T20:37:06"
        if packed is None:
            next(scene.place.glob("*_B3.*")).unlink()
            assert list(xoffset.info(scene.place)["missing"].values()) == [["B3"]]

    def test_a_broken_scene_among_other_things(self, tmp_path):
        made.rate().to_zarr(tmp_path / "rate.zarr", consolidated=False)
        (tmp_path / "LC08_L1TP_063018_20160718_20160719_02_T1_MTL.txt").write_text("")
        found = xoffset.info(tmp_path)
        assert [part.kind for part in found.parts] == ["rate"]
        assert "MTL.txt" in found.problems[0]
        with pytest.raises(ValueError, match=r"^info\(\) needs whole metadata of a Landsat scene"):
            xoffset.info(next(tmp_path.glob("*_MTL.txt")))
        (tmp_path / "S2A_MSIL1C_20200717T221941_N0209_R029_T01LAC_20200717T234135.SAFE").mkdir()
        with pytest.raises(FileNotFoundError, match=r"^info\(\) needs Sentinel-2 products"):
            xoffset.info(next(tmp_path.glob("*.SAFE")))

    def test_others(self, tmp_path):
        (tmp_path / "dimap").mkdir()
        (tmp_path / "planet").mkdir()
        dimap_products.write(tmp_path / "dimap")
        planetscope_products.write(tmp_path / "planet")
        found = xoffset.info(tmp_path / "dimap")
        assert found["scenes"]["number"] == 1
        assert found["grid"]["spacing"] == [0.5, 0.5]
        found = xoffset.info(tmp_path / "planet")
        assert list(found["bands"]) == ["blue", "green", "red", "nir"]
        place = eopf_products.write(tmp_path)
        found = xoffset.info(place)
        assert found["bands"]["B04"] == 10.0
        assert found["scenes"]["tiles"] == {"32TPS": 1}

    def test_an_archive_of_nobody(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.txt", "a")
        with pytest.raises(ValueError, match=r"^info\(\) needs archives of products that it knows.*; got .*Unpack"):
            xoffset.info(tmp_path / "a.zip")


# ----------------------------------------------------------------------------------------------------------- rasters


class TestRasters:
    def test_one_file(self, tmp_path):
        values = np.ones((40, 60), dtype="u2")
        values[:, :15] = 0
        found = xoffset.info(image(tmp_path / "a_20200717.tif", values, nodata=0))
        assert found.kind == "image"
        assert found["grid"] == {
            "columns": 60, "rows": 40, "unit_of_grid": "pixels", "spacing": [10.0, 10.0], "units": "m",
            "extent": [500_000.0, 4_999_600.0, 500_600.0, 5_000_000.0],
        }  # fmt: skip
        assert found["valid"]["share"] == 0.75
        assert found["dates"]["first"] == "2020-07-17T00:00:00"

    def test_a_folder(self, tmp_path):
        for k, day in enumerate(("20200101", "20200111", "20200611")):
            corner = 500_000.0 + 3.0 * (k == 1), 5_000_000.0
            image(tmp_path / f"red_{day}.tif", np.ones((20, 30), "u1"), corner=corner)
        (tmp_path / "README.md").write_text("none")
        found = xoffset.info(tmp_path)
        assert (found.kind, found["files"]) == ("images", 3)
        assert found["dates"]["longest_gap"]["days"] == 152.0
        assert "1 of 3 files are on other grids than this one" in found["note"]
        assert xoffset.info(str(tmp_path / "red_*.tif"))["files"] == 3

    def test_no_dates_no_georeference_and_degrees(self, tmp_path):
        image(tmp_path / "b.png", np.ones((20, 30), "u1"), crs=None, driver="PNG")
        text = repr(xoffset.info(tmp_path / "b.png"))
        assert "none told" in text
        assert "open_stack() needs pixel_size=" in text
        assert "CRS         none" in text
        path = image(tmp_path / "c.tif", np.ones((4, 4), "u1"), crs="EPSG:4326", corner=(7, 46), step=0.1)
        found = xoffset.info(path)
        assert found["grid"]["units"] == "degrees"
        assert "reproject" in found["crs"]

    def test_bands_that_are_dates(self, tmp_path):
        path = image(tmp_path / "a.tif", np.ones((2, 8, 8), "u1"))
        with rasterio.open(path, "r+") as file:
            file.descriptions = ("2020-01-01", "2020-02-01")
        found = xoffset.info(path)
        assert (found.kind, found["dates"]["number"]) == ("images", 2)

    def test_nodata_beside_an_alpha_band(self, tmp_path):
        values = np.full((4, 10, 10), 9, "u1")
        values[0, :, 0], values[3, 0] = 0, 0
        found = xoffset.info(image(tmp_path / "a.tif", values, nodata=0, photometric="RGB", alpha="yes"))
        assert found["valid"]["share"] == pytest.approx(0.81)

    def test_a_large_image_is_looked_at_in_windows(self, tmp_path):
        path = tmp_path / "a_20200101.tif"
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        shape = {"height": 10_000, "width": 10_000, "count": 1, "dtype": "uint16", "tiled": True, "sparse_ok": True}
        with rasterio.open(path, "w", nodata=0, compress="deflate", **shape, **place):
            pass
        start = time.monotonic()
        found = xoffset.info(path)
        assert time.monotonic() - start < 10.0
        assert found["valid"] == {"share": 0.0, "of": "the pixels", "counted": "0.15 % of them"}

    def test_a_cut_image(self, tmp_path):
        values = np.random.default_rng(0).integers(0, 9, (80, 80)).astype("u1")
        path = image(tmp_path / "a_20200101.png", values, crs=None, driver="PNG")
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(OSError, match="needs whole images"):
            xoffset.info(path)


# ----------------------------------------------------------------------------------------------------- other systems


class TestOtherSystems:
    def test_itslive(self, tmp_path):
        path = tmp_path / "pair.nc"
        itslive_files.granule(path)
        found = xoffset.info(path)
        assert (found.kind, found["pairs"]["number"]) == ("shifts", 1)
        assert "ITS_LIVE" in found["system"]

    def test_pycorr_geotiffs(self, tmp_path):
        pycorr_files.geotiffs(tmp_path)
        found = xoffset.info(tmp_path)
        # the masked speed is none of the files of a pair that are read
        assert found["holds"] == {"files of other systems": 4, "images": 1}
        part = found.parts[0]
        assert (part.kind, part["system"]) == ("shifts", "pycorr")
        assert part["pairs"]["baselines"]["median"] == pytest.approx(15.0, abs=1.0)

    def test_what_files_do_not_tell(self, tmp_path):
        for name in ("Px1", "Px2"):
            image(tmp_path / f"{name}.tif", np.zeros((5, 6), "f4"), crs=None)
        found = xoffset.info(tmp_path)
        assert found["system"] == "MicMac"
        assert found["needs"].startswith("open_shifts() needs")
        assert found["grid"]["columns"] == 6


# ---------------------------------------------------------------------------------------------------------- bad input


class TestBadInput:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"^info\(\) needs a file or folder; got .*nothing.*Check the path"):
            xoffset.info(tmp_path / "a")
        with pytest.raises(FileNotFoundError, match=r"^info\(\) needs a folder with .*holds nothing.*Give the path"):
            xoffset.info(tmp_path)
        for wrong in (None, 3, "", ["a"]):
            with pytest.raises(TypeError, match=r"^info\(\) needs a path"):
                xoffset.info(wrong)

    def test_unknown_things(self, tmp_path):
        (tmp_path / "a.bin").write_bytes(b"12345678" * 10)
        with pytest.raises(ValueError, match=r"^info\(\) needs a product.*a\.bin.*none that is known.*from_table"):
            xoffset.info(tmp_path / "a.bin")
        with pytest.raises(ValueError, match=r"^info\(\) needs a folder with .*holds a\.bin"):
            xoffset.info(tmp_path)
        (tmp_path / "empty.txt").write_text("")
        with pytest.raises(ValueError, match=r"^info\(\) needs a product"):
            xoffset.info(tmp_path / "empty.txt")

    def test_a_folder_of_several_kinds(self, tmp_path):
        safe_products.write(tmp_path, size=240, bands=("B04",))
        image(tmp_path / "a_20200101.tif", np.ones((4, 4), "u1"))
        made.rate().to_zarr(tmp_path / "rate.zarr", consolidated=False)
        (tmp_path / "broken.tif").write_bytes(b"II*\0")
        found = xoffset.info(tmp_path)
        assert found.kind == "folder"
        assert found["holds"] == {"scenes": 1, "images": 1, "stores": 1}
        assert sorted(part.kind for part in found.parts) == ["image", "rate", "scene"]
        assert "broken.tif" in found.problems[0]
        json.dumps(found.to_dict(), allow_nan=False)


class TestCommand:
    def test_one_bad_path_does_not_hide_the_others(self, tmp_path):
        made.rate().to_zarr(tmp_path / "rate.zarr", consolidated=False)
        result = tell(tmp_path / "rate.zarr", tmp_path / "none", tmp_path / "rate.zarr")
        assert result.exit_code == 1
        assert result.output.count("rate: ") == 2
        assert "Error: info() needs a file or folder" in result.output
        assert tell(tmp_path / "rate.zarr").exit_code == 0

    def test_json(self, tmp_path):
        made.rate().to_zarr(tmp_path / "rate.zarr", consolidated=False)
        result = tell("--json", tmp_path / "rate.zarr", tmp_path / "none")
        first, second = json.loads(result.output)
        assert first == json.loads(json.dumps(xoffset.info(tmp_path / "rate.zarr").to_dict()))
        assert first["grid"]["columns"] == 9
        assert set(second) == {"path", "error"}


# -------------------------------------------------------------------------------------------------------- real things


@pytest.mark.data
class TestReal:
    """What the README of each folder says."""

    def test_every_folder_is_told(self, data_folder):
        for folder in sorted(each for each in data_folder.iterdir() if each.is_dir()):
            found = xoffset.info(folder)
            assert not found.problems, folder.name
            json.dumps(found.to_dict(), allow_nan=False)

    def test_images(self, data_folder):
        found = xoffset.info(data_folder / "naip_stable")
        assert (found["files"], found["dates"]["number"]) == (10, 10)
        assert found["crs"].startswith("EPSG:26914")
        assert found["grid"]["spacing"] == [5.0, 5.0]
        found = xoffset.info(data_folder / "perito_moreno_s2")
        assert found["dates"]["number"] == 23
        assert found["crs"] is None
        assert "degrees" in repr(xoffset.info(data_folder / "river_landsat_latlon"))
        found = xoffset.info(data_folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc")
        assert (found.kind, found["dates"]["number"], found["dates"]["days"]) == ("stack", 68, 67)

    def test_scenes(self, data_folder):
        found = xoffset.info(data_folder / "sentinel2_safe")
        assert found["scenes"]["tiles"] == {"01LAC": 1, "07HFE": 1}
        assert len(next(iter(found["missing"].values()))) == 13
        found = xoffset.info(data_folder / "yahtse_landsat8")
        assert found["scenes"]["tiles"] == {"063018": 2}
        assert found["dates"]["longest_gap"]["days"] == pytest.approx(16.0, abs=0.01)
        assert found["grid"]["spacing"] == [15.0, 15.0]

    def test_results_of_others(self, data_folder):
        found = xoffset.info(data_folder / "kaskawulsh_velocity")
        assert (found["system"], found["pairs"]["baselines"]["median"]) == ("CARST", 32.0)
        assert found["grid"]["columns"] == 926
        points = xoffset.info(data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv")
        assert points["pairs"]["number"] == 2515
        assert points["pairs"]["baselines"]["longest"] == 545.0
        found = xoffset.info(Path(next((data_folder / "stac_and_landsat_metadata" / "itslive").glob("*.nc"))))
        assert found["valid"]["share"] == 0.0
