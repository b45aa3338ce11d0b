"""one_a_year(): images of a stack that are alike in season."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from xoffset._arrays.scenes import year_days
from xoffset.model import checks
from xoffset.model.dates import as_dates
from xoffset.model.history import processed


def one_a_year(stack: xr.DataArray) -> xr.DataArray:
    """One image of each year, chosen so that their days of the year spread least: sun and snow are then alike.

    Parameters
    ----------
    stack
        Images (time, y, x).

    Returns
    -------
    xarray.DataArray
        Stack (time, y, x) of one image of each calendar year (UTC) that has any. Lazy if the stack is.

    Raises
    ------
    TypeError, ValueError
        If it is no stack.

    Notes
    -----
    The days of the year lie on a circle, and the choice is that of the shortest arc with a day of every year; within it
    the image nearest to its middle counts. That is exact, and takes n log n steps for n images, where all combinations
    are as many as the product of the images of each year. `open_stac(one_a_year=True)` chooses in the same way before
    anything is read.

    Examples
    --------
    >>> import xoffset
    >>> dates = ["2019-03-01", "2019-08-02", "2020-07-20", "2021-02-01", "2021-07-30"]
    >>> stack, _ = xoffset.synthetic.stack((32, 32), dates=dates)
    >>> xoffset.one_a_year(stack).time.dt.strftime("%m-%d").values.tolist()
    ['08-02', '07-20', '07-30']
    """
    stack = checks.as_stack(stack, "one_a_year")
    dates = pd.DatetimeIndex(as_dates(stack["time"].values))
    chosen = year_days.one_each(dates.day_of_year.to_numpy(), dates.year.to_numpy())
    return stack.isel(time=chosen).assign_attrs(processing=processed(stack, {"function": "one_a_year"}))
