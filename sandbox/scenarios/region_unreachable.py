"""`region-unreachable`: a Region does not answer while a model is replicated. It is named, and the others have it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "region-unreachable"
MODEL: Final = {"model": "tiny-cut-off", "version": "v1"}
PREFIX: Final = "models/tiny-cut-off/v1/"
SHARDS: Final = 6
ASKING: Final = ("PlanReplication", "StartPull", "CheckPull")
"""Whose calls to the Region find no answer."""


def run(stage: Stage) -> Report:
    """Replicate while a Region does not answer, then again when it does."""
    from sandbox import model_desk
    from sandbox.aws.faults import FaultKind
    from sandbox.fleet.sharded import sharded_model

    home, stacks, say = stage.region, stage.sandbox.stacks, stage.say
    silent = next(stack for stack in stacks if stack is not home)
    files = sharded_model(stage.seed + 2, SHARDS)
    began = time.time()
    timeline: list[Moment] = []

    def noted(event: str, detail: str) -> None:
        say(f"{event}: {detail}")
        timeline.append(Moment(round(time.time() - began, 3), event, detail))

    model_desk.upload(home, PREFIX, files)
    registered = model_desk.run(home, "register-model", {**MODEL, "prefix": PREFIX})
    asked = {**MODEL, "regions": [stack.name for stack in stacks]}
    told = len(home.messages())
    noted("unreachable", f"{silent.name} answers nobody who replicates")
    with ExitStack() as faults_in_place:
        for role in ASKING:
            injected = stage.sandbox.cloud.faults.injected(role, FaultKind.TIME_OUT, region=silent.name)
            faults_in_place.enter_context(injected)
        first = model_desk.run(home, "replicate-model", asked, 300.0)
    cause = str(first.get("cause"))
    noted("the first run", f"{first['status']}: {cause}")
    states = {stack.name: model_desk.record(stack, MODEL["model"], MODEL["version"]) for stack in stacks}
    notices = [each for each in home.messages()[told:] if each.topic == "notice" and silent.name in each.subject]
    second = model_desk.run(home, "replicate-model", asked)
    noted("the second run", f"{second['status']} {second.get('cause') or ''}")
    done = (
        model_desk.output(second)["replication"] if second["status"] == "SUCCEEDED" else {"regions": [], "copied": None}
    )
    copied = {each["region"]: each["copied"] for each in done["regions"]}
    named = [name for name in asked["regions"] if f"- {name}: failed" in cause]
    figures = {
        "objects": len(files),
        "regions": len(stacks),
        "failed_regions_named": len(named),
        "failed": named,
        "copied": done["copied"],
        "copied_again": sum(count for region, count in copied.items() if region != silent.name),
        "notices": len(notices),
    }
    faults = []
    if registered["status"] != "SUCCEEDED":
        faults.append(f"register_model: {registered.get('cause')}")
    if first["status"] != "FAILED" or named != [silent.name]:
        faults.append(f"the first run {first['status']} and named {named}: {cause}")
    for name, record in states.items():
        is_whole = record is not None and record.state == "verified"
        if is_whole != (name != silent.name):
            faults.append(f"after the first run {name} says {record and record.state}")
    if copied.get(silent.name) != len(files) or figures["copied_again"]:
        faults.append(f"the second run copied {copied}, and only {silent.name} lacked the model")
    if not notices:
        faults.append("nobody was told")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in stage.sandbox.cloud.denials()]
    return Report(NAME, home.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "a Region does not answer while a model is replicated: it is named, the others have it", run)
