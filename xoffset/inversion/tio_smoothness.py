"""tio_smoothness(): the smoothing coefficient of TIO as the strength that `invert` takes."""

from __future__ import annotations

import xarray as xr

from xoffset import _options
from xoffset._arrays.networks.smoothness import tio_scale
from xoffset.model import checks
from xoffset.model.dates import in_years

_CALLER = "tio_smoothness"
# Coefficient below which TIO does not smooth.
LEAST = 1e-4


def tio_smoothness(network: xr.Dataset, *, coefficient: float = 0.003) -> float:
    """Strength of smoothing, as `invert` takes it, for a smoothing coefficient of TIO.

    Parameters
    ----------
    network
        Network of pairs, or shifts: its dates count.
    coefficient
        Smoothing coefficient [1]; below 0.0001 TIO does not smooth.

    Returns
    -------
    float
        `smooth` of `invert` [yr m-1]; 0 where TIO does not smooth, or of fewer than three dates.

    Raises
    ------
    TypeError, ValueError
        If there is no network, or the coefficient is no number of at least 0.

    Notes
    -----
    TIO appends rows to its equations that say that the second derivative of the displacement in time is zero. Each is
    multiplied by the coefficient and by the mean of the two time steps beside its date, s_k, and all are divided by the
    mean of 1/s_k. With three dates to a row, half of the second derivative is (v_k+1 − v_k) / (2 s_k), which makes of
    each row γ·h/2·(v_k+1 − v_k), h being the harmonic mean of the s_k: the rows of `invert`, of the strength γ·h/2.
    TIO takes five dates where there are as many around one.

    Examples
    --------
    >>> import numpy as np, xoffset
    >>> dates = np.datetime64("2020-01-01") + 73 * np.arange(5)
    >>> stack, _ = xoffset.synthetic.stack((32, 32), dates=dates)
    >>> round(xoffset.tio_smoothness(xoffset.pairs(stack), coefficient=0.003), 6)
    0.0003
    """
    checks.check_pairs(network, _CALLER)
    given = _options.as_number(coefficient, "coefficient", _CALLER)
    _, epochs, _ = checks.sorted_pairs(network)
    if given < LEAST or epochs.size < 3:
        return 0.0
    return given * tio_scale(in_years(epochs - epochs[0]))
