"""Land, as rasters of classes and the classes of single images tell it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xoffset._blocks import elements
from xoffset.masking import legends, titles
from xoffset.model.declared import decoded

_log = logging.getLogger(__name__)

# Values of rasters of land, glacier and water; those that know no water have 0 there too.
_LAND, _OTHERS = 1, (0, 2)
_DOUBT = " If 1 is ice, water or what moves, pass it as moving: moving=classes == 1."
# Names of the classes of single images that tell of the ground.
_CLEAR, _COVERED = "clear", ("snow", "water")


def of_classes(classes: Any, caller: str) -> xr.DataArray:
    """Land by a raster of classes, or by the classes of single images, on their own grid, boolean (y, x)."""
    if not isinstance(classes, xr.DataArray) or classes.dtype.kind not in "iuf":
        got = f"dtype {classes.dtype}" if isinstance(classes, xr.DataArray) else type(classes).__name__
        raise TypeError(
            f"{caller}() needs a DataArray of numbers as classes; got {got}. Open the raster, "
            "rioxarray.open_rasterio('land.tif')[0], or pass what is True as polygons or moving."
        )
    names = _names_of(classes, caller)
    if names and "land" not in names:
        return _mostly_clear(classes, names, caller)
    raster = flat(classes, "classes", caller)
    # a scale would turn classes into others: only what is declared as missing counts
    values = decoded(raster, "the classes", caller, wanted=None)
    if names:
        is_land: xr.DataArray = values == names["land"]
        return is_land
    other = legends.name_of_others(classes)
    if other is not None:
        raise ValueError(
            f"{caller}() needs classes 1 (land), 0 (glacier, or water) and 2 (water); got {other}, whose numbers "
            "mean something else. Translate them: xoffset.masking.classes(layer, like=stack)."
        )
    moves = titles.of_moving(classes)
    if moves is not None:
        raise ValueError(
            f"{caller}() needs classes with 1 on land; got a layer called {moves}, of which 1 may be what moves. Pass "
            "moving=classes == 1; or, if 1 is land, say so: classes.assign_attrs(flag_values=[0, 1], "
            "flag_meanings='other land')."
        )
    return values.copy(data=elements.apply(partial(_is_land, caller=caller), [values.data], np.dtype(np.bool_)))


def tell(classes: xr.DataArray, is_land: Any, caller: str) -> None:
    """Log which numbers were taken for land, and of values in memory how much of the grid that is."""
    if "flag_meanings" in classes.attrs:
        return
    share = f", {100.0 * np.mean(is_land):.3g} % of the grid" if isinstance(is_land, np.ndarray) else ""
    level, doubt = (logging.INFO, "") if titles.is_ground(classes) else (logging.WARNING, _DOUBT)
    _log.log(level, "%s(): 1 of classes is taken for land%s.%s", caller, share, doubt)


def flat(data: xr.DataArray, name: str, caller: str) -> xr.DataArray:
    """Raster (y, x), without a dim of one band."""
    others = [dim for dim in data.dims if dim not in ("y", "x")]
    if not {"y", "x"} <= set(data.dims) or any(data.sizes[dim] != 1 for dim in others) or not data.size:
        raise ValueError(
            f"{caller}() needs {name} with dims ('y', 'x'); got {dict(data.sizes)}. Take one band or date: "
            f"{name}.isel(band=0)."
        )
    return data.squeeze(others, drop=True).transpose("y", "x")


def _is_land(values: np.ndarray, *, caller: str) -> np.ndarray:
    """Land by numbers, refusing those that are no classes of the ground."""
    is_land = values == _LAND
    is_known = is_land | ~np.isfinite(values)
    for number in _OTHERS:
        is_known |= values == number
    if not is_known.all():
        unknown = np.unique(values[~is_known])
        raise ValueError(
            f"{caller}() needs classes 1 (land), 0 (glacier, or water) and 2 (water); got "
            f"{', '.join(f'{value:g}' for value in unknown[:5])}. Translate them: xarray.where(classes == 7, 1, 0)."
        )
    return np.asarray(is_land)


def _names_of(classes: xr.DataArray, caller: str) -> dict[str, int]:
    """Numbers of classes by the names that the attributes of CF tell, empty if they tell none."""
    if "flag_meanings" not in classes.attrs:
        return {}
    told = legends.numbers_of(classes.attrs, caller)
    if "flag_masks" in told:
        raise ValueError(
            f"{caller}() needs classes that are numbers, flag_values; got bits, flag_masks. Translate them: "
            "xoffset.masking.classes(classes, like=stack)."
        )
    return dict(zip(told["flag_meanings"], told["flag_values"], strict=True))


def _mostly_clear(classes: xr.DataArray, known: dict[str, Any], caller: str) -> xr.DataArray:
    """Ground that the classes of single images see more often than snow or water, boolean (y, x)."""
    if not {_CLEAR, *_COVERED} <= set(known) or set(classes.dims) - {"time", "y", "x"}:
        raise ValueError(
            f"{caller}() needs classes of land, or those of xoffset.masking.classes(); got such with the names "
            f"{' '.join(list(known)[:6])}. Translate them: xoffset.masking.classes(classes, like=stack)."
        )
    not_told = [name for name in str(classes.attrs.get("classes_not_known", "")).split() if name in _COVERED]
    if not_told:
        _log.warning(
            "%s() takes out %s, of which the source of the classes tells nothing, or not on all dates: such "
            "ground counts as stable. Classify the bands for them: masking.classes({'B02': ...}, like=stack), or pass "
            "outlines of it as moving.", caller, " and ".join(not_told),
        )  # fmt: skip
    seen = classes if "time" in classes.dims else classes.expand_dims("time")
    clear = (seen == known[_CLEAR]).sum("time")
    covered = sum((seen == known[name]).sum("time") for name in _COVERED)
    is_land: xr.DataArray = clear > covered
    return is_land.transpose("y", "x")
