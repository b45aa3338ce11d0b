"""drop_cloudy(): a stack without the dates whose area is under clouds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset.model import checks
from xoffset.model.dates import as_dates
from xoffset.model.history import processed

_CALLER = "drop_cloudy"


def drop_cloudy(
    stack: xr.DataArray,
    seen: xr.DataArray,
    *,
    max_mean: float | None = None,
    classes: Sequence[int] | None = None,
    max_share: float | None = None,
) -> xr.DataArray:
    """Stack without the dates that are under clouds, as a band or a layer of classes tells of the whole area.

    Parameters
    ----------
    stack
        Images (time, y, x).
    seen
        What tells of clouds, (time, y, x) of any grid, with the dates of the stack or more: a band that clouds are
        bright in, such as B09 of Sentinel-2, or a layer of classes, such as `class_layer` gives. All of its pixels
        count: crop it to the area first.
    max_mean
        Of a band: dates whose mean is larger are left out. It counts from the numbers of the files, with their
        `radiometric_offset` where `seen` has this coordinate, in which 10000 is a reflectance of 1.
    classes
        Of a layer of classes: numbers of those that count as clouds, such as 3, 8 and 9 of the scene classification.
    max_share
        Largest share of the pixels that may be of these classes, 0 to 1. Pixels that are NaN do not count, nor does the
        class "no_data" or "fill" where `seen` has one.

    Returns
    -------
    xarray.DataArray
        Stack (time, y, x) of the dates that are left. A date of which `seen` tells nothing stays out. Lazy if the stack
        is; `seen` is computed.

    Raises
    ------
    TypeError
        If the stack or what tells of clouds is none.
    ValueError
        If neither or both of `max_mean` and `classes` are given, a limit is out of range, a date is missing, or none is
        left.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((48, 48), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> stack[1] += 9000.0  # a cloud
    >>> means = stack.mean(("y", "x")).values
    >>> xoffset.masking.drop_cloudy(stack, stack, max_mean=float(means[1] - 1.0)).sizes["time"]
    2
    """
    stack = checks.as_stack(stack, _CALLER)
    limit = _limit(max_mean, classes, max_share)
    if not isinstance(seen, xr.DataArray) or set(seen.dims) != {"time", "y", "x"}:
        got = f"dims {seen.dims}" if isinstance(seen, xr.DataArray) else type(seen).__name__
        raise TypeError(
            f"drop_cloudy() needs a DataArray (time, y, x) that tells of clouds; got {got}. Pass "
            "open_stack(scenes, band='B09'), or class_layer(scenes, like=stack)."
        )
    if classes is not None and "flag_masks" in seen.attrs:
        raise ValueError(
            "drop_cloudy() needs a layer of classes, one number a pixel; got bits that may be set together, as of "
            "Sentinel-2 L1C or Landsat. Pass the result of masking.classes(), whose clouds are 2: classes=(2,)."
        )
    dates, told = as_dates(stack["time"].values), as_dates(seen["time"].values)
    missing = dates[~np.isin(dates, told)]
    if missing.size:
        raise ValueError(
            f"drop_cloudy() needs seen at every date of the stack; got none at {missing[0]}. Open both of the same "
            "scenes."
        )
    seen = seen.isel(time=[int(np.flatnonzero(told == date)[0]) for date in dates])
    values = _means(seen) if classes is None else _shares(seen, classes)
    kept = np.flatnonzero(values <= limit)
    if not kept.size:
        raise ValueError(
            f"drop_cloudy() needs a date of at most {limit:g}; got {np.nanmin(values, initial=np.inf):.4g} and more at "
            f"all of {dates.size}. Raise the limit, or look for more dates."
        )
    step: dict[str, Any] = {"function": _CALLER, "max_mean": max_mean, "max_share": max_share}
    step |= {} if classes is None else {"classes": [int(each) for each in classes]}
    return stack.isel(time=kept).assign_attrs(processing=processed(stack, step))


def _limit(max_mean: Any, classes: Any, max_share: Any) -> float:
    if (max_mean is None) == (classes is None) or (classes is None) != (max_share is None):
        raise ValueError(
            f"drop_cloudy() needs either max_mean, or classes and max_share; got max_mean={max_mean!r}, "
            f"classes={classes!r} and max_share={max_share!r}. Pass one such as max_mean=1200, or classes=(3, 8, 9) "
            "and max_share=0.005."
        )
    if classes is None:
        return _options.as_number(max_mean, "max_mean", _CALLER)
    if isinstance(classes, (str, bytes)) or not np.size(classes) or not all(map(_options.is_whole, np.ravel(classes))):
        raise ValueError(f"drop_cloudy() needs numbers of classes; got {classes!r}. Pass some such as (3, 8, 9).")
    _options.check_share(max_share, "max_share", _CALLER)
    return float(max_share)


def _means(seen: xr.DataArray) -> np.ndarray:
    """Mean of each date, in numbers of which 10000 are a reflectance of 1."""
    found = seen.mean(("y", "x"), skipna=True).values.astype(np.float64)
    if "radiometric_offset" in seen.coords:
        found = found + seen["radiometric_offset"].values
    return np.asarray(found)


def _shares(seen: xr.DataArray, classes: Sequence[int]) -> np.ndarray:
    """Share of the pixels of each date that are of some classes."""
    names = str(seen.attrs.get("flag_meanings", "")).split()
    numbers = dict(zip(names, np.atleast_1d(seen.attrs.get("flag_values", [])).tolist(), strict=False))
    nothing = [numbers[name] for name in ("no_data", "fill") if name in numbers]
    is_known = seen.notnull() & ~seen.isin(nothing)
    count = is_known.sum(("y", "x")).values
    cloudy = (seen.isin(list(classes)) & is_known).sum(("y", "x")).values
    return np.asarray(np.divide(cloudy, count, out=np.full(count.shape, np.nan), where=count > 0))
