"""From what the nodes of a cluster answered to a finding for each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import UnreadableReportError
from standfast.fault_finding import find_faults
from standfast.gpu import parse_report
from standfast.health import Verdict
from standfast.node_reports import NodeAnswer
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from standfast.fault_memory import FaultMemory, NodeMemory, Occurrence
    from standfast.faults import Fault
    from standfast.gpu import NodeReport

NOT_ASKED = NodeAnswer(None, "Systems Manager does not know it: no agent runs there, or its tag is missing")
MOST_SAID = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The nodes of a cluster, and what is to be remembered of them and their GPUs (UUID -> occurrences)."""

    health: NodeHealth
    nodes: tuple[NodeMemory, ...] = ()
    gpus: Mapping[str, tuple[Occurrence, ...]] = field(default_factory=dict)


def node_health(
    cluster_id: str,
    answers: Mapping[str, NodeAnswer],
    registered: Collection[str],
    expected_gpus: int | None,
    asked_at: float,
    memory: FaultMemory,
) -> Found:
    """Judge every node that was asked, and every registered one (instance ids) that could not be.

    A report that cannot be read is as good as none: it makes its node unknown, and says why.
    """
    findings: list[NodeFinding] = []
    nodes: list[NodeMemory] = []
    gpus: dict[str, tuple[Occurrence, ...]] = {}
    for instance_id in sorted({*answers, *registered}):
        answer = answers.get(instance_id, NOT_ASKED)
        if answer.text is None:
            findings.append(NodeFinding(instance_id, Verdict.UNKNOWN, answer.reason))
            continue
        try:
            report = parse_report(instance_id, answer.text, asked_at)
        except UnreadableReportError as error:
            findings.append(NodeFinding(instance_id, Verdict.UNKNOWN, str(error)))
            continue
        faults, node, known = find_faults(report, expected_gpus, memory)
        nodes.append(node)
        gpus |= known
        findings.append(judge_node(report, faults))
    return Found(NodeHealth(cluster_id, asked_at if nodes else None, tuple(findings)), tuple(nodes), gpus)


def judge_node(report: NodeReport, faults: Sequence[Fault]) -> NodeFinding:
    """Judge a node by its faults, the heaviest first: one that calls for a reset or more condemns it."""
    heaviest = faults[0].action if faults else Action.IGNORE
    kinds = tuple(dict.fromkeys(str(fault.kind) for fault in faults))
    if heaviest >= Action.RESET_GPU:
        return NodeFinding(report.instance_id, Verdict.UNHEALTHY, _sentence(faults), heaviest, kinds)
    if not report.gpus:
        said = "; ".join(("nothing is known of the GPUs", *(report.problems or ("nvidia-smi lists no GPU",))))
        return NodeFinding(report.instance_id, Verdict.UNKNOWN, _lead(heaviest) + said, heaviest, kinds)
    if faults:
        return NodeFinding(report.instance_id, Verdict.DEGRADED, _sentence(faults), heaviest, kinds)
    count = len(report.gpus)
    said = f"{count} GPU{'s' * (count > 1)} answer{'s' * (count == 1)} without a fault"
    return NodeFinding(report.instance_id, Verdict.HEALTHY, said)


def _sentence(faults: Sequence[Fault]) -> str:
    """What the heaviest calls for and all of them in one, the first five in full."""
    said = list(dict.fromkeys(fault.reason for fault in faults))
    more = len(said) - MOST_SAID
    return _lead(faults[0].action) + "; ".join(said[:MOST_SAID]) + (f"; and {more} more" if more > 0 else "")


def _lead(action: Action) -> str:
    """What is called for stands before the reason, unless it is only to be watched."""
    return f"{action}: " if action > Action.WATCH else ""
