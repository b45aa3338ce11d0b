"""light(): whether stable ground seems to move with the sun, by the direction in which slopes face."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import sunlit
from xoffset._arrays.networks import graph
from xoffset._blocks import whole
from xoffset._options import speaking_as
from xoffset.masking import elevations, places
from xoffset.masking.terrain import steepness
from xoffset.model import checks, grids, north, products
from xoffset.model import sun as sunlight
from xoffset.model.dates import as_dates, in_years
from xoffset.model.shift_errors import without_uncorrected
from xoffset.model.stable import check_somewhere, on_nodes
from xoffset.model.variables import LIGHT

# Vectors of all pairs that are looked at, at most: of a larger scene every so many nodes are.
SAMPLE = 4_000_000


def light(
    shifts: xr.Dataset,
    *,
    dem: xr.DataArray,
    sun: xr.DataArray | xr.Dataset,
    stable: xr.DataArray | None = None,
    sectors: int = 8,
    min_slope: float = 10.0,
) -> xr.Dataset:
    """How far stable ground seems to move with the sun, by the direction in which slopes face.

    Shadows end on the other side of the sun, the farther the lower it stands, and most of them lie on slopes that face
    away from it. Ground that does not move, but follows the sun on such slopes, tells that shadows are matched.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen` and `correct`; what `correct` left as it was takes no
        part, as in `invert`.
    dem
        Elevations (y, x) [m] on a regular grid in metres, as for `masking.slope`; their mean over the distance of the
        nodes counts.
    sun
        Stack, or Dataset, with `sun_azimuth` and `sun_elevation` on (time) [degree] at the dates of the shifts.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
        None: all ground, less a steady velocity.
    sectors
        Number of sectors of the aspect, the first of which is centred on the north of the grid.
    min_slope
        Least slope [degree]: level ground faces nowhere.

    Returns
    -------
    xarray.Dataset
        On `aspect`, the middle of each sector, clockwise from the north of the grid [degree]: `shadow_height`, how high
        what casts the shadows would be if ground moved with their ends [m], positive away from the sun, and
        `shadow_across`, the same at right angles, clockwise of the sun, where no light leads; each with `sigma_...`.
        `largest`: the largest
        displacement between two dates [m] that this makes. `n_nodes`: stable nodes of such slopes. NaN where there are
        too few nodes or dates. Lazy if shifts, stable or dem are.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are none, the sun is not known at their dates, the elevations are none or lie elsewhere, nothing is
        stable, or an option is none.

    Notes
    -----
    The median displacement of a sector is fitted pair by pair by ``-height·Δs``, ``s = cot(elevation)·(sin(azimuth),
    cos(azimuth))``, turned to the grid, by the same at right angles, and by a steady velocity. Standard errors follow
    from the scatter of the pairs about that, of which no more are independent than there are dates. A `shadow_height`
    that is many times its `sigma_shadow_height`, while `shadow_across` is not, is made by light: pair dates of one
    season (``pairs(max_season_gap=)``, ``pairs(max_sun_gap=)``), mask `masking.cast_shadow`, or ``invert(sun=)``.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> dates = ["2020-01-10", "2020-03-01", "2020-05-01", "2020-07-01", "2020-09-01", "2020-11-01"]
    >>> stack, truth = xoffset.synthetic.stack((128, 128), dates=dates, velocity=0.0, shadows=0.5)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=2), search=4)
    >>> found = xoffset.light(shifts, dem=truth.elevation, sun=stack, sectors=1, min_slope=0.0)
    >>> bool(found.shadow_height.item() > 3.0 * found.sigma_shadow_height.item())
    True
    """
    count = _options.as_whole_number(sectors, "sectors", "light", least=1, example=8)
    least = _options.as_number(min_slope, "min_slope", "light")
    shifts = without_uncorrected(checks.as_shifts(shifts, "light"), "light")
    first, second = (as_dates(shifts[name].values) for name in ("reference", "secondary"))
    epochs, ends = graph.incidence(first, second)
    slants = _slants(shifts, sun, epochs)
    setup = sunlit.Light(
        slants[ends[:, 1]] - slants[ends[:, 0]], in_years(second - first), graph.rank(epochs.size, ends) / len(ends),
        count, least,
    )  # fmt: skip
    slope, aspect = _terrain(dem, shifts)
    fields = [shifts["dx"].data, shifts["dy"].data]
    fields.append(np.ones(fields[0].shape[1:], np.bool_) if stable is None else on_nodes(stable, shifts, "light"))
    check_somewhere(fields[2], "stable", "light")
    sample = whole.sample([*fields, slope, aspect], shifts["dx"].size, SAMPLE)
    fit = partial(sunlit.by_aspect, light=setup)
    found = sunlit.SECTORS.split(
        whole.at_once(fit, sample, np.dtype(np.float64), (sunlit.SECTORS.count, setup.sectors))
    )
    found["n_nodes"] = found["n_nodes"].astype(np.int32)
    step = {"function": "light", "stable": stable is not None, "sectors": count, "min_slope": least}
    coords: dict[Hashable, Any] = {"aspect": ("aspect", 360.0 / count * np.arange(count))}
    variables = {name: (("aspect",), values) for name, values in found.items()}
    return products.product(variables, LIGHT, like=shifts, step=step, coords=coords)


def _slants(shifts: xr.Dataset, light: xr.DataArray | xr.Dataset, epochs: np.ndarray) -> np.ndarray:
    """`sun.slants` (date, 2) along x and y of the grid."""
    azimuth, elevation = sunlight.angles_of(light, epochs, "sun", "light")
    turned = north.to_grid_north(azimuth, shifts, "the shifts", "light")
    return sunlight.slants(np.stack([turned, elevation]))


def _terrain(dem: xr.DataArray, shifts: xr.Dataset) -> list[np.ndarray]:
    """Slope and aspect [degree] on the nodes, of elevations averaged over their distance."""
    land, apart = elevations.as_dem(dem, "light"), grids.spacing(shifts, "light")
    side = grids.spacing(land, "light")
    land = land.astype(np.float64)
    many = {name: max(int(abs(getattr(apart, name) / getattr(side, name))), 1) for name in ("y", "x")}
    # a slope needs three pixels each way
    many = {name: min(each, land.sizes[name] // 3) for name, each in many.items()}
    if max(many.values()) > 1:
        land = grids.with_crs(land.coarsen(many, boundary="trim").mean())
    found = []
    for name in ("slope", "aspect"):
        angle = land.copy(data=steepness(land, name))
        with speaking_as("light", "classes"):
            found.append(places.on_grid(angle.expand_dims("time"), shifts["dx"], np.nan, "dem")[0][0])
    return found
