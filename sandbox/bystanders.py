"""Who has no fault must be found well: every other verdict, in any Region, is a false one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import ROOT, SandboxError
from standfast.checks import CheckName
from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.fleet.nodes import Node
    from sandbox.region import SandboxRegion
    from sandbox.world import Sandbox
    from standfast.stores import View

AS_FROM_THE_CONSOLE: Final = (ROOT / "statemachines/examples/assess.json").read_text(encoding="utf-8")
ASSESSMENT_SECONDS: Final = 60.0
LOOK_EACH_SECONDS: Final = 0.5
_AT_FAULT: Final = frozenset({Verdict.DEGRADED, Verdict.UNHEALTHY})


def false_verdicts(view: View, faulty: Node | None = None) -> Iterator[tuple[str, str]]:
    """Each verdict on what has no fault: who and the verdict, and why.

    `faulty` has a fault: of its cluster, the gpu check may say so, and nothing else.
    """
    for cluster_id, health in view.nodes.items():
        for node in health.nodes:
            if node.verdict is not Verdict.HEALTHY and (faulty is None or node.instance_id != faulty.instance_id):
                yield f"{node.instance_id} of {cluster_id} is {node.verdict}", node.reason
    for cluster_id, assessment in view.assessments.items():
        if assessment.verdict is not Verdict.HEALTHY:
            yield f"the watch finds {cluster_id} {assessment.verdict}", assessment.reason
    for cluster_id, checked in view.checks.items():
        suffers = faulty is not None and cluster_id == faulty.cluster_id
        if checked.verdict is Verdict.UNHEALTHY or (checked.verdict is not Verdict.HEALTHY and not suffers):
            yield f"{cluster_id} is {checked.verdict}", checked.reason
        for check in checked.checks:
            if suffers and check.name is not CheckName.GPU and check.verdict in _AT_FAULT:
                yield f"{check.name} of {cluster_id} is {check.verdict}", check.reason


class Bystanders:
    """Looks at all Regions of a sandbox whenever it is told to. Not for several threads at once."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._regions = tuple(sandbox.regions.values())
        self._faulty: Node | None = None
        self._began_at = time.monotonic()
        self._found: dict[str, str] = {}

    def excuse(self, node: Node | None) -> None:
        """This node has a fault from now on; None: no node has one any more."""
        self._faulty = node

    def look(self) -> None:
        """See what stands in the state tables now."""
        for region in self._regions:
            for what, why in false_verdicts(region.view(), self._faulty):
                after = f"seen after {time.monotonic() - self._began_at:.0f} s"
                self._found.setdefault(f"{region.name}: {what}", f"{why} ({after})")

    def false_verdicts(self) -> list[str]:
        """All that was seen so far, each verdict on each of them once, with its first reason and when."""
        return [f"{what}: {why}" for what, why in self._found.items()]

    def wait(self, seconds: float) -> None:
        """Look on for so long."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            self.look()
            time.sleep(LOOK_EACH_SECONDS)

    def assess(self, region: SandboxRegion) -> None:
        """Start an assessment as from the console and look on until it has ended.

        Raises SandboxError when it does not end well.
        """
        started = region.client("stepfunctions").start_execution(
            stateMachineArn=region.outputs["AssessArn"], input=AS_FROM_THE_CONSOLE
        )
        arn = str(started["executionArn"])
        deadline = time.monotonic() + ASSESSMENT_SECONDS
        while (execution := region.execution(arn))["status"] == "RUNNING" and time.monotonic() < deadline:
            self.wait(LOOK_EACH_SECONDS)
        if execution["status"] != "SUCCEEDED":
            raise SandboxError(f"{region.name}: the assessment {execution['status']}: {_cause(execution)}")
        self.look()


def _cause(execution: dict[str, Any]) -> str:
    return json.dumps({key: execution.get(key) for key in ("error", "cause")})
