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


def legend_of(data: xr.DataArray, given: str | Mapping[int, str] | None) -> Legend:
    """Classes of an array: those given, else those of its attributes, else those that go with its name."""
    if isinstance(given, Mapping):
        return _own(given)
    if given is not None:
        return _options.one_of(given, LEGENDS, "legend", "classes")
    if "flag_meanings" in data.attrs:
        return _of_attributes(data.attrs)
    if (legend := called(data)) is not None:
        return LEGENDS[legend]
    raise ValueError(
        f"classes() needs to know what the numbers of the source mean; got {data.name or 'an array'} without the "
        f"attributes flag_values and flag_meanings. {_TELL}; there are {', '.join(map(repr, LEGENDS))}."
    )


def called(data: xr.DataArray) -> str | None:
    """Legend that the name of an array, of its band or of the files it is made of speak of."""
    told = [data.name, data.attrs.get("band"), data.coords["band"].values if "band" in data.coords else None]
    names = [str(each).lower() for each in told if each is not None]
    if "scene" in data.coords:
        names.append(_common_end([str(each).lower() for each in np.ravel(data.coords["scene"].values)]))
    return next((key for key, pattern in _CALLED.items() if any(map(pattern.fullmatch, names))), None)


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
    told = attrs["flag_meanings"]
    names = [str(name).lower() for name in (told.split() if isinstance(told, str) else told)]
    unknown = [name for name in names if name not in MEANINGS]
    if unknown:
        raise ValueError(
            f"classes() needs classes whose meaning is known; got {', '.join(unknown[:5])} among the flag_meanings of "
            "the source. Tell all of its numbers: legend={0: 'clear', 1: 'cloud', 255: 'null'}."
        )
    values, masks = (
        None if attrs.get(kind) is None else [int(each) % SIZE for each in np.ravel(attrs[kind])]
        for kind in ("flag_values", "flag_masks")
    )
    lengths = {len(each) for each in (values, masks) if each is not None}
    if lengths != {len(names)}:
        raise ValueError(
            f"classes() needs flag_values or flag_masks, one for each of the {len(names)} flag_meanings; got "
            f"{' and '.join(map(str, sorted(lengths))) or 'none'}. Correct the attributes, or leave them out and tell "
            "the legend: legend={0: 'clear', 1: 'cloud', 255: 'null'}."
        )
    if masks is None:
        return tuple(Meaning(name, value) for name, value in zip(names, values or [], strict=True))
    return tuple(Meaning(name, value, mask) for name, value, mask in zip(names, values or masks, masks, strict=True))


def _common_end(names: list[str]) -> str:
    """What the names of files end with, all of them; a whole name if there is one alone."""
    ends = {re.split(r"\d{6,8}t?\d*_", name)[-1] for name in names}
    return ends.pop() if len(ends) == 1 else ""
