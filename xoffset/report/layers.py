"""Maps of a run as layers of the page: values at every node, their colours and the ends of these."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays import codes
from xoffset.model import grids
from xoffset.model.dates import DAYS
from xoffset.model.flags import FLAGS
from xoffset.plotting import fields, look, mapping, style
from xoffset.report.folder import CALLER
from xoffset.report.measures import SHIFTS

# Steps of values within a median standard error, and without one within the range of 99 % of them.
_OF_SIGMA, _OF_RANGE = 4.0, 1000.0
# Ratio of neighbouring standard errors on their scale: ± 2.5 %.
_RATE = 0.05
# Bytes of all maps in the page: further layers are left out, which the page says.
BUDGET = 10_000_000
# Nodes along the longer side of a picture for browsers that draw no maps.
_POSTER = 600
# Reasons that the map of flags tells apart.
_REASONS = 8
_GOOD = "#f4f4f0"
# Products of maps, best first, and what is shown of each beside vectors.
_PRODUCTS = ("velocity", "displacement", "series", "coherence")
_SCALARS = {
    "n_pairs": "velocity",
    "n_dates": "velocity",
    "rms": "series",
    "vector_coherence": "coherence",
    "debiased_vector_coherence": "coherence",
}
_SIGNS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Grid(NamedTuple):
    """Nodes that are drawn, rows from the north: outer edges and spacing in metres, and what was left out."""

    left: float
    top: float
    step_x: float
    step_y: float
    columns: int
    rows: int
    every: int
    crs: str

    @property
    def told(self) -> dict[str, Any]:
        """As plain values for the page."""
        return self._asdict()


class Vectors(NamedTuple):
    """The vectors (y, x) that a run is judged by, in memory, rows from the south, and what they are."""

    data: xr.Dataset
    names: tuple[str, str]
    product: str
    dates: str
    every: int = 1  # so many nodes are drawn along each axis

    @property
    def length(self) -> xr.DataArray:
        """Length of the vectors."""
        return fields.length_of(self.data, self.names)

    @property
    def sigma(self) -> np.ndarray | None:
        """Standard error of the length along the vector."""
        if f"sigma_{self.names[0]}" not in self.data:
            return None
        return fields.sigma_of_length(self.data, self.names)


class Maps:
    """Layers and the arrays that they are made of, within the bytes that a page may have."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.layers: list[dict[str, Any]] = []
        self.arrays: dict[str, dict[str, Any]] = {}
        self.palettes: dict[str, str] = {}
        self.left_out: list[str] = []

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(len(each["data"]) for each in self.arrays.values())

    def has_room_for(self, arrays: dict[str, dict[str, Any]]) -> bool:
        """Whether arrays fit into the page; the first ones always do."""
        new = sum(len(each["data"]) for name, each in arrays.items() if name not in self.arrays)
        return not self.layers or self.size + new <= BUDGET

    def add(self, layer: dict[str, Any], arrays: dict[str, dict[str, Any]], colours: Any = None) -> None:
        """Take a layer with its arrays, unless there is no room for it."""
        if not self.has_room_for(arrays):
            self.left_out.append(str(layer["title"]))
            return
        self.arrays |= arrays
        if colours is not None:
            self.palettes.setdefault(layer["palette"], palette(colours))
        self.layers.append(layer)


def vectors_of(products: Mapping[str, xr.Dataset]) -> list[Vectors]:
    """Vectors of the products of motion, best first; without any those of the last pair with values."""
    found = []
    for name in _PRODUCTS[:3]:
        if name in products and (vectors := _vectors(products[name], name)) is not None:
            found.append(vectors)
    if not found:
        pairs = [(products[name], name) for name in reversed(SHIFTS) if name in products]
        found += [each for each in (_vectors(*of) for of in pairs[:1]) if each is not None]
    return found


def _vectors(product: xr.Dataset, name: str) -> Vectors | None:
    """Vectors of a product, of its last date or pair that has any."""
    names = next((pair for pair in fields.VECTORS if set(pair) <= set(product.data_vars)), None)
    if names is None or not {"y", "x"} <= set(product[names[0]].dims):
        return None
    wanted = (*names, *(f"sigma_{each}" for each in names if f"sigma_{each}" in product))
    dims = [dim for dim in product[names[0]].dims if dim not in ("y", "x")]
    count = product.sizes[dims[0]] if dims else 1
    for layer in range(count - 1, -1, -1):
        data = fields.one_layer(product, wanted, layer, CALLER)
        if not dims or layer == 0 or bool(np.isfinite(data[names[0]]).any()):
            break
    dates = mapping.span_of(product) if names == ("vx", "vy") else style.period(data)
    every = max(math.ceil(product.sizes[dim] / style.MOST_PIXELS) for dim in ("y", "x"))
    return Vectors(data, names, name, mapping.since(product, dates) if name == "series" else dates, max(every, 1))


