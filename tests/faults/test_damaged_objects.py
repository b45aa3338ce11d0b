"""Objects of a store that are lost or cut, and parts that begin one at the same time, behind an address in memory."""

import threading

import fsspec
import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.memory import MemoryFileSystem

import xoffset
from xoffset.pipeline import store, writing
from xoffset.pipeline.identity import made_of
from xoffset.pipeline.parts import as_part
from xoffset.pipeline.places import as_place


@pytest.fixture(scope="module")
def product():
    values = {"dx": (("pair", "y", "x"), np.random.default_rng(0).normal(size=(3, 16, 16)).astype("f4"))}
    values["is_corrected"] = ("pair", np.array([True, False, True]))
    values["total"] = ((), np.float32(7.0))
    values["names"] = ("pair", np.array(["a", "b", "c"], dtype=object))
    return xr.Dataset(values, coords={"y": np.arange(16) * -40.0, "x": np.arange(16) * 40.0})


@pytest.fixture
def url(request):
    yield f"memory://{request.node.name}/a.zarr".replace("[", "-").replace("]", "")
    fsspec.filesystem("memory").store.clear()


def cut(system, key):
    system.pipe_file(key, system.cat_file(key)[:-1])


def lose(system, key):
    system.rm_file(key)


@pytest.mark.parametrize("damage", [cut, lose])
def test_objects_that_are_cut_or_lost_are_written_anew(product, url, damage):
    """One after the other, of a store that is complete."""
    lazy, (system, key) = product.chunk(y=8, x=8), fsspec.core.url_to_fs(url)
    expected = xoffset.to_zarr(lazy, url).compute()
    for name in ("dx/c/0/1/1", "dx/c/0/0/0", "is_corrected/c/0", "total/c", "names/c/0", "x/c/0", "zarr.json",
                 "x/zarr.json", "dx/zarr.json", f"{store.RECORD}/bytes/zarr.json"):  # fmt: skip
        damage(system, f"{key}/{name}")
        seen = []
        found = xoffset.to_zarr(lazy, url, resume=True, progress=seen.append)
        xr.testing.assert_identical(found.compute(), expected)
        assert all(each.new <= 1 for each in seen), name


def test_parts_that_begin_at_once_share_a_store(product, url):
    """Each looks whether there is one, and finds none."""
    lazy, place, failures = product.chunk(y=4, x=4), as_place(url, "to_zarr"), []
    parts = 4
    together = threading.Barrier(parts)

    def write(k):
        part = as_part(f"{k}/{parts}", 16, "to_zarr")
        together.wait()
        try:
            writing.write_store(lazy, place, writing.Job("to_zarr", "a", part=part))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(parts)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    xr.testing.assert_equal(xoffset.to_zarr(lazy, url, resume=True).compute(), product)


def test_what_a_store_is_made_of_is_said_once(product, url, monkeypatch):
    """A part that begins it is held up before it says so, while another one begins it, too, writes, and ends."""
    lazy, place = product.chunk(y=8, x=8), as_place(url, "to_zarr")
    write_object, failures = MemoryFileSystem.pipe_file, []
    held, another_has_ended = threading.Event(), threading.Event()

    def write_late(system, path, value, *args, **options):
        if path.endswith(f"{store.RECORD}/zarr.json") and not held.is_set():
            held.set()
            assert another_has_ended.wait(60)
        write_object(system, path, value, *args, **options)
        if another_has_ended.is_set() and made_of(place) is None:
            failures.append(path)

    def write(k):
        try:
            writing.write_store(lazy, place, writing.Job("to_zarr", "a", part=as_part(f"{k}/2", 4, "to_zarr")))
        except Exception as error:
            failures.append(error)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", write_late)
    first = threading.Thread(target=write, args=(0,))
    first.start()
    assert held.wait(60)
    write(1)
    another_has_ended.set()
    first.join()
    assert failures == []
    xr.testing.assert_equal(xoffset.to_zarr(lazy, url, resume=True).compute(), product)


def test_what_a_writer_had_begun_to_say_is_no_part_of_the_next_store(product, url, monkeypatch):
    """It was killed before the last object beside the tiles, and the next writer has other variables."""
    with monkeypatch.context() as patch:
        patch.setattr("xoffset.pipeline.places.Remote.create", lambda place, text: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.tiles_of(product, as_place(url, "to_zarr")).create(product, {})
    found = xoffset.to_zarr(product[["dx"]], url, resume=True)
    xr.testing.assert_equal(found.compute(), product[["dx"]])


def test_tiles_of_which_nothing_tells_the_origin_are_refused(product, url):
    xoffset.to_zarr(product, url)
    lose(*fsspec.core.url_to_fs(f"{url}/{store.RECORD}/zarr.json"))
    with pytest.raises(ValueError, match=r"of which nothing tells what it was made of\. Choose another path"):
        xoffset.to_zarr(product, url, resume=True)
