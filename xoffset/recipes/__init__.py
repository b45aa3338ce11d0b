"""Ways from images to products, each with its own parameters: dataclasses that `run` carries out."""

from xoffset.recipes.annual_rate import AnnualRate
from xoffset.recipes.base import Recipe
from xoffset.recipes.earthquake import Earthquake
from xoffset.recipes.gdm_etq import GdmOptEtq
from xoffset.recipes.gdm_time import GdmOptIce, GdmOptSlide
from xoffset.recipes.generic import Generic
from xoffset.recipes.landslide import Glacier, Landslide
from xoffset.recipes.mpic import MpicOpt
from xoffset.recipes.pycorr import Pycorr
from xoffset.recipes.tio import Tio
from xoffset.recipes.tune import tune

__all__ = [
    "AnnualRate", "Earthquake", "GdmOptEtq", "GdmOptIce", "GdmOptSlide", "Generic", "Glacier", "Landslide", "MpicOpt",
    "Pycorr", "Recipe", "Tio", "tune",
]  # fmt: skip
