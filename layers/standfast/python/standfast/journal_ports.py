"""What both journals need of the world. The rules of calls are those of `ports`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence

    from standfast.journal import Emitted, Head
    from standfast.request_copies import Item
    from standfast.state_journal import Change, DamagedPiece, Piece


class StateJournal(Protocol):
    """The pieces of the state journal in the backup bucket. What was written is never changed."""

    def write(self, table: str, changes: Sequence[Change]) -> bool:
        """Write one piece: changes of one table and one hour, in order, at least one.

        May be repeated: the piece is named by its first and its last change, and False says that it was there already.
        """
        ...

    def pieces(self, since: float, until: float) -> Iterator[Piece | DamagedPiece]:
        """The pieces that may hold changes from `since` to `until`: those of these hours, in no order."""
        ...


class RequestJournal(Protocol):
    """The table of requests in flight. Asynchronous. Each call is atomic and strongly consistent, but `open_heads`.

    A call that carries a token changes nothing and raises FencedError when the request has another owner by now, or
    has ended.
    """

    async def open_heads(self, scope: str) -> Sequence[Head]:
        """The requests of a Region that have not ended, oldest first; perhaps a second old."""
        ...

    async def gateways(self, names: Collection[str]) -> Mapping[str, float]:
        """Of these gateways: name -> until when each said that it lives. One that never said so is missing."""
        ...

    async def claim(self, head: Head, owner: str, until: float) -> Head | None:
        """Own a request, with the next token. None when it is no longer as `head` says: somebody else was quicker.

        One of another Region is this Region's from then on.
        """
        ...

    async def read_body(self, request_id: str) -> bytes:
        """What the client sent. Raises CorruptStateError when it is not there."""
        ...

    async def read_emitted(self, request_id: str, token: int) -> Emitted:
        """The text that the newest owner up to this token wrote, as far as it is there without a gap."""
        ...

    async def write_emitted(self, request_id: str, token: int, number: int, piece: Emitted, expires_at: float) -> None:
        """Write piece `number`, 0 first, of this owner's text. Of an owner that was outrun nobody reads it."""
        ...

    async def renew(self, request_id: str, token: int, until: float) -> None:
        """Hold a claim longer."""
        ...

    async def let_go(self, request_id: str, token: int) -> None:
        """Give a request back: it is interrupted, and anybody's to claim."""
        ...

    async def end(self, request_id: str, token: int, pieces: int, finish: str, now: float) -> None:
        """The answer is whole: the first `pieces` pieces of this owner. Nothing changes it any more."""
        ...

    async def give_up(self, request_id: str, token: int, reason: str, now: float) -> None:
        """It stays incomplete; the client reads why. Nothing changes it any more."""
        ...


class RequestCopies(Protocol):
    """The table of requests of another Region, as this one writes its copies to it. Each write is atomic.

    May be repeated: what is there is written once more. Raises UnavailableError while that Region is away.
    """

    def write(self, item: Item) -> bool:
        """A body, a piece or a sign of life of this Region. False where that Region has one of its own there."""
        ...

    def write_head(self, head: Item) -> bool:
        """A request of this Region as it is now. False where that Region answers it by now, or knows it newer."""
        ...

    def forget(self, partition: str) -> None:
        """A request of this Region was never accepted. One that the other Region answers stays."""
        ...

    def settle(self, head: Item, pieces: Sequence[Item]) -> bool:
        """A request of that Region, which this one has ended: its answer, then its end.

        False where it has ended there too: what a client was given stays.
        """
        ...


class Completer(Protocol):
    """The inference service, asked again for a request that was accepted before. Asynchronous."""

    def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Emitted, None]:
        """The answer as it comes; the last piece has a `finish`.

        Raises UnavailableError when there is no answer, or it breaks off; ThrottledError, before anything came, when
        the service is too busy; InvalidInputError when the engine refuses it.
        """
        ...


class Resumptions(Protocol):
    """`answer_requests` of this Region."""

    def start(self, reason: str) -> None:
        """Start a run that nobody waits for. May be repeated: one more run finds less to do."""
        ...
