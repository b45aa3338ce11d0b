"""Images and results behind addresses: of a service of objects, of http, in memory and of files."""

import contextlib
import functools
import http.server
import json
import os
import socket
import sys
import threading

import fsspec
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset import synthetic
from xoffset.pipeline import lock, places, store
from xoffset.pipeline.folder import MARKER, RECIPE
from xoffset.pipeline.identity import made_of

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
CHANGES = {"template": 16, "search": 3}
BUCKET = "s3://products"


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((130, 150), dates=DATES, field="constant", velocity=15.0, direction=90.0, nodata=0.01)[0]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Tiles small enough that a small image has several."""
    monkeypatch.setattr("xoffset._arrays.lattice.TILE", 64)
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 64)


@pytest.fixture(scope="module")
def scenes(stack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    for date, image in zip(DATES, stack.fillna(0.0).values, strict=True):
        path = folder / f"a_{date.replace('-', '')}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=130, width=150, count=1, dtype="float32", nodata=0, **place
        ) as file:
            file.write(image, 1)
    return folder


@pytest.fixture(scope="module")
def here(scenes, tmp_path_factory):
    """What a run in a folder makes of the images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xoffset._arrays.lattice.TILE", 64)
        patch.setattr("xoffset._blocks.tiles.WINDOW", 64)
        found = xoffset.run("generic", scenes, tmp_path_factory.mktemp("here"), **CHANGES)
        return {name: each.compute() for name, each in found.items()}


@pytest.fixture(scope="module")
def rate(here):
    """As few variables as make a product, since each of them costs a service many requests."""
    return here["velocity"][["vx", "vy", "sigma_vx", "sigma_vy", "flags"]]


