"""Units as data state them, and what they are in other units."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

# A unit is a number times powers of metre, second, radian and pixel. Numbers of other spellings are their products.
_DAY = 86_400.0
_YEAR = 365.25 * _DAY
_DEGREE = 0.017453292519943295
_NAMES: dict[str, tuple[float, str]] = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters", "metro", "metros"), (1.0, "length")),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), (1e3, "length")),
    **dict.fromkeys(("dm", "decimetre", "decimetres", "decimeter", "decimeters"), (1e-1, "length")),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), (1e-2, "length")),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), (1e-3, "length")),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot", "international_feet"), (0.3048, "length")),
    **dict.fromkeys(
        ("us_survey_foot", "us_survey_feet", "survey_foot", "survey_feet", "us_foot", "us_feet", "us_ft", "ftus"),
        (1200.0 / 3937.0, "length"),
    ),
    **dict.fromkeys(("yr", "yrs", "year", "years", "y", "a", "annum", "julian_year"), (_YEAR, "time")),
    **dict.fromkeys(("d", "day", "days"), (_DAY, "time")),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), (3600.0, "time")),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), (1.0, "time")),
    **dict.fromkeys(("degree", "degrees", "deg", "°", "arc_degree"), (_DEGREE, "angle")),
    **dict.fromkeys(("degrees_north", "degrees_east", "degree_north", "degree_east"), (_DEGREE, "angle")),
    **dict.fromkeys(("rad", "radian", "radians"), (1.0, "angle")),
    **dict.fromkeys(("px", "pixel", "pixels"), (1.0, "pixel")),
    **dict.fromkeys(("1", "dimensionless", "unitless", "ratio", "none"), (1.0, "")),
    **dict.fromkeys(("%", "percent"), (1e-2, "")),
}  # fmt: skip
# Names of several words, joined before the text is cut at its blanks.
_PHRASES = re.compile(r"\b(us[ _-]survey|survey|international|us|julian|arc)[ _-]+(foot|feet|ft|year|degree)\b")
_FACTOR = re.compile(r"(?P<name>1(?=$)|%|°|[^\W\d]+)(?:\^?(?P<power>[+-]?\d+))?")


class Unit(NamedTuple):
    """A number times powers of metre, second, radian and pixel."""

    number: float
    powers: tuple[tuple[str, int], ...]


def factor(stated: object, wanted: str) -> float | None:
    """Number that turns values in the unit stated into those of the unit wanted, None if there is none."""
    given, asked = parse(str(stated)), parse(wanted)
    if given is None or asked is None or given.powers != asked.powers:
        return None
    return 1.0 if given == asked else given.number / asked.number


def parse(text: str) -> Unit | None:
    """Unit of a text such as "m yr-1", "m/d", "meter/year" or "m2 yr^-2"; None where it is not understood."""
    number, powers, sign = 1.0, dict[str, int](), 1
    factors = _factors(text)
    # letters of any case will do, but for the million metres that are no millimetre
    if not factors or factors[-1] == "/" or re.search(r"\bMm\b", text):
        return None
    for part in factors:
        if part == "/":
            sign = -1
            continue
        found = _FACTOR.fullmatch(part)
        if found is None or found["name"] not in _NAMES:
            return None
        size, dimension = _NAMES[found["name"]]
        power = sign * int(found["power"] or 1)
        number *= size**power
        powers[dimension] = powers.get(dimension, 0) + power
        sign = 1
    return Unit(number, tuple(sorted((name, power) for name, power in powers.items() if name and power)))


def _factors(text: str) -> list[str]:
    """Names with their powers, and the strokes between them."""
    plain = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").lower().replace("**", "^")
    joined = _PHRASES.sub(lambda match: re.sub("[ -]", "_", match[0]), plain)
    return re.findall(r"/|[^\s/]+", re.sub(r"\bper\b", "/", re.sub("[·.*]", " ", joined)))
