"""What recipes of services share: their images, and what products tell of these beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Self

import xarray as xr

from xoffset import _options
from xoffset.masking.classes import classes
from xoffset.model.dates import as_dates
from xoffset.readers import objects, saved_stack
from xoffset.readers.detectors import detectors
from xoffset.readers.eopf import product as eopf
from xoffset.readers.open_stack import open_stack
from xoffset.readers.products import is_product
from xoffset.readers.rasters import find
from xoffset.readers.sentinel2 import product as sentinel2
from xoffset.recipes.base import SCENES, Recipe, Result, Step, option

# Side of the blocks in which what belongs to the images is read, px.
BLOCK = 1024
# The band that services recommend, and a tile that is not told.
BAND, LOCAL = "B04", "local"
AUTO, PRODUCTS, NONE = "auto", "products", "none"
_FROM = (AUTO, PRODUCTS, NONE)


@dataclass(frozen=True)
class OfDays(Recipe):
    """Recipe of a service whose files are named after the days of the images."""

    def check_plan(self, results: Mapping[str, Any]) -> None:
        """Refuse dates that names of the files, which tell days, cannot tell apart."""
        days = [as_dates(results["network"][name].values).astype("M8[D]") for name in ("reference", "secondary")]
        same = days[0][days[0] == days[1]]
        if same.size:
            raise ValueError(
                f"the recipe {self.name} needs images of two days in each pair, which is all that names of its files "
                f"tell; got {same.size} pairs of one day, the first of {same[0]}. Leave one of these images out."
            )
        taken = as_dates(results["stack"]["time"].values).astype("M8[D]")
        again = taken[1:][taken[1:] == taken[:-1]]
        if self.is_of_days and again.size:
            raise ValueError(
                f"the recipe {self.name} needs one image a day, which is all that names of its files and columns tell; "
                f"got two of {again[0]}. Leave one of them out."
            )

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse matches of which no pair has any, such as of images without data."""
        if name == "matches":
            check_matched(product, self.name, "images, masks and the spatial matching range")

    @property
    def is_of_days(self) -> bool:
        """Whether files or columns are named after the days of single images."""
        return False


@dataclass(frozen=True)
class Service(OfDays):
    """Recipe of a service that takes Sentinel-2 products, or a stack of any other images."""

    band: int | str | None = option(
        None, "Sentinel-2 band; left out B04, which is recommended, and of other images than products the only one",
        example=BAND,
    )  # fmt: skip
    tile: str = option(LOCAL, "Sentinel-2 tile such as 31TGK, of products that have several; 'local' is the only one")
    classes: str | tuple[str, ...] = option(
        AUTO, "classes of the pixels, which masks are made of: of the 'products', rasters of classes, or 'none'; "
        "'auto' takes those of products that have them", choices=_FROM, is_path=True,
    )  # fmt: skip
    detectors: str = option(
        AUTO, "footprints of the detectors, along which stripes are corrected: of the 'products', or 'none'; 'auto' "
        "takes those of products that have them", choices=_FROM,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.tile):
            raise ValueError(
                f"the recipe {self.name} needs letters and digits as tile; got {self.tile!r}. Pass one such as '31TGK'."
            )

    def ways(self, scenes: Any) -> list[Self]:
        """Recipes that say which band, classes and detectors of these scenes there are, the fullest first."""
        places = [] if are_arrays(scenes) else find(scenes)
        are_products = bool(places) and all(map(is_product, places))
        self._check_products(are_products)
        of_products = (PRODUCTS, NONE) if are_products else (NONE,)
        kinds = of_products if self.classes == AUTO else (self.classes,)
        seen = of_products if self.detectors == AUTO else (self.detectors,)
        is_sentinel = bool(places) and all(sentinel2.is_product(each) or eopf.is_product(each) for each in places)
        band = BAND if self.needs_band and is_sentinel else self.band
        return [replace(self, band=band, classes=each, detectors=other) for each, other in product(kinds, seen)]

    def _check_products(self, are_products: bool) -> None:
        for name in ("classes", "detectors"):
            if getattr(self, name) == PRODUCTS and not are_products:
                raise ValueError(
                    f"the recipe {self.name} needs products, such as those of Sentinel-2, as scenes for "
                    f"{name}={PRODUCTS!r}; got other images. Leave {name} out, or give the products."
                )

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python, which store and resume the same products.

        What is left to the scenes is that of these; of scenes that are not there it is that of Sentinel-2 products.
        """
        if are_there(scenes):
            return Recipe.script(self.ways(scenes)[0], scenes, out)
        told = {"band": BAND} if self.needs_band else {}
        told |= {name: PRODUCTS for name in ("classes", "detectors") if getattr(self, name) == AUTO}
        return Recipe.script(replace(self, **told), scenes, out)

    @property
    def needs_band(self) -> bool:
        """Whether it is not told which band is matched."""
        return self.band is None

    @property
    def has_classes(self) -> bool:
        """Whether the classes of the pixels are known."""
        return self.classes != NONE

    def _images(self) -> Step:
        """The stack of the scenes."""
        told = {"band": self.band, "tile": None if self.tile == LOCAL else self.tile, "chunks": BLOCK}
        return Step("stack", open_stack, (SCENES,), {name: value for name, value in told.items() if value is not None})

    def _classes(self) -> Step:
        """The classes of the pixels of the stack."""
        source = SCENES if self.classes in (AUTO, PRODUCTS) else self.classes
        return Step("seen", classes, (source,), {"like": Result("stack")})

    def _detectors(self) -> list[Step]:
        """The detectors that saw the pixels of the stack, if they are known."""
        if self.detectors == NONE:
            return []
        return [Step("detector", detectors, (SCENES,), {"like": Result("stack"), "band": self.band})]


def check_matched(matches: xr.Dataset, recipe: str, advice: str) -> None:
    """Refuse matches of which no pair has any."""
    if not any(bool(each.notnull().any()) for each in matches["dx"]):
        raise ValueError(
            f"the recipe {recipe} needs a match in at least one pair; got none of {matches.sizes['pair']}, as "
            f"the flags of matches.zarr tell. Check {advice}."
        )


def check_box(given: Any, name: str, recipe: str) -> None:
    """Refuse what is no box: west, south, east, north."""
    is_box = isinstance(given, (tuple, list)) and len(given) == 4 and all(map(_options.is_number, given))
    if not is_box or not (given[0] < given[2] and given[1] < given[3]):
        raise ValueError(
            f"the recipe {recipe} needs {name}=(west, south, east, north); got {given!r}. Pass four numbers such as "
            "(5.668, 44.936, 5.71, 44.964)."
        )


def check_unused(recipe: Recipe, names: tuple[str, ...], needed: str) -> None:
    """Refuse fields that were changed and would have no effect, for want of what they need."""
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in names and value != field.default:
            raise ValueError(
                f"the recipe {recipe.name} needs {needed} for {field.name}; got none and {field.name}={value!r}, which "
                f"would have no effect. Leave {field.name} out, or give such images."
            )


def are_arrays(scenes: Any) -> bool:
    """Whether scenes are a stack, or arrays of other loaders, and no files of images."""
    if isinstance(scenes, xr.DataArray) or objects.are_loaded(scenes):
        return True
    return saved_stack.is_saved(scenes) and not is_product(str(scenes))


def are_there(scenes: Any) -> bool:
    """Whether scenes are more than names of what is not there yet."""
    if are_arrays(scenes):
        return True
    try:
        found = find(scenes)
    except OSError:
        return False
    return all(isinstance(each, xr.DataTree) or "://" in str(each) or Path(each).exists() for each in found)
