"""What a new FleetConfig means for a scope that may be serving already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.deployments import with_placed
from standfast.errors import InvalidInputError
from standfast.fleet import SHED, Role
from standfast.rule_weights import LOW_SHED
from standfast.stores import ScopeRecord
from standfast.traffic import Desired, all_to

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig


def first_record(scope_id: str, config: FleetConfig, now: float) -> ScopeRecord:
    """The state of a scope that nobody has written yet: all traffic on the cluster that begins as active."""
    clusters = config.region(scope_id).clusters
    roles = {cluster_id: Role(cluster.role) for cluster_id, cluster in clusters.items()}
    active = next(cluster_id for cluster_id, role in roles.items() if role is Role.ACTIVE)
    reason = "the first state, as FleetConfig names it"
    return ScopeRecord(scope_id, Desired(1, 0, all_to(active, clusters), roles, reason, now))


def check_change(scope_id: str, config: FleetConfig, desired: Desired) -> None:
    """Refuse a configuration that forgets a cluster which serves, or the group and the rule that shed.

    Roles in it are only where a scope begins.
    """
    region = with_placed(config.region(scope_id), desired)
    shedding = {SHED: region.entry.shed_target_group_arn, LOW_SHED: region.entry.low_priority_rule_arn}
    clusters = {*region.clusters, *(name for name, arn in shedding.items() if arn)}
    serving = [cluster_id for cluster_id, weight in desired.weights.items() if weight]
    active = desired.cluster_with(Role.ACTIVE)
    forgotten = sorted({*serving, *([active] if active else [])} - clusters)
    if forgotten and set(forgotten) <= set(shedding):
        lacks = "shed_target_group_arn" if SHED in forgotten else "low_priority_rule_arn"
        raise InvalidInputError(
            f"regions.{scope_id}.entry lacks {lacks}, and overload is shed now; wait until it is over"
        )
    if forgotten:
        raise InvalidInputError(
            f"regions.{scope_id}.clusters lacks {', '.join(forgotten)}, which serves now; move its traffic first"
        )
