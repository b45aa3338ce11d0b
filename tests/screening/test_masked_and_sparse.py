"""drop_masked() and discard_pairs(), and limits of displacements in pixels."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.flags import FLAGS

STACK, _ = synthetic.stack((64, 72), dates=["2020-01-01", "2020-03-01", "2020-07-01"], field="constant", velocity=12.0)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK), template=16, search=4, step=4)
LAZY = SHIFTS.chunk(pair=-1, y=5, x=6)
VECTOR = ["dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"]


def on_stack(rows, columns, date=None):
    mask = xr.full_like(STACK, True, dtype=bool)
    mask[slice(None) if date is None else date, rows, columns] = False
    return mask if date is not None else mask[0].drop_vars("time")


def test_nodes_that_are_masked_have_no_value():
    found = xoffset.drop_masked(SHIFTS, on_stack(slice(20, 40), slice(None)))
    is_masked = (SHIFTS.y < STACK.y[20] + 5 + 20) & (SHIFTS.y > STACK.y[39] - 5 - 20)
    inner = (SHIFTS.y < STACK.y[20] - 5) & (SHIFTS.y > STACK.y[39] + 5)
    for name in VECTOR:
        assert np.isnan(found[name].where(inner, drop=True)).all()
        xr.testing.assert_equal(found[name].where(~is_masked), SHIFTS[name].where(~is_masked))
    assert ((found.flags.where(inner, drop=True).astype(int) & FLAGS["nodata"]) > 0).all()
    assert found.score.equals(SHIFTS.score)
    xr.testing.assert_identical(xoffset.drop_masked(LAZY, on_stack(slice(20, 40), slice(None))).compute(), found)


def test_a_date_that_is_masked_takes_its_pairs():
    found = xoffset.drop_masked(SHIFTS, on_stack(slice(None), slice(None), date=1))
    left = found.dx.notnull().any(("y", "x")).values
    is_of_others = ~((SHIFTS.reference == STACK.time[1]) | (SHIFTS.secondary == STACK.time[1])).values
    assert left.tolist() == is_of_others.tolist()


@pytest.mark.parametrize(
    ("mask", "error", "advice"),
    [
        (STACK, TypeError, r"drop_masked\(\) needs a boolean DataArray"),
        (on_stack(slice(0), slice(0)).rename(y="z"), ValueError, "needs dims"),
        (on_stack(slice(0), slice(0), date=0)[:2], ValueError, r"on every date of the pairs; got none on 1, the first"),
    ],
)
def test_what_is_no_mask_is_refused(mask, error, advice):
    with pytest.raises(error, match=advice):
        xoffset.drop_masked(SHIFTS, mask)


def with_share(share):
    """Shifts whose first pair has no vectors in a share of the columns."""
    columns = round(share * SHIFTS.sizes["x"])
    is_left = (np.arange(SHIFTS.sizes["x"]) >= columns) | (np.arange(3) > 0)[:, None]
    return SHIFTS.assign(dx=SHIFTS.dx.where(xr.DataArray(is_left, dims=("pair", "x")))), columns / SHIFTS.sizes["x"]


@pytest.mark.parametrize("is_sparse", [True, False])
def test_pairs_with_too_little_are_left_out(is_sparse):
    shifts, _ = with_share(0.4)
    masked, known = int(shifts.dx[0].isnull().sum()), int(shifts.dx[0].notnull().sum())
    limit = masked / known - 0.01 if is_sparse else masked / known + 0.01
    found = xoffset.discard_pairs(shifts, max_ratio=limit)
    assert bool(found.dx[0].isnull().all()) == is_sparse
    assert found.dx[1:].equals(shifts.dx[1:])
    assert bool((found.flags[0] & FLAGS["sparse"]).any()) == is_sparse
    lazy = xoffset.discard_pairs(shifts.chunk(pair=-1, y=5, x=6), max_ratio=limit)
    assert lazy.dx.chunks is not None
    xr.testing.assert_identical(lazy.compute(), found)


def test_only_the_area_of_interest_counts():
    shifts, _ = with_share(0.3)
    inside = on_stack(slice(None), slice(30, None))
    assert xoffset.discard_pairs(shifts, max_ratio=0.8).dx[0].notnull().any()
    found = xoffset.discard_pairs(shifts, max_ratio=0.8, inside=inside)
    assert found.dx[0].isnull().all()
    lazy = xoffset.discard_pairs(shifts.chunk(pair=-1, y=5, x=6), max_ratio=0.8, inside=inside)
    xr.testing.assert_identical(lazy.compute(), found)
    with pytest.raises(ValueError, match="number of at least 0 as max_ratio"):
        xoffset.discard_pairs(shifts, max_ratio=-1)


def test_limits_may_be_in_pixels():
    by_metres = xoffset.screen(SHIFTS, max_displacement=3.0, neighbourhood=False)
    by_pixels = xoffset.screen(SHIFTS, max_displacement="0.3 px", neighbourhood=False)
    assert by_pixels.dx.equals(by_metres.dx)
    assert by_pixels.dx.count() < SHIFTS.dx.count()
    with pytest.raises(ValueError, match=r"metres, or a text of pixels, as max_displacement; got '3 furlongs'"):
        xoffset.screen(SHIFTS, max_displacement="3 furlongs")
    with pytest.raises(ValueError, match=r"tell one size of pixels .*got none. Pass"):
        xoffset.screen(SHIFTS.drop_vars("pixel_size"), max_displacement="3 px")
