"""The recipes `gdm-opt-slide` and `gdm-opt-ice`: velocity and displacement through time of landslides and glaciers."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, ClassVar

from xoffset._arrays.matching.flow import Flow
from xoffset._arrays.matching.protocol import Matcher
from xoffset.formats import gdm
from xoffset.inversion.invert import invert
from xoffset.motion.coherence import vector_coherence
from xoffset.motion.means import mean_velocity
from xoffset.motion.velocity import velocity
from xoffset.plotting import style
from xoffset.recipes.base import Result, Step, option
from xoffset.recipes.gdm import GIVEN, OUT, GdmOpt
from xoffset.recipes.services import NONE
from xoffset.screening.discard_pairs import discard_pairs

# Weights of the inversion by what the services call them.
WEIGHTS: dict[str, str] = {"none": "uniform", "short-baseline": "tio", "long-baseline": "long_baseline"}
# Radii of windows that the services offer [px].
RADII = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class GdmOptSlide(GdmOpt):
    """Velocity and displacement through time with the parameters, files, signs and units of GDM-OPT-SLIDE.

    The service says that it has 31 parameters, and lists 37, with a choice of the matcher beside. They are all here.
    There is no limit of a hundred images.

    Parameters
    ----------
    matching_mode
        *Matching mode*: "defines the unit of the next parameters, it can be acquisition or days".
    sentinel_2_relative_orbit
        *Sentinel-2 relative orbit*: "biases exist between acquisitions of different relative orbits, this option allow
        to ensure only one relative orbit is considered".
    region_of_interest
        *Region Of Interest bounding box*: "the area the Sentinel-2 acquisitions are cropped to" [m].
    sub_pixel_matching
        *Sub-pixel matching*: "if false, the matching is computed only at the image resolution".
    radius, levels, iteration, rank
        Of GeFolki. *Radius*: "the size of the window (2R + 1) x (2R + 1); one or several of 4, 8, 16, 32, 64, 128".
        *Levels*: "the number of levels (L) in the scale pyramid. By default, L=1 so the displacement is assumed to be
        lower than 2 pixels". *Iteration*: "the number of iterations to reach a minimum". *Rank*: "the spatial window of
        the rank filter. Default value is r=4 (9x9 pixel)".
    topographic_shadow
        *Topographic shadow*: "the sun illumination is simulated using the position of the sun and the selected DEM".
    deramping
        *Correction: deramping*: "a planar function to correct the ramp commonly present in the displacement fields".
    along_track_destriping, along_track_destriping_value
        *Correction: along-track destriping*: "a linear shift within each Sentinel-2 sensor stripe", by "the mean or the
        median of the displacement distribution". Where products tell which detector saw what.
    across_track_destriping
        *Correction: across-track destriping*: "the jitter undulation; in the case of small object like glaciers, it is
        not recommended".
    displacement_amplitude_threshold
        *Filtering displacement amplitude threshold*: "displacement with a magnitude larger than this value will be
        filtered out in each correlation pair" [px].
    displacement_direction, maximum_angle_deviation
        *Filtering: Displacement direction*: "with respect to the direction of the slope"; *Maximum angle deviation*:
        "if the this angle is larger than this value, the displacement will be removed" [degree].
    motion_analysis
        *Motion analysis*: "provides different outputs computed from the stack of correlation pairs".
    run_tio
        *Run TIO*: "computes the displacement time series".
    inversion_weight
        *Inversion weight*: "more weight to short baseline pairs (Short-baseline) or long baseline (Long-baseline) or to
        set no weight (None)". The formula of the first is that of TIO.
    discard_pairs, discarding_threshold
        *Discard pairs*: "this allow to remove the pairs with very few correlated pixels". *Discarding threshold*: "the
        ratio between masked and non-masked pixel is computed over the AOI. If this ratio is larger than the discarding
        threshold, the pairs is discarded from the inversion procedure".
    correlation_weighting
        *Correlation weighting*: "the inversion will take into account the correlation grids".
    """

    name: ClassVar[str] = "gdm-opt-slide"
    NEEDS: ClassVar[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
        ("matcher", "micmac", ("window_size", "regularization_parameter", "sub_pixel_matching")),
        ("matcher", "gefolki", ("radius", "levels", "iteration", "rank")),
        ("dem", GIVEN, ("slope_mask_range_minimum", "slope_mask_range_maximum")),
        (
            "apply_correction_and_filtering", True,
            (
                "deramping", "along_track_destriping", "along_track_destriping_value", "across_track_destriping",
                "displacement_amplitude_threshold", "displacement_direction", "maximum_angle_deviation",
            ),
        ),
        ("along_track_destriping", True, ("along_track_destriping_value",)),
        ("displacement_direction", True, ("maximum_angle_deviation",)),
        ("run_tio", True, ("inversion_weight", "discard_pairs", "discarding_threshold", "correlation_weighting")),
        ("discard_pairs", True, ("discarding_threshold",)),
    )  # fmt: skip

    matching_mode: str = option(
        "acquisition", "unit of the minimum and the maximum matching range", choices=("acquisition", "days")
    )
    sentinel_2_relative_orbit: int | None = option(None, "relative orbit to filter the acquisitions", least=1)
    region_of_interest: tuple[float, float, float, float] | None = option(
        None, "bounding box that images are cropped to: xmin, ymin, xmax, ymax", unit="m"
    )
    sub_pixel_matching: bool = option(True, "whether matching is refined to parts of a pixel")
    radius: tuple[int, ...] = option(
        (32, 16, 8), "sizes of the windows of optical flow, 2R+1, one or several of 4, 8, 16, 32, 64, 128", unit="px"
    )
    levels: int = option(1, "number of levels of the scale pyramid; 1 is for less than 2 pixels", least=1, most=6)
    iteration: int = option(2, "number of iterations to reach a minimum", least=1, most=10)
    rank: int = option(4, "window of the rank filter: 4 is 9x9 pixels", unit="px", least=0, most=16)
    topographic_shadow: bool = option(False, "whether areas in the shadow of the terrain are masked, by sun and dem")
    deramping: bool = option(True, "correction: a planar function for the ramp of the displacement fields")
    along_track_destriping: bool = option(True, "correction: a shift of each stripe of the sensor")
    along_track_destriping_value: str = option(
        "mean", "how the shift of a stripe is estimated", choices=("mean", "median")
    )
    across_track_destriping: bool = option(False, "correction: the jitter undulation of short wavelength")
    displacement_amplitude_threshold: float = option(
        10.0, "filtering: displacements with a larger magnitude go", unit="px", least=1e-6
    )
    displacement_direction: bool = option(False, "filtering: by the direction of the slope")
    maximum_angle_deviation: float = option(
        45.0, "largest angle between displacement and slope", unit="degree", least=1e-6, most=180
    )
    motion_analysis: bool = option(True, "whether outputs are computed from the stack of correlation pairs")
    run_tio: bool = option(True, "whether the displacement time series is computed")
    inversion_weight: str = option("none", "weight of the pairs by their temporal baseline", choices=tuple(WEIGHTS))
    discard_pairs: bool = option(False, "whether pairs are discarded by the percentage of masked area")
    discarding_threshold: float = option(
        0.8, "ratio between masked and non-masked pixels above which a pair is discarded", least=0, most=1
    )
    correlation_weighting: bool = option(False, "whether the correlation weights each pixel of each pair")

    def __post_init__(self) -> None:
        super().__post_init__()
        radii = self.radius if isinstance(self.radius, (tuple, list)) else (self.radius,)
        if not radii or any(each not in RADII for each in radii):
            raise ValueError(
                f"the recipe {self.name} needs one or several of {', '.join(map(str, RADII))} as radius [px]; got "
                f"{self.radius!r}. Pass some such as (32, 16, 8)."
            )
        object.__setattr__(self, "radius", tuple(sorted(set(radii), reverse=True)))
        for name in ("topographic_shadow", "displacement_direction"):
            if getattr(self, name) and self.dem is None:
                raise ValueError(
                    f"the recipe {self.name} needs dem for {name}=True; got none. Pass a raster of elevations, or "
                    f"leave {name} out."
                )

    @property
    def network_options(self) -> dict[str, Any]:
        """Options of `pairs`."""
        options = super().network_options
        if self.matching_mode == "days" and "max_gap" in options:
            limits = {"min_baseline": options.pop("min_gap"), "max_baseline": options.pop("max_gap")}
            options |= {name: f"{days}D" for name, days in limits.items()}
        return options

    def _images(self) -> Step:
        """The stack of the scenes, of one orbit and within the region of interest."""
        step = super()._images()
        given = {"orbit": self.sentinel_2_relative_orbit, "bbox": self.region_of_interest}
        return step._replace(
            options=dict(step.options) | {name: each for name, each in given.items() if each is not None}
        )

    @property
    def is_of_days(self) -> bool:
        """Whether files or columns are named after the days of single images: those of the series are, too."""
        return self.run_tio or super().is_of_days

    @property
    def flow(self) -> Matcher:
        """Optical flow with the parameters of the service."""
        return Flow(radius=self.radius, levels=self.levels, iterations=self.iteration, rank=self.rank)

    @property
    def has_sub_pixels(self) -> bool:
        """Whether matches are told to a part of a pixel."""
        return self.sub_pixel_matching

    @property
    def has_shadow(self) -> bool:
        """Whether the shadow of the terrain is masked."""
        return self.topographic_shadow

    @property
    def corrections(self) -> tuple[bool, str | None, bool]:
        """Whether a ramp comes off; how steps of detectors do, if they do; whether jitter does."""
        if not self.apply_correction_and_filtering:
            return False, None, False
        stripes = self.along_track_destriping_value if self.along_track_destriping else None
        return self.deramping, stripes, self.across_track_destriping

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        stripes = self.corrections[1]
        if stripes is None or self.detectors == NONE or self.stable is not None:
            return super().warnings
        return [
            f"{self.name}: the {stripes} of each stripe of a detector comes off all ground, as in the service, and "
            "motion of a large part of a stripe comes off with it. Pass stable, or along_track_destriping=False."
        ]

    @property
    def amplitude(self) -> float:
        """Largest displacement that filtering leaves [px]."""
        return self.displacement_amplitude_threshold

    @property
    def angle(self) -> float | None:
        """Largest angle [degree] between motion and slope that filtering leaves; None: it does not look at it."""
        return self.maximum_angle_deviation if self.displacement_direction else None

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        matching, kept = self.matching()
        correcting, corrected = self.correcting(kept)
        filtering, filtered = self.filtering(corrected) if self.apply_correction_and_filtering else ([], corrected)
        # what is stored goes before what is written of it
        series = self._series(filtered) if self.run_tio else []
        found = [*matching, *correcting, *filtering, *series, *self.writing(corrected, filtered)]
        name = {"tile": self.tile, "overwrite": True}
        if style.has_extra():
            found.append(Step("chord", gdm.write_chord, (Result("network"), OUT), name))
        if self.motion_analysis:
            found += [
                Step("mean", mean_velocity, (filtered,), {"estimator": "mpic"}), *self.maps("mean"),
                *self.of_quality(),
                Step("coherence", vector_coherence, (filtered,), {}), *self.maps("coherence"),
            ]  # fmt: skip
        if self.run_tio:
            found += [Step("rate", velocity, (Result("series"),), {}), *self.maps("rate", of_inversion=True)]
        if self.run_tio and has_hdf5():
            found.append(Step("table", gdm.write_series, (Result("series"), OUT), name))
        return found

    def _series(self, of: Result) -> list[Step]:
        """Steps of displacement through time."""
        found = []
        if self.discard_pairs:
            found.append(Step("enough", discard_pairs, (of,), {"max_ratio": self.discarding_threshold}))
            of = Result("enough")
        weights: Any = WEIGHTS[self.inversion_weight]
        if self.correlation_weighting:
            weights = ("score", weights)
        options = {"weights": weights, "reference": "first", "islands": "bridge"}
        return [*found, Step("series", invert, (of,), options, True, True, "Inverting")]

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the service that are not written, and why."""
        found = super().not_written
        if not self.motion_analysis:
            found["Analysis/MM_Mean_velocity_*.tif, MM_Quality_*.tif, MM_Vector_coherence_*.tif"] = (
                "motion_analysis is False"
            )
        if not style.has_extra():
            found["Analysis/MM_Chord_diagram_*.png"] = "pictures need the extra: pip install 'xoffset[plot]'"
        if not self.run_tio:
            found["Analysis/MM_TIO_*, Inversion.tgz"] = "run_tio is False"
        elif not has_hdf5():
            found["Analysis/Inversion.tgz"] = "HDF5 needs the extra: pip install 'xoffset[netcdf]'"
        return found


