"""What a node suffers from, and which rung of the ladder mends it: a remedy that does not fit leaves it."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.fleet.node_state import NodeState
    from standfast.xids import Action

P = ParamSpec("P")
Node = TypeVar("Node", bound="NodeState")


class Ills:
    """The faults that stand, each with how to show it again once the node's state was made anew."""

    def __init__(self) -> None:
        self._standing: list[tuple[Action, Callable[[], None]]] = []
        self._within = 0
        self._at_least: Action | None = None

    def put(self, mended_by: Action, show: Callable[[], None]) -> None:
        """A fault that nothing below this rung mends. One that is a part of another is mended with it."""
        if not self._within:
            rung = mended_by if self._at_least is None else max(mended_by, self._at_least)
            self._standing.append((rung, show))
        self._show(show)

    @contextmanager
    def stubborn(self, rung: Action) -> Iterator[None]:
        """The faults that are put meanwhile look as ever, and nothing below this rung mends them."""
        self._at_least = rung
        try:
            yield
        finally:
            self._at_least = None

    def mend(self, rung: Action) -> None:
        """Forget what this rung, or one below it, mends."""
        self._standing = [(mended_by, show) for mended_by, show in self._standing if mended_by > rung]

    def show_again(self) -> None:
        """Show what still stands."""
        for _, show in self._standing:
            self._show(show)

    def forget(self) -> None:
        """None is left."""
        self._standing.clear()

    def _show(self, show: Callable[[], None]) -> None:
        self._within += 1
        try:
            show()
        finally:
            self._within -= 1


def mended_by(rung: Action) -> Callable[[Callable[Concatenate[Node, P], None]], Callable[Concatenate[Node, P], None]]:
    """A method that puts in a fault, with the first rung that mends it."""

    def decorate(method: Callable[Concatenate[Node, P], None]) -> Callable[Concatenate[Node, P], None]:
        @functools.wraps(method)
        def put(self: Node, /, *arguments: P.args, **named: P.kwargs) -> None:
            self.ills.put(rung, lambda: method(self, *arguments, **named))

        return put

    return decorate
