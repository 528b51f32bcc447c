"""A version that every Region of the fleet has verified: is it new, and does its release begin by itself? Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.replicating import SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from standfast.fleet import FleetConfig
    from standfast.replication_steps import ReplicationPlan


@dataclass(frozen=True, slots=True)
class Ready:
    """What `fleet_release` is started with, by whom: by itself where `starts`, else by a person.

    `name`: of the execution; the same for a version however often it is replicated, and so one release.
    """

    name: str
    payload: Mapping[str, object]
    starts: bool

    def text(self, why_not: str = "") -> str:
        """For people. `why_not`: what kept it from starting by itself."""
        reason = str(self.payload["reason"])
        if self.starts and not why_not:
            return f"{reason}. Its release {self.name} has begun (rollouts.when_ready: start)."
        given = {**self.payload, "by": "<your name>", "event_id": ""}
        against = f"It was not started by itself: {why_not}. " if why_not else ""
        return f"{reason}. {against}To release it start fleet-release with {json.dumps(given)}"


def ready(plan: ReplicationPlan, verified: Collection[str], config: FleetConfig) -> Ready | None:
    """None where there is nothing to release.

    That is: the day's look, a model without versions or another one than the fleet's, the version that FleetConfig
    names, and one that is not verified in every Region with clusters.
    """
    if plan.trigger == SCHEDULE or plan.version is None or plan.model != config.model.name:
        return None
    if plan.version == config.model.version or not set(config.regions) <= {plan.source_region, *verified}:
        return None
    digest = hashlib.sha256(f"{plan.model} {plan.version}".encode()).hexdigest()
    name = f"ready-{digest[:32]}"
    payload: dict[str, object] = {
        "model": plan.model,
        "version": plan.version,
        "by": "replicate_model",
        "reason": f"{plan.name} is verified in {', '.join(sorted(config.regions))}",
        "event_id": name,
    }
    return Ready(name, payload, starts=config.rollouts.when_ready == "start")
