"""Numbers that a run is judged by, from its products and what was measured of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from xoffset.plotting import fields, style
from xoffset.report.folder import Run
from xoffset.report.layers import Vectors, unit
from xoffset.report.measures import Measures, bad_dates, dates_of
from xoffset.report.verdict import SIGNIFICANT, Facts

# Stage of the losses that tells that the search was too small.
_BORDER = "border"


def facts_of(run: Run, vectors: Vectors | None, measures: Measures) -> Facts:
    """Facts of a run; those that are not known are left as they are."""
    told: dict[str, Any] = {"unfinished": run.unfinished}
    if vectors is not None:
        told |= _of_map(vectors)
    if measures.losses is not None:
        told |= _of_losses(measures.losses)
    if measures.network is not None and measures.shifts is not None:
        pairs = int(measures.network["n_pairs"].values.sum()) // 2
        ends = set(zip(*(measures.shifts[name].values for name in ("reference", "secondary")), strict=True))
        told |= {
            "dates": int(dates_of(measures).size),
            "pairs": pairs,
            "both_ways": sum((end, begin) in ends for begin, end in ends) // 2,
            "groups": int(measures.network["n_components"]),
            "redundancy": float(measures.network["redundancy"]),
        }
    if measures.closure is not None:
        told |= _of_closure(measures.closure) | {"bad_dates": bad_dates(measures)}
    told["is_corrected"] = measures.shifts is not None and "is_corrected" in measures.shifts
    if vectors is not None and vectors.product in measures.stable:
        told |= _of_stable(measures.stable[vectors.product], vectors.names)
    return Facts(**told)


def valid_by_stage(run: Run, found: list[Vectors], measures: Measures) -> dict[str, float]:
    """Share of the vectors that are valid: of maps, of the date of a series that is shown, of the last shifts."""
    told = {vectors.product: float(np.isfinite(vectors.length.values).mean()) for vectors in found}
    last = next((name for name, product in run.products.items() if product is measures.shifts), None)
    if last is not None and measures.losses is not None:
        told[last] = 1.0 - _of_losses(measures.losses).get("lost", math.nan)
    return told


def _of_map(vectors: Vectors) -> dict[str, Any]:
    length = vectors.length.values.astype(np.float64)
    is_known = np.isfinite(length)
    _, what, units = fields.VECTORS[vectors.names]
    told: dict[str, Any] = {"share": float(is_known.mean()), "what": what, "unit": unit(units)}
    sigma = vectors.sigma
    if not is_known.any():
        return told
    ends = style.scale_of(vectors.length, _NoLook)
    told["fastest"] = ends.high
    if sigma is None:
        return told
    is_known &= np.isfinite(sigma)
    if not is_known.any():
        return told
    is_moving = is_known & (length > SIGNIFICANT * sigma)
    left, right, bottom, top = style.edges(vectors.length)
    node = (right - left) * (top - bottom) / length.size / 1e6
    return told | {
        "moving": float(is_moving.sum() / is_known.sum()),
        "area": float(is_moving.sum()) * node,
        "sigma": float(np.median(sigma[is_known])),
    }


class _NoLook:
    """What nobody asks of the colours."""

    vmin = vmax = cmap = None


def _of_losses(found: xr.Dataset) -> dict[str, Any]:
    lost, total = found["lost"].values.sum(axis=1), int(found["nodes"].values.sum())
    if not total:
        return {}
    told: dict[str, Any] = {"lost": float(lost.sum() / total)}
    stages = [str(name) for name in found["stage"].values]
    told["at_border"] = float(lost[stages.index(_BORDER)] / total) if _BORDER in stages else math.nan
    if lost.any():
        worst = int(lost.argmax())
        told |= {"worst": stages[worst], "advice": str(found["advice"].values[worst])}
    return told


def _of_closure(found: xr.Dataset) -> dict[str, Any]:
    beyond = found["share_beyond"].values
    known = beyond[np.isfinite(beyond)]
    return {"beyond": float(known.mean()) if known.size else math.nan}


def _of_stable(found: xr.Dataset, names: tuple[str, str]) -> dict[str, Any]:
    """Bias, spread and its ratio to the standard errors of the last date, or of the rate."""
    one = found.isel(time=-1) if "time" in found.dims else found

    def both(name: str) -> np.ndarray:
        return np.array([float(one.get(f"{name}_{each}", math.nan)) for each in names])

    ratios = both("sigma_ratio")
    return {
        "bias": float(np.hypot(*both("median"))),
        "spread": float(np.hypot(*both("nmad"))),
        "ratio": float(ratios.max()) if np.isfinite(ratios).all() else math.nan,
    }
