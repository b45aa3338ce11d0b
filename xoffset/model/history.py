"""The steps behind a product, as it tells them."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr


def processed(data: xr.Dataset | xr.DataArray, step: dict[str, Any]) -> str:
    """JSON list of the steps behind a product, this one (function, parameters) last."""
    try:
        history = json.loads(data.attrs.get("processing", "[]"))
    except (TypeError, ValueError):
        history = None
    if not isinstance(history, list):  # an attribute of somebody else's
        history = []
    return json.dumps([*history, {"xoffset": version("xoffset")} | step], default=_plain)


def digest_of(values: np.ndarray) -> str:
    """What a record tells of many values, by which other ones are known: 16 signs of a hash of their bytes."""
    return sha256(values.tobytes()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, which JSON knows."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a parameter that JSON can hold is needed; got {type(value).__name__}. Pass a number or a text.")


def records(data: xr.Dataset | xr.DataArray) -> list[dict[str, Any]]:
    """Steps behind a product as they were written down: version, function and parameters of each."""
    return [step for step in json.loads(processed(data, {}))[:-1] if isinstance(step, dict) and "function" in step]


def steps(data: xr.Dataset | xr.DataArray) -> list[dict[str, Any]]:
    """Steps behind a product (function, parameters) without the versions: to be compared, not to compute with."""
    return [{name: value for name, value in step.items() if name != "xoffset"} for step in records(data)]
