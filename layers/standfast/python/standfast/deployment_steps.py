"""What `blue_green_deployment` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.model_versions import ModelVersion
from standfast.move_rules import BakeSeconds, MoveStages, PauseSeconds
from standfast.smoke import SmokeAction
from standfast.steps import BreakGlass, Caught


class DeploymentWishes(BaseModel):
    """How the traffic is shifted and blue held; what is left out, FleetConfig says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: MoveStages | None = None
    bake_seconds: BakeSeconds | None = None
    pause_before: list[int] = []
    pause_seconds: PauseSeconds | None = None
    hold_seconds: int | None = Field(default=None, ge=0, le=86_400)
    accept_overload: bool = Field(default=False, description="go on although green cannot carry it all")


class DeploymentInput(DeploymentWishes):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `settle` is the reconciler's: a deployment that was left half-way is finished or undone.
    """

    scope_id: str = Field(min_length=1, description="the Region of the cluster")
    cluster_id: str = Field(min_length=1, description="blue: the cluster that is replaced")
    version: str | None = Field(default=None, min_length=1, max_length=200, description="as it was registered")
    settle: bool = False
    dryRun: bool = False  # noqa: N815 - as it is written in the input
    reason: str = Field(min_length=1, max_length=2000)
    trigger: str = Field(default="console", max_length=80)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")
    started_by: str | None = Field(
        default=None,
        alias="AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID",
        exclude=True,
        description="by which the console links parent and child",
    )

    @model_validator(mode="after")
    def _it_goes_somewhere(self) -> DeploymentInput:
        if (self.version is None) is not self.settle:
            raise ValueError("version: name the version to deploy, and none with settle, which ends what was begun")
        if self.settle and self.dryRun:
            raise ValueError("dryRun: there is nothing to plan in settle; remove one of the two")
        return self


class PlanRequest(BaseModel):
    """The execution's input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: dict[str, object]


class BeginRequest(BaseModel):
    """The execution's own names with its input as given, and what was planned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    execution_name: str
    input: dict[str, object]
    planned: str


class DeploymentPlan(BaseModel):
    """What BeginDeployment found and every later step reads.

    `deployment_id` is the one of the execution that began it, also when another one settles it; `way`: whether this one
    goes forward, undoes or finishes. `has_traffic`: blue serves users, so that green gets them in stages.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    scope_id: str
    cluster_id: str
    execution_arn: str
    token: int
    deployment_id: str
    incident_id: str
    green: str
    before: ModelVersion
    to: ModelVersion
    way: Literal["forward", "undo", "finish"]
    has_traffic: bool
    planned: str
    reason: str
    trigger: str
    began_at: float
    stages: list[int]
    bake_seconds: int
    pause_before: list[int]
    pause_seconds: int
    hold_seconds: int
    drain_seconds: int
    accept_overload: bool = False
    break_glass: str = ""

    @property
    def model(self) -> str:
        """The name that both versions answer to."""
        return self.to.name


class ProvisionedAnswer(BaseModel):
    """How far green's nodes are. `began_at`: when the first look was made."""

    ready: bool
    instance_ids: list[str]
    said: str
    began_at: float


class LoadedAnswer(BaseModel):
    """How far green's nodes are with the version. `commands` is instance id -> the command's id."""

    loaded: bool
    said: str
    began_at: float
    commands: dict[str, str]


class SmokeAnswer(BaseModel):
    """What a smoke test came to. `began_at`: when the first one was made."""

    action: SmokeAction
    reason: str
    began_at: float


class HoldAnswer(BaseModel):
    """Whether blue was held long enough. `wait_seconds`: until the next look."""

    over: bool
    reason: str
    held_since: float
    wait_seconds: int


class RemovedAnswer(BaseModel):
    """What is still there of the cluster that goes. `began_at`: when the first look was made."""

    removed: bool
    left: list[str]
    began_at: float


class ProvisionStep(DeploymentPlan):
    """What ProvisionGreen reads. `nodes` is there from the second time on."""

    nodes: ProvisionedAnswer | None = None


class LoadStep(DeploymentPlan):
    """What DeployModel reads. `loads` is there from the second time on."""

    nodes: ProvisionedAnswer
    loads: LoadedAnswer | None = None


class SmokeStep(DeploymentPlan):
    """What SmokeTestGreen reads."""

    smoke: SmokeAnswer | None = None


class HoldStep(DeploymentPlan):
    """What HoldBlue reads."""

    hold: HoldAnswer | None = None


class RemoveStep(DeploymentPlan):
    """What RemoveCluster reads."""

    removal: RemovedAnswer | None = None


class BrokenDeployment(DeploymentPlan):
    """What LeaveGreen and StopDeployment read: the plan, and what was caught, where anything was."""

    error: Caught | None = None
