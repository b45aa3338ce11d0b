"""Maps of what was made of all pairs."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xoffset.model import products
from xoffset.model.tables import Table


def on_grid(fields: dict[str, Any], table: Table, shifts: xr.Dataset, step: dict[str, Any]) -> xr.Dataset:
    """Product (y, x) of fields over all pairs."""
    return products.product(
        {name: (("y", "x"), values) for name, values in fields.items()}, table, like=shifts, step=step
    )
