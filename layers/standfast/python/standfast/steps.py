"""What `cluster_failover` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.brake import Override
from standfast.health import Verdict
from standfast.move_rules import BakeSeconds, MoveStages, PauseSeconds

Mode = Literal["failover", "preflight", "switchover", "failback"]
PLANNED = frozenset({"switchover", "failback"})
"""Modes of a move that nobody is forced to: from a cluster that serves, in stages."""
MOST_SECONDS = 10_800
"""What the stages and pauses of a move may take in all: less than the time-out of its execution."""


class BreakGlass(BaseModel):
    """Who overrides the switches for this execution, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)

    def override(self) -> Override:
        """What it is to the switches."""
        return Override(self.by, self.reason)


class MoveWishes(BaseModel):
    """What the input of a planned move may say; what it leaves out, FleetConfig says (`moves`).

    A person is asked, by a notice with a link, before each stage in `pause_before`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: MoveStages | None = None
    bake_seconds: BakeSeconds | None = None
    pause_before: list[int] = []
    pause_seconds: PauseSeconds | None = None
    accept_overload: bool = Field(default=False, description="go on although the target cannot carry it all")


class ExecutionInput(MoveWishes):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `failed_since` and `detected_at` are seconds since the epoch. `to_cluster_id` and what MoveWishes has belong to
    planned moves.
    """

    mode: Mode
    scope_id: str = Field(min_length=1, description="the Region whose entry is to move")
    failed_cluster_id: str | None = Field(default=None, min_length=1)
    reason: str | None = Field(default=None, min_length=1, max_length=2000)
    incident_id: str | None = Field(default=None, min_length=1, max_length=200)
    failed_since: float | None = None
    detected_at: float | None = None
    trigger: str = Field(default="console", max_length=80)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")
    to_cluster_id: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _only_a_planned_move_is_staged(self) -> ExecutionInput:
        wishes = {"to_cluster_id", *MoveWishes.model_fields} & self.model_fields_set
        if self.mode not in PLANNED:
            if wishes:
                raise ValueError(f"{', '.join(sorted(wishes))} is for planned moves; remove it, or use mode switchover")
            return self
        if not self.reason:
            raise ValueError("reason is missing; say why in a sentence, it goes into the notice")
        if self.failed_cluster_id:
            raise ValueError("failed_cluster_id: nothing failed in a planned move; name to_cluster_id, or nothing")
        return self

    @model_validator(mode="after")
    def _a_failover_names_what_failed(self) -> ExecutionInput:
        if self.mode == "failover" and not self.failed_cluster_id:
            raise ValueError("failed_cluster_id is missing; name the cluster that the traffic must leave")
        if self.mode == "failover" and not self.reason:
            raise ValueError("reason is missing; say why in a sentence, it goes into the page")
        return self


class TakeLeaseInput(BaseModel):
    """The execution's own names with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    execution_name: str
    input: dict[str, object]


class MovePlan(BaseModel):
    """How a planned move goes. `to_cluster_id` is None where whatever is proven may take it. Seconds."""

    model_config = ConfigDict(frozen=True)

    to_cluster_id: str | None
    stages: list[int]
    bake_seconds: int
    pause_before: list[int]
    pause_seconds: int
    accept_overload: bool = False

    @model_validator(mode="after")
    def _pauses_are_at_stages_and_in_time(self) -> MovePlan:
        unknown = sorted(set(self.pause_before) - set(self.stages))
        if unknown:
            raise ValueError(f"pause_before: {unknown} is no stage; the stages are {self.stages}")
        longest = len(self.stages) * self.bake_seconds + len(self.pause_before) * self.pause_seconds
        if longest > MOST_SECONDS:
            raise ValueError(
                f"bake_seconds and pause_seconds add up to {longest} s, a move may take {MOST_SECONDS} s; lower one"
            )
        return self


class Plan(BaseModel):
    """What TakeLease found and every later step reads.

    `may_change` is False in a preflight and while the switch says observe: then each step does its reading, its
    probing and its deciding, and changes nothing. `held_back` says why. `held` is cluster id -> why a switch of its own
    keeps automation away from it. `break_glass`: who overrode the switches, and why; empty where nobody did.
    `decided_at`: when TakeLease admitted it. In a planned move `failed_cluster_id` is the cluster that the traffic
    leaves, which is well.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    mode: Mode
    scope_id: str
    execution_arn: str
    incident_id: str
    failed_cluster_id: str
    reason: str
    failed_since: float
    detected_at: float
    trigger: str
    token: int
    may_change: bool
    held_back: str
    held: dict[str, str] = {}
    break_glass: str = ""
    decided_at: float = 0.0
    planned: bool = False
    move: MovePlan | None = None


class SelectionAnswer(BaseModel):
    """Where the traffic goes. `tried` are all candidates of this execution so far, this one last.

    `sheds_low_priority`: what is of low priority does not come along.
    """

    cluster_id: str
    reason: str
    overload: str
    tried: list[str]
    sheds_low_priority: bool = False


class ProofAnswer(BaseModel):
    """A failover.Proof as JSON."""

    cluster_id: str
    answered: int
    failure: str
    verdict: Verdict
    verdict_reason: str
    assessed_at: float | None
    nodes: str = ""


class ShiftAnswer(BaseModel):
    """The weights as they were written and found. `shifted_at` is when they were found on the rule."""

    version: int
    weights: dict[str, int]
    shifted_at: float


class Caught(BaseModel):
    """What a Catch puts at `$.error`."""

    model_config = ConfigDict(populate_by_name=True)

    error: str = Field(alias="Error")
    cause: str = Field(default="", alias="Cause")


class SelectStep(Plan):
    """What SelectStandby reads. `selection` is there from the second candidate on."""

    proofs: list[ProofAnswer]
    selection: SelectionAnswer | None = None


class ChosenStep(Plan):
    """What the steps after SelectStandby read."""

    selection: SelectionAnswer


class DrainAnswer(BaseModel):
    """Whether the failed cluster was found empty, why, and when.

    `silent_since` is replica id -> when it first did not say how many requests it holds.
    """

    drained: bool
    reason: str
    at: float
    silent_since: dict[str, float] = {}


class RecoveryAnswer(BaseModel):
    """What StartRecovery started: empty where it started nothing, and `reason` says why."""

    execution_arn: str
    reason: str


class QuotaAnswer(BaseModel):
    """A quotas.Decision as JSON."""

    short: list[str]
    notes: list[str]


class DrainStep(ChosenStep):
    """What the steps after ShiftTraffic read. `drain` is there once CheckDrain has answered, `recovery` StartRecovery.

    `quotas` is there in a preflight, once LookAtQuotas has answered. `error` is what was caught on the way, where it
    kept nothing from being done.
    """

    shift: ShiftAnswer
    drain: DrainAnswer | None = None
    recovery: RecoveryAnswer | None = None
    quotas: QuotaAnswer | None = None
    error: Caught | None = None


class GiveUpStep(Plan):
    """What GiveUp reads: the plan, what was caught, and how far it came. `serving`: the move was proven."""

    error: Caught
    selection: SelectionAnswer | None = None
    shift: ShiftAnswer | None = None
    serving: dict[str, object] | None = None
