"""`replicate-model`: a sharded tiny model is registered, estimated, brought to three Regions, and once more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "replicate-model"
MODEL: Final = {"model": "tiny-sharded", "version": "v1"}
PREFIX: Final = "models/tiny-sharded/v1/"
SHARDS: Final = 12


def run(stage: Stage) -> Report:
    """Register, dry run, replicate, replicate again; then each Region is looked at from outside."""
    from sandbox import model_desk
    from sandbox.fleet.sharded import sharded_model
    from standfast.aws.cluster_table import ClusterTable

    home, stacks, say = stage.region, stage.sandbox.stacks, stage.say
    files = sharded_model(stage.seed, SHARDS)
    regions = [stack.name for stack in stacks]
    began = time.time()
    timeline: list[Moment] = []

    def ran(machine: str, payload: dict[str, Any], what: str) -> Any:
        say(what)
        execution = model_desk.run(home, machine, payload)
        detail = execution.get("cause") or what
        timeline.append(Moment(round(time.time() - began, 3), f"{machine} {execution['status']}", str(detail)))
        return execution

    model_desk.upload(home, PREFIX, files)
    registered = ran(
        "register-model", {**MODEL, "prefix": PREFIX}, f"{len(files)} files of {SHARDS} shards are registered"
    )
    asked = {**MODEL, "regions": regions}
    estimated = ran("replicate-model", {**asked, "dryRun": True}, "a dry run: what will it cost?")
    nothing = [stack.name for stack in stacks if stack is not home and model_desk.folder(stack, PREFIX)]
    first = ran("replicate-model", asked, f"to {', '.join(regions)}")
    second = ran("replicate-model", asked, "once more: nothing is left to copy")

    faults = [
        f"{execution['status']}: {execution.get('cause')}"
        for execution in (registered, estimated, first, second)
        if execution["status"] != "SUCCEEDED"
    ]
    if faults:
        return Report(NAME, home.name, {}, timeline, faults)
    done, again = (model_desk.output(each)["replication"] for each in (first, second))
    seconds = max(each["seconds"] for each in done["regions"])
    figures = {
        "objects": len(files),
        "bytes": sum(map(len, files.values())),
        "regions": len(regions),
        "copied": done["copied"],
        "copied_again": again["copied"],
        "api_calls_per_object": round(done["api_calls"] / (len(files) * len(regions)), 2),
        "api_calls_per_object_again": round(again["api_calls"] / (len(files) * len(regions)), 2),
        "objects_per_second": round(done["copied"] / seconds, 1),
        "seconds": seconds,
        "estimates": model_desk.output(estimated)["plan"]["estimates"],
        "failed_regions_named": len(done["failed_regions"]),
    }
    faults += [f"a dry run copied to {name}" for name in nothing]
    if figures["copied"] != len(files) * (len(regions) - 1):
        faults.append(f"{figures['copied']} objects were copied, {len(files) * (len(regions) - 1)} were due")
    if figures["copied_again"]:
        faults.append(f"{figures['copied_again']} objects were copied again")
    for stack in stacks:
        if model_desk.folder(stack, PREFIX) != dict(files):
            faults.append(f"{stack.name} has other bytes than were uploaded")
        record = model_desk.record(stack, MODEL["model"], MODEL["version"])
        if record is None or record.state != "verified" or record.verified_at is None:
            faults.append(f"{stack.name} says {record and record.state}")
        table = ClusterTable(stack.outputs["ClusterTableName"], stack.name, stack.client("dynamodb"))
        if not table.read_golden(MODEL["model"], MODEL["version"]):
            faults.append(f"{stack.name} has no golden answers")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in stage.sandbox.cloud.denials()]
    return Report(NAME, home.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "a sharded model to three Regions, verified; the second time nothing is copied", run)
