"""From what the nodes of a cluster answered to a finding for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import UnreadableReportError
from standfast.gpu import judge_node, parse_report
from standfast.health import Verdict
from standfast.node_reports import NodeAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NOT_ASKED = NodeAnswer(None, "Systems Manager does not know it: no agent runs there, or its tag is missing")


def node_health(
    cluster_id: str,
    answers: Mapping[str, NodeAnswer],
    registered: Collection[str],
    expected_gpus: int | None,
    asked_at: float,
) -> NodeHealth:
    """Judge every node that was asked, and every registered one (instance ids) that could not be.

    A report that cannot be read is as good as none: it makes its node unknown, and says why.
    """
    findings: list[NodeFinding] = []
    readable = 0
    for instance_id in sorted({*answers, *registered}):
        answer = answers.get(instance_id, NOT_ASKED)
        if answer.text is None:
            findings.append(NodeFinding(instance_id, Verdict.UNKNOWN, answer.reason))
            continue
        try:
            judged = judge_node(parse_report(instance_id, answer.text, asked_at), expected_gpus)
        except UnreadableReportError as error:
            findings.append(NodeFinding(instance_id, Verdict.UNKNOWN, str(error)))
            continue
        readable += 1
        findings.append(NodeFinding(instance_id, judged.verdict, judged.reason))
    return NodeHealth(cluster_id, asked_at if readable else None, tuple(findings))
