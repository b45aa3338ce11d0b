"""Classes of the pixels of a stack in six kinds, from layers of classes or from the light they reflect."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xoffset._arrays.scenes import legends as kinds
from xoffset._arrays.scenes import spectral
from xoffset._blocks import elements
from xoffset._options import speaking_as
from xoffset.masking import bands, legends, places
from xoffset.model import checks, products
from xoffset.model.declared import fills_of
from xoffset.model.variables import PIXEL_CLASSES
from xoffset.readers.class_layer import class_layer
from xoffset.readers.open_stack import open_stack
from xoffset.readers.products import is_product
from xoffset.readers.rasters import PathLike, find

# Files of masks of clouds of Sentinel-2 L1C, of all namings.
_MASK = re.compile(r"(.*_)?MSK_(CLASSI|CLOUDS)_.*")
Source = PathLike | Iterable[PathLike] | xr.DataArray | xr.Dataset | Mapping[str, xr.DataArray]


def classes(source: Source, *, like: xr.DataArray, legend: str | Mapping[int, str] | None = None) -> xr.DataArray:
    """Clear, null, cloud, shadow, snow or water: what each pixel of a stack shows on each date.

    Parameters
    ----------
    source
        Where the classes come from:

        - products that the stack was made of, as `open_stack` takes them: of Sentinel-2 L2A the scene classification,
          of L1C the masks of clouds (MSK_CLASSI, or polygons before baseline 04.00), of Landsat QA_PIXEL, of
          PlanetScope UDM2;
        - rasters of classes with a date in their names, such as those of Fmask;
        - an array (time, y, x) of classes, of any loader;
        - bands by name, a mapping or a Dataset of arrays (time, y, x), or an array (band, time, y, x): blue, green,
          red, nir, swir16, and cirrus if there is one, by these names or those of Sentinel-2 or Landsat, in reflectance
          at the top of the atmosphere or as `open_stack` reads them. They are classified by their light. Only a mapping
          holds bands of several pixel sizes as they are. Numbers are those of the satellites of the coordinate
          `platform`, of Sentinel-2 if there is none.
    like
        Stack (time, y, x) on whose grid and dates the classes are wanted. A layer belongs to the date nearest to its
        own, no more than half an hour away, or to its day where one of the two has no time of day.
    legend
        What the numbers of rasters or of an array mean: ``"scl"``, ``"qa_pixel"``, ``"fmask_python"`` (0 null, 1 clear,
        2 cloud, 3 shadow, 4 snow, 5 water), ``"fmask_matlab"`` (0 land, 1 water, 2 shadow, 3 snow, 4 cloud, 255 fill),
        ``"gdm"`` (the numbers of the result), or a mapping of each number to one of the six names. Not needed where the
        attributes `flag_meanings` with `flag_values` or `flag_masks` tell it, or a name such as "SCL" or "QA_PIXEL".

    Returns
    -------
    xarray.DataArray
        `classes` (time, y, x), uint8: 0 clear, 1 null, 2 cloud, 3 shadow, 4 snow, 5 water, as the attributes
        `flag_values` and `flag_meanings` say. Null is where the source does not reach or has no value. A pixel of the
        stack takes the pixel of the source that holds its centre, also of another grid or CRS; nothing is interpolated.
        The attribute `laid` says so where grids differ. The attribute `classes_not_known` names the classes that the
        source does not tell, or not for all dates: their pixels are clear. Lazy if the arrays are, of files if the
        stack is.

    Raises
    ------
    FileNotFoundError
        If a file or the layer is missing, or nothing matches the pattern.
    OSError
        If a file is damaged.
    TypeError
        If the stack or the source is none.
    ValueError
        If the legend is not known, a number is none of it (of lazy arrays when they are computed), a date has no
        classes or two layers of its day, the source lies elsewhere, a band is missing or may be one of two, or bands
        are no reflectances (of lazy bands when they are computed).

    Notes
    -----
    Of bits that are set together the first of null, cloud, shadow, snow, water counts. Dark areas of the scene
    classification are shadow, its unclassified pixels clear. By its light a pixel is snow if the normalised difference
    of green and short-wave infrared is above 0.4 (Hall et al. 1995, Remote Sens. Environ. 54, 127-140) and it is
    bright; cloud if it reflects more than 0.012 in the cirrus band, or is bright, with blue less half of red, the haze
    optimised transform of Zhu & Woodcock (2012, Remote Sens. Environ. 118, 83-94), above 0.10, and no darker in the
    near than in three quarters of the short-wave infrared; water if both infrared bands are dark beside green; shadow
    if all bands are dark. Deep shadow may pass for water, and water with the glint of the sun for shadow.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stack("scenes/*.SAFE", band="B04")  # doctest: +SKIP
    >>> classes = xoffset.masking.classes("scenes/*.SAFE", like=stack)  # doctest: +SKIP
    >>> usable = xoffset.masking.usable(classes, buffer=100.0)  # doctest: +SKIP
    """
    like = checks.as_stack(like, "classes")
    if isinstance(source, xr.DataArray) and "band" not in source.dims:
        found, how = _of_array(source, like, legend)
    elif isinstance(source, (xr.DataArray, Mapping)) and not isinstance(source, xr.DataTree):  # a tree is a product
        found, how = _by_light(bands.as_bands(source), like, legend)
    else:
        found, how = _of_files(_as_places(source), like, legend)
    coords = {name: each.variable for name, each in like.coords.items() if each.dims == ("time",)}
    data = products.product(
        {"classes": (("time", "y", "x"), found)},
        PIXEL_CLASSES,
        like=like.to_dataset(name="image"),
        step={"function": "classes"},
        coords=coords,
    )["classes"]
    told = {"flag_values": list(range(len(kinds.NAMES))), "flag_meanings": " ".join(kinds.NAMES)}
    return data.assign_attrs(told | {name: text for name, text in how.items() if text})


def _as_places(source: Any) -> Any:
    """One path, or a list of several, refusing what is none."""
    if isinstance(source, (str, os.PathLike, xr.DataTree)):
        return source
    places = list(source) if isinstance(source, Iterable) and not isinstance(source, bytes) else [source]
    wrong = [type(each).__name__ for each in places if not isinstance(each, (str, os.PathLike, xr.DataTree))]
    if wrong:
        raise TypeError(
            f"classes() needs products, rasters, an array of classes or bands by name; got {wrong[0]}. Pass what the "
            "stack was made of: classes('scenes/*.SAFE', like=stack)."
        )
    return places


def _of_files(source: Any, like: xr.DataArray, legend: Any) -> tuple[Any, dict[str, str]]:
    """Classes of products, which know what theirs mean, or of rasters."""
    with speaking_as("classes", "open_stack"):
        source = [_product_of(place) for place in find(source)]
    if any(is_product(place) for place in source):
        if legend is not None:
            raise ValueError(
                f"classes() needs no legend for products, which know it; got {legend!r}. Leave it out, or pass rasters "
                "of classes alone."
            )
        with speaking_as("classes", "class_layer"):
            layer = class_layer(source, like=like)
        values, how = _translated(layer, legends.legend_of(layer, None), layer.data)
        return values, how | {"laid": layer.attrs.get("laid", "")}
    sides = None if isinstance(like.data, np.ndarray) else dict(zip("yx", (-1, -1), strict=True))
    with speaking_as("classes", "open_stack"):
        rasters = open_stack(source, chunks=sides)
    return _of_array(rasters, like, legend)


def _of_array(source: xr.DataArray, like: xr.DataArray, legend: Any) -> tuple[Any, dict[str, str]]:
    """Classes of an array on any grid, whose dates hold those of the stack."""
    meanings = legends.legend_of(source, legend)
    layer = places.of_dates(source, like, "the source")
    found, how = _translated(layer, meanings, layer.data)
    values, laid = places.on_grid(layer.copy(data=found), like, kinds.NULL, "the source")
    return values, how | {"laid": laid}


def _product_of(place: Any) -> Any:
    """The product that a mask of clouds is of, which tells its date; any other place as it is."""
    if isinstance(place, xr.DataTree) or not _MASK.match(Path(place).name):
        return place
    return next((str(folder) for folder in Path(place).parents if is_product(str(folder))), place)


def _translated(layer: xr.DataArray, meanings: legends.Legend, values: Any) -> tuple[Any, dict[str, str]]:
    translate = partial(kinds.translated, table=kinds.as_table(meanings), fills=fills_of(layer), caller="classes")
    found = elements.apply(translate, [values], np.dtype(np.uint8))
    told = {kinds.MEANINGS[each.name] for each in meanings}
    if any(each.name == "snow_unknown" for each in meanings):
        told -= {kinds.SNOW}
    not_known = [kinds.NAMES[k] for k in range(kinds.CLOUD, len(kinds.NAMES)) if k not in told]
    return found, {"classes_not_known": " ".join(not_known)}


def _by_light(named: Mapping[str, xr.DataArray], like: xr.DataArray, legend: Any) -> tuple[Any, dict[str, str]]:
    """Classes of bands in reflectance, each on any grid."""
    if legend is not None:
        raise ValueError(f"classes() needs no legend for bands; got {legend!r}. Leave it out.")
    laid = {}
    arrays = []
    for name, band in named.items():
        values, laid[name] = places.on_grid(places.of_dates(band, like, name), like, np.nan, name)
        arrays.append(values)
    found = elements.apply(spectral.classified, arrays, np.dtype(np.uint8))
    return found, {"laid": next(filter(None, laid.values()), "")}
