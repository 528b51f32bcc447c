"""`rollout-crash`: the controller of a rolling update dies in each of its states in turn; what it touched goes back.

It is stopped as a person or AWS stops an execution, so that no Catch runs, and its workers die with it. The reconciler
finds the update without a holder of the lease and has it put back by an execution of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "rollout-crash"
STATES: Final = (
    "BeginRollout", "ChooseReplica", "DrainReplica", "UpdateReplica", "VerifyReplica", "ReturnReplica", "AskReplica",
    "BakeReplica",
)  # fmt: skip
WORKERS: Final = (
    "begin-rollout", "choose-replica", "drain-replica", "update-replica", "verify-replica", "return-replica",
    "ask-replica", "bake-replica",
)  # fmt: skip
BACK_SECONDS: Final = 240.0


def run(stage: Stage) -> Report:
    """A kill in each state, `runs` times."""
    from sandbox import kills, release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    for model in (old, new):
        release_desk.register(region, name, model)
    release_desk.apply_version(stage)
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    began, timeline, faults = time.time(), list[Moment](), list[str]()
    killed, mixed, took = 0, 0, list[float]()
    for state in STATES * stage.runs:
        stage.say(f"killed in {state}")
        arn = release_desk.start(region, region.primary, new.version)
        kills.wait_for_state(region, arn, state, is_over=False)
        dead_at = time.time()
        region.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="its controller dies")
        for worker in WORKERS:
            region.cloud.environments.stop(region.function_arn(worker), active=True)
        killed += region.wait_for_end(arn)["status"] == "ABORTED"
        try:
            region.wait_for("the update to be put back", lambda: _is_settled(region), BACK_SECONDS)
            region.wait_until_ready()
        except SandboxError as error:
            faults.append(f"killed in {state}: {error}")
            break
        took.append(time.time() - dead_at)
        found = release_desk.mixed(region, region.primary, old.version)
        mixed += found
        timeline.append(
            Moment(round(dead_at - began, 3), f"killed in {state}", f"put back in {took[-1]:.0f} s, {found} mixed")
        )
    records = load.stop()
    failed = [record for record in records if record.failed]
    figures: dict[str, Any] = {
        "kills": killed,
        "requests": len(records),
        "failed_requests": len(failed),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "mixed_versions_left": mixed,
        "seconds_to_put_back": [round(each, 1) for each in took],
    }
    faults += release_desk.faults_in(region, figures, "failed_requests", "mixed_versions_left")
    return Report(NAME, region.name, figures, timeline, faults, stage.runs)


def _is_settled(region: SandboxRegion) -> bool:
    scope = region.view().scope
    return scope.lease.holder is None and not any(each.update for each in scope.desired.models.values())


SCENARIO = Scenario(NAME, "the controller of a rolling update dies in each state: nothing stays half-way", run)
