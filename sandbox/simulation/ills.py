"""What breaks a replica, what it looks like from outside, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from sandbox.simulation.script import Kind
from standfast.xids import Action

if TYPE_CHECKING:
    from sandbox.simulation.rates import Rates
    from sandbox.simulation.script import Fault


class Mode(IntEnum):
    """How a replica answers a request, the worse the greater."""

    ANSWERS = 0
    HANGS = 1
    REFUSES = 2


NOTHING_HELPS: Final = Action.REPLACE + 1
"""The rung of what no remedy of ours mends: it passes by itself."""
SILENT: Final = frozenset({Kind.NODE, Kind.OUTSIDE, Kind.REGION})
"""Where the node's own report is silent too."""


@dataclass(frozen=True, slots=True)
class Ill:
    """One fault on one replica. `rung`: the lowest remedy that mends it. `tells`: /health shows it."""

    number: int
    kind: Kind
    mode: Mode
    rung: int
    tells: bool = True


def ill_of(fault: Fault, rates: Rates) -> Ill:
    """What a fault is on each replica that it hits."""
    kind, lots = fault.kind, fault.lots
    if kind is Kind.CRASH:
        return Ill(fault.number, kind, Mode.REFUSES, Action.RESTART_ENGINE)
    if kind is Kind.HANG:
        return Ill(fault.number, kind, Mode.HANGS, Action.RESTART_ENGINE, tells=lots[1] < rates["hang_seen_share"])
    if kind is Kind.GPU:
        reset, reboot = rates["gpu_reset_share"], rates["gpu_reboot_share"]
        heavy = Action.REBOOT if lots[1] < reset + reboot else Action.REPLACE
        return Ill(fault.number, kind, Mode.REFUSES, Action.RESET_GPU if lots[1] < reset else heavy)
    if kind is Kind.NODE:
        rung = Action.REBOOT if lots[1] < rates["node_reboot_share"] else Action.REPLACE
        return Ill(fault.number, kind, Mode.REFUSES, rung)
    return Ill(fault.number, kind, Mode.REFUSES, NOTHING_HELPS)


class Replica:
    """One serving process on a node of its own. `key` is its number in the fleet: chance is drawn by it.

    `registered`: in its target group. `in_rotation`: its load balancer thinks it healthy. `loading`: its engine
    starts. `instance` grows with each replacement, `treated` with each remedy; `launched_at` is when the present one
    began; `away`: there is no instance at all just now.
    """

    __slots__ = (
        "away", "cluster", "ills", "in_rotation", "instance", "key", "launched_at", "loading", "number", "region",
        "registered", "treated",
    )  # fmt: skip

    def __init__(self, region: str, cluster: str, number: int, key: int) -> None:
        self.region, self.cluster, self.number, self.key = region, cluster, number, key
        self.ills: list[Ill] = []
        self.registered = self.in_rotation = True
        self.loading = False
        self.instance = self.treated = 0
        self.launched_at = 0.0
        self.away = False

    @property
    def instance_id(self) -> str:
        """As EC2 would call it."""
        return f"i-{self.cluster}-{self.number}-{self.instance}"

    @property
    def mode(self) -> Mode:
        """How it answers."""
        if self.loading or self.away:
            return Mode.REFUSES
        if not self.ills:
            return Mode.ANSWERS
        return max(ill.mode for ill in self.ills)

    @property
    def works(self) -> bool:
        """Whether it answers."""
        return not (self.ills or self.loading or self.away)

    @property
    def health_fails(self) -> bool:
        """Whether its own /health says so."""
        return self.loading or self.away or any(ill.tells for ill in self.ills)

    @property
    def needs(self) -> int:
        """The lowest remedy that a person has to see to; 0 where nothing has to be done, or nothing can."""
        mendable = (ill.rung for ill in self.ills if ill.rung < NOTHING_HELPS and ill.kind is not Kind.CRASH)
        return max(mendable, default=0)
