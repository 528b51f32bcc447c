"""One fault, from its injection to ten good seconds after the recovery, with everything that happened between."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox import figures
from sandbox.aws.latency import DYNAMODB, ELB_CALL, ELB_PROPAGATION, MRSC, STATE_TRANSITION
from sandbox.plan import FAST_PATH, SandboxError
from sandbox.scenario import Moment
from standfast.fleet import Role

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from sandbox.aws.latency import Injection
    from sandbox.fleet.load import Load
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

LIMIT_SECONDS = 60.0
"""A fault that is not over by then is not over."""
SETTLE_SECONDS = 5.0


@dataclass(slots=True)
class Run:
    """What one run came to. `faults` are expectations that did not hold; none means that it passed."""

    figures: dict[str, float | None]
    timeline: list[Moment] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def failover_run(stage: Stage, break_it: Callable[[SandboxRegion], None], chance: random.Random) -> Run:
    """Break the active cluster and follow what Standfast does about it."""
    region, load, say = stage.region, stage.load, stage.say
    _settle(load)
    known = {execution["executionArn"] for execution in region.executions()}
    told = len(region.messages())
    region.cloud.latency.clear()
    if stage.cold:
        for function in FAST_PATH:
            region.cloud.environments.stop(region.function_arn(function))
    time.sleep(chance.random())  # the fault falls anywhere between two passes of the watch
    fault_at = time.time()
    changes = len(region.rule_changes)
    break_it(region)
    say(f"the fault: every replica of {region.primary} is gone")
    arn = region.wait_for("a failover to start", lambda: _new_execution(region, known), LIMIT_SECONDS)
    say("Standfast has started the failover")
    end = _await_recovery(load, fault_at)
    say("the service answers" if end else f"no recovery within {LIMIT_SECONDS:g} s")
    execution = region.wait_for_end(arn, LIMIT_SECONDS)
    time.sleep(max(0.0, (end or 0.0) + figures.AFTER_SECONDS - time.time()))
    messages = region.messages()[told:]
    return _collect(region, load, fault_at, execution, changes, messages)


def _settle(load: Load) -> None:
    """Some seconds of good traffic first: a failure now would be counted for the fault."""
    before = len(load.records())
    time.sleep(SETTLE_SECONDS)
    recent = load.records(before)
    failed = [record.failure for record in recent if not record.ok]
    if failed or not recent:
        raise SandboxError(
            f"the service was not healthy before the fault: {len(recent)} requests, failed: {failed[:3]}"
        )


def _new_execution(region: SandboxRegion, known: set[str]) -> str | None:
    """The failover that was started since; preflights are not meant."""
    for execution in region.executions():
        arn = str(execution["executionArn"])
        if arn not in known and json.loads(region.execution(arn)["input"])["mode"] == "failover":
            return arn
    return None


def _await_recovery(load: Load, fault_at: float) -> float | None:
    """Wait until every client that failed has been served for a second. Returns when, or None at the limit."""
    while time.time() < fault_at + LIMIT_SECONDS:
        time.sleep(0.25)
        seen = figures.outage(load.records(), fault_at)
        if seen.recovered_at is not None and time.time() - seen.recovered_at > 1.0:
            return seen.recovered_at
    return None


def _collect(
    region: SandboxRegion,
    load: Load,
    fault_at: float,
    execution: dict[str, Any],
    changes: int,
    messages: Sequence[Any],
) -> Run:
    records = load.records()
    seen = figures.outage(records, fault_at)
    given = json.loads(execution["input"])
    started_at = execution["startDate"].timestamp()
    output = json.loads(execution.get("output") or "{}")
    injections = [each for each in region.cloud.latency.injections() if each.region == region.name]
    written_at = _weights_written_at(injections, output, started_at)
    path = [injection for injection in injections if _is_on_path(injection, execution["name"], written_at)]
    own = None
    if seen.first_failed_at is not None and seen.recovered_at is not None and seen.seconds is not None:
        own = seen.seconds - figures.injected_seconds(path, seen.first_failed_at, seen.recovered_at)
    dark = [change for change in region.rule_changes[changes:] if not any(change.weights.values())]
    run = Run(
        {
            "recovery_seconds": seen.seconds,
            "detection_seconds": given["detected_at"] - fault_at,
            "decision_to_traffic_seconds": None if written_at is None else written_at - started_at,
            "own_seconds": own,
            "requests": seen.requests,
            "failed_requests": seen.failed_requests,
            "failed_after_recovery": seen.failed_after_recovery,
            "zero_weight_moments": len(dark),
        }
    )
    run.timeline = _timeline(region, execution, fault_at, seen, written_at, changes, messages)
    run.faults = _faults(region, execution, seen, messages, len(dark))
    return run


def _weights_written_at(injections: Sequence[Injection], output: dict[str, Any], started_at: float) -> float | None:
    """When the first ModifyRule of this failover had its answer."""
    written = [
        injection.ended_at
        for injection in injections
        if injection.kind == ELB_CALL and injection.detail.endswith("ModifyRule") and injection.ended_at > started_at
    ]
    shifted_at = output.get("shift", {}).get("shifted_at")
    return min(written) if written else shifted_at


def _is_on_path(injection: Injection, execution: str, written_at: float | None) -> bool:
    """Whether this wait stood between the fault and the traffic: not those of the watch, nor those after the change."""
    if written_at is None or injection.started_at > written_at + 0.5:
        return False
    if injection.kind == STATE_TRANSITION:
        return injection.detail.startswith(f"{execution}/")
    if injection.kind in (DYNAMODB, MRSC):
        return any(_function_of(injection.caller) == name.replace("-", "") for name in FAST_PATH)
    if injection.kind == ELB_CALL:
        return injection.detail.endswith("ModifyRule")
    return injection.kind == ELB_PROPAGATION


def _function_of(role: str) -> str:
    """`standfast-TakeLeaseFunctionRole-AB12` is the role of take-lease."""
    return (
        next((part for part in role.split("-") if part.endswith("FunctionRole")), "")
        .removesuffix("FunctionRole")
        .lower()
    )


def _timeline(
    region: SandboxRegion,
    execution: dict[str, Any],
    fault_at: float,
    seen: figures.Outage,
    written_at: float | None,
    changes: int,
    messages: Sequence[Any],
) -> list[Moment]:
    given = json.loads(execution["input"])
    moments = [
        Moment(0.0, "fault", f"every replica of {given['failed_cluster_id']}"),
        Moment(given["detected_at"] - fault_at, "detected", given["reason"]),
        Moment(execution["startDate"].timestamp() - fault_at, "execution started", execution["name"]),
        Moment(execution["stopDate"].timestamp() - fault_at, "execution ended", execution["status"]),
    ]
    history = region.client("stepfunctions").get_execution_history(
        executionArn=execution["executionArn"], maxResults=1000
    )
    moments += [
        Moment(event["timestamp"].timestamp() - fault_at, "state", event["stateEnteredEventDetails"]["name"])
        for event in history["events"]
        if "stateEnteredEventDetails" in event
    ]
    for moment, event in (
        (seen.first_failed_at, "first failed request"),
        (written_at, "weights written"),
        (seen.recovered_at, "last client served"),
    ):
        if moment is not None:
            moments.append(Moment(moment - fault_at, event))
    for change in region.rule_changes[changes:]:
        weights = ", ".join(f"{cluster_id} {weight}" for cluster_id, weight in sorted(change.weights.items()))
        moments.append(Moment(change.at - fault_at, "entry follows", weights))
    moments += [Moment(message.at - fault_at, message.topic, message.subject) for message in messages]
    return [
        Moment(round(moment.at, 3), moment.event, moment.detail)
        for moment in sorted(moments, key=lambda moment: moment.at)
    ]


def _faults(
    region: SandboxRegion, execution: dict[str, Any], seen: figures.Outage, messages: Sequence[Any], dark: int
) -> list[str]:
    faults: list[str] = []
    if execution["status"] != "SUCCEEDED":
        faults.append(f"the execution {execution['status']}: {execution.get('cause')}")
    roles = region.view().scope.desired.roles
    if roles.get(region.primary) is not Role.QUARANTINED or roles.get(region.standby) is not Role.ACTIVE:
        faults.append(f"the roles are {dict(roles)}")
    if not any(message.topic == "page" for message in messages):
        faults.append("nobody was paged")
    if seen.recovered_at is None:
        faults.append(f"no recovery within {LIMIT_SECONDS:g} s")
    if seen.failed_after_recovery:
        faults.append(f"{seen.failed_after_recovery} requests failed after the recovery")
    if dark:
        faults.append(f"{dark} moments with no weight above zero")
    denials = region.cloud.denials()
    for role in {denial.role for denial in denials}:
        region.cloud.forgive(role)  # told here, so that the next run does not tell it again
    faults += [f"denied: {denial.role} lacks {denial.action} on {denial.resource}" for denial in denials]
    return faults


def baseline_runs(stage: Stage) -> dict[str, Run]:
    """The same fault without Standfast, in the two set-ups that a team would have otherwise."""
    region = stage.region
    stage.sandbox.set_switch("off", "baseline: Standfast off")
    runs = {"weighted_rule_alone": _unattended(stage, "the weighted rule alone")}
    region.restore_baseline()
    elb, primary_group = region.client("elbv2"), region.groups[region.primary]
    targets = [{"Id": node.instance_id} for node in region.nodes.nodes(region.standby)]
    elb.register_targets(TargetGroupArn=primary_group, Targets=targets)
    region.wait_for("six healthy targets in one group", lambda: _healthy(region, primary_group) == 6, LIMIT_SECONDS)
    runs["one_target_group"] = _unattended(stage, "one target group with all six replicas")
    elb.deregister_targets(TargetGroupArn=primary_group, Targets=targets)
    return runs


def _healthy(region: SandboxRegion, group: str) -> int:
    return sum(state == "healthy" for (arn, _, _), state in region.door.health().items() if arn == group)


def _unattended(stage: Stage, what: str) -> Run:
    region, load, say = stage.region, stage.load, stage.say
    _settle(load)
    fault_at = time.time()
    region.nodes.kill(region.primary)
    say(f"{what}: every replica of {region.primary} is killed, nobody moves anything")
    recovered_at = _await_recovery(load, fault_at)
    seen = figures.outage(load.records(), fault_at)
    if recovered_at is not None:
        time.sleep(max(0.0, recovered_at + figures.AFTER_SECONDS - time.time()))
        seen = figures.outage(load.records(), fault_at)
    say(f"{what}: " + (f"recovered after {seen.seconds:.1f} s" if seen.seconds else "not recovered within 60 s"))
    return Run(
        {
            "recovery_seconds": seen.seconds,
            "requests": seen.requests,
            "failed_requests": seen.failed_requests,
            "failed_after_recovery": seen.failed_after_recovery,
        },
        [Moment(0.0, "fault", what)],
    )
