"""What people are told of rolling updates. Pure text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, links, overridden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.rollout import PutBack
    from standfast.rollout_steps import RollingPlan


def begun(plan: RollingPlan, replicas: int) -> Announcement:
    """An update has begun."""
    lines = [
        f"Why: {plan.reason}",
        (
            f"{plan.to} is loaded on one replica of {plan.cluster_id}, asked, and {plan.before} put back."
            if plan.canary
            else f"{plan.cluster_id} goes from {plan.before} to {plan.to}, {replicas} replicas one after the other"
            f"{', with one node more meanwhile' if plan.surge else ''}."
        ),
        "To give it up, stop the execution: what was touched is put back.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    doing = "loads a canary" if plan.canary else "is being updated"
    subject = f"{plan.scope_id}: {plan.cluster_id} {doing}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutStarted", f"started: {plan.to}")


def completed(plan: RollingPlan, now: float) -> Announcement:
    """Every replica serves the new version."""
    lines = [
        f"Why: {plan.reason}",
        f"All replicas of {plan.cluster_id} serve {plan.to}, each verified, in {now - plan.began_at:.0f} s.",
        (
            f"Left to do: name {plan.to} in FleetConfig once all clusters serve it, and in the cluster's own stack "
            "(ModelPrefix), by which a new node begins."
        ),
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: {plan.cluster_id} serves the new version"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutCompleted", f"completed: {plan.to}")


def canary_served(plan: RollingPlan, now: float) -> Announcement:
    """One replica has served the version, and is put back."""
    lines = [
        f"Why: {plan.reason}",
        f"One replica of {plan.cluster_id} loaded {plan.to}, answered as it should, and baked.",
        f"It is on {plan.before} again, verified; {now - plan.began_at:.0f} s in all.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: {plan.to} serves on {plan.cluster_id}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "CanaryServed", f"canary served: {plan.to}")


def put_back(plan: RollingPlan, why: str, left: Sequence[str]) -> Announcement:
    """The update was given up, and all that was touched is on the version of before, but for `left`.

    Somebody is woken only when a replica could not be put back.
    """
    lines = [
        f"Why it was asked for: {plan.reason}",
        f"The update of {plan.cluster_id} to {plan.to} was given up: {why}",
        f"Every replica with traffic is on {plan.before}, verified.",
        *([f"Not put back, and out of traffic: {', '.join(left)}. Look at these nodes."] if left else []),
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    urgency = Urgency.PAGE if left else Urgency.NOTICE
    subject = f"{plan.scope_id}: the update of {plan.cluster_id} was given up"
    outcome = f"put back: {len(left)} left"
    return Announcement(urgency, subject, "\n".join(lines), "RolloutFailed", outcome)


def with_node_left(said: Announcement, plan: RollingPlan, nodes: int, why: str) -> Announcement:
    """The same, with what a person has to do about a node that was added for the update and is still there."""
    more = (
        f"Left to do: the Auto Scaling group of {plan.cluster_id} wants one node more than before, which could not be "
        f"removed ({why}). Set its DesiredCapacity to {nodes}: the node costs until then."
    )
    return replace(said, urgency=Urgency.PAGE, text=f"{said.text}\n{more}")


def stopped(plan: RollingPlan, why: str) -> Announcement:
    """The execution stops at once: somebody else has the lease, or the brake was pulled."""
    lines = [
        f"Why it was asked for: {plan.reason}",
        f"The update of {plan.cluster_id} to {plan.to} stopped: {why}",
        "What was touched is put back by an execution of its own, once the lease is free and the switch says run.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: the update of {plan.cluster_id} stopped"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutStopped", "stopped")


def left_half_way(scope_id: str, cluster_id: str, found: PutBack) -> Announcement:
    """Nobody is at work on an update. Where it is put back by itself nobody is woken."""
    begins = "An execution puts it back now." if found.name else "Until then replicas of both versions may serve."
    urgency = Urgency.NOTICE if found.name else Urgency.PAGE
    subject = f"{scope_id}: an update of {cluster_id} was left half-way"
    return Announcement(urgency, subject, f"{found.reason}.\n{begins}", "RolloutLeft", found.reason)
