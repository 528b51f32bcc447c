"""What people are told of planned moves. Pure text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, at, cause_in_words, left_to_do, links
from standfast.move_judgement import StageAction
from standfast.planned_events import TRIGGER, PlannedAction
from standfast.traffic import describe

if TYPE_CHECKING:
    from standfast.planned_events import PlannedDecision
    from standfast.planned_notices import Notice
    from standfast.shifting import AbortStep, ShiftPlan
    from standfast.steps import DrainStep, GiveUpStep
    from standfast.traffic import Move

CHILD_ENDED = frozenset({"States.TaskFailed", "States.Timeout"})
"""What a parent catches when its child did not end well. Any other error came before the child, or after it."""
STRANDED = "ShiftStranded"
"""The error of a shift that could not put the weights back."""


def moved(step: DrainStep) -> Announcement:
    """A planned move is done and recorded."""
    source, target = step.failed_cluster_id, step.selection.cluster_id
    lines = [
        f"Why: {step.reason}",
        (
            f"What was done: all traffic of {step.scope_id} went from {source} to {target} in stages, the last at "
            f"{at(step.shift.shifted_at)}, each judged before the next. {step.selection.reason}."
        ),
        *([f"Mind: {step.selection.overload}."] if step.selection.overload else []),
        f"{source} is the standby now. Nothing is left to do.",
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {step.mode} from {source} to {target} is done"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "TrafficMoved", f"moved: {target}")


def held_back(step: DrainStep) -> Announcement:
    """The switch says observe: nothing was moved."""
    source, target = step.failed_cluster_id, step.selection.cluster_id
    lines = [
        f"Why it was asked for: {step.reason}",
        f"What would have been done: a {step.mode} from {source} to {target}; {step.selection.reason}.",
        f"Nothing was changed: {step.held_back}.",
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {step.mode} to {target} was held back"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "MoveHeldBack", f"held back: {target}")


def gave_up(step: GiveUpStep, *, ours: bool) -> Announcement:
    """A planned move did not come to its end. `ours`: the lease was this move's until now.

    Somebody is woken only when the traffic may not be where it should be, or must leave before a deadline.
    """
    source = step.failed_cluster_id
    said = cause_in_words(step.error)
    if not ours:
        where = "A failover took over: the traffic is in its hands, and it tells what it does."
    elif said.startswith(STRANDED):
        where = "The weights could not be put back as they were. Look at them now."
    elif step.shift is None and step.error.error not in CHILD_ENDED:
        where = "Nothing was moved."
    else:
        where = "What is not put back yet is put back by the reconciler within seconds, while the source serves."
    lines = [
        f"Why it was asked for: {step.reason}",
        f"The {step.mode} away from {source} was given up: {said}",
        where,
        *links(step.execution_arn),
    ]
    wakes = ours and (said.startswith(STRANDED) or step.trigger == TRIGGER)
    urgency = Urgency.PAGE if wakes else Urgency.NOTICE
    subject = f"{step.scope_id}: {step.mode} from {source} was given up"
    outcome = f"given up: {said.partition(':')[0]}"
    return Announcement(urgency, subject, "\n".join(lines), "MoveAborted", outcome)


_AFTER_THE_MOVE = (
    "You are told how it ends. The cluster stands by then; moves.automatic_failback, where it is on, would go back to "
    "it before AWS is done: set the cluster's switch to observe until then."
)


def planned_event(scope_id: str, notice: Notice, decision: PlannedDecision) -> Announcement:
    """AWS announces that instances go."""
    cluster_id, steps = decision.cluster_id, list[str]()
    if decision.action in (PlannedAction.ASK, PlannedAction.CANNOT):
        steps.append(
            f"move the traffic before {at(notice.deadline)}: start cluster_failover with the input "
            f"{json.dumps(decision.payload, sort_keys=True, ensure_ascii=False)}"
        )
        steps.append("or leave it: what fails then is failed over as any failure is, with the requests of that moment.")
    lines = [
        f"What AWS announces: {notice.what}, from {at(notice.deadline)} on ({notice.event_id}).",
        f"What that means: {decision.reason}.",
        *([_AFTER_THE_MOVE] if decision.action is PlannedAction.MOVE else []),
        *(left_to_do(*steps) if steps else []),
    ]
    urgent = decision.action is PlannedAction.CANNOT or (decision.action is PlannedAction.ASK and decision.urgent)
    words = {PlannedAction.CANNOT: "cannot be moved before it", PlannedAction.MOVE: "is moved before it"}
    what = words.get(decision.action, "is to be moved before it" if steps else "goes on")
    subject = f"{scope_id}: AWS takes nodes of {cluster_id}, the traffic {what}"
    # Another date, or other instances, are told anew.
    outcome = f"{decision.action}: {notice.deadline:.0f} {' '.join(notice.instance_ids)}"[:200]
    return Announcement(
        Urgency.PAGE if urgent else Urgency.NOTICE, subject, "\n".join(lines), "PlannedEventAnnounced", outcome
    )


def settled(scope_id: str, move: Move, reason: str, *, finished: bool) -> Announcement:
    """The reconciler found a planned move that nobody was at work on."""
    done = (
        f"{move.target} is active now" if finished else f"the weights of before are restored ({describe(move.before)})"
    )
    lines = [
        f"What was found: a planned move from {move.source} to {move.target} was left half-way.",
        f"What was done: {done}, because {reason}.",
    ]
    subject = f"{scope_id}: a move that was left half-way is {'finished' if finished else 'undone'}"
    outcome = f"settled: {'finished' if finished else 'undone'}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "MoveSettled", outcome)


def why_aborted(step: AbortStep) -> str:
    """Why a shift is given up, in words, the newest reason first."""
    where = f"stage {step.stage.number} of {len(step.stages)} ({step.stage.weight} % at {step.target})"
    asked = f"; the judge could not say: {step.stage.asked}" if step.stage.asked else ""
    if step.answer is not None and step.answer.timed_out:
        return f"nobody answered within {step.pause_seconds} s, before {where}{asked}"
    if step.error is not None:
        return f"{where}: {cause_in_words(step.error)}"
    if step.answer is not None and not step.answer.approved:
        return f"a person said stop before {where}{asked}"
    if step.judged is not None and step.judged.action is StageAction.ABORT:
        return f"{where}: {step.judged.reason}"
    return f"{where} was given up"


def question(plan: ShiftPlan) -> str:
    """What a person is asked before a stage, or whether the last one shall stay."""
    stage, between = plan.stage, f"from {plan.source} to {plan.target}"
    what = (
        f"leave {stage.weight} % of the traffic, which went {between}, where it is"
        if stage.vouched
        else f"shift {stage.weight} % of the traffic {between}"
    )
    asked = f"{plan.scope_id}: {what} (stage {stage.number} of {len(plan.stages)})? {plan.reason}"
    return f"{asked}. The judge cannot say: {stage.asked}" if stage.asked else asked


def asking(plan: ShiftPlan, execution_arn: str, text: str, url: str, closes_at: float) -> Announcement:
    """The notice with the link."""
    lines = [
        text,
        f"Answer by {at(closes_at)}; else it is given up and the weights of before are restored.",
        "The link shows the question; a button on its page answers it, once:",
        url,
        *links(execution_arn),
    ]
    verb = "stay at" if plan.stage.vouched else "go to"
    subject = f"{plan.scope_id}: shall {plan.stage.weight} % {verb} {plan.target}?"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "MoveAwaitsAnswer", f"asked: {plan.stage.question}")
