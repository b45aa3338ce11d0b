"""remove_median(): the median of all ground, or of that which is stable."""

import numpy as np
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model.flags import FLAGS

STACK, TRUTH = synthetic.stack((96, 96), velocity=30.0, misregistration=3.0, snr=8.0, seed=1)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK, max_gap=1), template=16, search=6, step=8)


def test_the_median_of_the_map_comes_off_and_is_kept():
    found = xoffset.remove_median(SHIFTS)
    for name in ("dx", "dy"):
        median = SHIFTS[name].median(("y", "x"))
        xr.testing.assert_allclose(found[name], SHIFTS[name] - median, atol=1e-5)
        xr.testing.assert_allclose(found[name] + found[f"removed_{name}"], SHIFTS[name], atol=1e-5)
    again = xoffset.remove_median(found)
    xr.testing.assert_allclose(again.removed_dx, found.removed_dx, atol=1e-5)


def test_stable_ground_tells_it():
    stable = xr.zeros_like(STACK[0], dtype=bool)
    stable[:40] = True
    found = xoffset.remove_median(SHIFTS, stable=stable)
    nodes = SHIFTS.y.values > float(STACK.y[40])
    median = np.nanmedian(SHIFTS.dx.values[:, nodes], axis=(1, 2))
    np.testing.assert_allclose(found.removed_dx[:, 0, 0], median, atol=2.0)
    few = xoffset.remove_median(SHIFTS, stable=stable, min_nodes=1000)
    xr.testing.assert_equal(few.dx, SHIFTS.dx)
    assert bool(((few.flags & FLAGS["not_corrected"]) != 0).where(SHIFTS.dx.notnull(), True).all())


def test_lazy_is_eager():
    lazy = xoffset.remove_median(SHIFTS.chunk(x=4))
    assert lazy.dx.chunks
    xr.testing.assert_identical(lazy.compute(), xoffset.remove_median(SHIFTS))
