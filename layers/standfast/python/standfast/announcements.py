"""What people are told, in words that an on-caller can act on. Pure text.

Each announcement has an `outcome`: somebody is told again only when it changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.lease import Purpose
from standfast.traffic import describe
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.checks import NodeFinding
    from standfast.failover import Unfinished
    from standfast.preflight import Obstacle
    from standfast.steps import Caught, DrainStep, GiveUpStep
    from standfast.stores import ScopeRecord


class Urgency(StrEnum):
    """Whether somebody is woken."""

    PAGE = "page"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message with its event. `outcome` is what it says, in a word that can be compared."""

    urgency: Urgency
    subject: str
    text: str
    detail_type: str
    outcome: str


def completed(step: DrainStep, evidence: Sequence[str] = ()) -> Announcement:
    """The traffic moved, was proven to be served, and the failed cluster is quarantined."""
    chosen = step.selection.cluster_id
    lines = [
        f"What failed: {step.reason}",
        f"Since: {at(step.failed_since)}, detected {at(step.detected_at)} by {step.trigger}.",
        (
            f"What was done: all traffic of {step.scope_id} went to {chosen} at {at(step.shift.shifted_at)}, "
            f"{step.shift.shifted_at - step.detected_at:.1f} s after detection, and is served. {step.selection.reason}."
        ),
    ]
    if step.selection.overload:
        lines.append(f"Mind: {step.selection.overload}.")
    lines += overridden(step.break_glass)
    lines += _listed("The evidence", evidence)
    lines += _mending(step)
    lines += links(step.execution_arn)
    subject = f"{step.scope_id}: {step.failed_cluster_id} failed, {chosen} serves"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "FailoverCompleted", f"completed: {chosen}")


def preflight_passed(step: DrainStep, obstacles: Sequence[Obstacle] = ()) -> Announcement:
    """A failover would work now. `obstacles` are to be mended before; told anew when others stand there."""
    chosen = step.selection.cluster_id
    text = f"A failover would work now: {step.selection.reason}. {step.selection.overload}".strip()
    lines = [text, *_listed("Mind", [obstacle.reason for obstacle in obstacles])]
    lines += _listed("Of AWS's quotas", step.quotas.notes if step.quotas else ())
    subject = f"{step.scope_id}: {chosen} could take over{', with something to mend' * bool(obstacles)}"
    kinds = "".join(f"; mind the {obstacle.kind}" for obstacle in obstacles)
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "PreflightPassed", f"would work: {chosen}{kinds}")


def _mending(step: DrainStep) -> list[str]:
    """Who mends the failed cluster: an execution of its own, or the reader."""
    failed = step.failed_cluster_id
    if step.recovery is not None and step.recovery.execution_arn:
        return [
            f"{failed} is quarantined and is being mended: {step.recovery.execution_arn}",
            f"You are told how that ends; until then {step.scope_id} may be without a standby.",
        ]
    why = step.recovery.reason if step.recovery else cause_in_words(step.error) if step.error else "nobody started it"
    return [
        f"Nobody mends {failed} yet: {why}.",
        *left_to_do(
            f"mend {failed}: it is quarantined and takes no traffic.",
            f"invoke the readmit-cluster function with its id; until then {step.scope_id} may be without a standby. Or "
            "start cluster_recovery: it mends what it can, and readmits what is well.",
        ),
    ]


def held_back(step: DrainStep, evidence: Sequence[str] = ()) -> Announcement:
    """Nothing was changed, because the switch says observe."""
    chosen = step.selection.cluster_id
    lines = [
        f"What failed: {step.reason}",
        f"Since: {at(step.failed_since)}.",
        f"What would have been done: all traffic to {chosen}; {step.selection.reason}.",
        f"Nothing was changed: {step.held_back}.",
        *_listed("The evidence", evidence),
        *left_to_do(
            "move the traffic yourself, or set the switch to run (set-switch function): the next pass of the watch "
            "then fails over.",
        ),
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {step.failed_cluster_id} failed, nothing was changed"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "FailoverHeldBack", f"held back: {chosen}")


def gave_up(step: GiveUpStep, retry_at: float | None, evidence: Sequence[str] = ()) -> Announcement:
    """A failover or a preflight did not come to its end."""
    why = cause_in_words(step.error)
    if step.mode == "preflight":
        text = f"A failover would NOT work now: {why}"
        subject = f"{step.scope_id}: a failover would not work now"
        return Announcement(Urgency.NOTICE, subject, text, "PreflightFailed", f"would not work: {step.error.error}")
    lines = [
        f"What failed: {step.reason}",
        f"Since: {at(step.failed_since)}, detected {at(step.detected_at)} by {step.trigger}.",
        f"The failover did not succeed: {why}",
        f"The traffic {_where(step)}.",
        *overridden(step.break_glass),
        *_listed("The evidence", evidence),
        *left_to_do(
            "look at the execution: the state that failed holds the whole error.",
            "look at the clusters; Standfast does not mend them.",
            *([f"the next attempt may start at {at(retry_at)}, by itself."] if retry_at else []),
        ),
        *links(step.execution_arn),
    ]
    subject = f"{step.scope_id}: {step.failed_cluster_id} failed and the failover did not succeed"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "FailoverFailed", f"failed: {step.error.error}")


