"""As much of an ASGI server as a gateway needs, and the application behind it: to forward what comes to the entry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sandbox.fleet import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

BODY_LIMIT: Final = 4 * 1024 * 1024
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class Server:
    """One request a connection. When the application raises, the client's connection ends without a clean end."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        try:
            request = await wire.read_head(reader)
            if request is not None:
                body = await wire.read_request_body(reader, request, limit=BODY_LIMIT)
                await self._app(_scope(request), _receive(body, reader), _Answer(writer).send)
        except (OSError, wire.WireError) as error:
            writer.transport.abort()  # as a server that is gone: the client must not take it for the end
            if not isinstance(error, (ConnectionError, wire.WireError)):
                raise
        finally:
            writer.close()


class Forwarder:
    """An application that sends every request to the entry, and passes the answer on as it comes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Raises OSError when the entry is gone, or ends an answer that is not whole."""
        body = (await receive())["body"]
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(_forwarded(scope, body, f"{self._host}:{self._port}"))
            answer = await wire.read_head(reader)
            if answer is None:
                raise ConnectionResetError("the entry closed the connection")
            headers = [
                (name.encode(), value.encode()) for name, value in answer.headers if name.lower() not in _HOP_BY_HOP
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for piece in wire.body(reader, answer):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            writer.close()


class _Answer:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
            kept = [header for header in headers if header[0].lower() not in _HOP_BY_HOP]
            start = f"HTTP/1.1 {message['status']} Answer"
            self._writer.write(
                wire.write_head(start, [*kept, ("Transfer-Encoding", "chunked"), ("Connection", "close")])
            )
        else:
            piece = message.get("body", b"")
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
            self._writer.write(b"" if message.get("more_body") else b"0\r\n\r\n")
        await self._writer.drain()


def _scope(request: wire.Head) -> dict[str, Any]:
    path, _, query = request.start[1].partition("?")
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    return {
        "type": "http",
        "method": request.start[0],
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
    }


def _receive(body: bytes, reader: asyncio.StreamReader) -> Callable[[], Awaitable[Message]]:
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if given:
            return given.pop()
        await reader.read(1)  # the client sends nothing more: it leaves
        return {"type": "http.disconnect"}

    return receive


def _forwarded(scope: Any, body: bytes, host: str) -> bytes:
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"] if name.decode() not in _HOP_BY_HOP]
    more = [("Host", host), ("Content-Length", str(len(body))), ("Connection", "close")]
    return wire.write_head(f"{scope['method']} {scope['path']} HTTP/1.1", [*headers, *more]) + body
