"""The port to the nodes themselves, and what comes through it. `gpu` reads the texts. Errors: see ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one node answered. `text` is None where there is no answer, or none yet, and `reason` says why."""

    text: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """Cluster id -> instance id -> answer, for every node that was asked. `done`: no further answer will come."""

    nodes: Mapping[str, Mapping[str, NodeAnswer]]
    done: bool


class NodeReports(Protocol):
    """Node reports, asked of all nodes of a cluster at once; the answers come seconds later, or never.

    A node on which no agent listens is not asked at all: who waits for an answer compares with what is registered.
    """

    def request(self, cluster_ids: Sequence[str]) -> Mapping[str, str]:
        """Ask for the reports. Cluster id -> the id of the command. Repeating it asks again, which changes nothing."""
        ...

    def collect(self, commands: Mapping[str, str]) -> Collected:
        """The answers so far to commands of `request`. May be repeated until `done`."""
        ...
