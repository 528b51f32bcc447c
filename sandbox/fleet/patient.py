"""Clients that do not give up: each streams a long answer, and asks for it by id when the stream breaks off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sandbox.fleet import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

POLL_SECONDS: Final = 0.5


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


class Patient:
    """Asks `url` for `tokens` tokens of `model` each time, and waits `patience_seconds` for an answer by id."""

    def __init__(self, url: str, model: str, *, tokens: int, patience_seconds: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._model = model
        self._tokens = tokens
        self._patience = patience_seconds
        self.outcomes: list[Outcome] = []

    async def ask_all(self, prompts: Sequence[str]) -> list[Outcome]:
        """All at once."""
        self.outcomes = [Outcome(prompt) for prompt in prompts]
        await asyncio.gather(*(self._ask(outcome) for outcome in self.outcomes))
        return self.outcomes

    async def _ask(self, outcome: Outcome) -> None:
        if not await self._stream(outcome) and outcome.request_id:
            await self._poll(outcome)
        outcome.ended_at = time.time()
        if outcome.state in ("streamed", "polled"):
            told = await self._told(outcome)
            outcome.again = str(told.get("text", "")) if told and told.get("state") == "ended" else ""

    async def _stream(self, outcome: Outcome) -> bool:
        """Whether the answer came whole by the stream."""
        body = {"model": self._model, "prompt": outcome.prompt, "max_tokens": self._tokens, "temperature": 0}
        payload = json.dumps({**body, "stream": True}).encode()
        try:
            reader, writer, answer = await self._send("POST /v1/completions", payload)
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
                            outcome.text += json.loads(line[6:])["choices"][0]["text"]
            finally:
                outcome.streamed = len(outcome.text)
                writer.close()
        except (OSError, wire.WireError):
            pass  # it broke off
        return False

    async def _poll(self, outcome: Outcome) -> None:
        due = time.time() + self._patience
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
            reader, writer, answer = await self._send(f"GET {path}", b"")
            try:
                body = b"".join([piece async for piece in wire.body(reader, answer)])
            finally:
                writer.close()
        except (OSError, wire.WireError):
            return None
        told: dict[str, Any] = json.loads(body)
        return told if answer.status in (200, 202) else None

    async def _send(self, what: str, payload: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, wire.Head]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        headers = [("Host", "gateway"), ("Content-Type", "application/json"), ("Content-Length", str(len(payload)))]
        writer.write(wire.write_head(f"{what} HTTP/1.1", headers) + payload)
        answer = await wire.read_head(reader)
        if answer is None:
            raise ConnectionResetError("no answer")
        return reader, writer, answer
