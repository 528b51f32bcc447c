"""What `assess` is given and what its steps hand to each other, as validated at their edges."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from standfast.capacity import Reading
from standfast.checks import Answer, ClusterEvidence, NodeHealth, Traffic
from standfast.targets import Targets

ROUNDS = {"schedule": 2}
"""A scheduled assessment looks twice, half a minute apart: Scheduler is precise to a minute, so that two starts may be
two minutes apart, and a node report that is older than 90 s proves nothing."""


class AssessInput(BaseModel):
    """The input of an execution. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trigger: Literal["console", "schedule", "alarm"] = "console"
    cluster_ids: list[str] | None = Field(default=None, min_length=1, description="all of the Region's, if not given")


class PlanInput(BaseModel):
    """The execution's input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: dict[str, object]


class AssessmentPlan(BaseModel):
    """Which clusters are looked at, and how often."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scope_id: str
    cluster_ids: list[str]
    trigger: str
    rounds_left: int


class Commands(BaseModel):
    """What RequestNodeReports asked for: cluster id -> command id. `asked_at`: seconds since the epoch."""

    asked_at: float
    commands: dict[str, str]


class CollectStep(AssessmentPlan):
    """What CollectNodeReports reads."""

    commands: Commands


class EndpointEvidence(BaseModel):
    """Cluster id -> the answers to the canaries, and what the engines say of their load; or why there are none."""

    answers: dict[str, list[Answer]] | None = None
    loads: dict[str, Reading] = {}
    missing: str = ""


class NodeEvidence(BaseModel):
    """Cluster id -> the nodes' findings. `done`: no further answer is waited for."""

    done: bool = True
    nodes: dict[str, NodeHealth] | None = None
    missing: str = ""


class TrafficEvidence(BaseModel):
    """Cluster id -> what the load balancer counted, and what it thinks of its targets now."""

    traffic: dict[str, Traffic] | None = None
    targets: dict[str, Targets] | None = None
    missing: str = ""


class JudgeStep(AssessmentPlan):
    """What JudgeClusters reads: the plan, and the evidence of three sides."""

    evidence: tuple[EndpointEvidence, NodeEvidence, TrafficEvidence]

    @property
    def loads(self) -> dict[str, Reading]:
        """Cluster id -> the load of its engines, of those that said any."""
        return self.evidence[0].loads

    def of(self, cluster_id: str, expected: int) -> ClusterEvidence:
        """The evidence of one cluster; `expected` is the number of replicas that it should have."""
        endpoints, nodes, traffic = self.evidence
        missing = {"endpoints": endpoints.missing, "nodes": nodes.missing, "traffic": traffic.missing}
        return ClusterEvidence(
            cluster_id=cluster_id,
            expected=expected,
            answers=(endpoints.answers or {}).get(cluster_id),
            nodes=(nodes.nodes or {}).get(cluster_id),
            traffic=(traffic.traffic or {}).get(cluster_id),
            missing={side: why for side, why in missing.items() if why},
            targets=(traffic.targets or {}).get(cluster_id),
        )
