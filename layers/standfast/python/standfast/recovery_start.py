"""Whether a recovery should begin, may begin, and under which name. Pure.

The cluster itself is judged by the recovery, freshly: to begin one, it is enough that something has been wrong for long
enough that the engine's own restart did not help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from standfast.errors import AutomationOffError
from standfast.failover import FAILED
from standfast.fleet import Automation, Role
from standfast.lease import HolderState, Purpose
from standfast.xids import Action

if TYPE_CHECKING:
    from standfast.brake import Brake, Override
    from standfast.recovery_record import RecoveryRecord
    from standfast.stores import View


@dataclass(frozen=True, slots=True)
class Due:
    """Whether to begin a recovery, and why (or why not).

    `next_change_at`: when it may be another with nothing else changed.
    """

    begin: bool
    reason: str
    name: str = ""
    next_change_at: float | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a recovery may change anything; `held_back` says why not."""

    may_change: bool
    held_back: str = ""


def admit(scope_id: str, cluster_id: str, brake: Brake, override: Override | None = None) -> Admission:
    """Whether a recovery may begin. Raises AutomationOffError."""
    if override is not None:
        return Admission(may_change=True)
    switch = brake.of(scope_id, cluster_id)
    if switch.automation is Automation.OFF:
        raise AutomationOffError(f"the switch is {switch}; set it to run or observe first, or give break_glass")
    if switch.automation is Automation.OBSERVE:
        return Admission(may_change=False, held_back=f"the switch says {switch}")
    return Admission(may_change=True)


def serves(view: View, cluster_id: str) -> bool:
    """Whether the cluster has traffic, or may be given some at any moment."""
    role = view.scope.desired.roles.get(cluster_id, Role.STANDBY)
    return role not in FAILED or view.scope.desired.weights.get(cluster_id, 0) > 0


def execution_name(cluster_id: str, desired_version: int, record: RecoveryRecord, automation: Automation) -> str:
    """The same for every trigger until something was done: 80 characters are the limit of Step Functions."""
    observed = "-observed" if automation is Automation.OBSERVE else ""
    return f"{cluster_id}-v{desired_version}-r{record.version}{observed}"


def decide_begin(
    view: View, record: RecoveryRecord, holder: HolderState, brake: Brake, now: float, *, failed_over: bool = False
) -> Due:
    """Whether a recovery of the record's cluster is due. `holder` is the state of whoever has it in charge.

    `failed_over`: the traffic has just left it, which is reason enough.
    """
    scope, rules, cluster_id = view.scope, view.applied.config.recovery, record.cluster_id
    switch = brake.of(scope.scope_id, cluster_id)
    ill = _illness(view, record, now) or ("its traffic has just left it" if failed_over else "")
    if not ill:
        since = record.down_since
        wait = f"; replicas are down for {now - since:.0f} s, and may come back by themselves" if since else ""
        suspect_at = since + rules.suspect_seconds if since is not None else None
        return Due(False, f"nothing is to be mended in {cluster_id}{wait}", next_change_at=suspect_at)
    if not rules.automatic:
        return Due(False, f"{ill}; recovery.automatic is false, so nothing begins by itself")
    if switch.automation is Automation.OFF:
        return Due(False, f"{ill}; the switch is {switch}")
    served = scope.desired.models.get(cluster_id)
    if served is not None and served.update is not None and not failed_over:
        return Due(False, f"{ill}; its model is being changed by {served.update.rollout_id}")
    if record.lease.holder is not None and holder is not HolderState.ENDED:
        return Due(False, f"{ill}; {record.lease.holder} is at work on it")
    if not failed_over and scope.lease.holder is not None and scope.lease.purpose is Purpose.FAILOVER:
        return Due(False, f"{ill}; a failover is at work: {scope.lease.holder}")
    if now < record.not_before and not failed_over:
        wait = f"the next recovery may begin in {record.not_before - now:.0f} s"
        return Due(False, f"{ill}; {wait}", next_change_at=record.not_before)
    return Due(True, ill, execution_name(cluster_id, scope.desired.version, record, switch.automation))


def noted(view: View, record: RecoveryRecord, now: float) -> RecoveryRecord:
    """The record with since when replicas are down, as the watch has it; the same one where nothing changed."""
    down = _down(view, record.cluster_id, now)
    if down is None or (down > 0) is (record.down_since is not None):
        return record
    return replace(record, down_since=now if down else None)


def _illness(view: View, record: RecoveryRecord, now: float) -> str:
    """What is wrong with a cluster, in a sentence; empty when nothing is, or nothing is known."""
    config, cluster_id = view.applied.config, record.cluster_id
    role = view.scope.desired.roles.get(cluster_id, Role.STANDBY)
    if role is Role.QUARANTINED:
        return f"{cluster_id} is quarantined"
    nodes = view.nodes.get(cluster_id)
    if nodes is not None and nodes.reported_at and now - nodes.reported_at <= config.failover.node_report_seconds:
        for node in nodes.nodes:
            if node.action > Action.WATCH:
                return f"{node.instance_id} of {cluster_id}: {node.reason}"
    down, since = _down(view, cluster_id, now), record.down_since
    if down and since is not None and now - since >= config.recovery.suspect_seconds:
        found = view.assessments[cluster_id]
        return (
            f"{down} of {found.expected} replicas of {cluster_id} do not pass for {now - since:.0f} s: {found.reason}"
        )
    return ""


def _down(view: View, cluster_id: str, now: float) -> int | None:
    """How many replicas do not pass, by the watch; None when it has not looked of late."""
    found = view.assessments.get(cluster_id)
    if found is None or now - found.assessed_at > view.applied.config.detection.fresh_seconds:
        return None
    return max(0, found.expected - found.passing)
