"""What screen() was asked to test beside scores, chance and the vector median, checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import elements, halos
from xoffset.model import products
from xoffset.model.dates import in_years
from xoffset.model.lengths import pixels_in_metres
from xoffset.screening import directions, sheared
from xoffset.screening.consistency import Consistency
from xoffset.screening.limits import Limits, usual_errors
from xoffset.screening.neighbourhood import Around, is_small_clump

# Angle in degrees within which the motion must follow `direction`, unless `screen` is told another. The signature has
# None, so that an angle without a direction can be told and refused.
USUAL_ANGLE = 45.0
# Those that compare nodes of a grid.
_OF_GRID = ("ndc", "median_test", "max_range", "min_clump")
# Which test needs a variable that shifts may lack, and what to do about it.
_OWNERS = {
    "valid_fraction": ("min_valid_fraction", "Match again with correlate(), or leave"),
    "mismatch": ("max_mismatch", "Match with NCC(both_ways=True), or leave"),
}
# Largest clump that is worth a name, in nodes: each chunk needs as many nodes around it.
_LARGEST_CLUMP = 10_000


@dataclass(frozen=True)
class Stages:
    """Tests in the order in which they are made."""

    limits: Limits
    direction: tuple[Any, Any] | None  # unit vectors x and y (y, x)
    around: Around
    max_range: float | None  # px
    consistency: Consistency
    min_clump: int | None
    record: dict[str, Any]  # of what was asked, for the history of the product

    def of_vectors(self, shifts: xr.Dataset) -> Any:
        """Flags of the limits that vectors do not keep (pair, y, x), int64; None if there are none."""
        if not self.limits.are_asked:
            return None
        names = ["dx", "dy", *self.limits.names]
        fields = [shifts[name].data for name in names]
        if self.direction is not None:
            fields += [shifts[name].data for name in ("sigma_dx", "sigma_dy")]
            fields += [elements.on_layers_of(each, fields[0]) for each in self.direction]
        of_pairs = np.stack([_years(shifts), usual_errors(shifts)], axis=1)
        return halos.with_halo(self.limits.failed, fields, 0, np.dtype(np.int64), of_pairs)

    def of_neighbours(self, shifts: xr.Dataset, failed: Any) -> Any:
        """Flags so far and those of vectors at odds with what earlier tests left around them."""
        # a single node has no neighbours, so nothing is at odds with it
        if not self.around.are_asked or shifts.sizes["y"] * shifts.sizes["x"] == 1:
            return failed
        fields = [failed, shifts["dx"].data, shifts["dy"].data]
        depth, sampling = self.around.depth, _scales(shifts, self.around)
        return failed | halos.with_halo(self.around.failed, fields, depth, np.dtype(np.int64), sampling)

    def of_windows(self, shifts: xr.Dataset, failed: Any) -> Any:
        """Flags so far and those of windows in which the motion, by what is left around them, differs too much."""
        if self.max_range is None or shifts.sizes["y"] * shifts.sizes["x"] == 1:
            return failed
        return sheared.failed(shifts, failed, self.max_range)

    def of_pixels(self, shifts: xr.Dataset, failed: Any) -> Any:
        """Flags so far and those of pairs at odds with what earlier tests left of the other pairs of their pixel."""
        if not self.consistency.are_asked:
            return failed
        dx, dy = (
            elements.apply_if(fails, without, [shifts[name].data, failed], shifts[name].dtype) for name in ("dx", "dy")
        )
        return failed | self.consistency.failed(shifts, dx, dy, _years(shifts))

    def of_clumps(self, shifts: xr.Dataset, failed: Any) -> Any:
        """Flags so far and those of vectors that stand alone, or almost, once all else is gone."""
        if self.min_clump is None or shifts.sizes["y"] * shifts.sizes["x"] == 1:
            return failed
        test = partial(is_small_clump, least=self.min_clump)
        return failed | halos.with_halo(test, [failed], self.min_clump - 1, np.dtype(np.int64))


def fails(_: np.ndarray, failed: np.ndarray) -> bool:
    """Whether any test failed."""
    return bool(failed.any())


def without(values: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Values, NaN where any test failed."""
    return np.where(failed == 0, values, values.dtype.type(np.nan))


def without_failed(shifts: xr.Dataset, flags: Any, failed: Any, step: dict[str, Any]) -> xr.Dataset:
    """Shifts without the vectors that failed, and why."""
    new = {}
    for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"):
        if name in shifts:
            values = shifts[name].data
            kept = elements.apply_if(fails, without, [values, failed], values.dtype)
            new[name] = shifts[name].copy(data=kept)
    reasons = elements.apply_if(fails, _with_reasons, [flags, failed], flags.dtype)
    # floats on disk have a fill value that whole numbers have not
    new["flags"] = shifts["dx"].copy(data=reasons).drop_encoding()
    return products.relabel(shifts.assign(new), step)


def _with_reasons(flags: np.ndarray, failed: np.ndarray) -> np.ndarray:
    return flags | np.where(failed > 0, failed, 0)


