"""correct() where ground is scarce, scattered or split, and where sensors number their stripes otherwise."""

import logging

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset.model.flags import FLAGS

SPACING = 80.0  # of the nodes [m]


def shifts_of(values, ends=((0, 1),), sigma=1.0):
    """Shifts of the displacements (pair, 2, rows, columns) [m] of pairs of dates ten days apart."""
    values = np.asarray(values, dtype=np.float64)
    first, second = np.transpose(ends)
    dates = np.datetime64("2020-01-01T10", "us") + 10 * np.arange(1 + max(map(max, ends))) * np.timedelta64(1, "D")
    dims, errors = ("pair", "y", "x"), np.full(values[:, 0].shape, sigma)
    data = {"dx": (dims, values[:, 0]), "dy": (dims, values[:, 1]), "sigma_dx": (dims, errors)}
    coords = {
        "y": 5e6 - SPACING * np.arange(values.shape[2]),
        "x": 5e5 + SPACING * np.arange(values.shape[3]),
        "reference": ("pair", dates[first]),
        "secondary": ("pair", dates[second]),
    }
    return xr.Dataset(data | {"sigma_dy": (dims, errors.copy())}, coords)


def on_grid(values, like):
    return xr.DataArray(values, dims=("y", "x"), coords={"y": like.y, "x": like.x})


def everywhere(like):
    return on_grid(np.ones(like.dx.shape[1:], dtype=bool), like)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


# -------------------------------------------------------------------------------------------------------------- stripes


@pytest.mark.parametrize("first", [1, 17, 29])
def test_numbers_of_stripes_change_no_bit_lazily_or_not(first):
    generator = np.random.default_rng(1)
    detector = np.tile(np.arange(40) // 10, (40, 1))
    values = generator.standard_normal((2, 2, 40, 40)) + 1.3 * detector
    shifts = shifts_of(values, [(0, 1), (1, 2)])
    plain = xoffset.correct(shifts, stable=everywhere(shifts), stripes=on_grid(detector + 1, shifts), order=1)
    stripes = on_grid((detector + first).astype("uint8"), shifts)
    eager = xoffset.correct(shifts, stable=everywhere(shifts), stripes=stripes, order=1)
    lazy = xoffset.correct(shifts, stable=everywhere(shifts), stripes=stripes.chunk(y=15), order=1)
    xr.testing.assert_identical(lazy.compute(), eager)
    xr.testing.assert_identical(eager.drop_attrs(), plain.drop_attrs())


@pytest.mark.parametrize("wrong", [-9999, 33])
def test_stripes_out_of_range_are_refused_lazily_too(wrong):
    shifts = shifts_of(np.zeros((1, 2, 20, 20)))
    numbers = np.ones((20, 20), dtype="int16")
    numbers[:3] = wrong
    for stripes in (numbers, 0 * numbers):
        lazy = xoffset.correct(
            shifts, stable=everywhere(shifts), stripes=on_grid(stripes, shifts).chunk(y=7), min_nodes=50
        )
        with pytest.raises(ValueError, match=r"correct\(\) needs stripes numbered from 1 to 32 at most"):
            lazy.compute()


def test_a_pair_whose_few_places_lie_in_no_stripe_has_an_error_of_its_shift():
    generator = np.random.default_rng(2)
    shifts = shifts_of(generator.standard_normal((1, 2, 90, 90)))
    stripes = np.zeros((90, 90), dtype="uint8")
    stripes[4:7, 4:80], stripes[15:18, 4:80] = 1, 2
    corrected = xoffset.correct(
        shifts, stable=everywhere(shifts), stripes=on_grid(stripes, shifts), min_nodes=100, min_share=0.0
    )
    assert 0.02 < corrected.sigma_shift[0] < 0.2
