"""A stack that was saved is opened as a stack again, and nothing else is taken for one."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import declared, grids

pytestmark = pytest.mark.filterwarnings(
    "ignore:The codec `vlen-utf8` is currently not part in the Zarr format 3", "ignore:Consolidated metadata is curr"
)


def in_chunks(stack, **chunks):
    """Lazy stack whose texts are in memory: of lazy ones xarray warns that it has to read them."""
    return stack.chunk(chunks).assign_coords(scene=stack.scene)


WRITERS = {
    "zarr": ("stack.zarr", lambda stack, path: stack.to_zarr(path)),
    "zarr 2": ("stack.zarr", lambda stack, path: stack.to_zarr(path, zarr_format=2)),
    "dataset": ("stack.zarr", lambda stack, path: stack.to_dataset().to_zarr(path, consolidated=False)),
    "lazy": ("stack", lambda stack, path: in_chunks(stack, y=40, x=50).to_zarr(path, consolidated=False)),
    "netcdf": ("stack.nc", lambda stack, path: stack.to_netcdf(path, engine="h5netcdf")),
}


@pytest.fixture(scope="module")
def stack():
    dates = ["2020-01-01", "2020-07-01T10:30", "2021-01-01"]
    images = synthetic.stack((96, 80), dates=dates, snr=10.0, nodata=0.05)[0]
    return images.assign_coords(scene=("time", np.array(["a", "b", "c"], object)))


@pytest.mark.parametrize("how", WRITERS)
def test_comes_back_as_it_was(stack, how, tmp_path):
    name, write = WRITERS[how]
    path = tmp_path / name
    write(stack, path)
    again = xoffset.open_stack(path)
    xr.testing.assert_identical(again, stack)
    assert isinstance(again.data, np.ndarray)
    assert grids.crs_of(again) == grids.crs_of(stack)
    lazy = xoffset.open_stack(str(path), chunks={"y": 50})
    assert lazy.chunks == ((1, 1, 1), (50, 46), (80,))
    xr.testing.assert_identical(lazy.compute(), stack)
    network = again.offset.pairs()
    shifts = [each.offset.correlate(network, template=16, search=4).compute() for each in (again, lazy, stack)]
    xr.testing.assert_identical(shifts[0], shifts[2])
    xr.testing.assert_identical(shifts[1], shifts[2])
    lazy.close()


@pytest.mark.parametrize("how", WRITERS)
def test_is_cropped_by_pixel_centres(stack, how, tmp_path):
    name, write = WRITERS[how]
    write(stack, tmp_path / name)
    x, y = stack.x.values, stack.y.values
    box = (x[10] - 1, y[40] - 1, x[30] + 1, y[20] + 1)
    expected = stack.isel(y=slice(20, 41), x=slice(10, 31))
    xr.testing.assert_identical(xoffset.open_stack(tmp_path / name, bbox=box), expected)
    with pytest.raises(ValueError, match=r"cover \(.*\) from one pixel centre to the last"):
        xoffset.open_stack(tmp_path / name, bbox=(0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"Order it so"):
        xoffset.open_stack(tmp_path / name, bbox=box[::-1])


def test_no_pixel_of_integers_is_taken_for_a_fill_value(stack, tmp_path):
    counts = (stack.fillna(0.0) - float(stack.min())).astype("uint16")
    counts[0, 3, 4] = 65535
    counts.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    again = xoffset.open_stack(tmp_path / "stack.zarr")
    xr.testing.assert_identical(again.rename(counts.name), counts)
    again.to_zarr(tmp_path / "again.zarr", consolidated=False)
    again = xoffset.open_stack(tmp_path / "again.zarr")
    xr.testing.assert_identical(again.rename(counts.name), counts)
    assert not declared.fills_of(again)
    assert not declared.fills_of(xr.open_zarr(tmp_path / "again.zarr", consolidated=False)["image"])


def test_chunks_of_zeros_that_are_not_there_are_no_pixels(stack, tmp_path):
    counts = (stack.fillna(0.0) - float(stack.min())).astype("uint16")
    counts[:, :48] = 0
    lazy = in_chunks(counts, y=48)
    lazy.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    with pytest.raises(ValueError, match=r"lacks 1 of 2 chunks of 'image'.*write_empty_chunks=True"):
        xoffset.open_stack(tmp_path / "stack.zarr")
    lazy.to_zarr(tmp_path / "stack.zarr", mode="w", consolidated=False, write_empty_chunks=True)
    xr.testing.assert_identical(xoffset.open_stack(tmp_path / "stack.zarr"), counts)
    lazy.encoding = {"_FillValue": 0}
    lazy.to_zarr(tmp_path / "stack.zarr", mode="w", consolidated=False)
    xr.testing.assert_equal(xoffset.open_stack(tmp_path / "stack.zarr"), counts.where(counts > 0))


def test_bands_go_by_name(stack, tmp_path):
    xr.Dataset({"red": stack, "nir": 2 * stack}).to_zarr(tmp_path / "two.zarr")
    xr.testing.assert_equal(xoffset.open_stack(tmp_path / "two.zarr", band="nir"), (2 * stack).rename("nir"))
    with pytest.raises(ValueError, match=r"holds .*red.*Pass band="):
        xoffset.open_stack(tmp_path / "two.zarr")
    with pytest.raises(ValueError, match=r"got 'blue'\. Choose of: .*red"):
        xoffset.open_stack(tmp_path / "two.zarr", band="blue")


@pytest.mark.parametrize("option", [{"nodata": 0}, {"date": "%Y"}, {"align": "cubic"}, {"pixel_size": 10.0}])
def test_options_of_image_files_are_refused(stack, option, tmp_path):
    stack.to_zarr(tmp_path / "stack.zarr")
    with pytest.raises(ValueError, match=rf"needs no {next(iter(option))}=.*Leave it out"):
        xoffset.open_stack(tmp_path / "stack.zarr", **option)


def test_results_are_no_stacks(stack, tmp_path):
    shifts = stack.offset.correlate(stack.offset.pairs(), template=16, search=4)
    results = {"shifts": shifts, "a series": shifts.offset.invert(), "a rate": shifts.offset.velocity()}
    for what, result in results.items():
        result.to_zarr(tmp_path / "result.zarr", mode="w")
        with pytest.raises(ValueError, match=rf"got {what} in .*Reopen results with xoffset\.open_result"):
            xoffset.open_stack(tmp_path / "result.zarr")


def test_an_incomplete_stack_is_refused(stack, tmp_path):
    path = tmp_path / "stack.zarr"
    in_chunks(stack, y=48).to_zarr(path, consolidated=False)
    (path / "image/c/0/1/0").unlink()
    with pytest.raises(OSError, match=r"open_stack\(\) needs a complete product; .* lacks 1 of 2 chunks of 'image'"):
        xoffset.open_stack(path, chunks=64)


@pytest.mark.parametrize("chunks", [None, 64])
def test_damage_is_told_to_who_opened_a_stack(stack, chunks, tmp_path):
    path = tmp_path / "stack.zarr"
    in_chunks(stack, y=48).to_zarr(path, consolidated=False)
    chunk = path / "image/c/0/1/0"
    rotten = bytearray(chunk.read_bytes())
    rotten[len(rotten) // 2] ^= 4
    chunk.write_bytes(rotten)
    with pytest.raises(OSError, match=r"^open_stack\(\) needs readable values; .*'image' in chunk"):
        xoffset.open_stack(path, chunks=chunks).compute()
    (path / "zarr.json").write_text("{")
    with pytest.raises(OSError, match=r"^open_stack\(\) needs a readable Zarr store"):
        xoffset.open_stack(path, chunks=chunks)
