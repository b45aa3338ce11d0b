"""Maps of MPIC-OPT: what each holds, in its numbers and under its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset.formats import border, file_sets, service_maps
from xoffset.formats.names import SYSTEMS
from xoffset.formats.service_maps import Sheet

# Of each product its variable, and of that the name in a file, the factor, the unit, and what it is.
_INDICATORS = {
    "coherence": [("vector_coherence", "vector_coherence", 1.0, "1", "vector coherence")],
    "displacement": [("magnitude", "mean_displacement", 1.0, "m", "length of the mean displacement")],
    "velocity": [
        ("vx", "mean_veloc_ew", 1.0 / service_maps.YEAR_DAYS, "m d-1", "mean velocity, east positive"),
        ("vy", "mean_veloc_ns", -1.0 / service_maps.YEAR_DAYS, "m d-1", "mean velocity, south positive"),
    ],
}


def is_in_both(usable: Any, first: int, second: int) -> np.ndarray:
    """Where both images of a pair may be matched."""
    return np.asarray(np.asarray(usable[[first, second]]).all(axis=0))


def of_pairs(shifts: xr.Dataset, caller: str) -> tuple[list[Sheet], xr.Dataset]:
    """Displacements of each pair in the numbers of the service."""
    theirs = file_sets.by_day(file_sets.in_own_pixels("mpic", shifts, caller), caller)
    sheets = [
        Sheet(
            f"{SYSTEMS['mpic'].names[name]}_{stem}",
            theirs.fields[name][pair],
            "pixel",
            file_sets.TAGS[name]["long_name"],
        )
        for pair, stem in enumerate(border.stems(theirs, "_"))
        for name in ("dx", "dy")
    ]
    return sheets, service_maps.prepared(shifts[["dx"]], caller)


def indicators(
    network: xr.Dataset, given: Mapping[str, xr.Dataset | None], caller: str, *, is_needed: bool = True
) -> tuple[list[Sheet], Any]:
    """Maps of the products that are given, and the grid that they lie on; None if there is none."""
    first, last = service_maps.span_of(network, caller)
    made = {name: service_maps.prepared(each, caller) for name, each in given.items() if each is not None}
    if not made and is_needed:
        raise ValueError(
            f"{caller}() needs a product to write; got none. Pass one: velocity=xoffset.mean_velocity(...)."
        )
    sheets = []
    for name, product in made.items():
        for variable, file, factor, units, title in _INDICATORS[name]:
            if variable not in product:
                raise ValueError(
                    f"{caller}() needs '{variable}' as {name}; got variables {list(map(str, product.data_vars))}. Pass "
                    "the result of vector_coherence(), mean_displacement() or mean_velocity()."
                )
            values = product[variable].data * np.asarray(factor, dtype=product[variable].dtype)
            sheets.append(Sheet(f"{file}_{first}_{last}", values, units, title, {"first": first, "last": last}))
    return sheets, service_maps.one_grid(list(made.values()), caller)
