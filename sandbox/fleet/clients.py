"""The load's own process: `python -m sandbox.fleet.load URL PLAN`. It prints one JSON line for each request."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

from sandbox.fleet import wire
from sandbox.fleet.load import (
    BETWEEN_TOKENS_SECONDS,
    CONNECT_SECONDS,
    FIRST_TOKEN_SECONDS,
    TOTAL_SECONDS,
    Plan,
    Record,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence

_WORDS: Final = ("why", "how", "what", "river", "engine", "seven", "paper", "north", "a", "the", "of", "stone", "light")
_NO_FIRST_TOKEN: Final = f"no first token in {FIRST_TOKEN_SECONDS:g} s"
T = TypeVar("T")


class FailedError(Exception):
    """The request has failed; the message says how."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to come: seconds after the one before it, and what it asks."""

    after_seconds: float
    prompt: str
    max_tokens: int
    low_priority: bool = False


def arrivals(plan: Plan, client: int) -> Iterator[Arrival]:
    """The requests of one client, without end. Equal for equal plans, whatever the service does."""
    generator = random.Random(f"{plan.seed}/{client}")
    while True:
        words = generator.choices(_WORDS, k=generator.randint(*plan.prompt_words))
        yield Arrival(
            after_seconds=generator.expovariate(plan.rate_per_second / plan.clients),
            prompt=" ".join(words),
            max_tokens=generator.randint(*plan.answer_tokens),
            low_priority=plan.low_priority is not None and generator.random() < plan.low_priority_share,
        )


