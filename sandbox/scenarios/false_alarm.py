"""`false-alarm`: a slow probe, a lost answer of a node, a latency spike of 2 s on the whole cluster. Nothing moves."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "false-alarm"
SLOW_SECONDS: Final = 0.9
SPIKE_SECONDS: Final = 2.0
AFTER_SECONDS: Final = 8.0
"""Longer than it takes to fail over: whatever would come has come."""


def run(stage: Stage) -> Report:
    """One after the other; the Region is well afterwards."""
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    active = region.nodes.nodes(region.primary)
    witness = Witness(region)

    say(f"one replica stands still for {SLOW_SECONDS:g} s: one slow probe")
    active[0].replica.pause()
    time.sleep(SLOW_SECONDS)
    active[0].replica.resume()
    time.sleep(AFTER_SECONDS)

    say("an assessment in which one node's answer is lost")
    region.cloud.run_command.lose(active[1].instance_id)
    started = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console"})
    )
    assessed = region.wait_for_end(started["executionArn"], 60.0)
    region.cloud.run_command.restore()
    unknown = region.view().checks[region.primary].checks[0]
    say(f"{assessed['status']}: {unknown.name} is {unknown.verdict}: {unknown.reason}")

    say(f"the whole active cluster stands still for {SPIKE_SECONDS:g} s: a latency spike")
    for node in active:
        node.replica.pause()
    time.sleep(SPIKE_SECONDS)
    for node in active:
        node.replica.resume()
    time.sleep(AFTER_SECONDS)

    found = witness.figures()
    seen = witness.outage()
    found |= {"requests": seen.requests, "failed_requests": seen.failed_requests}
    faults = witness.faults()
    faults += [f"{key} is {found[key]}" for key in ("weight_changes", "failovers_started", "pages") if found[key]]
    if assessed["status"] != "SUCCEEDED":
        faults.append(f"the assessment {assessed['status']}: {assessed.get('cause')}")
    if unknown.verdict != "unknown":
        faults.append(f"the lost answer made the gpu check {unknown.verdict}: {unknown.reason}")
    return Report(NAME, stage.region_name, found, witness.timeline(), faults)


SCENARIO = Scenario(NAME, "a slow probe, a lost answer of a node, a latency spike of 2 s: nothing moves", run)
