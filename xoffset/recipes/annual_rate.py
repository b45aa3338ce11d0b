"""The recipe `annual-rate`: images of one season a year, tracked and inverted as with autoRIFT and MintPy."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from xoffset import _options
from xoffset._arrays.filters.options import Highpass
from xoffset.correction.remove_median import remove_median
from xoffset.formats import autorift, mintpy
from xoffset.inversion.invert import invert
from xoffset.masking.drop_cloudy import drop_cloudy
from xoffset.masking.stable_ground import stable_ground
from xoffset.matching.correlate import correlate
from xoffset.matching.grid_step import grid_step
from xoffset.motion.velocity import velocity
from xoffset.network.one_a_year import one_a_year
from xoffset.network.pairs import pairs
from xoffset.readers.class_layer import class_layer
from xoffset.readers.crop import crop
from xoffset.readers.open_stac import open_stac
from xoffset.readers.open_stack import open_stack
from xoffset.readers.products import is_product
from xoffset.readers.rasters import find
from xoffset.recipes import services
from xoffset.recipes.base import SCENES, Folder, Recipe, Result, Step, option
from xoffset.recipes.services import AUTO, BLOCK, LOCAL, NONE, PRODUCTS, OfDays
from xoffset.uncertainty.misclosure import misclosure

# Folders of the files: that of the run, and one of the offsets without the median of stable ground.
OUT, CORRECTED = Folder("."), Folder("corrected")
BAND = "B08"
CATALOGUE, FILES = "catalogue", "files"
# Metres of a degree of latitude.
DEGREE = 111_320.0


@dataclass(frozen=True)
class AnnualRate(OfDays):
    """One image a year, offsets of all pairs, and their unweighted inversion to an annual rate, in files of MintPy.

    What the notebooks "Using AutoRIFT and MintPy for Timeseries Pixel Offset Tracking" do step by step.

    Parameters
    ----------
    band
        Band that is matched. Left out it is B08 of products and catalogues, and the only band of other images.
    collection
        Collection of a catalogue (STAC) that is searched, such as sentinel-2-l2a.
    relative_orbit, tile
        Relative orbit, and tile (frame) such as 60HUB; ``"local"``: the only tile.
    datetime
        Interval of dates of a catalogue, such as "2016/2021".
    images
        Where the images are: in a ``"catalogue"`` (STAC), or ``"files"``; ``"auto"`` tells it from the scenes.
    classes
        What clouds are told by, of files: the classes of the ``"products"``, or ``"none"``. ``"auto"`` takes those of
        products that have them. Catalogues have theirs.
    max_cloud_image, max_cloud_bbox
        Most clouds of an image as a whole, and within the area of interest [%].
    mask_classes
        Classes of the scene classification that count as clouds. Of catalogues those count that
        `masking.classes` tells.
    aoi, aoi_buffer
        Area of interest: west, south, east, north [degree], xmin, ymin, xmax, ymax [m], or a file of polygons; and the
        distance around it [m].
    grid
        Distance of the nodes [m], a whole number of pixels.
    chip_size_min, chip_size_max
        Sides of the smallest and the largest chip [px], doubled from one to the next: the smallest that finds counts.
    search_limit
        Half-range of the search [px].
    prefilter_width
        Width of the high-pass filter [px] as autoRIFT counts it, the side of a box; ours is the Gaussian of that
        spread.
    landslides, landslide_buffer
        File of polygons of landslides, and the distance around them [m] that is not taken for stable ground either,
        whose median comes off each pair. Without landslides that of all ground comes off.
    weighted
        Whether pairs and dates weigh by their standard errors, and outliers less; else all alike, as in the notebooks.
    """

    name: ClassVar[str] = "annual-rate"

    band: str | int | None = option(
        None, "band; left out B08 of products and catalogues, and of other images the only one", example=BAND
    )
    collection: str | None = option(None, "collection of a catalogue, such as sentinel-2-l2a", example="sentinel-2-l2a")
    relative_orbit: int | None = option(None, "relative orbit of the images", least=1, example=129)
    tile: str = option(LOCAL, "tile such as 60HUB; 'local' is the only one")
    datetime: str | None = option(None, "interval of dates of a catalogue, such as 2016/2021", example="2016/2021")
    images: str = option(
        AUTO, "where the images are; 'auto' tells it from the scenes", choices=(AUTO, CATALOGUE, FILES)
    )
    classes: str = option(
        AUTO, "classes of the pixels of files, which clouds are told by: of the 'products', or 'none'; 'auto' takes "
        "those of products that have them", choices=(AUTO, PRODUCTS, NONE),
    )  # fmt: skip
    max_cloud_image: float = option(33.0, "most clouds of an image as a whole", unit="percent", least=0, most=100)
    max_cloud_bbox: float = option(0.5, "most clouds within the area of interest", unit="percent", least=0, most=100)
    mask_classes: tuple[int, ...] = option((3, 8, 9), "classes of the scene classification that count as clouds")
    aoi: str | tuple[float, float, float, float] | None = option(
        None, "area of interest: a box in degrees or metres, or a file of polygons", is_path=True,
        example="study_area.geojson",
    )  # fmt: skip
    aoi_buffer: float = option(2000.0, "distance around the area of interest", unit="m", least=0)
    grid: float = option(80.0, "distance of the nodes of the grid", unit="m", least=1e-3)
    chip_size_min: int = option(16, "side of the smallest chip", unit="px", least=8, most=256)
    chip_size_max: int = option(32, "side of the largest chip", unit="px", least=8, most=256)
    search_limit: int = option(25, "half-range of the search", unit="px", least=1, most=1000)
    prefilter_width: int = option(21, "width of the high-pass filter", unit="px", least=3, most=301)
    landslides: str | None = option(
        None, "polygons of landslides, around which the ground is stable", is_path=True, example="landslides.geojson"
    )
    landslide_buffer: float = option(500.0, "distance around landslides that is not stable either", unit="m", least=0)
    weighted: bool = option(False, "whether pairs and dates weigh by their standard errors; else all alike")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.tile):
            raise ValueError(
                f"the recipe {self.name} needs letters and digits as tile; got {self.tile!r}. Pass one such as '60HUB'."
            )
        smallest, largest = self.chip_size_min, self.chip_size_max
        if largest < smallest or not math.log2(largest / smallest).is_integer():
            raise ValueError(
                f"the recipe {self.name} needs chip_size_max of chip_size_min, doubled any number of times; got "
                f"{smallest} and {largest}. Pass some such as 16 and 32."
            )
        given: Any = self.mask_classes
        if not isinstance(given, (tuple, list)) or not given or not all(map(_options.is_whole, given)):
            raise ValueError(
                f"the recipe {self.name} needs numbers of classes as mask_classes; got {given!r}. Pass some such as "
                "(3, 8, 9)."
            )
        if not isinstance(self.aoi, (str, type(None))):
            services.check_box(self.aoi, "aoi", self.name)
        self._check_use()

    def _check_use(self) -> None:
        """Refuse what would have no effect."""
        for owner, names in (("aoi", ("aoi_buffer",)), ("landslides", ("landslide_buffer",))):
            for name in names:
                default = type(self).__dataclass_fields__[name].default
                if getattr(self, owner) is None and getattr(self, name) != default:
                    raise ValueError(
                        f"the recipe {self.name} needs {owner} for {name}; got {name}={getattr(self, name)!r} and no "
                        f"{owner}. Leave {name} out, or pass {owner}."
                    )
        if self.images == FILES:
            for name in ("collection", "datetime"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"the recipe {self.name} needs a catalogue for {name}; got images='files' and "
                        f"{name}={getattr(self, name)!r}. Leave it out, or choose among the files."
                    )
        if self.images == CATALOGUE:
            services.check_unused(self, ("mask_classes",), "files, since catalogues have classes of their own,")
            if self.classes == PRODUCTS:
                raise ValueError(
                    f"the recipe {self.name} needs files for classes='products'; got images='catalogue', which has "
                    "classes of its own. Leave classes out."
                )
        elif self.classes == NONE:
            told = ("max_cloud_image", "max_cloud_bbox", "mask_classes")
            services.check_unused(self, told, "images whose classes are known, such as products of Sentinel-2,")

    def ways(self, scenes: Any) -> list[Self]:
        """Recipes that say where images and classes of these scenes are, the fullest first."""
        if self.images == CATALOGUE or (self.images == AUTO and is_catalogue(scenes)):
            return [replace(self, images=CATALOGUE, classes=NONE, band=self.band or BAND)]
        places = [] if services.are_arrays(scenes) else find(scenes)
        are_products = bool(places) and all(map(is_product, places))
        if self.classes == PRODUCTS and not are_products:
            raise ValueError(
                f"the recipe {self.name} needs products, such as those of Sentinel-2, as scenes for "
                "classes='products'; got other images. Leave classes out, or give the products."
            )
        found = replace(self, images=FILES, band=BAND if self.band is None and are_products else self.band)
        if self.classes != AUTO:
            return [found]
        return [replace(found, classes=PRODUCTS if are_products and found.tells_classes(scenes) else NONE)]

    def tells_classes(self, scenes: Any) -> bool:
        """Whether products have a layer of classes, one number a pixel; nothing but metadata is read."""
        try:
            seen = class_layer(scenes, like=open_stack(scenes, **self._opening))
        except (FileNotFoundError, ValueError):
            return False
        return "flag_values" in seen.attrs

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python; of scenes that are not there they are those of Sentinel-2."""
        if self.images == CATALOGUE or is_catalogue(scenes) or services.are_there(scenes):
            return Recipe.script(self.ways(scenes)[0], scenes, out)
        told: dict[str, Any] = {"images": FILES} | ({"band": BAND} if self.band is None else {})
        return Recipe.script(
            replace(self, **told, classes=PRODUCTS if self.classes == AUTO else self.classes), scenes, out
        )

    @property
    def files(self) -> dict[str, Any]:
        """Fields that name files: an area of interest may be a box."""
        return {name: each for name, each in super().files.items() if isinstance(each, str)}

    @property
    def is_of_days(self) -> bool:
        """Whether files are named after the days of single images: MintPy knows days alone."""
        return True

    @property
    def templates(self) -> list[int]:
        """Sides of the chips [px]."""
        count = round(math.log2(self.chip_size_max / self.chip_size_min)) + 1
        return [self.chip_size_min * 2**k for k in range(count)]

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the workflow that are not written, and why."""
        found = {}
        if self.images == FILES and self.classes == NONE:
            found["no file: images under clouds are not left out"] = "the classes are not known, classes = 'none'"
        if not has_hdf5():
            found["timeseries*.h5, residualInv*.h5, numInvOffset*.h5, velocity*.h5, velocity_*.tif"] = (
                "HDF5 needs the extra: pip install 'xoffset[netcdf]'"
            )
        return found

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        stack, matches, shifts = Result("stack"), Result("matches"), Result("corrected")
        matching = {
            "template": self.templates, "search": self.search_limit, "step": Result("step"),
            "prefilter": Highpass(math.sqrt((self.prefilter_width**2 - 1) / 12.0)),
        }  # fmt: skip
        ground, stable = [], {}
        if self.landslides is not None:
            moving = {"moving": self.landslides, "buffer": self.landslide_buffer}
            ground, stable = [Step("ground", stable_ground, (stack,), moving)], {"stable": Result("ground")}
        how: dict[str, Any] = {} if self.weighted else {"weights": "uniform", "loss": "linear"}
        return [
            *(self._from_catalogue() if self.images == CATALOGUE else self._from_files()),
            Step("network", pairs, (stack,), {}),
            Step("step", grid_step, (stack,), {"spacing": self.grid}),
            Step("matches", correlate, (stack, Result("network")), matching, is_stored=True, title="Matching"),
            *ground,
            Step("corrected", remove_median, (matches,), stable, True, True, "Correcting"),
            Step("series", invert, (shifts,), how | {"reference": "first"}, True, True, "Inverting"),
            Step("velocity", velocity, (Result("series"),), how, True, title="Fitting velocity"),
            *self._files(),
        ]

    def _from_catalogue(self) -> list[Step]:
        """The stack of a catalogue, with the choice of its images."""
        given = {
            "band": self.band, "collection": self.collection, "orbit": self.relative_orbit,
            "tile": None if self.tile == LOCAL else self.tile, "datetime": self.datetime, "bbox": self.box,
        }  # fmt: skip
        chosen = {"max_cloud_scene": self.max_cloud_image, "max_cloud": self.max_cloud_bbox, "one_a_year": True}
        options = {name: each for name, each in given.items() if each is not None} | chosen | {"chunks": BLOCK}
        return [Step("stack", open_stac, (SCENES,), options)]

    @property
    def _opening(self) -> dict[str, Any]:
        """How files are opened."""
        tile = None if self.tile == LOCAL else self.tile
        given = {"band": self.band, "orbit": self.relative_orbit, "tile": tile, "chunks": BLOCK}
        return {name: each for name, each in given.items() if each is not None}

    def _from_files(self) -> list[Step]:
        """The stack of files, cropped, without images under clouds, one a year."""
        found, last = [Step("images", open_stack, (SCENES,), self._opening)], Result("images")
        cloudy = {"classes": list(self.mask_classes)}
        if self.classes == PRODUCTS:
            found += [
                Step("seen", class_layer, (SCENES,), {"like": last}),
                Step(
                    "clear", drop_cloudy, (last, Result("seen")), cloudy | {"max_share": self.max_cloud_image / 100.0}
                ),
            ]
            last = Result("clear")
        if self.aoi is not None:
            found.append(Step("area", crop, (last, self.aoi), {"buffer": self.aoi_buffer}))
            last = Result("area")
        if self.classes == PRODUCTS:
            seen = Result("seen")
            if self.aoi is not None:
                found.append(Step("seen_area", crop, (seen, self.aoi), {"buffer": self.aoi_buffer}))
                seen = Result("seen_area")
            share = cloudy | {"max_share": self.max_cloud_bbox / 100.0}
            found.append(Step("clear_area", drop_cloudy, (last, seen), share))
            last = Result("clear_area")
        return [*found, Step("stack", one_a_year, (last,), {})]

    @property
    def box(self) -> tuple[float, ...] | None:
        """Box around the area of interest with its buffer, in its own units."""
        if self.aoi is None:
            return None
        if isinstance(self.aoi, str):
            return buffered(corners_of(self.aoi), self.aoi_buffer, are_degrees=True)
        edges = tuple(map(float, self.aoi))
        are_degrees = max(-edges[0], edges[2]) <= 180 and max(-edges[1], edges[3]) <= 90
        return buffered(edges, self.aoi_buffer, are_degrees=are_degrees)

    def _files(self) -> list[Step]:
        """Steps that write the files of the workflow."""
        shifts, series, again = Result("corrected"), Result("series"), {"overwrite": True}
        found = [
            Step("offset_files", autorift.write_offsets, (Result("matches"), OUT), again),
            Step("corrected_files", autorift.write_offsets, (shifts, CORRECTED), again),
        ]
        if has_hdf5():
            found += [
                Step("misclosed", misclosure, (shifts, series), {}),
                Step("series_files", mintpy.write, (series, OUT), again),
                Step("quality_files", mintpy.write_quality, (Result("misclosed"), OUT), again),
                Step("velocity_files", mintpy.write_velocity, (Result("velocity"), OUT), again),
            ]
        return found


def is_catalogue(scenes: Any) -> bool:
    """Whether scenes are items of a catalogue, or the address or file of one, and no images."""
    if isinstance(scenes, Mapping) or hasattr(scenes, "get_items") or hasattr(scenes, "to_dict"):
        return not hasattr(scenes, "dims")
    if isinstance(scenes, (list, tuple)):
        return bool(scenes) and all(map(is_catalogue, scenes))
    text = str(scenes).lower() if isinstance(scenes, str) or hasattr(scenes, "__fspath__") else ""
    is_address = text.startswith(("http://", "https://")) and not re.search(r"\.[a-z0-9]{2,5}$", text.split("?")[0])
    return text.endswith((".json", ".geojson")) or is_address


def corners_of(polygons: str) -> tuple[float, ...]:
    """West, south, east, north of polygons of a file [degree]."""
    import numpy as np
    import pyproj

    from xoffset.readers import polygons as shapes

    found = shapes.read(polygons, pyproj.CRS.from_epsg(4326), "annual-rate", "aoi")
    corners = np.concatenate([polygon[0] for polygon in found])
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def buffered(box: tuple[float, ...], metres: float, *, are_degrees: bool) -> tuple[float, ...]:
    """Box with so many metres around it, in degrees no farther than the poles and the antimeridian."""
    left, bottom, right, top = box
    high = metres / DEGREE if are_degrees else metres
    wide = high / max(math.cos(math.radians(max(abs(bottom), abs(top)))), 0.01) if are_degrees else metres
    grown = left - wide, bottom - high, right + wide, top + high
    if not are_degrees:
        return grown
    # what is beyond would be taken for metres
    return max(grown[0], -180.0), max(grown[1], -90.0), min(grown[2], 180.0), min(grown[3], 90.0)


def has_hdf5() -> bool:
    """Whether HDF5 can be written here."""
    return importlib.util.find_spec("h5py") is not None
