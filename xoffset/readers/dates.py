"""Acquisition dates, platforms and orbits of images, from their names or from the caller."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from xoffset.model.dates import Date, as_instant
from xoffset.readers.landsat.product import scene_beside
from xoffset.readers.scenes import Scene

# Every expression is that of one published naming. Sentinel-2 product names end in a processing time that looks like
# the date of a band file, so the products come first.
_START = r"(?<![A-Za-z0-9])"
_TIME = r"(?P<date>\d{8}T\d{6})"
_NAMES = tuple(
    (re.compile(_START + expression), layout)
    for expression, layout in (
        (
            rf"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_{_TIME}_(?:N\d{{4}}_)?R(?P<orbit>\d{{3}})(?!\d)"
            r"(?:_T(?P<tile>\d{2}[A-Z]{3})(?![A-Z0-9]))?",
            "%Y%m%dT%H%M%S",
        ),
        (
            r"(?P<platform>S2[A-D])_(?:OPER|USER)_PRD_MSI(?P<level>L1C|L2A)_[A-Z0-9_]{4}_\d{8}T\d{6}_R(?P<orbit>\d{3})_V"
            rf"{_TIME}_\d{{8}}T\d{{6}}",
            "%Y%m%dT%H%M%S",
        ),
        (
            r"(?P<platform>L[COTEM]0\d)_(?P<level>[A-Z0-9]{2,4})_(?P<tile>\d{6})_(?P<date>\d{8})_\d{8}_\d{2}(?!\d)",
            "%Y%m%d",
        ),
        (r"(?P<platform>L[COTEM]\d)(?P<tile>\d{6})(?P<date>\d{7})[A-Z]{3}\d{2}(?!\d)", "%Y%j"),
        (rf"T(?P<tile>\d{{2}}[A-Z]{{3}})_{_TIME}(?!\d)", "%Y%m%dT%H%M%S"),
        # of Earth Engine: start of the pass, and another time
        (rf"{_TIME}_\d{{8}}T\d{{6}}_T(?P<tile>\d{{2}}[A-Z]{{3}})(?![A-Za-z0-9])", "%Y%m%dT%H%M%S"),
    )
)
# Band in a file's name: B04, B8A, B04_10m of Sentinel-2; B8, SR_B4, B6_VCID_1, sr_band4 of Landsat.
_BAND = re.compile(r"(?:^|_)(?:B(\d{1,2}|8A)|(?:sr|toa|bt)_band(\d{1,2}))(?=_|$)")

# Dates in any other name: YYYYMMDD, YYYY-MM-DD or YYYY_MM_DD of 1900 to 2099, alone among letters and digits. What may
# be a processing time or a tile is never taken, but counts as another date: digits that touch letters, go on to hours,
# or are a day of the year.
_YEAR = r"(?:19|20)\d\d"
_BARE = {
    "YYYYMMDD": (rf"{_YEAR}\d{{4}}", "%Y%m%d"),
    "YYYY-MM-DD": (rf"{_YEAR}-\d\d-\d\d", "%Y-%m-%d"),
    "YYYY_MM_DD": (rf"{_YEAR}_\d\d_\d\d", "%Y_%m_%d"),
}
_OTHERS = {
    "time": (rf"{_YEAR}\d{{4}})(?:\d{{2}}|\d{{4}}|\d{{6}}", "%Y%m%d"),
    "day of year": (rf"{_YEAR}\d{{3}})(?:\d{{6}}|", "%Y%j"),
}
# Dates with their time of day in a text that is no name of a file, as ISO 8601 has them.
_INSTANT = re.compile(
    rf"(?<![A-Za-z0-9]){_YEAR}(?:-\d\d-\d\d|\d{{4}})[T ]\d\d:?\d\d(?::?\d\d(?:\.\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?"
    "(?![A-Za-z0-9:])"
)
_PUBLISHED = "that of Sentinel-2 or Landsat"

# English, whatever the language of the system: "lis" is October in Croatian and November in Czech.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SHORT = tuple(name[:3] for name in _MONTHS)
_DIGITS = {"Y": r"\d{4}", "j": r"\d{3}", "f": r"\d{1,6}"} | dict.fromkeys("mdHMS", r"\d{2}")
_DIRECTIVES = _DIGITS | {"b": f"(?i:{'|'.join(_SHORT)})", "B": f"(?i:{'|'.join(_MONTHS)})", "%": "%"}
# What a part of a date is a part of.
_PART_OF = {"d": "mbB", "H": "dj", "M": "H", "S": "M", "f": "S"}


def scenes(paths: Sequence[str], date: str | Iterable[Date] | None) -> list[Scene]:
    """Scene of every path, in the order of the paths; dates from the names unless they are given."""
    named = [scene_beside(path) or told(path) for path in paths]
    if date is None:
        found = _without_pattern(paths, named)
    else:
        given = _from_pattern(paths, date) if isinstance(date, str) else _from_list(paths, date)
        found = [
            replace(scene, date=when) if scene else Scene(Path(path).stem, when)
            for path, scene, when in zip(paths, named, given, strict=True)
        ]
    return found


def is_told(path: str) -> bool:
    """Whether the name of a file tells its date."""
    try:
        _without_pattern([path], [told(path)])
    except ValueError:
        return False
    return True


def of_text(text: str) -> np.datetime64 | None:
    """The only date, with its time of day if there is one, in a text such as the description of a band; None if none.

    Told by the rules for names, and as ISO 8601 anywhere in it.
    """
    scene = _from_name(text)
    if scene is not None:
        return scene.date
    found: dict[np.datetime64, bool] = {}  # and whether it can be nothing else
    for match in _INSTANT.finditer(text):
        with suppress(ValueError):
            found[as_instant(match[0], "a description", "open_stack")] = True
    for when, form in _dates_in(_INSTANT.sub("", text)).items():
        found.setdefault(np.datetime64(when, "us"), bool(form))
    return next(iter(found)) if len(found) == 1 and all(found.values()) else None


def _without_pattern(paths: Sequence[str], named: Sequence[Scene | None]) -> list[Scene]:
    """Scenes from names of Sentinel-2 and Landsat, or from names that hold one date; all by the same rule."""
    found: list[Scene] = []
    rules: dict[str, str] = {}
    for path, scene in zip(paths, named, strict=True):
        rule = _PUBLISHED
        if scene is None:
            rule, when = _bare_date(path)
            scene = Scene(Path(path).stem, when)
        found.append(scene)
        rules.setdefault(rule, Path(path).name)
    if len(rules) > 1:
        told = " and ".join(f"{name} ({rule})" for rule, name in list(rules.items())[:2])
        raise ValueError(
            f"open_stack() needs dates that all names tell in one way; got {told}. Open the files of one kind, or "
            "give one date a file, such as date=['2020-07-17', ...]."
        )
    return found


def _bare_date(path: str) -> tuple[str, np.datetime64]:
    """Form and date of the only date in a file's name."""
    name = Path(path).name
    seen = _dates_in(name)
    if len(seen) > 1:
        got = " and ".join(f"{when:%Y-%m-%d}" for when in sorted(seen))
        raise ValueError(
            f"open_stack() needs one date in every name; got {got} in {name}. Say which: a strptime pattern with more "
            "of the name in it, such as date='ortho_%Y%m%d', or one date a file, such as date=['2020-07-17', ...]."
        )
    for when, form in seen.items():
        if form:
            return form, np.datetime64(when, "us")
    raise ValueError(
        f"open_stack() needs a date for every image; found none in the name of {name}, which is not that of a "
        "Sentinel-2 or Landsat image and holds no 20200717 or 2020-07-17 by itself. Pass date=: a strptime pattern "
        "searched in the file names, such as date='ortho_%Y%m%d', or one date a file, such as date=['2020-07-17', "
        "...]; a recipe without date= takes the stack that open_stack() then returns."
    )


