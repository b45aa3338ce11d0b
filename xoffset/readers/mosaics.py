"""Tiles of one pass side by side: one image of several, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xoffset._arrays.scenes.directions import mean
from xoffset.readers import grids
from xoffset.readers.grids import Grid, Window
from xoffset.readers.scenes import Image, Layer, Scene


@dataclass(frozen=True)
class Mosaic:
    """Images on one lattice, of which the first that has a value counts."""

    parts: tuple[Image, ...]
    places: tuple[Window, ...]  # of the parts, counted from the first pixel of the grid
    grid: Grid  # that holds all parts

    @property
    def name(self) -> str:
        """Names of the parts."""
        return " + ".join(part.name for part in self.parts)

    @property
    def result_dtype(self) -> np.dtype:
        """Type that holds every value of all parts and NaN."""
        return np.result_type(*(part.result_dtype for part in self.parts))

    @property
    def is_local(self) -> bool:
        """Images without georeference have no place beside each other."""
        return False

    @property
    def strip(self) -> int:
        """Rows that are best read together: as those of the parts, whose tiles may start on other rows."""
        return max(part.strip for part in self.parts)

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window as floats, NaN where no part has any."""
        out = np.full([edge.stop - edge.start for edge in window], np.nan, dtype=self.result_dtype)
        for part, place in zip(self.parts, self.places, strict=True):
            common = grids.common(place, window)
            if common is None:
                continue
            shown = out[grids.within(common, window)]
            lacks = np.isnan(shown)
            if lacks.any():
                shown[lacks] = part.read(grids.within(common, place))[lacks]
        return out


def join(layers: Sequence[Layer]) -> Layer:
    """Tiles of one pass as one image, in the order given; its date is that of the earliest."""
    images, scenes = [layer.image for layer in layers], [layer.scene for layer in layers]
    base = images[0].grid
    places = [grids.place(image.grid, base) for image in images]
    apart = [k for k, place in enumerate(places) if place is None]
    if apart or any(image.is_local for image in images):
        k = apart[0] if apart else 0
        raise ValueError(
            f"open_stack() needs tiles of one grid, to put them side by side; got tile {scenes[k].tile} "
            f"({grids.difference(images[k].grid, base)}) beside {scenes[0].tile} of one pass. Open one "
            f"kind of them: tile={str(scenes[0].tile)!r} or tile={str(scenes[k].tile)!r}."
        )
    _check_values(scenes)
    whole = grids.union([place for place in places if place])
    inside = tuple(grids.within(place, whole) for place in places if place)
    return Layer(_scene(scenes), Mosaic(tuple(images), inside, base.part(whole)))


def _check_values(scenes: Sequence[Scene]) -> None:
    """Refuse tiles whose values mean different things: the seam would be an edge that is not on the ground."""
    first = scenes[0]
    for other in scenes[1:]:
        for name in ("radiometric_offset", "quantification"):
            one, two = getattr(first, name), getattr(other, name)
            if one != two:
                raise ValueError(
                    f"open_stack() needs tiles of one pass with one {name} to put them side by side; got {one} of "
                    f"{first.name} and {two} of {other.name}, which were processed differently. Open one of them, "
                    f"tile={str(first.tile)!r}, or get both from one processing baseline."
                )


def _scene(scenes: Sequence[Scene]) -> Scene:
    """What is known of several tiles: the earliest date, mean angles, texts joined where they differ."""
    texts: dict[str, Any] = {}
    for name in ("name", "platform", "tile", "level", "band", "geometry"):
        values = list(dict.fromkeys(getattr(scene, name) for scene in scenes))
        texts[name] = None if None in values else " + ".join(values)
    sun = _mean_direction([(scene.sun_azimuth, scene.sun_elevation) for scene in scenes])
    views = [(each.view_azimuth, None if each.view_zenith is None else 90.0 - each.view_zenith) for each in scenes]
    azimuth, elevation = _mean_direction(views)
    return replace(
        scenes[0],
        **texts,
        date=min(scene.date for scene in scenes),
        has_gaps=any(scene.has_gaps for scene in scenes),
        sun_azimuth=sun[0],
        sun_elevation=sun[1],
        view_azimuth=azimuth,
        view_zenith=None if elevation is None else 90.0 - elevation,
    )


def _mean_direction(directions: Sequence[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    """Azimuth and elevation [degrees] of the mean of unit vectors; unknown if one of them is."""
    if len(set(directions)) == 1:
        return directions[0]
    known = [(azimuth, elevation) for azimuth, elevation in directions if azimuth is not None and elevation is not None]
    return mean(known) if len(known) == len(directions) else (None, None)
