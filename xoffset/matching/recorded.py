"""Options of a match from the record of it that shifts carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from xoffset._arrays.filters import options as prefilters
from xoffset._arrays.matching.options import as_matcher, classes
from xoffset._arrays.matching.pyramid import Pyramid
from xoffset.matching.request import Options

Recorded = Literal["recorded"]


def completed(given: Mapping[str, Any], record: Mapping[str, Any]) -> Options:
    """Options of a match, those that were left out ("recorded") as on record.

    Raises
    ------
    ValueError
        If one that was left out cannot be had from the record.
    """
    options = Options(**{name: _option(name, value, record) for name, value in given.items()})
    if as_matcher(options.matcher, "extend").window is None:
        return options
    # a matcher that was passed may have a window of its own, beside which no template of the record can stand
    return options._replace(template=None) if given["template"] == "recorded" else options


def _option(name: str, value: Any, record: Mapping[str, Any]) -> Any:
    if not (isinstance(value, str) and value == "recorded"):
        return value
    if name == "mask" and name not in record:
        return None  # a match without a mask says nothing of it
    kept = {
        "prior": "the names of its variables", "mask": "what dims it had", "search": "that it was a map",
        "matcher": "the options of one that is not of this library",
    }  # fmt: skip
    is_array = name in ("prior", "mask") and record.get(name) is not None
    recorded = record.get(name) if name == "matcher" else None
    is_unknown = recorded is not None and (recorded.get("name") not in classes() or "module" in recorded)
    if name not in record or is_array or is_unknown or record[name] == "map":
        raise ValueError(
            f"extend() needs {name}= as correlate() was given it; got none, and on record is "
            f"{'only ' + kept[name] if name in kept else 'nothing of it'}. Pass it."
        )
    make = {"search": _search, "matcher": _matcher, "prefilter": _prefilter}.get(name, _plain)
    return make(record[name])


def _plain(recorded: Any) -> Any:
    """Value of an attribute, in which tuples have become lists."""
    return tuple(recorded) if isinstance(recorded, list) else recorded


def _search(recorded: Any) -> Any:
    if isinstance(recorded, dict):
        return Pyramid(**{name: _plain(value) for name, value in recorded.items()})
    return _plain(recorded)


def _matcher(recorded: dict[str, Any]) -> Any:
    return classes()[recorded["name"]](**_without_name(recorded))


def _prefilter(recorded: Any) -> Any:
    if not isinstance(recorded, dict):
        return recorded
    return prefilters.NAMES[recorded["name"]](**_without_name(recorded))


def _without_name(recorded: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in recorded.items() if name != "name"}
