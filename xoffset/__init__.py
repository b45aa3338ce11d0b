"""Ground motion from time series of optical images, as labelled arrays.

Importing the package registers the accessor `.offset` on DataArrays and Datasets.
"""

from importlib.metadata import version as _version

from xoffset import accessor as _accessor  # noqa: F401, registers `.offset`
from xoffset import synthetic
from xoffset.inversion import invert
from xoffset.matching import NCC, correlate
from xoffset.motion import velocity
from xoffset.network import diagnose, pairs
from xoffset.screening import screen

__version__ = _version("xoffset")

__all__ = ["NCC", "correlate", "diagnose", "invert", "pairs", "screen", "synthetic", "velocity"]
