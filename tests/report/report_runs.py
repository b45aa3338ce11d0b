"""Runs for the tests of the report."""

import numpy as np

import xoffset
from xoffset import synthetic

DATES = np.datetime64("2020-01-01") + 60 * np.arange(6)


def small_run(folder):
    """A run of a landslide in a folder, with stable ground around it."""
    stack, truth = synthetic.stack((200, 168), dates=DATES, field="landslide", velocity=25.0, snr=6.0, nodata=0.01)
    stack = stack.assign_coords(x=stack.x + 5e5, y=stack.y + 5e6)
    xoffset.run("generic", stack, folder, template=16, search=5, step=8, order=0, max_gap=2, min_nodes=100)
    return truth


def stores(folder, **products):
    """Stores of products in a folder that holds no recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, product in products.items():
        product.to_zarr(folder / f"{name}.zarr", consolidated=False)
    return folder
