"""What the numbers of a layer of classes mean: told by its caller, by its attributes, or by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.scenes.legends import MEANINGS, NAMES, SIZE, Meaning
from xoffset.readers.landsat.bands import BITS_OF_PIXELS
from xoffset.readers.sentinel2.class_masks import SCENE_CLASSES

Legend = tuple[Meaning, ...]
_CORRECT = "Correct the attributes, or delete them and tell the legend to classes(): legend={0: 'clear', 1: 'cloud'}"
_TELL = "Tell it: legend='scl', or of any numbers legend={0: 'clear', 1: 'cloud', 255: 'null'}"


def _numbers(names: Iterable[str]) -> Legend:
    """Classes that are counted from 0; 255, which none of them is, is what files of 8 bits are filled with."""
    return (*(Meaning(name, value) for value, name in enumerate(names)), Meaning("fill", 255))


LEGENDS: dict[str, Legend] = {
    "scl": _numbers(SCENE_CLASSES),
    "qa_pixel": tuple(Meaning(name, bit, bit) for name, bit in BITS_OF_PIXELS.items()),
    "fmask_python": _numbers(("null", "clear", "cloud", "shadow", "snow", "water")),
    "fmask_matlab": _numbers(("land", "water", "shadow", "snow", "cloud")),
    "gdm": _numbers(NAMES),
}
# Legends by what layers, bands and files are called.
_CALLED = {"scl": re.compile(r"(?:.*_)?scl(?:_\d+m)?"), "qa_pixel": re.compile(r"(?:.*_)?qa_pixel")}
# Layers of other numbers, whose names alone do not tell which.
_OTHERS = re.compile(r"(?:.*_)?(?:c?fmask\d*|bqa|qa60|udm2?|msk_class[a-z]*|cloud_?masks?|cld|clm)(?:_.*)?")
# Whole numbers as attributes of files in text have them: 1, 1b, 16ub, 3S.
_WHOLE = re.compile(r"([+-]?\d+)(?:u?(?:b|s|l|ll))?", re.IGNORECASE)


def legend_of(data: xr.DataArray, given: str | Mapping[int, str] | None) -> Legend:
    """Classes of an array: those given, else those of its attributes, else those that go with its name."""
    if isinstance(given, Mapping):
        return _own(given)
    if given is not None:
        return _options.one_of(given, LEGENDS, "legend", "classes")
    if "flag_meanings" in data.attrs:
        return _of_attributes(data.attrs)
    names = _names_of(data)
    for legend, pattern in _CALLED.items():
        if any(pattern.fullmatch(name) for name in names):
            return LEGENDS[legend]
    raise ValueError(
        f"classes() needs to know what the numbers of the source mean; got {data.name or 'an array'} without the "
        f"attributes flag_values and flag_meanings. {_TELL}; there are {', '.join(map(repr, LEGENDS))}."
    )


def name_of_others(data: xr.DataArray) -> str | None:
    """Name of a layer that tells that its numbers are those of a product or a program; None if it tells nothing."""
    patterns = (*_CALLED.values(), _OTHERS)
    return next((name for name in _names_of(data) if any(each.fullmatch(name) for each in patterns)), None)


def numbers_of(attrs: Mapping[Any, Any], caller: str) -> dict[str, list[Any]]:
    """What CF has of classes: names as flag_meanings, in lower case, and flag_values and flag_masks if there are any.

    Raises
    ------
    ValueError
        If the names are no texts, the numbers not whole or of more than 16 bits, or not as many as the names.
    """
    told = attrs["flag_meanings"]
    names = told.replace(",", " ").split() if isinstance(told, str) else np.ravel(told).tolist()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"{caller}() needs the names of the classes as flag_meanings of the source; got {told!r}. {_CORRECT}."
        )
    out: dict[str, list[Any]] = {"flag_meanings": [name.lower() for name in names]}
    for kind in ("flag_values", "flag_masks"):
        if attrs.get(kind) is not None:
            out[kind] = _whole_numbers(attrs[kind], kind, caller)
    lengths = {len(each) for name, each in out.items() if name != "flag_meanings"}
    if lengths != {len(names)}:
        raise ValueError(
            f"{caller}() needs flag_values or flag_masks, one for each of the {len(names)} flag_meanings; got "
            f"{' and '.join(map(str, sorted(lengths))) or 'none'}. {_CORRECT}."
        )
    return out


def _whole_numbers(given: Any, kind: str, caller: str) -> list[int]:
    """Numbers of 16 bits of an attribute, which files may have as a text."""
    values = re.split(r"[,\s]+", given.strip(" ,")) if isinstance(given, str) else np.ravel(given).tolist()
    out = []
    for value in values:
        match = _WHOLE.fullmatch(value) if isinstance(value, str) else None
        number: Any = int(match[1]) if match else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not _options.is_whole(number) or not -SIZE // 2 <= number < SIZE:
            raise ValueError(
                f"{caller}() needs whole numbers of 16 bits as {kind} of the source; got {value!r}. {_CORRECT}."
            )
        out.append(int(number))
    return out


def _names_of(data: xr.DataArray) -> list[str]:
    """What a layer, its band and what all of its files are called, in lower case."""
    called = [data.name, data.attrs.get("band"), data.coords["band"].values if "band" in data.coords else None]
    names = [str(each).lower() for each in called if each is not None]
    if "scene" in data.coords:
        names.append(_common_end([str(each).lower() for each in np.ravel(data.coords["scene"].values)]))
    return names


def _own(given: Mapping[int, str]) -> Legend:
    if not given:
        raise ValueError(f"classes() needs a legend with at least one number; got an empty one. {_TELL}.")
    for value, name in given.items():
        if not _options.is_whole(value) or not 0 <= value < SIZE:
            raise ValueError(
                f"classes() needs whole numbers from 0 to {SIZE - 1} in the legend; got {value!r}. {_TELL}."
            )
        _options.check_name(name, NAMES, f"the class of {value} as", "classes")
    return tuple(Meaning(name, int(value)) for value, name in given.items())


def _of_attributes(attrs: Mapping[Any, Any]) -> Legend:
    """Classes as CF has them: flag_values, flag_masks, or both."""
    told = numbers_of(attrs, "classes")
    names = told["flag_meanings"]
    unknown = [name for name in names if name not in MEANINGS]
    if unknown:
        raise ValueError(
            f"classes() needs classes whose meaning is known; got {', '.join(unknown[:5])} among the flag_meanings of "
            "the source. Tell all of its numbers: legend={0: 'clear', 1: 'cloud', 255: 'null'}."
        )
    values, masks = ([each % SIZE for each in told.get(kind, ())] for kind in ("flag_values", "flag_masks"))
    if not masks:
        return tuple(Meaning(name, value) for name, value in zip(names, values, strict=True))
    return tuple(Meaning(name, value, mask) for name, value, mask in zip(names, values or masks, masks, strict=True))


def _common_end(names: list[str]) -> str:
    """What the names of files end with, all of them; a whole name if there is one alone."""
    ends = {re.split(r"\d{6,8}t?\d*_", name)[-1] for name in names}
    return ends.pop() if len(ends) == 1 else ""
