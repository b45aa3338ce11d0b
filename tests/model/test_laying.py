"""Masks on other grids: each cell has what the mask says of it, wherever the mask comes from and however it is cut."""

import logging

import dask
import dask.array as da
import numpy as np
import pyproj
import pytest
import reference_masks as reference
import xarray as xr

from xoffset._arrays.laying import Points
from xoffset.model import grids, masks
from xoffset.model.stable import on_nodes

HERE = "EPSG:32632"


def labelled(values, corner, sides, code=HERE):
    """Array (..., y, x) from the centre of its first pixel (y, x) on."""
    y, x = (corner[k] + sides[k] * np.arange(values.shape[k - 2]) for k in (0, 1))
    coords = {"y": y, "x": x} | ({} if code is None else {"spatial_ref": grids.spatial_ref(pyproj.CRS(code))})
    return xr.DataArray(values, coords=coords, dims=("time", "y", "x")[3 - values.ndim :])


def random_mask(shape, share=0.7, seed=0):
    return np.random.default_rng(seed).random(shape) < share


STACK = labelled(np.zeros((1, 40, 50)), (5_000_000.0, 600_000.0), (-10.0, 10.0))


def lay(mask, like=STACK, chunks=None):
    return masks.on_cells(mask, like, masks.MASK, "correlate", chunks)


def centres(data):
    return data.y.values, data.x.values


@pytest.mark.small
@pytest.mark.parametrize(
    ("sides", "offset"),
    [
        ((-20.0, 20.0), (-5.0, 5.0)),  # coarser, edges on edges
        ((-20.0, 20.0), (0.0, 0.0)),  # centres on edges
        ((-60.0, 30.0), (-13.0, 7.0)),
        ((-240.0, 240.0), (15.0, -100.0)),
        ((-10.0, 10.0), (3.0, -4.0)),
        ((-10.0, 10.0), (5.0, 5.0)),  # centres on corners
        ((-5.0, 5.0), (2.5, -2.5)),  # finer, edges on edges
        ((-4.0, 3.0), (0.3, 0.7)),
        ((20.0, 20.0), (-390.0, 0.0)),  # upside down
        ((-20.0, -20.0), (0.0, 490.0)),
    ],
)
def test_a_mask_of_another_grid_equals_the_slow_twin(sides, offset):
    size = [int(abs(n * 10.0 / side)) + 2 for n, side in zip((40, 50), sides, strict=True)]
    mask = labelled(random_mask(size), (5_000_000.0 + offset[0], 600_000.0 + offset[1]), sides)
    found = lay(mask)
    expected = reference.by_position(mask.values, centres(mask), sides, centres(STACK), (-10.0, 10.0))
    np.testing.assert_array_equal(found.values, expected)
    assert 0 < expected.mean() < 0.9
    assert found.how == "by position"


@pytest.mark.small
def test_what_lies_beyond_a_mask_is_not_true():
    mask = labelled(np.ones((10, 10), bool), (4_999_900.0, 600_100.0), (-10.0, 10.0))
    found = lay(mask).values
    np.testing.assert_array_equal(np.argwhere(found).min(axis=0), [10, 10])
    np.testing.assert_array_equal(np.argwhere(found).max(axis=0), [19, 19])
    assert found.sum() == 100


@pytest.mark.small
def test_a_mask_on_the_grid_is_taken_as_it_is():
    mask = labelled(random_mask((40, 50)), (5_000_000.0, 600_000.0), (-10.0, 10.0))
    found = lay(mask)
    assert found.values is mask.data
    assert found.how == "pixel by pixel"
    # nor does one without a CRS need one
    assert lay(mask.drop_vars("spatial_ref")).values is mask.data


