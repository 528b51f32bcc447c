"""An ASGI middleware: requests for completions are journalled, and `GET /v1/requests/<id>` says what became of one.

- `Idempotency-Key` makes a request that is sent twice one request. `x-standfast-request` in the answer is its id;
  `x-standfast-journal: no` says that it has none, and will not come back.
- `?after=N&sha256=H`: the client has N characters already, with this SHA-256, and is given the rest. Where they are not
  how the whole answer begins, it is given the whole, `restated`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from standfast_gateway.events import EventReader, finish_of
from standfast_gateway.journal import Repeated
from standfast_gateway.settings import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from standfast_gateway.journal import Entry, RequestJournal, Told

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUESTS = "/v1/requests/"
_CLIENT_LEFT = "the client left before the end: send it again if it is still wanted"
_SERVER_ERROR = 500


class JournalMiddleware:
    """Around an application that forwards to the load balancer. It starts and ends the journal with the lifespan."""

    def __init__(self, app: App, journal: RequestJournal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, self._with_lifespan(receive), send)
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "GET" and scope["path"].startswith(REQUESTS):
            await self._tell(scope, send)
        elif scope["method"] == "POST" and scope["path"] in self._journal.settings.paths:
            await self._journalled(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _with_lifespan(self, receive: Receive) -> Receive:
        async def heard() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._journal.start()
            elif message["type"] == "lifespan.shutdown":
                await self._journal.close()
            return message

        return heard

    async def _journalled(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, rest = await self._read(receive)
        if rest is not None:  # longer than we keep
            await self._app(scope, _again(body, rest, more=True), _marked(send, "", "too long to be journalled"))
            return
        caller, key = _header(scope, b"authorization"), _header(scope, b"idempotency-key")
        try:
            entry = await self._journal.accept(scope["path"], body, caller=caller, key=key)
        except UnavailableError as error:
            if self._journal.settings.serve_without:
                await self._app(scope, _again(body, receive), _marked(send, "", str(error)))
            else:
                refusal = {"error": {"message": f"not accepted: {error}", "type": "journal_unavailable"}}
                await _answer(send, 503, refusal, (b"retry-after", b"5"))
            return
        if isinstance(entry, Repeated):
            await self._tell_repeated(entry, send)
        else:
            await _Exchange(self._app, self._journal, entry).run(scope, _again(body, receive), send)

    async def _read(self, receive: Receive) -> tuple[bytes, Receive | None]:
        """The body; and whence the rest comes, where it is longer than a request that is journalled."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body"):
                return body, None
            if len(body) > self._journal.settings.body_bytes:
                return body, receive

    async def _tell(self, scope: Scope, send: Send) -> None:
        request_id = scope["path"].removeprefix(REQUESTS)
        try:
            told = await self._journal.tell(request_id, caller=_header(scope, b"authorization"))
        except UnavailableError as error:
            await _answer(send, 503, {"error": {"message": str(error)}}, (b"retry-after", b"2"))
            return
        if told is None:
            await _answer(send, 404, {"error": {"message": "no such request, or it was forgotten: send it again"}})
        elif told.state not in ("ended", "incomplete"):
            await _answer(send, 202, {"id": told.request_id, "state": "open"}, (b"retry-after", b"2"))
        else:
            asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            await _answer(send, 200, _told(told, asked))

    async def _tell_repeated(self, repeated: Repeated, send: Send) -> None:
        where = f"{REQUESTS}{repeated.request_id}"
        if not repeated.same:
            said = "this idempotency key was used for another request: take another key"
            await _answer(send, 422, {"error": {"message": said}})
            return
        known = {"id": repeated.request_id, "state": "known", "poll": where}
        await _answer(
            send, 409, known, (b"location", where.encode()), (b"x-standfast-request", repeated.request_id.encode())
        )


class _Exchange:
    """One request and its answer, heard as it passes."""

    def __init__(self, app: App, journal: RequestJournal, entry: Entry) -> None:
        self._app, self._journal, self._entry = app, journal, entry
        self._status = 0
        self._retry_after = self._streamed = self._complete = self._left = False
        self._events, self._raw = EventReader(), b""

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it. However it ends, the journal is told."""

        async def heard() -> Message:
            message = await receive()
            self._left = self._left or message["type"] == "http.disconnect"
            return message

        marked = _marked(send, self._entry.request_id, "")

        async def said(message: Message) -> None:
            self._hear(message)
            await marked(message)

        try:
            await self._app(scope, heard, said)
        except asyncio.CancelledError:
            await asyncio.shield(self._settle(cancelled=True))
            raise
        except Exception:
            await self._settle(broken=True)
            if self._status:
                raise
            where = f"{REQUESTS}{self._entry.request_id}"
            broken = {"error": {"message": f"its server is gone; ask for it at {where}", "type": "interrupted"}}
            await marked(
                {"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"application/json")]}
            )
            await marked({"type": "http.response.body", "body": json.dumps(broken).encode()})
        else:
            await self._settle()

    def _hear(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = {name.lower(): value for name, value in message.get("headers", ())}
            self._retry_after = b"retry-after" in headers
            self._streamed = headers.get(b"content-type", b"").startswith(b"text/event-stream")
        elif message["type"] == "http.response.body":
            piece, self._complete = message.get("body", b""), not message.get("more_body", False)
            if self._streamed:
                self._events.feed(piece)
                if self._events.plain:
                    self._entry.add(self._events.take())
            elif self._status < _SERVER_ERROR:
                self._raw += piece

    async def _settle(self, *, broken: bool = False, cancelled: bool = False) -> None:
        whole = self._events.done if self._streamed else self._complete and self._status < _SERVER_ERROR
        if whole and not broken:
            good = self._status < 400
            finish = "" if good and self._streamed else finish_of(self._raw) if good else f"status {self._status}"
            await self._journal.end(self._entry, finish=finish, raw=self._raw, kept=self._events.plain)
        elif self._status >= _SERVER_ERROR and self._retry_after:
            await self._journal.give_up(self._entry, "it was not taken, and the client told to come back")
        elif (self._left or cancelled) and not self._journal.closing and not broken:
            await self._journal.give_up(self._entry, _CLIENT_LEFT)
        else:
            await self._journal.interrupt(self._entry)


def _told(told: Told, asked: dict[str, list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": told.request_id, "state": told.state}
    if told.state == "incomplete":
        return {**found, "reason": told.reason}
    found |= {"finish_reason": told.finish, "kept": told.kept}
    if told.body:
        return {**found, "body": json.loads(told.body)}
    after = int(asked["after"][0]) if asked.get("after", [""])[0].isdecimal() else 0
    prefix = hashlib.sha256(told.text[:after].encode()).hexdigest()
    if after and asked.get("sha256", [""])[0] != prefix:
        return {**found, "text": told.text, "restated": True}
    return {**found, "text": told.text[after:], "restated": False}


def _again(body: bytes, rest: Receive, *, more: bool = False) -> Receive:
    """A body that was read, once more, then what comes after it."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": more}

    return receive


def _marked(send: Send, request_id: str, why_not: str) -> Send:
    """The answer with the request's id, or with why it has none."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            mark = (
                [(b"x-standfast-request", request_id.encode())]
                if request_id
                else [
                    (b"x-standfast-journal", b"no"),
                    (b"x-standfast-journal-reason", why_not.encode("latin-1", "replace")),
                ]
            )
            message = {**message, "headers": [*message.get("headers", ()), *mark]}
        await send(message)

    return sent


async def _answer(send: Send, status: int, content: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps(content).encode()
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *headers]})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")
