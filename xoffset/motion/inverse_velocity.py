"""inverse_velocity(): the date at which accelerating motion would have no end, if it went on as it does."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset._arrays.networks import failure
from xoffset._blocks.pixels import per_pixel
from xoffset._kernels.networks.failure import FEWEST, NONE, TOO_FEW
from xoffset.model import products
from xoffset.model.change_variables import FAILURE
from xoffset.model.dates import Date, as_instant, in_years
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import takes_points
from xoffset.motion import changes

_CALLER = "inverse_velocity"


@in_few_tasks
@takes_points
def inverse_velocity(
    series: xr.Dataset, *, start: Date | None = None, false_alarm: float = 0.01, confidence: float = 0.95
) -> xr.Dataset:
    """Date at which the inverse velocity would be zero, with an interval, where the motion accelerates.

    It is no forecast of safety. It says when motion would have no end if it went on exactly as before, by one law: many
    slopes that accelerate slow down again, others fail without, and a pixel without a date is not a safe one.

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`, neither smoothed nor resampled.
    start
        First date (UTC) that counts: where the acceleration began, see `onset`. None: all dates. An earlier steady part
        would make the acceleration look sudden and the date too early.
    false_alarm
        Probability, 0 to 1, that steady motion gets a date.
    confidence
        Probability, 0 to 1, that the interval holds the date.

    Returns
    -------
    xarray.Dataset
        On (y, x): `failure_date`, and `failure_earliest`, `failure_latest`, the interval that holds it; all lie after
        the last date of the series, and the interval begins there where the data do not end it. `rms` [m]: root mean
        square residual of the mean component, without outliers; `n_dates`: dates that took part. NaT, with the flag
        `no_acceleration`, where the motion does not accelerate significantly, so that the interval has no end, and with
        `too_few_dates` where there are fewer than six. Lazy if the series is.

    Raises
    ------
    TypeError, ValueError
        If it is no series, it was smoothed or resampled, fewer than six dates are left, or an option is out of range.

    Notes
    -----
    Before many slopes failed, the inverse of their velocity fell in a line (Fukuzono 1985, Proc. 4th Int. Conf. Field
    Workshop Landslides, Tokyo, 145-150; Voight 1988, Nature 332, 125-130, and 1989, Science 243, 200-203, with
    exponent α = 2). Then u = c - b·ln(1 - (t - t0)/(T - t0)) in a straight line on the map, and T is the date. The
    curve is fitted to the displacements, by weights from the errors of the dates, `sigma_shift` included, and never to
    inverse velocities: these are biased by the noise of velocities, and infinite where one is zero.

    Time of failure enters as 1/(T - t0): zero for steady motion, below for motion that slows down. So the interval is
    that of Fieller's problem: those dates whose squares are as small as the least, within the quantile of F (1 and the
    degrees of freedom left). If it reaches steady motion it has no end, and there is no date; nor is there one if only
    the last date tells of acceleration, which may be an outlier. Of synthetic motion that accelerates clearly 94 to
    96 % of the intervals of 95 % hold the date. Where the acceleration is barely significant noise has helped to find
    it, and the date is too early: of motion that gets a date one time in ten, seven to nine in ten do. Steady motion
    and motion that slows down get a date no more often than `false_alarm` says. Dates farther from the curve than 4.5
    times the scatter are left out.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> dates = np.datetime64("2020-01-01") + 10 * np.arange(12)
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=dates, field="constant", velocity=0.0)
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=4))
    >>> years = (series.time - series.time[0]) / np.timedelta64(1, "D") / 365.25
    >>> series["dx"] = (series.dx - 3.0 * np.log(1.0 - years / 0.4)).astype("float32")
    >>> found = xoffset.inverse_velocity(series)
    >>> found.failure_date.isel(y=2, x=2).dt.strftime("%Y-%m").item()
    '2020-05'
    """
    level = changes.as_probability(false_alarm, "false_alarm", _CALLER)
    held = changes.as_probability(confidence, "confidence", _CALLER)
    given = changes.source(series, _CALLER)
    first = None if start is None else as_instant(start, "start", _CALLER)
    used = np.ones(given.epochs.size, np.bool_) if first is None else given.epochs >= first
    if np.count_nonzero(used) < FEWEST:
        raise ValueError(
            f"inverse_velocity() needs {FEWEST} dates or more; got {np.count_nonzero(used)}"
            f"{'' if first is None else f' from {first} on'}. Keep more of the series, or begin earlier."
        )
    epochs = given.epochs[used]
    find = partial(failure.find, time=in_years(epochs - epochs[0]), false_alarm=level, confidence=held)
    found = failure.LAYERS.split(per_pixel(find, [each[used] for each in given.fields[:4]], failure.LAYERS.count))
    dims, state = ("y", "x"), found["state"]
    fields = {
        f"failure_{name}": (dims, changes.instants(found[layer], epochs[0]))
        for name, layer in (("date", "failure"), ("earliest", "earliest"), ("latest", "latest"))
    }
    fields |= {"rms": (dims, found["rms"]), "n_dates": (dims, found["n_dates"].astype(np.int32))}
    reasons = (state == NONE) * np.int64(FLAGS["no_acceleration"])
    fields["flags"] = (dims, reasons + (state == TOO_FEW) * np.int64(FLAGS["too_few_dates"]))
    step = {
        "function": _CALLER,
        "start": None if first is None else str(first),
        "false_alarm": level,
        "confidence": held,
    }
    return products.product(fields, FAILURE, like=given.data, step=step)