@pytest.fixture(scope="module")
def service():
    """A service of objects on this machine, and the keys for it where libraries look for them."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_S3_ENDPOINT": f"{host}:{port}", "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        system = fsspec.filesystem("s3", use_listings_cache=False)
        system.mkdir(BUCKET)
        yield system
    server.stop()


@pytest.fixture
def memory(request):
    """An address in memory, which costs no requests, where nothing lies yet."""
    return f"memory://{request.node.originalname}/out"


@pytest.fixture(params=["memory", "s3"])
def address(request):
    """Where nothing lies yet."""
    name = request.node.originalname
    if request.param == "s3":
        request.getfixturevalue("service")
        return f"{BUCKET}/{name}/out"
    return f"memory://{name}/out"


class Stops:
    """A function of progress that stops a call after so many tiles."""

    def __init__(self, after, stage="Matching"):
        self.after, self.stage = after, stage

    def __call__(self, state):
        if state.new == self.after and state.stage == self.stage:
            raise KeyboardInterrupt


# ------------------------------------------------------------------------------------------------------------- results


def test_a_run_goes_on_where_it_was(here, memory, scenes):
    address = memory
    with pytest.raises(KeyboardInterrupt):
        xoffset.run("generic", scenes, address, progress=Stops(2), **CHANGES)
    place = places.as_place(address, "run")
    assert sorted(place.names()) == sorted([MARKER, "matches.zarr", RECIPE])
    with pytest.raises(OSError, match=r"needs a complete product; .*matches.zarr lacks"):
        xoffset.open_result(f"{address}/matches.zarr")
    seen = []
    found = xoffset.run("generic", scenes, address, progress=seen.append, **CHANGES)
    assert seen[0].done >= 2
    assert list(found) == list(here)
    for name, each in found.items():
        xr.testing.assert_identical(each.compute(), here[name])
    assert {"vx.tif", "vy.tif"} <= set((place / "velocity").names())
    assert not [name for name in place.names() if "lock" in name or "part" in name]
    # and once more, where all is there
    seen.clear()
    xoffset.run("generic", scenes, address, progress=seen.append, **CHANGES)
    assert seen == []


def test_results_behind_an_address_are_replaced_if_that_is_asked_for(scenes):
    address = "memory://replaced/out"
    xoffset.run("generic", scenes, address, tiles=":", **CHANGES)
    with pytest.raises(ValueError, match=r"steps: \d correlate: search: was 3, is 4"):
        xoffset.run("generic", scenes, address, template=16, search=4)
    xoffset.run("generic", scenes, address, overwrite=True, template=16, search=4)


def test_parts_share_a_store(here, memory, scenes):
    address = memory
    assert xoffset.run("generic", scenes, address, tiles="0/2", **CHANGES) == {}
    with pytest.raises(OSError, match="are not there, numbers"):
        xoffset.run("generic", scenes, address, tiles="none", **CHANGES)
    found = xoffset.run("generic", scenes, address, tiles="1/2", **CHANGES)
    xr.testing.assert_identical(found["matches"].compute(), here["matches"])


def test_a_product_is_written_and_mended(rate, address):
    lazy = rate.chunk(y=10, x=10)
    xr.testing.assert_identical(xoffset.to_zarr(lazy, address).compute(), rate)
    with pytest.raises(FileExistsError, match="Pass resume=True"):
        xoffset.to_zarr(lazy, address)
    place = places.as_place(address, "run")
    (place / "vy/c/0/1").unlink()
    seen = []
    found = xoffset.to_zarr(lazy, address, resume=True, progress=seen.append)
    xr.testing.assert_identical(found.compute(), rate)
    assert seen[-1].new == 1
    # what it is made of is lost
    (place / store.RECORD / "zarr.json").unlink()
    with pytest.raises(ValueError, match="nothing tells what it was made of"):
        xoffset.to_zarr(lazy, address, resume=True)


def test_a_writer_that_was_killed_while_it_began_is_followed_by_the_next(rate, address, monkeypatch):
    """Before the last object beside the tiles, which tells what it is made of."""
    more = rate.assign(more=rate.vx)
    with monkeypatch.context() as patch:
        patch.setattr("xoffset.pipeline.places.Remote.create", lambda place, text: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.tiles_of(more, places.as_place(address, "run")).create(more, {})
    xr.testing.assert_identical(xoffset.to_zarr(rate, address, resume=True).compute(), rate)


def test_parts_that_begin_at_once_share_a_store_of_a_service(rate, address):
    """The second one sends what the first has sent, and leaves what it says."""
    lazy = rate.chunk(y=5, x=5)
    place = places.as_place(address, "run")
    laid = store.tiles_of(lazy, place)
    for k in range(2):
        laid.create(lazy, {"first": k}, by=f".{k}")
        laid.write((k, 0), {name: each.data[:5, :5].compute() for name, each in lazy.data_vars.items()})
    assert made_of(place) == {"first": 0}
    assert laid.damaged() == []
    assert laid.counts()["done"] == 2


def test_stores_of_others_are_refused(here, address):
    here["velocity"][["vx"]].to_zarr(address, consolidated=False)
    with pytest.raises(ValueError, match="begun itself to go on"):
        xoffset.to_zarr(here["velocity"], address, resume=True)


# --------------------------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_second_writer_is_refused(here, address, host):
    place = places.as_place(address, "run")
    held = {"host": host, "process": os.getppid(), "began": lock._began(os.getppid())}
    place.with_name(f"{place.name}.lock").create(json.dumps(held))
    try:
        with pytest.raises(BlockingIOError, match=rf"the only one that writes .*process {os.getppid()} on {host}"):
            xoffset.to_zarr(here["velocity"], address)
    finally:
        place.with_name(f"{place.name}.lock").unlink()
    assert not place.exists()


def test_the_service_decides_who_is_first(address):
    place = places.as_place(address, "run") / "lock"
    place.create("the first")
    with pytest.raises(FileExistsError):
        place.create("the second")
    assert place.read_text() == "the first"
    first = []

    def create(k):
        with contextlib.suppress(FileExistsError):
            (places.as_place(address, "run") / "race").create(str(k))
            first.append(k)

    others = [threading.Thread(target=create, args=(k,)) for k in range(8)]
    for each in others:
        each.start()
    for each in others:
        each.join()
    assert len(first) == 1


def test_locks_of_processes_that_have_ended_are_taken_over(rate, address, caplog):
    place = places.as_place(address, "run")
    held = {"host": socket.gethostname(), "process": 2**22 + 1, "began": "long ago"}
    place.with_name(f"{place.name}.lock").create(json.dumps(held))
    xoffset.to_zarr(rate, address)
    assert "has ended" in caplog.text
    assert not place.with_name(f"{place.name}.lock").exists()


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.usefixtures("service")
def test_a_bucket_that_is_not_there_is_named(here):
    with pytest.raises(OSError, match=r"to_zarr\(\) needs a folder that can be written; got .*bucket.*Check the name"):
        xoffset.to_zarr(here["velocity"], "s3://nobodys/out.zarr")


def test_missing_keys_are_told(here, monkeypatch):
    """What the library of the service raises, in place of a machine without keys."""
    exceptions = pytest.importorskip("botocore.exceptions")

    def without_keys(*_):
        raise exceptions.NoCredentialsError

    monkeypatch.setattr(places.Remote, "exists", without_keys)
    with pytest.raises(OSError, match=r"can be reached; got '.*credentials.*' for memory://.*keys that may write"):
        xoffset.to_zarr(here["velocity"], "memory://keys/out.zarr")


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("http://127.0.0.1/out", ValueError, "nothing is written by http. Pass a folder, or the address of a bucket"),
        ("unheard://out", ValueError, "a protocol that fsspec knows.*Pass a folder"),
    ],
)
def test_places_that_cannot_be_written(here, address, error, words):
    with pytest.raises(error, match=words):
        xoffset.to_zarr(here["velocity"], address)


def test_a_library_that_lacks_is_named(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(ImportError, match=r"another library for s3://.*xoffset\[s3\]"):
        xoffset.to_zarr(here["velocity"], f"{BUCKET}/out.zarr")
    with pytest.raises(ImportError, match=r"to list s3://.*list the files yourself"):
        xoffset.open_stack(f"{BUCKET}/*.tif")


# ------------------------------------------------------------------------------------------------------------- images


@pytest.fixture(scope="module")
def images(service, scenes):
    for file in scenes.iterdir():
        service.put(str(file), f"{BUCKET}/scenes/{file.name}")
    return f"{BUCKET}/scenes"


@pytest.mark.parametrize("pattern", ["", "/", "/a_*.tif", "/a_2020????.tif"])
def test_images_of_a_bucket(images, scenes, pattern):
    found, expected = xoffset.open_stack(images + pattern), xoffset.open_stack(scenes)
    count = 2 if "2020" in pattern else 3
    np.testing.assert_array_equal(found.values, expected.values[:count])
    with pytest.raises(FileNotFoundError, match="there are none at s3://"):
        xoffset.open_stack(f"{images}/b_*.tif")


def test_a_run_from_a_bucket_to_a_bucket(images, here, service, scenes, monkeypatch):
    # a few tiles, each of which costs a service many requests
    monkeypatch.setattr("xoffset._blocks.tiles.WINDOW", 128)
    out = f"{BUCKET}/run"
    found = xoffset.run("generic", f"{images}/*.tif", out, **CHANGES)
    for name, each in found.items():
        xr.testing.assert_equal(each.compute(), here[name])
    place = places.as_place(out, "run")
    assert {"vx.tif", "vy.tif"} <= set((place / "velocity").names())
    assert not [name for name in place.names() if "lock" in name or "part" in name]
    # replaced by another one
    file = sorted(scenes.iterdir())[0]
    service.pipe_file(f"{images}/{file.name}", file.read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"same images.*inputs: {images}/{file.name}: was"):
        xoffset.run("generic", f"{images}/*.tif", out, **CHANGES)
    service.put(str(file), f"{images}/{file.name}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_run_of_images_behind_http(scenes, here, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=scenes)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        names = sorted(file.name for file in scenes.iterdir())
        addresses = [f"http://127.0.0.1:{server.server_address[1]}/{name}" for name in names]
        found = xoffset.run("generic", addresses, tmp_path / "out", **CHANGES)
        xr.testing.assert_equal(found["velocity"].compute(), here["velocity"])
        server.shutdown()
        thread.join()


def test_addresses_of_files_are_paths(scenes, here, tmp_path):
    found = xoffset.run("generic", scenes.as_uri(), (tmp_path / "out").as_uri(), **CHANGES)
    xr.testing.assert_identical(found["velocity"].compute(), here["velocity"])
    assert (tmp_path / "out" / "velocity.zarr").is_dir()


def test_a_stack_in_memory_is_a_source(stack, here, tmp_path):
    stack.to_zarr("memory://stack.zarr", consolidated=False)
    found = xoffset.run("generic", "memory://stack.zarr", tmp_path / "out", **CHANGES)
    expected = xoffset.run("generic", stack, tmp_path / "here", **CHANGES)
    xr.testing.assert_equal(found["velocity"].compute(), expected["velocity"].compute())
    fsspec.filesystem("memory").rm("/stack.zarr", recursive=True)
