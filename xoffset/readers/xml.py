"""Metadata in XML, from files that nobody vouches for: no document types, no entities, nothing fetched."""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

# Largest file that is parsed, bytes: the metadata of a long data strip of Sentinel-2 has some 20 million.
LIMIT = 64 * 2**20
# Metadata nest a dozen levels deep.
_DEEPEST = 100


def parse(text: bytes, name: str) -> Element:
    """Element of the root of an XML document.

    Tags and attributes come without their namespaces, so that `element.findtext(".//SENSING_TIME")` finds what every
    version of a schema calls so. `name` is that of the file, for messages.
    """
    if len(text) > LIMIT:
        raise ValueError(_failure(name, f"{len(text)} bytes, more than metadata ever have"))
    builder = TreeBuilder()
    inside: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        inside.append(tag)
        if len(inside) > _DEEPEST:
            raise ValueError(_failure(name, f"elements nested more than {_DEEPEST} deep"))
        builder.start(_local(tag), {_local(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        inside.pop()
        builder.end(_local(tag))

    def refuse(*_: object) -> NoReturn:
        # Entities expand to gigabytes, or to files of this computer; no product needs a document type.
        raise ValueError(_failure(name, "a document type (DOCTYPE) or entities, which no product has"))

    parser = expat.ParserCreate(None, "}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, LookupError, UnicodeError) as error:  # the latter two: of encodings that are none
        raise OSError(_failure(name, f"what is no XML ({error})")) from error


def required(element: Element, path: str, name: str) -> str:
    """Text of the first element of a path, which must be there and not be empty."""
    found = optional(element, path)
    if found is None:
        raise ValueError(
            f"open_stack() needs {path.rsplit('/', 1)[-1]} in the metadata of a product; {name} tells none. "
            "Fetch the product again, or leave it out."
        )
    return found


def optional(element: Element | None, path: str) -> str | None:
    """Text of the first element of a path, None if there is none."""
    found = None if element is None else element.findtext(path)
    return (found or "").strip() or None


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _failure(name: str, got: str) -> str:
    return (
        f"open_stack() needs the metadata of a product as whole and plain XML; got {got} in {name}. "
        "Fetch the product again, or leave it out."
    )
