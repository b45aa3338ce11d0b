"""Weights of pairs: by name, or an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from xoffset.model.declared import decoded, in_metres

Weights = Literal["sigma", "score", "uniform", "velocity", "tio", "baseline", "long_baseline"]
# Those that are numbers of the baseline alone, and may be multiplied by those of the score.
OF_BASELINE = ("uniform", "velocity", "tio", "baseline", "long_baseline")

# A score that no weight rewards beyond, so that none is infinite.
BEST_SCORE = 0.99


def weighting(weights: Any, shifts: xr.Dataset, order: Any, baseline: np.ndarray) -> tuple[dict[str, Any], list[Any]]:
    """Options of the setup that say how pairs weigh, and the field of weights, if any, both in the order of the ends.

    order: of the shifts in that of the ends; baseline (pair,) [yr] in that of the ends.
    """
    if isinstance(weights, (tuple, list)) and any(isinstance(each, str) for each in weights):
        return {"has_field": True}, [_of_score_and_baseline(weights, shifts, order, baseline)]
    if not isinstance(weights, str):
        return _of_array(weights, shifts, order)
    if weights in ("sigma", "baseline", "long_baseline"):
        sigma = shifts["sigma_dx"].data
        if isinstance(sigma, np.ndarray) and np.isnan(sigma).all() and np.isfinite(shifts["dx"].data).any():
            raise ValueError(
                f"invert() needs standard errors for weights={weights!r}; got none. Pass weights='uniform'."
            )
    if weights == "sigma":
        return {}, []
    if weights in ("baseline", "long_baseline"):
        return {"base": _of_baseline(weights, baseline), "is_relative": True}, []
    if weights in OF_BASELINE:
        return {"base": _of_baseline(weights, baseline)}, []
    if weights != "score":
        raise ValueError(
            "invert() needs weights 'sigma', 'score', 'uniform', 'velocity', 'tio', 'baseline', 'long_baseline' or an "
            f"array; got {weights!r}. Choose one of these."
        )
    return {"has_field": True}, [_of_score(shifts)[order]]


def _of_baseline(name: str, baseline: np.ndarray) -> np.ndarray:
    """Weights (pair,) by the time between the dates [yr] alone."""
    length = np.abs(baseline)
    relative = length / np.median(length)
    weights: np.ndarray
    match name:
        case "uniform":
            weights = np.ones_like(length)
        case "velocity":
            weights = length**-2.0
        case "tio":
            weights = (1.0 + length**2) ** -2.0
        case "baseline":
            weights = 1.0 / relative
        case _:
            weights = relative
    return weights


def _of_score_and_baseline(weights: Sequence[Any], shifts: xr.Dataset, order: Any, baseline: np.ndarray) -> Any:
    """Weights (pair, y, x) that are the product of those by score and those by baseline."""
    others = [each for each in weights if each != "score"]
    if len(weights) != 2 or len(others) != 1 or others[0] not in OF_BASELINE:
        raise ValueError(
            f"invert() needs two names of weights, 'score' and one of {', '.join(OF_BASELINE)}; got {weights!r}. Pass "
            "one name, or two such as ('score', 'long_baseline')."
        )
    return _of_score(shifts)[order] * _of_baseline(others[0], baseline)[:, np.newaxis, np.newaxis]


def _of_score(shifts: xr.Dataset) -> Any:
    """Weights (pair, y, x) in the order of the shifts, which the variance of a match is inverse to."""
    if "score" not in shifts or shifts["score"].dims != ("pair", "y", "x"):
        raise ValueError(
            "invert() needs 'score' (pair, y, x) for weights='score'; got shifts without it. Pass weights='sigma'."
        )
    score = np.clip(shifts["score"].data.astype(shifts["dx"].dtype), 0.0, BEST_SCORE)
    return score / (1.0 - score)


def _of_array(weights: Any, shifts: xr.Dataset, order: Any) -> tuple[dict[str, Any], list[Any]]:
    dims, shape = shifts["dx"].dims, shifts["dx"].shape
    if isinstance(weights, xr.DataArray):
        weights = decoded(in_metres(weights, "invert"), "weights", "invert", wanted=None)
        shared = [name for name in ("reference", "secondary", "y", "x") if name in weights.coords]
        is_alike = all(np.array_equal(weights[name].values, shifts[name].values) for name in shared)
        if weights.dims not in (dims[:1], dims) or not is_alike:
            raise ValueError(
                f"invert() needs weights with dims {dims[:1]} or {dims}, on the pairs and the grid of the shifts; got "
                f"{weights.dims}{'' if is_alike else ' with other coordinates'}. Reorder: weights.transpose(...), or "
                "align them."
            )
        weights = weights.data
    if isinstance(weights, xr.Dataset):
        raise TypeError(
            "invert() needs an array of weights; got a Dataset. Pick one of its variables: weights['score']."
        )
    # what is lazy stays lazy
    values = weights if hasattr(weights, "dask") else np.asarray(weights)
    if values.dtype.kind not in "iuf" or values.shape not in (shape[:1], shape):
        raise ValueError(
            f"invert() needs an array of weights with shape {shape[:1]} or {shape}; got {values.dtype} {values.shape}. "
            "Pass one number a pair, or one a pair and pixel."
        )
    if isinstance(values, np.ndarray) and ((values < 0) | np.isinf(values)).any():
        raise ValueError(
            "invert() needs weights that are neither negative nor infinite; got some. Set those to 0 to drop pairs."
        )
    if values.ndim == 1 and isinstance(values, np.ndarray):
        return {"base": values.astype(np.float64)[order]}, []
    field = values if values.ndim == 3 else np.broadcast_to(values[:, np.newaxis, np.newaxis], shape)
    return {"has_field": True}, [field.astype(np.float64)[order]]
