"""What happened in a Region since a moment: for scenarios in which nothing, or one thing, may move."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sandbox.figures import Outage, outage
from sandbox.scenario import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.control import Message
    from sandbox.region import RuleChange, SandboxRegion


class Witness:
    """Begins to look when it is made. All moments are `time.time()`."""

    def __init__(self, region: SandboxRegion) -> None:
        self.region = region
        self.began_at = time.time()
        self._known = {str(execution["executionArn"]) for execution in region.executions()}
        self._told = len(region.messages())
        self._changes = len(region.rule_changes)

    def rule_changes(self) -> list[RuleChange]:
        """What the entry was told to follow since."""
        return self.region.rule_changes[self._changes :]

    def failovers(self) -> list[dict[str, Any]]:
        """The failovers that were started since, oldest first, each as described. Preflights are not meant."""
        found = []
        for execution in self.region.executions():
            arn = str(execution["executionArn"])
            if arn not in self._known:
                described = self.region.execution(arn)
                if json.loads(described["input"])["mode"] == "failover":
                    found.append(described)
        return sorted(found, key=lambda described: described["startDate"])

    def messages(self, topic: str) -> list[Message]:
        """Pages ("page") or notices ("notice") since."""
        return [message for message in self.region.messages()[self._told :] if message.topic == topic]

    def figures(self) -> dict[str, Any]:
        """What moved, in numbers."""
        return {
            "weight_changes": len(self.rule_changes()),
            "failovers_started": len(self.failovers()),
            "pages": len(self.messages("page")),
        }

    def outage(self) -> Outage:
        """What the Region's clients saw since."""
        load = self.region.load
        return outage(load.records() if load is not None else [], self.began_at)

    def timeline(self) -> list[Moment]:
        """Everything, in the order in which it happened."""
        moments = [
            Moment(change.at - self.began_at, "entry follows", _weights(change.weights))
            for change in self.rule_changes()
        ]
        for each in self.failovers():
            trigger = json.loads(each["input"]).get("trigger", "")
            moments.append(Moment(each["startDate"].timestamp() - self.began_at, "failover started", str(trigger)))
            if "stopDate" in each:
                ended = each["stopDate"].timestamp() - self.began_at
                moments.append(Moment(ended, f"failover {each['status']}", str(each.get("cause") or "")[:200]))
        for topic in ("page", "notice"):
            moments += [Moment(each.at - self.began_at, topic, each.subject) for each in self.messages(topic)]
        for region, name, state, at in self._alarms():
            if region == self.region.name and at >= self.began_at:
                moments.append(Moment(at - self.began_at, f"alarm {state}", name))
        ordered = sorted(moments, key=lambda moment: moment.at)
        return [Moment(round(moment.at, 3), moment.event, moment.detail) for moment in ordered]

    def _alarms(self) -> list[tuple[str, str, str, float]]:
        return [
            (change.region, change.alarm, change.after.value, change.after.at)
            for change in self.region.cloud.monitoring.alarms.transitions()
        ]

    def faults(self) -> list[str]:
        """What may never happen, whatever the scenario is."""
        denials = self.region.cloud.denials()
        found = [f"denied: {denial.role} lacks {denial.action} on {denial.resource}" for denial in denials]
        found += [f"metrics that CloudWatch would drop: {line}" for line in self.region.cloud.monitoring.malformed()]
        dark = [change for change in self.rule_changes() if not any(change.weights.values())]
        return found + [f"{len(dark)} moments with no weight above zero"] * bool(dark)


def _weights(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{cluster_id} {weight}" for cluster_id, weight in sorted(weights.items()))