def grid_of(vectors: Vectors) -> Grid:
    """Nodes that are drawn of the products of a run."""
    field = vectors.data[vectors.names[0]]
    left, right, bottom, top = style.edges(field)
    rows, columns = field.shape
    across, up = (right - left) / columns, (top - bottom) / rows
    # an axis of one node borrows its side from the other
    if rows == 1 < columns:
        top, up = top + 0.5 * (across - up), across
    elif columns == 1 < rows:
        left, across = left - 0.5 * (up - across), up
    crs = grids.name_of(grids.crs_of(vectors.data)) if "spatial_ref" in vectors.data.coords else ""
    return Grid(left, top, across, up, columns, rows, vectors.every, crs)


def maps_of(products: Mapping[str, xr.Dataset], found: list[Vectors]) -> Maps:
    """All layers of some products, the first one shown first."""
    first, *others = found
    maps = Maps(grid_of(first))
    _add_vectors(maps, first)
    for name, product in _SCALARS.items():
        of = products.get(product)
        if of is not None and name in of and set(of[name].dims) == {"y", "x"}:
            _add_scalar(maps, of, name, product)
    for name in ("velocity", "displacement"):
        if "flags" in products.get(name, {}) and set(products[name]["flags"].dims) == {"y", "x"}:
            _add_flags(maps, products[name], name)
            break
    for vectors in others:
        if vectors.data[vectors.names[0]].shape == (maps.grid.rows, maps.grid.columns):
            _add_vectors(maps, vectors)
    return maps


def _add_vectors(maps: Maps, vectors: Vectors) -> None:
    """Length, components, direction and standard error of vectors."""
    called, what, units = fields.VECTORS[vectors.names]
    sigmas = [f"sigma_{name}" for name in vectors.names if f"sigma_{name}" in vectors.data]
    steps = _step(vectors, sigmas)
    arrays = {f"{vectors.product}.{name}": codes.linear(_rows(vectors.data[name]), steps) for name in vectors.names}
    of_errors = {f"{vectors.product}.{name}": codes.logarithmic(_rows(vectors.data[name]), _RATE) for name in sigmas}
    if maps.has_room_for(arrays | of_errors):
        arrays |= of_errors
    elif maps.has_room_for(arrays):
        maps.left_out.append(f"standard error of the {what}")
    else:
        maps.left_out.append(what)
        return
    x, y, *errors = arrays
    about: dict[str, Any] = {
        "dates": vectors.dates,
        "unit": unit(units),
        "group": what,
        "arrays": [x, y],
        "sigma": errors,
    }
    length = vectors.length
    _add(maps, about | {"title": called, "of": "length"}, arrays, length)
    for k, name in enumerate(vectors.names):
        about_one = about | {"arrays": [[x, y][k]], "sigma": errors[k : k + 1]}
        title = str(vectors.data[name].attrs.get("long_name", name))
        _add(maps, about_one | {"title": title, "of": "value"}, arrays, vectors.data[name])
    if vectors.names == ("vx", "vy"):
        east, north = (vectors.data[name].values.astype(np.float64) for name in vectors.names)
        direction = length.copy(data=np.degrees(np.arctan2(east, north)) % 360.0).rename("direction")
        turned = {"title": "direction, clockwise from grid north", "of": "direction", "unit": "°"}
        _add(maps, about | turned, arrays, direction.assign_attrs(units="degree"))
    if errors:
        both = np.hypot(*(vectors.data[name].values for name in sigmas))
        title = f"standard error of the {what}"
        about |= {"title": title, "of": "length", "arrays": errors, "sigma": []}
        _add(maps, about, arrays, length.copy(data=both).rename("sigma"))


def _add_scalar(maps: Maps, product: xr.Dataset, name: str, of: str) -> None:
    field = fields.one_layer(product, (name,), -1, CALLER)[name]
    if field.shape != (maps.grid.rows, maps.grid.columns):
        return
    values = _rows(field)
    is_count = field.dtype.kind in "iu"
    held = codes.counts(values, values >= 0) if is_count else codes.logarithmic(values, _RATE)
    title, units = str(field.attrs.get("long_name", name)), unit(str(field.attrs.get("units", "")))
    about: dict[str, Any] = {"dates": "", "unit": units, "group": "quality", "arrays": [f"{of}.{name}"], "sigma": []}
    _add(maps, about | {"title": title, "of": "value"}, {f"{of}.{name}": held}, field.astype(np.float64))


def _add(maps: Maps, layer: dict[str, Any], arrays: dict[str, dict[str, Any]], field: xr.DataArray) -> None:
    """Add a layer with the colours and ends that pictures have."""
    scale = scale_of(field)
    told = {
        "palette": str(scale.colours), "low": scale.low, "high": scale.high, "extend": scale.extend,
        "notes": [plain(note) for note in style.clip_note(field, scale)],
    }  # fmt: skip
    used = {name: arrays[name] for name in (*layer["arrays"], *layer["sigma"])}
    maps.add(layer | told, used, scale.colours)


