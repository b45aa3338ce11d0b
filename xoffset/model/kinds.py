"""What kind of object `.offset` holds, told from its dims and variables, and how each kind is come by."""

from __future__ import annotations

import xarray as xr

from xoffset.model import checks
from xoffset.model.grids import crs_of
from xoffset.model.points import are_points

# Bytes of values that are counted each time an object is shown, at most.
COUNTED = 64 * 2**20
# kind -> (with its article, what it holds, how to get it)
KINDS = {
    "stack": ("a stack", "a DataArray (time, y, x) of images", "open_stack()"),
    "network": ("a network", "coords 'reference' and 'secondary' on dim 'pair'", "pairs() of a stack"),
    "shifts": ("shifts", "variables dx, dy on (pair, y, x) or (pair, point)", "correlate() of a stack"),
    "series": ("a series", "variables dx, dy on (time, y, x) or (time, point)", "invert() of shifts"),
    "rate": ("a rate", "variables vx, vy", "velocity() of shifts or a series"),
    "displacement": ("a displacement", "variables dx, dy", "coseismic() or mean_displacement() of shifts"),
    "map": ("a product on a grid", "variables on (y, x) or (point)", "quality(), strain() and others"),
}


def kind_of(data: xr.DataArray | xr.Dataset) -> str | None:
    """Kind of an object, a key of `KINDS`; None if it is of no kind."""
    if isinstance(data, xr.DataArray):
        return "stack" if set(data.dims) == {"time", "y", "x"} else None
    if {"vx", "vy"} <= set(data.data_vars):
        return "rate"
    if {"dx", "dy"} <= set(data.data_vars):
        return {"pair": "shifts", "time": "series"}.get(
            str(data["dx"].dims[0]) if data["dx"].dims else "", "displacement"
        )
    has_maps = {"y", "x"} <= set(data.dims) or ("point" in data.dims and are_points(data))
    if "pair" in data.dims and {"reference", "secondary"} <= set(data.coords):
        return "map" if has_maps else "network"
    return "map" if has_maps and data.data_vars else None


def why_not(name: str, kinds: tuple[str, ...], data: xr.DataArray | xr.Dataset) -> str:
    """Text of an error: a method applies to other kinds of objects than this one."""
    kind = kind_of(data)
    wanted = ", or ".join(f"{KINDS[each][0]} ({KINDS[each][1]})" for each in kinds)
    if kind is None:
        got = f"a {type(data).__name__} with dims {tuple(map(str, data.dims))}"
        if isinstance(data, xr.Dataset):
            got += f" and variables {sorted(map(str, data.data_vars))}"
    else:
        got = KINDS[kind][0]
    advice = checks.keep_dim(data) or f"Call first: {' or '.join(KINDS[each][2] for each in kinds)}"
    return f"{name}() needs {wanted}; got {got}. {advice}."


def described(data: xr.DataArray | xr.Dataset) -> str:
    """Kind, dims, dates, CRS and share of valid values of an object, on a few lines; lazy values are not computed."""
    kind = kind_of(data)
    if kind is None:
        needs = "\n".join(f"  {name}: {holds}, from {source}" for name, holds, source in KINDS.values())
        return f"{type(data).__name__} that is no object of xoffset. It takes one of:\n{needs}"
    lines = [f"{KINDS[kind][0]} ({', '.join(f'{dim}: {size}' for dim, size in data.sizes.items())})"]
    ends = "intervals between" if "interval" in data.dims else "pairs between"
    for first, last, text in (("time", "time", "dates"), ("reference", "secondary", ends)):
        if first in data.coords and data[first].size:
            lines.append(f"{text} {str(data[first].values.min())[:16]} and {str(data[last].values.max())[:16]}")
    if kind != "network":
        try:
            crs = crs_of(data)
            lines.append(f"CRS: {'none, local metres' if crs is None else crs.name}")
        except ValueError:  # named, and not there
            lines.append("CRS: unknown")
    names = [name for name in ("dx", "vx") if name in data] if isinstance(data, xr.Dataset) else []
    for values in [data] if isinstance(data, xr.DataArray) else [data[name] for name in names[:1]]:
        lines.append(f"valid values: {_share_of_valid(values)}")
    return "\n  ".join(lines)


def _share_of_valid(values: xr.DataArray) -> str:
    if values.chunks is not None:
        return "not computed yet"
    if values.nbytes > COUNTED:
        return "not counted, there are many"
    return f"{100.0 * float(values.notnull().mean()):.1f} %" if values.size else "there are none"