@dataclass(frozen=True)
class GdmOptIce(GdmOptSlide):
    """Velocity and displacement through time with the parameters, files, signs and units of GDM-OPT-ICE.

    The service says that it has 37 parameters, and lists 39, with a choice of the matcher beside. They are all here,
    and the outlines of glaciers, which the service takes from GLIMS. There is no limit of a hundred images.

    Parameters
    ----------
    glacier_mask
        *Glacier mask*: "the correlation is computed only on the pixels located inside the glacier outlines".
    buffer_outside_glacier_extent
        *Buffer outside the glacier extent*: "by default, a distance of 1000 m is taken around the glacier outline" [m].
    glacier_outlines
        File of outlines, such as those of GLIMS.
    """

    name: ClassVar[str] = "gdm-opt-ice"
    NEEDS: ClassVar[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
        *GdmOptSlide.NEEDS,
        ("glacier_mask", True, ("buffer_outside_glacier_extent", "glacier_outlines")),
    )

    glacier_mask: bool = option(False, "whether only pixels inside of glacier outlines are matched")
    buffer_outside_glacier_extent: float = option(
        1000.0, "distance around the glacier outlines that is matched, too", unit="m", least=0
    )
    glacier_outlines: str | None = option(None, "outlines of glaciers: polygons, such as those of GLIMS", is_path=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.glacier_mask and self.glacier_outlines is None:
            raise ValueError(
                f"the recipe {self.name} needs glacier_outlines for glacier_mask=True; got none. Pass a file of "
                "polygons, such as those of GLIMS, or leave the mask out."
            )

    @property
    def outlines(self) -> dict[str, Any]:
        """Options of `combine` by outlines inside which there are matches."""
        if not self.glacier_mask:
            return {}
        return {"outlines": self.glacier_outlines, "buffer": self.buffer_outside_glacier_extent}


def has_hdf5() -> bool:
    """Whether HDF5 can be written here."""
    return importlib.util.find_spec("h5py") is not None