@pytest.mark.parametrize(
    ("code", "sides", "count"),
    [("EPSG:32633", (-10.0, 10.0), 1), ("EPSG:32633", (-25.0, 25.0), 1), ("EPSG:32633", (-4.6, 4.6), 3),
     ("EPSG:4326", (-0.0002, 0.0003), 1), ("EPSG:3857", (-40.0, 40.0), 1)],
)  # fmt: skip
def test_a_mask_of_another_crs_has_its_nearest_pixel(code, sides, count):
    y, x = centres(STACK)
    corners = pyproj.Transformer.from_crs(HERE, code, always_xy=True).transform(*np.meshgrid(x[[0, -1]], y[[0, -1]]))
    west, north = corners[0].min() + 1.3 * sides[1], corners[1].max() + 1.7 * sides[0]
    size = [int(np.ptp(each) / abs(side)) + 2 for each, side in zip(corners[::-1], sides, strict=True)]
    mask = labelled(random_mask(size), (north, west), sides, code)
    found = lay(mask)
    expected = reference.nearest(mask.values, centres(mask), (HERE, code), (y, x), (-10.0, 10.0), count)
    np.testing.assert_array_equal(found.values, expected)
    assert 0 < expected.mean() < 0.9
    assert found.how == f"nearest pixel, from {code}"


@pytest.mark.parametrize("code", ["EPSG:3413", "EPSG:32701"])
def test_a_cell_that_spans_all_longitudes_costs_no_more(code):
    """The middle cell lies at the pole, or astride 180 degrees: its corners are all around on a mask of degrees."""
    place = (0.0, 90.0) if code == "EPSG:3413" else (180.0, -17.0)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", code, always_xy=True).transform(*place)
    like = labelled(np.zeros((1, 41, 41)), (y + 2000.0, x - 2000.0), (-100.0, 100.0), code)
    latitudes = np.arange(place[1] + 0.03, place[1] - 0.03, -0.0005)
    longitudes = np.arange(-179.995, 180.0, 0.01)
    ones = np.ones((latitudes.size, longitudes.size), bool)
    mask = labelled(ones, (latitudes[0], longitudes[0]), (-0.0005, 0.01), "EPSG:4326")
    read = []
    looked = Points._values_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Points, "_values_of", lambda self, *given: read.append(self.count) or looked(self, *given))
        found = lay(mask, like)
    assert found.values.mean() > 0.98
    assert max(max(count) for count in read) <= 16
    assert max(size for count in read for size in count) > 1


def test_points_on_edges_go_the_same_way_in_any_order_and_chunk():
    """A CRS with the same coordinates and another name: centres of the cells lie on edges of the mask."""
    same = pyproj.CRS("+proj=tmerc +lon_0=9 +k=0.9996 +x_0=500020 +datum=WGS84 +units=m")
    mask = labelled(random_mask((40, 50)), (5_000_005.0, 600_015.0), (-10.0, 10.0), same)
    expected = lay(mask)
    assert expected.how.startswith("nearest")
    np.testing.assert_array_equal(expected.values[:39, :49], mask.values[1:, 1:])
    for rows, columns in ((-1, 1), (1, -1), (-1, -1)):
        turned = mask.isel(y=slice(None, None, rows), x=slice(None, None, columns))
        np.testing.assert_array_equal(lay(turned).values, expected.values)
    chunks = ((7, 8, 25), (9, 41))
    np.testing.assert_array_equal(lay(mask, chunks=chunks).values.compute(), expected.values)


def test_chunks_change_nothing_at_a_pole():
    like = labelled(np.zeros((1, 130, 130)), (6530.0, -6470.0), (-100.0, 100.0), "EPSG:3413")
    mask = labelled(random_mask((150, 3600), 0.97), (89.99975, -179.95), (-0.0005, 0.1), "EPSG:4326")
    eager = lay(mask, like).values
    assert eager[60:70, 60:70].any()
    for chunks in (((130,), (130,)), ((40, 90), (65, 65))):
        np.testing.assert_array_equal(lay(mask, like, chunks).values.compute(), eager)


