"""What `cluster_recovery` is given and what its steps hand to each other, as validated at their edges.

The state of the machine is one flat object that grows: a step adds its answer under its own name. It holds what the
steps of `assess` read too, for they ask the nodes here as well.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from standfast.assessing import NodeEvidence
from standfast.recovery import Member, Remedy
from standfast.recovery_ports import Applied, Instance
from standfast.steps import BreakGlass, Caught
from standfast.xids import Action


class RecoveryInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope_id: str = Field(min_length=1, description="the Region of the cluster")
    cluster_id: str = Field(min_length=1)
    reason: str = Field(min_length=1, max_length=2000)
    incident_id: str | None = Field(default=None, min_length=1, max_length=200)
    trigger: str = Field(default="console", max_length=80)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")


class TakeChargeInput(BaseModel):
    """The execution's own name with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    input: dict[str, object]


class RecoveryPlan(BaseModel):
    """What TakeCharge found and every later step reads.

    `may_change` is False while the switch says observe: then one look is taken, and told; `held_back` says why.
    `break_glass`: who overrode the switches, and why; empty where nobody did.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    scope_id: str
    cluster_id: str
    cluster_ids: list[str] = Field(description="the cluster alone, as the steps of `assess` want it")
    rounds_left: int = 1
    execution_arn: str
    incident_id: str
    reason: str
    trigger: str
    began_at: float
    may_change: bool
    held_back: str
    break_glass: str = ""


class ListedStep(RecoveryPlan):
    """What ProbeNodes reads."""

    listed: list[Instance]


class Answered(BaseModel):
    """What the replicas of a node answered, all together."""

    answers: bool
    detail: str = ""


class PlanStep(ListedStep):
    """What PlanRemedy reads: the instances, their reports, and their answers by instance id."""

    collected: NodeEvidence
    probed: dict[str, Answered]

    def members(self) -> list[Member]:
        """Every instance with what is known of it."""
        nodes = self.collected.of_cluster(self.cluster_id)
        findings = {finding.instance_id: finding for finding in nodes.nodes} if nodes else {}
        silent = Answered(answers=False, detail="nobody asked it")
        return [
            Member(
                instance_id=each.instance_id,
                finding=findings.get(each.instance_id),
                answers=self.probed.get(each.instance_id, silent).answers,
                registered=each.registered,
                launched_at=each.launched_at,
                detail=self.probed.get(each.instance_id, silent).detail,
            )
            for each in self.listed
        ]


class TreatmentAnswer(BaseModel):
    """A recovery.Treatment with the id of its remedy."""

    remedy_id: str
    instance_id: str
    rung: Action
    reason: str
    answers: bool

    def remedy(self, now: float) -> Remedy:
        """As it is recorded."""
        return Remedy(self.remedy_id, self.instance_id, self.rung, now, self.reason)


class DecisionAnswer(BaseModel):
    """A recovery.Decision. `serves`: the cluster had, or might have been given, traffic when it was made.

    `well_nodes`: those that answered and reported no fault.
    """

    action: str
    reason: str
    treatments: list[TreatmentAnswer]
    bring_back: list[str]
    wait_seconds: int
    serves: bool
    well: int
    expected: int
    well_nodes: list[str] = []


class DecidedStep(ListedStep):
    """What the steps after PlanRemedy read."""

    decision: DecisionAnswer


class AppliedAnswer(BaseModel):
    """What ApplyRemedy began."""

    remedies: list[Applied]
    applied_at: float


class AppliedStep(DecidedStep):
    """What CheckRemedy reads."""

    applied: AppliedAnswer


class GiveUpRecoveryStep(RecoveryPlan):
    """What GiveUpRecovery reads: what was decided, or what was caught."""

    decision: DecisionAnswer | None = None
    error: Caught | None = None
