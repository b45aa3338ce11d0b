"""What the recipes of the GDM-OPT services share: their common parameters, and the steps made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from xoffset._arrays.matching.flow import Flow
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.regularized import Regularized
from xoffset.correction.correct import correct
from xoffset.correction.denoise import denoise
from xoffset.correction.destripe import destripe
from xoffset.correction.jitter import Jitter
from xoffset.formats import gdm
from xoffset.masking.combine import combine
from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.terrain import aspect, cast_shadow, slope_mask
from xoffset.masking.usable import usable
from xoffset.matching.correlate import correlate
from xoffset.matching.whole_pixels import whole_pixels
from xoffset.motion.coherence import quality
from xoffset.network.pairs import pairs
from xoffset.plotting import style
from xoffset.readers.open_dem import open_dem
from xoffset.recipes.base import Folder, Result, Step, option
from xoffset.recipes.services import NONE, PRODUCTS, Service
from xoffset.screening.drop_masked import drop_masked
from xoffset.screening.screen import screen

# Folder that the folders of the services are in: that of the run.
OUT = Folder(".")
# What the services ask for by words.
DIRECTIONS = {"forward": "forward", "forward+backward": "both"}
# How far beyond the images mountains are looked for that cast shadows into them [m].
SHADOW_MARGIN = 5000.0
# How steps of detectors come off that are fitted along with the ramp; others are of the mean or the median of each.
FITTED = "fitted"
# Direction of flight of Sentinel-2 by day, where no product tells it [degree clockwise from grid north].
HEADING = 192.0
# Of `NEEDS`: any value that the owner was given.
GIVEN = "a file"


@dataclass(frozen=True)
class GdmOpt(Service):
    """Parameters that GDM-OPT-ETQ, -SLIDE and -ICE have in common, and inputs of the recipes.

    Parameters
    ----------
    band, tile, classes, detectors
        *Sentinel-2 band* and inputs, as of `MpicOpt`. ``tile`` is the name of the area in the names of the files.
    dem
        *DEM*: "defines the Digital Elevation Model used for filtering the displacement fields": any raster.
    split_date
        *Split date*: "of the form yyyy-MM-dd which will split the time series into two subsets. Pairs will only be
        formed among members of different subsets". Midnight UTC: an image of that day is of the second subset.
    minimum_matching_range, maximum_matching_range
        *Minimum, maximum matching range*: "expressed in acquisitions so if a minimum range is set to 1, all the images
        (N) will be paired with at least the next image in time (N+1)".
    matching_direction
        *Matching direction*: "if Forward is selected, the pairs are only created in the time direction. If
        Forward+Backward is selected, the pairs will be created in both directions".
    matcher
        MicMac, "based on the correlation of two images in the spatial domain", or GeFolki, an "optical flow algorithm".
    window_size
        *Window size*: "controls the neighborhood around the central pixel. The minimum value is 1 (3x3 pixels) and the
        maximum value is 7 (15x15 pixels)" [px].
    decorrelation_threshold
        *Decorrelation threshold*: "discards the matches with a correlation coefficient below a value" [0, 1].
    spatial_matching_range
        *Spatial matching range*: "the search range in pixel for finding matches based on the template. The actual
        search range is computed from this parameter as round(Spatial matching range/0.8)+2" [px]. Required.
    regularization_parameter
        *Regularization parameter*: "controls the smoothness of the expected motion field. For large scale features such
        as co-seismic displacement, large value lead to smoother and less noisy results".
    snow_mask, cloud_mask
        *Snow mask*, *Cloud mask*: "if set to True, the areas of the images covered by snow", or by clouds and their
        shadows, "are masked". Water always is.
    slope_mask_range_minimum, slope_mask_range_maximum
        *Slope mask range*: "pixels located on slopes with angle between Slope mask range minimum and 90 degrees are
        filtered" [degree].
    apply_correction_and_filtering
        *Apply correction and filtering*: "if set to True, the geometric corrections and the filtering are applied. They
        are highly recommended for any use case".
    stable
        Polygons of ground that stands still, by which corrections are told; None: all ground, as in the services.
    """

    # fields that count only where another one has a value: (owner, value, fields)
    NEEDS: ClassVar[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
        ("matcher", "micmac", ("window_size", "regularization_parameter")),
        ("dem", GIVEN, ("slope_mask_range_minimum", "slope_mask_range_maximum")),
    )

    dem: str | None = option(None, "elevations by which displacement fields are filtered: any raster", is_path=True)
    split_date: str | None = option(
        None, "yyyy-MM-dd, which splits the series into two subsets; pairs are only formed between them"
    )
    minimum_matching_range: int = option(1, "images are paired with at least the next so many", least=1)
    maximum_matching_range: int = option(5, "images are paired with at most the next so many", least=1)
    matching_direction: str = option("forward", "time direction of the pairs", choices=tuple(DIRECTIONS))
    matcher: str = option(
        "micmac", "correlation as of MicMac, or optical flow as of GeFolki", choices=("micmac", "gefolki")
    )
    window_size: int = option(
        3, "size of the template around the central pixel: 1 is 3x3, 7 is 15x15 pixels", least=1, most=7
    )
    decorrelation_threshold: float = option(
        0.2, "discards the matches with a correlation coefficient below", least=0, most=1
    )
    spatial_matching_range: float = option(
        None, "search range; the actual one is round(range / 0.8) + 2", unit="px", least=0, most=100, is_required=True,
        example=3,
    )  # fmt: skip
    regularization_parameter: float = option(0.3, "smoothness of the expected motion field", least=0)
    snow_mask: bool = option(True, "whether areas covered by snow are masked")
    cloud_mask: bool = option(True, "whether areas covered by clouds, and their shadows, are masked")
    slope_mask_range_minimum: float = option(
        80.0, "slopes from here on are filtered out", unit="degree", least=0, most=90
    )
    slope_mask_range_maximum: float = option(
        90.0, "slopes up to here are filtered out", unit="degree", least=0, most=90
    )
    apply_correction_and_filtering: bool = option(True, "whether geometric corrections and filtering are applied")
    # beside those of the services
    stable: str | None = option(
        None, "polygons of ground that stands still, by which corrections are told", is_path=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split_date is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.split_date):
            raise ValueError(
                f"the recipe {self.name} needs a day yyyy-MM-dd as split_date; got {self.split_date!r}. Pass one such "
                "as '2019-07-05', or leave it out."
            )
        self._check_order("minimum_matching_range", "maximum_matching_range")
        self._check_order("slope_mask_range_minimum", "slope_mask_range_maximum")
        for owner, wanted, names in self.NEEDS:
            given = getattr(self, owner)
            if given == wanted or (wanted is GIVEN and given is not None):
                continue
            for field in fields(self):
                if field.name in names and getattr(self, field.name) != field.default:
                    raise ValueError(
                        f"the recipe {self.name} needs {owner}={wanted!r} for {field.name}; got "
                        f"{owner}={given!r} and {field.name}={getattr(self, field.name)!r}, which would "
                        f"have no effect. Leave {field.name} out, or pass {owner}={wanted!r}."
                    )
        for name in ("stable", "fault_trace"):
            path = getattr(self, name, None)
            if path is not None and not any(self.corrections):
                raise ValueError(
                    f"the recipe {self.name} needs a correction for {name}; got {name}={path!r} and no correction. "
                    "Leave it out, or let a correction be made."
                )

    def _check_order(self, low: str, high: str) -> None:
        if getattr(self, low) > getattr(self, high):
            raise ValueError(
                f"the recipe {self.name} needs {low} of at most {high}; got {getattr(self, low)!r} and "
                f"{getattr(self, high)!r}. Swap them."
            )

    # ------------------------------------------------------------------------------------------- what a service changes

    @property
    def is_of_days(self) -> bool:
        """Whether files or columns are named after the days of single images: those of classes are."""
        return self.has_classes

    @property
    def network_options(self) -> dict[str, Any]:
        """Options of `pairs`."""
        options: dict[str, Any] = {"direction": DIRECTIONS[self.matching_direction]}
        if self.split_date is not None:
            return options | {"split": f"{self.split_date}T00:00"}
        return options | {"min_gap": self.minimum_matching_range, "max_gap": self.maximum_matching_range}

    @property
    def direction(self) -> float | None:
        """Direction along which the motion varies little, in degrees clockwise from grid north."""
        return None

    @property
    def flow(self) -> Matcher:
        """Optical flow with the parameters of the service."""
        return Flow()

    @property
    def has_sub_pixels(self) -> bool:
        """Whether matches are told to a part of a pixel."""
        return True

    @property
    def has_shadow(self) -> bool:
        """Whether the shadow of the terrain is masked."""
        return False

    @property
    def outlines(self) -> dict[str, Any]:
        """Options of `combine` by outlines inside which there are matches."""
        return {}

    @property
    def corrections(self) -> tuple[bool, str | None, bool]:
        """Whether a ramp comes off; how steps of detectors do, if they do; whether jitter does."""
        raise NotImplementedError

    @property
    def correct_options(self) -> dict[str, Any]:
        """Further options of `correct`."""
        return {}

    @property
    def amplitude(self) -> float:
        """Largest displacement that filtering leaves [px]."""
        return 10.0

    @property
    def angle(self) -> float | None:
        """Largest angle [degree] between motion and slope that filtering leaves; None: it does not look at it."""
        return None

    # ------------------------------------------------------------------------------------------------------------ steps

    @property
    def search(self) -> int:
        """Half-range of the search [px]."""
        return int(1.25 * self.spatial_matching_range + 0.5) + 2

    @property
    def used_matcher(self) -> Matcher:
        """Matcher with its options."""
        if self.matcher == "gefolki":
            return self.flow
        return Regularized(
            window=2 * self.window_size + 1, smoothness=self.regularization_parameter, direction=self.direction
        )

    def matching(self) -> tuple[list[Step], Result]:
        """Steps up to the matches that are kept, and the result that they lead to."""
        stack = Result("stack")
        found = [
            self._images(),
            Step("network", pairs, (stack,), self.network_options),
        ]
        layers, mask = self._masks()
        options: dict[str, Any] = {"search": self.search, "step": 1, "matcher": self.used_matcher}
        options |= {} if mask is None else {"mask": mask}
        of = Result("matches")
        found += [*layers, Step("matches", correlate, (stack, Result("network")), options, True, title="Matching")]
        if mask is not None:
            found.append(Step("inside", drop_masked, (of, mask), {}))
            of = Result("inside")
        if not self.has_sub_pixels:
            found.append(Step("whole", whole_pixels, (of,), {}))
            of = Result("whole")
        found.append(Step("kept", screen, (of,), {"min_score": self.decorrelation_threshold}))
        return found, Result("kept")

    def _images(self) -> Step:
        """The stack of the scenes; the tile is a name of files where the scenes are no products, which have tiles."""
        step = super()._images()
        are_products = PRODUCTS in (self.classes, self.detectors) or re.fullmatch(r"B\d[\dA]", str(self.band))
        kept = {name: value for name, value in step.options.items() if name != "tile" or are_products}
        return step._replace(options=kept)

    def _masks(self) -> tuple[list[Step], Result | None]:
        """Steps of the masks, and the mask that they make, if any."""
        stack = Result("stack")
        found: list[Step] = []
        parts: dict[str, Any] = dict(self.outlines)
        if self.has_classes:
            kinds = {"cloud": self.cloud_mask, "shadow": self.cloud_mask, "snow": self.snow_mask, "water": True}
            found += [self._classes(), Step("clear", usable, (Result("seen"),), kinds)]
            parts["usable"] = Result("clear")
        if self.dem is not None:
            margin = {"margin": SHADOW_MARGIN} if self.has_shadow else {}
            removed = (self.slope_mask_range_minimum, self.slope_mask_range_maximum)
            found += [
                Step("elevations", open_dem, (self.dem,), {"like": stack} | margin),
                Step("gentle", slope_mask, (Result("elevations"),), {"removed": removed}),
                Step("slopes", combine, (stack,), {"slopes": Result("gentle")}),
            ]
            parts["slopes"] = Result("slopes")
        if self.has_shadow:
            found.append(Step("shadow", cast_shadow, (Result("elevations"),), {"sun": stack}))
            parts["shadow"] = Result("shadow")
        if not parts:
            return found, None
        found.append(Step("mask", combine, (stack,), parts))
        return found, Result("mask")

    def correcting(self, of: Result) -> tuple[list[Step], Result]:
        """Steps of the geometric corrections, and the result that they lead to."""
        has_ramp, stripes, has_jitter = self.corrections
        found = self._detectors() if stripes else []
        stripes = stripes if found else None
        stable = {}
        if self.stable is not None:
            found.append(Step("ground", stable_ground, (Result("stack"),), {"polygons": self.stable}))
            stable = {"stable": Result("ground")}
        elif has_jitter:
            # all ground, as in the services
            found.append(Step("ground", combine, (Result("stack"),), {}))
            stable = {"stable": Result("ground")}
        is_apart = stripes in ("mean", "median")
        if has_ramp or has_jitter or stripes == FITTED:
            options: dict[str, Any] = {"order": "plane" if has_ramp else 0} | stable | self.correct_options
            options |= {"stripes": Result("detector")} if stripes == FITTED else {}
            options |= {"jitter": Jitter(heading=None if stripes == FITTED else HEADING)} if has_jitter else {}
            name = "deramped" if is_apart else "corrected"
            found.append(Step(name, correct, (of,), options, True, True, "Correcting"))
            of = Result(name)
        if is_apart:
            by = stable | {"value": stripes}
            found.append(Step("corrected", destripe, (of, Result("detector")), by, True, True, "Destriping"))
            of = Result("corrected")
        return found, of

    def filtering(self, of: Result) -> tuple[list[Step], Result]:
        """Steps that filter displacements, and the result that they lead to."""
        limits: dict[str, Any] = {"max_displacement": f"{np.format_float_positional(self.amplitude, trim='-')} px"}
        found = []
        if self.angle is not None:
            found.append(Step("downhill", aspect, (Result("elevations"),), {}))
            limits |= {"direction": Result("downhill"), "max_angle": self.angle}
        limits |= {"false_alarm": None, "ambiguity": None, "neighbourhood": False}
        found += [
            Step("within", screen, (of,), limits),
            Step("shifts", denoise, (Result("within"),), {"method": "median"}, True, title="Filtering"),
        ]
        return found, Result("shifts")

    def writing(self, corrected: Result, filtered: Result) -> list[Step]:
        """Steps that write displacements and masks."""
        name: dict[str, Any] = {"tile": self.tile, "overwrite": True}
        found = [Step("displacements", gdm.write, (corrected, OUT), name)]
        if filtered != corrected:
            of_filtered = name | {"stage": "filtered", "scores": False}
            found.append(Step("filtered", gdm.write, (filtered, OUT), of_filtered))
        threshold = {"threshold": self.decorrelation_threshold}
        found.append(Step("decorrelation", gdm.write_decorrelation, (Result("matches"), OUT), threshold | name))
        if self.has_classes:
            found.append(Step("spectral", gdm.write_classes, (Result("seen"), OUT), name))
        if self.dem is not None:
            found.append(Step("slope_file", gdm.write_slopes, (Result("slopes"), OUT), name))
        return found

    def maps(self, name: str, of_inversion: bool = False) -> list[Step]:
        """Steps that write the maps of a result, and draw them if that can be done."""
        subjects = (Result(name), Result("network"), OUT)
        options: dict[str, Any] = {"tile": self.tile, "overwrite": True} | (
            {"of_inversion": True} if of_inversion else {}
        )
        found = [Step(f"{name}_maps", gdm.write_analysis, subjects, options)]
        if style.has_extra():
            found.append(Step(f"{name}_previews", gdm.write_previews, subjects, options))
        return found

    def of_quality(self) -> list[Step]:
        """Steps of the quality."""
        threshold = {"threshold": self.decorrelation_threshold}
        return [Step("quality", quality, (Result("matches"),), threshold), *self.maps("quality")]

    # -------------------------------------------------------------------------------------------------- what is missing

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        if self.corrections[1] is None or self.detectors != NONE:
            return []
        return [
            f"{self.name}: stripes of detectors stay, since the scenes do not tell which detector saw what; products "
            "of Sentinel-2 do."
        ]

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the service that are not written, and why."""
        found = {}
        if not self.has_classes:
            found[f"Masks/{self.tile}_DATE_spectral_mask.tif"] = (
                "the classes of the pixels are not known, classes = 'none'"
            )
        if self.dem is None:
            found[f"Masks/{self.tile}_slope_mask_mask.tif"] = "there is no elevation model (dem)"
        if not self.apply_correction_and_filtering:
            name = f"Displacements/MM_EW_displ_{self.tile}_DATE1_vs_DATE2_FILTER_Displmax.tif"
            found[name] = "apply_correction_and_filtering is False"
        if not style.has_extra():
            found["Preview/"] = "pictures need the extra: pip install 'xoffset[plot]'"
        return found
