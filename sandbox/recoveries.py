"""The recoveries of a Region, followed: for the scenarios in which nodes are mended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment
from standfast.aws.recovery_table import RecoveryTable

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from standfast.recovery import Remedy
    from standfast.recovery_record import RecoveryRecord

START_SECONDS: Final = 20
"""How long an engine may take to answer first: a tiny model loads in a second, and a real one in minutes."""


class Recoveries:
    """Begins to look when it is made: what there was before is not meant. All moments are `time.time()`."""

    def __init__(self, region: SandboxRegion) -> None:
        self._region = region
        self.began_at = time.time()
        self._known = {str(execution["executionArn"]) for execution in self._listed()}

    def started(self, cluster_id: str) -> list[dict[str, Any]]:
        """The executions for a cluster since, oldest first, each as described."""
        arns = [str(each["executionArn"]) for each in self._listed() if str(each["executionArn"]) not in self._known]
        found = [self._region.execution(arn) for arn in arns]
        mine = [each for each in found if json.loads(each["input"])["cluster_id"] == cluster_id]
        return sorted(mine, key=lambda each: each["startDate"])

    def await_end(self, cluster_id: str, seconds: float) -> dict[str, Any]:
        """Wait until a recovery of a cluster began and ended. Raises SandboxError when it does not come to that."""
        first = self._region.wait_for(
            f"a recovery of {cluster_id}", lambda: next(iter(self.started(cluster_id)), None), seconds
        )
        return self._region.wait_for_end(first["executionArn"], seconds)

    def record(self, cluster_id: str) -> RecoveryRecord:
        """What is kept of a cluster's recoveries."""
        outputs, region = self._region.outputs, self._region
        return RecoveryTable(outputs["ClusterTableName"], region.name, region.client("dynamodb")).read_recovery(
            cluster_id
        )

    def remedies(self, cluster_id: str) -> list[Remedy]:
        """What was tried since, oldest first."""
        return [each for each in self.record(cluster_id).remedies if each.at >= self.began_at]

    def timeline(self, cluster_id: str) -> list[Moment]:
        """What was done to a cluster, and how it ended."""
        moments = [
            Moment(each.at - self.began_at, str(each.rung), f"{each.instance_id}: {each.reason}")
            for each in self.remedies(cluster_id)
        ]
        for each in self.started(cluster_id):
            moments.append(Moment(each["startDate"].timestamp() - self.began_at, "recovery started", each["name"]))
            if "stopDate" in each:
                ended = each["stopDate"].timestamp() - self.began_at
                moments.append(Moment(ended, f"recovery {each['status']}", str(each.get("cause") or "")[:200]))
        return [Moment(round(moment.at, 3), moment.event, moment.detail) for moment in moments]

    def most_at_once(self, cluster_id: str) -> int:
        """How many executions were at work on a cluster at one time, the refused ones left out."""
        spans = [
            (each["startDate"], each.get("stopDate"))
            for each in self.started(cluster_id)
            if each.get("error") != "RecoveryRefused"
        ]
        return max(
            (sum(begin <= at and (end is None or end > at) for begin, end in spans) for at, _ in spans), default=0
        )

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._region.client("stepfunctions").list_executions(
            stateMachineArn=self._region.outputs["ClusterRecoveryArn"]
        )["executions"]
        return found
