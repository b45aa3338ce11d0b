"""whole_pixels(): rounding to pixels of the images."""

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic

STACK, _ = synthetic.stack((64, 64), field="constant", velocity=14.0, direction=70.0, pixel_size=4.0)
SHIFTS = xoffset.correlate(STACK, xoffset.pairs(STACK), template=16, search=6, step=8)


def test_displacements_are_whole_pixels():
    found = xoffset.whole_pixels(SHIFTS)
    for name in ("dx", "dy"):
        assert np.allclose(found[name], np.rint(SHIFTS[name] / 4.0) * 4.0, equal_nan=True)
        assert np.allclose(found[f"sigma_{name}"] ** 2, SHIFTS[f"sigma_{name}"] ** 2 + 16.0 / 12.0, equal_nan=True)
    assert not found.dx.equals(SHIFTS.dx)
    xr.testing.assert_identical(xoffset.whole_pixels(SHIFTS.chunk(x=2)).compute(), found)


def test_shifts_have_to_tell_their_pixel():
    with pytest.raises(ValueError, match=r"needs the coordinate 'pixel_size'; got shifts that do not tell it. Assign"):
        xoffset.whole_pixels(SHIFTS.drop_vars("pixel_size"))
