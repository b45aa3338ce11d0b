"""Ground motion from time series of optical images, as labelled arrays.

Importing the package registers the accessor `.offset` on DataArrays and Datasets.
"""

import difflib as _difflib
from importlib.metadata import version as _version

from xoffset import accessor as _accessor  # noqa: F401, registers `.offset`
from xoffset import filtering, flags, formats, masking, plotting, recipes, synthetic
from xoffset._arrays.matching.flow import Flow
from xoffset._arrays.matching.ncc import NCC
from xoffset._arrays.matching.phase import Phase
from xoffset._arrays.matching.protocol import Matcher
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset._arrays.matching.regularized import Regularized
from xoffset.correction.coregister import coregister
from xoffset.correction.correct import correct
from xoffset.correction.denoise import denoise
from xoffset.correction.destripe import destripe
from xoffset.correction.jitter import Jitter
from xoffset.correction.light import light
from xoffset.correction.remove_median import remove_median
from xoffset.correction.remove_season import remove_season
from xoffset.correction.thinning_bias import thinning_bias
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.open_shifts import open_shifts
from xoffset.formats.tables import from_table
from xoffset.inspection.info import info
from xoffset.inversion.invert import invert
from xoffset.inversion.tio_smoothness import tio_smoothness
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import estimate
from xoffset.matching.extend import extend
from xoffset.matching.grid_step import grid_step
from xoffset.matching.search_range import search_range
from xoffset.matching.whole_pixels import whole_pixels
from xoffset.model import renamed as _renamed
from xoffset.motion.coherence import quality, vector_coherence
from xoffset.motion.coseismic import coseismic
from xoffset.motion.decompose import decompose
from xoffset.motion.ground import ground
from xoffset.motion.interval_velocity import interval_velocity
from xoffset.motion.inverse_velocity import inverse_velocity
from xoffset.motion.means import mean_displacement, mean_velocity
from xoffset.motion.onset import onset
from xoffset.motion.profile import profile
from xoffset.motion.resample import rereference, resample
from xoffset.motion.strain import strain
from xoffset.motion.trajectory import trajectory
from xoffset.motion.velocity import velocity
from xoffset.motion.yearly_velocity import yearly_velocity
from xoffset.network.diagnose import diagnose
from xoffset.network.one_a_year import one_a_year
from xoffset.network.pair import pair
from xoffset.network.pairs import pairs
from xoffset.network.plan import plan
from xoffset.network.sun_term import sun_term
from xoffset.pipeline.estimate_run import estimate_run
from xoffset.pipeline.run import run
from xoffset.pipeline.to_zarr import to_zarr
from xoffset.pipeline.warmup import warmup
from xoffset.readers.angles import angles
from xoffset.readers.class_layer import class_layer
from xoffset.readers.crop import crop
from xoffset.readers.detectors import detectors
from xoffset.readers.open_dem import open_dem
from xoffset.readers.open_result import open_result
from xoffset.readers.open_speed import open_speed
from xoffset.readers.open_stac import open_stac
from xoffset.readers.open_stack import open_stack
from xoffset.report.explore import explore
from xoffset.report.report import report
from xoffset.screening.combine_bands import combine_bands
from xoffset.screening.discard_pairs import discard_pairs
from xoffset.screening.discard_pixels import discard_pixels
from xoffset.screening.drop_masked import drop_masked
from xoffset.screening.drop_misclosed import drop_misclosed
from xoffset.screening.losses import losses
from xoffset.screening.screen import screen
from xoffset.uncertainty.area_mean import area_mean
from xoffset.uncertainty.calibrate import calibrate
from xoffset.uncertainty.closure import closure
from xoffset.uncertainty.compare import compare
from xoffset.uncertainty.misclosure import misclosure
from xoffset.uncertainty.stable_statistics import stable_statistics
from xoffset.uncertainty.widen_sheared import widen_sheared

__version__ = _version("xoffset")

__all__ = [  # noqa: RUF022, as sorted() sorts
    "Flow",
    "Jitter",
    "Matcher",
    "NCC",
    "Phase",
    "Pyramid",
    "Regularized",
    "angles",
    "area_mean",
    "calibrate",
    "class_layer",
    "closure",
    "combine_bands",
    "compare",
    "coregister",
    "correct",
    "correlate",
    "coseismic",
    "crop",
    "decompose",
    "denoise",
    "destripe",
    "detectors",
    "diagnose",
    "discard_pairs",
    "discard_pixels",
    "drop_masked",
    "drop_misclosed",
    "estimate",
    "estimate_run",
    "explore",
    "extend",
    "filtering",
    "flags",
    "formats",
    "from_table",
    "grid_step",
    "ground",
    "info",
    "interval_velocity",
    "inverse_velocity",
    "invert",
    "light",
    "losses",
    "masking",
    "mean_displacement",
    "mean_velocity",
    "misclosure",
    "one_a_year",
    "onset",
    "open_dem",
    "open_result",
    "open_shifts",
    "open_speed",
    "open_stac",
    "open_stack",
    "pair",
    "pairs",
    "plan",
    "plotting",
    "profile",
    "quality",
    "recipes",
    "remove_median",
    "remove_season",
    "report",
    "rereference",
    "resample",
    "run",
    "screen",
    "search_range",
    "stable_statistics",
    "strain",
    "sun_term",
    "synthetic",
    "thinning_bias",
    "tio_smoothness",
    "to_geotiff",
    "to_zarr",
    "trajectory",
    "vector_coherence",
    "velocity",
    "warmup",
    "whole_pixels",
    "widen_sheared",
    "yearly_velocity",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name in _renamed.FUNCTIONS:
        _renamed.warn(f"xoffset.{name}", f"xoffset.{_renamed.FUNCTIONS[name]}")
        return globals()[_renamed.FUNCTIONS[name]]
    close = _difflib.get_close_matches(name, __all__, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(__all__)}."
    raise AttributeError(f"xoffset needs the name of something in it; got {name!r}. {hint}")
