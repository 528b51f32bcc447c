"""The journal's client: accept a request, write its progress, end it; and what a client that asks by id is told."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from standfast_gateway import layout
from standfast_gateway.batches import Batches
from standfast_gateway.dynamodb import Calls, unpacked
from standfast_gateway.settings import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from standfast_gateway.events import Heard
    from standfast_gateway.layout import Item
    from standfast_gateway.settings import Settings

DAY_SECONDS = 86_400
log = logging.getLogger("standfast_gateway")  # request ids and errors: never a prompt or an answer


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request with this idempotency key is known. `same`: with the same body."""

    request_id: str
    same: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a client that asks by id is told. `state` as in the table; text and `body` only of what has ended."""

    request_id: str
    state: str
    text: str = ""
    body: bytes = b""
    finish: str = ""
    reason: str = ""
    kept: bool = True


@dataclass(slots=True)
class Entry:
    """One request that this gateway has accepted and still serves."""

    request_id: str
    expires_at: float
    text: str = ""
    tokens: int = 0
    finish: str = ""
    pieces: int = 0
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add(self, heard: Heard) -> None:
        """Keep what was heard until it is written."""
        self.text += heard.text
        self.tokens += heard.tokens
        self.finish = heard.finish or self.finish


class RequestJournal:
    """One a process, on one event loop: `start` it there and `close` it. `client`: a DynamoDB client of boto3.

    What it cannot write makes no request fail but, by `serve_without`, the ones that are not accepted yet.
    """

    def __init__(self, settings: Settings, client: Any = None) -> None:
        self.settings = settings
        self._calls = Calls(settings.table, settings.scope, max(1.0, settings.accept_seconds), client)
        self._batches = Batches(self._calls.write, settings.linger_seconds)
        self._entries: dict[str, Entry] = {}
        self._behind: set[asyncio.Task[None]] = set()
        self._rounds: list[asyncio.Task[None]] = []
        self._serving = ""
        self._paused_until = 0.0
        self._alive_until = 0.0
        self.closing = False

    async def start(self) -> None:
        """Give the first sign of life. Where the journal does not answer, requests are not journalled until it does."""
        with contextlib.suppress(UnavailableError):
            await self._beat()
        self._rounds = [
            asyncio.create_task(self._every(self.settings.beat_seconds, self._beat)),
            asyncio.create_task(self._every(self.settings.piece_seconds, self._write_pieces)),
        ]

    async def close(self) -> None:
        """Hand what is still open to others, and wait for all writes."""
        self.closing = True
        for entry in list(self._entries.values()):
            await self.interrupt(entry)
        for task in self._rounds:
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        await self._batches.flush()
        while self._behind:
            await asyncio.gather(*self._behind)
        await self._calls.close()

    async def accept(self, path: str, body: bytes, *, caller: str = "", key: str = "") -> Entry | Repeated:
        """Write a request down. Raises UnavailableError when that takes longer than it may, and then it is not there.

        `key`: the client's idempotency key; the same one of the same `caller` again is Repeated.
        """
        now, settings = time.time(), self.settings
        if time.monotonic() < self._paused_until:
            raise UnavailableError("the journal did not answer a moment ago")
        if now > self._alive_until:
            raise UnavailableError("the journal has no sign of life of this gateway")
        request_id = layout.id_of(key, caller) if key else secrets.token_hex(16)
        expires_at = now + settings.keep_seconds
        sent = layout.body(request_id, body, expires_at)
        if layout.size(sent) > layout.ITEM_BYTES:
            raise UnavailableError(f"the request has {len(body)} bytes, packed more than an item may have")
        head = layout.head(
            request_id,
            owner=settings.name,
            scope=settings.scope,
            path=path,
            serving=self._serving,
            caller=_hash(caller),
            body_sha256=hashlib.sha256(body).hexdigest(),
            accepted_at=now,
            expires_at=expires_at,
        )
        writing = asyncio.ensure_future(self._accept_new(head, sent) if key else self._batches.put(head, sent))
        done, _ = await asyncio.wait({writing}, timeout=settings.accept_seconds)
        if not done:
            self._pause()
            self._in_background(self._forget(head, writing))
            raise UnavailableError(f"the journal did not take it in {settings.accept_seconds:g} s")
        try:
            repeated = writing.result()
        except UnavailableError:
            self._pause()
            self._in_background(self._forget(head, None))
            raise
        if repeated is not None:
            return repeated
        entry = self._entries[request_id] = Entry(request_id, expires_at)
        return entry

    async def end(self, entry: Entry, *, finish: str = "", raw: bytes = b"", kept: bool = True) -> None:
        """The answer was whole. In the background: the client has it already. `raw`: an answer that came at once."""
        if self._entries.pop(entry.request_id, None) is not None:
            entry.finish = finish or entry.finish or "stop"
            self._in_background(self._end(entry, raw, kept=kept))

    async def interrupt(self, entry: Entry) -> None:
        """The answer broke off, or never began: it is anybody's to take up."""
        if self._entries.pop(entry.request_id, None) is not None:
            await self._settle(entry, {"state": {"S": "interrupted"}}, closes=False)

    async def give_up(self, entry: Entry, reason: str) -> None:
        """Nobody wants the answer any more."""
        if self._entries.pop(entry.request_id, None) is not None:
            entry.text = ""
            await self._settle(entry, {"state": {"S": "incomplete"}, "reason": {"S": reason}}, closes=True)

    async def tell(self, request_id: str, *, caller: str = "") -> Told | None:
        """What is known of a request; None where nothing is, or another caller asks. Raises UnavailableError."""
        head = await self._calls.read(layout.head_key(request_id))
        if head is None or head["caller"]["S"] != _hash(caller):
            return None
        state, reason = head["state"]["S"], head.get("reason", {}).get("S", "")
        if state != "ended":
            overdue = state != "incomplete" and time.time() >= float(head["expires_at"]["N"])
            if overdue:
                return Told(request_id, "incomplete", reason="its time is over: send it again if it is still wanted")
            return Told(request_id, state, reason=reason)
        count = int(head["pieces"]["N"])
        pieces = await self._calls.read_pieces(request_id, int(head["token"]["N"]), count)
        if len(pieces) < count or not head.get("kept", {"BOOL": True})["BOOL"]:
            return Told(request_id, state, finish=head["finish"]["S"], kept=False)
        return Told(
            request_id,
            state,
            text="".join(piece["text"]["S"] for piece in pieces),
            body=b"".join(unpacked(piece["raw"]) for piece in pieces if "raw" in piece),
            finish=head["finish"]["S"],
        )

    # Writing

    async def _accept_new(self, head: Item, sent: Item) -> Repeated | None:
        """With an idempotency key the head comes first: a body that is not the first one's must not replace it."""
        request_id = head["request_id"]["S"]
        if not await self._calls.put_new(head):
            known = await self._calls.read(layout.head_key(request_id))
            return Repeated(request_id, known is not None and known["body_sha256"] == head["body_sha256"])
        await self._batches.put(sent)
        return None

    async def _forget(self, head: Item, writing: asyncio.Future[Any] | None) -> None:
        """What came too late to be accepted must not come back: its client was told that it is not in the journal."""
        if writing is not None:
            with contextlib.suppress(UnavailableError):
                if isinstance(await writing, Repeated):
                    return
        try:
            await self._calls.forget(head)
        except UnavailableError as error:
            log.warning("request %s may be answered once more than it was asked: %s", head["request_id"]["S"], error)

    async def _end(self, entry: Entry, raw: bytes, *, kept: bool) -> None:
        if raw and len(raw) > layout.ITEM_BYTES:
            raw, kept = b"", False
        ended: Item = {"state": {"S": "ended"}, "finish": {"S": entry.finish}, "kept": {"BOOL": kept}}
        await self._settle(entry, {**ended, "ended_at": {"N": repr(time.time())}}, closes=True, raw=raw)

    async def _settle(self, entry: Entry, changes: dict[str, Item], *, closes: bool, raw: bytes = b"") -> None:
        try:
            await self._write_piece(entry, raw)
            changes["pieces"] = {"N": str(entry.pieces)}
            if not await self._calls.change(entry.request_id, layout.FIRST_TOKEN, changes, closes=closes):
                log.info("request %s is somebody else's by now", entry.request_id)
        except UnavailableError as error:
            # It stays open under our name: once we give no sign of life, others take it up.
            log.warning("request %s: its end is not in the journal: %s", entry.request_id, error)

    async def _write_pieces(self) -> None:
        """One round of progress: every request's in a batch with the others'."""
        results = await asyncio.gather(
            *(self._write_piece(entry) for entry in list(self._entries.values())), return_exceptions=True
        )
        for result in results:
            if isinstance(result, UnavailableError):
                log.warning("progress is not in the journal: %s", result)
                return

    async def _write_piece(self, entry: Entry, raw: bytes = b"") -> None:
        async with entry.writing:
            text, tokens, finish = entry.text, entry.tokens, entry.finish
            if not (text or raw):
                return
            item = layout.piece(
                entry.request_id, layout.FIRST_TOKEN, entry.pieces, text, tokens, finish, entry.expires_at, raw
            )
            await self._batches.put(item)
            entry.pieces += 1
            entry.text, entry.tokens = entry.text[len(text) :], entry.tokens - tokens

    async def _beat(self) -> None:
        now = time.time()
        until = now + self.settings.alive_seconds
        await self._batches.put(layout.beat(self.settings.name, until, now + self.settings.keep_seconds + DAY_SECONDS))
        self._alive_until = until
        served = await self._calls.read(layout.serving_key(self.settings.scope))
        self._serving = served["serving"]["S"] if served else ""

    async def _every(self, seconds: float, act: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await act()
            except UnavailableError as error:
                log.warning("the journal does not answer: %s", error)

    def _pause(self) -> None:
        self._paused_until = time.monotonic() + self.settings.pause_seconds

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)


def _hash(caller: str) -> str:
    return hashlib.sha256(caller.encode()).hexdigest()
