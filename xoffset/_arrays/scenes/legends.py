"""Classes of pixels in six kinds, from numbers or bits whose meaning is known by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NAMES = ("clear", "null", "cloud", "shadow", "snow", "water")
CLEAR, NULL, CLOUD, SHADOW, SNOW, WATER = range(6)
# Of bits that are set together the first of these counts: what hides the ground goes before what the ground is.
_BEFORE = (NULL, CLOUD, SHADOW, SNOW, WATER)
# Numbers from here on are those of no legend.
SIZE = 1 << 16
_UNKNOWN = 255

_MEANINGS = {
    CLEAR: (
        "clear", "valid", "land", "clear_land", "ground", "vegetation", "bare", "not_vegetated", "unclassified",
        "light_haze", "snow_unknown",
    ),
    NULL: (
        "null", "no_data", "nodata", "fill", "outside", "saturated_or_defective", "dropped_pixel", "dropped_frame",
        "terrain_occlusion", "unusable",
    ),
    CLOUD: (
        "cloud", "clouds", "opaque_cloud", "dilated_cloud", "cirrus", "thin_cirrus", "cloud_medium_probability",
        "cloud_high_probability", "heavy_haze",
    ),
    SHADOW: ("shadow", "cloud_shadow", "cast_shadow", "topographic_shadow", "dark_area"),
    SNOW: ("snow", "ice", "snow_or_ice", "snow_ice"),
    WATER: ("water", "clear_water"),
}  # fmt: skip
MEANINGS = {name: kind for kind, names in _MEANINGS.items() for name in names}
# It says less than the other bits of a pixel, if any is set.
_LAST = "unusable"


@dataclass(frozen=True)
class Meaning:
    """A class by name, and the numbers that are it: those with `value` in the bits of `mask`; all bits if None."""

    name: str
    value: int
    mask: int | None = None


def as_table(meanings: Sequence[Meaning]) -> np.ndarray:
    """Kind of each number, uint8 (SIZE,). A later meaning counts of numbers, of bits what hides the ground."""
    table = np.full(SIZE, _UNKNOWN, dtype=np.uint8)
    bits = [each for each in meanings if each.mask is not None]
    if bits:
        numbers = np.arange(SIZE)
        table[:] = CLEAR
        for each in sorted(bits, key=_rank, reverse=True):
            table[(numbers & int(each.mask or 0)) == each.value] = MEANINGS[each.name]
        if any(each.name == "clear" for each in bits):
            # clear is a bit too: where none at all is set nobody has looked
            table[0] = NULL
    for each in meanings:
        if each.mask is None:
            table[each.value] = MEANINGS[each.name]
    return table


def _rank(meaning: Meaning) -> int:
    kind = MEANINGS[meaning.name]
    if meaning.name == _LAST:
        return len(_BEFORE)
    return _BEFORE.index(kind) if kind in _BEFORE else len(_BEFORE) + 1


def translated(values: np.ndarray, *, table: np.ndarray, fills: tuple[float, ...], caller: str) -> np.ndarray:
    """Kinds of values, uint8 of their shape: null where there is none, refusing numbers that the table lacks."""
    is_missing = np.zeros(values.shape, dtype=np.bool_)
    for fill in fills:
        is_missing |= values == fill
    if values.dtype.kind == "f":
        is_missing |= ~np.isfinite(values)
    if values.dtype == np.int16:
        values = values.view(np.uint16)  # bits that NetCDF keeps with a sign
    numbers = np.where(is_missing, values.dtype.type(0), values) if is_missing.any() else values
    is_odd = np.zeros(values.shape, dtype=np.bool_)
    if values.dtype not in (np.uint8, np.uint16, np.bool_):
        is_odd = (numbers < 0) | (numbers >= SIZE) | (numbers != np.floor(numbers))
        numbers = np.where(is_odd, values.dtype.type(0), numbers)
    found = table[numbers.astype(np.uint16)]
    found[is_missing] = NULL
    is_odd |= found == _UNKNOWN
    if is_odd.any():
        odd = np.unique(values[is_odd])
        more = f" and {odd.size - 5} more" if odd.size > 5 else ""
        raise ValueError(
            f"{caller}() needs values whose class is known; got {', '.join(f'{each:g}' for each in odd[:5])}{more}. "
            "Look whether the legend is the right one, or tell all classes: "
            "classes(source, like=stack, legend={0: 'clear', 1: 'cloud', 255: 'null'})."
        )
    return found
