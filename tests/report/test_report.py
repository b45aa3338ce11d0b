"""report(): the page of a run, finished or not, whatever its products hold."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from report_runs import small_run, stores

import xoffset
from xoffset import cli
from xoffset._arrays import codes
from xoffset.report import layers, nodes, page
from xoffset.report.facts import valid_by_stage
from xoffset.report.folder import Run
from xoffset.report.measures import Measures, measure
from xoffset.report.verdict import Facts, judge

LIMIT = 15_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    return folder, small_run(folder)


def text_of(path):
    return Path(path).read_text(encoding="utf-8")


def data_of(path):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text_of(path), re.S)[1])


def grade_of(path):
    return re.search(r'class="verdict (\w+)"', text_of(path))[1]


def test_each_run_ends_with_its_report(run):
    folder, _ = run
    text = text_of(folder / "report.html")
    assert "Report of a run of <strong>generic</strong>" in text
    assert 'href="./velocity/vx.tif"' in text
    assert "larger images, a smaller search" in text
    without_scripts = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="https?:', without_scripts)


def test_a_report_that_fails_loses_no_products(run, tmp_path, monkeypatch, caplog):
    def fails(out):
        raise RuntimeError("no luck")

    monkeypatch.setattr("xoffset.pipeline.run.report", fails)
    stack, _ = xoffset.synthetic.stack((96, 96))
    found = xoffset.run("generic", stack, tmp_path / "out", search=4)
    assert "velocity" in found
    assert "report.html was not written: no luck" in caplog.text


def test_without_the_extra_a_run_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("xoffset.pipeline.run.has_extra", lambda: False)
    stack, _ = xoffset.synthetic.stack((96, 96))
    xoffset.run("generic", stack, tmp_path / "out", search=4)
    assert not (tmp_path / "out" / "report.html").exists()
    assert caplog.text.count("report.html is not written: it needs matplotlib") == 1


def test_a_page_that_would_be_the_same_is_left_alone(products, tmp_path):
    path = xoffset.report(stores(tmp_path, **products))
    os.utime(path, (1e9, 1e9))
    assert xoffset.report(tmp_path) == path
    assert path.stat().st_mtime == 1e9
    faster = products["velocity"].copy()
    faster["vx"] = (2.0 * faster["vx"]).assign_attrs(faster["vx"].attrs)
    faster.to_zarr(tmp_path / "velocity.zarr", mode="w", consolidated=False)
    xoffset.report(tmp_path)
    assert path.stat().st_mtime > 1e9


def test_maps_hold_every_node(run):
    folder, _ = run
    held = data_of(folder / "report.html")["maps"]
    velocity = xoffset.open_result(folder / "velocity.zarr").load().sortby("y", ascending=False)
    for name in ("vx", "vy"):
        array = held["arrays"][f"velocity.{name}"]
        found = codes.unpacked(array)
        np.testing.assert_array_equal(np.isnan(found), velocity[name].isnull().values)
        assert np.nanmax(np.abs(found - velocity[name].values)) <= 0.51 * array["step"]
        assert array["step"] <= 0.25 * float(velocity[f"sigma_{name}"].max())
    sigma = codes.unpacked(held["arrays"]["velocity.sigma_vx"])
    assert np.nanmax(np.abs(sigma / velocity["sigma_vx"].values - 1.0)) < 0.03
    titles = [layer["title"] for layer in held["layers"]]
    assert titles[0] == "speed"
    assert {
        "velocity along x",
        "standard error of the velocity",
        "first reason why a value is missing or doubtful",
    } <= {*titles}


def test_stable_ground_is_given_or_told_by_the_recipe(run, tmp_path):
    folder, truth = run
    shifts = xoffset.open_result(folder / "corrected.zarr")
    speed = np.hypot(truth.vx, truth.vy).assign_coords(x=truth.x + 5e5, y=truth.y + 5e6)
    path = xoffset.report(folder, path=tmp_path / "elsewhere.html", stable=speed == 0.0)
    assert path == tmp_path / "elsewhere.html"
    assert "Stable ground has a median of" in text_of(path)
    assert 'href="../' in text_of(path)
    with pytest.raises(ValueError, match=r"True on at least one node"):
        xoffset.report(folder, path=path, stable=speed < 0.0)
    assert shifts.sizes["pair"] == 9


def test_an_unfinished_run_says_what_is_missing(run, tmp_path):
    folder, _ = run
    part = tmp_path / "part"
    shutil.copytree(folder, part)
    shutil.rmtree(part / "velocity.zarr")
    shutil.rmtree(part / "series.zarr")
    (part / "corrected.zarr").rename(part / "corrected.zarr.part")
    path = xoffset.report(part)
    assert grade_of(path) == "unfinished"
    assert "corrected: unfinished" in text_of(path)
    assert "series: not begun; velocity: not begun" in text_of(path)
    assert data_of(path)["maps"]["layers"][0]["title"] == "displacement"


def test_a_run_that_was_not_begun_has_a_page_all_the_same(run, tmp_path):
    folder, _ = run
    (tmp_path / "recipe.toml").write_text((folder / "recipe.toml").read_text())
    path = xoffset.report(tmp_path)
    assert grade_of(path) == "unfinished"
    assert "There is no map yet" in text_of(path)


def test_a_store_that_cannot_be_read_is_named(run, tmp_path):
    folder, _ = run
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    shutil.rmtree(broken / "series.zarr" / "dx")
    (broken / "series.zarr" / "zarr.json").write_text("{")
    assert "series.zarr cannot be read" in text_of(xoffset.report(broken))


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.fixture(scope="module")
def products():
    stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-03-01", "2020-05-01"])
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    return {"shifts": shifts, "series": xoffset.invert(shifts), "velocity": xoffset.velocity(shifts)}


@pytest.mark.parametrize(
    "kind", ["one pair", "one node", "one row", "all NaN", "huge sigma", "one date", "no velocity"]
)
def test_awkward_products_have_a_page(products, tmp_path, kind):
    found = {name: each.copy(deep=True) for name, each in products.items()}
    if kind == "one pair":
        found["shifts"] = found["shifts"].isel(pair=[0])
    elif kind == "one node":
        found = {name: each.isel(y=[5], x=[5]) for name, each in found.items()}
    elif kind == "one row":
        found = {name: each.isel(y=[5]) for name, each in found.items()}
    elif kind == "all NaN":
        for each in found.values():
            for name in ("dx", "dy", "vx", "vy", "sigma_dx", "sigma_dy", "sigma_vx", "sigma_vy"):
                if name in each:
                    each[name][:] = np.nan
    elif kind == "huge sigma":
        for name in ("sigma_vx", "sigma_vy"):
            found["velocity"][name][:] = 1e30
    elif kind == "one date":
        found["series"] = found["series"].isel(time=[0])
    else:
        del found["velocity"], found["series"]
    path = xoffset.report(stores(tmp_path / "out", **found))
    grades = {"all NaN": "bad", "one pair": "care", "huge sigma": "care"}
    assert grade_of(path) == grades.get(kind, grade_of(path))
    assert data_of(path)["maps"]["layers"]
    grid = data_of(path)["maps"]["grid"]
    assert grid["step_y"] == grid["step_x"]


def test_names_with_html_in_them_stay_texts(products, tmp_path):
    name = '<img src=x onerror="alert(1)">&'
    folder = stores(tmp_path / name.replace("/", ""), velocity=products["velocity"], shifts=products["shifts"])
    product = products["velocity"].copy()
    product["vx"] = product["vx"].assign_attrs(long_name="</script><script>alert(2)</script>")
    product.to_zarr(folder / "velocity.zarr", mode="w", consolidated=False)
    text = text_of(xoffset.report(folder))
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert data_of(folder / "report.html")["maps"]["layers"][1]["title"].startswith("</script>")


def test_names_of_files_are_no_addresses(products, tmp_path):
    folder = stores(tmp_path, velocity=products["velocity"])
    record = {"step": {"made_of": {}, "files": {"javascript:alert(1)//": 3, "a b#?.tif": 5}}}
    (folder / "files.json").write_text(json.dumps(record))
    text = text_of(xoffset.report(folder))
    assert 'href="./javascript%3Aalert%281%29//"' in text
    assert 'href="./a%20b%23%3F.tif"' in text


def test_a_place_that_cannot_be_written_is_named(run, tmp_path):
    folder, _ = run
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"report\(\) needs a place that can be written.*Name another file"):
        xoffset.report(folder, path=tmp_path / "file" / "report.html")
    with pytest.raises(OSError, match=r"needs the name of a file; got the folder"):
        xoffset.report(folder, path=tmp_path)


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"needs the folder of a run.*which holds notes.txt.*Give the folder"):
        xoffset.report(tmp_path)
    with pytest.raises(FileNotFoundError, match="which holds nothing"):
        xoffset.report(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="path"):
        xoffset.report(3)


def test_the_command_writes_the_report(run, tmp_path):
    folder, _ = run
    done = CliRunner().invoke(cli.main, ["report", str(folder), "-o", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    assert done.output == f"Report: {tmp_path / 'a.html'}\n"
    done = CliRunner().invoke(cli.main, ["report", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "needs the folder of a run" in done.output


# ----------------------------------------------------------------------------------------------------------------- size


class Noise:
    """Values that are made when they are asked for, whatever the size of the whole."""

    def __init__(self, shape, scale, mean=0.0):
        self.shape, self.scale, self.mean = shape, scale, mean
        self.ndim, self.dtype = len(shape), np.dtype("float32")

    def __getitem__(self, key):
        slices = [(each, size) for each, size in zip(key, self.shape, strict=True) if isinstance(each, slice)]
        shape = [len(range(*each.indices(size))) for each, size in slices]
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        return np.float32(self.mean) + np.float32(self.scale) * (values if self.mean == 0.0 else np.abs(values))


def lazy(names, dims, shape):
    import dask.array

    chunks = (*shape[:-2], 4096, 4096)
    coords = {"y": -80.0 * np.arange(shape[-2]), "x": 80.0 * np.arange(shape[-1])}
    units = {"v": "m yr-1", "d": "m"}
    return xr.Dataset(
        {
            name: (dims, dask.array.from_array(Noise(shape, *of), chunks=chunks), {"units": units[name[-2]]})
            for name, of in names.items()
        },
        coords=coords,
    )


def vectors(kind, dims, shape, scale):
    names = {f"{kind}{axis}": (scale,) for axis in "xy"}
    return lazy(names | {f"sigma_{kind}{axis}": (0.3 * scale, 0.5 * scale) for axis in "xy"}, dims, shape)


def run_of(products):
    states = dict.fromkeys(products, "complete")
    return Run(Path("/results"), None, "generic", {}, {}, {}, "0.1.0", products, states, {})


def page_of(run, measures):
    found = layers.vectors_of(run.products)
    maps = layers.maps_of(run.products, found)
    given = {
        "nodes": nodes.nodes_of(run.products.get("series"), measures.shifts),
        "poster": layers.poster(found[0]),
        "above": "",
    }
    given["valid"] = valid_by_stage(run, found, measures)
    return page.page(run, measures, judge(Facts()), maps, given), maps


def test_a_large_run_fits_into_a_page():
    """A tile of Sentinel-2 at every eighth pixel: white noise, of which nothing can be packed."""
    side, dates = 1372, np.datetime64("2020-01-01", "us") + np.timedelta64(5, "D") * np.arange(60)
    ends = np.array([(a, b) for a in range(60) for b in range(a + 1, min(a + 8, 60))])
    series = vectors("d", ("time", "y", "x"), (60, side, side), 1.0).assign_coords(time=dates)
    shifts = vectors("d", ("pair", "y", "x"), (len(ends), side, side), 1.0).assign_coords(
        reference=("pair", dates[ends[:, 0]]), secondary=("pair", dates[ends[:, 1]])
    )
    velocity = vectors("v", ("y", "x"), (side, side), 1.0)
    text, maps = page_of(run_of({"corrected": shifts, "series": series, "velocity": velocity}), Measures(shifts=shifts))
    assert len(text.encode()) <= LIMIT
    assert maps.grid.columns == maps.grid.rows == side
    titles = [layer["title"] for layer in maps.layers]
    assert {"speed", "vx", "vy", "standard error of the velocity", "displacement"} <= {*titles}


def test_huge_grids_are_decimated_and_say_so():
    text, maps = page_of(run_of({"velocity": vectors("v", ("y", "x"), (10_000, 10_000), 1.0)}), Measures())
    assert maps.grid.every == 7
    assert maps.grid.columns == 1429
    assert "The grid is decimated: 1 node of 7 along each axis is shown." in text
    assert len(text.encode()) <= LIMIT


def test_measures_say_why_something_is_not_there(products, tmp_path):
    found = measure(run_of({"velocity": products["velocity"]}), None)
    assert found.why_not["losses"] == "no shifts were written yet"
    found = measure(run_of({"shifts": products["shifts"]}), None)
    assert found.why_not == {"stable": "the run names no stable ground"}
    assert int(found.losses["nodes"].sum()) == products["shifts"]["dx"].size


def test_a_run_behind_an_address_has_its_report_there(products):
    import fsspec

    address = "memory://report/out"
    for name in ("shifts", "velocity"):
        xoffset.to_zarr(products[name], f"{address}/{name}.zarr")
    assert xoffset.report(address) == f"{address}/report.html"
    text = fsspec.filesystem("memory").cat("/report/out/report.html").decode()
    assert 'href="./velocity.zarr/"' in text
    assert "complete" in text
