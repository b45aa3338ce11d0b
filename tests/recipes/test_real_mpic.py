"""The recipe `mpic-opt` on crops of real images: as far as is known how they move."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset.pipeline import planning
from xoffset.recipes import MpicOpt

pytestmark = [pytest.mark.data, pytest.mark.slow]


def shifts_of(stack: xr.DataArray, stage: str, **fields: object) -> xr.Dataset:
    recipe = MpicOpt(temporal_matching_range=1, **fields)
    return planning.make_plan(recipe, stack.chunk({"time": 1, "y": 512, "x": 512}), {}).results[stage].compute()


def lengths(shifts: xr.Dataset) -> xr.DataArray:
    """Length of the displacements in pixels."""
    return np.hypot(shifts.dx, shifts.dy) / float(shifts.pixel_size)


def test_the_rock_glacier_moves_as_is_known(data_folder: Path) -> None:
    """Kaiserberg: 99th percentile of the lower lobe, without any stable ground told."""
    place = data_folder / "kaiserberg_rock_glacier"
    years = (2003, 2010, 2015, 2020, 2023)
    stack = xoffset.open_stack([place / f"ortho_{year}.tif" for year in years], date="ortho_%Y")
    stack = stack.isel(y=slice(330, 650), x=slice(820, 1540))
    found = shifts_of(stack, "corrected", spatial_matching_range=16)
    moves = ~xoffset.masking.stable_ground(found, moving=place / "moving_area.geojson", buffer=0.0)
    most = lengths(found).where(moves).quantile(0.99, ("y", "x")).values
    np.testing.assert_allclose(most, [15.4, 15.2, 15.3, 8.8], rtol=0.2)
    still = lengths(found).isel(x=slice(-200, None)).median(("y", "x")).values
    assert (still < 0.6).all()


def test_the_glacier_moves_as_is_known(data_folder: Path) -> None:
    """Perito Moreno: before the correction, since in a cut-out of the ice all ground moves."""
    place = data_folder / "perito_moreno_s2"
    dates = ("0131", "0207", "0210", "0220")
    stack = xoffset.open_stack([place / f"2020{date}.jpg" for date in dates], band=1, pixel_size=1.0)
    stack = stack.isel(y=slice(550, 910), x=slice(130, 490))
    most = lengths(shifts_of(stack, "shifts", spatial_matching_range=5)).quantile(0.95, ("y", "x")).values
    np.testing.assert_allclose(most[[0, 2]], [2.2, 3.6], rtol=0.2)
