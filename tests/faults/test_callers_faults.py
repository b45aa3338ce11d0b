"""Functions of the caller that fail while tiles are computed: the caller sees what they raised, and no tile is lost."""

import numpy as np
import pytest
import xarray as xr
import zarr

import xoffset
from xoffset.pipeline import store


class Mine(Exception):
    """What a function of the caller raises."""


@pytest.fixture(scope="module")
def product():
    values = np.random.default_rng(0).normal(size=(3, 12, 12)).astype("f4")
    return xr.Dataset(
        {"dx": (("pair", "y", "x"), values)}, coords={"y": np.arange(12) * -1.0, "x": np.arange(12) * 1.0}
    )


def raises(error, at):
    def progress(state):
        if state.new == at:
            raise error

    return progress


@pytest.fixture(params=["threads", "cluster"])
def engine(request):
    if request.param == "threads":
        yield
        return
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
    ):
        yield


@pytest.mark.usefixtures("engine")
def test_what_a_function_of_progress_raises_reaches_the_caller(product, tmp_path):
    lazy, path = product.chunk(y=4, x=4), tmp_path / "a.zarr"
    for at, error in ((0, Mine("before")), (2, Mine("a pipe")), (1, OSError("a page")), (1, KeyError("key"))):
        with pytest.raises(type(error)) as caught:
            xoffset.to_zarr(lazy, path, resume=True, progress=raises(error, at))
        assert caught.value is error
        assert [each.name for each in tmp_path.iterdir()] == ["a.zarr.part"]
        states = zarr.open_group(tmp_path / "a.zarr.part" / store.RECORD, mode="r")["state"][:]
        assert (states != store.FAILED).all()
    assert (states == store.DONE).sum() >= 4
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True).compute(), product)


def test_the_last_call_of_a_function_may_fail_too(product, tmp_path):
    lazy, path = product.chunk(y=6, x=6), tmp_path / "a.zarr"
    with pytest.raises(Mine):
        xoffset.to_zarr(lazy, path, progress=raises(Mine("last"), 4))
    seen = []
    xr.testing.assert_identical(xoffset.to_zarr(lazy, path, resume=True, progress=seen.append).compute(), product)
    assert [each.new for each in seen] == [0]


def test_a_tile_that_fails_and_then_a_function_that_does(product, tmp_path):
    """Tiles are then computed one by one."""

    def spoils(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][1:] == (0, 0):
            raise ValueError("damaged")
        return block

    data = product.chunk(y=6, x=6).dx.data.map_blocks(spoils, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    lazy = product.assign(dx=product.dx.copy(data=data))
    with pytest.raises(Mine):
        xoffset.to_zarr(lazy, tmp_path / "a.zarr", progress=raises(Mine("late"), 3))