def ended_half_way(record: ScopeRecord, execution_arn: str, status: str, retry_at: float | None) -> Announcement:
    """An execution ended without a Catch: stopped, timed out, or by a fault in Standfast."""
    lines = [
        f"The execution {execution_arn} ended as {status} without telling anybody.",
        (
            f"The weights of {record.scope_id} are wanted as: {describe(record.desired.weights)} "
            f"(version {record.desired.version}: {record.desired.reason})."
        ),
        "What was done: its lease was released"
        + (f"; the next attempt may start at {at(retry_at)}." if retry_at else "; it held none."),
        *left_to_do("look at the execution. If the active cluster is still down, the watch tries again."),
        *links(execution_arn),
    ]
    named = {Purpose.ROLLOUT: "planned move", Purpose.RESTORE: "restore"}
    what = named.get(record.lease.purpose or Purpose.FAILOVER, "failover")
    subject = f"{record.scope_id}: a {what} ended half-way ({status})"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "FailoverFailed", "ended half-way")


_MENDS = {
    Action.RESTART_ENGINE: "restart the engine on {node}: its process has lost its GPU, the GPU itself is well.",
    Action.DRAIN: "take {node} out of its target group, let its requests end, reboot it; do not restart its engine.",
    Action.RESET_GPU: "take {node} out of its target group, stop its engine, reset the GPU (nvidia-smi --gpu-reset).",
    Action.REBOOT: "take {node} out of its target group and reboot it.",
    Action.REPLACE: "take {node} out of its target group and replace the instance: a reboot does not mend it.",
}


def node_at_fault(scope_id: str, cluster_id: str, node: NodeFinding) -> Announcement:
    """A node's own report calls for more than a look. Nothing was moved by that."""
    lines = [
        f"What the node reports: {node.reason}",
        f"Nothing was moved: {cluster_id} is judged by whether it serves.",
        *left_to_do(
            _MENDS[node.action].format(node=node.instance_id), "bring it back once it reports without a fault."
        ),
    ]
    subject = f"{scope_id}: node {node.instance_id} of {cluster_id}: {node.action}"
    outcome = f"{node.action}: {', '.join(node.faults)}"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "NodeAtFault", outcome)


def blind(scope_id: str, reason: str) -> Announcement:
    """Neither nodes nor metrics say anything, of any cluster."""
    lines = [
        f"What is wrong: {reason}.",
        "What was done: nothing. Missing evidence moves nothing; the canaries go on, and what they find still does.",
        "Mind: a failover needs a node report of the last 90 s, so none may be possible until this is mended.",
        *left_to_do(
            "look at Systems Manager and CloudWatch in this Region, and at the roles of collect-node-reports and "
            "read-traffic.",
            "start the assess state machine to see whether it sees again.",
        ),
    ]
    return Announcement(Urgency.PAGE, f"{scope_id}: monitoring is blind", "\n".join(lines), "MonitoringBlind", "blind")


def settled(scope_id: str, left: Unfinished) -> Announcement:
    """The reconciler recorded a move that a failover could not record."""
    lines = [
        f"What was found: the traffic was on {left.chosen}, and {left.failed} was still called active.",
        f"What was done: {left.chosen} serves, by the watch's word; it is active now. No traffic was moved.",
        *left_to_do(f"mend {left.failed}, which failed.", "invoke the readmit-cluster function with its id."),
    ]
    subject = f"{scope_id}: the failover to {left.chosen} is recorded"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "FailoverSettled", f"settled: {left.chosen}")


def drifted(scope_id: str, reason: str, *, repaired: bool) -> Announcement:
    """Desired and actual weights differed."""
    done = "They were put back." if repaired else "Nothing was changed."
    subject = f"{scope_id}: the weights were {'repaired' if repaired else 'edited by hand'}"
    return Announcement(Urgency.NOTICE, subject, f"{reason}. {done}", "ConfigDrifted", f"drift: {reason}")


def cause_in_words(caught: Caught) -> str:
    """The sentence in a caught error: Lambda puts it into JSON as errorMessage, a child execution as Cause."""
    said = _sentence(caught.cause)
    return said if caught.error == "States.TaskFailed" else f"{caught.error}: {said}"


def _sentence(cause: str) -> str:
    try:
        found = json.loads(cause)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return cause or "no cause was given"
    if "errorMessage" in found:
        return str(found["errorMessage"])
    if "Error" in found:
        return f"{found['Error']}: {_sentence(found.get('Cause') or '')}"
    return f"it ended as {found['Status']}" if "Status" in found else cause


def at(moment: float) -> str:
    """A moment for people: UTC, to the tenth of a second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-5] + " UTC"


_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def console_link(execution_arn: str) -> str:
    """The page of an execution in the Step Functions console. Each partition has a console of its own."""
    _, partition, _, region, *_ = execution_arn.split(":")
    prefix = f"{region}." if partition == "aws" else ""
    host = prefix + _CONSOLES.get(partition, _CONSOLES["aws"])
    return f"https://{host}/states/home?region={region}#/v2/executions/details/{execution_arn}"


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"- {line}" for line in lines)] if lines else []


def left_to_do(*steps: str) -> list[str]:
    """What the reader has to do, in this order."""
    return ["What is left to do:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))]


def overridden(break_glass: str) -> list[str]:
    """Who overrode the switches for an execution: it is on the record. Nothing where nobody did."""
    return [f"Break-glass: {break_glass}. The switches were not asked."] if break_glass else []


def links(execution_arn: str) -> list[str]:
    """Where an execution can be looked at."""
    return [f"Execution: {execution_arn}", f"In the console: {console_link(execution_arn)}"]


def _where(step: GiveUpStep) -> str:
    if step.shift is not None and step.selection is not None:
        return f"was moved to {step.selection.cluster_id} and stays there: it never goes back to what failed"
    return f"stays where it was, on {step.failed_cluster_id}: nothing better is proven"