def _add_flags(maps: Maps, product: xr.Dataset, of: str) -> None:
    """First reason of each node why it is missing or doubtful."""
    field = fields.one_layer(product, ("flags",), -1, CALLER)["flags"]
    if field.shape != (maps.grid.rows, maps.grid.columns) or field.dtype.kind not in "iuf":
        return
    bits = np.nan_to_num(_rows(field), nan=FLAGS["nodata"]).astype(np.int64)
    first = bits & -bits
    kinds, numbers = np.unique(first[first != 0], return_counts=True)
    order = kinds[np.argsort(-numbers, kind="stable")]
    names = {bit: name for name, bit in FLAGS.items()}
    labels = ["good", *(names.get(int(kind), "without a name") for kind in order[:_REASONS])]
    labels += ["others"] * (len(order) > _REASONS)
    classes = np.zeros(first.shape, dtype=np.int64)
    for k, kind in enumerate(order):
        classes[first == kind] = 1 + min(k, _REASONS)
    shares = np.bincount(classes.ravel(), minlength=len(labels)) / classes.size
    tints = style.colour_map("batlow", CALLER)(np.linspace(0.0, 0.9, max(len(labels) - 1, 1)))[:, :3]
    colours = [_GOOD, *("#" + "".join(f"{round(255 * part):02x}" for part in tint) for tint in tints)]
    layer = {
        "title": "first reason why a value is missing or doubtful", "of": "class", "dates": "", "unit": "",
        "group": "quality", "arrays": [f"{of}.flags"], "sigma": [], "labels": labels, "shares": shares.tolist(),
        "colours": colours[: len(labels)], "notes": [],
    }  # fmt: skip
    maps.add(layer, {f"{of}.flags": codes.counts(classes)})


def _step(vectors: Vectors, sigmas: list[str]) -> float:
    """Step of the values of a vector, well below what they are known to."""
    values = np.concatenate([vectors.data[name].values.ravel() for name in vectors.names])
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size:
        return 1.0
    low, high = np.percentile(values, [0.5, 99.5])
    step = float(high - low) / _OF_RANGE
    if sigmas:
        known = np.concatenate([vectors.data[name].values.ravel() for name in sigmas])
        known = known[np.isfinite(known) & (known > 0.0)]
        # huge standard errors must not hide the values
        step = min(float(np.median(known)) / _OF_SIGMA, 20.0 * step or math.inf) if known.size else step
    return step or float(np.abs(values).max()) / _OF_RANGE or 1.0


def scale_of(field: xr.DataArray) -> style.Scale:
    """Colours and ends of a map, as pictures have them that nobody asks anything of."""
    return style.scale_of(field, look.look_of(CALLER, ax=None, vmin=None, vmax=None, cmap=None, title=None, save=None))


def _rows(field: xr.DataArray) -> np.ndarray:
    """Values with the rows from north to south."""
    return np.asarray(field.values[::-1])


def palette(colours: Any) -> str:
    """256 colours by name, or of a Colormap, three bytes each, as text (base64)."""
    table = style.colour_map(colours, CALLER)(np.linspace(0.0, 1.0, 256))[:, :3]
    return base64.b64encode(np.rint(255.0 * table).astype(np.uint8).tobytes()).decode("ascii")


def unit(units: str) -> str:
    """Unit with raised exponents; nothing of plain numbers and of dates."""
    if units in ("", "1", DAYS):
        return ""
    return re.sub(r"(?<=[A-Za-z])(-?\d+)", lambda found: found[1].translate(_SIGNS), units)


def plain(note: str) -> str:
    """Text of a picture's note without the marks of formulas."""
    return re.sub(r"\$\^\{(-?\d+)\}\$", lambda found: found[1].translate(_SIGNS), note)


def poster(vectors: Vectors) -> str:
    """Picture of the lengths (PNG) as text (base64), for browsers that draw no maps."""
    return picture(vectors.length, _POSTER)


def picture(field: xr.DataArray, most: int, colours: str | None = None) -> str:
    """Picture of a field (y, x), rows from the south, as text (base64): PNG of so many nodes along a side at most."""
    from PIL import Image

    scale = scale_of(field)
    few = {dim: slice(None, None, math.ceil(max(field.shape) / most)) for dim in ("y", "x")}
    values = (_rows(field.isel(few)).astype(np.float64) - scale.low) / (scale.high - scale.low)
    table = style.colour_map(colours or scale.colours, CALLER)(np.linspace(0.0, 1.0, 255))[:, :3]
    indices = np.where(np.isfinite(values), 1 + np.rint(254.0 * np.clip(np.nan_to_num(values), 0.0, 1.0)), 0)
    image = Image.fromarray(indices.astype(np.uint8), mode="P")
    image.putpalette([178, 178, 178, *np.rint(255.0 * table).astype(int).ravel().tolist()])
    place = BytesIO()
    image.save(place, format="PNG", optimize=True)
    return base64.b64encode(place.getvalue()).decode("ascii")
