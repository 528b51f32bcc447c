"""What is remembered of a node and of its GPUs between two reports: across reboots, and across instances.

A GPU that falls off the bus looks new after each reboot, so its faults are remembered by its UUID, which it keeps when
EC2 gives its host to another instance. What shows once may be chance, so each finding is counted. Counters say
something only as differences.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DAY_SECONDS: Final = 86_400.0
LOOK_BACK_SECONDS: Final = 7 * DAY_SECONDS
RETURNS: Final = 3
"""A fault that stands again after two reboots is the hardware's: leptonai/gpud asks for an inspection then, too
(components/accelerator/nvidia/xid, `DefaultRebootThreshold`)."""
MOST_OCCURRENCES: Final = 40
SAME_SECONDS: Final = 600.0
"""Without a boot id, two faults of a GPU that are further apart than a reboot takes are two."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A heavy fault of one GPU in one boot. `gpu` is its UUID or, where nobody knows it, its PCI address."""

    at: float
    boot_id: str
    gpu: str
    what: str


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """One node. `uuids`: PCI address -> UUID of each GPU that it ever showed; `standing`: finding -> reports in a row.

    `slowdowns`: UUID -> counter -> microseconds, as of `taken_at`, in this boot. `occurrences`: of GPUs without a UUID.
    """

    instance_id: str
    taken_at: float = 0.0
    boot_id: str = ""
    uuids: Mapping[str, str] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    slowdowns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    occurrences: tuple[Occurrence, ...] = ()

    def name_of(self, pci: str) -> str:
        """The GPU's UUID, or its address."""
        return self.uuids.get(pci, pci)


@dataclass(frozen=True, slots=True)
class FaultMemory:
    """All of a Region. `gpus`: UUID -> its heavy faults, wherever it was."""

    nodes: Mapping[str, NodeMemory] = field(default_factory=dict)
    gpus: Mapping[str, tuple[Occurrence, ...]] = field(default_factory=dict)

    def node(self, instance_id: str) -> NodeMemory:
        """What is known of a node; nothing of a new one."""
        return self.nodes.get(instance_id, NodeMemory(instance_id))

    def of(self, gpu: str, instance_id: str) -> tuple[Occurrence, ...]:
        """The heavy faults of one GPU of a node, by UUID or by address."""
        here = (known for known in self.node(instance_id).occurrences if known.gpu == gpu)
        return (*self.gpus.get(gpu, ()), *here)

    def with_nodes(self, nodes: Iterable[NodeMemory]) -> FaultMemory:
        """The same with these nodes as they are now."""
        return replace(self, nodes={**self.nodes, **{node.instance_id: node for node in nodes}})


def add(known: Sequence[Occurrence], new: Iterable[Occurrence], now: float) -> tuple[Occurrence, ...]:
    """The occurrences with new ones, each once, oldest first; what is older than a week is forgotten."""
    kept = list(known)
    for occurrence in new:
        if not any(_is_same(occurrence, before) for before in kept):
            kept.append(occurrence)
    recent = sorted((each for each in kept if now - each.at <= LOOK_BACK_SECONDS), key=lambda each: each.at)
    return tuple(recent[-MOST_OCCURRENCES:])


def _is_same(one: Occurrence, other: Occurrence) -> bool:
    """One fault that is reported again: of the same GPU, in the same boot."""
    if (one.gpu, one.what) != (other.gpu, other.what):
        return False
    if one.boot_id and other.boot_id:
        return one.boot_id == other.boot_id
    return abs(one.at - other.at) < SAME_SECONDS


def returns(occurrences: Sequence[Occurrence], now: float) -> int:
    """In how many boots of the last week the GPU had a heavy fault."""
    boots: list[Occurrence] = []
    for occurrence in occurrences:
        if now - occurrence.at > LOOK_BACK_SECONDS:
            continue
        if not any(_is_same(replace(occurrence, what=before.what), before) for before in boots):
            boots.append(occurrence)
    return len(boots)
