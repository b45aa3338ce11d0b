"""The recipes `tio` and `annual-rate` on crops of real images: as far as is known how they move."""

from pathlib import Path

import numpy as np
import pytest

import xoffset

pytestmark = [pytest.mark.data, pytest.mark.slow]


def test_tio_follows_the_glacier(data_folder: Path, tmp_path: Path) -> None:
    """Perito Moreno, in pixels: all ground of the crop moves, so no median comes off."""
    place = data_folder / "perito_moreno_s2"
    dates = ("0131", "0207", "0210", "0220", "0222")
    stack = xoffset.open_stack([place / f"2020{date}.jpg" for date in dates], band=1, pixel_size=1.0)
    stack = stack.isel(y=slice(580, 840), x=slice(160, 420)).chunk()
    found = xoffset.run("tio", stack, tmp_path / "out", spatial_matching_range=6, max_pairs_per_date=2, rm_median=False)
    series = found["series"].compute()
    moved = np.hypot(series.dx.diff("time"), series.dy.diff("time"))
    most = moved.quantile(0.95, ("y", "x")).values
    np.testing.assert_allclose(most[[0, 2]], [2.2, 3.6], rtol=0.2)
    assert float(series.dx[1].notnull().mean()) > 0.5


def test_annual_rate_follows_the_rock_glacier(data_folder: Path, tmp_path: Path) -> None:
    """Kaiserberg: 1.16 to 1.62 m a year where it moves fastest, and nothing beside it."""
    place = data_folder / "kaiserberg_rock_glacier"
    years = (2003, 2010, 2015, 2020, 2023)
    stack = xoffset.open_stack([place / f"ortho_{year}.tif" for year in years], date="ortho_%Y")
    stack = stack.isel(y=slice(330, 650), x=slice(820, 1540)).chunk()
    step = 8.0 * abs(float(stack.x[1] - stack.x[0]))
    moving = str(place / "moving_area.geojson")
    found = xoffset.run(
        "annual-rate", stack, tmp_path / "out", grid=step, chip_size_min=32, chip_size_max=64, landslides=moving,
        landslide_buffer=20.0,
    )  # fmt: skip
    rate = found["velocity"].compute()
    moves = ~xoffset.masking.stable_ground(rate, moving=moving, buffer=0.0)
    fastest = float(rate.v.where(moves).quantile(0.95))
    assert 1.0 < fastest < 1.8
    still = rate.isel(x=slice(-25, None))
    for name in ("vx", "vy"):
        assert abs(float(still[name].median())) < 0.03
