"""Products of Sentinel-2 in the EOPF Zarr format: a tree of groups with measurements, quality and conditions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from xoffset._arrays.scenes import directions
from xoffset._arrays.scenes.angle_grids import AngleGrid, TileAngles, angles_at, filled
from xoffset.readers import arrays
from xoffset.readers.arrays import ArrayImage
from xoffset.readers.eopf import metadata, zarr_stores
from xoffset.readers.eopf.metadata import Bands, band_of
from xoffset.readers.eopf.zarr_stores import as_text, open_store
from xoffset.readers.grids import Grid, Window
from xoffset.readers.positions import check_crs
from xoffset.readers.scenes import Classes, Contents, Layer, NoSuchTile, Product, Scene, percent
from xoffset.readers.sentinel2.class_masks import CLOUD_BITS, SCENE_CLASSES
from xoffset.readers.stored import Stored, pieces_of, placed

_MEASUREMENTS, _GEOMETRY, _MASKS = "measurements/reflectance", "conditions/geometry", "conditions/mask"
_DETECTORS = f"{_MASKS}/detector_footprint"
_CLASSES = ((f"{_MASKS}/l2a_classification", "scl"), (f"{_MASKS}/l1c_classification", "b00"))
_NAME = re.compile(r"S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_[\w.]*\.zarr/?")

Variables = Mapping[Hashable, xr.Variable]


class Groups(Protocol):
    """A tree of groups, on disk or opened with xarray."""

    @property
    def place(self) -> str:
        """Path, address or name, for messages."""

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the root."""

    def names(self, path: str) -> list[str]:
        """Names of what is in a group, none if it is not there."""

    def variables(self, path: str) -> Variables:
        """Variables of a group with its coordinates, none if it is not there."""


