"""Whether what an execution left behind is whole, whatever ended it.

An end is half-way when the lease is held, the rule is not as desired, the roles do not fit the weights, a planned move
is still noted, a cluster still drains, traffic is on nothing, or nobody was told.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from standfast.fleet import SHED, Role
from standfast.rule_weights import of_clusters
from standfast.traffic import serves, shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.region import SandboxRegion
    from standfast.stores import ScopeRecord
    from standfast.traffic import Weights

SETTLE_SECONDS: Final = 60.0
"""The reconciler looks every 5 s, and is handed what ended badly at once; the rest is for a busy machine."""


def what_is_left(scope: ScopeRecord, actual: Weights, *, told: bool) -> list[str]:
    """What is half-way about a scope that nobody works on any more, in words; empty when it is whole.

    `actual` are the weights found on the rule.
    """
    desired, found = scope.desired, []
    if scope.lease.holder is not None:
        found.append(f"the lease is held by {scope.lease.holder}")
    if shares(actual) != shares(desired.weights):
        found.append(f"the rule is {dict(actual)}, wanted is {dict(desired.weights)}")
    if not serves(actual):
        found.append("traffic is on nothing")
    if desired.move is not None:
        found.append(f"a planned move from {desired.move.source} to {desired.move.target} is still noted")
    if (drained := desired.cluster_with(Role.DRAINING)) is not None:
        found.append(f"{drained} is left draining")
    serving = [cluster_id for cluster_id, weight in of_clusters(desired.weights).items() if weight]
    if [cluster_id for cluster_id, role in desired.roles.items() if role is Role.ACTIVE] != serving:
        found.append(f"traffic is on {serving}, the roles are {json.dumps(dict(desired.roles))}")
    if not told:
        found.append("nobody was told")
    return found


def weights_on_the_rule(region: SandboxRegion) -> Weights:
    """The weights as ELB has them, by cluster id."""
    rule = region.client("elbv2").describe_rules(RuleArns=[region.rule_arn])["Rules"][0]
    groups = {arn: cluster_id for cluster_id, arn in region.groups.items()}
    return {
        groups.get(each["TargetGroupArn"], SHED): each["Weight"]
        for each in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    }


def half_way(region: SandboxRegion, told: int, ended: Mapping[str, Any]) -> list[str]:
    """What is half-way about a Region after the execution `ended`, once the reconciler has had its time.

    `told`: how many messages there were before it was started.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := _look(region, told, ended)) and time.monotonic() < deadline:
        time.sleep(1.0)
    return found


def _look(region: SandboxRegion, told: int, ended: Mapping[str, Any]) -> list[str]:
    actual = weights_on_the_rule(region)
    pages = [message for message in region.messages()[told:] if message.topic == "page"]
    refused = ended.get("error") == "FailoverRefused"  # whoever started it by hand sees it, and nothing was changed
    return what_is_left(region.view().scope, actual, told=bool(pages) or refused)
