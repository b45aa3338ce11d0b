"""Servers that fail: a bounded number of tries, then an error that tells what to do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import numpy as np

from xoffset.model.dates import as_instants
from xoffset.readers.files import in_place

Result = TypeVar("Result")
# Signs the address of a file.
Modify = Callable[[str], str]

# Tries of one request, seconds before the second, doubled before each further one.
TRIES, PAUSE = 4, 0.5
# Seconds to wait for a connection, and for the next bytes of an answer.
CONNECT, SILENCE = 30, 60

# Answers that no further try changes.
_FINAL = re.compile(r"\b(?:code ?: |HTTP Error )(?P<status>4(?!08|29)\d\d)\b")


def is_remote(place: str) -> bool:
    """Whether a place is an address, not a local path."""
    return "://" in place


def bare(place: str) -> str:
    """Address without its query, which may hold a signature that is nobody else's business."""
    return re.split(r"[?#]", place, maxsplit=1)[0] if is_remote(place) else place


def patiently(action: Callable[[bool], Result], place: str, caller: str = "open_stac") -> Result:
    """Result of what reads from a place, tried again where the server may have failed for the moment.

    The action is told whether it is tried again. What no further try would change is tried once more, too: the first
    answer may be one that was kept.

    Raises
    ------
    OSError
        If it fails for good, or each time.
    """
    for k in range(TRIES):
        try:
            return action(k > 0)
        except (OSError, HTTPException) as error:
            reason = _reason(error)
            final = _FINAL.search(reason)
            if (final and k > 0) or k == TRIES - 1 or not is_remote(place):
                raise _failure(place, reason, k + 1, final and final["status"], caller) from error
        time.sleep(0 if final else PAUSE * 2**k)
    raise AssertionError


def _reason(error: BaseException) -> str:
    """What the library below said, without addresses."""
    while error.__cause__ is not None:
        error = error.__cause__
    # an address may hold a signature
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", str(error) or type(error).__name__)


def _failure(place: str, reason: str, tries: int, status: str | None, caller: str) -> OSError:
    if not is_remote(place):
        advice = "Look whether the file is there and whole."
    elif caller != "open_stac":
        advice = "Check the address, or try again later: the server may be busy, or the file damaged."
    elif status in ("401", "403"):
        advice = "It needs a signature, or that has expired: pass modify=, a function that signs addresses."
    elif status in ("404", "410"):
        advice = "The catalogue names what is not there: search again, or leave the item out."
    else:
        advice = "The server may be busy, or the file damaged: try again later, or leave the item out."
    times = f"after {tries} {'try' if tries == 1 else 'tries'}"
    return OSError(f"{caller}() needs answers of a server; got '{reason}' of {bare(place)} {times}. {advice}")


def from_afar(action: Callable[[], Result], place: str, caller: str = "open_stack") -> Result:
    """Result of what GDAL reads from a place; of an address with patience, and without waiting for a dead server."""
    if not is_remote(place):
        return action()
    return reading(action, place, caller)


def reading(action: Callable[[], Result], place: str, caller: str = "open_stac") -> Result:
    """Result of what GDAL reads from a place, tried again where that may help."""
    import rasterio

    def attempt(is_again: bool) -> Result:
        with rasterio.Env(**gdal_options(place, is_again=is_again)):
            return action()

    return patiently(attempt, place, caller)


def gdal_options(place: str, *, is_again: bool) -> dict[str, Any]:
    """Options with which GDAL does not wait for a dead server, nor lists folders; those that the user has set win.

    Of a place that is tried again it is to forget what it has kept: failures, too.
    """
    from rasterio.env import getenv, hasenv

    options: dict[str, Any] = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_CONNECTTIMEOUT": str(CONNECT),
        "GDAL_HTTP_LOW_SPEED_TIME": str(SILENCE),
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    }
    if is_again:
        options["CPL_VSIL_CURL_NON_CACHED"] = in_place(bare(place))
    set_already = {*os.environ, *(getenv() if hasenv() else {})}
    return {name: value for name, value in options.items() if name not in set_already}


# ----------------------------------------------------------------------------------------------------------- signatures


def signed(href: str, modify: Modify | None) -> str:
    """Address of a file as `modify` signs it.

    Raises
    ------
    TypeError
        If `modify` returns no address.
    ValueError
        If the signature has expired.
    """
    address = href if modify is None else modify(href)
    if not isinstance(address, str):
        raise TypeError(
            f"open_stac() needs modify= as a function that takes an address and returns it signed; got "
            f"{type(address).__name__} for {bare(href)}. Return a text, such as planetary_computer.sign does."
        )
    end = expiry(address)
    if end is not None and end < np.datetime64(time.time_ns(), "ns"):
        advice = (
            "pass modify=, a function that signs addresses anew"
            if modify is None
            else "sign addresses that hold no signature yet: take the query off, or search without signing"
        )
        raise ValueError(
            f"open_stac() needs addresses whose signature holds; that of {bare(href)} expired on "
            f"{end.astype('datetime64[s]')} UTC. Search again, or {advice}."
        )
    return address


def expiry(address: str) -> np.datetime64 | None:
    """When the signature in an address expires, UTC; None if it has none that is known."""
    told = parse_qs(urlsplit(address).query) if "?" in address else {}
    for start, span in (("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires")):
        if start in told and _number(told, span) is not None:
            since = _instant(told[start][0])
            return None if since is None else since + np.timedelta64(int(_number(told, span) or 0), "s")
    if "se" in told and "sig" in told:
        return _instant(told["se"][0])
    seconds = _number(told, "Expires")
    return None if seconds is None or "Signature" not in told else np.datetime64(int(seconds), "s")


def _number(told: Mapping[str, list[str]], name: str) -> float | None:
    text = told.get(name, [""])[0]
    return float(text) if text.isdecimal() else None


def _instant(text: str) -> np.datetime64 | None:
    found = np.datetime64(as_instants([text])[0])
    return None if np.isnat(found) else found
