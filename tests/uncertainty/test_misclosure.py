"""misclosure(): residuals of pairs, one by one."""

import numpy as np
import xarray as xr

import xoffset
from xoffset import synthetic

DATES = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
STACK, _ = synthetic.stack((64, 64), dates=DATES, velocity=30.0, snr=6.0, seed=1)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK, direction="both"), template=16, search=5, step=8)


def test_residuals_are_those_of_each_pair():
    shifts = SHIFTS.copy(deep=True)
    shifts["dx"][3, 2, 2] = np.nan
    series = xoffset.invert(shifts, reference="first")
    found = xoffset.misclosure(shifts, series)
    for name in ("dx", "dy"):
        moved = (
            series[name].sel(time=shifts.secondary.values).values
            - series[name].sel(time=shifts.reference.values).values
        )
        rest = shifts[name].values - moved
        np.testing.assert_allclose(found[f"residual_{name}"], rest, atol=1e-5)
        for k, date in enumerate(series.time.values):
            is_mine = (shifts.reference.values == date) | (shifts.secondary.values == date)
            known = np.isfinite(rest[is_mine]).sum(axis=0)
            wanted = np.sqrt(np.nansum(rest[is_mine] ** 2, axis=0) / np.where(known, known, np.nan))
            np.testing.assert_allclose(found[f"rms_{name}"][k], wanted, rtol=1e-4, atol=1e-6)
    assert np.isnan(found.residual_dx[3, 2, 2])


def test_lazy_is_eager():
    series = xoffset.invert(SHIFTS, reference="first")
    lazy = xoffset.misclosure(SHIFTS.chunk(x=3), series)
    assert lazy.residual_dx.chunks
    xr.testing.assert_identical(lazy.compute(), xoffset.misclosure(SHIFTS, series))
