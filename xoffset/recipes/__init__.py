"""Ways from images to products, each with its own parameters: dataclasses that `run` carries out."""

from xoffset.recipes.base import Recipe
from xoffset.recipes.generic import Generic

__all__ = ["Generic", "Recipe"]
