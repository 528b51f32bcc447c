"""What `cluster_failover` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.health import Verdict


class BreakGlass(BaseModel):
    """Who overrides the switches for this execution, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)


class ExecutionInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `failed_since` and `detected_at` are seconds since the epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["failover", "preflight"]
    scope_id: str = Field(min_length=1, description="the Region whose entry is to move")
    failed_cluster_id: str | None = Field(default=None, min_length=1)
    reason: str | None = Field(default=None, min_length=1, max_length=2000)
    incident_id: str | None = Field(default=None, min_length=1, max_length=200)
    failed_since: float | None = None
    detected_at: float | None = None
    trigger: str = Field(default="console", max_length=80)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")

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


class Plan(BaseModel):
    """What TakeLease found and every later step reads.

    `may_change` is False in a preflight and while the switch says observe: then each step does its reading, its
    probing and its deciding, and changes nothing. `held_back` says why. `break_glass`: who overrode the
    switches, and why; empty where nobody did. `decided_at`: when TakeLease admitted it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    mode: Literal["failover", "preflight"]
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
    break_glass: str = ""
    decided_at: float = 0.0


class SelectionAnswer(BaseModel):
    """Where the traffic goes. `tried` are all candidates of this execution so far, this one last."""

    cluster_id: str
    reason: str
    overload: str
    tried: list[str]


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
    """Whether the failed cluster was found empty, why, and when."""

    drained: bool
    reason: str
    at: float


class RecoveryAnswer(BaseModel):
    """What StartRecovery started: empty where it started nothing, and `reason` says why."""

    execution_arn: str
    reason: str


class DrainStep(ChosenStep):
    """What the steps after ShiftTraffic read. `drain` is there once CheckDrain has answered, `recovery` StartRecovery.

    `error` is what was caught on the way, where it kept nothing from being done.
    """

    shift: ShiftAnswer
    drain: DrainAnswer | None = None
    recovery: RecoveryAnswer | None = None
    error: Caught | None = None


class GiveUpStep(Plan):
    """What GiveUp reads: the plan, what was caught, and how far it came. `serving`: the move was proven."""

    error: Caught
    selection: SelectionAnswer | None = None
    shift: ShiftAnswer | None = None
    serving: dict[str, object] | None = None
