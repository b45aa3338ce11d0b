"""Why a value is missing or doubtful: bits of the variable `flags`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset._kernels import bits

# Bit numbers are public and are never reused: 0-9 matching, 10-24 screening and correction, 25-30 inversion and rate.
FLAGS: Mapping[str, int] = {
    "outside": bits.OUTSIDE,
    "nodata": bits.NODATA,
    "few_valid": bits.FEW_VALID,
    "flat": bits.FLAT,
    "border": bits.BORDER,
    "refine_failed": bits.REFINE_FAILED,
    "ill_conditioned": bits.ILL_CONDITIONED,
    "no_prior": bits.NO_PRIOR,
    "template_disagrees": bits.TEMPLATE_DISAGREES,
    "forward_backward": 1 << 9,
    "low_score": 1 << 10,
    "low_gap": 1 << 11,
    "neighbourhood": 1 << 12,
    "insignificant": 1 << 13,
    "separation": 1 << 14,
    "no_pairs": 1 << 25,
    "disconnected": 1 << 26,
    "no_reference": 1 << 27,
    "too_few_dates": 1 << 28,
    "not_converged": 1 << 29,
    "bridged": 1 << 30,
}


def flags_of(data: xr.Dataset, caller: str) -> Any:
    """Flags of a product, NumPy or dask like its `dx`; zero where it has none."""
    if "flags" not in data:
        return np.zeros_like(data["dx"].data, dtype=np.int32)
    flags = data["flags"]
    # where() of xarray makes floats of flags and NaN of what its caller removed
    flags = flags.fillna(0) if flags.dtype.kind == "f" else flags
    if flags.dims != data["dx"].dims or flags.dtype.kind not in "iuf":
        raise ValueError(
            f"{caller}() needs whole numbers with dims {data['dx'].dims} in 'flags'; got {flags.dtype} with dims "
            f"{flags.dims}. Leave them out: dataset.drop_vars('flags')."
        )
    return flags.data.astype(np.int32)


def flag_attrs() -> dict[str, Any]:
    """CF attributes that tell the bits of a `flags` variable."""
    return {
        "long_name": "reasons for missing values, 0 = good",
        "flag_masks": list(FLAGS.values()),
        "flag_meanings": " ".join(FLAGS),
    }