@dataclass(frozen=True)
class Opened:
    """Groups of a tree that was opened with xarray."""

    tree: xr.DataTree

    @property
    def place(self) -> str:
        """Where it was opened, or its name."""
        place = self.tree.encoding.get("source") or self.tree.name
        return str(place) if place else "the tree"

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the root."""
        return {str(name): value for name, value in self.tree.attrs.items()}

    def names(self, path: str) -> list[str]:
        """Names of the groups and variables in a group."""
        node = self._node(path)
        return [] if node is None else sorted(map(str, (*node.children, *node.dataset.variables)))

    def variables(self, path: str) -> Variables:
        """Variables of a group."""
        node = self._node(path)
        return {} if node is None else dict(node.dataset.variables)

    def _node(self, path: str) -> xr.DataTree | None:
        node = self.tree
        for name in path.split("/"):
            if name and name not in node.children:
                return None
            node = node.children[name] if name else node
        return node


# -------------------------------------------------------------------------------------------------------------- format


def is_product(place: str) -> bool:
    """Whether a path or address is a product of this format; quick, and never an error."""
    if "://" in place:
        # of an address that is named like a product it is not asked each time
        name = place.rstrip("/").rsplit("/", 1)[-1]
        return _NAME.fullmatch(name) is not None or zarr_stores.is_tree(place, '"stac_discovery"')
    path = str(Path(place).expanduser())
    return any(zarr_stores.is_tree(path, inside) for inside in ("/measurements/", '"stac_discovery"'))


def open_product(place: str, tile: Sequence[str] | None) -> list[Product]:
    """The product in a store, unless it is of another tile than wanted."""
    store = open_store(place if "://" in place else str(Path(place).expanduser().absolute()))
    return _wanted(EopfProduct(store), tile)


def is_tree(value: Any) -> bool:
    """Whether something that was opened with xarray is such a product."""
    return isinstance(value, xr.DataTree) and ("measurements" in value.children or "stac_discovery" in value.attrs)


def open_tree(tree: xr.DataTree, tile: Sequence[str] | None) -> list[Product]:
    """The product of a tree that was opened with xarray, unless it is of another tile than wanted."""
    return _wanted(EopfProduct(Opened(tree)), tile)


def _wanted(product: EopfProduct, tile: Sequence[str] | None) -> list[Product]:
    own = product.scene.tile
    if tile is not None and own not in tile:
        raise NoSuchTile(
            f"open_stack() needs tile {' or '.join(tile)}; {product.place} has {own or 'one that it does not tell'}. "
            "Pass tile= that one, or leave the product out."
        )
    return [product]


@dataclass(frozen=True)
class EopfProduct:
    """A product of one tile and one date."""

    groups: Groups

    @property
    def place(self) -> str:
        """Path or address, for messages."""
        return self.groups.place

    @property
    def scene(self) -> Scene:
        """What the product tells of its acquisition."""
        return metadata.scene(self.groups.attrs, self.place)

    @property
    def scenes(self) -> Sequence[Scene]:
        """What is known of the acquisition without a band."""
        return [self.scene]

    @property
    def contents(self) -> Contents:
        """Its bands, and the share of clouds."""
        sizes: dict[str, float | None] = {name: float(min(steps)) for name, steps in sorted(self._offered().items())}
        return Contents(sizes, clouds=percent(metadata.properties(self.groups.attrs).get("eo:cloud_cover")))

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """Images of a band, of most products one."""
        self._check_kind()
        name, path = self._find(band)
        variable = self._variables(path)[name]
        data = _with_axes(variable, self._variables(path), path, self.place)
        values = arrays.decoded(variable, nodata=nodata, zero=True)
        stored = _stored(self.place, f"{path}/{name}", values.variable)
        grid = arrays.grid_of(data, metadata.crs(self.groups.attrs, self.place), f"{path}/{name} of {self.place}")
        scene = replace(self.scene, band=band_of(name) or str(name), **self._mean_angles(band_of(name)))
        if values.is_scaled:
            scene = replace(scene, radiometric_offset=0.0, quantification=1.0)
        check = None
        if isinstance(self.groups, zarr_stores.Store):
            check = partial(_check_lost, self, f"{path}/{name}", variable, grid)
        image = ArrayImage(scene.name, grid, stored, values.fills, values.dtype, check_lost=check)
        if "time" not in variable.dims:
            return [Layer(scene, image)]
        return _of_dates(scene, image, data)

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Number of the detector that saw each pixel of a grid, uint8 (rows, columns), 0 where none did."""
        name, _ = self._find(band)
        found = self._footprint(band_of(name) or str(name))
        if found is None:
            raise self._without(_DETECTORS, "detectors")
        stored, place = found
        check_crs(grid, place.crs, stored.place)
        return arrays.sampled(stored, place, grid, outside=0)

    def class_layer(self, grid: Grid) -> Classes:
        """Scene classification of L2A; clouds and snow of L1C, as bits."""
        for path, name in _CLASSES:
            steps = sorted(each for each in self.groups.names(path) if each.startswith("r"))
            for step in steps:
                found = self._layer(f"{path}/{step}", name)
                if found is None:
                    continue
                are_bits = name != "scl"
                names = dict(CLOUD_BITS if are_bits else SCENE_CLASSES)
                values = arrays.sampled(*found, grid, outside=names["no_data"])
                return Classes(values, names, are_bits, found[1].crs)
        raise self._without(_CLASSES[-1][0], "class_layer")

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of sun and view at each pixel of a grid, float32 (rows, columns) [degrees], NaN where unknown."""
        variables = self._variables(_GEOMETRY)
        lacking = {"angle", "band", "detector", "x", "y", "sun_angles", "viewing_incidence_angles"} - set(variables)
        if lacking:
            path = f"{_GEOMETRY}/{min(map(str, lacking))}" if variables else _GEOMETRY
            raise self._without(path, "angles")
        seen_by = self.detectors(band, grid)
        known = band_of(self._find(band)[0])
        return angles_at(_tile_angles(variables, known, self.place), seen_by, grid.x_centres, grid.y_centres)

    # ---------------------------------------------------------------------------------------------------------- finding

    def _check_kind(self) -> None:
        """Refuse products of other sensors and levels, and those that lack their measurements."""
        kind = metadata.product_type(self.groups.attrs)
        if kind and not re.fullmatch(r"S02MSIL(1C|2A)", kind):
            raise ValueError(
                f"open_stack() needs Sentinel-2 products of level 1C or 2A; got {self.place}, whose type is {kind}. "
                "Fetch these, or open it with xarray.open_datatree()."
            )
        if not self.groups.names(_MEASUREMENTS):
            raise self._without(_MEASUREMENTS, "open_stack")

    def _without(self, path: str, caller: str) -> ValueError:
        """Error of a group that is missing, with those that are there beside it."""
        above = path
        while above and not self.groups.names(above):
            above = above.rpartition("/")[0]
        beside = ", ".join(self.groups.names(above)) or "nothing"
        return ValueError(
            f"{caller}() needs the group '{path}' of the product; {self.place} has {beside} in "
            f"{repr(above) if above else 'its root'}. It is incomplete: fetch it again, or leave it out."
        )

    def _find(self, band: int | str | None) -> tuple[str, str]:
        """Name of a band as it is stored and the path of its group, of the finest pixels unless they are said."""
        return metadata.choose(band, self._offered(), self.place)

    def _offered(self) -> Bands:
        """Bands that are there."""
        offered: Bands = {}
        for step in (10, 20, 60):
            path = next((each for each in self.groups.names(_MEASUREMENTS) if each.lower() == f"r{step}m"), None)
            for name in self.groups.names(f"{_MEASUREMENTS}/{path}") if path else ():
                known = band_of(name)
                if known:
                    offered.setdefault(known, {})[step] = (name, f"{_MEASUREMENTS}/{path}")
        return offered

    def _variables(self, path: str) -> Variables:
        return self.groups.variables(path)

    def _layer(self, path: str, name: str) -> tuple[Stored, Grid] | None:
        """A mask of uint8 as it is stored, and its grid."""
        variables = self._variables(path)
        found = next((each for each in variables if str(each).lower() == name.lower()), None)
        if found is None:
            return None
        variable = variables[found]
        data = _with_axes(variable, variables, path, self.place)
        stored = _stored(self.place, f"{path}/{found}", variable)
        return stored, arrays.grid_of(data, metadata.crs(self.groups.attrs, self.place), f"{path} of {self.place}")

    def _footprint(self, band: str) -> tuple[Stored, Grid] | None:
        """Detector footprints of a band, which are there in its own size of pixels."""
        found = (self._layer(f"{_DETECTORS}/{step}", band) for step in self.groups.names(_DETECTORS))
        return next((each for each in found if each is not None), None)

    def _mean_angles(self, band: str | None) -> dict[str, Any]:
        """Mean angles of sun and view of a band, as far as they are told."""
        variables = self._variables(_GEOMETRY)
        found: dict[str, float] = {}
        if "angle" not in variables:
            return found
        read = partial(_read, self.place, variables)
        order = as_text(read("angle"))
        if not {"zenith", "azimuth"} <= set(order):
            return found
        if "mean_sun_angles" in variables:
            sun = np.ravel(read("mean_sun_angles"))
            found["sun_azimuth"] = float(sun[order.index("azimuth")])
            found["sun_elevation"] = 90.0 - float(sun[order.index("zenith")])
        if "mean_viewing_incidence_angles" in variables and "band" in variables:
            bands = [band_of(each) for each in as_text(read("band"))]
            if band in bands:
                view = read("mean_viewing_incidence_angles", "band", "angle")[bands.index(band)]
                found["view_azimuth"] = float(view[order.index("azimuth")])
                found["view_zenith"] = float(view[order.index("zenith")])
        return {name: value for name, value in found.items() if np.isfinite(value)}


def _stored(place: str, name: str, variable: xr.Variable) -> Stored:
    return Stored(place, name, variable, pieces_of(variable), caller="open_stack")


def _read(place: str, variables: Variables, name: str, *dims: str) -> np.ndarray:
    """Values of a small variable of the geometry, all at once, along the dims given."""
    variable = variables[name].transpose(*dims) if dims else variables[name]
    return Stored(place, f"{_GEOMETRY}/{name}", variable, variable.shape, caller="open_stack").raw()


def _with_axes(variable: xr.Variable, variables: Variables, path: str, place: str) -> xr.DataArray:
    """Variable with the coordinates beside it."""
    if set(variable.dims) - {"time"} != {"y", "x"}:
        raise ValueError(
            f"open_stack() needs images (y, x); {path} of {place} has {variable.dims}. It is no product as the format "
            "has it: fetch it again."
        )
    coords = {}
    for axis in (each for each in ("time", "y", "x") if each in variables and each in variable.dims):
        own = variables[axis]
        coords[axis] = xr.Variable(own.dims, _stored(place, f"{path}/{axis}", own).raw(), own.attrs)
    if "time" in coords:
        coords["time"] = xr.conventions.decode_cf_variable("time", coords["time"])
    attrs = {key: value for key, value in variable.attrs.items() if key not in ("_FillValue", "missing_value")}
    empty = xr.DataArray(variable, coords=coords).assign_attrs(attrs)
    if "spatial_ref" in variables:
        empty = empty.assign_coords(spatial_ref=variables["spatial_ref"])
    return empty


def _tile_angles(variables: Variables, band: str | None, place: str) -> TileAngles:
    """Grids of angles of a band, by number of the detector."""
    read = partial(_read, place, variables)
    order = as_text(read("angle"))
    bands = [band_of(each) for each in as_text(read("band"))]
    numbers = [re.sub(r"\D", "", each) for each in as_text(read("detector"))]
    x, y = (read(axis).astype(np.float64) for axis in ("x", "y"))
    is_whole = {"zenith", "azimuth"} <= set(order) and band in bands and all(numbers) and min(x.size, y.size) > 1
    if not is_whole:
        raise ValueError(
            f"angles() needs zenith and azimuth of {band} at the nodes of a grid; {place} has {', '.join(order)} of "
            f"{', '.join(map(str, bands))} at {y.size} x {x.size}. It is incomplete: fetch it again, or leave it out."
        )

    def laid(values: np.ndarray) -> AngleGrid:
        vectors = directions.vectors(values[order.index("zenith")], values[order.index("azimuth")])
        return AngleGrid(float(x[0]), float(y[0]), float(x[1] - x[0]), float(y[1] - y[0]), vectors)

    seen = read("viewing_incidence_angles", "band", "detector", "angle", "y", "x")[bands.index(band)]
    views = {int(number): filled(laid(values)) for number, values in zip(numbers, seen, strict=True)}
    return TileAngles(laid(read("sun_angles", "angle", "y", "x")), views)


def _of_dates(scene: Scene, image: ArrayImage, data: xr.DataArray) -> list[Layer]:
    """A layer of every date of a variable (time, y, x)."""
    times = data["time"].values if "time" in data.coords else np.array([scene.date])
    return [
        Layer(replace(scene, date=when), replace(image, index=k, check_lost=None))
        for k, when in enumerate(times.astype("datetime64[us]"))
    ]


def _check_lost(
    product: EopfProduct, path: str, variable: xr.Variable, grid: Grid, window: Window, invalid: np.ndarray
) -> None:
    """Refuse chunks of a band that are not there where a detector saw the ground: they were lost.

    Chunks beyond the swath are left out by writers that leave out what holds no data.
    """
    store = product.groups
    assert isinstance(store, zarr_stores.Store)
    top, left = window[0].start, window[1].start
    pieces = pieces_of(variable)
    for chunk, (rows, columns) in zarr_stores.chunks_in(window, pieces):
        part = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        if not invalid[part].all() or not store.is_missing(path, variable, chunk):
            continue
        footprint, seen = None, None
        with suppress(OSError):  # not even the names in it are told: it was removed
            footprint = product._footprint(band_of(path.rpartition("/")[2]) or "")
        if footprint is not None and not _is_gone(store, footprint[0]):
            seen = arrays.sampled(*footprint, grid.part((rows, columns)), outside=0)
        if seen is None or seen.any():
            where = placed(variable.dims, [(rows.start, rows.stop), (columns.start, columns.stop)], pieces)
            raise OSError(
                f"open_stack() needs whole products; {where} of '{path}' of {product.place} is not there, and no "
                "footprint of a detector says that it holds no data. It was lost: fetch the product again."
            )


def _is_gone(store: zarr_stores.Store, footprint: Stored) -> bool:
    """Whether a store has no chunk of a footprint at all, as after it was removed: some detector saw any product."""
    counts = [range(-(-size // piece)) for size, piece in zip(footprint.shape, footprint.pieces, strict=True)]
    return all(store.is_missing(str(footprint.name), footprint.variable, each) for each in itertools.product(*counts))