def _dates_in(text: str) -> dict[datetime, str]:
    """Dates in a text and the form of each, empty where it may be something else."""
    seen: dict[datetime, str] = {}
    for form, (digits, layout) in (_BARE | _OTHERS).items():
        for match in re.finditer(rf"(?<!\d)({digits})(?!\d)", text):
            with suppress(ValueError):
                when = datetime.strptime(match[1], layout)
                around = text[: match.start()][-1:] + text[match.end() :][:1]
                is_alone = form in _BARE and not any(letter.isalnum() for letter in around)
                seen[when] = form if is_alone else seen.get(when, "")
    return seen


def told(path: str) -> Scene | None:
    """Scene that the file's name or the product folders around it tell, None if no naming is known."""
    parts = Path(path).absolute().parts[::-1]
    known = [scene for scene in (_from_name(part) for part in parts) if scene is not None]
    if not known:
        return None
    stem = Path(path).stem
    bands = {f"B{match[1] or match[2]}" for match in _BAND.finditer(stem)}
    first = replace(known[0], name=stem, band=bands.pop() if len(bands) == 1 else None)
    # a band file tells its date and tile only; the product folder around it adds platform, orbit and level
    for other in known[1:]:
        if other.date == first.date:
            lacks = [name for name in ("platform", "relative_orbit", "tile", "level") if getattr(first, name) is None]
            first = replace(first, **{name: getattr(other, name) for name in lacks})
    return first


def _from_name(name: str) -> Scene | None:
    for expression, layout in _NAMES:
        found = {_scene(match, layout) for match in expression.finditer(name)} - {None}
        if len(found) > 1:
            raise ValueError(
                f"open_stack() needs one acquisition in every name; got {len(found)} in {name}. "
                "Say which: a strptime pattern with more of the name in it, or one date a file, such as "
                "date=['2020-07-17', ...]."
            )
        if found:
            return found.pop()
    return None


