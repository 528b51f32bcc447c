"""A canary load: a verified version is loaded on one replica of a standby here, asked, and put back. Pure.

`rolling_update` does it (its input `canary`); this says on which cluster, or why on none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from standfast.errors import NotServingError
from standfast.model_versions import ModelVersion, live
from standfast.replication_steps import PullPlan, message
from standfast.rollout_admission import may_load_a_canary

if TYPE_CHECKING:
    from standfast.model_ports import Pull
    from standfast.stores import View

NAME_CHARACTERS = 72
"""Of the pull's name, which the load's begins with; Step Functions takes 80."""


class CanaryAnswer(BaseModel):
    """What LoadCanary answers: how the load stands, in a sentence. `execution_arn` is empty until one is started."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ended: bool
    execution_arn: str = ""
    said: str


class CanaryStep(BaseModel):
    """What LoadCanary reads: what it answered before, or that nothing is loaded yet."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    execution_name: str
    plan: PullPlan
    canary: CanaryAnswer


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a version is loaded, and why there; no `cluster_id` where it is loaded nowhere."""

    reason: str
    cluster_id: str = ""


def choose(plan: PullPlan, view: View) -> Choice:
    """The first standby by name that has no traffic and at least two replicas: one of them stays as it is."""
    region, model, desired = plan.region, view.applied.config.model, view.scope.desired
    version = ModelVersion(plan.model, plan.version)
    if version.name != model.name:
        return Choice(f"no canary load: engines in {region} are set up for {model.name}, not for {version.name}")
    standbys = [
        name
        for name, cluster in sorted(view.applied.config.region(region).clusters.items())
        if may_load_a_canary(desired, name) and cluster.replicas > 1
    ]
    if not standbys:
        return Choice(f"no canary load: {region} has no standby of two replicas without traffic")
    new = [name for name in standbys if live(model, desired.models.get(name)) != version]
    if not new:
        return Choice(f"no canary load: {standbys[0]} serves {version} already")
    return Choice(f"{new[0]} loads it on one replica", new[0])


def payload(plan: PullPlan, cluster_id: str) -> dict[str, object]:
    """The input of `rolling_update`."""
    return {
        "scope_id": plan.region,
        "cluster_id": cluster_id,
        "version": plan.version,
        "canary": True,
        "reason": f"canary load: {ModelVersion(plan.model, plan.version)} was verified in {plan.region}",
        "trigger": plan.trigger,
    }


def stands(so_far: CanaryAnswer, found: Pull) -> CanaryAnswer:
    """How a load stands. Raises NotServingError when it was refused, or the replica did not serve."""
    if found.is_running:
        return so_far
    if not found.succeeded:
        raise NotServingError(
            f"verified, but its canary load ended as {found.error or found.status}: {message(found.cause)}"
        )
    return so_far.model_copy(
        update={"ended": True, "said": "one replica loaded it, answered as it should, and is put back"}
    )
