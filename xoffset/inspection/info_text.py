"""What was found of a path: facts as plain values, and as lines to be read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Facts = dict[str, Any]
# Names of variables, bands and the like that are listed on a line, and characters of the parameters of a step.
_LISTED, _LONGEST = 12, 160


# Groups of a folder -> one of them.
_ONE = {
    "scenes": "scene", "runs": "run", "stores": "store", "images": "image", "exported maps": "exported map",
    "files of other systems": "file of other systems", "other files and folders": "other file or folder",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Info:
    """What a path is: its kind, and facts of it by name. It prints as a text; `to_dict` has the same as plain values.

    `parts` are those of a folder that holds several things; `problems` say what of it could not be used, and why.
    """

    path: str
    kind: str
    facts: Mapping[str, Any]
    parts: tuple[Info, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that is there could be used."""
        return not self.problems and all(part.is_whole for part in self.parts)

    def to_dict(self) -> Facts:
        """Facts as numbers, texts, lists and dicts, which JSON can hold: lengths in the units of the CRS, UTC dates."""
        found = {"path": self.path, "kind": self.kind} | copy.deepcopy(dict(self.facts))
        if self.parts:
            found["parts"] = [part.to_dict() for part in self.parts]
        return found | ({"problems": list(self.problems)} if self.problems else {})

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __repr__(self) -> str:
        lines = [f"{self.kind}: {self.path}"]
        lines += [
            f"  {label:<11} {text}"
            for name, (label, of) in _LINES.items()
            if name in self.facts
            for text in of(self.facts[name])
        ]
        lines += [f"  {'problem':<11} {text}" for text in self.problems]
        for part in self.parts:
            lines += ["", *(f"  {line}" if line else "" for line in repr(part).splitlines())]
        return "\n".join(lines)


