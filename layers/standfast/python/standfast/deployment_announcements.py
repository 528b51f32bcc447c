"""What people are told of blue/green deployments. Pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, links, overridden

if TYPE_CHECKING:
    from standfast.deployment_steps import DeploymentPlan
    from standfast.deployments import Deployment, Settle


def begun(plan: DeploymentPlan) -> Announcement:
    """A deployment has begun."""
    lines = [
        f"Why: {plan.reason}",
        f"{plan.green} is made beside {plan.cluster_id}, serves {plan.to} and takes its place; before: {plan.before}.",
        plan.planned,
        "To give it up, stop the execution: the traffic goes back, and what was made is removed.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: a deployment beside {plan.cluster_id} began"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutStarted", f"started: {plan.to}")


def completed(plan: DeploymentPlan, now: float) -> Announcement:
    """Green stands in blue's place."""
    lines = [
        f"Why: {plan.reason}",
        f"{plan.green} stands in the place of {plan.cluster_id} serving {plan.to}, after {now - plan.began_at:.0f} s.",
        f"{plan.cluster_id} has no nodes any more. What Standfast made of it is removed; what you made is left to you.",
        (
            f"Left to do: name {plan.green} with its target group in FleetConfig in place of {plan.cluster_id}, and "
            f"{plan.to} in its group's launch template, by which a new node begins."
        ),
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: {plan.green} serves the new version"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutCompleted", f"completed: {plan.to}")


def undone(plan: DeploymentPlan, why: str) -> Announcement:
    """Green was given up: no traffic is there, and nothing of it is left."""
    lines = [
        f"Why it was asked for: {plan.reason}",
        f"The deployment of {plan.to} beside {plan.cluster_id} was given up: {why}",
        f"No traffic is at {plan.green}, and nothing of it is left. {plan.cluster_id} serves {plan.before}.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: the deployment beside {plan.cluster_id} was given up"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutFailed", "undone")


def stopped(plan: DeploymentPlan, why: str) -> Announcement:
    """The execution stops at once: somebody else has the lease, or the brake was pulled."""
    lines = [
        f"Why it was asked for: {plan.reason}",
        f"The deployment of {plan.to} beside {plan.cluster_id} stopped: {why}",
        "It is undone by an execution of its own, once the lease is free and the switch says run.",
        *overridden(plan.break_glass),
        *links(plan.execution_arn),
    ]
    subject = f"{plan.scope_id}: the deployment beside {plan.cluster_id} stopped"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RolloutStopped", "stopped")


def left_half_way(scope_id: str, deployment: Deployment, found: Settle) -> Announcement:
    """Nobody is at work on a deployment. Where it is settled by itself nobody is woken."""
    ends = "An execution does so now." if found.name else f"Until then {deployment.green} is there, and costs."
    urgency = Urgency.NOTICE if found.name else Urgency.PAGE
    subject = f"{scope_id}: a deployment beside {deployment.blue} was left half-way"
    return Announcement(urgency, subject, f"{found.reason}.\n{ends}", "RolloutLeft", found.reason)
