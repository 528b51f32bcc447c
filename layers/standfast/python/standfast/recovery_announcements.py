"""What people are told of recoveries. Pure text.

Each announcement has an `outcome`: somebody is told again only when it changes. A cluster that is out of traffic and
was not mended is paged, for then the fleet may be without a standby; one that goes on serving waits for the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, at, cause_in_words, console_link
from standfast.recovery import RecoveryAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.recovery import Remedy
    from standfast.recovery_steps import DecidedStep, GiveUpRecoveryStep, RecoveryPlan


def recovered(step: DecidedStep, remedies: Sequence[Remedy], *, readmitted: bool) -> Announcement:
    """Every node is well. `remedies` are those of this recovery."""
    cluster_id = step.cluster_id
    role = f"{cluster_id} is standby again: nothing is routed to it by that" if readmitted else "its role is unchanged"
    lines = [
        f"What was wrong: {step.reason}",
        *_tried(remedies, "Nothing had to be done"),
        f"Now: {step.decision.reason}; {role}.",
        *_links(step),
    ]
    subject = f"{step.scope_id}: {cluster_id} is {'mended' if remedies else 'well'}"
    outcome = f"recovered: {step.execution_arn}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RecoveryCompleted", outcome)


def held_back(step: DecidedStep) -> Announcement:
    """Nothing was changed: the switch says observe."""
    decision = step.decision
    lines = [
        f"What is wrong: {step.reason}",
        f"What would have been done: {decision.action}: {decision.reason}.",
        f"Nothing was changed: {step.held_back}.",
        "What is left to do:",
        "1. mend it yourself, or set the switch to run (set-switch function): the next minute then begins a recovery.",
        *_links(step),
    ]
    subject = f"{step.scope_id}: {step.cluster_id} is sick, nothing was changed"
    outcome = f"held back: {decision.action}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RecoveryHeldBack", outcome)


def not_recovered(
    step: GiveUpRecoveryStep, remedies: Sequence[Remedy], retry_at: float | None, *, serves: bool
) -> Announcement:
    """A recovery that did not succeed."""
    cluster_id = step.cluster_id
    caught = cause_in_words(step.error) if step.error else ""
    given_up = step.decision is not None and step.decision.action == RecoveryAction.GIVE_UP
    why = why_not(step)
    stays = (
        f"{cluster_id} goes on with the nodes that are well."
        if serves
        else f"{cluster_id} stays quarantined until it is mended: this Region may be without a standby."
    )
    steps = [
        "mend what is named above. A node that was taken out of its target group comes back with the next recovery.",
        "start cluster_recovery (statemachines/examples has its input), or invoke the readmit-cluster function.",
    ]
    if retry_at:
        steps.append(f"the next recovery may begin at {at(retry_at)}, by itself.")
    lines = [
        f"What was wrong: {step.reason}",
        *_tried(remedies, "Nothing was done"),
        f"It is not mended: {why}",
        *([f"On the way: {caught}"] if given_up and caught else []),
        stays,
        "What is left to do:",
        *(f"{number}. {text}" for number, text in enumerate(steps, 1)),
        *_links(step),
    ]
    subject = f"{step.scope_id}: {cluster_id} is not mended"
    urgency = Urgency.NOTICE if serves else Urgency.PAGE
    outcome = f"not recovered: {step.error.error if step.error and not given_up else why}"[:200]
    return Announcement(urgency, subject, "\n".join(lines), "RecoveryFailed", outcome)


def why_not(step: GiveUpRecoveryStep) -> str:
    """Why a recovery was given up: what it decided, else what stopped it."""
    if step.decision is not None and step.decision.action == RecoveryAction.GIVE_UP:
        return step.decision.reason
    return cause_in_words(step.error) if step.error else "nobody knows why"


def ended_half_way(scope_id: str, execution_arn: str, status: str) -> Announcement:
    """An execution ended without a Catch: stopped, timed out, or by a fault in Standfast."""
    lines = [
        f"The recovery {execution_arn} ended as {status} without telling anybody.",
        "What was done: nothing more. Within a minute another recovery takes it over, if the cluster is still sick; a",
        "node that was taken out of its target group comes back with it.",
        f"In the console: {console_link(execution_arn)}",
    ]
    subject = f"{scope_id}: a recovery ended half-way ({status})"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RecoveryFailed", "ended half-way")


def _tried(remedies: Sequence[Remedy], nothing: str) -> list[str]:
    if not remedies:
        return [f"What was done: {nothing.lower()}."]
    return [
        "What was done:",
        *(f"- {at(remedy.at)}: {remedy.rung} on {remedy.instance_id}: {remedy.reason}" for remedy in remedies),
    ]


def _links(step: RecoveryPlan) -> list[str]:
    return [f"Execution: {step.execution_arn}", f"In the console: {console_link(step.execution_arn)}"]
