"""Ways from images to products, each with its own parameters: dataclasses that `run` carries out."""
