"""Clients that do not give up: each streams a long answer, and asks for it by id when the stream breaks off.

Each request has an idempotency key. One whose answer had not begun, so that nobody told its id, is sent once more.

In a process of their own: `python -m sandbox.fleet.patient`. What runs AWS has no time to read fifty streams.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sandbox.fleet import wire
from sandbox.processes import Child

if TYPE_CHECKING:
    from pathlib import Path

POLL_SECONDS: Final = 2.0


@dataclass(slots=True)
class Outcome:
    """What became of one request, as its client saw it. Times are `time.time()`.

    `streamed`: characters that came by the stream; `text`: the answer that it has in the end; `restated`: it was told
    that what it had was not how the answer begins. `again`: what a second question by id added to a whole answer.
    `state`: "streamed", "polled", "incomplete", "not accepted" or "lost".
    """

    prompt: str
    request_id: str = ""
    state: str = "lost"
    text: str = ""
    streamed: int = 0
    restated: bool = False
    again: str = ""
    reason: str = ""
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What to ask for: each prompt for `tokens` tokens. `patience_seconds`: how long a client asks by id.

    `by_id_url`: where it asks by id, if not where it streamed: the service's name leads elsewhere by then.
    """

    url: str
    model: str
    prompts: tuple[str, ...]
    tokens: int
    patience_seconds: float
    by_id_url: str = ""


class PatientClients:
    """Parent's handle. They ask at once, all together."""

    def __init__(self, asked: Asked, *, log: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._begun = 0
        self._outcomes: list[Outcome] = []
        arguments = (json.dumps(asdict(asked)),)
        self._child = Child.of_module("patient", "sandbox.fleet.patient", *arguments, log=log, on_line=self._take)
        self._child.wait_until_ready()

    @property
    def begun(self) -> int:
        """How many answers have begun."""
        with self._lock:
            return self._begun

    def wait(self, seconds: float) -> list[Outcome]:
        """What became of all requests, once each has ended."""
        self._child.wait(seconds)
        self._child.close()  # every line has been read then
        with self._lock:
            return list(self._outcomes)

    def close(self) -> None:
        """Ends the process. May be called again."""
        self._child.close()

    def _take(self, line: str) -> None:
        message = json.loads(line)
        with self._lock:
            if message is None:
                self._begun += 1
            else:
                self._outcomes.append(Outcome(**message))


class Patient:
    """All clients of one process."""

    def __init__(self, asked: Asked) -> None:
        self._stream_at, self._ask_at = _address(asked.url), _address(asked.by_id_url or asked.url)
        self._asked = asked

    async def ask_all(self) -> None:
        """Prints `null` for each answer that begins, and for each request that has ended what became of it."""
        await asyncio.gather(*(self._ask(Outcome(prompt)) for prompt in self._asked.prompts))

    async def _ask(self, outcome: Outcome) -> None:
        whole = await self._stream(outcome, self._stream_at)
        if not whole and not outcome.request_id and self._ask_at != self._stream_at:
            whole = await self._stream(outcome, self._ask_at)  # the same key: it is told where to ask
        if not whole and outcome.request_id:
            await self._poll(outcome)
        outcome.ended_at = time.time()
        if outcome.state in ("streamed", "polled"):
            await asyncio.sleep(POLL_SECONDS)  # its end is written after it was told
            told = await self._told(outcome)
            outcome.again = str(told.get("text", "")) if told and told.get("state") == "ended" else ""
        print(json.dumps(asdict(outcome)), flush=True)

    async def _stream(self, outcome: Outcome, to: tuple[str, int]) -> bool:
        """Whether the answer came whole by the stream."""
        body = {"model": self._asked.model, "prompt": outcome.prompt, "max_tokens": self._asked.tokens}
        payload = json.dumps({**body, "temperature": 0, "stream": True}).encode()
        try:
            reader, writer, answer = await _send(to, "POST /v1/completions", payload, outcome.prompt)
            try:
                outcome.request_id = answer.get("x-standfast-request") or ""
                if not outcome.request_id:
                    outcome.state = "not accepted"
                if answer.status != 200:
                    return False
                rest = b""
                async for piece in wire.body(reader, answer):
                    *lines, rest = (rest + piece).split(b"\n")
                    if b"data: [DONE]" in lines:
                        outcome.state = "streamed"
                        return True
                    for line in lines:
                        if line.startswith(b"data: "):
                            if not outcome.text:
                                print("null", flush=True)
                            outcome.text += json.loads(line[6:])["choices"][0]["text"]
            finally:
                outcome.streamed = len(outcome.text)
                writer.close()
        except (OSError, wire.WireError):
            pass  # it broke off
        return False

    async def _poll(self, outcome: Outcome) -> None:
        due = time.time() + self._asked.patience_seconds
        while time.time() < due:
            told = await self._told(outcome)
            if told is not None and told["state"] == "ended":
                outcome.restated = bool(told["restated"])
                outcome.text = told["text"] if outcome.restated else outcome.text + told["text"]
                outcome.state = "polled"
                return
            if told is not None and told["state"] == "incomplete":
                outcome.state, outcome.reason = "incomplete", told["reason"]
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _told(self, outcome: Outcome) -> dict[str, Any] | None:
        """What is said of it by id; None where nothing is."""
        digest = hashlib.sha256(outcome.text.encode()).hexdigest()
        path = f"/v1/requests/{outcome.request_id}?after={len(outcome.text)}&sha256={digest}"
        try:
            reader, writer, answer = await _send(self._ask_at, f"GET {path}", b"")
            try:
                body = b"".join([piece async for piece in wire.body(reader, answer)])
            finally:
                writer.close()
        except (OSError, wire.WireError):
            return None
        told: dict[str, Any] = json.loads(body)
        return told if answer.status in (200, 202) else None


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


async def _send(
    to: tuple[str, int], what: str, payload: bytes, key: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, wire.Head]:
    reader, writer = await asyncio.open_connection(*to)
    headers = [("Host", "gateway"), ("Content-Type", "application/json"), ("Content-Length", str(len(payload)))]
    if key:
        headers.append(("Idempotency-Key", key))
    writer.write(wire.write_head(f"{what} HTTP/1.1", headers) + payload)
    answer = await wire.read_head(reader)
    if answer is None:
        raise ConnectionResetError("no answer")
    return reader, writer, answer


async def run(asked: Asked) -> None:
    """Asks, and ends."""
    print("ready", flush=True)
    await Patient(asked).ask_all()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    asyncio.run(run(Asked(**{**given, "prompts": tuple(given["prompts"])})))
