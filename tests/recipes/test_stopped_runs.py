"""Runs of recipes that are stopped in every stage, and before every file, go on to the same products and files."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.pipeline import files
from xoffset.pipeline import run as running

MONTHS = np.arange("2020-01-01", "2020-07-01", 30, dtype="datetime64[D]")[:6]
YEARS = np.array(["2018-11-22", "2019-11-22", "2020-11-20"], dtype="datetime64[D]")
# recipe, dates, and options; matching is what takes time
RUNS = {
    "pycorr": (MONTHS[:2], {"inc": 8, "half_source_chip": 8, "half_target_chip": 12}),
    "annual-rate": (YEARS, {"search_limit": 4, "chip_size_max": 16}),
    "tio": (MONTHS[:4], {"max_pairs_per_date": 2}),
    "landslide": (MONTHS[:4], {"max_velocity": 60.0, "window": (16,), "min_nodes": 10}),
    "glacier": (MONTHS[:3], {"max_velocity": 60.0, "window": (16,)}),
    "earthquake": (MONTHS[:4], {"date": "2020-02-15", "max_displacement": 6.0, "window": (16,), "min_nodes": 10}),
}


@pytest.fixture(autouse=True)
def without_a_page(monkeypatch):
    monkeypatch.setattr(running, "report", lambda folder: None)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_stopped_again_and_again_ends_like_one_that_was_not(name, tmp_path, monkeypatch):
    dates, options = RUNS[name]
    stack = synthetic.stack((80, 88), dates=dates, velocity=20.0, direction=120.0, snr=6.0, seed=3)[0].chunk()
    stages, written, write = [], [], files.write

    def note(state):
        stages.append(state.stage)

    def count(*arguments):
        written.append(arguments[0])
        write(*arguments)

    monkeypatch.setattr(files, "write", count)
    whole = xoffset.run(name, stack, tmp_path / "whole", progress=note, **options)
    stages = list(dict.fromkeys(stages))
    assert len(stages) > 1
    for stage in stages:
        with pytest.raises(KeyboardInterrupt):
            xoffset.run(name, stack, tmp_path / "stopped", progress=stops_in(stage), **options)
    for file in list(dict.fromkeys(written)):
        monkeypatch.setattr(files, "write", stops_before(file, write))
        with pytest.raises(KeyboardInterrupt):
            xoffset.run(name, stack, tmp_path / "stopped", **options)
    monkeypatch.setattr(files, "write", write)
    found = xoffset.run(name, stack, tmp_path / "stopped", **options)
    for product, each in whole.items():
        xr.testing.assert_identical(found[product].compute(), each.compute())
    same(tmp_path / "stopped", tmp_path / "whole")


def stops_in(stage):
    def interrupt(state):
        if state.stage == stage and state.new > 0:
            raise KeyboardInterrupt

    return interrupt


def stops_before(name, write):
    def call(*arguments):
        if arguments[0] == name:
            raise KeyboardInterrupt
        write(*arguments)

    return call


def same(one, other):
    """The same files, and rasters, pictures, tables and texts byte by byte."""
    places = [
        sorted(each.relative_to(folder) for each in folder.rglob("*") if each.is_file()) for folder in (one, other)
    ]
    assert places[0] == places[1]
    for place in places[0]:
        if ".zarr" not in str(place) and place.suffix in (".tif", ".csv", ".toml", ".txt", ".png", ".wld"):
            assert (one / place).read_bytes() == (other / place).read_bytes(), place
