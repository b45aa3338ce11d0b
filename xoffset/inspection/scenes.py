"""Products of satellites, one or many: acquisitions, bands, clouds and what is missing, from their metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from xoffset import _options
from xoffset.inspection import datasets
from xoffset.inspection.info_text import Facts, Info
from xoffset.inspection.stores import CALLER
from xoffset.readers import grids, products
from xoffset.readers.scenes import Contents, Product, Scene

# What of a scene is counted: name of the fact -> name in the scene.
_COUNTED = {"sensors": "platform", "levels": "level", "tiles": "tile", "orbits": "relative_orbit"}


def of_products(path: str, places: Sequence[str]) -> Info:
    """Info of products; those that cannot be used are problems, or the error of a single one."""
    found: list[tuple[Scene, Contents, Product]] = []
    problems: list[str] = []
    for place in places:
        try:
            with _options.speaking_as(CALLER, "open_stack"):
                opened = products.open_products(place, None)
                found += [(scene, each.contents, each) for each in opened for scene in each.scenes]
        except (OSError, ValueError, ImportError) as error:
            problems.append(str(error))
            first = error
    if not found:
        raise first
    scenes = [scene for scene, _, _ in found]
    facts: Facts = {"scenes": {"number": len(scenes)} | _counts(scenes)}
    facts |= _grids(found, problems)
    facts["dates"] = datasets.dates([scene.date for scene in scenes])
    facts["bands"] = {name: size for _, each, _ in reversed(found) for name, size in each.bands.items()}
    missing = {scene.name: list(each.missing) for scene, each, _ in found if each.missing}
    missing |= _without_tiles(scenes)
    facts |= {"missing": missing} if missing else {}
    facts |= _clouds([each.clouds for _, each, _ in found if each.clouds is not None])
    facts |= _notes(scenes)
    return Info(path, "scene" if len(scenes) == 1 else "scenes", facts, problems=tuple(problems))


def _counts(scenes: Sequence[Scene]) -> Facts:
    """Number of scenes by satellite, level, tile and orbit."""
    found = {}
    for name, attribute in _COUNTED.items():
        values = [str(value) for scene in scenes if (value := getattr(scene, attribute)) is not None]
        if values:
            found[name] = dict(sorted(Counter(values).items()))
    return found


def _grids(found: Iterable[tuple[Scene, Contents, Product]], problems: list[str]) -> Facts:
    """Grid of the finest band of the first scene of each tile, by the header of its image or by the metadata."""
    by_tile: dict[str, tuple[Facts, str | None]] = {}
    for scene, contents, product in found:
        tile = scene.tile or ""
        if tile not in by_tile and (known := _grid(contents, product, problems)):
            by_tile[tile] = known
    laid = {tile: grid for tile, (grid, _) in by_tile.items()}
    codes = list(dict.fromkeys(str(crs) for _, crs in by_tile.values()))
    if not laid:
        return {}
    facts: Facts = {"grid": next(iter(laid.values()))} if len(laid) == 1 else {"grids": laid}
    return facts | {"crs": None if codes == ["None"] else "; ".join(codes)}


def _grid(contents: Contents, product: Product, problems: list[str]) -> tuple[Facts, str | None] | None:
    there = [name for name in contents.bands if name not in contents.missing]
    name = min(there, key=lambda name: (contents.bands[name] or np.inf, name), default=None)
    unit = {"unit_of_grid": "pixels", "units": "m"}
    if name is not None:
        try:
            with _options.speaking_as(CALLER, "open_stack"):
                grid = product.layers(name, None)[0].image.grid
        except (OSError, ValueError) as error:
            problems.append(str(error))
        else:
            shape = {"columns": grid.width, "rows": grid.height, "spacing": [abs(grid.dx), abs(grid.dy)]}
            return unit | shape | {"extent": list(grid.bounds_of_all)}, datasets.named(grids.as_pyproj(grid.crs))
    if contents.extent is None:
        return None
    import pyproj

    code, (left, bottom, right, top) = contents.extent
    step = min((size for size in contents.bands.values() if size), default=10.0)
    shape = {"columns": round((right - left) / step), "rows": round((top - bottom) / step), "spacing": [step, step]}
    return unit | shape | {"extent": [left, bottom, right, top]}, datasets.named(pyproj.CRS.from_user_input(code))


def _without_tiles(scenes: Sequence[Scene]) -> dict[str, list[str]]:
    """Tiles that are there on other dates, but not on this one of the same satellite and orbit."""
    found: dict[str, list[str]] = {}
    passes: dict[Any, set[str]] = {}
    of_orbit: dict[Any, set[str]] = {}
    for scene in (each for each in scenes if each.tile and each.relative_orbit is not None):
        day = str(scene.date.astype("datetime64[D]"))
        orbit = ((scene.platform or "")[:2], scene.relative_orbit)
        passes.setdefault((day, orbit), set()).add(str(scene.tile))
        of_orbit.setdefault(orbit, set()).add(str(scene.tile))
    for (day, orbit), tiles in sorted(passes.items()):
        lost = sorted(of_orbit[orbit] - tiles)
        if lost:
            found.setdefault(f"{day}, orbit {orbit[1]}", []).extend(f"tile {tile}" for tile in lost)
    return found


def _clouds(shares: Sequence[float]) -> Facts:
    if not shares:
        return {}
    ends = {"least": min(shares), "median": float(np.median(shares)), "most": max(shares)}
    return {"clouds": {"number": len(shares)} | ends}


def _notes(scenes: Sequence[Scene]) -> Facts:
    """What is to be known before scenes are matched."""
    notes = []
    gaps = [scene.name for scene in scenes if scene.has_gaps]
    if gaps:
        notes.append(f"{len(gaps)} of {len(scenes)} have gaps of the failed scan line corrector")
    kinds = sorted({scene.geometry for scene in scenes if scene.geometry})
    if len(kinds) > 1:
        notes.append(f"{len(kinds)} classes of processing geometry: {'; '.join(kinds[:4])}")
    elif kinds:
        notes.append(f"processing geometry: {kinds[0]}")
    return {"note": notes} if notes else {}
