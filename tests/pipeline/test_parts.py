"""Processes that share a run by parts of its tiles: the bits of one process, and none in the way of another."""

import json
import os
import shutil
import socket

import forked
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import xoffset
from xoffset import cli, synthetic
from xoffset._blocks import tiles
from xoffset.pipeline import lock, parts, writing
from xoffset.pipeline.parts import Part, as_part

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
CHANGES = {"template": 16, "search": 3}
ARRAY = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "2", "SLURM_ARRAY_TASK_COUNT": "3"}

ELEMENT = """
import sys
import xoffset
from xoffset._arrays import lattice
from xoffset._blocks import tiles
lattice.TILE = tiles.WINDOW = 64
print(sorted(xoffset.run("generic", sys.argv[1], sys.argv[2], template=16, search=3, tiles="@SLURM_ARRAY")))
"""


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((160, 190), dates=DATES, field="constant", velocity=15.0, direction=90.0, nodata=0.01)[0]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Tiles small enough that a small image has several."""
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)


@pytest.fixture(scope="module")
def whole(stack, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xoffset._arrays.lattice.TILE", 64)
        patch.setattr("xoffset._blocks.tiles.WINDOW", 64)
        return {name: each.compute() for name, each in xoffset.run("generic", stack, out, **CHANGES).items()}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, each in found.items():
        xr.testing.assert_identical(each.compute(), expected[name])


# -------------------------------------------------------------------------------------------------------- which tiles


@pytest.mark.parametrize(
    ("tiles", "expected"),
    [
        (None, None), (slice(0, 5), (0, 5)), (slice(None), (0, 12)), (range(3, 9), (3, 9)), ("0:5", (0, 5)),
        ("5:", (5, 12)), (":-2", (0, 10)), ("8:100", (8, 12)), ("100:200", (12, 12)), ("0/5", (0, 2)), ("4/5", (9, 12)),
        ("none", (0, 0, True)),
    ],
)  # fmt: skip
def test_parts_are_slices_and_shares(tiles, expected):
    assert as_part(tiles, 12, "run") == (expected if expected is None else Part(*expected))


@pytest.mark.parametrize("of", [1, 2, 5, 12, 30])
def test_shares_hold_each_tile_once(of):
    shares = [as_part(f"{k}/{of}", 12, "run") for k in range(of)]
    assert [tile for first, stop, _ in shares for tile in range(first, stop)] == list(range(12))


@pytest.mark.parametrize("tiles", ["0-100", "a", "", "1:2:3", "5/5", slice(0, 9, 2), range(0, 9, 2)])
def test_parts_that_cannot_be_read_are_refused(tiles):
    with pytest.raises(ValueError, match=r"run\(\) needs .*; got .*\. Pass tiles such as '0:100'"):
        as_part(tiles, 12, "run")


@pytest.mark.parametrize("tiles", [3, [0, 1], True])
def test_other_types_are_refused(tiles):
    with pytest.raises(TypeError, match="needs a part of the tiles"):
        as_part(tiles, 12, "run")


@pytest.mark.parametrize(("first", "step", "count"), [(0, 1, 3), (1, 1, 3), (10, 5, 4)])
def test_elements_of_an_array_share_all_tiles(monkeypatch, first, step, count):
    last, taken = first + (count - 1) * step, []
    for name, value in {"MIN": first, "MAX": last, "COUNT": count, "STEP": step}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    for number in range(first, last + 1, step):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(number))
        part = as_part("@SLURM_ARRAY", 12, "run")
        taken += range(part.first, part.stop)
    assert taken == list(range(12))


def test_without_a_job_array_the_advice_is_one(monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    with pytest.raises(ValueError, match=r"got no SLURM_ARRAY_TASK_ID. Submit it with sbatch --array"):
        as_part("@SLURM_ARRAY", 12, "run")
    for name, value in (ARRAY | {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"even steps; got 2 from 0 to 2"):
        as_part("@SLURM_ARRAY", 12, "run")


# ---------------------------------------------------------------------------------------------------------- together


def test_parts_one_after_the_other_make_the_whole(stack, whole, tmp_path):
    out, seen = tmp_path / "out", []
    assert xoffset.run("generic", stack, out, tiles="0:3", progress=seen.append, **CHANGES) == {}
    assert (seen[-1].done, seen[-1].total) == (3, 3)
    assert xoffset.run("generic", stack, out, tiles=slice(0, 3), **CHANGES) == {}
    assert not (out / "matches.zarr").exists()
    found = xoffset.run("generic", stack, out, tiles=range(3, 100), **CHANGES)
    assert list(found) == ["matches"]
    assert sorted(path.name for path in out.iterdir()) == ["matches.zarr", "recipe.toml", "xoffset-results.txt"]
    # a part of what is there already
    assert list(xoffset.run("generic", stack, out, tiles="0:3", **CHANGES)) == ["matches"]
    assert_same(xoffset.run("generic", stack, out, tiles="none", **CHANGES), whole)


@pytest.mark.skipif(not forked.CAN_FORK, reason="no processes to fork here")
def test_processes_of_a_job_array_write_at_once(stack, whole, tmp_path):
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    processes = [
        forked.begin(ELEMENT, tmp_path / "stack.zarr", tmp_path / "out", **ARRAY, SLURM_ARRAY_TASK_ID=k)
        for k in range(3)
    ]
    ended = [process.end() for process in processes]
    assert [status for status, _, _ in ended] == [0, 0, 0], ended
    assert {out.strip() for _, out, _ in ended} <= {"[]", "['matches']"}
    assert not list((tmp_path / "out").glob("*.lock"))
    seen = []
    found = xoffset.run(
        "generic", tmp_path / "stack.zarr", tmp_path / "out", tiles=":", progress=seen.append, **CHANGES
    )
    assert not seen
    for variable in ("dx", "dy", "flags"):
        np.testing.assert_array_equal(found["matches"][variable], whole["matches"][variable])


def test_what_comes_after_tells_which_tiles_lack(stack, whole, tmp_path):
    out = tmp_path / "out"
    xoffset.run("generic", stack, out, tiles="2:5", **CHANGES)
    with pytest.raises(OSError, match=r"needs every tile of .*matches.zarr; \d+ of \d+ are not there, numbers 0, 1, 5"):
        xoffset.run("generic", stack, out, tiles="none", **CHANGES)
    # without tiles what lacks is computed
    seen = []
    assert_same(xoffset.run("generic", stack, out, progress=seen.append, **CHANGES), whole)
    assert seen[0].done == 3


def test_a_part_that_fails_leaves_the_others_alone(stack, whole, tmp_path, monkeypatch):
    out, reads = tmp_path / "out", tiles.part_of
    xoffset.run("generic", stack, out, tiles="0:2", **CHANGES)

    def breaks(*_):
        raise ValueError("a damaged file")

    monkeypatch.setattr("xoffset._blocks.tiles.part_of", breaks)
    with pytest.raises(OSError, match=r"2 of 2 failed.*a damaged file"):
        xoffset.run("generic", stack, out, tiles="2:4", **CHANGES)
    monkeypatch.setattr("xoffset._blocks.tiles.part_of", reads)
    assert xoffset.run("generic", stack, out, tiles="4:6", **CHANGES) == {}
    found = xoffset.run("generic", stack, out, tiles=":", **CHANGES)
    xr.testing.assert_identical(found["matches"].compute(), whole["matches"])


def test_the_slower_of_two_finds_it_ended(stack, whole, tmp_path, monkeypatch):
    """Another part ends the store while this one looks whether all is there."""
    out, check = tmp_path / "out", writing._check_written
    xoffset.run("generic", stack, out, tiles="1:", **CHANGES)

    def slower(store, *arguments):
        store.finish()
        return check(store, *arguments)

    monkeypatch.setattr(writing, "_check_written", slower)
    found = xoffset.run("generic", stack, out, tiles="0:1", **CHANGES)
    xr.testing.assert_identical(found["matches"].compute(), whole["matches"])


def test_two_that_begin_at_once_share_one_store(stack, tmp_path, monkeypatch):
    """The second begins while the first lays out the store."""
    out, laid, begun = tmp_path / "out", writing.TileStore._lay_out, []

    def lay_out(self, *arguments, **options):
        laid(self, *arguments, **options)
        if not begun:
            begun.append("second")
            xoffset.run("generic", stack, out, tiles="2:4", **CHANGES)

    monkeypatch.setattr(writing.TileStore, "_lay_out", lay_out)
    xoffset.run("generic", stack, out, tiles="0:2", **CHANGES)
    monkeypatch.setattr(writing.TileStore, "_lay_out", laid)
    seen = []
    xoffset.run("generic", stack, out, tiles="0:5", progress=seen.append, **CHANGES)
    assert seen[0].done == 4
    assert not list(out.glob("*.new"))


# -------------------------------------------------------------------------------------------------------------- locks


def held(place, process):
    place.parent.mkdir(parents=True, exist_ok=True)
    told = {"host": socket.gethostname(), "process": process, "began": lock._began(process) or "long ago"}
    place.write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("tiles", "other"),
    [("0:4", "run.0-4.lock"), ("0:4", "run.3-9.lock"), (None, "run.0-4.lock"), ("0:4", "run.lock"),
     ("none", "run.0-4.lock")],
)  # fmt: skip
def test_who_would_write_the_same_tiles_is_refused(stack, tmp_path, tiles, other):
    held(tmp_path / other, os.getppid())
    with pytest.raises(BlockingIOError, match=rf"the only one that writes .*process {os.getppid()} on .*Wait for it"):
        xoffset.run("generic", stack, tmp_path, tiles=tiles, **CHANGES)
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_other_parts_are_no_hindrance(stack, tmp_path):
    held(tmp_path / "run.4-9.lock", os.getppid())
    held(tmp_path / "matches.zarr.4-9.lock", os.getppid())
    assert xoffset.run("generic", stack, tmp_path, tiles="0:2", **CHANGES) == {}


def test_parts_of_processes_that_have_ended_are_taken_over(stack, tmp_path, caplog):
    held(tmp_path / "run.1-9.lock", 2**22 + 1)
    assert xoffset.run("generic", stack, tmp_path, tiles="0:2", **CHANGES) == {}
    assert "has ended" in caplog.text
    assert not list(tmp_path.glob("*.lock"))


def test_parts_never_replace_results(stack, tmp_path):
    with pytest.raises(ValueError, match=r"overwrite=True and tiles.*Remove the results before"):
        xoffset.run("generic", stack, tmp_path, tiles="0:2", overwrite=True, **CHANGES)


def test_parts_with_other_parameters_are_refused(stack, tmp_path):
    xoffset.run("generic", stack, tmp_path, tiles="0:2", **CHANGES)
    with pytest.raises(ValueError, match=r"steps: \d correlate: search: was 3, is 4"):
        xoffset.run("generic", stack, tmp_path, tiles="2:4", template=16, search=4)


def test_a_complete_store_that_lost_files_is_not_mended_by_a_part(stack, tmp_path):
    xoffset.run("generic", stack, tmp_path, tiles=":", **CHANGES)
    shutil.rmtree(tmp_path / "matches.zarr" / "dx" / "c")
    with pytest.raises(OSError, match=r"lost files, and a part of the tiles. Run it without tiles"):
        xoffset.run("generic", stack, tmp_path, tiles="0:2", **CHANGES)


# ------------------------------------------------------------------------------------------------------------ command


def test_the_command_takes_tiles(stack, tmp_path):
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    command = ["run", str(tmp_path / "stack.zarr"), "-o", str(tmp_path / "out"), "--template", "16", "--search", "3"]
    done = CliRunner().invoke(cli.main, [*command, "--tiles", "0/2"])
    assert done.exit_code == 0, done.output
    assert "Tiles of other parts are not there yet" in done.output
    assert "are not there, numbers" in CliRunner().invoke(cli.main, [*command, "--tiles", "none"]).output
    assert "All tiles are there" in CliRunner().invoke(cli.main, [*command, "--tiles", "1/2"]).output
    assert "Pass tiles such as" in CliRunner().invoke(cli.main, [*command, "--tiles", "first"]).output
    assert parts.SLURM in CliRunner().invoke(cli.main, ["run", "--help"]).output
