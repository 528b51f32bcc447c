"""What `assess` is given and what its steps hand to each other, as validated at their edges.

A state of Step Functions holds 262,144 bytes ("Service quotas" in its developer guide), and there may be a thousand
replicas and nodes. So what is alike is said once, and texts share what room there is.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from standfast.capacity import Reading
from standfast.checks import Answer, ClusterEvidence, NodeFinding, NodeHealth, Traffic
from standfast.engine import EngineState
from standfast.health import Outcome, Verdict
from standfast.shortening import shortened
from standfast.targets import Targets
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENDPOINT_TEXT_BYTES, NODE_TEXT_BYTES, VERDICT_TEXT_BYTES = 14_000, 30_000, 16_000
"""What all that the engines say of themselves, the reasons of all nodes and those of all clusters may take up."""

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


class AlikeAnswers(BaseModel):
    """Answers of a cluster that are the same but for their times. See Answer.

    `took`: replica id -> seconds to the first token, and from token to token.
    """

    outcome: Outcome
    detail: str = ""
    golden: bool = False
    state: EngineState = EngineState.UNKNOWN
    state_detail: str = ""
    other_model: str = ""
    saturated: bool = False
    took: dict[str, tuple[float | None, float | None]]


class EndpointEvidence(BaseModel):
    """Cluster id -> the answers to the canaries, and what the engines say of their load; or why there are none."""

    answers: dict[str, list[AlikeAnswers]] | None = None
    loads: dict[str, Reading] = {}
    missing: str = ""

    @classmethod
    def of(
        cls, answers: Mapping[str, Sequence[Answer]], loads: Mapping[str, Reading] | None = None
    ) -> EndpointEvidence:
        """Small enough for a state machine: answers that are alike stand together, and what they say is cut."""
        words = (words for its in answers.values() for words in dict.fromkeys(map(_words, its)))
        said = shortened(chain.from_iterable(words), ENDPOINT_TEXT_BYTES)
        found: dict[str, list[AlikeAnswers]] = {}
        for cluster_id, its in answers.items():
            groups: dict[tuple[object, ...], AlikeAnswers] = {}
            for each in its:
                alike = AlikeAnswers(
                    outcome=each.outcome,
                    detail=said[each.detail],
                    golden=each.golden,
                    state=each.state,
                    state_detail=said[each.state_detail],
                    other_model=said[each.other_model],
                    saturated=each.saturated,
                    took={},
                )
                key = tuple(alike.model_dump(exclude={"took"}).values())
                took = (_rounded(each.first_token_seconds), _rounded(each.between_tokens_seconds))
                groups.setdefault(key, alike).took[each.replica_id] = took
            found[cluster_id] = list(groups.values())
        return cls(answers=found, loads=dict(loads or {}))

    def of_cluster(self, cluster_id: str) -> list[Answer] | None:
        """The answers of one cluster, None where there are none."""
        if self.answers is None or cluster_id not in self.answers:
            return None
        return [
            Answer(replica_id=replica_id, first_token_seconds=first, between_tokens_seconds=between,
                   **alike.model_dump(exclude={"took"}))
            for alike in self.answers[cluster_id]
            for replica_id, (first, between) in alike.took.items()
        ]  # fmt: skip


class AlikeNodes(BaseModel):
    """Nodes of a cluster with the same finding. See NodeFinding."""

    verdict: Verdict
    reason: str = ""
    action: Action = Action.IGNORE
    faults: tuple[str, ...] = ()
    nodes: list[str]


class ClusterNodes(BaseModel):
    """The nodes of one cluster. See NodeHealth."""

    reported_at: float | None = None
    found: list[AlikeNodes]


class NodeEvidence(BaseModel):
    """Cluster id -> the nodes' findings. `done`: no further answer is waited for."""

    done: bool = True
    nodes: dict[str, ClusterNodes] | None = None
    missing: str = ""

    @classmethod
    def of(cls, nodes: Sequence[NodeHealth], *, done: bool) -> NodeEvidence:
        """Small enough for a state machine: nodes with one finding stand together, and reasons are cut."""
        reasons = (dict.fromkeys(node.reason for node in each.nodes) for each in nodes)
        said = shortened(chain.from_iterable(reasons), NODE_TEXT_BYTES)
        found: dict[str, ClusterNodes] = {}
        for health in nodes:
            groups: dict[tuple[object, ...], AlikeNodes] = {}
            for node in health.nodes:
                reason = said[node.reason]
                alike = AlikeNodes(
                    verdict=node.verdict, reason=reason, action=node.action, faults=node.faults, nodes=[]
                )
                key = (node.verdict, reason, node.action, node.faults)
                groups.setdefault(key, alike).nodes.append(node.instance_id)
            found[health.cluster_id] = ClusterNodes(reported_at=health.reported_at, found=list(groups.values()))
        return cls(done=done, nodes=found)

    def of_cluster(self, cluster_id: str) -> NodeHealth | None:
        """The nodes of one cluster, None where nothing is known of them."""
        if self.nodes is None or cluster_id not in self.nodes:
            return None
        its = self.nodes[cluster_id]
        nodes = (
            NodeFinding(instance_id, alike.verdict, alike.reason, alike.action, alike.faults)
            for alike in its.found
            for instance_id in alike.nodes
        )
        by_id = sorted(nodes, key=lambda node: node.instance_id)
        return NodeHealth(cluster_id, its.reported_at, tuple(by_id))


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
            answers=endpoints.of_cluster(cluster_id),
            nodes=nodes.of_cluster(cluster_id),
            traffic=(traffic.traffic or {}).get(cluster_id),
            missing={side: why for side, why in missing.items() if why},
            targets=(traffic.targets or {}).get(cluster_id),
        )


def _words(answer: Answer) -> tuple[str, str, str]:
    return answer.detail, answer.state_detail, answer.other_model


def _rounded(seconds: float | None) -> float | None:
    """To a tenth of a millisecond: no clock across a network is better."""
    return None if seconds is None else round(seconds, 4)
