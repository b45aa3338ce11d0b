"""Jitter: which waves along the flight are taken off, and how."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.corrections import jittered
from xoffset._arrays.corrections.track import Track
from xoffset._blocks import whole
from xoffset.correction.layers import Stripes
from xoffset.model import grids

_log = logging.getLogger(__name__)

Method = Literal["profile", "wavelet"]
# Nodes in the shortest wave, at least.
NODES = 2.0


@dataclass(frozen=True)
class Jitter:
    """How `correct` tells the jitter of a sensor: what its shaking in flight shifts from line to line.

    All ground that a detector sees at a moment lies on one line across the flight, and is shifted alike. What stable
    ground on that line has in common, at wavelengths between two limits along the flight, is jitter; longer waves may
    be motion of the ground and stay. So does what only a part of the line shows.

    Parameters
    ----------
    method
        `"profile"`: one profile along the flight for each detector. `"wavelet"`: what wavelets (Daubechies, of eight
        moments) find in the band along the flight and a Fourier transform finds to change slowly across it; needs the
        extra `wavelets`. It takes what differs from one side to the other, and with it more of the motion of ground
        that is not masked.
    heading
        Direction of flight in degrees clockwise from grid north; the opposite one is as good. None: along the edges
        between the stripes of `correct`.
    shortest, longest
        Wavelengths in metres that are taken off. The shortest is no less than two of the nodes that are looked at: of
        grids with more than two million nodes one row and column of every few. A line in the log says so, and
        `processing` of the result holds the one that was used.

    Raises
    ------
    ValueError
        If the method is unknown, or an angle or a wavelength is no such number.

    Examples
    --------
    >>> import xoffset
    >>> xoffset.Jitter(heading=192.0)
    Jitter(method='profile', heading=192.0, shortest=500.0, longest=4000.0)
    """

    method: Method = "profile"
    heading: float | None = None
    shortest: float = 500.0
    longest: float = 4000.0

    def __post_init__(self) -> None:
        _options.check_name(self.method, get_args(Method), "method", "Jitter")
        for name, example in (("shortest", 500.0), ("longest", 4000.0)):
            value = _options.as_positive(getattr(self, name), name, "Jitter", unit="m", example=example)
            object.__setattr__(self, name, value)
        if self.longest < 2.0 * self.shortest:
            raise ValueError(
                f"Jitter() needs a longest wave of at least twice the shortest, {self.shortest:g} m; got "
                f"{self.longest:g} m. Pass longest={8.0 * self.shortest:g}."
            )
        if self.heading is not None:
            object.__setattr__(self, "heading", _options.as_azimuth(self.heading, "heading", "Jitter"))


def as_jitter(jitter: Any, is_referenced: bool, has_stripes: bool) -> Jitter | None:
    """The options that stand for an argument, None for none.

    Raises
    ------
    ImportError
        If wavelets are wanted and PyWavelets is not installed.
    TypeError
        If it is none of those that may stand there.
    ValueError
        If there is no stable ground, or nothing shows the direction of flight.
    """
    if jitter is None or jitter is False:
        return None
    if jitter is True:
        jitter = Jitter()
    if isinstance(jitter, str):
        methods: dict[str, Method] = {"profile": "profile", "wavelet": "wavelet"}
        jitter = Jitter(_options.one_of(jitter, methods, "jitter", "correct"))
    if not isinstance(jitter, Jitter):
        raise TypeError(
            "correct() needs jitter=True, 'profile', 'wavelet' or the options of one; got "
            f"{type(jitter).__name__}. Pass xoffset.Jitter(heading=192.0)."
        )
    if not is_referenced:
        raise ValueError(
            "correct() needs stable ground to tell jitter from motion; got jitter without stable. Pass stable=, True "
            "where the ground does not move, or leave jitter out."
        )
    if jitter.heading is None and not has_stripes:
        raise ValueError(
            "correct() needs the direction of flight to tell jitter; got neither stripes nor a heading. Pass stripes="
            "xoffset.detectors(...), or jitter=xoffset.Jitter(heading=192.0), degrees clockwise from grid north."
        )
    if jitter.method == "wavelet" and importlib.util.find_spec("pywt") is None:
        raise ImportError(
            "correct() needs PyWavelets for jitter='wavelet'; it is not installed. Install it: pip install "
            "'xoffset[wavelets]', or take jitter='profile'."
        )
    return jitter


def track_of(jitter: Jitter, shifts: xr.Dataset, stripes: int, most: int) -> Track:
    """Bins along the flight for the nodes of shifts, of which about `most` are looked at.

    Raises
    ------
    ValueError
        If the nodes lie too far apart for the waves.
    """
    sides = grids.spacing(shifts, "correct")
    apart = _stride(shifts, most) * max(abs(sides.x), abs(sides.y))
    shortest = max(jitter.shortest, NODES * apart)
    if jitter.longest < 2.0 * shortest:
        raise ValueError(
            f"correct() needs four nodes in the longest wave of the jitter, {jitter.longest:g} m; got nodes that are "
            f"{apart:g} m apart. Match with a smaller step, or pass jitter=xoffset.Jitter(longest={8.0 * apart:g})."
        )
    if shortest > jitter.shortest:
        _log.info(
            "correct(): nodes that are looked at lie %g m apart: jitter comes off from waves of %g m on, not of %g m.",
            apart, shortest, jitter.shortest,
        )  # fmt: skip
    y, x = (np.asarray(shifts[name].values, dtype=np.float64) for name in ("y", "x"))
    half = (max(0.5 * float(np.ptp(x)), 1e-9), max(0.5 * float(np.ptp(y)), 1e-9))
    return Track(half, shortest, jitter.longest, max(stripes, 1), jitter.method == "wavelet")


def flight(jitter: Jitter, stripes: Stripes | None, shifts: xr.Dataset, most: int) -> Any:
    """Direction of flight (1,) in degrees, dask if the stripes are; None if edges of stripes are still to be found."""
    if jitter.heading is not None:
        return np.array([jitter.heading])
    if stripes is None:
        return None
    values = whole.sample([stripes.values], shifts.sizes["y"] * shifts.sizes["x"], most)[0]
    sides = grids.spacing(shifts, "correct")
    stride = _stride(shifts, most)
    find = partial(jittered.heading, spacing=(stride * sides.x, stride * sides.y))
    return whole.at_once(find, [values], np.dtype(np.float64), (1,))


def along_edges(edges: Any) -> Any:
    """Direction of flight (1,) in degrees, of the edges of stripes that were found; dask if these are."""
    return whole.at_once(jittered.along_edges, [edges], np.dtype(np.float64), (1,))


def _stride(shifts: xr.Dataset, most: int) -> int:
    """Rows or columns from one node that is looked at to the next."""
    size = max(shifts.sizes["x"], shifts.sizes["y"])
    columns = whole.sample([np.arange(size)[np.newaxis]], shifts.sizes["y"] * shifts.sizes["x"], most)[0][0]
    return int(columns[1] - columns[0]) if columns.size > 1 else 1
