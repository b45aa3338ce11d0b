"""One pair of a network or a product, by its dates."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xoffset.model import checks
from xoffset.model.dates import Date, as_dates, as_instant, is_bare_date

# Pairs that an error lists.
LISTED = 3


def pair(dataset: xr.Dataset, reference: Date, secondary: Date) -> xr.Dataset:
    """The one pair of these two dates.

    Parameters
    ----------
    dataset
        Shifts (pair, y, x), a network (pair), or any other product with dim `pair`.
    reference, secondary
        Dates of the pair, UTC, in its direction. A bare day such as "2020-06-01" names the only image of that day.

    Returns
    -------
    xarray.Dataset
        The dataset without the dim `pair`, as of `isel(pair=k)`: shifts become a displacement (y, x), which can be
        drawn, turned by `ground` or written by `to_geotiff`. `reference`, `secondary` and `baseline` are its scalar
        coordinates. Lazy if `dataset` is.

    Raises
    ------
    TypeError
        If it is no Dataset, or its dates are no datetime64.
    ValueError
        If a date is none or would have to be guessed, there is no such pair (the nearest ones are named), a day has
        several images, or there are several matches of the same two dates.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=6)
    >>> float(xoffset.pair(shifts, "2020-01-01", "2021-01-01").baseline)
    366.0
    """
    dataset = checks.check_pairs(dataset, "pair")
    dates = np.stack([as_dates(dataset[name].values) for name in ("reference", "secondary")], axis=1)
    wanted = np.array([as_instant(reference, "reference", "pair"), as_instant(secondary, "secondary", "pair")])
    is_day = np.array([is_bare_date(reference), is_bare_date(secondary)])
    days, wanted_days = dates.astype("datetime64[D]"), wanted.astype("datetime64[D]")
    found = np.flatnonzero(np.where(is_day, days == wanted_days, dates == wanted).all(axis=1))
    if not found.size:
        nearest = np.argsort(np.abs(dates - wanted).sum(axis=1), kind="stable")[:LISTED]
        is_turned = np.where(is_day, days[:, ::-1] == wanted_days, dates[:, ::-1] == wanted).all(axis=1).any()
        advice = "It is there in the other direction: exchange the dates." if is_turned else "Pass one of these."
        raise ValueError(
            f"pair() needs the dates of one of {len(dates)} pairs; got {reference} and {secondary}. The nearest are "
            f"{_listed(dates[nearest])}. {advice}"
        )
    if (dates[found] != dates[found[0]]).any():
        raise ValueError(
            f"pair() needs one pair; got days with several images, {reference} and {secondary}: "
            f"{_listed(dates[found[:LISTED]])}. Give the time of day, UTC: '2020-06-01T10:30'."
        )
    if found.size > 1:
        raise ValueError(
            f"pair() needs one match of the two dates; got {found.size} of {reference} and {secondary}. "
            f"Choose one by its place: dataset.isel(pair={found[0]}), or all: dataset.isel(pair={found.tolist()[:10]})."
        )
    return dataset.isel(pair=int(found[0]))


def _listed(dates: np.ndarray) -> str:
    return ", ".join(" to ".join(_text(each) for each in ends) for ends in dates)


def _text(date: np.datetime64) -> str:
    """A date as it is to be given: no more digits than it needs."""
    text = str(date)
    for end in (".000000", ":00", "T00:00"):
        text = text.removesuffix(end)
    return text
