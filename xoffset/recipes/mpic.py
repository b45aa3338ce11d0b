"""The recipe `mpic-opt`: what the service MPIC-OPT does, with its parameters and its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from xoffset._arrays.matching.regularized import Regularized
from xoffset.correction.correct import correct
from xoffset.formats import mpic
from xoffset.masking.usable import usable
from xoffset.matching.correlate import correlate
from xoffset.motion.coherence import vector_coherence
from xoffset.motion.means import mean_displacement, mean_velocity
from xoffset.network.pairs import pairs
from xoffset.plotting import style
from xoffset.recipes.base import Folder, Result, Step, option
from xoffset.recipes.services import Service
from xoffset.screening.screen import screen

# Folders of the files.
FILES, PREVIEWS = Folder("products"), Folder("previews")
# Metres by which masks are closed and opened.
CLOSING, OPENING = 100.0, 200.0
# Half side of a window above which the service advises against it, px.
LARGEST_ADVISED = 7


@dataclass(frozen=True)
class MpicOpt(Service):
    """MPIC-OPT: dense matching of pairs of an image time series, ramps and stripes taken off, means and coherence.

    Parameters
    ----------
    band
        *Sentinel-2 band*: "specify the Sentinel-2 band used for matching. The option B04 is recommended since the red
        band is also used for band to band co-registration by ESA". Left out it is B04 of Sentinel-2 products, and the
        only band of other images.
    tile
        *Sentinel-2 tile*: "mainly for backwards compatibility with older SAFE datasets (before 27 September 2016) where
        multiple tiles were distributed in one SAFE folder", such as 31TGK. ``"local"``: the only tile.
    classes
        What clouds, shadows, snow and water are told by, which are not matched: the classes of the ``"products"``,
        rasters of classes, or ``"none"``. ``"auto"`` takes those of products that have them.
    detectors
        What stripes are told by: footprints of the detectors of the ``"products"``, or ``"none"``. ``"auto"`` takes
        those of products that have them.
    split_date
        *Split date*: "an optional parameter of the form yyyy-MM-dd which will split the time series into two subsets
        and pairs will only be formed among members of different subsets"; then the temporal matching range is ignored.
        Midnight UTC: an image of that day is of the second subset. ``"NONE"`` or None: no split.
    temporal_matching_range
        *Temporal matching range*: "each image is matched with at most the previous 2 images" [acquisitions].
    activate_backward_matching
        *Activate backward matching*: "if set to True backward matching will be performed for each pair".
    window_size
        *Window size*: "it controls the neighborhood around the central pixel so that the default value of 3 results in
        a 7x7 window size. The minimum value is 1 (3x3 pixel) and the recommended maximum is 7" [px].
    decorrelation_threshold
        *Decorrelation threshold*: matches with a lower correlation coefficient [0, 1] are discarded; 0.33 for
        earthquakes.
    spatial_matching_range
        *Spatial matching range*: "defines the search range in pixel for finding matches. The actual search range is
        computed from this parameter as round(Spatial matching range/0.8)+2. This parameter should be adjusted according
        to the maximum expected displacement taking into account also the possible coregistration bias" [px]. Required.
    regularization_parameter
        *Regularization parameter*: "controls the smoothness of the expected motion field. For small scale features with
        strong gradients in the motion fields (e.g. landslides) we recommend values between 0.05 and 0.3".
    """

    name: ClassVar[str] = "mpic-opt"

    split_date: str | None = option(
        None, "split date, yyyy-MM-dd: pairs are formed across it, and the temporal matching range is ignored",
        example="2016-11-13",
    )  # fmt: skip
    temporal_matching_range: int = option(
        2, "temporal matching range: each image is matched with the previous ones", unit="acquisitions", least=1
    )
    activate_backward_matching: bool = option(False, "activate backward matching, of each pair the other way round")
    window_size: int = option(
        3, "window size, half its side: 3 is 7 x 7; more than 7 is not advised", unit="px", least=1, most=31
    )
    decorrelation_threshold: float = option(
        0.2, "decorrelation threshold: least correlation; 0.33 for earthquakes", least=0, most=1
    )
    spatial_matching_range: float = option(
        None, "spatial matching range, the largest displacement that is expected", unit="px", least=0, most=1000,
        is_required=True, example=3,
    )  # fmt: skip
    regularization_parameter: float = option(
        0.3, "regularization parameter: how smooth the motion is; 0.05 to 0.3 for landslides", least=0, most=100
    )

    def __post_init__(self) -> None:
        if self.split_date == "NONE":
            object.__setattr__(self, "split_date", None)
        super().__post_init__()
        if self.split_date is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.split_date):
            raise ValueError(
                f"the recipe {self.name} needs a day yyyy-MM-dd as split_date; got {self.split_date!r}. Pass one such "
                "as '2016-11-13', or leave it out."
            )

    @property
    def search(self) -> int:
        """Half-range of the search [px] of the spatial matching range: halves are rounded up."""
        return int(1.25 * self.spatial_matching_range + 0.5) + 2

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        if self.window_size <= LARGEST_ADVISED:
            return []
        return [f"the recipe {self.name} advises a window_size of {LARGEST_ADVISED} at most; got {self.window_size}."]

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the service that are not written, and why."""
        found = {}
        if not self.has_classes:
            found["products/cloud_masks_assembled_*.tif"] = "the classes of the pixels are not known, classes = 'none'"
        if not style.has_extra():
            found["previews/*.png"] = "matplotlib is not installed, pip install 'xoffset[plot]'"
        return found

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        images = Result("stack"), Result("network")
        masks, mask = [], {}
        if self.has_classes:
            masks = [self._classes(), Step("mask", usable, (Result("seen"),), {"closing": CLOSING, "opening": OPENING})]
            mask = {"mask": Result("mask")}
        matcher = Regularized(window=2 * self.window_size + 1, smoothness=self.regularization_parameter)
        matching = {"search": self.search, "step": 1, "matcher": matcher} | mask
        detectors = self._detectors()
        ramps = {"order": "plane"} | ({"stripes": Result("detector")} if detectors else {})
        return [
            self._images(),
            Step("network", pairs, (Result("stack"),), self._pairs()),
            *masks,
            Step("matches", correlate, images, matching, is_stored=True, title="Matching"),
            Step("shifts", screen, (Result("matches"),), {"min_score": self.decorrelation_threshold}, True,
                 title="Screening"),
            *detectors,
            Step("corrected", correct, (Result("shifts"),), ramps, True, True, "Correcting"),
            *self._motion(),
            *self._files(),
        ]  # fmt: skip

    def _pairs(self) -> dict[str, Any]:
        direction = {"direction": "both"} if self.activate_backward_matching else {}
        if self.split_date is None:
            return {"max_gap": self.temporal_matching_range} | direction
        return {"split": f"{self.split_date}T00:00"} | direction

    def _motion(self) -> list[Step]:
        """Steps from the corrected shifts to what all pairs tell together."""
        of = (Result("corrected"),)
        return [
            Step("coherence", vector_coherence, of, {}, True, title="Vector coherence"),
            Step("displacement", mean_displacement, of, {}, True, title="Mean displacement"),
            Step("velocity", mean_velocity, of, {"estimator": "mpic"}, True, title="Mean velocity"),
        ]

    def _files(self) -> list[Step]:
        """Steps that write the files of the service."""
        network, again = Result("network"), {"overwrite": True}
        together = {name: Result(name) for name in ("coherence", "displacement", "velocity")}
        found = [
            Step("pair_files", mpic.write, (Result("corrected"), FILES), again),
            Step("indicator_files", mpic.write_indicators, (network, FILES), together | again),
        ]
        if self.has_classes:
            found.append(Step("mask_files", mpic.write_masks, (Result("mask"), network, FILES), again))
        if style.has_extra():
            shifts = {"shifts": Result("corrected")}
            found.append(Step("previews", mpic.write_previews, (network, PREVIEWS), shifts | together | again))
        return found
