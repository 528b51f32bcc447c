"""What `traffic_shift` is given and what its steps hand to each other, as validated at their edges.

It runs as a child and inherits its parent's lease: `holder` is the parent's execution ARN, `token` its fencing token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from standfast.errors import FencedError
from standfast.model_versions import ModelVersion
from standfast.move_judgement import StageAction
from standfast.move_rules import BakeSeconds, PauseSeconds, Stages
from standfast.steps import Caught, ShiftAnswer
from standfast.traffic import Move

if TYPE_CHECKING:
    from standfast.stores import ScopeRecord


class Release(BaseModel):
    """What the target serves when that is another version than FleetConfig's, as its golden answers were recorded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, max_length=200)
    model: str | None = Field(default=None, min_length=1, max_length=200, description="its name, if another")


class ShiftInput(BaseModel):
    """The input of an execution.

    `stages` are per cent at `target`; a person is asked before those in `pause_before`. With a `release` the target is
    the canary of another version, which must prove itself in each stage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope_id: str = Field(min_length=1)
    holder: str = Field(min_length=1, description="the execution that holds the lease")
    token: int = Field(ge=1)
    incident_id: str = Field(min_length=1, max_length=300)
    source: str = Field(min_length=1)
    target: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    stages: Stages
    bake_seconds: BakeSeconds
    pause_before: list[int] = []
    pause_seconds: PauseSeconds = 1800
    accept_overload: bool = False
    release: Release | None = None
    break_glass: str = Field(default="", description="who overrode the switches, and why")
    started_by: str | None = Field(
        default=None,
        alias="AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID",
        exclude=True,
        description="by which the console links parent and child",
    )


class PlanShiftInput(BaseModel):
    """The execution's input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: dict[str, object]


class Stage(BaseModel):
    """One stage, counted from 1. `pause`: a person is asked first. `last`: nothing comes after it.

    `asked`: why the judge of a release leaves it to a person. `vouched`: the last stage, once a person who was asked so
    said that it shall stay.
    """

    number: int
    weight: int
    pause: bool
    last: bool
    asked: str = ""
    vouched: bool = False

    @property
    def question(self) -> str:
        """By which the question before it is known among those of its execution: no answer serves two of them."""
        return f"{self.number} again" if self.vouched else str(self.number)


class ShiftPlan(ShiftInput):
    """What PlanShift found and every later step reads. `before` are the weights that an abort restores."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    before: dict[str, int]
    stage: Stage

    @property
    def move(self) -> Move:
        """The move as desired state remembers it."""
        return Move(self.source, self.target, self.before)

    def served(self, known: ModelVersion) -> ModelVersion:
        """What the target serves, where the state knows it as `known`."""
        if self.release is None:
            return known
        return ModelVersion(self.release.model or known.name, self.release.version)


class AskStep(BaseModel):
    """What AskPerson reads: Step Functions' token for the answer, and the plan."""

    task_token: str
    execution_arn: str
    plan: ShiftPlan


class PauseStep(BaseModel):
    """What JudgePause reads: what is needed to know the question, and the plan."""

    execution_arn: str
    plan: ShiftPlan


class JudgeStep(ShiftPlan):
    """What JudgeStage reads."""

    shift: ShiftAnswer


class JudgeAnswer(BaseModel):
    """What a stage came to, and the stage after it; the same one when it was the last."""

    action: StageAction
    reason: str
    last: bool
    next: Stage


class PersonAnswer(BaseModel):
    """What a person decided; `timed_out` when nobody did in time."""

    approved: bool
    timed_out: bool = False


class AbortStep(ShiftPlan):
    """What AbortShift reads: why it is given up."""

    error: Caught | None = None
    judged: JudgeAnswer | None = None
    answer: PersonAnswer | None = None


def stage(plan: ShiftInput, number: int) -> Stage:
    """The stage of that number, from 1."""
    weight = plan.stages[number - 1]
    last = number == len(plan.stages)
    return Stage(number=number, weight=weight, pause=weight in plan.pause_before, last=last)


def check_lease(record: ScopeRecord, holder: str, token: int) -> None:
    """Raise FencedError unless the parent still holds the lease under this token."""
    lease = record.lease
    if lease.token != token or lease.holder != holder:
        raise FencedError(
            f"token {token} of {record.scope_id} is stale; the lease is at token {lease.token}, "
            f"held by {lease.holder or 'nobody'}"
        )
