"""An engine whose GPU computes wrongly, or that fails: a stand-in before a real llama.cpp server, at its address.

What the server would answer is asked of it and spoilt on its way, so that everything else (`/health`, the metrics, the
pace) is real. `/health` and all pages stay well: that is what makes these failures grey.

| fault | what users get |
|---|---|
| nan | token 0 and no logprob: logits that are NaN. llama.cpp writes NaN as null, for JSON has none |
| nonsense | other tokens, at a logprob as flat logits give it |
| errors | status 500, for a share of the completions: a fifth, where nobody says otherwise |
| out | status 500, for every completion |
| slow | what is right, half a second later: a GPU that is clocked down |
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import signal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.fleet import wire
from sandbox.fleet.replica import Replica
from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ERROR_RATE: Final = 0.2
DELAY_SECONDS: Final = 0.5
UPSTREAM_PORTS: Final = 1000
"""The real server listens so far above the port at which it is asked for."""
_BODY_LIMIT: Final = 1024 * 1024
_TEXT_OF_NAN: Final = "!"
"""Token 0 of most vocabularies, for the largest of logits that are all NaN is the first."""
_FLAT: Final = -math.log(32_000)
_COMPLETIONS: Final = frozenset({"/v1/completions", "/v1/chat/completions", "/completion"})


class Fault(StrEnum):
    """What is broken."""

    NAN = "nan"
    NONSENSE = "nonsense"
    ERRORS = "errors"
    OUT = "out"
    SLOW = "slow"


class BrokenEngine:
    """A replica that is broken from the beginning to `close`, and then starts anew and is well.

    For a second at the beginning and at the end nothing listens at its address: it is another process then.
    """

    def __init__(self, replica: Replica, fault: Fault, *, seed: int = 0, error_rate: float = ERROR_RATE) -> None:
        self._replica = replica
        replica.close()
        port = replica.port + UPSTREAM_PORTS
        self._upstream = Replica(replica.address, port, replica.model, name=f"the engine of {replica.name}").start()
        arguments = ("--address", replica.address, "--port", str(replica.port), "--upstream-port", str(port))
        more = ("--fault", str(fault), "--seed", str(seed), "--error-rate", str(error_rate))
        self._child = Child.of_module(f"broken {replica.name}", "sandbox.fleet.broken_engine", *arguments, *more)
        try:
            self._child.wait_until_ready()
        except BaseException:
            self._upstream.close()
            raise

    def end(self) -> None:
        """Its node has gone: nothing is started anew. May be called again."""
        self._child.close()
        self._upstream.close()

    def close(self) -> None:
        """The replica is well again on return. May be called again."""
        self.end()
        if not self._replica.alive:
            self._replica.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def spoilt(line: bytes, fault: Fault) -> bytes:
    """One line of an answer, an event of a stream or a whole completion, as the broken GPU would have given it."""
    prefix, body = (b"data: ", line[6:]) if line.startswith(b"data: ") else (b"", line)
    try:
        answer = json.loads(body)
        choices = answer["choices"]
    except (ValueError, LookupError, TypeError):
        return line  # the end of the stream, or no completion
    for choice in choices:
        _spoil(choice, fault)
    return prefix + json.dumps(answer, separators=(",", ":")).encode()


def _spoil(choice: dict[str, Any], fault: Fault) -> None:
    choice["text"] = _other(choice.get("text", ""), fault)
    for token in (choice.get("logprobs") or {}).get("content") or ():
        token["token"] = _other(token["token"], fault)
        token["logprob"] = None if fault is Fault.NAN else _FLAT


def _other(text: str, fault: Fault) -> str:
    """As long as it was, and other characters: token 0 for each, or the printable one that comes 13 after it."""
    if fault is Fault.NAN:
        return _TEXT_OF_NAN * len(text)
    return "".join(chr(33 + (ord(character) - 33 + 13) % 94) for character in text)


class _Front:
    """What is asked at the replica's address."""

    def __init__(self, address: str, upstream_port: int, fault: Fault, seed: int, error_rate: float) -> None:
        self._address = address
        self._upstream_port = upstream_port
        self._fault = fault
        self._error_rate = {Fault.ERRORS: error_rate, Fault.OUT: 1.0}.get(fault, 0.0)
        self._chance = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with one request."""
        try:
            await self._exchange(reader, writer)
        except (OSError, wire.WireError):
            pass  # somebody left
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await wire.read_head(reader)
        if request is None:
            return
        payload = await wire.read_request_body(reader, request, limit=_BODY_LIMIT)
        asks_model = request.start[1] in _COMPLETIONS
        if asks_model and self._chance.random() < self._error_rate:
            body = b'{"error":{"code":500,"message":"CUDA error: an illegal memory access was encountered"}}'
            writer.write(_head("500 Internal Server Error", "application/json", f"{len(body)}") + body)
            await writer.drain()
            return
        if asks_model and self._fault is Fault.SLOW:
            await asyncio.sleep(DELAY_SECONDS)
        # Somebody who leaves must leave the engine too: it would go on with a completion that nobody waits for.
        forward = asyncio.ensure_future(self._forward(request, payload, writer, spoil=asks_model))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait((forward, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (forward, gone):
            task.cancel()
        await asyncio.gather(forward, gone, return_exceptions=True)

    async def _forward(self, request: wire.Head, payload: bytes, writer: asyncio.StreamWriter, *, spoil: bool) -> None:
        upstream_reader, upstream = await asyncio.open_connection(self._address, self._upstream_port)
        try:
            kept = [each for each in request.headers if each[0].lower() not in ("connection", "content-length")]
            headers = (*kept, ("Content-Length", f"{len(payload)}"), ("Connection", "close"))
            upstream.write(wire.write_head(" ".join(request.start), headers) + payload)
            answer = await wire.read_head(upstream_reader)
            if answer is None:
                return
            status = " ".join(answer.start[1:])
            writer.write(_head(status, answer.get("content-type") or "text/plain", None))
            pieces = wire.body(upstream_reader, answer)
            spoils = spoil and self._fault in (Fault.NAN, Fault.NONSENSE)
            async for piece in self._spoilt(pieces) if spoils else pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            upstream.close()

    async def _spoilt(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            if lines:
                yield b"".join(spoilt(line, self._fault) + b"\n" for line in lines)
        if rest:
            yield spoilt(rest, self._fault)


def _head(status: str, content_type: str, length: str | None) -> bytes:
    body = ("Content-Length", length) if length is not None else ("Transfer-Encoding", "chunked")
    return wire.write_head(f"HTTP/1.1 {status}", (("Content-Type", content_type), body, ("Connection", "close")))


async def serve(address: str, port: int, upstream_port: int, fault: Fault, seed: int, error_rate: float) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    front = _Front(address, upstream_port, fault, seed, error_rate)
    async with await asyncio.start_server(front.serve, address, port):
        print("ready", flush=True)
        await ended.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m sandbox.fleet.broken_engine`; see `BrokenEngine`."""
    parser = argparse.ArgumentParser(description="A broken engine before a real one")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream-port", type=int, required=True)
    parser.add_argument("--fault", type=Fault, choices=list(Fault), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--error-rate", type=float, default=ERROR_RATE)
    given = parser.parse_args(arguments)
    place = (given.address, given.port, given.upstream_port)
    asyncio.run(serve(*place, given.fault, given.seed, given.error_rate))


if __name__ == "__main__":
    main()