def listed(names: Any, most: int = _LISTED) -> str:
    """Names on a line, the first of many."""
    every = [str(name) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def number(value: float) -> str:
    """Number with the digits that it needs."""
    return f"{value:.10g}"


def percent(share: float) -> str:
    """Share in per cent; neither all nor nothing where it is not."""
    text = f"{100.0 * share:.1f}"
    text = {"100.0": "more than 99.9", "0.0": "less than 0.1"}.get(text, text) if 0.0 < share < 1.0 else text
    return f"{text.removesuffix('.0')} %"


def _holds(holds: Mapping[str, int]) -> list[str]:
    return [listed(f"{count} {_ONE[name] if count == 1 else name}" for name, count in holds.items())]


def _grid(grid: Facts) -> list[str]:
    if "points" in grid:
        return [f"{grid['points']} scattered points"]
    what = f"{grid['columns']} x {grid['rows']} {grid['unit_of_grid']}"
    if grid["spacing"] is not None:
        x, y = map(number, grid["spacing"])
        what += f" of {x if x == y else f'{x} x {y}'} {grid['units']}"
    if grid["extent"] is not None:
        left, bottom, right, top = map(number, grid["extent"])
        what += f", x {left} to {right}, y {bottom} to {top}"
    return [what]


def _grids(found: Mapping[str, Facts]) -> list[str]:
    return [f"{name}: {text}" for name, grid in found.items() for text in _grid(grid)]


def _crs(crs: str | None) -> list[str]:
    return [crs or "none: places are in a frame of their own"]


def _dates(dates: Facts) -> list[str]:
    if dates["number"] == 0:
        return ["none told"]
    text = f"{dates['number']}, {_when(dates['first'])} to {_when(dates['last'])}"
    if dates["number"] == 1:
        return [f"1, {_when(dates['first'])}"]
    gap = dates["longest_gap"]
    if "days" in dates:
        text += f", on {dates['days']} days"
    if dates["number"] > 2:
        text += f"; the longest gap is {_days(gap['days'])}, from {_when(gap['from'])} to {_when(gap['to'])}"
    else:
        text += f", {_days(gap['days'])} apart"
    return [text + (f"; {dates['repeated']} of them more than once" if "repeated" in dates else "")]


def _period(period: Facts) -> list[str]:
    return [f"{_when(period['first'])} to {_when(period['last'])}, by {period['counted']}"]


def _when(text: str) -> str:
    """A date without the time of day at midnight, and to the second otherwise."""
    return text.split("T")[0] if text.endswith("T00:00:00") else text[:19]


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 10 else f"{days:.3g} days"


def _pairs(pairs: Facts) -> list[str]:
    base = pairs["baselines"]
    if base is None:
        return [str(pairs["number"])]
    backward = f", {pairs['backward']} of them backward in time" if pairs["backward"] else ""
    lengths = _days(base["median"])
    if base["shortest"] != base["longest"]:
        ends = f"{_days(base['shortest']).removesuffix(' days')} to {_days(base['longest'])}"
        lengths = f"{ends}, median {_days(base['median'])}"
    return [f"{pairs['number']} with baselines of {lengths}{backward}"]


def _complete(state: Facts) -> list[str]:
    lines = [state["state"]]
    tiles = state.get("tiles")
    if tiles:
        lines[0] += f": {tiles['done']} of {tiles['total']} tiles are done"
        lines[0] += f", {tiles['failed']} failed" if tiles["failed"] else ""
        lines[0] += f", {tiles['empty']} hold no value" if tiles["empty"] else ""
        lines[0] += f", {tiles['lost']} have lost their files" if tiles.get("lost") else ""
    if state.get("written_by"):
        lines.append(f"being written now by {state['written_by']}")
    lines += [f"lacks {each}" for each in state.get("lacking", [])[:4]]
    lines += [f"tile {where}: {reason}" for where, reason in list(state.get("reasons", {}).items())[:3]]
    return lines


def _valid(valid: Facts) -> list[str]:
    if valid["share"] is None:
        return [f"not known: {valid['counted']}"]
    return [f"{percent(valid['share'])} of {valid['of']}, counted in {valid['counted']}"]


def _scenes(scenes: Facts) -> list[str]:
    lines = [f"{scenes['number']}"]
    for name in ("sensors", "levels", "tiles", "orbits"):
        if scenes.get(name):
            one = name.removesuffix("s") if len(scenes[name]) == 1 else name
            counts = (f"{value} ({count})" if len(scenes[name]) > 1 else value for value, count in scenes[name].items())
            lines.append(f"{one} {listed(counts)}")
    return ["; ".join(lines)]


def _bands(bands: Mapping[str, float | None]) -> list[str]:
    by_size: dict[float | None, list[str]] = {}
    for name, size in bands.items():
        by_size.setdefault(size, []).append(name)
    return [
        "; ".join(
            listed(names, 16) + (f" ({number(size)} m)" if size is not None else "") for size, names in by_size.items()
        )
    ]


def _missing(missing: Mapping[str, list[str]]) -> list[str]:
    lines = [f"{name}: {listed(each, 16)}" for name, each in list(missing.items())[:4]]
    return lines + ([f"and more in {len(missing) - 4} others"] if len(missing) > 4 else [])


def _clouds(clouds: Facts) -> list[str]:
    low, high = (f"{clouds[name]:.3g}" for name in ("least", "most"))
    if clouds["number"] == 1:
        return [f"{low} % by the metadata"]
    return [f"{low} to {high} %, median {clouds['median']:.3g} %, by the metadata of {clouds['number']}"]


def _history(history: list[Facts]) -> list[str]:
    lines = []
    for step in history:
        given = {name: value for name, value in step.items() if name not in ("xoffset", "function")}
        told = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        told = told if len(told) <= _LONGEST else f"{told[: _LONGEST - 3]}..."
        lines.append(f"{step['function']}({told})")
    return lines


def _parameters(found: Facts) -> list[str]:
    return [listed((f"{name} = {value}" for name, value in found.items()), 40)]


def _plain(value: Any) -> list[str]:
    return [str(value)]


# Name of a fact -> its label, and what makes lines of it, in the order of the lines.
_LINES: Mapping[str, tuple[str, Callable[[Any], list[str]]]] = {
    "system": ("system", _plain),
    "recipe": ("recipe", _plain),
    "stages": ("stages", lambda stages: [f"{name}: {state}" for name, state in stages.items()]),
    "holds": ("holds", _holds),
    "scenes": ("scenes", _scenes),
    "files": ("files", _plain),
    "grid": ("grid", _grid),
    "grids": ("grid", _grids),
    "crs": ("CRS", _crs),
    "dates": ("dates", _dates),
    "period": ("period", _period),
    "pairs": ("pairs", _pairs),
    "bands": ("bands", _bands),
    "missing": ("missing", _missing),
    "clouds": ("clouds", _clouds),
    "complete": ("state", _complete),
    "valid": ("valid", _valid),
    "variables": ("variables", lambda names: [listed(names, 40)]),
    "made_of": ("made of", lambda names: [listed(names, 3)]),
    "version": ("xoffset", _plain),
    "history": ("step", _history),
    "parameters": ("parameters", _parameters),
    "needs": ("needs", _plain),
    "note": ("note", lambda notes: list(notes)),
}
