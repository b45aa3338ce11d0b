"""Ways from images to products, each with its own parameters: dataclasses that `run` carries out."""

from xoffset.recipes.annual_rate import AnnualRate
from xoffset.recipes.base import Recipe
from xoffset.recipes.gdm_etq import GdmOptEtq
from xoffset.recipes.gdm_time import GdmOptIce, GdmOptSlide
from xoffset.recipes.generic import Generic
from xoffset.recipes.mpic import MpicOpt
from xoffset.recipes.tio import Tio

__all__ = ["AnnualRate", "GdmOptEtq", "GdmOptIce", "GdmOptSlide", "Generic", "MpicOpt", "Recipe", "Tio"]
