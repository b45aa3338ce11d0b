"""The recipe `generic`: shifts of all pairs, what of them is no motion, displacement through time and velocity."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import xarray as xr

from xoffset.correction.correct import correct
from xoffset.formats.geotiff import to_geotiff
from xoffset.inversion.invert import invert
from xoffset.masking.classes import classes
from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.usable import usable
from xoffset.matching.correlate import correlate
from xoffset.model.flags import FLAGS
from xoffset.motion.velocity import velocity
from xoffset.network.pairs import pairs
from xoffset.readers.open_stack import open_stack
from xoffset.recipes.base import SCENES, Folder, Recipe, Result, Step, option
from xoffset.screening.screen import screen

logger = logging.getLogger("xoffset")

# Side of the blocks in which what belongs to the images is read, px: masks are read a block at a time.
BLOCK = 1024


@dataclass(frozen=True)
class Generic(Recipe):
    """What suits most images: normalised correlation of neighbouring dates, screening, inversion, velocity.

    Corrects only if it is told how: by `stable` or `moving` ground, an `order` of a ramp, or `by_date`.
    """

    name: ClassVar[str] = "generic"

    band: int | str | None = option(None, "band: of products its name, of files its number or description")
    tile: str | tuple[str, ...] | None = option(None, "tiles of products, such as 31TGK")
    orbit: int | tuple[int, ...] | None = option(None, "relative orbits of products, of Landsat paths")
    date: str | tuple[str, ...] | None = option(None, "strptime pattern of the date in file names")
    bbox: tuple[float, float, float, float] | None = option(None, "xmin, ymin, xmax, ymax", unit="m")
    nodata: float | None = option(None, "pixel value that means no data")
    align: str | None = option(None, "how to resample unequal grids once", choices=("nearest", "cubic"))
    pixel_size: float | None = option(None, "side of a pixel of images without coordinates", unit="m", least=1e-6)
    max_gap: int | None = option(3, "longest pair", unit="acquisitions", least=1)
    max_baseline: str | None = option(None, "longest pair in time, such as 90D")
    template: int = option(32, "side of the matching window", unit="px", least=5)
    search: int = option(8, "largest displacement of a pair", unit="px", least=1)
    step: int = option(8, "distance between windows", unit="px", least=1)
    mask: str | tuple[str, ...] | None = option(
        None, "'classes' of the products, or rasters of classes", choices=("classes",), is_path=True
    )
    min_score: float = option(0.5, "least correlation", least=0, most=1)
    stable: str | None = option(None, "polygons of ground that stands still", is_path=True)
    moving: str | None = option(None, "outlines of what moves", is_path=True)
    buffer: float | None = option(None, "distance from what moves", unit="m", least=0)
    order: int | str | None = option(None, "ramp to take off: 0, 1, 2 or auto")
    by_date: bool = option(False, "correct dates, from all of their pairs, not pairs")
    min_nodes: int | None = option(None, "least vectors on stable ground of a pair", least=1)
    reference: str | None = option(None, "date of zero displacement")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_nodes is not None and not self.is_corrected:
            raise ValueError(
                "run needs --stable, --moving, --order or --by-date beside --min-nodes; got --min-nodes "
                f"{self.min_nodes} alone, and nothing is corrected without them. Name one, or leave it out."
            )

    @property
    def has_ground(self) -> bool:
        """Whether stable ground is told."""
        return self.stable is not None or self.moving is not None or self.buffer is not None

    @property
    def is_corrected(self) -> bool:
        """Whether anything is corrected."""
        return self.has_ground or self.order is not None or self.by_date

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        files = ("band", "tile", "orbit", "date", "bbox", "nodata", "align", "pixel_size")
        found = [
            Step("stack", open_stack, (SCENES,), self._given(*files) | {"chunks": BLOCK}),
            Step("network", pairs, (Result("stack"),), self._given("max_gap", "max_baseline")),
        ]
        matching: dict[str, Any] = self._given("template", "search", "step")
        if self.mask is not None:
            source = SCENES if self.mask == "classes" else self.mask
            found += [
                Step("seen", classes, (source,), {"like": Result("stack")}),
                Step("mask", usable, (Result("seen"),), {}),
            ]
            matching["mask"] = Result("mask")
        images = (Result("stack"), Result("network"))
        found += [
            Step("matches", correlate, images, matching, is_stored=True, title="Matching"),
            Step("shifts", screen, (Result("matches"),), self._given("min_score"), is_stored=True, title="Screening"),
        ]
        return found + self._motion()

    def _motion(self) -> list[Step]:
        """Steps from the shifts to the velocity."""
        found, ground, of = [], None, Result("shifts")
        if self.has_ground:
            options = {"polygons": self.stable, "moving": self.moving, "buffer": self.buffer}
            told = {name: value for name, value in options.items() if value is not None}
            found.append(Step("ground", stable_ground, (of,), told))
            ground = Result("ground")
        stable = {} if ground is None else {"stable": ground}
        if self.is_corrected:
            options = stable | self._given("order", "by_date", "min_nodes")
            found.append(Step("corrected", correct, (of,), options, True, True, "Correcting"))
            of = Result("corrected")
        through_time = self._given("reference") | stable
        # from the pairs, since a series has no value where its reference date is under a cloud
        return [
            *found,
            Step("series", invert, (of,), through_time, True, True, "Inverting"),
            Step("velocity", velocity, (of,), {}, True, True, "Fitting velocity"),
            Step("files", to_geotiff, (Result("velocity"), Folder("velocity")), {"overwrite": True}),
        ]

    def _given(self, *names: str) -> dict[str, Any]:
        """Fields that are not None."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse shifts of which no pair could be corrected, and warn of pairs that could not."""
        if name != "corrected":
            return
        if not product["is_corrected"].any():
            raise ValueError(
                f"run needs enough stable ground in at least one pair; got {int(product['n_stable'].max())} vectors "
                f"on it at most, and corrected.zarr holds {product.sizes['pair']} pairs as they were. Enlarge "
                "--stable, or lower --min-nodes."
            )
        told = {"not_corrected": "stay as they are", "unreferenced": "count from the mode of their motion"}
        for flag, what in told.items():
            count = int(((product["flags"] & FLAGS[flag]) > 0).any(("y", "x")).sum())
            if count:
                logger.warning(
                    "%d of %d pairs lack stable ground and %s (%s).", count, product.sizes["pair"], what, flag
                )
