"""onset(): when the motion began, or its velocity changed."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks import changes as search
from xoffset._blocks.pixels import per_pixel
from xoffset._kernels.networks.changes import NONE, TOO_FEW
from xoffset.model import noise, products
from xoffset.model.change_variables import ONSET
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import takes_points
from xoffset.motion import changes
from xoffset.motion.components import Fields

_CALLER = "onset"
# Most changes that are searched: each needs three dates on both sides.
MOST_CHANGES = 20


@in_few_tasks
@takes_points
def onset(
    series: xr.Dataset, *, max_changes: int = 2, false_alarm: float = 0.01, confidence: float = 0.95
) -> xr.Dataset:
    """When motion began or its velocity changed, with an interval, wherever that is significant.

    Parameters
    ----------
    series
        Series (time, y, x) from `invert`, neither smoothed nor resampled. What moves with the seasons looks like
        changes: take it off with `remove_season` or `invert(sun=...)` before. So do images that lie off as wholes:
        `correct(by_date=True)` the shifts.
    max_changes
        Most changes of a pixel that are searched.
    false_alarm
        Probability, 0 to 1, that steady motion is taken to change.
    confidence
        Probability, 0 to 1, that an interval holds the date of its change.

    Returns
    -------
    xarray.Dataset
        On (change, y, x), in order of time: `change_date`, and `change_earliest`, `change_latest`, the interval that
        holds it, which ends at the first or last date of the pixel, or at the change before or after, where the data do
        not end it; `false_alarm` [1], the probability that noise alone bends the motion as much at any date, given the
        changes that were found before it; `vx_before`, `vy_before`, `vx_after`, `vy_after` [m yr-1], the velocity until
        the change and from it on, to the next ones, positive toward increasing x and y, with `sigma_vx_before` and so
        on. NaT and NaN beyond the number of changes, `n_changes` (y, x). `flags` (y, x): `no_change` where none was
        found, `too_few_dates` where there are fewer than six. Lazy if the series is.

    Raises
    ------
    TypeError, ValueError
        If it is no series, it was smoothed or resampled, or an option is out of range.

    Notes
    -----
    Displacement follows a line that bends, u = c + v·t + Σ Δ·max(t - τ, 0), with the same dates τ for both components.
    The bend that takes most of the weighted squares is found first; it is tested, then the next one is searched beside
    it, and all dates are adjusted to each other (binary segmentation by a model of the whole series). Motion that
    begins and ends needs two bends, of which one alone may explain little: if the first is not significant, the second
    is searched all the same and has to pass a tenth of `false_alarm`, which both then bear. The free level
    takes the error of the reference date, which all dates share; what is left errs date by date, as the standard errors
    say, with `sigma_shift` of the dates, up to a common factor that the residuals tell.

    The largest of many bends is larger than one that is given: a chi-square test would find changes in most noise. Its
    distribution follows from the length L of the curve that the normalised bends of all dates describe on the sphere
    (Hotelling 1939, Am. J. Math. 61, 440-460; Davies 1987, Biometrika 74, 33-43; Knowles & Siegmund 1989, Int. Stat.
    Rev. 57, 205-220). With w the share of the squares that the best bend takes and m their degrees of freedom, the
    false alarm is ``(1-w)^(m/2-1) + L·Γ(m/2)/(Γ((m-1)/2)·√π)·√w·(1-w)^((m-3)/2)``. It holds the spacing of the dates of
    each pixel and their weights. Of steady motion of 10 to 60 dates 1.0 to 1.4 % are found to change at 1 %, 5.0 to
    5.9 % at 5 %, and 1.6 to 2.1 % and 6.2 to 6.9 % if a twentieth of the dates are outliers, ten times the noise.

    The interval holds the dates whose squares are as small as the least, within the quantile of F (1 and the degrees of
    freedom left): of clear changes 93 to 95 % of the intervals of 95 % hold the date. Faint changes are found where
    noise helps them: of those that are missed as often as not, 79 to 91 % do. Dates farther from the motion than 4.5
    times the scatter are left out, but for three in a row, which may be a change. There are three dates or more
    before, between and after changes, so that a change is seen once three dates have followed it.

    Velocities have the errors of a line through the dates of their part alone, at least as large as their standard
    errors say and as large as they scatter. What the noise of pairs piles up to (`sigma_drift_dx`, `sigma_drift_dy` of
    the series) lowers what each bend counts, and is in the errors of velocities. Errors that resemble those of the date
    before, such as seasons, look like changes. A sudden step looks like two; `decompose(steps="search")` finds it.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> dates = np.datetime64("2020-01-01") + 30 * np.arange(12)
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=dates, field="constant", velocity=20.0, direction=90.0)
    >>> series = xoffset.invert(xoffset.correlate(stack, xoffset.pairs(stack), search=4))
    >>> still = series.dx.where(series.time > np.datetime64("2020-07-01"), series.dx.sel(time="2020-06-29").values)
    >>> found = xoffset.onset(series.assign(dx=still))
    >>> found.change_date.isel(change=0, y=2, x=2).dt.strftime("%Y-%m").item()
    '2020-06'
    """
    most = _options.as_whole_number(max_changes, "max_changes", _CALLER, least=1, example=2)
    _options.check_count(most, MOST_CHANGES, "changes", _CALLER, "Pass max_changes=2")
    level = changes.as_probability(false_alarm, "false_alarm", _CALLER)
    held = changes.as_probability(confidence, "confidence", _CALLER)
    given = changes.source(series, _CALLER)
    time = in_years(given.epochs - given.epochs[0])
    layers = search.layers_of(most)
    growth = noise.drift_growth(given.data)
    find = partial(search.find, time=time, growth=growth, most=most, false_alarm=level, confidence=held)
    found = layers.split(per_pixel(find, given.fields, layers.count))
    of_changes, of_pixels = ("change", "y", "x"), ("y", "x")
    fields: Fields = {
        f"change_{name}": (of_changes, changes.instants(found[name], given.epochs[0]))
        for name in ("date", "earliest", "latest")
    }
    fields["false_alarm"] = (of_changes, found["false_alarm"])
    sigma = np.sqrt(found["variance"])
    for axis, letter in enumerate("xy"):
        for when, part in (("before", slice(0, most)), ("after", slice(1, most + 1))):
            fields[f"v{letter}_{when}"] = (of_changes, found["velocity"][axis, part])
            fields[f"sigma_v{letter}_{when}"] = (of_changes, sigma[axis, part])
    fields["n_changes"] = (of_pixels, found["number"].astype(np.int32))
    state = found["state"]
    reasons = (state == NONE) * np.int64(FLAGS["no_change"]) + (state == TOO_FEW) * np.int64(FLAGS["too_few_dates"])
    fields["flags"] = (of_pixels, reasons)
    step = {"function": _CALLER, "max_changes": most, "false_alarm": level, "confidence": held}
    return products.product(fields, ONSET, like=given.data, step=step)
