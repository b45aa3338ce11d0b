"""Progress: for functions, for a bar where one is asked for, and a clean end when a run is stopped from outside."""

import builtins
import math
import os
import signal

import forked
import pytest
import xarray as xr
from click.testing import CliRunner

import xoffset
from xoffset import cli, synthetic
from xoffset.pipeline import progress
from xoffset.pipeline.progress import Progress, as_report

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]

# the command, whose tiles are small, two at a time; after some of them the next waits until a signal has come
COMMAND = """
import os, signal, sys
from xoffset import cli
from xoffset._arrays import lattice
from xoffset._blocks import tiles, writes
lattice.TILE = tiles.WINDOW = 64
writes.workers_here = lambda: 1
source, out, before = sys.argv[1:]
match, matched = tiles._match_window, []
heard, hears = os.pipe()
os.set_blocking(hears, False)
signal.set_wakeup_fd(hears)
def waits(*arguments):
    matched.append(None)
    if len(matched) == int(before) + 1:
        print("waits", flush=True)
        os.read(heard, 1)
    return match(*arguments)
tiles._match_window = waits
cli.main(["run", source, "-o", out, "--template", "16", "--search", "3"])
"""


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((160, 190), dates=DATES, field="constant", velocity=10.0)[0]


@pytest.fixture(scope="module")
def rate(stack):
    return xoffset.velocity(xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=3))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (Progress("Matching", 0, 10, 0, 0.0), "Matching: 0 of 10 tiles"),
        (Progress("Matching", 4, 10, 2, 4.0), "Matching: 4 of 10 tiles, 30 a minute, 12 s left"),
        (Progress("Matching", 4, 100, 1, 60.0), "Matching: 4 of 100 tiles, 1 a minute, 1 h 36 min left"),
        (Progress("Matching", 9, 10, 4, 400.0), "Matching: 9 of 10 tiles, 0.6 a minute, 1 min 40 s left"),
        (Progress("Matching", 10, 10, 2, 4.0), "Matching: 10 of 10 tiles"),
        (Progress("Matching", 4, 10, 2, 4.0, True), "Matching: 4 of 10 tiles, waits for workers"),
    ],
)
def test_a_state_reads_as_a_line(state, text):
    assert str(state) == text


def test_nothing_is_known_before_the_first_tile():
    state = Progress("Matching", 3, 10, 0, 0.0)
    assert math.isnan(state.rate)
    assert math.isnan(state.left)
    assert Progress("Matching", 3, 10, 2, 4.0).rate == 0.5


def test_nothing_is_shown_unasked(rate, tmp_path, capsys):
    xoffset.to_zarr(rate.chunk(y=8, x=8), tmp_path / "a.zarr")
    xoffset.to_zarr(rate.chunk(y=8, x=8), tmp_path / "b.zarr", progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_drawn_where_it_is_asked_for(rate, tmp_path, capsys):
    pytest.importorskip("tqdm")
    xoffset.to_zarr(rate.chunk(y=8, x=8), tmp_path / "a.zarr", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "a.zarr" in err
    assert "9/9" in err


def test_a_bar_begins_where_the_run_was(capsys):
    pytest.importorskip("tqdm")
    bar = progress.Bar("run")
    for state in (
        Progress("Matching", 7, 9, 0, 0.0), Progress("Matching", 7, 9, 0, 0.0, True),
        Progress("Matching", 9, 9, 2, 1.0), Progress("Screening", 0, 9, 0, 0.0),
    ):  # fmt: skip
        bar(state)
    err = capsys.readouterr().err
    assert "7/9" in err
    assert "waits for workers" in err
    assert err.count("Screening") >= 1


def test_without_tqdm_the_extra_is_named(monkeypatch):
    find = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"run\(\) needs tqdm.*xoffset\[progress\]"):
        as_report(True, "run")


@pytest.mark.parametrize("given", ["bar", 1, [print]])
def test_what_cannot_be_called_is_refused(rate, tmp_path, given):
    with pytest.raises(TypeError, match=r"needs a function as progress, or True for a bar.*progress=print"):
        xoffset.to_zarr(rate, tmp_path / "a.zarr", progress=given)
    assert not list(tmp_path.iterdir())


def test_the_command_tells_rate_and_time_left(stack, tmp_path, monkeypatch):
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr(cli._Bar, "__init__", lambda self: self.__dict__.update(told=0.0, interval=0.0))
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    command = ["run", str(tmp_path / "stack.zarr"), "-o", str(tmp_path / "out"), "--template", "16", "--search", "3"]
    done = CliRunner().invoke(cli.main, command)
    assert done.exit_code == 0, done.output
    assert "a minute" in done.output
    assert "Matching: 9 of 9 tiles" in done.output


@pytest.mark.skipif(not forked.CAN_FORK, reason="no processes to fork here")
def test_signals_end_the_command_cleanly(stack, tmp_path):
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    out = tmp_path / "out"
    # the third tile begins when two are written
    for name, before in (("SIGINT", 2), ("SIGTERM", 0)):
        process = forked.begin(COMMAND, tmp_path / "stack.zarr", out, before).until("waits")
        process.signal(getattr(signal, name))
        status, _, errors = process.end()
        assert status == 1
        assert "stopped. What is done is kept: the same command goes on." in errors
        assert not list(out.glob("*.lock"))
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xoffset._blocks.tiles.WINDOW", 64)
        patch.setattr("xoffset._arrays.lattice.TILE", 64)
        found = xoffset.run("generic", tmp_path / "stack.zarr", out, template=16, search=3, progress=seen.append)
        shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=3), template=16, search=3)
    assert seen[0].done >= 2
    xr.testing.assert_equal(found["velocity"].compute(), xoffset.velocity(xoffset.screen(shifts, min_score=0.5)))
    assert os.listdir(out / "velocity")  # noqa: PTH208
