"""What `region_failover` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.move_rules import BakeSeconds, MoveStages
from standfast.steps import BreakGlass, Caught

RegionMode = Literal["evacuate", "switchover", "return"]
PLANNED = frozenset({"switchover", "return"})
"""Modes that nobody is forced to: in stages, by records, which a control plane writes."""


class RegionMoveInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `failed_since` and `detected_at` are seconds since the epoch. `by` is the person who starts it; a watch names
    `voices` instead, the vantage points that agree. `stages`, `bake_seconds` and `accept_overload` belong to planned
    moves; what they leave out FleetConfig says (`region_moves`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: RegionMode
    region: str = Field(min_length=1, description="the Region that users leave, or come back to")
    reason: str = Field(min_length=1, max_length=4000)
    by: str | None = Field(default=None, min_length=1, max_length=100)
    voices: list[str] = []
    incident_id: str | None = Field(default=None, min_length=1, max_length=200)
    failed_since: float | None = None
    detected_at: float | None = None
    trigger: str = Field(default="console", max_length=80)
    stages: MoveStages | None = None
    bake_seconds: BakeSeconds | None = None
    accept_overload: bool = Field(default=False, description="go on although the peers have no room for it all")
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")

    @model_validator(mode="after")
    def _somebody_is_behind_it(self) -> RegionMoveInput:
        if self.by is None and not self.voices:
            raise ValueError("by is missing; write your name, it goes into the page and into the condemnation")
        if self.mode not in PLANNED and {"stages", "bake_seconds", "accept_overload"} & self.model_fields_set:
            raise ValueError("stages, bake_seconds, accept_overload are for planned moves; remove them")
        return self

    @property
    def condemned_by(self) -> list[str]:
        """Who speaks for it."""
        return self.voices or [f"person/{self.by}"]


class TakeRegionLeaseInput(BaseModel):
    """The execution's own names with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    execution_name: str
    input: dict[str, object]


class RegionPlan(BaseModel):
    """What TakeRegionLease found and every later step reads.

    `here` is the Region in which the execution runs. `may_change` is False while the switch says observe: then each
    step does its reading and its deciding, and changes nothing; `held_back` says why. `is_condemned`: a return lifts
    a condemnation.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    mode: RegionMode
    region: str
    here: str
    execution_arn: str
    incident_id: str
    reason: str
    condemned_by: list[str]
    automatic: bool
    failed_since: float
    detected_at: float
    decided_at: float
    trigger: str
    token: int
    may_change: bool
    held_back: str
    break_glass: str = ""
    planned: bool
    is_condemned: bool
    stages: list[int]
    bake_seconds: int
    accept_overload: bool


class PeersAnswer(BaseModel):
    """Where the users can go, and what speaks against it."""

    proven: list[str]
    reason: str
    overload: str


class CondemnAnswer(BaseModel):
    """Whether the Region is condemned now, by this execution, and since when."""

    condemned: bool
    reason: str
    at: float


class RegionShiftAnswer(BaseModel):
    """One stage as it was written: `stage` in per cent, `number` from 0. `change` names the change of records."""

    number: int
    stage: int
    weights: dict[str, int]
    change: str
    last: bool
    at: float


class EdgeAnswer(BaseModel):
    """Whether the edge follows. `since` is when it was first asked, `at` now."""

    there: bool
    reason: str
    since: float
    at: float


class VerifiedAnswer(BaseModel):
    """What answered, asked as users do."""

    reason: str
    at: float


class PeersStep(RegionPlan):
    """What the steps after CheckPeerCapacity read."""

    peers: PeersAnswer
    condemn: CondemnAnswer | None = None
    shift: RegionShiftAnswer | None = None
    edge: EdgeAnswer | None = None
    verified: VerifiedAnswer | None = None


class GiveUpRegionStep(RegionPlan):
    """What GiveUpRegionMove reads: the plan, what was caught, and how far it came."""

    error: Caught
    peers: PeersAnswer | None = None
    condemn: CondemnAnswer | None = None
    shift: RegionShiftAnswer | None = None
