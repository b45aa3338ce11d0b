"""What was chosen of a catalogue and what was not: gaps in time, mixtures, and the reasons."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xoffset.model.platforms import LANDSAT, SENTINEL2
from xoffset.readers import bands
from xoffset.readers.scenes import Layer
from xoffset.readers.stac.images import parts_of
from xoffset.readers.stac.times import Season

_log = logging.getLogger(__name__)

# Days after which a satellite sees the same ground from the same orbit again.
_CYCLES = {SENTINEL2: 10, LANDSAT: 16}
# Passes of the cycle that lie closer to an image than this have one.
_NEAR = np.timedelta64(12, "h")
_COORDINATES = {
    "collection": "collection of the catalogue",
    "processing_baseline": "baseline of the processing, of Landsat the collection",
    "refinement": "whether the geometry was tied to reference images",
}


@dataclass
class Account:
    """Items and passes that were left out, by reason: the date and the name of each."""

    left_out: dict[str, list[tuple[np.datetime64, str]]] = field(default_factory=dict)

    def leave(self, reason: str, date: np.datetime64, name: str) -> None:
        """Note what is left out, and why."""
        self.left_out.setdefault(reason, []).append((date, name))

    @property
    def told(self) -> str:
        """Reasons with the number of each, for messages."""
        return ", ".join(f"{len(names)} {reason}" for reason, names in self.left_out.items()) or "none left out"


def refuse_mixture(collections: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse items of several collections of which the caller does not know."""
    found = Counter(collections)
    if len(found) > 1 and not wanted:
        told = ", ".join(f"{name or 'none'} ({count} items)" for name, count in sorted(found.items()))
        raise ValueError(
            f"open_stac() needs items of one collection, unless several are asked for; got {told}. They may differ in "
            f"processing, scale and grid. Say which: collection={max(found)!r}, or a list of them."
        )


def attributes(
    layers: Sequence[Layer], seen: Sequence[Layer], account: Account, years: Sequence[int], season: Season | None
) -> dict[str, str]:
    """Attribute of a stack that tells what was chosen, as JSON; gaps and mixtures are logged, too.

    `seen` are all passes that would have been there, `years` those without any.
    """
    kinds = {name: Counter(of) for name, of in _by_date(layers).items()}
    gaps = _gaps(seen, [date for names in account.left_out.values() for date, _ in names], season)
    told: dict[str, Any] = {
        "images": len(layers),
        "passes": len(seen),
        "collections": dict(kinds["collection"]),
        "baselines": dict(kinds["processing_baseline"]),
        "refinement": dict(kinds["refinement"]),
        "passes_without_item": gaps,
        "years_without_image": list(years),
        "left_out": {
            why: [f"{_day(date)} {name}" for date, name in sorted(of)] for why, of in account.left_out.items()
        },
    }
    mixed = [f"{what} ({', '.join(sorted(map(str, of)))})" for what, of in kinds.items() if len(of) > 1]
    if mixed:
        _log.warning(
            "open_stac(): dates differ in %s. pairs() pairs those of one class of geometry alone, unless it is told "
            "otherwise.", " and ".join(mixed),
        )  # fmt: skip
    if gaps or account.left_out or years:
        _log.info(
            "open_stac(): %d images; %s; %d passes of the satellites have no item; years without an image: %s.",
            len(layers), account.told, len(gaps), ", ".join(map(str, years)) or "none",
        )  # fmt: skip
    return {"selection": json.dumps(told)}


def coordinates(layers: Sequence[Layer], clouds: Mapping[int, tuple[float | None, str]]) -> dict[str, xr.Variable]:
    """Coordinates on time: collection, baseline and refinement of each date, and its cloud cover where it is known.

    `clouds` are those of the layers by their identity.
    """
    found = {
        name: xr.Variable("time", np.array(values, dtype=object), {"long_name": _COORDINATES[name]})
        for name, values in _by_date(layers).items()
    }
    covers = [clouds.get(id(layer), (None, ""))[0] for layer in layers]
    if None in covers:
        covers = [_of_scene(layer) for layer in layers]
        where = "scene"
    else:
        where = " or ".join(sorted({clouds[id(layer)][1] for layer in layers}))
    if None not in covers:
        label = {"long_name": f"share of the {where} that clouds hide", "units": "percent"}
        found["cloud_cover"] = xr.Variable("time", np.array(covers, dtype=np.float64), label)
    return found


def _of_scene(layer: Layer) -> float | None:
    told = [part.told.cloud_cover for part in parts_of(layer.image)]
    known = [each for each in told if each is not None]
    return float(np.mean(known)) if known and len(known) == len(told) else None


def _by_date(layers: Sequence[Layer]) -> dict[str, list[str]]:
    """Collection, baseline and refinement of each layer; several of one pass are joined."""
    found: dict[str, list[str]] = {name: [] for name in _COORDINATES}
    for layer in layers:
        parts = parts_of(layer.image)
        for name, values in (
            ("collection", [part.item.collection or "unknown" for part in parts]),
            ("processing_baseline", [part.told.baseline or "unknown" for part in parts]),
            ("refinement", [part.told.refined for part in parts]),
        ):
            found[name].append(" + ".join(dict.fromkeys(values)))
    return found


def _gaps(layers: Sequence[Layer], others: Sequence[np.datetime64], season: Season | None) -> list[str]:
    """Passes between the first and the last image of a satellite and orbit, in season, that have no item: day and name.

    `others` are the dates of items that were left out.
    """
    found: list[tuple[np.datetime64, str]] = []
    tracks: dict[tuple[str, int], list[np.datetime64]] = {}
    for layer in layers:
        scene = layer.scene
        if scene.platform and scene.relative_orbit is not None:
            tracks.setdefault((scene.platform, scene.relative_orbit), []).append(scene.date)
    for (platform, orbit), dates in tracks.items():
        days = _CYCLES.get(bands.family(platform))
        if days is None:
            continue
        step = np.timedelta64(days, "D")
        there = np.sort(np.array([*dates, *others]))
        for expected in np.arange(min(dates), max(dates), step):
            first, last = np.searchsorted(there, np.array([expected - _NEAR, expected + _NEAR]))
            is_wanted = season is None or season.holds(expected)
            if is_wanted and first == last:
                found.append((expected, f"{platform} orbit {orbit}"))
    return [f"{_day(when)} {name}" for when, name in sorted(found)]


def _day(date: np.datetime64) -> str:
    return str(date.astype("datetime64[D]"))
