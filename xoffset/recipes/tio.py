"""The recipe `tio`: displacement through time as TIO computes it, with its parameters and its files."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from xoffset._arrays.matching.regularized import Regularized
from xoffset.correction.remove_median import remove_median
from xoffset.formats import tio
from xoffset.inversion.invert import invert
from xoffset.inversion.tio_smoothness import tio_smoothness
from xoffset.masking.drop_cloudy import drop_cloudy
from xoffset.matching.correlate import correlate
from xoffset.network.pairs import pairs
from xoffset.plotting import style
from xoffset.readers.crop import crop
from xoffset.readers.open_stack import open_stack
from xoffset.readers.products import is_product
from xoffset.readers.rasters import find
from xoffset.recipes import services
from xoffset.recipes.base import SCENES, Folder, Recipe, Result, Step, option
from xoffset.recipes.services import AUTO, BLOCK, LOCAL, NONE, PRODUCTS, OfDays
from xoffset.screening.discard_pixels import discard_pixels
from xoffset.screening.drop_misclosed import drop_misclosed
from xoffset.uncertainty.misclosure import misclosure

# Folder of the files: that of the run.
OUT = Folder(".")
# Band that TIO matches, and the one that clouds are told by.
BAND, CLOUD_BAND = "B03", "B09"
# Residual beyond which a pair is clearly wrong [m].
WRONG = 5.0


@dataclass(frozen=True)
class Tio(OfDays):
    """TIO: dense matching of redundant pairs, and their inversion to displacement through time.

    Parameters
    ----------
    band
        Sentinel-2 band that is matched. Left out it is B03 of products, as in TIO, and the only band of other images.
    tile
        Sentinel-2 tile such as 31TGK, of products that have several. ``"local"``: the only one.
    region_of_interest
        *Region of interest*: west, south, east, north [degree], such as 5.668, 44.936, 5.71, 44.964, or xmin, ymin,
        xmax, ymax [m]. Images are cropped by whole pixels: nothing is resampled before it is matched.
    cloud_thres
        *Cloud level threshold*: dates are left out whose mean of band B09 over the region of interest is larger [1,
        10000 is a reflectance of 1].
    cloud_band
        Where B09 is told: by the ``"products"``, or ``"none"``, and no date is left out. ``"auto"`` takes that of
        products that have it.
    max_pairs_per_date
        *Max number of pairs per date*: each image is matched with so many next ones [acquisitions].
    spatial_matching_range, window_size, regularization_parameter
        Beside those of TIO, which has them in a file of MicMac: largest displacement that is expected [px], half the
        side of the window [px], and smoothness of the motion, as in `MpicOpt`.
    rm_median
        *Remove median value*: whether the median of the whole map of a pair comes off.
    smoothing_coefficient
        *Smoothing coefficient* [1]; "if <0.0001, no smoothing". See `tio_smoothness`.
    rms_misclosure_threshold
        *RMS misclosure threshold* [m]: pixels whose pairs misclose by more have no displacement. 0: all have.
    weighting_res_scaling_val
        *Scaling value for weighting residuals* [m], "must be approximately equal to standard deviation on measurement
        noise": after a first inversion a pair of the residual r weighs 1 / (r² + value²).
    mask_large_residuals
        *Mask pixels with large residuals*: whether pairs with a residual of more than 5 m count next to nothing. On the
        form of TIO, 0 stands for yes and 1, its default, for no.
    minimum_pairs_per_image, maximum_fraction_of_discarded_pairs
        Fewest pairs of a date of a pixel, and largest share of its pairs that a pixel may lack, which TIO has in its
        script.
    """

    name: ClassVar[str] = "tio"

    band: int | str | None = option(
        None, "Sentinel-2 band; left out B03, as in TIO, and of other images than products the only one", example=BAND
    )
    tile: str = option(LOCAL, "Sentinel-2 tile such as 31TGK, of products that have several; 'local' is the only one")
    region_of_interest: tuple[float, float, float, float] | None = option(
        None, "region of interest: west, south, east, north in degrees, or xmin, ymin, xmax, ymax in metres",
        example=(5.668, 44.936, 5.71, 44.964),
    )  # fmt: skip
    cloud_thres: float = option(
        1200.0, "cloud level threshold: dates whose mean of band B09 is larger are left out", least=0
    )
    cloud_band: str = option(
        AUTO, "band B09, which clouds are told by: of the 'products', or 'none'; 'auto' takes that of products that "
        "have it", choices=(AUTO, PRODUCTS, NONE),
    )  # fmt: skip
    max_pairs_per_date: int = option(
        4, "max number of pairs per date: each image is matched with so many next ones", unit="acquisitions", least=1
    )
    spatial_matching_range: float = option(
        2.0, "beside those of TIO: the largest displacement that is expected", unit="px", least=0, most=1000
    )
    window_size: int = option(
        4, "beside those of TIO: half the side of the window, 4 is 9 x 9", unit="px", least=1, most=31
    )
    regularization_parameter: float = option(0.3, "beside those of TIO: how smooth the motion is", least=0, most=100)
    rm_median: bool = option(True, "whether the median of the whole map of each pair is removed")
    smoothing_coefficient: float = option(
        0.003, "smoothing coefficient: weight of the second derivative in time; below 0.0001 there is none", least=0
    )
    rms_misclosure_threshold: float = option(
        1.2, "RMS misclosure threshold: pixels that misclose by more have no displacement; 0: all have", unit="m",
        least=0,
    )  # fmt: skip
    weighting_res_scaling_val: float = option(
        2.0, "scaling value for weighting residuals: about the noise of a pair", unit="m", least=1e-6
    )
    mask_large_residuals: bool = option(False, "whether pairs with residuals of more than 5 m count next to nothing")
    minimum_pairs_per_image: int = option(1, "fewest pairs of a date of a pixel", least=1)
    maximum_fraction_of_discarded_pairs: float = option(
        0.7, "largest share of the pairs that a pixel may lack", least=0, most=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.tile):
            raise ValueError(
                f"the recipe {self.name} needs letters and digits as tile; got {self.tile!r}. Pass one such as '31TGK'."
            )
        if self.region_of_interest is not None:
            services.check_box(self.region_of_interest, "region_of_interest", self.name)
        if self.cloud_band == NONE:
            services.check_unused(self, ("cloud_thres",), f"products of Sentinel-2 with band {CLOUD_BAND}")

    def ways(self, scenes: Any) -> list[Self]:
        """Recipes that say which bands of these scenes there are, the fullest first."""
        places = [] if services.are_arrays(scenes) else find(scenes)
        are_products = bool(places) and all(map(is_product, places))
        if self.cloud_band == PRODUCTS and not are_products:
            raise ValueError(
                f"the recipe {self.name} needs products of Sentinel-2 as scenes for cloud_band='products'; got other "
                "images. Leave cloud_band out, or give the products."
            )
        seen = self.cloud_band
        if seen == AUTO:
            seen = PRODUCTS if are_products and self._tells_clouds(scenes) else NONE
        return [replace(self, band=BAND if self.band is None and are_products else self.band, cloud_band=seen)]

    def _tells_clouds(self, scenes: Any) -> bool:
        """Whether products have the band that clouds are told by; nothing but metadata is read."""
        try:
            open_stack(scenes, band=CLOUD_BAND, tile=None if self.tile == LOCAL else self.tile, chunks=BLOCK)
        except (FileNotFoundError, ValueError):
            return False
        return True

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python; of scenes that are not there they are those of Sentinel-2."""
        if services.are_there(scenes):
            return Recipe.script(self.ways(scenes)[0], scenes, out)
        told: dict[str, Any] = {"band": BAND} if self.band is None else {}
        told |= {"cloud_band": PRODUCTS} if self.cloud_band == AUTO else {}
        return Recipe.script(replace(self, **told), scenes, out)

    @property
    def is_of_days(self) -> bool:
        """Whether files or columns are named after the days of single images: bands of the files are."""
        return True

    @property
    def search(self) -> int:
        """Half-range of the search [px]."""
        return int(1.25 * self.spatial_matching_range + 0.5) + 2

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the service that are not written, and why."""
        found = {}
        if self.cloud_band == NONE:
            found["no file: dates under clouds are not left out"] = (
                f"there is no band {CLOUD_BAND}, cloud_band = 'none'"
            )
        if not style.has_extra():
            found["quicklook_depl_cumule_*.png"] = "matplotlib is not installed, pip install 'xoffset[plot]'"
        return found

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        smooth = self.regularization_parameter
        # the file of MicMac has a floor of the correlation of 0
        floor: dict[str, Any] = {"cost_floor": 0.0} if smooth else {}
        matcher = Regularized(window=2 * self.window_size + 1, smoothness=smooth, **floor)
        matching = {"search": self.search, "step": 1, "matcher": matcher}
        images = Result("stack"), Result("network")
        kept = {
            "max_discarded": self.maximum_fraction_of_discarded_pairs, "min_pairs": self.minimum_pairs_per_image
        }  # fmt: skip
        median = [Step("corrected", remove_median, (Result("matches"),), {}, True, True, "Correcting")]
        of = Result("corrected" if self.rm_median else "matches")
        return [
            *self._images(),
            Step("network", pairs, (Result("stack"),), {"max_gap": self.max_pairs_per_date}),
            Step("matches", correlate, images, matching, is_stored=True, title="Matching"),
            *(median if self.rm_median else []),
            Step("used", discard_pixels, (of,), kept),
            *self._series(),
            *self._files(),
        ]

    def _images(self) -> list[Step]:
        """The stack of the scenes, cropped, without the dates under clouds."""
        tile = {} if self.tile == LOCAL else {"tile": self.tile}
        band = {} if self.band is None else {"band": self.band}
        has_clouds = self.cloud_band == PRODUCTS
        name = "images" if has_clouds or self.region_of_interest is not None else "stack"
        found = [Step(name, open_stack, (SCENES,), band | tile | {"chunks": BLOCK})]
        whole, seen = Result(name), Result("vapour")
        if has_clouds:
            found.append(Step("vapour", open_stack, (SCENES,), {"band": CLOUD_BAND} | tile | {"chunks": BLOCK}))
        if self.region_of_interest is not None:
            part = Result("region" if has_clouds else "stack")
            found.append(Step(str(part), crop, (whole, self.region_of_interest), {}))
            whole = part
            if has_clouds:
                found.append(Step("clouds", crop, (seen, self.region_of_interest), {}))
                seen = Result("clouds")
        if has_clouds:
            found.append(Step("stack", drop_cloudy, (whole, seen), {"max_mean": self.cloud_thres}))
        return found

    def _series(self) -> list[Step]:
        """Steps from the shifts to displacement through time."""
        strength = Step("strength", tio_smoothness, (Result("network"),), {"coefficient": self.smoothing_coefficient})
        options: dict[str, Any] = {
            "weights": "tio", "loss": "tio", "residual_scale": self.weighting_res_scaling_val, "reference": "first",
            "smooth": Result("strength"),
        }  # fmt: skip
        options |= {"residual_limit": WRONG} if self.mask_large_residuals else {}
        name = "inverted" if self.rms_misclosure_threshold else "series"
        found = [strength, Step(name, invert, (Result("used"),), options, True, True, "Inverting")]
        if self.rms_misclosure_threshold:
            limit = {"max_rms": self.rms_misclosure_threshold}
            found.append(Step("series", drop_misclosed, (Result(name),), limit, True, title="Masking"))
        return [*found, Step("misclosed", misclosure, (Result("used"), Result(name)), {})]

    def _files(self) -> list[Step]:
        """Steps that write the files of the service."""
        series, again = Result("series"), {"overwrite": True}
        found = [
            Step("series_files", tio.write, (series, OUT), again),
            Step("misclosure_files", tio.write_misclosure, (Result("misclosed"), OUT), again),
        ]
        if style.has_extra():
            found.append(Step("quicklooks", tio.write_quicklooks, (series, OUT), again))
        return found
