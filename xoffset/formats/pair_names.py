"""Reference and secondary date from the names of files of a pair, or from the caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from xoffset.model.dates import Date, as_instant

# With the time of day, as in identifiers of Sentinel-2 and of PlanetScope scenes; and days alone, YYYYMMDD or with
# dashes. Digits that touch others are no dates.
_TIMED = r"(?P<timed>(?:19|20)\d{6}(?:T|_)\d{6})(?=_|$|[^0-9A-Za-z])"
_DAY = r"(?P<day>(?:19|20)\d{2}-?\d{2}-?\d{2})"
_DATES = re.compile(rf"(?<![0-9A-Za-z])(?:{_TIMED}|{_DAY})(?![0-9A-Za-z])")
# Identifiers of scenes of Landsat and Sentinel-2 up to the date of the image, and the date of its processing.
_SCENE = re.compile(
    r"(?P<image>L[COTEM]\d\d_L\w{3}_\d{6}_\d{8})_\d{8}|"
    r"(?P<granule>S2[A-D]_MSIL\w{2}_\d{8}T\d{6}_N\d{4}_R\d{3}_T\w{5})_\d{8}T\d{6}"
)


def dates(name: str, given: Sequence[Date] | None, caller: str) -> tuple[np.datetime64, np.datetime64]:
    """Dates of a pair, UTC: those given, else the only two in the name of a file, in their order.

    Raises
    ------
    ValueError
        If the name has not two dates and none are given, or it has two others than those given.
    """
    found = _in_name(name)
    if given is None:
        if len(found) != 2:
            got = f"{len(found)} ({', '.join(map(str, found[:4]))})" if found else "none"
            raise ValueError(
                f"{caller}() needs the dates of both images; got {got} in the name of {name}. Pass them: "
                "dates=('2020-07-17', '2020-08-06')."
            )
        return found[0], found[1]
    if isinstance(given, str) or len(given) != 2:
        raise ValueError(
            f"{caller}() needs reference and secondary date as dates; got {given!r}. Pass two: "
            "dates=('2020-07-17', '2020-08-06')."
        )
    first, second = (as_instant(each, "dates", caller) for each in given)
    days = [each.astype("M8[D]") for each in (first, second)]
    if len(found) == 2 and [each.astype("M8[D]") for each in found] != days:
        raise ValueError(
            f"{caller}() needs the dates that {name} tells, {found[0]} and {found[1]}; got {first} and {second}. "
            "Leave dates out, or rename the file."
        )
    return first, second


def _in_name(name: str) -> list[np.datetime64]:
    """Dates in a name, in their order; what cannot be a date, and when an image was processed, is left out."""
    found: list[np.datetime64] = []
    name = _SCENE.sub(lambda match: match["image"] or match["granule"], name)
    for match in _DATES.finditer(name.rsplit(".", 1)[0] if "." in name else name):
        text = match[0].replace("-", "").replace("T", "").replace("_", "")
        for layout in ("%Y%m%d%H%M%S", "%Y%m%d"):
            try:
                found.append(np.datetime64(datetime.strptime(text, layout), "us"))
                break
            except ValueError:
                continue
    return found
