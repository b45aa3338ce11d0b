"""run(): a recipe carried out in stages that are stored, with the results of the functions it calls."""

import json
import os
import re
import shutil
import socket

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset import synthetic
from xoffset._blocks import tiles
from xoffset.pipeline import costs, folder, lock, planning
from xoffset.pipeline import files as files_of_runs
from xoffset.recipes import Generic

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
CHANGES = {"template": 16, "search": 4}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((140, 160), dates=DATES, field="constant", velocity=15.0, direction=90.0, nodata=0.01)[0]


@pytest.fixture
def narrow(monkeypatch):
    """Tiles small enough that a small image has several."""
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)


@pytest.fixture
def files(stack, tmp_path):
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for date, image in zip(DATES, stack.fillna(0.0).values, strict=True):
        path = scenes / f"a_{date.replace('-', '')}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=140, width=160, count=1, dtype="float32", nodata=0, **place
        ) as file:
            file.write(image, 1)
    return scenes


@pytest.fixture(scope="module")
def ended(stack, tmp_path_factory):
    """Folder of a run that has ended."""
    out = tmp_path_factory.mktemp("ended") / "out"
    xoffset.run("generic", stack, out, **CHANGES)
    return out


@pytest.fixture
def out(ended, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(ended, tmp_path / "out")


def by_hand(stack):
    shifts = xoffset.screen(xoffset.correlate(stack, xoffset.pairs(stack, max_gap=3), **CHANGES), min_score=0.5)
    return {"shifts": shifts, "series": xoffset.invert(shifts), "velocity": xoffset.velocity(shifts)}


@pytest.mark.usefixtures("narrow")
def test_a_run_does_what_the_functions_do(stack, tmp_path):
    seen = []
    found = xoffset.run("generic", stack, tmp_path / "out", progress=seen.append, **CHANGES)
    assert list(found) == ["matches", "shifts", "series", "velocity"]
    for name, expected in by_hand(stack).items():
        xr.testing.assert_equal(found[name].compute(), expected)
    assert list(dict.fromkeys(each.stage for each in seen)) == [
        "Matching", "Screening", "Inverting", "Fitting velocity"
    ]  # fmt: skip
    assert seen[0].total > 4
    assert (tmp_path / "out" / "velocity" / "vx.tif").exists()
    assert not list((tmp_path / "out").glob("*.lock"))


@pytest.mark.usefixtures("narrow")
def test_files_are_read_by_windows_and_go_on_after_any_stage(files, tmp_path):
    expected = {name: each.compute() for name, each in xoffset.run("generic", files, tmp_path / "a", **CHANGES).items()}
    for stage in ("Matching", "Screening", "Inverting", "Fitting velocity"):

        def interrupt(state, stage=stage):
            if state.stage == stage and state.new == min(2, state.total):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            xoffset.run("generic", files, tmp_path / "b", progress=interrupt, **CHANGES)
    found = xoffset.run("generic", files, tmp_path / "b", **CHANGES)
    for name, each in expected.items():
        xr.testing.assert_identical(found[name].compute(), each)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        path.name for path in (tmp_path / "b").iterdir()
    )


def test_inputs_that_were_replaced_are_named(files, tmp_path):
    xoffset.run("generic", files, tmp_path / "out", **CHANGES)
    scene = next(files.glob("*.tif"))
    scene.write_bytes(scene.read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"same images.*inputs: {scene}: was .* bytes, .*is .* bytes"):
        xoffset.run("generic", files, tmp_path / "out", **CHANGES)
    xoffset.run("generic", files, tmp_path / "out", overwrite=True, **CHANGES)


