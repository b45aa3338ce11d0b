"""Which pixels may be matched, by what they show."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays.scenes import legends as kinds
from xoffset._arrays.scenes import morphology
from xoffset._blocks import halos
from xoffset.masking import legends
from xoffset.model import checks, grids, products
from xoffset.model.declared import fills_of
from xoffset.model.variables import USABLE

_logger = logging.getLogger(__name__)
_TABLE = kinds.as_table([kinds.Meaning(name, value) for value, name in enumerate(kinds.NAMES)])


def usable(
    classes: xr.DataArray,
    *,
    cloud: bool = True,
    shadow: bool = True,
    snow: bool = True,
    water: bool = True,
    buffer: float = 0.0,
    closing: float = 0.0,
    opening: float = 0.0,
) -> xr.DataArray:
    """Pixels that may be matched on each date: neither null nor of a class that is taken out, nor near to one.

    Parameters
    ----------
    classes
        Classes (time, y, x) as `masking.classes` returns them: 0 clear, 1 null, 2 cloud, 3 shadow, 4 snow, 5 water. NaN
        is null.
    cloud, shadow, snow, water
        Whether to take the class out. Null always is.
    buffer
        What lies no farther than this [m] from what is taken out goes too.
    closing
        Gaps in what is taken out that are narrower than twice this [m] go too: ground between clouds.
    opening
        Patches of what is taken out that are narrower than twice this [m] stay: bright roofs that are called clouds,
        and small clouds, too.

    Returns
    -------
    xarray.DataArray
        `usable` (time, y, x), boolean, True where a pixel may be matched. Lazy if the classes are, with the same bits
        for any chunks.

    Raises
    ------
    TypeError
        If the classes are no DataArray of numbers, or a choice is neither True nor False.
    ValueError
        If a distance is negative, dims, dates, grid or CRS are not those of a stack, attributes or a name such as "SCL"
        tell other classes, or a number is none of the six (of lazy classes when they are computed).

    Notes
    -----
    The classes that go are closed first, then opened, then widened. Distances are exact, from centre to centre of
    pixels. Null is not widened, so that missing lines cost no more than themselves; beside it, and at the edge of the
    image, what is not seen is taken for more of the same: a cloud that is cut off stays.

    Examples
    --------
    >>> import xoffset
    >>> stack, _ = xoffset.synthetic.stack((64, 64))
    >>> classes = (4 * (stack > 1200)).astype("uint8")
    >>> usable = xoffset.masking.usable(classes, buffer=20.0)
    """
    classes = _as_classes(classes)
    switches = {"cloud": cloud, "shadow": shadow, "snow": snow, "water": water}
    taken = [name for name, value in switches.items() if _options.as_switch(value, name, "usable")]
    distances = {"buffer": buffer, "closing": closing, "opening": opening}
    # no image is as wide as the Earth
    metres = {name: min(_options.as_number(value, name, "usable"), 1e7) for name, value in distances.items()}
    not_told = [name for name in str(classes.attrs.get("classes_not_known", "")).split() if name in taken]
    if not_told:
        _logger.warning(
            "usable() takes out %s, of which the source of the classes tells nothing, or not on all dates: such pixels "
            "stay. Classify the bands for them: masking.classes({'B02': ...}, like=stack).",
            ", ".join(not_told),
        )
    step = grids.spacing(classes, "usable")
    outline = morphology.Outline(
        tuple(kinds.NAMES.index(name) for name in taken), **metres, steps=(abs(step.y), abs(step.x))
    )
    function = partial(_of_block, fills_of(classes), outline)
    found = halos.with_halo(function, [classes.data], outline.reach, np.dtype(np.bool_))
    coords = {name: each.variable for name, each in classes.coords.items() if each.dims == ("time",)}
    return products.product(
        {"usable": (("time", "y", "x"), found)},
        USABLE,
        like=classes.to_dataset(name="classes"),
        step={"function": "usable"} | switches | metres,
        coords=coords,
    )["usable"]


def _as_classes(classes: Any) -> xr.DataArray:
    """Classes, refusing those whose attributes or whose name tell that their numbers mean something else."""
    if isinstance(classes, xr.DataArray):
        other = legends.name_of_others(classes)
        if "flag_meanings" in classes.attrs:
            told = str(classes.attrs["flag_meanings"])
            other = told[:100]
            if told == " ".join(kinds.NAMES):
                other = None if _are_counted(classes.attrs) else "these of other numbers"
        if other is not None:
            raise ValueError(
                f"usable() needs the classes {' '.join(kinds.NAMES)}, counted from 0; got {other}. Bring them to these "
                "first, masking.classes(layer, like=stack), or call them otherwise if they are these: "
                "layer.rename('classes')."
            )
    return checks.as_stack(classes, "usable")


def _are_counted(attrs: Mapping[Any, Any]) -> bool:
    """Whether the numbers of our names, if they are told, are ours too."""
    if attrs.get("flag_values") is None:
        return "flag_masks" not in attrs
    return legends.numbers_of(attrs, "usable").get("flag_values") == list(range(len(kinds.NAMES)))


def _of_block(fills: tuple[float, ...], outline: morphology.Outline, block: np.ndarray) -> np.ndarray:
    return morphology.usable(kinds.translated(block, table=_TABLE, fills=fills, caller="usable"), outline)
