"""Claims requests whose server is gone, and has them answered: at a bounded rate, one owner at a time.

It may die anywhere. A claim that shows no sign of life runs out, and the next one goes on from what was written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from standfast import journal
from standfast.errors import CorruptStateError, FencedError, InvalidInputError, ThrottledError, TransientError
from standfast.journal import Action, Emitted
from standfast.resuming_pace import Headroom, Pace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from standfast.journal import Head, Limits, Serving
    from standfast.journal_ports import Completer, RequestJournal
    from standfast.ports import Clock


USUAL = Pace()


@dataclass(slots=True)
class Resumed:
    """What was done: action -> how many requests; `ended` came to their end, `outrun` were somebody else's by then."""

    counts: Counter[str] = field(default_factory=Counter)
    left_open: int = 0


class Resumer:
    """One run of `answer_requests` in the Region `own`, for those of `scopes`. `name` is unlike any other run's."""

    def __init__(
        self,
        name: str,
        own: str,
        scopes: Collection[str],
        requests: RequestJournal,
        completer: Completer,
        serving: Serving,
        clock: Clock,
        *,
        limits: Limits,
        pace: Pace = USUAL,
    ) -> None:
        self._name = name
        self._own, self._scopes = own, tuple(scopes)
        self._journal = requests
        self._completer = completer
        self._serving = serving
        self._clock = clock
        self._limits = limits
        self._pace = pace
        self._headroom = Headroom(pace)
        self._next_start = 0.0
        self._until = 0.0
        self.resumed = Resumed()

    async def run(self, until: float, *, accepted_before: float) -> Resumed:
        """Until each request that was accepted before a moment has ended, or no new one may be begun (`until`)."""
        self._until = until
        under_way: dict[str, asyncio.Task[None]] = {}
        while True:
            found = await asyncio.gather(*(self._journal.open_heads(scope) for scope in self._scopes))
            heads = [head for each in found for head in each if head.accepted_at < accepted_before]
            self.resumed.left_open = len(heads)
            if self._clock.now() >= until or not (heads or under_way):
                break
            for head in await self._claimable(heads):
                if head.request_id not in under_way:
                    task = asyncio.create_task(self._in_turn(head))
                    under_way[head.request_id] = task
            await self._clock.sleep(self._pace.look_seconds)
            done = {name: task for name, task in under_way.items() if task.done()}
            for name, task in done.items():
                del under_way[name]
                task.result()
        await asyncio.gather(*under_way.values())
        return self.resumed

    async def _claimable(self, heads: list[Head]) -> list[Head]:
        now = self._clock.now()
        alive = await self._journal.gateways({head.owner for head in heads})
        return journal.claimable(heads, alive, self._own, now)

    async def _in_turn(self, head: Head) -> None:
        while not self._headroom.has_room:
            await self._clock.sleep(self._pace.room_seconds)
        self._headroom.at_work += 1
        try:
            now = self._clock.now()
            start = max(now, self._next_start)
            self._next_start = start + 1 / self._pace.per_second
            if start < self._until:
                await self._clock.sleep(start - now)
                await self.resume(head)
        finally:
            self._headroom.at_work -= 1

    async def resume(self, head: Head) -> None:
        """Claim one request and bring it to an end, or give it back."""
        claimed = await self._journal.claim(head, self._name, self._clock.now() + self._limits.claim_seconds)
        if claimed is None:
            self.resumed.counts["outrun"] += 1
            return
        try:
            await self._bring_to_an_end(claimed)
        except FencedError:
            self.resumed.counts["outrun"] += 1
        except TransientError:
            self.resumed.counts["given back"] += 1
            await self._give_back(claimed)

    async def _bring_to_an_end(self, head: Head) -> None:
        try:
            body = await self._journal.read_body(head.request_id)
        except CorruptStateError:
            await self._give_up(head, "what was sent is not in the journal: send it again")
            return
        emitted = await self._journal.read_emitted(head.request_id, head.token)
        decision = journal.decide(head, body, emitted, self._serving, self._limits, self._clock.now())
        if decision.action is Action.GIVE_UP:
            await self._give_up(head, decision.reason)
            return
        pieces = await self._write(head, 0, emitted) if emitted.text else 0
        finish = emitted.finish or "length"
        if decision.action is not Action.FINISH:
            asked = (
                journal.replayed(body)
                if decision.action is Action.REPLAY
                else journal.continued(body, head.path, emitted, self._serving.engine)
            )
            try:
                pieces, finish = await self._answered(head, asked, pieces)
            except InvalidInputError as error:
                await self._give_up(head, f"{error}: send it again")
                return
        await self._journal.end(head.request_id, head.token, pieces, finish, self._clock.now())
        self.resumed.counts[str(decision.action)] += 1
        self.resumed.counts["ended"] += 1

    async def _answered(self, head: Head, body: Mapping[str, object], pieces: int) -> tuple[int, str]:
        """Have it answered. What the service is too busy for is asked again, and that is no try."""
        while True:
            try:
                return await self._follow(head, body, pieces)
            except ThrottledError:
                self._headroom.refused()
                if self._clock.now() >= self._until:
                    raise
                self.resumed.counts["turned away"] += 1
                await self._renew(head)
                await self._clock.sleep(self._pace.again_seconds)

    async def _follow(self, head: Head, body: Mapping[str, object], pieces: int) -> tuple[int, str]:
        """Write the answer down as it comes. How many pieces there are then, and why it ended."""
        asked_at, first = self._clock.now(), True
        kept, due = Emitted(), asked_at + self._pace.piece_seconds
        async with aclosing(self._completer.stream(head.path, body)) as events:
            async for event in events:
                if first:
                    self._headroom.began(self._clock.now() - asked_at)
                    first = False
                kept = Emitted(kept.text + event.text, kept.tokens + event.tokens, event.finish)
                if event.finish or self._clock.now() >= due:
                    pieces = await self._write(head, pieces, kept)
                    if event.finish:
                        return pieces, event.finish
                    await self._renew(head)
                    kept, due = Emitted(), self._clock.now() + self._pace.piece_seconds
        raise AssertionError("a stream ends with a finish or with an error: see Completer")

    async def _write(self, head: Head, number: int, piece: Emitted) -> int:
        await self._journal.write_emitted(head.request_id, head.token, number, piece, head.expires_at)
        return number + 1

    async def _renew(self, head: Head) -> None:
        await self._journal.renew(head.request_id, head.token, self._clock.now() + self._limits.claim_seconds)

    async def _give_up(self, head: Head, reason: str) -> None:
        await self._journal.give_up(head.request_id, head.token, reason, self._clock.now())
        self.resumed.counts["incomplete"] += 1

    async def _give_back(self, head: Head) -> None:
        try:
            await self._journal.let_go(head.request_id, head.token)
        except (FencedError, TransientError):
            return  # somebody else's by now, or the claim runs out by itself
