"""Which of many scenes make one stack: no acquisition twice, nothing mixed unasked, tiles of a pass side by side."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from xoffset import _options
from xoffset.model.platforms import LANDSAT, OLD_LANDSAT
from xoffset.readers import bands, dates, mosaics
from xoffset.readers.scenes import Layer, Scene

# Images of one satellite and orbit that are closer than this are of one pass: the next one is an orbit later.
_ONE_PASS = np.timedelta64(10, "m")
# Starts of data strips that are closer than this are of one, processed twice.
_ONE_STRIP = np.timedelta64(5, "s")

_log = logging.getLogger(__name__)


def as_orbits(orbit: int | Iterable[int] | None) -> tuple[int, ...] | None:
    """Relative orbits wanted, None for whichever there is."""
    if orbit is None:
        return None
    several = isinstance(orbit, Iterable) and not isinstance(orbit, (str, bytes))
    numbers: list[Any] = list(orbit) if several else [orbit]  # type: ignore[arg-type]
    if not numbers or not all(_options.is_whole(number) and number > 0 for number in numbers):
        raise ValueError(
            f"open_stack() needs orbit= as a relative orbit or several; got {orbit!r}. Pass a number such as orbit=8, "
            "or orbit=[8, 51]."
        )
    return tuple(dict.fromkeys(int(number) for number in numbers))


def of_band(paths: Sequence[str], band: int | str | None) -> dict[int, int | str | None]:
    """Positions of the raster files to open, and the band to take within each.

    Names that tell the band choose among the files; within those chosen it is the only one.
    """
    scenes = [dates.told(path) for path in paths]
    named = {k for k, scene in enumerate(scenes) if scene and scene.band}
    chosen = {k for k in named if _is_band(scenes[k], band)}
    wanted = [k for k in range(len(paths)) if k in chosen or k not in named] if chosen else list(range(len(paths)))
    _tell_left_out([scene for scene in scenes if scene], [scenes[k] for k in chosen], band)
    _check_bands([scene for k in wanted if (scene := scenes[k])])
    return {k: None if k in chosen else band for k in wanted}


def _tell_left_out(scenes: Sequence[Scene], chosen: Sequence[Scene | None], band: int | str | None) -> None:
    """Say which satellites have files of other bands only, as one calls "nir08" what the other calls "nir"."""
    seen = {bands.family(scene.platform) for scene in chosen if scene}
    for members in _grouped(scenes, lambda scene: bands.family(scene.platform)):
        kind = bands.family(members[0].platform)
        if seen and kind not in seen:
            there = ", ".join(sorted({str(bands.common_name(scene)) for scene in members}))
            _log.warning("open_stack(): no file of %s shows band %r; left out are those of %s.", kind, band, there)


def _is_band(scene: Scene | None, band: int | str | None) -> bool:
    return scene is not None and isinstance(band, str) and band in (scene.band, bands.common_name(scene))


def choose(
    products: Sequence[Layer], files: Sequence[Layer], tile: Sequence[str] | None, orbit: Sequence[int] | None
) -> list[Layer]:
    """Images of a stack, one a date, from those of products and of raster files.

    Of products, which tell more than names do, it also refuses mixtures that were not asked for and takes the newest of
    those of one acquisition.
    """
    wanted = _of_orbits(_of_tiles([*products, *files], tile), orbit)
    # images need not be comparable
    from_products = {id(layer) for layer in products}
    delivered = [layer for layer in wanted if id(layer) in from_products]
    by_name = [layer for layer in wanted if id(layer) not in from_products]
    for members in _grouped(delivered, lambda layer: bands.family(layer.scene.platform)):
        scenes = [layer.scene for layer in members]
        if orbit is None:
            _check_one(scenes, "relative orbit", lambda scene: scene.relative_orbit, "orbit={0} or orbit=[{0}, {1}]")
        _check_one(scenes, "level", _level, "a pattern such as 'scenes/*MSIL2A*' or 'scenes/*L1TP*'")
        _check_bands(scenes)
    _check_numbers([layer.scene for layer in wanted])
    may_differ = tile is not None
    layers = [
        *_side_by_side(_newest(delivered), may_differ=may_differ),
        # files of several places may have been put together on purpose, but for a pass
        *_side_by_side(by_name, may_differ=may_differ or len(_passes(by_name)) == len(by_name)),
    ]
    _check_dates(layers)
    return layers


# ------------------------------------------------------------------------------------------------------ what was wanted


def _of_tiles(layers: list[Layer], tile: Sequence[str] | None) -> list[Layer]:
    if tile is None:
        return layers
    silent = next((layer for layer in layers if layer.scene.tile is None), None)
    if silent:
        raise ValueError(
            f"open_stack() needs scenes that tell their tile for tile=; got {silent.scene.name}, which does not. "
            "Leave tile= out, and crop with bbox=."
        )
    there = {layer.scene.tile for layer in layers}
    missing = [name for name in tile if name not in there]
    if missing or not layers:
        raise ValueError(
            f"open_stack() needs scenes of tile {', '.join(missing or tile)}; got "
            f"{_counted((layer.scene.tile for layer in layers), 'none of the tiles wanted')}. Pass one or several of "
            "those that are there, or look for the scenes that are missing."
        )
    return [layer for layer in layers if layer.scene.tile in tile]


def _of_orbits(layers: list[Layer], orbit: Sequence[int] | None) -> list[Layer]:
    if orbit is None:
        return layers
    silent = next((layer for layer in layers if layer.scene.relative_orbit is None), None)
    if silent:
        raise ValueError(
            f"open_stack() needs scenes that tell their orbit for orbit=; got {silent.scene.name}, which does not. "
            "Leave orbit= out, or open products with their metadata."
        )
    there = [layer.scene.relative_orbit for layer in layers]
    missing = [str(number) for number in orbit if number not in there]
    if missing:
        raise ValueError(
            f"open_stack() needs scenes of relative orbit {', '.join(missing)}; got {_counted(there)}. Pass one or "
            "several of those that are there."
        )
    for members in _grouped(layers, lambda layer: bands.family(layer.scene.platform)):
        orbits = [layer.scene.relative_orbit for layer in members]
        if not set(orbits) & set(orbit):
            raise ValueError(
                f"open_stack() needs orbit= with one of every kind of satellite; got {list(orbit)}, none of "
                f"{bands.family(members[0].scene.platform)}, which has {_counted(orbits)}. Add one of these, or leave "
                "these scenes out."
            )
    return [layer for layer in layers if layer.scene.relative_orbit in orbit]


# --------------------------------------------------------------------------------------------- mixtures and duplicates


def _check_one(scenes: Sequence[Scene], what: str, of: Callable[[Scene], Any], choice: str) -> None:
    """Refuse scenes of several kinds."""
    there = [value for value in map(of, scenes) if value is not None]
    kinds = sorted(set(there))
    if len(kinds) > 1:
        raise ValueError(
            f"open_stack() needs {bands.family(scenes[0].platform)} scenes of one {what}; got {_counted(there)}. "
            f"Say which: {choice.format(*kinds)}."
        )


def _level(scene: Scene) -> str | None:
    """Level of processing: of Landsat L1TP, L1GT and L1GS are one."""
    if scene.level is None or bands.family(scene.platform) not in (LANDSAT, OLD_LANDSAT):
        return scene.level
    return scene.level[:2]


def _check_bands(scenes: Sequence[Scene]) -> None:
    """Refuse bands that see different light; a number may be another band on another sensor."""
    for members in _grouped(scenes, lambda scene: bands.family(scene.platform)):
        told = [scene for scene in members if scene.band]
        if len({bands.common_name(scene) for scene in told}) > 1:
            there = _counted(bands.described(scene) for scene in told)
            raise ValueError(
                f"open_stack() needs {bands.family(members[0].platform)} images of one band; got {there}. Say which: "
                f"band={bands.common_name(told[0])!r}, or a pattern that fits the files of one band."
            )


def _check_numbers(scenes: Sequence[Scene]) -> None:
    """Refuse bands of one number that see different light, over all sensors."""
    for members in _grouped([scene for scene in scenes if bands.number(scene)], bands.number):
        first = members[0]
        for other in members[1:]:
            if not set(bands.common_names(first)) & set(bands.common_names(other)):
                both = f"{bands.described(first)} and {bands.described(other)}"
                raise ValueError(
                    f"open_stack() needs images of one band; got {both}, which see other light under one number. Say "
                    f"which by name: band={bands.common_name(first)!r}, or open the two kinds apart."
                )


def _newest(layers: Sequence[Layer]) -> list[Layer]:
    """Of the products of one acquisition the one that was made last."""
    kept: list[Layer] = []
    # by time, in slots as long as a pass: of hundreds of dates not each is compared with each
    near: dict[int, list[Layer]] = {}
    for layer in sorted(layers, key=lambda layer: (str(layer.scene.processed), layer.scene.name)):
        slot = int((layer.scene.date - np.datetime64(0, "us")) // _ONE_PASS)
        others = [each for k in (slot - 1, slot, slot + 1) for each in near.get(k, ())]
        for older in [each for each in others if _is_same(layer.scene, each.scene)]:
            times = older.scene.processed, layer.scene.processed
            if times[0] == times[1] is not None and older.scene.name == layer.scene.name:
                _log.warning("open_stack(): %s is there twice; the first one found counts.", layer.scene.name)
                break
            if None in times or times[0] == times[1]:
                raise ValueError(
                    f"open_stack() needs every acquisition once; got {older.image.name} and {layer.image.name} of "
                    f"{older.scene.name} and {layer.scene.name}, of which none was processed later. Leave one of them "
                    "out."
                )
            _log.warning(
                "open_stack(): of two products of one acquisition the one processed last counts: %s, not %s.",
                layer.scene.name,
                older.scene.name,
            )
            kept.remove(older)
            for members in near.values():
                members[:] = [each for each in members if each is not older]
        else:
            kept.append(layer)
            near.setdefault(slot, []).append(layer)
    return kept


def _is_same(first: Scene, second: Scene) -> bool:
    """Whether two products show one acquisition: sensing times may differ by seconds from baseline to baseline."""
    if None in (first.platform, first.tile) or abs(first.date - second.date) > _ONE_PASS:
        return False
    if is_beside(first, second):
        return False
    return (first.platform, first.tile, first.band) == (second.platform, second.tile, second.band)


def is_beside(first: Scene, second: Scene) -> bool:
    """Whether two products of a tile are of two data strips of one pass, each of which saw a part of it."""
    if first.strip_start is None or second.strip_start is None:
        return False
    is_alike = first.geometry == second.geometry and first.radiometric_offset == second.radiometric_offset
    return is_alike and bool(abs(first.strip_start - second.strip_start) > _ONE_STRIP)


def _check_dates(layers: Sequence[Layer]) -> None:
    """Refuse two images of one date."""
    seen: dict[np.datetime64, Layer] = {}
    for layer in layers:
        other = seen.setdefault(layer.scene.date, layer)
        if other is not layer:
            raise ValueError(
                f"open_stack() needs every date once; got {layer.scene.date} from both {_described(other)} and "
                f"{_described(layer)}. Keep one of them, narrow the pattern to one band and tile, or give the times of "
                "day, such as date=['2020-07-17T10:30', ...]."
            )


def _described(layer: Layer) -> str:
    """File of an image, and which of several in it."""
    file, name = layer.image.name, layer.scene.name
    return file if file.startswith(name) else f"{name} of {file}"


# ---------------------------------------------------------------------------------------------------------------- tiles


def _side_by_side(layers: Sequence[Layer], *, may_differ: bool) -> list[Layer]:
    """One image a pass: tiles that one satellite saw one after the other are put together."""
    found: list[Layer] = []
    for members in _grouped(layers, lambda layer: bands.family(layer.scene.platform)):
        passes = _passes(members)
        if not may_differ:
            _check_tiles(passes)
        found += [mosaics.join(each) if len(each) > 1 else each[0] for each in passes]
    return found


def _passes(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Images by pass, those of one in the order of their tiles."""
    passes: list[list[Layer]] = []
    for same in _grouped(layers, _track):
        first, *others = sorted(same, key=lambda layer: layer.scene.date)
        passes.append([first])
        for layer in others:
            if _continues(passes[-1], layer):
                passes[-1].append(layer)
            else:
                passes.append([layer])
    return [sorted(each, key=lambda layer: (str(layer.scene.tile), layer.scene.date)) for each in passes]


