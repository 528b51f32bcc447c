"""`low-traffic-canary`: a good version where users ask three times a minute: too little to judge anything by.

So the judge asks both versions itself: each stage is passed on no fewer samples than FleetConfig wants, and on no luck.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "low-traffic-canary"
A_MINUTE: Final = 3


def run(stage: Stage) -> Report:
    """One deployment, which must go through."""
    from sandbox import deployment_desk, release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    deployment_desk.prepare(stage, new)
    wanted = region.view().applied.config.rollouts.minimum_samples
    before = deployment_desk.resources(region)
    load = region.start_load(Plan(A_MINUTE, A_MINUTE / 60, stage.seed, name))
    began = time.time()
    stage.say(f"{region.primary} goes to {new.version}, under {A_MINUTE} requests a minute")
    arn = deployment_desk.start(region, region.primary, new.version)
    execution = region.wait_for_end(arn, deployment_desk.LIMIT_SECONDS)
    seconds = time.time() - began
    samples = _samples(region, arn)
    live = next(iter(region.view().scope.desired.placed), region.primary)
    region.wait_until_ready()
    records = load.stop()
    left = deployment_desk.leaked(before, deployment_desk.resources(region), {live, region.standby})
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "samples": list(samples.values()),
        "minimum_samples": wanted,
        "false_aborts": int(execution["status"] != "SUCCEEDED"),
        "mixed_versions_left": release_desk.mixed(region, live, new.version if live != region.primary else old.version),
        "resources_leaked": len(left),
        "seconds": round(seconds, 1),
    }
    faults = release_desk.faults_in(
        region, figures, "failed_requests", "streams_cut", "false_aborts", "mixed_versions_left", "resources_leaked"
    )
    faults += [f"left: {each}" for each in left]
    if figures["false_aborts"]:
        faults.append(f"the deployment {execution['status']}: {execution.get('error')}: {execution.get('cause')}")
    stages = len(deployment_desk.STAGES)
    if len(samples) != stages or min(samples.values()) < wanted:
        faults.append(f"{stages} stages were passed on samples {samples}, {wanted} each are wanted")
    timeline = [
        Moment(0.0, "begin", f"{A_MINUTE} requests a minute"),
        Moment(round(seconds, 3), str(execution["status"]), f"samples of each stage: {list(samples.values())}"),
    ]
    return Report(NAME, region.name, figures, timeline, faults)


def _samples(region: SandboxRegion, parent: str) -> Mapping[int, int]:
    """The version of each stage of an execution's shift -> the samples by which it was judged."""
    from sandbox import kills
    from standfast.aws.judge_table import JudgeTable

    states = region.client("stepfunctions")
    machine = parent.replace(":execution:", ":stateMachine:").rpartition(":")[0]
    machine = machine.replace("blue-green-deployment", "traffic-shift")
    table = JudgeTable(region.outputs["ClusterTableName"], region.name, region.client("dynamodb"))
    found: dict[int, int] = {}
    for each in states.list_executions(stateMachineArn=machine)["executions"]:
        arn = str(each["executionArn"])
        if json.loads(states.describe_execution(executionArn=arn)["input"]).get("holder") != parent:
            continue
        for event in kills.history(region, arn):
            exited = event.get("stateExitedEventDetails", {})
            if exited.get("name") == "JudgeStage":
                version = int(json.loads(exited["output"])["shift"]["version"])
                found[version] = table.read_evidence(version).samples
    return found


SCENARIO = Scenario(NAME, "three requests a minute: a good version is promoted on the judge's own samples", run)
