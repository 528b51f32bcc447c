"""What people are told of recoveries. Pure text.

Each announcement has an `outcome`: somebody is told again only when it changes. A cluster that is out of traffic and
was not mended is paged, for then the fleet may be without a standby; one that goes on serving waits for the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import scaling
from standfast.announcements import Announcement, Urgency, at, cause_in_words, console_link, left_to_do, links
from standfast.recovery import RecoveryAction
from standfast.redundancy import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.incidents import Incident
    from standfast.recovery import Remedy
    from standfast.recovery_steps import DecidedStep, GiveUpRecoveryStep
    from standfast.redundancy import Decision
    from standfast.scaling import FailedActivity


def recovered(step: DecidedStep, remedies: Sequence[Remedy], *, readmitted: bool) -> Announcement:
    """Every node is well. `remedies` are those of this recovery."""
    cluster_id = step.cluster_id
    role = f"{cluster_id} is standby again: nothing is routed to it by that" if readmitted else "its role is unchanged"
    lines = [
        f"What was wrong: {step.reason}",
        *_tried(remedies, "Nothing had to be done"),
        f"Now: {step.decision.reason}; {role}.",
        *links(step.execution_arn),
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
        *left_to_do(
            "mend it yourself, or set the switch to run (set-switch function): the next minute then begins a recovery."
        ),
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {step.cluster_id} is sick, nothing was changed"
    outcome = f"held back: {decision.action}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RecoveryHeldBack", outcome)


def why_not_recovered(step: GiveUpRecoveryStep) -> str:
    """Why a recovery gave up, in words."""
    if step.decision is not None and step.decision.action == RecoveryAction.GIVE_UP:
        return step.decision.reason
    return cause_in_words(step.error) if step.error else "nobody knows why"


def not_recovered(
    step: GiveUpRecoveryStep,
    remedies: Sequence[Remedy],
    retry_at: float | None,
    *,
    serves: bool,
    failed: FailedActivity | None = None,
) -> Announcement:
    """A recovery that did not succeed. `failed` is what Auto Scaling could not do for it, if anything."""
    cluster_id = step.cluster_id
    caught = cause_in_words(step.error) if step.error else ""
    given_up = step.decision is not None and step.decision.action == RecoveryAction.GIVE_UP
    why = why_not_recovered(step)
    stays = (
        f"{cluster_id} goes on with the nodes that are well."
        if serves
        else f"{cluster_id} stays quarantined until it is mended: this Region may be without a standby."
    )
    steps = [
        *([scaling.mend(failed)] if failed else []),
        "mend what is named above. A node that was taken out of its target group comes back with the next recovery.",
        "start cluster_recovery (statemachines/examples has its input), or invoke the readmit-cluster function.",
    ]
    if retry_at:
        steps.append(f"the next recovery may begin at {at(retry_at)}, by itself.")
    lines = [
        f"What was wrong: {step.reason}",
        *_tried(remedies, "Nothing was done"),
        f"It is not mended: {why}",
        *([f"Why no instance came: {failed}"] if failed else []),
        *([f"On the way: {caught}"] if given_up and caught else []),
        stays,
        *left_to_do(*steps),
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {cluster_id} is not mended"
    urgency = Urgency.NOTICE if serves else Urgency.PAGE
    outcome = f"not recovered: {step.error.error if step.error and not given_up else why}"[:200]
    return Announcement(urgency, subject, "\n".join(lines), "RecoveryFailed", outcome)


def no_standby(decision: Decision, incident: Incident, now: float) -> Announcement:
    """A Region has been without a standby for longer than a rebuilding takes. Told once for each loss."""
    scope_id = incident.scope_id
    lines = [
        f"What is wrong: {decision.reason}.",
        f"Since: {at(incident.opened_at)}, for {(now - incident.opened_at) / 60:.0f} min.",
        "What that means: the traffic is served; a failure of what serves it now has nowhere to go.",
    ]
    if decision.state is State.REBUILDING:
        steps = [*decision.mends, "wait: you are told how the recovery ends, and when there is a standby again."]
    else:
        steps = [*decision.mends, "nothing else: this incident closes by itself once a standby is proven again."]
    lines += left_to_do(*steps)
    subject = f"{scope_id}: no standby for {(now - incident.opened_at) / 60:.0f} min"
    outcome = f"no standby since {incident.opened_at:.0f}"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RedundancyLost", outcome)


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