def _scene(match: re.Match[str], layout: str) -> Scene | None:
    """Scene of a match, None if the digits are no date."""
    try:
        when = np.datetime64(datetime.strptime(match["date"], layout), "us")
    except ValueError:
        return None
    groups = match.groupdict()
    platform, orbit = groups.get("platform"), groups.get("orbit")
    if platform and len(platform) == 3 and platform.startswith("L"):  # LC8 before the collections, LC08 since
        platform = f"{platform[:2]}0{platform[2]}"
    orbit_number = None if orbit is None else int(orbit)
    return Scene(match.string, when, platform, orbit_number, tile=groups.get("tile"), level=groups.get("level"))


def _from_pattern(paths: Sequence[str], pattern: str) -> list[np.datetime64]:
    """Date that a strptime pattern finds in every file name."""
    expression, codes = _expression(pattern)
    dates: list[np.datetime64] = []
    for path in paths:
        name = Path(path).name
        found = set()
        for match in expression.finditer(name):
            # digits in the right place may be no date, such as month 13
            with suppress(ValueError):
                found.add(_date_of(match.groups(), codes))
        if len(found) != 1:
            got = " and ".join(f"{when:%Y-%m-%d}" for when in sorted(found)) or "none"
            raise ValueError(
                f"open_stack() needs one date in every file name; date={pattern!r} finds {got} in {name}. "
                "Write more or less of the name around the date, such as date='ortho_%Y%m%d', or give one date a file, "
                "such as date=['2020-07-17', ...]."
            )
        dates.append(np.datetime64(found.pop(), "us"))
    return dates


def _date_of(parts: Sequence[str], codes: Sequence[str]) -> datetime:
    """Date of the parts that stand for the codes of a pattern; ValueError if it is none."""
    texts = {}
    for part, code in zip(parts, codes, strict=True):
        if code in "bB":
            texts["m"] = f"{_SHORT.index(part[:3].capitalize()) + 1:02}"
        else:
            texts[code] = part
    return datetime.strptime(" ".join(texts.values()), " ".join("%" + code for code in texts))


def _expression(pattern: str) -> tuple[re.Pattern[str], list[str]]:
    """Regular expression of a strptime pattern and the codes of its groups; a number stands alone among digits."""
    parts = [part for part in re.split(r"(%.)", pattern, flags=re.DOTALL) if part]
    codes = [part[1] if part.startswith("%") and len(part) == 2 else "" for part in parts]
    _check_codes(pattern, [code for code in codes if code and code != "%"])
    text = "".join(
        f"({_DIRECTIVES[code]})" if code and code != "%" else re.escape(part[-1] if code else part)
        for part, code in zip(parts, codes, strict=True)
    )
    before = r"(?<!\d)" if codes[0] in _DIGITS else ""
    after = r"(?!\d)" if codes[-1] in _DIGITS else ""
    return re.compile(f"(?={before}{text}{after})"), [code for code in codes if code and code != "%"]


def _check_codes(pattern: str, codes: Sequence[str]) -> None:
    """Refuse a pattern that does not tell one date for sure."""
    unknown = [code for code in codes if code not in _DIRECTIVES]
    whole = [code for code in codes if code in _PART_OF and not set(_PART_OF[code]) & set(codes)]
    if "y" in unknown:
        raise ValueError(
            f"open_stack() needs years of four digits; got %y in date={pattern!r}, for which 56 may be 1956 or 2056. "
            "Use %Y where the names have the century, else give one date a file: date=['1956-07-01', ...]."
        )
    got = None
    if unknown:
        got = f"the unknown %{unknown[0]}"
    elif "Y" not in codes:
        got = "no year"
    elif len(set(codes)) < len(codes) or len({"m", "b", "B", "j"} & set(codes)) > 1:
        got = "a part of the date twice"
    elif whole:
        got = f"%{whole[0]} without what it is a part of"
    if got:
        raise ValueError(
            f"open_stack() needs a strptime pattern with a year; got {got} in date={pattern!r}. "
            f"Use {', '.join('%' + code for code in _DIRECTIVES)} and the letters around them, such as "
            "date='ortho_%Y%m%d', or give one date a file in a list."
        )


def _from_list(paths: Sequence[str], dates: Iterable[Date]) -> list[np.datetime64]:
    """Dates given by the caller, one a file."""
    if not isinstance(dates, Iterable):
        raise TypeError(
            f"open_stack() needs date= as a strptime pattern or one date a file; got {type(dates).__name__}. "
            "Put it in a list: date=['2020-07-17', ...]."
        )
    values = [as_instant(value, "each entry of date", "open_stack") for value in dates]
    if len(values) != len(paths):
        raise ValueError(
            f"open_stack() needs one date a file; got {len(values)} dates for {len(paths)} files. "
            f"Give them in the order of the files, from {Path(paths[0]).name} to {Path(paths[-1]).name}."
        )
    return values
