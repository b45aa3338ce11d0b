"""Indexes of tiles as ITS_LIVE has them, written from their layout with nothing of the library."""

import struct


def shapefile(folder, rows):
    """Index of areas in longitude and latitude and the rasters that they name, by its layout."""
    records, texts = b"", b""
    for number, ((west, south, east, north), place) in enumerate(rows, start=1):
        ring = [(west, south), (west, north), (east, north), (east, south), (west, south)]
        body = struct.pack("<i4d2ii", 5, west, south, east, north, 1, 5, 0) + b"".join(
            struct.pack("<2d", *at) for at in ring
        )
        records += struct.pack(">2i", number, len(body) // 2) + body
        texts += b" " + b"%-8d" % number + place.encode().ljust(120)
    head = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + len(records)) // 2) + struct.pack(
        "<2i8d", 1000, 5, *[0.0] * 8
    )
    (folder / "index.shp").write_bytes(head + records)
    columns = [(b"number", b"N", 8), (b"StableSurf", b"C", 120)]
    table = b"".join(
        name.ljust(11, b"\0") + kind + bytes(4) + bytes([size]) + bytes(15) for name, kind, size in columns
    )
    length = 1 + sum(size for *_, size in columns)
    head = struct.pack("<4BIHH20x", 3, 120, 1, 1, len(rows), 32 + len(table) + 1, length)
    (folder / "index.dbf").write_bytes(head + table + b"\r" + texts)