@dataclass(slots=True)
class Progress:
    """How far a request has come."""

    status: int | None = None
    tokens: int = 0
    first_token_at: float | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a name leads: for `seconds` a connection is on its way."""

    host: str
    port: int
    region: str = ""
    seconds: float = 0.0


class Service:
    """Where requests go. With a resolver the host is a name, which leads each client where it was told of late."""

    def __init__(
        self,
        url: str,
        model: str | None,
        low_priority: tuple[str, str] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._resolver = resolver
        self._model = model
        self._low_priority = low_priority

    async def request(self, client: int, name: str, arrival: Arrival) -> Record:
        """Sends one request, once, and follows it to its end."""
        progress, failure = Progress(), None
        address = Address(self._host, self._port)
        sent_at = time.time()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                if self._resolver is not None:
                    address = await self._resolver.address(client, self._host)
                await self._stream(name, arrival, progress, address)
        except TimeoutError:
            failure = f"not done in {TOTAL_SECONDS:g} s"
        except FailedError as error:
            failure = str(error)
        except OSError:
            failure = "cut"
        except wire.WireError:
            failure = "not an HTTP answer"
        return Record(
            client=client,
            request=name,
            sent_at=sent_at,
            first_token_at=progress.first_token_at,
            ended_at=time.time(),
            ok=failure is None,
            status=progress.status,
            tokens=progress.tokens,
            failure=failure,
            retry_after_seconds=progress.retry_after_seconds,
            low_priority=arrival.low_priority,
            region=address.region,
        )

    async def _stream(self, name: str, arrival: Arrival, progress: Progress, address: Address) -> None:
        first_token_due = asyncio.get_running_loop().time() + FIRST_TOKEN_SECONDS
        await asyncio.sleep(address.seconds)
        reader, writer = await self._connect(address)
        try:
            writer.write(self._question(name, arrival))
            answer = await _by(first_token_due, wire.read_head(reader), _NO_FIRST_TOKEN)
            if answer is None:
                raise FailedError("cut")
            progress.status = answer.status
            progress.retry_after_seconds = _retry_after(answer)
            if progress.retry_after_seconds is not None:
                raise FailedError("shed")
            if answer.status != 200:
                raise FailedError(f"status {answer.status}")
            await _follow(_events(reader, answer), progress, first_token_due)
        finally:
            writer.close()

    async def _connect(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        due = asyncio.get_running_loop().time() + CONNECT_SECONDS
        opening = asyncio.open_connection(address.host, address.port)
        try:
            return await _by(due, opening, f"no connection in {CONNECT_SECONDS:g} s")
        except ConnectionRefusedError as error:
            raise FailedError("refused") from error

    def _question(self, name: str, arrival: Arrival) -> bytes:
        content: dict[str, Any] = {"prompt": arrival.prompt, "max_tokens": arrival.max_tokens, "stream": True}
        if self._model is not None:
            content["model"] = self._model
        payload = json.dumps(content).encode()
        headers = (
            ("Host", f"{self._host}:{self._port}"),
            ("X-Request-Id", name),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(payload))),
            ("Connection", "close"),
            *([self._low_priority] if arrival.low_priority and self._low_priority else []),
        )
        return wire.write_head("POST /v1/completions HTTP/1.1", headers) + payload


class Resolver:
    """What each client knows of names: an answer is believed for its TTL, and no longer.

    The first answer of a client is some way into its TTL, as in a cache that others fill too.
    """

    def __init__(self, url: str, plan: Plan) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 80)
        self._user = {"region": plan.region, "continent": plan.continent}
        self._random = random.Random(f"{plan.seed}/names")
        self._known: dict[int, tuple[float, Address]] = {}

    async def address(self, client: int, name: str) -> Address:
        """Where this client is led. Raises FailedError when nobody knows the name."""
        now = asyncio.get_running_loop().time()
        until, address = self._known.get(client, (0.0, None))
        if address is not None and now < until:
            return address
        try:
            found = await asyncio.wait_for(self._ask(name), CONNECT_SECONDS)
            address = Address(found["address"], found["port"], found["region"], found["seconds"])
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            raise FailedError("no address") from error
        part = 1.0 if client in self._known else self._random.random()
        self._known[client] = (now + part * found["ttl"], address)
        return address

    async def _ask(self, name: str) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection(*self._server)
        try:
            query = urlencode({"name": name, **self._user})
            writer.write(f"GET /resolve?{query} HTTP/1.0\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found


def _retry_after(answer: wire.Head) -> float | None:
    """Seconds, where an answer says 503 and when to come back. Nobody here says it as a date, as RFC 9110 allows."""
    after = answer.get("retry-after") or ""
    return float(after) if answer.status == 503 and after.isdecimal() else None


async def _by(due: float, awaitable: Awaitable[T], failure: str) -> T:
    """What is awaited, if it comes before `due` (time of the loop); else FailedError."""
    try:
        async with asyncio.timeout_at(due):
            return await awaitable
    except TimeoutError as error:
        raise FailedError(failure) from error


async def _events(reader: asyncio.StreamReader, answer: wire.Head) -> AsyncIterator[bytes]:
    """The data of the server-sent events of an answer."""
    unfinished = b""
    async for piece in wire.body(reader, answer):
        *lines, unfinished = (unfinished + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


async def _follow(events: AsyncIterator[bytes], progress: Progress, first_token_due: float) -> None:
    """Takes tokens until `[DONE]`. Raises FailedError when they stop, CutError when the connection does."""
    due, failure = first_token_due, _NO_FIRST_TOKEN
    while (event := await _by(due, anext(events, None), failure)) != b"[DONE]":
        if event is None:
            raise FailedError("cut")
        if not _has_token(event):
            continue
        progress.tokens += 1
        progress.first_token_at = progress.first_token_at or time.time()
        due = asyncio.get_running_loop().time() + BETWEEN_TOKENS_SECONDS
        failure = f"no token for {BETWEEN_TOKENS_SECONDS:g} s"
    if progress.tokens == 0:
        raise FailedError("no tokens")


def _has_token(event: bytes) -> bool:
    try:
        content = json.loads(event)
        return bool(content["choices"][0]["text"])
    except (ValueError, LookupError, TypeError) as error:
        raise FailedError("error in the stream") from error


async def keep_sending(service: Service, plan: Plan, client: int, under_way: set[asyncio.Task[None]]) -> None:
    """One client: each request at its time, whether or not the ones before it have been answered."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for number, arrival in enumerate(arrivals(plan, client)):
        due += arrival.after_seconds
        await asyncio.sleep(due - loop.time())
        task = loop.create_task(_send(service, client, f"{client}-{number}", arrival, plan.patience_seconds))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _send(service: Service, client: int, name: str, arrival: Arrival, patience_seconds: float) -> None:
    """A request, again and again while it is shed. A record each time."""
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + patience_seconds
    while True:
        record = await service.request(client, name, arrival)
        print(json.dumps(asdict(record)), flush=True)
        after = record.retry_after_seconds
        if after is None or loop.time() + after > patience_ends:
            return
        await asyncio.sleep(after)


async def run(url: str, plan: Plan) -> None:
    """Sends until a line comes on standard input, then waits for what is under way; ends at once when it is closed."""
    resolver = None if plan.names is None else Resolver(plan.names, plan)
    service = Service(url, plan.model, plan.low_priority, resolver)
    under_way: set[asyncio.Task[None]] = set()
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    clients = [loop.create_task(keep_sending(service, plan, number, under_way)) for number in range(plan.clients)]
    print("ready", flush=True)
    stop = await orders.readline()
    for client in clients:
        client.cancel()
    if stop:
        await asyncio.gather(*under_way)


def main(arguments: Sequence[str]) -> None:
    """Arguments: the service's URL, and the plan as JSON."""
    url, plan = arguments
    asyncio.run(run(url, Plan(**json.loads(plan))))
