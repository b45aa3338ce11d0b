"""Ground motion from time series of optical images, as labelled arrays.

Importing the package registers the accessor `.offset` on DataArrays and Datasets.
"""

from importlib.metadata import version as _version

from xoffset import accessor as _accessor  # noqa: F401, registers `.offset`
from xoffset import plotting, synthetic
from xoffset._ncc import NCC
from xoffset._phase import Phase
from xoffset._pyramid import Pyramid
from xoffset.calibration import calibrate
from xoffset.decomposition import annual, coseismic, decompose
from xoffset.estimation import estimate
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.tables import from_table
from xoffset.grounding import ground
from xoffset.inversion import invert
from xoffset.matching import correlate, extend
from xoffset.motion import velocity
from xoffset.network.diagnose import diagnose
from xoffset.network.pairs import pairs
from xoffset.network.plan import plan
from xoffset.pipeline.warmup import warmup
from xoffset.profiling import profile
from xoffset.readers.open_result import open_result
from xoffset.readers.open_stack import open_stack
from xoffset.resampling import rereference, resample
from xoffset.screening import screen
from xoffset.stacking import mean_displacement, mean_velocity, quality, vector_coherence
from xoffset.straining import strain
from xoffset.trajectories import trajectory
from xoffset.triplets import closure

__version__ = _version("xoffset")

__all__ = [
    "NCC",
    "Phase",
    "Pyramid",
    "annual",
    "calibrate",
    "closure",
    "correlate",
    "coseismic",
    "decompose",
    "diagnose",
    "estimate",
    "extend",
    "from_table",
    "ground",
    "invert",
    "mean_displacement",
    "mean_velocity",
    "open_result",
    "open_stack",
    "pairs",
    "plan",
    "plotting",
    "profile",
    "quality",
    "rereference",
    "resample",
    "screen",
    "strain",
    "synthetic",
    "to_geotiff",
    "trajectory",
    "vector_coherence",
    "velocity",
    "warmup",
]
