"""What `rolling_update` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.errors import NotConvergedError
from standfast.model_versions import ModelVersion
from standfast.rollout import NextAction
from standfast.steps import BreakGlass, Caught


class RollingInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `put_back` is the reconciler's: an update that was left half-way goes back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope_id: str = Field(min_length=1, description="the Region of the cluster")
    cluster_id: str = Field(min_length=1)
    version: str | None = Field(default=None, min_length=1, max_length=200, description="as it was registered")
    canary: bool = Field(default=False, description="load it on one replica of a standby, ask that, and put it back")
    surge: bool = Field(default=False, description="with one node more for as long as it takes, where one can be had")
    put_back: bool = False
    reason: str = Field(min_length=1, max_length=2000)
    trigger: str = Field(default="console", max_length=80)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")

    @model_validator(mode="after")
    def _it_goes_somewhere(self) -> RollingInput:
        if (self.version is None) is not self.put_back:
            raise ValueError(
                "version: name the version to update to, and none with put_back, which goes to the one of before"
            )
        if self.canary and self.put_back:
            raise ValueError("canary: with put_back nothing is loaded; leave one of the two out")
        if self.surge and (self.canary or self.put_back):
            raise ValueError("surge: a node more is for an update of all replicas; leave it out")
        return self


class BeginInput(BaseModel):
    """The execution's own names with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    execution_name: str
    input: dict[str, object]


class RollingPlan(BaseModel):
    """What BeginRollout found and every later step reads. `rollout_id` is the update's, also on the way back."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scope_id: str
    cluster_id: str
    execution_arn: str
    token: int
    rollout_id: str
    before: ModelVersion
    to: ModelVersion
    reason: str
    trigger: str
    began_at: float
    break_glass: str = ""
    canary: bool = False
    surge: bool = False

    @property
    def incident_id(self) -> str:
        """What is told of this update is told under it."""
        return f"{self.scope_id}-{self.rollout_id}"


class AddedAnswer(BaseModel):
    """Whether the node more has traffic. `known`: the nodes that were there before; `began_at`: when it was wanted."""

    ready: bool
    said: str
    known: list[str]
    began_at: float


class AddStep(RollingPlan):
    """What AddNode reads. `added` is there from its second time on."""

    added: AddedAnswer | None = None


class NextAnswer(BaseModel):
    """A rollout.Next as JSON. `at`: when it was decided; `waits_since`: since when no replica could be spared.

    `reverting`: it is put back. `canary_served`: because the one replica of a canary load has served.
    """

    action: NextAction
    reason: str
    replica_id: str = ""
    url: str = ""
    at: float
    waits_since: float | None = None
    reverting: bool = False
    canary_served: bool = False


class DrainedAnswer(BaseModel):
    """A rollout.Drained as JSON, of one replica. `began_at`: when it was taken out."""

    replica_id: str
    drained: bool
    reason: str
    began_at: float
    empty_since: float | None = None
    cut: int = 0


class LoadingAnswer(BaseModel):
    """How far the node of a replica is with its version. `at`: when that was seen."""

    load: str
    command_id: str
    ended: bool
    said: str
    began_at: float
    at: float


class VerifiedAnswer(BaseModel):
    """Whether a changed replica serves what it should."""

    verified: bool
    reason: str


class ReturnedAnswer(BaseModel):
    """When a replica was given traffic again."""

    at: float


class NextStep(RollingPlan):
    """What ChooseReplica reads. `next` is there from its second time on."""

    next: NextAnswer | None = None


class RemoveStep(RollingPlan):
    """What RemoveNode reads: the replica whose node goes, none where no node more has come."""

    next: NextAnswer


class EndStep(NextStep):
    """What FinishRollout reads. `error`: what went wrong last, if anything did."""

    error: Caught | None = None


class ReplicaStep(RollingPlan):
    """What the steps of one replica read. Answers of the replica before are told by their names."""

    next: NextAnswer
    drain: DrainedAnswer | None = None
    loading: LoadingAnswer | None = None


class LoadedStep(RollingPlan):
    """What VerifyReplica reads."""

    next: NextAnswer
    loading: LoadingAnswer


class BakeStep(RollingPlan):
    """What BakeReplica reads."""

    next: NextAnswer
    returned: ReturnedAnswer


class TurnedAnswer(BaseModel):
    """Why an update goes back, and when that was written down."""

    reason: str
    at: float


class BrokenStep(RollingPlan):
    """What TurnBack and StopRollout read: the plan, what was caught, and how far it came."""

    error: Caught
    next: NextAnswer | None = None
    turned: TurnedAnswer | None = None

    def failed_replica(self, why: str) -> str | None:
        """The id of the replica that could not be put back; None where the update went forward until now.

        Raises NotConvergedError when nothing was chosen since the update was turned back: that would go on for ever.
        """
        if self.turned is not None and (self.next is None or self.next.at < self.turned.at):
            raise NotConvergedError(f"the update of {self.cluster_id} cannot be put back: {why}")
        return self.next.replica_id if self.next is not None and self.next.reverting else None
