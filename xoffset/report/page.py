"""The page: its template filled with texts, tables and data, and the libraries and pictures that it needs inside it."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from xoffset.report import tables
from xoffset.report.folder import Run
from xoffset.report.layers import Maps, palette
from xoffset.report.measures import Measures, dates_of
from xoffset.report.verdict import NOTE, Verdict

_MARKS = {"good": "✓", "care": "!", "bad": "✕", "unfinished": "…", NOTE: "–"}
_NO_MAP = '<p class="note">There is no map yet: no stage has written vectors.</p>'


def page(run: Run, measures: Measures, verdict: Verdict, maps: Maps | None, given: dict[str, Any]) -> str:
    """Text of the page.

    `given`: `nodes`, the series; `poster`, a picture of the map; `above`, what leads from the page to the folder;
    `valid`, shares of the vectors by stage.
    """
    texts = {
        "title": tables.text(f"{run.name}: report of {run.recipe_name}"),
        "name": tables.text(run.name),
        "recipe": tables.text(run.recipe_name),
        "span": tables.text(_span(measures)),
        "grade": verdict.grade,
        "mark": _MARKS[verdict.grade],
        "verdict": tables.text(verdict.sentence),
        "reasons": _reasons(verdict, run),
        "no_map": _NO_MAP if maps is None else "",
        "map_part": _map_part(maps, given["nodes"], given["poster"]),
        "has_network": "" if dates_of(measures).size else "hidden",
        "losses": tables.losses(measures),
        "pairs": tables.pairs(measures),
        "closure": tables.closure_text(measures),
        "dates": tables.dates(measures),
        "stable": tables.stable(measures),
        "coverage": tables.coverage(run, given["valid"]),
        "parameters": tables.parameters(run),
        "provenance": tables.provenance(run, next(reversed(run.products.values()), None)),
        "downloads": tables.downloads(run, given["above"]),
        "version": tables.text(run.version or "unknown"),
        "data": _in_script(_data(maps, given["nodes"], _network(measures))),
    }
    return Template(_file("page.html")).substitute(texts | _libraries())


def map_page(title: str, maps: Maps, nodes: dict[str, Any], picture: str, version: str) -> str:
    """Text of a page with the map alone; `nodes` and `picture` as the series and the poster of `page`."""
    texts = {
        "title": tables.text(title),
        "version": tables.text(version),
        "map_part": _map_part(maps, nodes, picture),
        "data": _in_script(_data(maps, nodes, None)),
    }
    return Template(_file("map.html")).substitute(texts | _libraries())


def _map_part(maps: Maps | None, nodes: dict[str, Any], picture: str) -> str:
    texts = {
        "has_map": "" if maps is not None else "hidden",
        "poster": f"data:image/png;base64,{picture}" if picture else "",
        "map_notes": _map_notes(maps, nodes),
    }
    return Template(_file("map_part.html")).substitute(texts)


@cache
def _file(name: str) -> str:
    place = files("xoffset.report")
    for part in name.split("/"):
        place = place / part
    return place.read_text(encoding="utf-8")


def _libraries() -> dict[str, str]:
    """Scripts and styles to be put into the page; the map of a source is not looked for."""
    scripts = [
        "\n".join(line for line in _file(name).splitlines() if not line.startswith("//# sourceMappingURL"))
        for name in ("vendor/leaflet/leaflet.js", "vendor/uplot/uPlot.iife.min.js", "page.js")
    ]
    styles = [_file(name) for name in ("vendor/leaflet/leaflet.css", "vendor/uplot/uPlot.min.css", "page.css")]
    return {"scripts": "</script><script>".join(scripts), "styles": "\n".join(styles)}


def _in_script(value: Any) -> str:
    """JSON that ends no script, whatever is in its texts."""
    return json.dumps(_plain(value), allow_nan=False, ensure_ascii=True).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """Values that JSON can hold: what is not known is null."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _data(maps: Maps | None, nodes: dict[str, Any], network: dict[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"nodes": nodes or None, "network": network, "maps": None}
    if maps is not None:
        told["maps"] = {
            "grid": maps.grid.told,
            "layers": maps.layers,
            "arrays": maps.arrays,
            "palettes": maps.palettes,
        }
    return told


def _network(measures: Measures) -> dict[str, Any] | None:
    """Dates, and pairs with their valid share."""
    dates = dates_of(measures)
    if measures.shifts is None or not dates.size:
        return None
    ends = [np.searchsorted(dates, measures.shifts[name].values).tolist() for name in ("reference", "secondary")]
    share = [math.nan] * len(ends[0])
    if measures.losses is not None:
        left, nodes = measures.losses["left"].values[-1], measures.losses["nodes"].values
        share = (left / np.maximum(nodes, 1)).tolist()
    is_bad = np.zeros(dates.size, dtype=np.bool_)
    if measures.closure is not None and measures.closure.sizes.get("time") == dates.size:
        is_bad = measures.closure["is_bad"].values.astype(np.bool_)
    texts = [f"{each}Z" for each in np.datetime_as_string(dates.astype("datetime64[s]"))]
    colours = palette("batlow_r")
    told = {"dates": texts, "first": ends[0], "second": ends[1], "share": share, "bad": is_bad.tolist()}
    return told | {"palette": colours}


# --------------------------------------------------------------------------------------------------------------- texts


def _span(measures: Measures) -> str:
    dates = dates_of(measures)
    if not dates.size:
        return ""
    return f"{dates.size} dates, {tables.day(dates[0])} to {tables.day(dates[-1])}"


def _reasons(verdict: Verdict, run: Run) -> str:
    told = [(reason.grade, reason.text) for reason in verdict.reasons] + [("care", each) for each in run.problems]
    items = [
        f'<li class="{grade}"><span aria-hidden="true">{_MARKS[grade]}</span> {tables.text(each)}</li>'
        for grade, each in told
    ]
    return f"<ul>{''.join(items)}</ul>"


def _map_notes(maps: Maps | None, nodes: dict[str, Any]) -> str:
    """What a reader has to know of the map."""
    if maps is None:
        return ""
    grid = maps.grid
    notes = [f"{grid.columns} x {grid.rows} nodes of {grid.step_x:.4g} x {grid.step_y:.4g} m, {grid.crs or 'no CRS'}."]
    if grid.every > 1:
        notes.append(f"The grid is decimated: 1 node of {grid.every} along each axis is shown.")
    if maps.left_out:
        notes.append(f"Left out for the size of the page: {', '.join(maps.left_out)}.")
    if nodes:
        notes.append(f"Series are held at {len(nodes['x'])} x {len(nodes['y'])} nodes: the nearest one is shown.")
    return f'<p class="note">{tables.text(" ".join(notes))}</p>'