def test_a_small_mask_in_a_large_grid_is_found():
    wide = labelled(np.zeros((1, 1600, 1600), np.uint8), (5_000_000.0, 600_000.0), (-10.0, 10.0))
    x, y = pyproj.Transformer.from_crs(HERE, "EPSG:32633", always_xy=True).transform(606_345.0, 4_993_655.0)
    mask = labelled(np.ones((8, 8), bool), (y + 40.0, x - 40.0), (-10.0, 10.0), "EPSG:32633")
    assert 40 < lay(mask.chunk(), wide, (4 * (400,), 4 * (400,))).values[600:660, 600:660].sum().compute() < 70


@pytest.mark.parametrize("chunks", [((40,), (50,)), ((7, 33), (20, 30)), (10 * (4,), (1, 49))], ids=str)
@pytest.mark.parametrize("code", [HERE, "EPSG:32633"])
def test_chunks_change_no_bit_and_nothing_is_computed(chunks, code):
    corner = (5_000_000.0 + 40.0, 600_000.0 - 40.0)
    if code != HERE:
        corner = pyproj.Transformer.from_crs(HERE, code, always_xy=True).transform(599_900.0, 5_000_100.0)[::-1]
    mask = labelled(random_mask((3, 40, 50)), corner, (-14.0, 14.0), code)
    eager = lay(mask).values
    assert isinstance(eager, np.ndarray)
    assert eager.shape == (3, 40, 50)

    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed while building")

    with dask.config.set(scheduler=refuse):
        lazy = [lay(mask.chunk(time=1, y=9, x=17), chunks=chunks), lay(mask.chunk(time=2, y=40, x=3)),
                lay(mask, chunks=chunks)]  # fmt: skip
    for each in lazy:
        assert isinstance(each.values, da.Array)
        assert each.values.dtype == bool
        np.testing.assert_array_equal(each.values.compute(), eager)
    assert lazy[0].values.chunks[1:] == chunks


def test_a_block_reads_what_it_needs_of_the_mask():
    read = []

    def note(block, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return block

    mask = labelled(random_mask((60, 60)), (5_000_000.0, 600_000.0), (-10.0, 10.0)).chunk(y=10, x=10)
    mask = mask.copy(data=da.map_blocks(note, mask.data, dtype=bool, meta=np.empty((0, 0), bool)))
    lay(mask, chunks=((20, 20), (10, 20, 20))).values[..., :20, :10].compute()
    assert sorted(set(read)) == [(0, 0), (1, 0)]


def test_the_log_says_how_a_mask_was_laid_on(caplog):
    caplog.set_level(logging.INFO, "xoffset")
    lay(labelled(np.ones((40, 50), bool), (5_000_000.0, 600_000.0), (-10.0, 10.0)))
    assert caplog.messages == []
    lay(labelled(np.ones((40, 25), bool), (5_000_000.0, 600_005.0), (-10.0, 10.0)))
    assert caplog.messages == [
        "correlate(): mask lies on another grid, and is laid on by position.",
        "correlate(): mask reaches 48 % of the grid; what lies beyond is not where pixels may be matched.",
    ]


def test_stable_ground_of_a_coarse_grid_holds_for_the_nodes_in_it():
    """A raster of glaciers of 240 m: the nodes, 80 m apart, touch the pixels that hold them and no other."""
    nodes = labelled(np.zeros((1, 18, 21)), (4_999_845.0, 600_155.0), (-80.0, 80.0))
    shifts = xr.Dataset({"dx": nodes.rename(time="pair")})
    coarse = labelled(random_mask((6, 7), 0.5), (4_999_765.0, 600_235.0), (-240.0, 240.0))
    expected = np.kron(coarse.values, np.ones((3, 3), bool))
    np.testing.assert_array_equal(on_nodes(coarse, shifts, "calibrate"), expected)
    np.testing.assert_array_equal(on_nodes(coarse.chunk(y=2), shifts, "calibrate").compute(), expected)
