"""Maps of services: GeoTIFFs of one band that are named, counted and told as the services have them, and previews."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset.formats import border, gridded, rasters, writing
from xoffset.model import checks, grids
from xoffset.model.dates import as_dates

# Numbers of masks that say whether a pixel was removed, and what a tag tells of them.
REMOVED, KEPT = 0, 255
LEGEND_OF_MASKS = f"{REMOVED}=removed {KEPT}=kept"
# Days of a year, of which velocities are.
YEAR_DAYS = 365.25


@dataclass(frozen=True, eq=False)
class Sheet:
    """A map as a file has it: values (y, x) from the north and west, lazy or not, unit, title and what else to tell.

    Floats are written as float32 with nodata NaN, whole numbers as they are and without nodata.
    """

    name: str
    values: Any
    units: str
    title: str
    tags: Mapping[str, str] = field(default_factory=dict)


def span_of(network: xr.Dataset, caller: str) -> tuple[str, str]:
    """Days of the first and the last image of a network, YYYYMMDD.

    Raises
    ------
    ValueError
        If it is no network.
    """
    checks.check_pairs(network, caller)
    dates = np.concatenate([as_dates(network[name].values) for name in ("reference", "secondary")])
    first, last = (each.item().strftime("%Y%m%d") for each in (dates.min(), dates.max()))
    return first, last


def days_of_pairs(network: xr.Dataset, caller: str) -> list[tuple[str, str]]:
    """First and second day of each pair, YYYYMMDD.

    Raises
    ------
    ValueError
        If a pair is of one day, or two pairs have the same days, which names cannot tell apart.
    """
    ends = [as_dates(network[name].values).astype("M8[D]").astype(str) for name in ("reference", "secondary")]
    days = [(first.replace("-", ""), second.replace("-", "")) for first, second in zip(*ends, strict=True)]
    same = [first for first, second in days if first == second]
    if same:
        raise ValueError(
            f"{caller}() needs dates of two days a pair, which is all that names of files tell; got two of {same[0]}. "
            "Leave such pairs out, or save them with to_zarr()."
        )
    if len(set(days)) < len(days):
        raise ValueError(f"{caller}() needs one match of each pair of days; got several. Leave the others out.")
    return days


def prepared(dataset: xr.Dataset, caller: str) -> xr.Dataset:
    """Product in the units of the registry, rows from the north, columns from the west."""
    return gridded.north_up(gridded.as_gridded(dataset, caller), caller)


def one_grid(products: Sequence[xr.Dataset], caller: str) -> xr.Dataset | None:
    """The first of the products, on whose grid the others lie; None if there are none.

    Raises
    ------
    ValueError
        If they lie on several grids.
    """
    for other in products[1:]:
        if not all(np.array_equal(products[0][name].values, other[name].values) for name in ("y", "x")):
            raise ValueError(
                f"{caller}() needs products on one grid; got grids of {dict(products[0].sizes)} and "
                f"{dict(other.sizes)}, or at other places. Make them of the same shifts."
            )
    return products[0] if products else None


def write(
    sheets: Sequence[Sheet], like: xr.Dataset, folder: Path, *, suffix: str = ".tif", overwrite: bool, caller: str
) -> list[Path]:
    """Write maps on the grid of a product of `prepared`, all of them or none; one after the other is computed.

    Raises
    ------
    FileExistsError
        If a file is there and `overwrite` is False.
    OSError
        If the folder cannot be written to.
    """
    options = rasters.profile(border.Place.of(like), grids.spacing(like, caller))
    names = [f"{sheet.name}{suffix}" for sheet in sheets]
    with writing.replaced_all(folder, names, overwrite=overwrite, caller=caller) as scratch:
        for sheet, name in zip(sheets, names, strict=True):
            values = np.asarray(sheet.values)
            is_float = values.dtype.kind == "f"
            values = values.astype(np.float32) if is_float else values
            about = {"units": sheet.units, "long_name": sheet.title, **sheet.tags}
            rasters.write(scratch / name, {"": values}, options | ({} if is_float else {"nodata": None}), about, caller)
    return [folder / name for name in names]


def preview(sheets: Sequence[Sheet], like: xr.Dataset, folder: Path, *, overwrite: bool, caller: str) -> list[Path]:
    """Draw maps on the grid of a product of `prepared`, PNG, all of them or none.

    Raises
    ------
    FileExistsError
        If a file is there and `overwrite` is False.
    ImportError
        If the `plot` extra is not installed.
    OSError
        If the folder cannot be written to.
    """
    from xoffset.plotting.files import map_of

    coords = {name: like[name] for name in ("y", "x", "spatial_ref") if name in like.coords}
    names = [f"{sheet.name}.png" for sheet in sheets]
    with writing.replaced_all(folder, names, overwrite=overwrite, caller=caller) as scratch:
        for sheet, name in zip(sheets, names, strict=True):
            attrs = {"units": sheet.units, "long_name": sheet.title}
            values = np.asarray(sheet.values, dtype=np.float32)
            map_of(xr.DataArray(values, coords, ("y", "x"), attrs=attrs), scratch / name, title=sheet.name)
    return [folder / name for name in names]


class Mask:
    """Numbers of a mask, computed when an array is made of it; `is_kept()` returns booleans that say what is kept."""

    def __init__(self, is_kept: Callable[[], Any]) -> None:
        self.is_kept = is_kept

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.where(np.asarray(self.is_kept()), KEPT, REMOVED).astype(np.uint8)
