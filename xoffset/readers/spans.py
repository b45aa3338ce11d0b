"""Parts of files that are files themselves: what an archive holds as it is."""

from __future__ import annotations

from io import RawIOBase
from typing import IO, Any
from zipfile import BadZipFile, ZipInfo


class Span(RawIOBase):
    """Part of an open file, from a place on, as a file that goes to any place in it."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self.seek(0)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it goes to any place."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, counted from the start, from here or from the end."""
        base = {0: 0, 1: self.tell(), 2: self._size}[whence]
        self._file.seek(self._start + max(base + offset, 0))
        return self.tell()

    def tell(self) -> int:
        """Place of the next byte."""
        return self._file.tell() - self._start

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes, and tell how many there were."""
        content = self._file.read(max(min(len(buffer), self._size - self.tell()), 0))
        buffer[: len(content)] = content
        return len(content)


def stored_in_zip(file: IO[bytes], member: ZipInfo) -> Span:
    """What a zip file holds uncompressed: behind the header of the member, its name and its extra fields."""
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(b"PK\3\4"):
        raise BadZipFile("its header is not where it should be")
    lengths = (int.from_bytes(header[k : k + 2], "little") for k in (26, 28))
    return Span(file, member.header_offset + 30 + sum(lengths), member.file_size)
