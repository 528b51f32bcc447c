"""`deployment-crash`: the controller of a blue/green deployment dies in each of its states; nothing of it is left.

It is stopped as a person or AWS stops an execution, so that no Catch runs, and its workers die with it. The reconciler
finds the deployment without a holder of the lease and has it undone, or finished once the pointer has flipped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "deployment-crash"
STATES: Final = (
    "BeginDeployment", "ProvisionGreen", "DeployModel", "JoinFleet", "SmokeTestGreen", "ShiftToGreen", "PromoteGreen",
    "HoldBlue", "SwapPointers", "RetireBlue",
)  # fmt: skip
WORKERS: Final = (
    "begin-deployment", "provision-green", "deploy-model", "join-fleet", "smoke-test-green", "plan-shift",
    "shift-stage", "judge-stage", "promote-green", "hold-blue", "swap-pointers", "retire-blue",
)  # fmt: skip
WISHES: Final = {"stages": [100], "bake_seconds": 5, "hold_seconds": 5}
"""Whether the version is good is not the question here."""
REACH_SECONDS: Final = 240.0
SETTLE_SECONDS: Final = 300.0


def run(stage: Stage) -> Report:
    """A kill in each state, `runs` times."""
    from sandbox import deployment_desk, kills, release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    deployment_desk.prepare(stage, new)
    before = deployment_desk.resources(region)
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    began, timeline, faults = time.time(), list[Moment](), list[str]()
    blue, live = region.primary, old
    killed, mixed, leaked, took = 0, 0, 0, list[float]()
    for state in STATES * stage.runs:
        wanted = new if live is old else old
        stage.say(f"{blue} is to go to {wanted.version}; killed in {state}")
        arn = deployment_desk.start(region, blue, wanted.version, **WISHES)
        try:
            kills.wait_for_state(region, arn, state, is_over=False, limit_seconds=REACH_SECONDS)
            green = deployment_desk.green_of(region)
            dead_at = time.time()
            states = region.client("stepfunctions")
            states.stop_execution(executionArn=arn, error="Stopped", cause="its controller dies")
            for worker in WORKERS:
                region.cloud.environments.stop(region.function_arn(worker), active=True)
            killed += region.wait_for_end(arn)["status"] == "ABORTED"
            region.wait_for("the deployment to be settled", lambda: _is_settled(region), SETTLE_SECONDS)
            region.wait_until_ready()
        except SandboxError as error:
            faults.append(f"killed in {state}: {error}")
            break
        took.append(time.time() - dead_at)
        finished = bool(green) and green in region.view().scope.desired.roles
        if finished:
            blue, live = green, wanted
        found = release_desk.mixed(region, blue, live.version)
        left = deployment_desk.leaked(before, deployment_desk.resources(region), {blue, region.standby})
        mixed, leaked = mixed + found, leaked + len(left)
        faults += [f"killed in {state}: left: {each}" for each in left]
        how = "finished" if finished else "undone"
        timeline.append(Moment(round(dead_at - began, 3), f"killed in {state}", f"{how} in {took[-1]:.0f} s"))
    records = load.stop()
    figures: dict[str, Any] = {
        "kills": killed,
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "mixed_versions_left": mixed,
        "resources_leaked": leaked,
        "seconds_to_settle": [round(each, 1) for each in took],
    }
    faults += release_desk.faults_in(
        region, figures, "failed_requests", "streams_cut", "mixed_versions_left", "resources_leaked"
    )
    return Report(NAME, region.name, figures, timeline, faults, stage.runs)


def _is_settled(region: SandboxRegion) -> bool:
    scope = region.view().scope
    return scope.lease.holder is None and scope.desired.deployment is None


SCENARIO = Scenario(
    NAME, "the controller of a blue/green deployment dies in each state: nothing of it is left", run, alone=True
)
