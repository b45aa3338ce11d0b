"""Why a value is missing or doubtful: bits of the variable `flags`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset._kernels import bits

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
    "unwritten": 1 << 31,
    "ambiguous": 1 << 32,
    "oversmoothed": 1 << 33,
    "inconsistent": 1 << 34,
    "pycorr": 1 << 35,
    "low_ratio": 1 << 36,
    "amplitude": 1 << 37,
    "direction": 1 << 38,
    "ndc": 1 << 39,
    "median_test": 1 << 40,
    "angle_spread": 1 << 41,
    "temporal_outlier": 1 << 42,
    "closure": 1 << 43,
    "small_clump": 1 << 44,
    "unreferenced": 1 << 45,
    "not_corrected": 1 << 46,
    "smoothed": 1 << 47,
    "sparse": 1 << 48,
    "bands_disagree": 1 << 49,
    "no_change": 1 << 50,
    "no_acceleration": 1 << 51,
    "sheared": 1 << 52,
}


def without_gaps(flags: xr.DataArray) -> xr.DataArray:
    """Flags with `nodata` for NaN: where() of xarray makes floats of them and NaN of what its caller removed."""
    return flags.fillna(FLAGS["nodata"]) if flags.dtype.kind == "f" else flags


def flags_of(data: xr.Dataset, caller: str) -> Any:
    """Flags of a product, int64, NumPy or dask like its `dx`; of one without, `nodata` where `dx` or `dy` is NaN."""
    if "flags" not in data:
        return (np.isnan(data["dx"].data) | np.isnan(data["dy"].data)) * np.int64(FLAGS["nodata"])
    flags = without_gaps(data["flags"])
    if flags.dims != data["dx"].dims or flags.dtype.kind not in "iuf":
        raise ValueError(
            f"{caller}() needs whole numbers with dims {data['dx'].dims} in 'flags'; got {flags.dtype} with dims "
            f"{flags.dims}. Leave them out: dataset.drop_vars('flags')."
        )
    return flags.data.astype(np.int64, copy=False)


def flag_attrs() -> dict[str, Any]:
    """CF attributes that tell the bits of a `flags` variable."""
    return {
        "long_name": "reasons for missing values, 0 = good",
        "flag_masks": list(FLAGS.values()),
        "flag_meanings": " ".join(FLAGS),
    }


def flagged(dataset: xr.Dataset, *reasons: str) -> xr.DataArray:
    """Where a value was lost or is doubtful for one of some reasons.

    Parameters
    ----------
    dataset
        Product with `flags`, such as shifts (pair, y, x) or a series (time, y, x).
    reasons
        Names of flags, keys of `xoffset.flags.FLAGS`. None: any reason at all.

    Returns
    -------
    xarray.DataArray
        Boolean, with the dims and coordinates of `flags`; lazy if they are.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If it has no flags, or no flag has such a name.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> bool(xoffset.flags.flagged(shifts, "border").any())
    False
    """
    found = _checked(dataset, "flagged")
    unknown = [name for name in reasons if not isinstance(name, str) or name not in FLAGS]
    if unknown:
        raise ValueError(f"flagged() needs names of flags; got {unknown[0]!r}. Choose of: {', '.join(FLAGS)}.")
    wanted = sum(FLAGS[name] for name in set(reasons)) if reasons else -1
    return ((found & np.int64(wanted)) != 0).rename("flagged")


def flag_summary(dataset: xr.Dataset) -> pd.DataFrame:
    """How many values each reason of `flags` holds for; lazy flags are computed.

    Parameters
    ----------
    dataset
        Product with `flags`, such as shifts (pair, y, x) or a series (time, y, x).

    Returns
    -------
    pandas.DataFrame
        A row for each reason that occurs, by name, and `good` for values without any. `values`: their number; `share`:
        of all values, 0 to 1. A value may have several reasons.

    See Also
    --------
    xoffset.losses : missing vectors of shifts by stage and pair, each counted once, and what helps.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If it has no flags.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> sorted(xoffset.flags.flag_summary(shifts).index)
    ['good', 'outside']
    """
    kinds, counts = np.unique(_checked(dataset, "flag_summary").values, return_counts=True)
    named = {"good": int(counts[kinds == 0].sum())}
    named |= {name: int(counts[(kinds & bit) != 0].sum()) for name, bit in FLAGS.items()}
    rest = kinds & ~np.int64(sum(FLAGS.values()))
    named["without a name"] = int(counts[rest != 0].sum())
    table = pd.DataFrame({"values": pd.Series(named, dtype=np.int64)})
    table = table[(table["values"] > 0) | (table.index == "good")]
    return table.assign(share=table["values"] / max(int(counts.sum()), 1))


def _checked(dataset: xr.Dataset, caller: str) -> xr.DataArray:
    """Flags of a product as they are, whole numbers."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"{caller}() needs a Dataset with 'flags'; got {type(dataset).__name__}. See correlate().")
    if "flags" not in dataset or dataset["flags"].dtype.kind not in "iuf":
        raise ValueError(
            f"{caller}() needs whole numbers in a variable 'flags'; got {sorted(map(str, dataset.data_vars))}. Use the "
            "result of correlate(), screen() or invert()."
        )
    return without_gaps(dataset["flags"]).astype(np.int64)
