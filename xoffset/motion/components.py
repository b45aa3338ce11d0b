"""What several models of motion share: events, decays, seasons, the sun, and fields of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._arrays.networks.terms import season
from xoffset.model import sun as sunlight
from xoffset.model.dates import Date, as_event, as_instant
from xoffset.model.history import digest_of
from xoffset.motion.regression import Fit, Source, condition

# Terms of the sun: to the east and to the north.
SUN = ("sun_east", "sun_north")
# Cycles per year of each seasonal term.
SEASONS = {"annual": 1, "semiannual": 2}
Fields = dict[str, tuple[tuple[str, ...], Any]]


def event(given: Source, date: Date, name: str, caller: str) -> np.datetime64:
    """Instant of an event that has dates on both sides."""
    instant = as_event(date, given.epochs, name, caller)
    if not given.epochs[0] < instant <= given.epochs[-1]:
        raise ValueError(
            f"{caller}() needs dates before and after {name}; got {instant} for dates from {given.epochs[0]} to "
            f"{given.epochs[-1]}. Choose a date between them."
        )
    return instant


def list_of(values: Any, name: str, example: str) -> list[Any]:
    """Entries of a list that may be left out."""
    if values is None:
        return []
    if not isinstance(values, (list, tuple, np.ndarray, pd.Index, xr.DataArray)) or np.ndim(values) == 0:
        raise TypeError(f"decompose() needs a list as {name}; got {values!r}. Pass one such as {example}.")
    return list(values.values if isinstance(values, xr.DataArray) else values)


def decay(given: Source, entry: tuple[Date, float], name: str) -> tuple[np.datetime64, float]:
    """Instant and days of a decay."""
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise ValueError(
            f"decompose() needs pairs of a date and days as {name}; got {entry!r}. Pass [('2020-06-01T10:30', 30.0)]."
        )
    instant = as_instant(entry[0], name, "decompose")
    if instant >= given.epochs[-1]:
        raise ValueError(
            f"decompose() needs dates after the one of {name}; got {instant}, the last is {given.epochs[-1]}. "
            "Choose an earlier date."
        )
    return instant, _options.as_positive(entry[1], name, "decompose", unit="days", example=30.0)


def season_terms(epochs: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Sine and cosine of each season, by the names of their parameters."""
    terms = {}
    for name in names:
        terms[f"{name}_sin"], terms[f"{name}_cos"] = season(epochs, SEASONS[name])
    return terms


def sun_terms(given: Source, sun: xr.DataArray | xr.Dataset | None, caller: str) -> dict[str, np.ndarray]:
    """How far the sun of each date stands off the vertical, by the names of the parameters; none without a sun."""
    if sun is None:
        return {}
    return dict(zip(SUN, sunlight.slants(sunlight.angles_of(sun, given.epochs, "sun", caller)).T, strict=True))


def sun_record(terms: Mapping[str, np.ndarray]) -> dict[str, str]:
    """What a step records of the sun among its terms; nothing without."""
    return {"sun": digest_of(np.stack([terms[name] for name in SUN], axis=1))} if SUN[0] in terms else {}


def sun_condition(given: Source, terms: Mapping[str, np.ndarray]) -> Fields:
    """How well the dates tell terms, those of the sun among them, from a cycle of a year; nothing without a sun."""
    if SUN[0] not in terms:
        return {}
    told = condition(given, {**season_terms(given.epochs, ["annual"]), **terms})
    return {"sun_condition": (("y", "x"), told)}


def fields_of(fitted: Fit, labels: Mapping[str, str]) -> Fields:
    """Parameters and standard errors of terms, under a label whose {} stands for x or y."""
    fields: Fields = {}
    for term, label in labels.items():
        for axis, letter in enumerate("xy"):
            fields[label.format(letter)] = (("y", "x"), fitted.value[term][axis])
            fields["sigma_" + label.format(letter)] = (("y", "x"), fitted.sigma(term, axis))
    return fields
