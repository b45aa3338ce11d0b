"""Items, from whatever holds them: files, addresses, static catalogues, APIs, and objects of pystac."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from xoffset._blocks import threads
from xoffset.readers import patience
from xoffset.readers.grids import Bounds
from xoffset.readers.patience import bare, is_remote, patiently

# Documents that are fetched at once, and how many there may be.
WORKERS, MOST = 16, 20_000


class ObjectOfPystac(Protocol):
    """An item, a collection of items or a catalogue of pystac."""

    def to_dict(self) -> dict[str, object]:
        """What it is as JSON."""


class SearchOfPystac(Protocol):
    """A search of pystac-client."""

    def items_as_dicts(self) -> Iterator[dict[str, object]]:
        """What it finds as JSON."""


Document = str | os.PathLike[str] | Mapping[str, object] | ObjectOfPystac | SearchOfPystac
Source = Document | Iterable[Document]


@dataclass(frozen=True)
class Query:
    """What a server is asked for: collections, area (west, south, east, north) [degrees], first and last instant."""

    collections: tuple[str, ...] = ()
    box: Bounds | None = None
    interval: str | None = None


@dataclass(frozen=True, eq=False)
class Item:
    """An item of a catalogue; addresses of its files that are relative count from `place`."""

    id: str
    collection: str
    properties: Mapping[str, Any]
    assets: Mapping[str, Mapping[str, Any]]
    place: str
    geometry: Mapping[str, Any] | None = field(default=None, repr=False)

    def href(self, asset: Mapping[str, Any]) -> str:
        """Address or path of a file."""
        href = as_place(str(asset["href"]))
        scheme = href.partition("://")[0].lower() if is_remote(href) else ""
        is_local = not scheme and Path(href).is_absolute()
        if (scheme and scheme not in _SCHEMES) or (is_local and is_remote(self.place)) or href.startswith("/vsi"):
            raise ValueError(
                f"open_stac() needs items whose files lie where addresses lead; {self.id} of {bare(self.place)} names "
                f"'{bare(href)[:100]}'. Leave the item out, or set the href of the asset to its address."
            )
        if scheme or is_local:
            return href
        if not self.place:
            raise ValueError(
                f"open_stac() needs to know where files are; item {self.id} names '{href}', relative to nothing that "
                "is known. Give the path or address of the item, or one with a link to itself ('rel': 'self')."
            )
        return urljoin(self.place, href) if is_remote(self.place) else str(Path(self.place).parent / href)


# Addresses that an item may name: what else GDAL takes for one may be any file of this computer.
_SCHEMES = ("http", "https", "s3", "gs", "az", "abfs", "abfss")


def as_place(text: str) -> str:
    """Address, or path of a file, which may be written as one ("file:///data/item.json")."""
    return urllib.request.url2pathname(urlsplit(text).path) if text.startswith("file://") else text


def collect(source: Any, query: Query) -> list[Item]:
    """Items of a source, each once."""
    found: dict[tuple[str, str], Item] = {}
    for item in _of(source, query):
        found.setdefault((item.collection, item.id), item)
    return list(found.values())


def _of(source: Any, query: Query) -> Iterator[Item]:
    if isinstance(source, (str, os.PathLike)):
        place = as_place(os.fspath(source))
        yield from _of_document(document(place), place, query)
    elif isinstance(source, Mapping):
        yield from _of_document(source, "", query)
    elif hasattr(source, "items_as_dicts"):  # a search of pystac-client
        for each in source.items_as_dicts():
            yield from _of_document(each, "", query)
    elif hasattr(source, "to_dict"):
        yield from _of_document(source.to_dict(transform_hrefs=False), "", query)
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        for each in source:
            yield from _of(each, query)
    else:
        raise TypeError(
            f"open_stac() needs items, or the path or address of a catalogue; got {type(source).__name__}. Pass what a "
            "search returned, such as search.item_collection() of pystac-client."
        )


def _of_document(found: Mapping[str, Any], place: str, query: Query) -> Iterator[Item]:
    """Items of an item, a collection of items, a catalogue or the front page of an API."""
    kind = found.get("type")
    place = place or _link(found, "self")
    if kind == "Feature":
        yield _item(found, place)
    elif kind == "FeatureCollection":
        yield from _of_pages(found, place)
    elif isinstance(found.get("links"), list) and kind in ("Catalog", "Collection", None):
        yield from _of_catalogue(found, place, query)
    else:
        raise ValueError(
            f"open_stac() needs a STAC item, a collection of items or a catalogue; got {str(kind)[:40]!r} from "
            f"{bare(place) or 'a mapping'}. Give the address of an item, of a catalogue.json, or of an API."
        )


def _item(found: Mapping[str, Any], place: str) -> Item:
    properties, assets = found.get("properties"), found.get("assets")
    if not found.get("id") or not isinstance(properties, Mapping) or not isinstance(assets, Mapping):
        raise ValueError(
            f"open_stac() needs STAC items with id, properties and assets; got {str(found.get('id'))[:60]!r} from "
            f"{bare(place) or 'a mapping'} without. Other GeoJSON is none: search the catalogue for items."
        )
    collection = found.get("collection") or properties.get("collection") or ""
    files = {str(key): each for key, each in assets.items() if isinstance(each, Mapping) and each.get("href")}
    return Item(str(found["id"]), str(collection), properties, files, place, found.get("geometry"))


def _of_pages(found: Mapping[str, Any], place: str) -> Iterator[Item]:
    """Items of a collection of items, page by page."""
    seen: set[str] = set()
    while True:
        for each in found.get("features") or ():
            own = _link(each, "self")
            yield _item(each, own if is_remote(own) or not place else place)
        following = _link(found, "next")
        if not is_remote(place) or not following or following in seen or len(seen) >= MOST:
            return
        seen.add(following)
        found, place = document(urljoin(place, following)), urljoin(place, following)


def _of_catalogue(found: Mapping[str, Any], place: str, query: Query) -> Iterator[Item]:
    if not place:
        raise ValueError(
            f"open_stac() needs the address of a catalogue; {str(found.get('id'))!r} does not tell its own. Pass that."
        )
    if _link(found, "search") or any("item-search" in str(each) for each in found.get("conformsTo") or ()):
        yield from search(place, query)
    elif found.get("type") == "Collection" and _link(found, "items"):
        root = urljoin(place, _link(found, "root"))
        own = str(found.get("id"))
        yield from search(root, Query(query.collections or (own,), query.box, query.interval))
    else:
        yield from _of_static(found, place)


def _of_static(found: Mapping[str, Any], place: str) -> Iterator[Item]:
    """Items of a catalogue of files, level by level."""
    level, seen = [(place, found)], {place}
    while level:
        below = [
            _resolved(above, as_place(str(link["href"])))
            for above, each in level
            for link in each.get("links") or ()
            if link.get("rel") in ("child", "item")
        ]
        wanted = [each for each in dict.fromkeys(below) if each not in seen]
        seen.update(wanted)
        if len(seen) > MOST:
            raise ValueError(
                f"open_stac() needs a catalogue that can be read as a whole; got one of more than {MOST} documents at "
                f"{bare(place)}. Give one of its branches, or search the API of the provider."
            )
        documents: dict[str, Mapping[str, Any]] = {}
        threads.in_threads(partial(_fetch, documents), wanted, WORKERS)
        level = []
        for each in wanted:
            if documents[each].get("type") == "Feature":
                yield _item(documents[each], each)
            else:
                level.append((each, documents[each]))


def _fetch(documents: dict[str, Mapping[str, Any]], place: str) -> None:
    documents[place] = document(place)


def _resolved(place: str, href: str) -> str:
    if is_remote(place) or is_remote(href):
        return urljoin(place, href) if is_remote(place) else href
    return str((Path(place).parent / href).resolve())


def _link(found: Mapping[str, Any], rel: str) -> str:
    links = found.get("links") or ()
    return next((as_place(str(each["href"])) for each in links if each.get("rel") == rel and each.get("href")), "")


# ------------------------------------------------------------------------------------------------------------- fetching


def document(place: str) -> Mapping[str, Any]:
    """JSON document of a file or an address."""
    if is_remote(place) and not place.startswith(("http://", "https://")):
        raise ValueError(
            f"open_stac() needs catalogues in files or at http addresses; got {bare(place)}. Read it yourself, and "
            "pass the items."
        )
    if not is_remote(place) and not Path(place).expanduser().is_file():
        raise FileNotFoundError(
            f"open_stac() needs the file of an item or a catalogue; there is none at {place}. Check the path, and the "
            f"working folder {Path.cwd()}."
        )
    found = patiently(lambda _: _parsed(place), place)
    if not isinstance(found, Mapping):
        raise ValueError(
            f"open_stac() needs a JSON object; got a {type(found).__name__} from {bare(place)}. Give the address of an "
            "item or a catalogue."
        )
    return found


def _parsed(place: str) -> Any:
    if is_remote(place):
        with urllib.request.urlopen(place, timeout=patience.SILENCE) as answer:
            content = answer.read()
    else:
        content = Path(place).expanduser().read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:  # a page of a portal, or an answer that was cut
        raise OSError(f"what is no JSON ({error})") from None


def search(place: str, query: Query) -> Iterator[Item]:
    """Items that an API finds.

    Raises
    ------
    ImportError
        If the `stac` extra is not installed.
    ValueError
        If nothing limits the search.
    """
    if not query.collections or query.box is None:
        lacking = "collection=" if not query.collections else "bbox= in degrees"
        advice = (
            "collection='sentinel-2-l2a'" if not query.collections else "bbox=(west, south, east, north) in degrees"
        )
        raise ValueError(
            f"open_stac() needs {lacking} to search the API at {bare(place)}, which holds the whole world; got none. "
            f"Pass {advice}."
        )
    try:
        import pystac_client
        from pystac_client.stac_api_io import StacApiIO
        from urllib3 import Retry
    except ImportError as error:
        raise ImportError(
            f"open_stac() needs pystac-client to search {bare(place)}; got '{error}'. Install it: pip install "
            "'xoffset[stac]'."
        ) from error
    retry = Retry(
        patience.TRIES - 1, backoff_factor=patience.PAUSE, status_forcelist=(408, 429, 500, 502, 503, 504),
        allowed_methods=None,
    )  # fmt: skip
    api = StacApiIO(timeout=patience.SILENCE, max_retries=retry)
    try:
        client = pystac_client.Client.open(place, stac_io=api)
        asked = client.search(
            collections=list(query.collections), bbox=query.box, datetime=query.interval, limit=500, max_items=MOST
        )
        found = list(asked.items_as_dicts())
    except Exception as error:  # each layer of the client has its own
        raise OSError(
            f"open_stac() needs an answer of the API at {bare(place)}; got '{type(error).__name__}: "
            f"{str(error)[:200]}'. Try again later, or look whether the address and the collection are right."
        ) from error
    yield from (_item(each, _link(each, "self")) for each in found)