def test_images_with_the_size_and_time_of_others_are_named(files, tmp_path):
    """What a copy that keeps times leaves."""
    xoffset.run("generic", files, tmp_path / "out", **CHANGES)
    scene = next(files.glob("*.tif"))
    before, content = scene.stat(), bytearray(scene.read_bytes())
    content[len(content) // 4 :] = bytes(len(content) - len(content) // 4)
    scene.write_bytes(content)
    os.utime(scene, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert scene.stat().st_size == before.st_size
    with pytest.raises(ValueError, match=rf"same images.*inputs: {scene}: was"):
        xoffset.run("generic", files, tmp_path / "out", **CHANGES)


def test_images_that_are_replaced_while_it_runs_are_named(files, tmp_path):
    scene = next(files.glob("*.tif"))

    def replaces(state):
        if state.stage == "Matching" and state.new == state.total:
            scene.touch()

    with pytest.raises(ValueError, match=rf"stay as they are.*before matches.zarr was complete: {scene}: was"):
        xoffset.run("generic", files, tmp_path / "out", progress=replaces, **CHANGES)
    with pytest.raises(ValueError, match=rf"same images.*inputs: {scene}: was"):
        xoffset.run("generic", files, tmp_path / "out", **CHANGES)


def test_files_of_a_run_are_those_of_its_product(stack, out):
    """A killed run leaves files that are half there, and a user removes a store whose parameters have changed."""
    names = sorted(path.name for path in (out / "velocity").iterdir())
    (out / files_of_runs.SCRATCH).mkdir()
    (out / "velocity" / "vx.tif").rename(out / files_of_runs.SCRATCH / "vx.tif")
    (out / "velocity" / "vy.tif").write_bytes(b"cut")
    xoffset.run("generic", stack, out, **CHANGES)
    assert not (out / files_of_runs.SCRATCH).exists()
    assert sorted(path.name for path in (out / "velocity").iterdir()) == names
    for name in ("shifts", "series", "velocity"):
        shutil.rmtree(out / f"{name}.zarr")
    changed = xoffset.run("generic", stack, out, min_score=0.95, **CHANGES)
    with rasterio.open(out / "velocity" / "vx.tif") as file:
        np.testing.assert_array_equal(file.read(1), changed["velocity"].vx)


def test_a_run_that_goes_on_is_not_overwritten(stack, tmp_path):
    out, refused = tmp_path / "out", []

    def second(state):
        if state.stage == "Screening" and not refused:
            with pytest.raises(BlockingIOError, match="needs to be the only one"):
                xoffset.run("generic", stack, out, overwrite=True, **CHANGES)
            refused.append(state)

    found = xoffset.run("generic", stack, out, progress=second, **CHANGES)
    assert refused
    assert list(found) == ["matches", "shifts", "series", "velocity"]


def test_what_an_overwriting_run_leaves_when_stopped_is_not_gone_on_with(stack, out, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", Stopped())
    with pytest.raises(KeyboardInterrupt):
        xoffset.run("generic", stack, out, overwrite=True, **CHANGES)
    monkeypatch.undo()
    with pytest.raises(FileExistsError, match="--overwrite"):
        xoffset.run("generic", stack, out, **CHANGES)
    xoffset.run("generic", stack, out, overwrite=True, **CHANGES)


class Stopped:
    """A function during which the user stops it."""

    def __call__(self, *_, **__):
        raise KeyboardInterrupt


def test_what_else_lies_in_the_folder_of_the_images_does_not_count(files):
    found = xoffset.run("generic", files, files / "out", **CHANGES)
    (files / "notes.txt").write_text("mine")
    again = xoffset.run("generic", files, files / "out", **CHANGES)
    xr.testing.assert_identical(again["velocity"].compute(), found["velocity"].compute())
    image = next(files.glob("*.tif"))
    (files / "a_20220101.tif").write_bytes(image.read_bytes())
    with pytest.raises(ValueError, match=r"dates: reference: was"):
        xoffset.run("generic", files, files / "out", **CHANGES)


def test_other_images_in_memory_are_refused(stack, out):
    with pytest.raises(ValueError, match="inputs: scenes: was"):
        xoffset.run("generic", stack + 1.0, out, **CHANGES)


def test_another_sun_of_a_lazy_stack_is_refused(stack, tmp_path):
    # chunks make dask arrays of its coordinates, too
    lazy, options = stack.assign_coords(sun_elevation=20.0 + stack.time.dt.month).chunk(), CHANGES
    assert lazy.sun_elevation.chunks is not None
    xoffset.run("generic", lazy, tmp_path / "out", **options)
    other = lazy.assign_coords(sun_elevation=lazy.sun_elevation + 1.0)
    with pytest.raises(ValueError, match="inputs: scenes: was"):
        xoffset.run("generic", other, tmp_path / "out", **options)


def test_a_stage_whose_parameters_changed_is_refused_and_those_before_it_stay(stack, out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(ValueError, match=r"series.zarr; got other ones: steps: \d invert: reference: was"):
        xoffset.run("generic", stack, out, reference="2021-01-01", **CHANGES)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.parametrize("changes", [{"template": 200}, {"reference": "1999-01-01"}, {"max_baseline": "soon"}])
def test_bad_options_are_refused_before_anything_is_made(stack, tmp_path, changes):
    with pytest.raises(ValueError, match=r"needs"):
        xoffset.run("generic", stack, tmp_path / "out", **CHANGES | changes)
    assert not (tmp_path / "out").exists()


def test_results_of_others_are_left_alone(stack, tmp_path):
    (tmp_path / "velocity").mkdir()
    with pytest.raises(FileExistsError, match="another folder"):
        xoffset.run("generic", stack, tmp_path, **CHANGES)
    with pytest.raises(FileExistsError, match="Choose another folder"):
        xoffset.run("generic", stack, tmp_path, overwrite=True, **CHANGES)
    assert [path.name for path in tmp_path.iterdir()] == ["velocity"]


def test_a_second_run_in_the_folder_is_refused(stack, tmp_path):
    held = {"host": socket.gethostname(), "process": os.getppid(), "began": lock._began(os.getppid())}
    (tmp_path / "run.lock").write_text(json.dumps(held))
    with pytest.raises(BlockingIOError, match=rf"process {os.getppid()} on"):
        xoffset.run("generic", stack, tmp_path, **CHANGES)


def test_the_recipe_lies_beside_the_products_and_makes_them_again(stack, out, tmp_path):
    first = xoffset.open_result(out / "velocity.zarr").compute()
    second = xoffset.run(out / folder.RECIPE, stack, tmp_path / "b")
    xr.testing.assert_identical(second["velocity"].compute(), first)
    third = xoffset.run(Generic(**CHANGES), stack, out)
    xr.testing.assert_identical(third["velocity"].compute(), first)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("limit", ["2 GB", 2e9, "2GiB"])
def test_memory_is_kept_within_its_limit(stack, tmp_path, limit):
    plan = planning.within("generic", stack, CHANGES, tmp_path / "out", limit)
    assert plan.workers.keys() == {"matches", "shifts", "series", "velocity", "files"}
    assert all(workers >= 1 for workers in plan.workers.values())
    told = r"run\(\) needs 0\.\d\d GB for one tile, of [a-z ]+; got memory_limit=0.00 GB. Raise"
    with pytest.raises(MemoryError, match=told):
        xoffset.run("generic", stack, tmp_path / "out", memory_limit="1 kB", **CHANGES)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("narrow")
def test_costs_are_told_of_every_stage_before_anything_is_made(stack, tmp_path, monkeypatch):
    monkeypatch.setattr(costs.writes, "workers_here", lambda: 3)
    stages = xoffset.estimate_run("generic", stack, tmp_path / "out", memory_limit="2 GB", order=0, **CHANGES)
    assert [stage.title for stage in stages] == [
        "Matching", "Screening", "Correcting", "Inverting", "Fitting velocity", "Writing files"
    ]  # fmt: skip
    assert all(stage.cpu_seconds > 0.0 and stage.at_once == min(3, stage.tiles) for stage in stages)
    assert re.fullmatch(
        r"Matching: 6 tiles, .* CPU s, 0.\d\d GB a thread, reads .* GB, writes .* GB, 3 at a time", str(stages[0])
    )
    untimed = xoffset.estimate_run("generic", stack, tmp_path / "out", calibrate=False, order=0, **CHANGES)
    assert np.isnan(untimed[0].cpu_seconds)
    assert [each[2:3] + each[4:] for each in untimed] == [each[2:3] + each[4:] for each in stages]
    with pytest.raises(MemoryError, match=r"for one tile, of [a-z ]+; got memory_limit=0.00 GB. Raise"):
        xoffset.estimate_run("generic", stack, tmp_path / "out", memory_limit="1 kB", **CHANGES)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", ["much", "8 XB", 0, -1.0])
def test_limits_that_are_none_are_refused(stack, tmp_path, limit):
    with pytest.raises(ValueError, match="memory_limit"):
        xoffset.run("generic", stack, tmp_path / "out", memory_limit=limit, **CHANGES)


@pytest.mark.parametrize(
    ("text", "number"), [("8 GB", 8e9), ("1.5MB", 1.5e6), ("2 GiB", 2 * 1024.0**3), ("12 B", 12.0)]
)
def test_limits_are_bytes(text, number):
    assert planning.as_bytes(text) == number


@pytest.mark.usefixtures("narrow")
def test_masks_and_stable_ground_are_used(files, tmp_path):
    layers = tmp_path / "layers"
    layers.mkdir()
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    for date in DATES:
        values = np.full((140, 160), 5, np.uint8)
        values[:, :40] = 9 if date == DATES[1] else 5
        with rasterio.open(
            layers / f"{date.replace('-', '')}_SCL.tif", "w", driver="GTiff", height=140, width=160, count=1,
            dtype="uint8", **place,
        ) as file:  # fmt: skip
            file.write(values, 1)
    masks = str(layers / "*.tif")
    found = xoffset.run("generic", files, tmp_path / "out", mask=masks, order=0, min_nodes=20, **CHANGES)
    stack = xoffset.open_stack(files)
    mask = xoffset.masking.usable(xoffset.masking.classes(masks, like=stack))
    shifts = xoffset.screen(
        xoffset.correlate(stack, xoffset.pairs(stack, max_gap=3), mask=mask, **CHANGES), min_score=0.5
    )
    xr.testing.assert_equal(found["shifts"].compute(), shifts)
    expected = xoffset.correct(shifts, order=0, by_date=False, min_nodes=20)
    np.testing.assert_array_equal(found["corrected"].dx, expected.dx)
    (layers / f"{DATES[0].replace('-', '')}_SCL.tif").touch()
    with pytest.raises(ValueError, match=r"matches.zarr; got other ones: inputs: .*SCL"):
        xoffset.run("generic", files, tmp_path / "out", mask=masks, order=0, min_nodes=20, **CHANGES)


def test_workers_of_a_cluster_write_the_same(files, tmp_path):
    distributed = pytest.importorskip("distributed")
    expected = xoffset.run("generic", files, tmp_path / "here", **CHANGES)["velocity"].compute()
    with (
        distributed.LocalCluster(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        dask.config.set(scheduler=client),
    ):
        found = xoffset.run("generic", files, tmp_path / "there", memory_limit="2 GB", **CHANGES)
        with pytest.raises(MemoryError, match="for the 1 threads of a worker"):
            xoffset.run("generic", files, tmp_path / "small", memory_limit="1 kB", **CHANGES)
    xr.testing.assert_identical(found["velocity"].compute(), expected)
    assert found["matches"].compute().identical(xoffset.open_result(tmp_path / "here" / "matches.zarr").compute())


def test_smaller_tiles_keep_a_limit_and_a_run_goes_on_with_its_own(tmp_path, monkeypatch):
    # two images in turn: what they show costs nothing here
    pair, _ = synthetic.stack((800, 800), dates=DATES[:2])
    dates = np.arange("2020-01", "2022-01", dtype="M8[M]").astype("M8[us]")
    stack = pair.isel(time=np.arange(dates.size) % 2).assign_coords(time=("time", dates, pair.time.attrs))
    out = tmp_path / "out"
    usual = planning.within("generic", stack, {}, out, "2 GB")
    assert usual.side == tiles.WINDOW
    stages = costs.stages_of(usual.recipe.steps, usual.results, calibrate=False)
    assert [stage.name for stage in stages] == ["matches", "shifts", "series", "velocity", "files"]
    assert all(stage.memory > 0 and stage.read > 0 and stage.written > 0 for stage in stages)
    most = max(stage.memory for stage in stages)
    plan = planning.make_plan("generic", stack, {}, tiles.WINDOW // 2)
    least = max(stage.memory for stage in costs.stages_of(plan.recipe.steps, plan.results, calibrate=False))
    assert least < most
    smaller = planning.within("generic", stack, {}, out, least)
    assert smaller.side < usual.side
    assert smaller.results["velocity"].chunksizes["x"][0] < usual.results["velocity"].chunksizes["x"][0]
    # as many at a time as the limit lets, of each stage
    monkeypatch.setattr(costs.writes, "workers_here", lambda: 50)
    many = planning.within("generic", stack, {}, out, 3.5 * most)
    assert min(many.workers.values()) == 3 < max(many.workers.values())
    # without a limit that of the machine or container counts
    monkeypatch.setattr(planning.quota, "memory", lambda: 2.0 * most)
    assert min(planning.within("generic", stack, {}, out, None).workers.values()) == 1
    made = {"tiles": [32, 32], "steps": {"1": {"function": "correlate", "step": 8}}}
    monkeypatch.setattr(planning, "made_of", lambda path: made)
    assert planning.within("generic", stack, {}, out, "2 GB").side == 256
