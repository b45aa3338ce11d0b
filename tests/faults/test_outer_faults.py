"""What goes wrong around a run: full disks, images that vanish, servers that fail, clocks that jump."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from unreliable_server import serving

import xoffset
from xoffset import synthetic
from xoffset.pipeline import standing
from xoffset.readers import patience

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
CHANGES = {"template": 16, "search": 3}
STEPS = ("matches", "shifts", "series", "velocity")

# a disk of its own, which is full at first and then larger
DISK = """
import subprocess, sys
import xarray as xr, zarr
import xoffset
source, disk = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk], check=True)
shifts = xoffset.open_result(source).load()
lazy = shifts.chunk(y=8, x=8)
try:
    xoffset.to_zarr(lazy, f"{disk}/a.zarr")
except OSError as error:
    print(error)
done = int((zarr.open_group(f"{disk}/a.zarr.part/.tiles", mode="r")["state"][:] == 1).sum())
print("done", done)
try:
    xoffset.to_zarr(lazy, f"{disk}/a.zarr", resume=True)
except OSError as error:
    print(error)
subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
seen = []
found = xoffset.to_zarr(lazy, f"{disk}/a.zarr", resume=True, progress=seen.append)
assert seen[0].done >= done, seen[0]
xr.testing.assert_identical(found.compute(), shifts)
print("whole")
"""
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((140, 160), dates=DATES, field="constant", velocity=15.0, direction=90.0, nodata=0.01)[0]


@pytest.fixture
def narrow(monkeypatch):
    """Tiles small enough that a small image has several."""
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)


@pytest.fixture(scope="module")
def scenes(stack, tmp_path_factory):
    """Files of the images, which no test changes for good."""
    folder = tmp_path_factory.mktemp("scenes")
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    for date, image in zip(DATES, stack.fillna(0.0).values, strict=True):
        with rasterio.open(
            folder / f"a_{date.replace('-', '')}.tif", "w", driver="GTiff", height=140, width=160, count=1,
            dtype="float32", nodata=0, tiled=True, blockxsize=64, blockysize=64, **place,
        ) as file:  # fmt: skip
            file.write(image, 1)
    return folder


@pytest.fixture
def files(scenes, tmp_path):
    copies = tmp_path / "scenes"
    copies.mkdir()
    for each in scenes.iterdir():
        (copies / each.name).write_bytes(each.read_bytes())
    return copies


@pytest.fixture(scope="module")
def expected(scenes, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xoffset._arrays.lattice.TILE", 64)
        patch.setattr("xoffset._blocks.tiles.WINDOW", 64)
        found = xoffset.run("generic", scenes, tmp_path_factory.mktemp("expected") / "out", **CHANGES)
        return {name: each.compute() for name, each in found.items()}


def same(found, expected):
    for name in STEPS:
        xr.testing.assert_equal(found[name].compute(), expected[name])


def once(stage, action, at=1):
    """A function of progress that acts after a tile of a stage."""
    acted = []

    def report(state):
        if state.stage == stage and state.new == at and not acted:
            acted.append(state)
            action()

    return report


# ---------------------------------------------------------------------------------------------------------------- disks


def has_own_mounts():
    try:
        done = subprocess.run([*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def test_a_disk_that_fills_up_stops_it_and_room_lets_it_go_on(expected, tmp_path):
    if not has_own_mounts():
        pytest.skip("no file system of one's own can be mounted here")
    expected["shifts"].to_zarr(tmp_path / "source.zarr", consolidated=False)
    (tmp_path / "disk").mkdir()
    command = [*OWN_MOUNTS, sys.executable, "-c", DISK, tmp_path / "source.zarr", tmp_path / "disk"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    full = (
        r"a disk that can be written is needed for tile .* No space left on device.*What is written is safe: make room"
    )
    assert len(re.findall(full, done.stdout)) == 2
    assert done.stdout.endswith("whole\n")
    assert int(re.search(r"^done (\d+)", done.stdout, re.M)[1]) > 0


SAFE = r"needed for tile|needs a folder that stays"


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("stage", "at"),
    [("Matching", "first"), ("Screening", "last"), ("Inverting", "first"), ("Fitting velocity", "last")],
)
def test_a_disk_that_vanishes_is_told_and_its_return_ends_the_run(scenes, expected, tmp_path, stage, at):
    """Whatever is written in its place would be lost, or in the way of it."""
    out, away = tmp_path / "out", tmp_path / "away"

    def vanish(state):
        if state.stage == stage and (at == "first" or state.done == state.total) and not away.exists():
            out.rename(away)

    with pytest.raises(OSError, match=rf"(?s)({SAFE}).*safe: .*run the same again"):
        xoffset.run("generic", scenes, out, progress=vanish, **CHANGES)
    assert not out.exists()
    away.rename(out)
    seen = []
    same(xoffset.run("generic", scenes, out, progress=seen.append, **CHANGES), expected)
    assert stage == "Matching" or "Matching" not in [each.stage for each in seen]
    assert not list(out.glob("*.lock"))


def test_a_disk_that_vanishes_at_any_write_is_never_written_beside(expected, tmp_path, monkeypatch):
    """Of a store that is just begun, and of one whose tiles are written."""
    shifts = expected["shifts"].load()
    lazy, write = shifts.chunk(y=8, x=8), standing.write_below
    writes, out, away = itertools.count(), tmp_path / "out", tmp_path / "away"
    monkeypatch.setattr(standing, "write_below", lambda *asked: (next(writes), write(*asked)))
    xr.testing.assert_identical(xoffset.to_zarr(lazy, out / "a.zarr").compute(), shifts)
    count = next(writes)
    for last in range(0, count, 7):
        shutil.rmtree(out)
        writes = itertools.count()

        def write_or_vanish(root, key, value, writes=writes, last=last):
            if next(writes) == last:
                out.rename(away)
            write(root, key, value)

        monkeypatch.setattr(standing, "write_below", write_or_vanish)
        with pytest.raises(OSError, match=r"need(s|ed) .*; got .*\. \S"):
            xoffset.to_zarr(lazy, out / "a.zarr")
        assert not out.exists()
        away.rename(out)
        xr.testing.assert_identical(xoffset.to_zarr(lazy, out / "a.zarr", resume=True).compute(), shifts)
        assert [each.name for each in out.iterdir()] == ["a.zarr"]


# --------------------------------------------------------------------------------------------------------------- images


@pytest.mark.usefixtures("narrow")
def test_an_image_that_vanishes_is_told_and_its_return_ends_the_run(files, expected, tmp_path):
    scene, away = files / "a_20200701.tif", tmp_path / "away.tif"
    with pytest.raises(
        OSError, match=r"of \d+ failed.*a_20200701.tif.*All others are safe: mend the cause and run the"
    ):
        xoffset.run(
            "generic", files, tmp_path / "out", progress=once("Matching", lambda: scene.rename(away)), **CHANGES
        )
    away.rename(scene)
    seen = []
    same(xoffset.run("generic", files, tmp_path / "out", progress=seen.append, **CHANGES), expected)
    assert seen[0].done >= 1


@pytest.mark.usefixtures("narrow")
def test_an_image_that_is_replaced_is_never_mixed_with_the_one_before(files, expected, tmp_path):
    scene = files / "a_20200701.tif"
    content = scene.read_bytes()

    def replace():
        scene.write_bytes((files / "a_20200101.tif").read_bytes())

    with pytest.raises(OSError, match=r"of \d+ failed.*has changed since"):
        xoffset.run("generic", files, tmp_path / "out", progress=once("Matching", replace), **CHANGES)
    with pytest.raises(ValueError, match=r"same images.*a_20200701.tif: was"):
        xoffset.run("generic", files, tmp_path / "out", **CHANGES)
    scene.write_bytes(content)
    same(xoffset.run("generic", files, tmp_path / "out", overwrite=True, **CHANGES), expected)


# -------------------------------------------------------------------------------------------------------------- servers


@pytest.fixture(scope="module")
def served(scenes):
    with serving(scenes, pause=20.0) as server:
        yield server


def addresses(served, behaviour):
    return [f"{served.address}/{behaviour.format(k)}/a_{date.replace('-', '')}.tif" for k, date in enumerate(DATES)]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE", 0.0)
    monkeypatch.setattr(patience, "SILENCE", 1)
    monkeypatch.setattr(patience, "TRIES", 3)


@pytest.mark.usefixtures("narrow", "quick")
def test_a_server_that_fails_for_a_moment_changes_nothing(served, expected, tmp_path):
    same(xoffset.run("generic", addresses(served, "503x2-a{}"), tmp_path / "out", **CHANGES), expected)


@pytest.mark.usefixtures("narrow", "quick")
@pytest.mark.parametrize("behaviour", ["429x1-b{}", "dropx2-c{}", "416x1-d{}", "cutx1-e{}"])
def test_images_of_servers_that_fail_for_a_moment_are_matched_as_others(served, expected, tmp_path, behaviour):
    # what comes after reads no image
    found = xoffset.run("generic", addresses(served, behaviour), tmp_path / "out", tiles=":", **CHANGES)
    xr.testing.assert_equal(found["matches"].compute(), expected["matches"])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("behaviour", ["503", "drop", "cut", "404", "403", "416", "slow"])
def test_servers_that_fail_for_good_are_told_in_time(served, tmp_path, behaviour):
    began = time.monotonic()
    told = r"needs answers of a server.*a_20200101.tif after \d tries. Check the address"
    with pytest.raises(OSError, match=told):
        xoffset.run("generic", addresses(served, behaviour), tmp_path / "out", **CHANGES)
    assert time.monotonic() - began < 20
    assert not list(tmp_path.glob("out/*.zarr"))


@pytest.mark.usefixtures("narrow", "quick")
def test_a_server_that_goes_away_in_the_middle_is_told_and_its_return_ends_the_run(scenes, expected, tmp_path):
    with serving(scenes) as server:
        images = addresses(server, "ok")
        with pytest.raises(OSError, match=r"of \d+ failed.*needs answers of a server"):
            xoffset.run(
                "generic", images, tmp_path / "out", progress=once("Matching", lambda: server.switch("503")), **CHANGES
            )
        server.switch("")
        same(xoffset.run("generic", images, tmp_path / "out", **CHANGES), expected)


# --------------------------------------------------------------------------------------------------------------- clocks


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("years", [-30, 30])
def test_clocks_that_jump_change_nothing(files, expected, tmp_path, monkeypatch, years):
    """Images and parts of stores come from another time, and the clock itself jumps during the run."""
    now, jump = time.time(), years * 3.15e7
    for scene in files.iterdir():
        os.utime(scene, (now + jump, now + jump))

    def turn():
        monkeypatch.setattr(time, "time", lambda: now + jump)
        monkeypatch.setattr(time, "time_ns", lambda: int((now + jump) * 1e9))
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        xoffset.run("generic", files, out, progress=once("Screening", turn), **CHANGES)
    for each in out.rglob("*"):
        os.utime(each, (now - jump, now - jump))
    seen = []
    same(xoffset.run("generic", files, out, progress=seen.append, **CHANGES), expected)
    assert "Matching" not in [each.stage for each in seen]
    assert np.isfinite([each.seconds for each in seen]).all()
