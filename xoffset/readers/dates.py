"""Acquisition dates, platforms and orbits of images, from their names or from the caller."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from typing import Any

import numpy as np

DateLike = str | Date | np.datetime64

# Every expression is that of one published naming; a bare group of eight digits is never taken for a date. Sentinel-2
# product names end in a processing time that looks like the date of a band file, so the products come first.
_START = r"(?<![A-Za-z0-9])"
_TIME = r"(?P<date>\d{8}T\d{6})"
_NAMES = tuple(
    (re.compile(_START + expression), layout)
    for expression, layout in (
        (rf"(?P<platform>S2[A-D])_MSIL(?:1C|2A)_{_TIME}_(?:N\d{{4}}_)?R(?P<orbit>\d{{3}})(?!\d)", "%Y%m%dT%H%M%S"),
        (
            r"(?P<platform>S2[A-D])_(?:OPER|USER)_PRD_MSIL(?:1C|2A)_[A-Z0-9_]{4}_\d{8}T\d{6}_R(?P<orbit>\d{3})_V"
            rf"{_TIME}_\d{{8}}T\d{{6}}",
            "%Y%m%dT%H%M%S",
        ),
        (r"(?P<platform>L[COTEM]0\d)_[A-Z0-9]{2,4}_\d{6}_(?P<date>\d{8})_\d{8}_\d{2}(?!\d)", "%Y%m%d"),
        (r"(?P<platform>L[COTEM]\d)\d{6}(?P<date>\d{7})[A-Z]{3}\d{2}(?!\d)", "%Y%j"),
        (rf"T\d{{2}}[A-Z]{{3}}_{_TIME}(?!\d)", "%Y%m%dT%H%M%S"),
    )
)

_DIGITS = {"Y": r"\d{4}", "j": r"\d{3}", "f": r"\d{1,6}"} | dict.fromkeys("ymdHMS", r"\d{2}")
_DIRECTIVES = _DIGITS | {"b": r"[^\W\d_]+", "B": r"[^\W\d_]+", "%": "%"}


@dataclass(frozen=True)
class Scene:
    """One image: its name, its date [UTC] and what its name says about the acquisition."""

    name: str
    date: np.datetime64
    platform: str | None = None
    relative_orbit: int | None = None


def scenes(paths: Sequence[str], date: str | Iterable[DateLike] | None) -> list[Scene]:
    """Scene of every path, in the order of the paths; dates from the names unless they are given."""
    named = [_from_names(path) for path in paths]
    if date is None:
        for path, scene in zip(paths, named, strict=True):
            if scene is None:
                raise ValueError(_no_date(path))
        found = [scene for scene in named if scene is not None]
    else:
        given = _from_pattern(paths, date) if isinstance(date, str) else _from_list(paths, date)
        found = [
            replace(scene, date=when) if scene else Scene(Path(path).stem, when)
            for path, scene, when in zip(paths, named, given, strict=True)
        ]
    _check_unique(paths, found)
    return found


def _from_names(path: str) -> Scene | None:
    """Scene told by the file's name or the product folders around it, None if no naming is known."""
    parts = Path(path).absolute().parts[::-1]
    known = [scene for scene in (_from_name(part) for part in parts) if scene is not None]
    if not known:
        return None
    first = replace(known[0], name=Path(path).stem)
    # a band file tells its date only; the product folder around it adds platform and orbit
    for other in known[1:]:
        if other.date == first.date:
            first = replace(
                first,
                platform=first.platform or other.platform,
                relative_orbit=other.relative_orbit if first.relative_orbit is None else first.relative_orbit,
            )
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
    return Scene(match.string, when, platform, None if orbit is None else int(orbit))


def _no_date(path: str) -> str:
    return (
        f"open_stack() needs a date for every image; found none in the name of {Path(path).name}, which is not that of "
        "a Sentinel-2 or Landsat image. Pass date=: a strptime pattern searched in the file names, such as "
        "date='ortho_%Y%m%d', or one date a file, such as date=['2020-07-17', ...]."
    )


