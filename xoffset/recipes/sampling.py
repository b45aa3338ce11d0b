"""Tiles of real scenes with motion planted into some of their images, on which recipes are tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import planting
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset.model import grids, products
from xoffset.model.dates import in_years
from xoffset.recipes.own import Own

_CALLER = "tune"
# Side of the part of a tile that has nodes, beside what windows and search need [px].
ACROSS = 160
# Least share of a tile, and of the planted motion in it, that is stable ground.
LEAST, LEAST_PLANTED = 0.3, 0.9
# Part of the largest motion that is planted, and width of it where all ground is stable, or little [px].
PART, NARROWEST, USUAL = 0.5, 8.0, 64.0
# Narrowest motion that whole pixels show [px].
THINNEST = 2
# Pixels along a side of the map that tells how wide the ground is that moves.
_LOOKED_AT = 1024


@dataclass(frozen=True)
class Sample:
    """A tile: its images, and later ones with planted motion; pairs as they are and planted, and what is known of both.

    `field`: displacement (pair, 2, y, x) [m] of what was at a pixel before; `is_stable` (y, x); `scale` (pair), what
    displacements are divided by.
    """

    images: xr.DataArray
    plain: xr.Dataset
    planted: xr.Dataset
    field: np.ndarray
    is_stable: np.ndarray
    scale: np.ndarray
    search: Any


class Band(NamedTuple):
    """Planted motion: width [px], direction [radian], and search that finds it [px]."""

    width: float
    angle: float
    search: int


def side_of(window: int, search: int, stack: xr.DataArray) -> int:
    """Side of tiles in which the largest window and search have room [px]."""
    return min(window + 2 * search + ACROSS, *stack.shape[1:])


def width_of(ground: np.ndarray, stack: xr.DataArray, side: int, width: float | None) -> float:
    """Width of the planted motion [px]; `side`: of the tiles, which has to have room for it."""
    pixel = min(abs(each) for each in grids.spacing(stack, _CALLER))
    if width is not None:
        wanted = _options.as_positive(width, "width", _CALLER, unit="m", example=200.0)
        if not THINNEST * pixel <= wanted <= side * pixel:
            raise ValueError(
                f"tune() needs a width of {THINNEST} px to the side of a tile, {THINNEST * pixel:g} to "
                f"{side * pixel:g} m; got {wanted:g} m. Name the width of the narrowest motion that must not be lost."
            )
        return wanted / pixel
    thinned = max(1, max(ground.shape) // _LOOKED_AT)
    found = thinned * planting.widest(~ground[::thinned, ::thinned])
    return float(min(max(found, NARROWEST), USUAL)) if found > 0.0 else USUAL


def corners_of(
    ground: np.ndarray, side: int, width: float, tiles: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """First rows and columns of tiles on stable ground, drawn at random, those whose middle is stable first."""
    places = [
        (row, column) for row in _starts(ground.shape[0], side) for column in _starts(ground.shape[1], side)
    ]  # fmt: skip
    middle = slice(int((side - width) // 2), int((side + width) // 2) + 1)
    share, inside = (
        np.array([ground[row : row + side, column : column + side][part].mean() for row, column in places])
        for part in ((slice(None), slice(None)), (middle, middle))
    )
    order = generator.permutation(len(places))
    order = order[share[order] >= LEAST]
    order = order[np.argsort(inside[order] < LEAST_PLANTED, kind="stable")]
    if not order.size:
        raise ValueError(
            f"tune() needs a tile of {side} px, {100 * LEAST:.0f} % of which are stable ground; got none, "
            f"{100 * share.max():.0f} % at most. Enlarge the ground, or try smaller windows."
        )
    return [places[k] for k in order[:tiles]]


def _starts(length: int, side: int) -> list[int]:
    """First pixels of tiles along an axis: from one end to the other, half a tile apart."""
    count = max(1, round(2 * length / side) - 1)
    return sorted(set(np.linspace(0, length - side, count).round().astype(int).tolist()))


def sample_of(
    recipe: Own, tile: xr.DataArray, network: xr.Dataset, ground: np.ndarray, band: Band, search: Any
) -> Sample:
    """Images of a tile with some of their later ones changed, see `Sample`."""
    dates = np.unique(np.concatenate([network["reference"].values, network["secondary"].values]))
    images = tile.sel(time=dates).load()
    steps = grids.spacing(tile, _CALLER)
    pixel = min(abs(each) for each in steps)
    years = np.abs(in_years((network["secondary"] - network["reference"]).values))
    later, fields, times = [], [], []
    for k, date in enumerate(network["secondary"].values):
        moved = round(PART * recipe.largest(float(years[k])) / pixel)
        field = planting.band(
            images.shape[1], band.width, min(max(moved, 1), band.search - 2), band.angle
        )  # fmt: skip
        image = images.sel(time=[date])
        # a microsecond later it is another date
        times.append(date + np.timedelta64(k + 1, "us"))
        later.append(image.copy(data=planting.plant(image.values[0], field)[None]).assign_coords(time=times[-1:]))
        fields.append(planting.reached(field) * np.array([steps.y, steps.x])[:, None, None])
    reference = network["reference"].values
    return Sample(
        images=xr.concat([images, *later], dim="time").sortby("time"),
        plain=products.network(reference, network["secondary"].values),
        planted=products.network(reference, np.array(times)),
        field=np.stack(fields),
        is_stable=ground,
        scale=years if recipe.IS_RATE else np.ones_like(years),
        search=search,
    )


def half_of(search: int | Pyramid) -> int:
    """Half-range of a search [px]."""
    return search if not isinstance(search, Pyramid) else int(np.max(search.search))
