"""An HTTP proxy that behaves as an Application Load Balancer does.

- The target refuses the connection: 502; it does not take it within 10 s, or sends no headers within the idle time-out
  (60 s): 504. No target, or no weight: 503. No rule: 404. Never a second try.
- Streams under way are not touched by a routing change. When a target dies in mid-stream, its client's connection ends
  without a clean end. When a client leaves, its target's connection is closed.

Source: "Troubleshoot your Application Load Balancers" in AWS's user guide. Request bodies are read whole before a
target is chosen; each request has a connection of its own to its target.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox.fleet import function_targets, wire
from sandbox.fleet.balancer import Balancer, Choice
from sandbox.fleet.function_targets import Invocations, NoAnswerError
from sandbox.fleet.healthchecks import HealthChecks
from sandbox.fleet.routing import Roads, Routing

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECONDS: Final = 10.0
BODY_LIMIT: Final = 1024 * 1024  # bytes
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"})
_REASONS: Final = {
    400: "Bad Request",
    404: "Not Found",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
_NO_BODY: Final = frozenset({204, 304})


@dataclass(slots=True)
class Tally:
    """What is counted for one target group; names as in `frontdoor.GroupCounters`."""

    counts: Counter[str] = field(default_factory=Counter)
    response_seconds: float = 0.0
    response_times: Counter[str] = field(default_factory=Counter)


class RefusedByDoorError(Exception):
    """The door answers by itself, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Proxy:
    """Serves clients by one routing at a time, and counts. `ask` writes one message to the parent."""

    def __init__(self, *, seed: int, idle_timeout_seconds: float, ask: Callable[[dict[str, Any]], None]) -> None:
        self._idle = idle_timeout_seconds
        self.checks = HealthChecks()
        self._balancer = Balancer(Routing(), self.checks.health, seed=seed)
        self.invocations = Invocations(ask)
        self._groups: defaultdict[str, Tally] = defaultdict(Tally)
        self._elb_status: Counter[int] = Counter()
        self._roads = Roads()

    def take_roads(self, roads: Roads) -> None:
        """Later connections come this way."""
        self._roads = roads

    def apply(self, routing: Routing) -> None:
        """Later requests follow this routing."""
        self.checks.apply(routing)
        self._balancer.apply(routing)

    def counters(self) -> dict[str, Any]:
        """As `frontdoor.DoorCounters` reads it."""
        groups = {
            arn: {
                **tally.counts,
                "response_seconds": tally.response_seconds,
                "response_times": tally.response_times,
            }
            for arn, tally in self._groups.items()
        }
        return {"groups": groups, "elb_status": dict(self._elb_status)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, request after request."""
        try:
            if not await self._arrives(reader, writer):
                return
            ahead: bytes | None = b""
            while ahead is not None:
                ahead = await self._take_request(reader, writer, ahead)
        except (OSError, TimeoutError):
            pass  # the client is gone, or was silent for too long
        finally:
            writer.close()

    async def _arrives(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a connection gets here, after the time of its way. One that does not is held until it ends."""
        address = str(writer.get_extra_info("peername")[0])
        if self._roads.is_closed(address):
            while await reader.read(BODY_LIMIT):
                pass
            return False
        await asyncio.sleep(self._roads.seconds.get(address, 0.0))
        return True

    async def _take_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ahead: bytes
    ) -> bytes | None:
        """Serves one request, whose first bytes may have been read. What was read of the next one; None to close."""
        try:
            async with asyncio.timeout(self._idle):
                request = await wire.read_head(reader, ahead)
                if request is None:
                    return None
                payload = await wire.read_request_body(reader, request, limit=BODY_LIMIT)
        except wire.WireError:
            await self._answer(writer, 400, keep=False)
            return None
        stays = (request.get("connection") or "").lower() != "close" and request.start[2] == "HTTP/1.1"
        choice = self._balancer.choose(request)
        tally = self._groups[choice.group] if choice.group is not None else Tally()
        if choice.target is not None or choice.function is not None:
            tally.counts["requests"] += 1
        exchange = asyncio.ensure_future(self._exchange(request, payload, choice, tally, writer, keep=stays))
        # The next thing to come from the client is its departure, or the first byte of its next request.
        following = asyncio.ensure_future(reader.read(1))
        await asyncio.wait((exchange, following), return_when=asyncio.FIRST_COMPLETED)
        if not exchange.done() and not _result(following):
            exchange.cancel()
            tally.counts["client_closed"] += 1
            await asyncio.wait((exchange,))
            return None
        await asyncio.wait((exchange,))
        following.cancel()
        await asyncio.wait((following,))
        if not exchange.result() or not stays:
            return None
        return b"" if following.cancelled() else _result(following) or None

    async def _exchange(
        self,
        request: wire.Head,
        payload: bytes,
        choice: Choice,
        tally: Tally,
        writer: asyncio.StreamWriter,
        *,
        keep: bool,
    ) -> bool:
        """Sends the request to its target and relays the answer. False when the client's connection must end."""
        target_writer: asyncio.StreamWriter | None = None
        try:
            sent_at = time.monotonic()
            if choice.function is not None:
                await self._from_function(request, payload, choice, tally, writer, keep=keep)
                return True
            target_reader, target_writer = await self._connect(choice, tally)
            target_writer.write(_forwarded(request, payload, writer))
            answer = await self._answer_head(target_reader)
            took = time.monotonic() - sent_at
            tally.response_seconds += took
            tally.response_times[f"{took:.3g}"] += 1
            tally.counts[f"target_{answer.status // 100}xx"] += 1
            has_body = request.start[0] != "HEAD" and answer.status not in _NO_BODY
            return await self._relay(target_reader, answer, writer, tally, keep=keep, has_body=has_body)
        except RefusedByDoorError as refusal:
            if refusal.status >= 500:
                tally.counts["elb_5xx"] += 1
            await self._answer(writer, refusal.status, keep=keep)
            return True
        finally:
            if target_writer is not None:
                target_writer.close()

    async def _from_function(
        self,
        request: wire.Head,
        payload: bytes,
        choice: Choice,
        tally: Tally,
        writer: asyncio.StreamWriter,
        *,
        keep: bool,
    ) -> None:
        """A Lambda function's answer. RefusedByDoorError where it has none."""
        client = str(writer.get_extra_info("peername")[0])
        event = function_targets.event(str(choice.group), request, payload, client)
        try:
            head, body = function_targets.answer(await self.invocations.invoke(str(choice.function), event))
        except NoAnswerError as error:
            print(error, file=sys.stderr, flush=True)
            raise RefusedByDoorError(502) from error
        tally.counts[f"target_{head.status // 100}xx"] += 1
        headers = (*head.headers, ("Connection", "keep-alive" if keep else "close"))
        writer.write(wire.write_head(" ".join(head.start), headers) + (b"" if request.start[0] == "HEAD" else body))
        await writer.drain()

    async def _connect(self, choice: Choice, tally: Tally) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = choice.target
        if target is None:
            raise RefusedByDoorError(choice.status)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(target.address, target.port)
        except TimeoutError as error:
            tally.counts["connection_errors"] += 1
            raise RefusedByDoorError(504) from error
        except OSError as error:
            tally.counts["connection_errors"] += 1
            raise RefusedByDoorError(502) from error

    async def _answer_head(self, reader: asyncio.StreamReader) -> wire.Head:
        try:
            async with asyncio.timeout(self._idle):
                answer = await wire.read_head(reader)
        except TimeoutError as error:
            raise RefusedByDoorError(504) from error
        except (OSError, wire.WireError) as error:
            raise RefusedByDoorError(502) from error
        if answer is None or not answer.start[1].isdecimal():
            raise RefusedByDoorError(502)
        return answer

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        answer: wire.Head,
        writer: asyncio.StreamWriter,
        tally: Tally,
        *,
        keep: bool,
        has_body: bool,
    ) -> bool:
        """Passes the answer on, piece by piece. False when the target did not end it."""
        in_chunks = has_body and answer.content_length is None
        headers = [header for header in answer.headers if header[0].lower() not in _HOP_BY_HOP]
        headers.append(("Connection", "keep-alive" if keep else "close"))
        if in_chunks:
            headers.append(("Transfer-Encoding", "chunked"))
        writer.write(wire.write_head(" ".join(("HTTP/1.1", *answer.start[1:])), headers))
        if not has_body:
            return True
        pieces = wire.body(reader, answer)
        try:
            while True:
                async with asyncio.timeout(self._idle):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if in_chunks else piece)
                await writer.drain()
        except (OSError, TimeoutError, wire.WireError):
            tally.counts["cut"] += 1
            return False
        if in_chunks:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _answer(self, writer: asyncio.StreamWriter, status: int, *, keep: bool) -> None:
        self._elb_status[status] += 1
        text = f"{status} {_REASONS[status]}\n".encode()
        headers = (
            ("Server", "awselb/2.0"),
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(text))),
            ("Connection", "keep-alive" if keep else "close"),
        )
        writer.write(wire.write_head(f"HTTP/1.1 {status} {_REASONS[status]}", headers) + text)
        await writer.drain()


def _result(reading: asyncio.Future[bytes]) -> bytes:
    """What was read; nothing where the connection was reset."""
    return b"" if reading.exception() is not None else reading.result()


def _forwarded(request: wire.Head, payload: bytes, client: asyncio.StreamWriter) -> bytes:
    """The request as the target gets it: its body in one piece, the client's address added."""
    dropped = _HOP_BY_HOP | {"content-length"}
    headers = [header for header in request.headers if header[0].lower() not in dropped]
    headers.append(("X-Forwarded-For", str(client.get_extra_info("peername")[0])))
    headers.append(("X-Forwarded-Proto", "http"))
    headers.append(("Connection", "close"))
    if payload or request.get("content-length") is not None:
        headers.append(("Content-Length", str(len(payload))))
    return wire.write_head(" ".join((*request.start[:2], "HTTP/1.1")), headers) + payload