def _from_pattern(paths: Sequence[str], pattern: str) -> list[np.datetime64]:
    """Date that a strptime pattern finds in every file name."""
    expression = _expression(pattern)
    dates: list[np.datetime64] = []
    for path in paths:
        name = Path(path).name
        found = set()
        for match in expression.finditer(name):
            try:
                found.add(datetime.strptime(match[1], pattern))
            except ValueError:  # digits in the right place that are no date, such as month 13
                continue
        if len(found) != 1:
            got = " and ".join(f"{when:%Y-%m-%d}" for when in sorted(found)) or "none"
            raise ValueError(
                f"open_stack() needs one date in every file name; date={pattern!r} finds {got} in {name}. "
                "Write more or less of the name around the date, such as date='ortho_%Y%m%d', or give one date a file, "
                "such as date=['2020-07-17', ...]."
            )
        dates.append(np.datetime64(found.pop(), "us"))
    return dates


def _expression(pattern: str) -> re.Pattern[str]:
    """Regular expression of a strptime pattern, matches may overlap; a number stands alone among digits."""
    parts = [part for part in re.split(r"(%.)", pattern, flags=re.DOTALL) if part]
    codes = [part[1] if part.startswith("%") and len(part) == 2 else "" for part in parts]
    unknown = [part for part, code in zip(parts, codes, strict=True) if code and code not in _DIRECTIVES]
    if unknown or not {"Y", "y"} & set(codes):
        got = f"the unknown {unknown[0]}" if unknown else "no year"
        raise ValueError(
            f"open_stack() needs a strptime pattern with a year; got {got} in date={pattern!r}. "
            f"Use {', '.join('%' + code for code in _DIRECTIVES)} and the letters around them, such as "
            "date='ortho_%Y%m%d', or give one date a file in a list."
        )
    text = "".join(_DIRECTIVES[code] if code else re.escape(part) for part, code in zip(parts, codes, strict=True))
    before = r"(?<!\d)" if codes[0] in _DIGITS else ""
    after = r"(?!\d)" if codes[-1] in _DIGITS else ""
    return re.compile(f"(?=({before}{text}{after}))")


def _from_list(paths: Sequence[str], dates: Iterable[DateLike]) -> list[np.datetime64]:
    """Dates given by the caller, one a file."""
    if not isinstance(dates, Iterable):
        raise TypeError(
            f"open_stack() needs date= as a strptime pattern or one date a file; got {type(dates).__name__}. "
            "Put it in a list: date=['2020-07-17', ...]."
        )
    values = [_as_date(value) for value in dates]
    if len(values) != len(paths):
        raise ValueError(
            f"open_stack() needs one date a file; got {len(values)} dates for {len(paths)} files. "
            f"Give them in the order of the files, from {Path(paths[0]).name} to {Path(paths[-1]).name}."
        )
    return values


def _as_date(value: Any) -> np.datetime64:
    """Date as datetime64[us] in UTC."""
    given = value
    result: Any = np.datetime64("NaT", "us")
    with suppress(ValueError):
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        if isinstance(value, (Date, np.datetime64)):
            result = np.array(value, dtype="datetime64[us]")[()]
    if np.isnat(result):
        raise ValueError(
            f"open_stack() needs dates in date=; got {given!r}. "
            "Write them as '2020-07-17' or '2020-07-17T22:19:41', or as datetime objects."
        )
    return np.datetime64(result)


def _check_unique(paths: Sequence[str], found: Sequence[Scene]) -> None:
    seen: dict[np.datetime64, str] = {}
    for path, scene in zip(paths, found, strict=True):
        if scene.date in seen:
            raise ValueError(
                f"open_stack() needs every date once; got {scene.date} from both {Path(seen[scene.date]).name} and "
                f"{Path(path).name}. Keep one of them, narrow the pattern to one band and tile, or give the times of "
                "day, such as date=['2020-07-17T10:30', ...]."
            )
        seen[scene.date] = path
