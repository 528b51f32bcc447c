"""HTTP/1.1 over asyncio streams: the little that the front door and the load need, at little CPU."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

MAX_HEADERS = 100
_PIECE = 65536


class WireError(ValueError):
    """What came is not HTTP/1.1, or more than is taken."""


class CutError(ConnectionError):
    """The other side ended the connection before its message was complete."""


@dataclass(frozen=True, slots=True)
class Head:
    """Start line (three words) and headers of a request or an answer, names as they came."""

    start: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The first value of a header; the name in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return (self.get("transfer-encoding") or "").lower() == "chunked"

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, None where no header says. Raises WireError when it is not a number."""
        value = self.get("content-length")
        if value is None:
            return None
        if not value.isdecimal():
            raise WireError(f"content-length {value!r} is not a number")
        return int(value)

    @property
    def status(self) -> int:
        """Of an answer. Raises WireError when it is not a number."""
        if not self.start[1].isdecimal():
            raise WireError(f"status {self.start[1]!r} is not a number")
        return int(self.start[1])


async def read_head(reader: asyncio.StreamReader, ahead: bytes = b"") -> Head | None:
    """Start line and headers; None when the connection ends before the first byte.

    `ahead`: what has been read of it already.
    Raises CutError when it ends within them, WireError when they make no sense.
    """
    try:
        raw = ahead + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial and not ahead:
            return None
        raise CutError("the connection ended within the headers") from error
    except asyncio.LimitOverrunError as error:
        raise WireError("the headers are too long") from error
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) == 2:  # an answer's reason may be missing
        words.append("")
    if len(words) != 3 or not any(word.startswith("HTTP/1.") for word in words) or len(lines) > MAX_HEADERS:
        raise WireError(f"not a start line, or too many headers: {first[:80]!r}")
    return Head((words[0], words[1], words[2]), tuple(_header(line) for line in lines))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise WireError(f"not a header: {line[:80]!r}")
    return name, value.strip()


def write_head(start: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a start line and its headers."""
    return "\r\n".join((start, *(f"{name}: {value}" for name, value in headers), "", "")).encode("latin-1")


async def read_request_body(reader: asyncio.StreamReader, head: Head, *, limit: int) -> bytes:
    """The whole body. Raises WireError beyond `limit` bytes, CutError when the connection ends too early."""
    if not head.chunked and head.content_length is None:
        return b""
    pieces: list[bytes] = []
    size = 0
    async for piece in body(reader, head):
        size += len(piece)
        if size > limit:
            raise WireError(f"the body is longer than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


async def body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """The pieces of a body as they come. Raises CutError when the connection ends before it is complete.

    Without a length and without chunks the end of the connection is the end of the body.
    """
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
        return
    left = head.content_length
    while left is None or left > 0:
        piece = await reader.read(_PIECE if left is None else min(_PIECE, left))
        if not piece:
            if left is None:
                return
            raise CutError(f"the connection ended {left} bytes before the body did")
        left = None if left is None else left - len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while size := _chunk_size(await reader.readuntil(b"\r\n")):
            yield (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
            pass
    except asyncio.IncompleteReadError as error:
        raise CutError("the connection ended before the last chunk") from error
    except asyncio.LimitOverrunError as error:
        raise WireError("a chunk's size line is too long") from error


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError as error:
        raise WireError(f"{digits[:20]!r} is not a chunk's size") from error
