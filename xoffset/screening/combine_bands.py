"""combine_bands(): matches of several bands of the same scenes as one, where they agree."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import bands
from xoffset._blocks import elements, whole
from xoffset._blocks.pixels import per_pixel_of
from xoffset.model import checks, grids, products
from xoffset.model.dates import as_dates
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import takes_points
from xoffset.model.tables import IS_CORRECTED, SHIFT_ERROR, SHIFT_ERROR_PARTS

_CALLER = "combine_bands"
# Values that tell how alike bands err, at most.
SAMPLE = 4_000_000
# Most bands: each is tried without each other.
MOST_BANDS = 16
# Quantities whose mean over the bands in use is kept.
_MEANS = ("score", "peak_gap")
# Quantities of a pair that all bands share: the worst of them holds.
_WORST = {SHIFT_ERROR: np.fmax, **dict.fromkeys(SHIFT_ERROR_PARTS, np.fmax), IS_CORRECTED: np.fmin}


def combine_bands(shifts: Mapping[str, xr.Dataset], *, false_alarm: float = 0.001) -> xr.Dataset:
    """Shifts of several bands of the same scenes as one, with a vote: bands that disagree are left out and flagged.

    Parameters
    ----------
    shifts
        By name of the band, shifts (pair, y, x) from `correlate` or `screen`: the same pairs in the same order on the
        same nodes. Vectors that are NaN, or have no standard error, take no part. Correct and screen each band before:
        what shifts a whole band against another counts as disagreement.
    false_alarm
        Probability, 0 to 1, that bands which measure the same are taken to disagree.

    Returns
    -------
    xarray.Dataset
        Shifts. `dx`, `dy` [m], their mean weighted by the inverse covariances; `sigma_dx`, `sigma_dy` [m], `cov_dxdy`
        [m2]; `score`, `peak_gap`, the mean of the bands in use, where all bands have them; `n_bands`, the number of
        bands in use, 0 where there is no vector. By pair: `band_spread` [1], how large the squares of the differences
        between bands are for their standard errors, 1 where these are independent and right; and `band_correlation`
        [1], the correlation of their errors that explains it. The standard errors that belong to pairs as wholes
        (`sigma_shift`) are the largest of all bands. `flags`: `bands_disagree` where a band was left out. There the
        vector is that of the majority; without a majority, such as of two bands, it is NaN. Other flags are those of
        the bands in use, where there is none those of all, or `nodata` if these have no standard errors. Lazy if a band
        is.

    Raises
    ------
    TypeError, ValueError
        If there are no two bands, one has no shifts, or their pairs, nodes, CRS or corrections differ.

    Notes
    -----
    Bands of one scene share more than the ground: its position, jitter and shadows, and what the surface has become.
    Such errors are alike in all bands and no mean of bands makes them smaller. The bands' differences do not have them:
    they are smaller than the standard errors of both bands let expect, and the correlation r of the errors is what they
    lack, by the median over the nodes and over all twos of bands, wild differences left out: ``1 - band_spread`` if the
    bands are equally good, a little more if not. The variance of the mean holds r between all bands: with r = 1 the
    mean is no better than one band. If fewer than 30 nodes tell, r is taken to be 1. Where the differences are larger
    than the standard errors allow, the covariances grow to what they show. What the standard errors of a band leave
    out, such as a tilt of the scene, this cannot put back: `calibrate` each band first.

    Weights are by what each band errs by itself: its covariance without r times the least variance of all bands. So
    they are never below zero, and a band that is worse for an error that it shares with a better one counts little.

    Agreement is tested by the chi-square of the bands about their mean, in units of the spread of the pair. If they
    disagree, the band without which the others agree best is left out, and the rest is tested again. Clouds hide the
    ground in all bands, and wrong matches of all bands may agree: this is no replacement of `screen`.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> bands = {}
    >>> for k, name in enumerate(["B03", "B04", "B08"]):
    ...     noise = np.random.default_rng(k).normal(0.0, 200.0, stack.shape)
    ...     bands[name] = xoffset.correlate(stack + noise, xoffset.pairs(stack), search=4)
    >>> found = xoffset.combine_bands(bands)
    >>> bool(found.sigma_dx.median() < bands["B04"].sigma_dx.median())
    True
    """
    is_named = isinstance(shifts, Mapping) and not isinstance(shifts, xr.Dataset)
    if not is_named or not all(isinstance(name, str) for name in shifts):
        raise TypeError(
            f"combine_bands() needs shifts by the name of their band; got {type(shifts).__name__}. "
            "Pass {'B03': shifts_of_b03, 'B04': shifts_of_b04}."
        )
    if not 2 <= len(shifts) <= MOST_BANDS:
        raise ValueError(
            f"combine_bands() needs 2 to {MOST_BANDS} bands; got {len(shifts)}. Match another band of the same scenes: "
            "correlate(open_stack(..., band='B03'), network)."
        )
    _options.check_share(false_alarm, "false_alarm", _CALLER)
    # sorted, so that the order in which they are given does not change a bit
    names = sorted(shifts)
    return _combined(*(shifts[name] for name in names), names=names, false_alarm=float(false_alarm))


@in_few_tasks
@takes_points
def _combined(*shifts: xr.Dataset, names: list[str], false_alarm: float) -> xr.Dataset:
    given = [checks.as_shifts(each, _CALLER) for each in shifts]
    _check_alike(given, names)
    count, pairs = len(given), given[0].sizes["pair"]
    dims, dtype = given[0]["dx"].dims, np.result_type(*(each["dx"].dtype for each in given))
    vectors = [data.astype(dtype, copy=False) for each in given for data in _vectors(each)]
    means = [name for name in _MEANS if all(name in each for each in given)]
    others = [each[name].data for name in means for each in given]

    sample = whole.sample(vectors, count * given[0]["dx"].size, SAMPLE)
    table = whole.at_once(partial(bands.spread, bands=count), sample, np.dtype(np.float64), (bands.ROWS, pairs))
    layers = bands.layers_of(pairs, count, len(means))
    solve = partial(bands.combine, bands=count, false_alarm=false_alarm)
    found = layers.split(per_pixel_of(solve, vectors + others, table, layers.count))

    fields = {name: (dims, found[name]) for name in bands.VECTORS} | {
        name: (dims, found["others"][k]) for k, name in enumerate(means)
    }
    why = partial(bands.reasons, bands=count, dissent=FLAGS["bands_disagree"], lacking=FLAGS["nodata"])
    is_known = [elements.apply(_known, list(_vectors(each)[:4]), dtype) for each in given]
    flags = [flags_of(each, _CALLER) for each in given]
    reasons = elements.apply(why, [*found["is_used"], *flags, *is_known], np.dtype(np.int64))
    fields |= {"n_bands": (dims, found["n_bands"].astype(np.int32)), "flags": (dims, reasons)}
    for name, row in (("band_spread", bands.SPREAD), ("band_correlation", bands.CORRELATION)):
        fields[name] = (("pair",), table[row].astype(dtype))
    fields |= _of_pairs(given)
    base = given[0].drop_vars([name for name in given[0].data_vars if name not in fields])
    differing = [name for name in products.SAMPLING if name in base.coords and not _are_equal(given, name)]
    step = {"function": _CALLER, "bands": names, "false_alarm": false_alarm}
    return products.relabel(base.drop_vars(differing).assign(fields), step)


def _known(dx: np.ndarray, dy: np.ndarray, sigma_dx: np.ndarray, sigma_dy: np.ndarray) -> np.ndarray:
    """1 where there is a vector with its standard errors, else NaN."""
    is_known = np.isfinite(dx) & np.isfinite(dy) & (sigma_dx > 0.0) & (sigma_dy > 0.0)
    return np.asarray(np.where(is_known, dx.dtype.type(1.0), dx.dtype.type(np.nan)))


def _vectors(shifts: xr.Dataset) -> list[Any]:
    """What `bands.VECTORS` names; components whose covariance is not known are taken to err independently."""
    found = [shifts[name].data for name in bands.VECTORS[:4]]
    covariance = shifts["cov_dxdy"].fillna(0.0).data if "cov_dxdy" in shifts else 0.0 * found[0]
    return [*found, covariance]


def _check_alike(given: list[xr.Dataset], names: list[str]) -> None:
    """Refuse bands of other pairs, nodes or corrections."""
    first = given[0]
    for name, each in zip(names[1:], given[1:], strict=True):
        which = f"got {name!r} with"
        for date in ("reference", "secondary"):
            ours, theirs = as_dates(first[date].values), as_dates(each[date].values)
            if not np.array_equal(ours, theirs):
                came = f"{theirs.size} for {ours.size}" if theirs.size != ours.size else "others"
                raise ValueError(
                    f"combine_bands() needs the same pairs in all bands; {which} {came} than {names[0]!r}. Match all "
                    "bands with one network, or select: shifts.isel(pair=[...])."
                )
        if not grids.is_same(first, each):
            raise ValueError(
                f"combine_bands() needs the same nodes and CRS in all bands; {which} others than {names[0]!r}. Match "
                "all bands with one step and template, on one grid: open_stack(..., align=...)."
            )
        differing = sorted(map(str, (set(first.variables) ^ set(each.variables)) & set(_WORST)))
        if differing:
            raise ValueError(
                f"combine_bands() needs all bands corrected alike; got {differing[0]!r} in {names[0]!r} or {name!r} "
                "alone. Give all bands the same corrections."
            )


def _of_pairs(given: list[xr.Dataset]) -> dict[str, Any]:
    """Quantities of a pair, the worst of all bands."""
    found = {}
    for name, worst in _WORST.items():
        if name in given[0]:
            values = given[0][name].data
            for each in given[1:]:
                values = worst(values, each[name].data)
            found[name] = (given[0][name].dims, values)
    return found


def _are_equal(given: list[xr.Dataset], name: str) -> bool:
    return all(name in each.coords and np.array_equal(each[name].values, given[0][name].values) for each in given)
