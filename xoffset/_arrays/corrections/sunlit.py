"""How ground seems to move with the sun, by the direction in which slopes face."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xoffset._arrays.layers import Layers

# Results by sector.
SECTORS = Layers(
    n_nodes=(), shadow_height=(), shadow_across=(), sigma_shadow_height=(), sigma_shadow_across=(), largest=()
)
# Vectors that a pair needs in a sector for their median to count, and pairs of it beyond as many as there are unknowns.
_LEAST_VECTORS, _LEAST_PAIRS = 5, 3


class Light(NamedTuple):
    """What all nodes share.

    slants (pair, 2): change of the sun from the reference to the secondary date, along x and y of the grid, in units of
    height; lengths (pair,) [yr]; independent: share of the pairs that do not follow from the others; sectors: their
    number, the first around the direction of y; steepness: least slope [degree].
    """

    slants: np.ndarray
    lengths: np.ndarray
    independent: float
    sectors: int
    steepness: float


def by_aspect(*fields: np.ndarray, light: Light) -> np.ndarray:
    """`SECTORS` (layer, sector) of slopes.

    fields: dx, dy (pair, rows, columns) [m]; where nodes are stable, slope and aspect [degree] (rows, columns).
    """
    dx, dy, stable, slope, aspect = fields
    width = 360.0 / light.sectors
    with np.errstate(invalid="ignore"):
        is_slope = stable & (slope >= light.steepness) & np.isfinite(aspect)
        sector = np.floor((np.where(is_slope, aspect, 0.0) + 0.5 * width) / width).astype(np.int64) % light.sectors
    out = np.full((SECTORS.count, light.sectors), np.nan)
    parts = SECTORS.split(out)
    for k in range(light.sectors):
        here = is_slope & (sector == k)
        parts["n_nodes"][k] = here.sum()
        medians = _medians(dx[:, here], dy[:, here])
        found = _fit(medians, light)
        if found is not None:
            (parts["shadow_height"][k], parts["shadow_across"][k]), errors = found
            parts["sigma_shadow_height"][k], parts["sigma_shadow_across"][k] = errors
            reach = np.hypot(*light.slants[np.isfinite(medians[0])].T).max()
            parts["largest"][k] = reach * np.hypot(parts["shadow_height"][k], parts["shadow_across"][k])
    return out


def _medians(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Median displacement (2, pair) of vectors (pair, node); NaN of a pair with few."""
    is_known = np.isfinite(dx) & np.isfinite(dy)
    out = np.full((2, len(dx)), np.nan)
    for pair in np.flatnonzero(is_known.sum(axis=1) >= _LEAST_VECTORS):
        for axis, values in enumerate((dx, dy)):
            out[axis, pair] = np.median(values[pair, is_known[pair]].astype(np.float64))
    return out


def _fit(medians: np.ndarray, light: Light) -> tuple[np.ndarray, np.ndarray] | None:
    """Height and what is across to it [m], and their standard errors; None where the pairs do not tell them.

    The shadow of a height ends as far on the other side as the sun stands off the vertical. A steady motion is fitted
    beside it, along each axis.
    """
    used = np.isfinite(medians[0])
    (east, north), years = light.slants[used].T, light.lengths[used]
    none = np.zeros_like(years)
    design = np.concatenate(
        [np.stack([-east, north, years, none], axis=1), np.stack([-north, -east, none, years], axis=1)]
    )
    unknowns = design.shape[1]
    free = 2.0 * used.sum() * light.independent - unknowns
    if used.sum() * light.independent < _LEAST_PAIRS + unknowns / 2 or free <= 0.0:
        return None
    size = np.linalg.norm(design, axis=0)
    if not (size > 0.0).all() or np.linalg.matrix_rank(design / size, tol=1e-6) < unknowns:
        return None
    observed = medians[:, used].ravel()
    normal = np.linalg.inv(design.T @ design)
    solution = normal @ (design.T @ observed)
    rest = observed - design @ solution
    # errors belong to dates: no more pairs are independent than there are dates but one
    variance = (rest @ rest) / (2.0 * used.sum()) * (2.0 * used.sum() * light.independent / free) / light.independent
    return solution[:2], np.sqrt(variance * np.diag(normal)[:2])