def checked(shifts: xr.Dataset, asked: Mapping[str, Any]) -> Stages:
    """Tests that were asked for, by the names of the arguments of screen(); None tests nothing."""
    record = {name: value for name, value in asked.items() if value is not None}
    if isinstance(record.get("max_displacement"), str):
        text = record["max_displacement"]
        record["max_displacement"] = pixels_in_metres(text, shifts, "max_displacement", "screen", example=100.0)
    direction = record.get("direction")
    if direction is None and "max_angle" in record:
        raise ValueError(
            f"screen() needs a direction that max_angle counts from; got max_angle={record['max_angle']!r} without. "
            "Pass direction, such as the aspect of the slope, or max_angle_spread."
        )
    if direction is not None:
        record["max_angle"] = record.get("max_angle", USUAL_ANGLE)
    record |= {name: _CHECKS[name](value, name) for name, value in record.items() if name in _CHECKS}
    limits = Limits(
        record.get("pycorr"), record.get("min_peak_ratio"), record.get("max_mismatch"), record.get("max_displacement"),
        record.get("max_speed"), _radians(record.get("max_angle")), record.get("min_valid_fraction"),
    )  # fmt: skip
    around = Around(record.get("ndc"), record.get("median_test"))
    angle = _radians(record.get("max_angle_spread"))
    consistency = Consistency(angle, record.get("max_deviation"), record.get("max_closure"))
    consistency.check(shifts)
    for name in limits.names:
        if name not in shifts:
            owner, advice = _OWNERS.get(name, ("pycorr and min_peak_ratio", "Leave"))
            raise ValueError(f"screen() needs '{name}' for {owner}; got shifts without it. {advice} {owner} out.")
    toward = None if direction is None else directions.toward(direction, shifts)
    if around.are_asked:
        _scales(shifts, around)
    if "max_range" in record:
        sheared.sides(shifts)
    # netCDF holds no fields in attributes
    return Stages(
        limits, toward, around, record.get("max_range"), consistency, record.get("min_clump"),
        record | ({} if direction is None else {"direction": "given"}),
    )  # fmt: skip


def of_grid(asked: Mapping[str, Any]) -> list[str]:
    """Names of the tests that were asked for and compare nodes of a grid."""
    return [name for name in _OF_GRID if asked[name] is not None]


def _years(shifts: xr.Dataset) -> np.ndarray:
    """Time from the reference to the secondary date of each pair [yr]."""
    return np.asarray(in_years((shifts["secondary"] - shifts["reference"]).values), dtype=np.float64)


def _scales(shifts: xr.Dataset, around: Around) -> np.ndarray:
    """Side of a pixel and half-range of the search of each pair [m] (pair, 2), as far as it is needed."""
    needed = {products.PIXEL_SIZE: True, products.SEARCH_AREA: around.ndc is not None}
    found = np.ones((shifts.sizes["pair"], 2))
    for k, (name, is_needed) in enumerate(needed.items()):
        if not is_needed:
            continue
        values = np.asarray(shifts[name].values, dtype=np.float64) if name in shifts.coords else np.array(np.nan)
        if not (np.isfinite(values) & (values > 0.0)).all():
            raise ValueError(
                f"screen() needs the coordinate '{name}' for {'ndc' if k else 'ndc and median_test'}; got shifts that "
                f"do not tell it. Assign it: shifts.assign_coords({name}=...), in metres{' squared' if k else ''}."
            )
        found[:, k] = values
    # the area leaves out the outermost ring, on which no peak is accepted
    found[:, 1] = 0.5 * (np.sqrt(found[:, 1]) + found[:, 0])
    return found


def _radians(degrees: float | None) -> float | None:
    return None if degrees is None else math.radians(degrees)


def _share(value: Any, name: str) -> float:
    _options.check_share(value, name, "screen")
    return float(value)


def _above_zero(value: Any, name: str, *, unit: str, example: float) -> float:
    return _options.as_positive(value, name, "screen", unit=unit, example=example)


def _angle(value: Any, name: str) -> float:
    angle = _above_zero(value, name, unit="degree", example=USUAL_ANGLE)
    if angle > 180.0:
        raise ValueError(f"screen() needs {name} of at most 180 degrees; got {value!r}. Pass one such as 45.")
    return angle


def _rule(value: Any, name: str) -> tuple[float, float, float]:
    """The three limits of pycorr's rule."""
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ValueError(
            f"screen() needs three numbers as {name}: dcam, cam and cam1; got {value!r}. Pass {name}=(0.05, 1.0, 0.0)."
        )
    gap, enough, least = (_share(each, f"each of {name}") for each in value)
    return gap, enough, least


def _clump(value: Any, name: str) -> int:
    nodes = _options.as_whole_number(value, name, "screen", least=2, example=9)
    _options.check_count(nodes, _LARGEST_CLUMP, f"nodes as {name}", "screen", "Pass one such as 9")
    return nodes


_CHECKS: Mapping[str, Any] = {
    "min_valid_fraction": _share,
    "pycorr": _rule,
    "min_peak_ratio": lambda value, name: _options.as_number(value, name, "screen", least=1.0),
    "max_mismatch": partial(_above_zero, unit="m", example=5.0),
    "max_displacement": partial(_above_zero, unit="m", example=100.0),
    "max_speed": partial(_above_zero, unit="m yr-1", example=100.0),
    "max_angle": _angle,
    "ndc": _share,
    "median_test": partial(_above_zero, unit="1", example=2.0),
    "max_range": partial(_above_zero, unit="px", example=3.0),
    "max_angle_spread": _angle,
    "max_deviation": partial(_above_zero, unit="1", example=3.5),
    "max_closure": partial(_above_zero, unit="1", example=3.0),
    "min_clump": _clump,
}