def _track(layer: Layer) -> tuple[str | None, str]:
    """Satellite and orbit of an image; names of Landsat tell the path by the first half of the tile."""
    scene = layer.scene
    orbit = scene.relative_orbit
    if orbit is None and re.fullmatch(r"\d{6}", scene.tile or ""):
        orbit = int(str(scene.tile)[:3])
    return scene.platform, str(orbit)


def _continues(members: Sequence[Layer], layer: Layer) -> bool:
    """Whether an image is another tile of a pass, or another part of a tile."""
    twins = [each for each in members if each.scene.tile == layer.scene.tile]
    if layer.scene.tile is None or not all(is_beside(each.scene, layer.scene) for each in twins):
        return False
    return bool(layer.scene.date - members[0].scene.date <= _ONE_PASS)


def _check_tiles(passes: Sequence[Sequence[Layer]]) -> None:
    """Refuse dates that do not have the same tiles."""
    sets = {tuple(dict.fromkeys(str(layer.scene.tile) for layer in members)) for members in passes}
    if len(sets) > 1:
        tiles = [name for members in passes for name in {str(layer.scene.tile) for layer in members}]
        first, *others = sorted(set(tiles), key=lambda name: (-tiles.count(name), name))
        several = ", ".join(f'"{name}"' for name in sorted([first, *others[:1]]))
        raise ValueError(
            f"open_stack() needs the same tiles on every date; of {len(passes)} dates {_counted(tiles, unit='date')}. "
            f'Take one, tile="{first}", or several, tile=[{several}], of which a date may lack one: there it is NaN.'
        )


# ------------------------------------------------------------------------------------------------------------- messages


def _grouped(members: Sequence[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    """Members that share a key, in the order in which they come."""
    groups: dict[Any, list[Any]] = {}
    for member in members:
        groups.setdefault(key(member), []).append(member)
    return list(groups.values())


def _counted(values: Iterable[Any], empty: str = "none", unit: str = "scene") -> str:
    """Values with the number of scenes that have them."""
    counts = sorted(Counter(map(str, values)).items())
    told = [f"{value} ({count} {unit}{'s' if count > 1 else ''})" for value, count in counts[:12]]
    return (", ".join(told) + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")) or empty
