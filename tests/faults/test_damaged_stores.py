"""Stores whose files are damaged, cut or lost, at any place, are whole again after the next call, or it tells how."""

import shutil

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.pipeline import store

# Files that are damaged at random, one after the other; more of them find rarer places.
DAMAGES, SEED = 12, 11


@pytest.fixture(scope="module")
def product():
    """Corrected shifts: variables on the grid, along the pairs, and texts."""
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    random = np.random.default_rng(SEED)
    shape = (3, 24, 24)
    values = {name: (("pair", "y", "x"), random.normal(size=shape).astype("f4")) for name in ("dx", "dy")}
    values["flags"] = (("pair", "y", "x"), random.integers(0, 9, shape))
    values["n_stable"] = ("pair", np.arange(3))
    values["is_corrected"] = ("pair", np.array([True, False, True]))
    values["total"] = ((), np.float32(7.0))
    values["names"] = ("pair", np.array(["a", "b", "c"], dtype=object))
    days = np.array(dates, "M8[us]")
    pairs = {"reference": ("pair", days[[0, 0, 1]]), "secondary": ("pair", days[[1, 2, 2]])}
    return xr.Dataset(values, coords={"y": np.arange(24) * -40.0, "x": np.arange(24) * 40.0} | pairs)


@pytest.fixture(scope="module")
def complete(product, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "whole.zarr"
    return xoffset.to_zarr(product.chunk(y=8, x=8), path).compute(), path


def copied(complete, tmp_path, is_complete=True):
    path = tmp_path / "a.zarr"
    shutil.copytree(complete[1], path if is_complete else tmp_path / "a.zarr.part")
    return path


def flip(file, at):
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 16
    file.write_bytes(content)


def cut(file, at):
    file.write_bytes(file.read_bytes()[: int(at * file.stat().st_size)])


def lose(file, at):
    file.unlink()


def fill(file, at):
    file.write_bytes(bytes(file.stat().st_size))


def contents(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "begun"])
@pytest.mark.parametrize(
    "name", ["dx/c/0/1/1", "n_stable/c/0", "is_corrected/c/0", "total/c", "names/c/0", "x/c/0", "reference/c/0",
             "zarr.json", "dx/zarr.json", ".tiles/state/c/1/1", ".tiles/checksum/zarr.json"]
)  # fmt: skip
@pytest.mark.parametrize("damage", [flip, cut, lose])
def test_what_is_damaged_is_written_anew(product, complete, tmp_path, name, damage, is_complete):
    whole, path = complete[0], copied(complete, tmp_path, is_complete)
    before = contents(path if is_complete else tmp_path / "a.zarr.part")
    damage((path if is_complete else tmp_path / "a.zarr.part") / name, 0.5)
    seen = []
    found = xoffset.to_zarr(product.chunk(y=8, x=8), path, resume=True, progress=seen.append)
    xr.testing.assert_identical(found.compute(), whole)
    assert contents(path) == before
    assert all(each.new <= 1 for each in seen)
    assert [each.name for each in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("damage", [flip, cut, lose, fill])
def test_a_store_that_does_not_tell_what_it_is_says_what_to_do(product, complete, tmp_path, damage):
    path = copied(complete, tmp_path)
    damage(path / store.RECORD / "zarr.json", 0.001)
    with pytest.raises(ValueError, match=r"of which nothing tells.*Choose another path, or remove it"):
        xoffset.to_zarr(product.chunk(y=8, x=8), path, resume=True)


def test_damage_is_never_read_as_values(product, complete, tmp_path):
    """Zarr alone would read most of it."""
    path = copied(complete, tmp_path)
    flip(path / "dx/c/0/1/1", 0.3)
    with pytest.raises(Exception, match=r"(?i)corrupt|decompress|checksum"):
        xr.open_zarr(path, consolidated=False).dx.load()


def test_any_file_may_be_damaged(product, complete, tmp_path):
    random = np.random.default_rng(SEED)
    names = sorted(name for name in contents(complete[1]) if name != f"{store.RECORD}/zarr.json")
    path, before = copied(complete, tmp_path), contents(complete[1])
    for _ in range(DAMAGES):
        for name in random.choice(names, 3, replace=False):
            random.choice([flip, cut, lose, fill])(path / name, random.uniform())
        found = xoffset.to_zarr(product.chunk(y=8, x=8), path, resume=True)
        assert contents(path) == before
    xr.testing.assert_identical(found.compute(), complete[0])


def test_a_damaged_stage_of_a_run_is_computed_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)
    stack, _ = synthetic.stack((128, 128), dates=["2020-01-01", "2021-01-01"], field="constant", velocity=10.0)
    expected = {name: each.compute() for name, each in xoffset.run("generic", stack, tmp_path, search=3).items()}
    for shards in ("matches.zarr/dx/c", "velocity.zarr/vx/c"):
        flip(max(each for each in (tmp_path / shards).rglob("*") if each.is_file()), 0.4)
    seen = []
    found = xoffset.run("generic", stack, tmp_path, search=3, progress=seen.append)
    for name, each in expected.items():
        xr.testing.assert_identical(found[name].compute(), each)
    assert [(each.stage, each.new) for each in seen if each.new] == [("Matching", 1), ("Fitting velocity", 1)]
