"""Values as whole numbers of few bytes: 0 for no value, and what turns them back."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

# Steps on either side of zero that two bytes hold beside the code for no value.
_MOST = 32_766
# Codes of a logarithmic scale: one for no value, one for zero, the rest for the range.
_LEVELS = 254


def linear(values: np.ndarray, step: float) -> dict[str, Any]:
    """Multiples of a step: 2k + 1 for k steps above zero, and 2k for k below; the step grows where two bytes end."""
    is_known = np.isfinite(values)
    largest = float(np.abs(values[is_known]).max()) if is_known.any() else 0.0
    step = max(step, largest / _MOST) or 1.0
    steps = np.zeros(values.shape, dtype=np.int64)
    steps[is_known] = np.rint(values[is_known].astype(np.float64) / step)
    codes = np.where(steps >= 0, 2 * steps + 1, -2 * steps)
    return {"kind": "linear", "step": step} | packed(np.where(is_known, codes, 0))


def logarithmic(values: np.ndarray, rate: float) -> dict[str, Any]:
    """Lengths on a scale of equal ratios: 1 for zero, k + 2 for ``low * exp(k * rate)``; the rate grows with the range.

    What is below zero counts as no value.
    """
    is_known = np.isfinite(values) & (values >= 0.0)
    positive = values[is_known & (values > 0.0)].astype(np.float64)
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)
    rate = max(rate, float(np.log(high / low)) / (_LEVELS - 1))
    codes = is_known.astype(np.int64)
    is_positive = is_known & (values > 0.0)
    codes[is_positive] = 2 + np.rint(np.log(positive / low) / rate).astype(np.int64)
    return {"kind": "logarithmic", "low": low, "rate": rate} | packed(codes)


def counts(values: np.ndarray, is_known: np.ndarray | None = None) -> dict[str, Any]:
    """Whole numbers from zero on: k + 1, those beyond two bytes as the largest."""
    known = np.ones(values.shape, dtype=np.bool_) if is_known is None else is_known
    codes = np.clip(np.where(known, values, -1).astype(np.int64) + 1, 0, 65_535)
    return {"kind": "counts"} | packed(codes)


def packed(codes: np.ndarray) -> dict[str, Any]:
    """Codes below 65 536, low bytes first, then high ones if there are any, compressed (zlib), as text (base64)."""
    planes = [codes & 255] + ([codes >> 8] if codes.size and int(codes.max()) > 255 else [])
    text = zlib.compress(b"".join(each.astype(np.uint8).tobytes() for each in planes), 6)
    return {"shape": list(codes.shape), "planes": len(planes), "data": base64.b64encode(text).decode("ascii")}


def unpacked(held: dict[str, Any]) -> np.ndarray:
    """Values of what the functions above have made, float64, NaN where there is none."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(held["data"])), dtype=np.uint8).astype(np.int64)
    planes = raw.reshape(held["planes"], *held["shape"])
    codes = planes[0] + (256 * planes[1] if held["planes"] > 1 else 0)
    if held["kind"] == "linear":
        found = np.where(codes % 2 == 1, codes // 2, -(codes // 2)) * held["step"]
    elif held["kind"] == "logarithmic":
        found = np.where(codes == 1, 0.0, held["low"] * np.exp((codes - 2) * held["rate"]))
    else:
        found = codes - 1.0
    return np.asarray(np.where(codes == 0, np.nan, found), dtype=np.float64)
