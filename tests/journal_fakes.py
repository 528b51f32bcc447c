"""A request journal in memory, and a service that answers: each call waits for its turn, then is atomic.

Whoever drives the coroutine by hand may stop it, or end it, between any two calls.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from standfast.errors import CorruptStateError, FencedError, InvalidInputError, UnavailableError
from standfast.journal import Emitted, Head, State

Turn = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """No waiting."""


@dataclass
class MemoryJournal:
    """RequestJournal in memory. `turn` is awaited before each call acts."""

    turn: Turn = at_once
    heads: dict[str, Head] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[tuple[str, int, int], Emitted] = field(default_factory=dict)
    answers: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    beats: dict[str, float] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)

    def accept(self, head: Head, body: bytes) -> None:
        self.heads[head.request_id], self.bodies[head.request_id] = head, body

    def text(self, request_id: str) -> str:
        """What a client that asks by id is given, of a request that has ended."""
        token, count, _ = self.answers[request_id]
        return "".join(self.pieces[request_id, token, number].text for number in range(count))

    async def open_heads(self, scope: str) -> Sequence[Head]:
        await self.turn()
        found = [head for head in self.heads.values() if head.scope == scope and head.state.is_open]
        return sorted(found, key=lambda head: head.accepted_at)

    async def gateways(self, names: Collection[str]) -> Mapping[str, float]:
        await self.turn()
        return {name: until for name, until in self.beats.items() if name in names}

    async def claim(self, head: Head, owner: str, until: float) -> Head | None:
        await self.turn()
        stands = self.heads[head.request_id]
        if stands.token != head.token or stands.state is not head.state or stands.claimed_until != head.claimed_until:
            return None
        claimed = replace(head, state=State.CLAIMED, token=head.token + 1, owner=owner, claimed_until=until)
        self.heads[head.request_id] = claimed
        return claimed

    async def read_body(self, request_id: str) -> bytes:
        await self.turn()
        if request_id not in self.bodies:
            raise CorruptStateError(f"no body of {request_id}")
        return self.bodies[request_id]

    async def read_emitted(self, request_id: str, token: int) -> Emitted:
        await self.turn()
        wrote = [owner for name, owner, number in self.pieces if name == request_id and number == 0 and owner <= token]
        if not wrote:
            return Emitted()
        found, number = Emitted(), 0
        while (piece := self.pieces.get((request_id, max(wrote), number))) is not None:
            found = Emitted(found.text + piece.text, found.tokens + piece.tokens, piece.finish)
            number += 1
        return found

    async def write_emitted(self, request_id: str, token: int, number: int, piece: Emitted, expires_at: float) -> None:
        await self.turn()
        self.pieces[request_id, token, number] = piece

    async def renew(self, request_id: str, token: int, until: float) -> None:
        await self.turn()
        self._change(request_id, token, claimed_until=until)

    async def let_go(self, request_id: str, token: int) -> None:
        await self.turn()
        self._change(request_id, token, state=State.INTERRUPTED)

    async def end(self, request_id: str, token: int, pieces: int, finish: str, now: float) -> None:
        await self.turn()
        self._change(request_id, token, state=State.ENDED)
        self.answers[request_id] = (token, pieces, finish)
        self.ends.append(request_id)

    async def give_up(self, request_id: str, token: int, reason: str, now: float) -> None:
        await self.turn()
        self._change(request_id, token, state=State.INCOMPLETE)
        self.reasons[request_id] = reason
        self.ends.append(request_id)

    def _change(self, request_id: str, token: int, **changes: Any) -> None:
        stands = self.heads[request_id]
        if stands.token != token or not stands.state.is_open:
            raise FencedError(f"{request_id} is {stands.state} under token {stands.token}, not {token}")
        self.heads[request_id] = replace(stands, **changes)


@dataclass
class Echo:
    """A greedy model: what follows a prompt is always the same letters, one an event, as many as are asked for.

    `breaks_after`: events after which each answer breaks off, None for never. `refuses`: what it says to all.
    """

    turn: Turn = at_once
    breaks_after: int | None = None
    refuses: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Emitted, None]:
        self.asked.append(body)
        if self.refuses:
            raise InvalidInputError(self.refuses)
        text = str(body["prompt"])
        for number in range(int(body["max_tokens"])):
            await self.turn()
            if number == self.breaks_after:
                raise UnavailableError("the stream broke off")
            text += follows(text)
            yield Emitted(text[-1], 1)
        await self.turn()
        yield Emitted(finish="length")


def follows(text: str) -> str:
    """The letter after a text: it depends on all of it, so that a prefix that is lost or twice shows."""
    return "abcdefghijklmnopqrstuvwxyz"[(len(text) * 7 + sum(map(ord, text))) % 26]


def whole(prompt: str, tokens: int) -> str:
    """The answer of a run that nothing disturbs."""
    text = prompt
    for _ in range(tokens):
        text += follows(text)
    return text.removeprefix(prompt)


def asks(prompt: str = "q", tokens: int = 6, **more: Any) -> bytes:
    """A completion's body."""
    return json.dumps({"model": "tiny", "prompt": prompt, "max_tokens": tokens, **more}).encode()
