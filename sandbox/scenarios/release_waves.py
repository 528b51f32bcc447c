"""`release-waves`: a version for the whole fleet, cluster after cluster through two Regions, under load in both.

A good one begins by itself, once it is verified in both Regions (`rollouts.when_ready: start`). A bad one, that no
engine loads, begins by CI's event *Model Version Ready*: its first wave is put back, and nobody else ever meets it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import FLEET
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Record
    from sandbox.fleet.models import Model
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "release-waves"
BROKEN: Final = "tiny-broken"
BAKE_SECONDS: Final = 15
RULES: Final = {"wave_bake_seconds": BAKE_SECONDS, "load_seconds": 30}
BEGIN_SECONDS: Final = 30.0
RELEASE_SECONDS: Final = 1200.0
Span = tuple[str, float, float]
"""A cluster, and when its rollout began and ended."""


def run(stage: Stage) -> Report:
    """A good release, then a bad one; clients ask in both Regions all the time."""
    from sandbox import release_desk

    home, regions = stage.region, sorted(stage.sandbox.regions.values(), key=lambda region: region.name)
    name, old, good = home.model.version, home.model, release_desk.model_of(home.model.seed + 100)
    stage.say(f"{old.version}, {good.version} and {BROKEN} are registered in {home.name}")
    release_desk.register(home, name, old)
    release_desk.register(home, name, good)
    release_desk.register(home, name, replace(old, version=BROKEN), body=release_desk.unloadable(old))
    _everywhere(stage, name, old.version)
    _apply(stage, old, when_ready="start")
    told = {stack.name: len(stack.messages()) for stack in stage.sandbox.stacks}
    loads = [region.start_load() for region in regions]
    began, timeline, faults = time.time(), list[Moment](), list[str]()

    def note(event: str, detail: str) -> None:
        timeline.append(Moment(round(time.time() - began, 3), event, detail))

    note("begin", f"clients ask in {' and '.join(region.name for region in regions)}")
    stage.say(f"{good.version} is brought to every Region: its release begins by itself")
    _everywhere(stage, name, good.version)
    released, seconds = _ended(home, known=0)
    note(f"good {released['status']}", _said(released))
    if released["status"] != "SUCCEEDED":
        faults.append(f"the good version: {released['status']}: {_said(released)}")
    waves = _rollouts(regions)
    timeline += [Moment(round(at - began, 3), "wave", f"{cluster}, {ended - at:.0f} s") for cluster, at, ended in waves]
    faults += problems(waves, [cluster for region in regions for cluster in (region.standby, region.primary)])
    mixed = _mixed(regions, good.version)

    stage.say(f"FleetConfig names {good.version}; {BROKEN} is to follow, by an event")
    _apply(stage, good, when_ready="tell")
    _everywhere(stage, name, BROKEN)
    at = time.time()
    _say_ready(home, name, BROKEN)
    aborted, _ = _ended(home, known=1)
    to_abort = time.time() - at
    note(f"bad {aborted['status']}", f"{aborted.get('error')}: {_said(aborted)}")
    for region in regions:
        region.wait_until_ready()
    records = [record for load in loads for record in load.stop()]
    touched = _rollouts(regions)[len(waves) :]
    figures: dict[str, Any] = {
        **_counts(records),
        "clusters_released": len(waves),
        "seconds_to_release": round(seconds, 1),
        "seconds_to_abort": round(to_abort, 1),
        "clusters_met_by_the_bad_one": len(touched),
        "mixed_versions_left": mixed + _mixed(regions, good.version),
        "pages": sum(
            message.topic == "page"
            for stack in stage.sandbox.stacks
            for message in stack.messages()[told[stack.name] :]
        ),
    }
    if (aborted["status"], aborted.get("error")) != ("FAILED", "ReleaseAborted"):
        faults.append(f"the bad version: {aborted['status']}: {aborted.get('error')}: {_said(aborted)}")
    if [cluster for cluster, _, _ in touched] != [regions[0].standby]:
        faults.append(f"the bad version came to {touched}, to {regions[0].standby} alone is wanted")
    faults += [
        f"{region.name}: of {cluster} {served} is left"
        for region in regions
        for cluster, served in region.view().scope.desired.models.items()
        if served.update or served.live.version != good.version
    ]
    timeline += [
        Moment(round(record.sent_at - began, 3), "failed request", str(record.failure))
        for record in records
        if record.failed
    ][:20]
    faults += release_desk.faults_in(home, figures, "failed_requests", "streams_cut", "mixed_versions_left", "pages")
    return Report(NAME, home.name, figures, sorted(timeline, key=lambda each: each.at), faults)


def problems(waves: Sequence[Span], order: Sequence[str]) -> list[str]:
    """What is wrong with the waves of a release: another order, two at once, no bake between two."""
    faults = []
    if [cluster for cluster, _, _ in waves] != list(order):
        faults.append(f"the waves were {[cluster for cluster, _, _ in waves]}, {list(order)} are wanted")
    for (before, _, ended), (after, began, _) in pairwise(waves):
        if began - ended < BAKE_SECONDS:
            faults.append(f"{after} began {began - ended:.1f} s after {before}, {BAKE_SECONDS} s at least are wanted")
    return faults


def _apply(stage: Stage, model: Model, *, when_ready: str) -> None:
    """FleetConfig names this version, and every Region knows what it answers."""
    from sandbox import release_desk

    served = {"name": stage.region.model.version, "engine": "llama.cpp", "version": model.version}
    stage.sandbox.apply_config(model=served, rollouts={**release_desk.ROLLOUTS, **RULES, "when_ready": when_ready})
    for region in stage.sandbox.regions.values():
        region.invoke("record-golden", {"cluster_id": region.primary, "reason": "the version that serves is well"})
        region.wait_until_ready()


def _everywhere(stage: Stage, name: str, version: str) -> None:
    """Have a version that is registered at home verified in every Region with clusters."""
    from sandbox import model_desk

    asked = {"model": name, "version": version, "regions": sorted(stage.sandbox.regions)}
    model_desk.output(model_desk.run(stage.region, "replicate-model", asked))


def _say_ready(region: SandboxRegion, name: str, version: str) -> None:
    """What CI puts on the bus: docs/events/model_version_ready.json."""
    detail = {"model": name, "version": version, "by": "CI", "reason": "the scenario's evaluation passed"}
    entry = {"EventBusName": FLEET, "Source": FLEET, "DetailType": "Model Version Ready", "Detail": json.dumps(detail)}
    region.client("events").put_events(Entries=[entry])


def _ended(region: SandboxRegion, known: int) -> tuple[Mapping[str, Any], float]:
    """The release that began after `known` others, once it has ended, and how long it took."""
    states, machine = region.client("stepfunctions"), region.outputs["FleetReleaseArn"]

    def begun() -> str:
        found = states.list_executions(stateMachineArn=machine)["executions"]
        latest = max(found, key=lambda each: each["startDate"]) if len(found) > known else {}
        return str(latest.get("executionArn", ""))

    arn = region.wait_for("the release to begin by itself", begun, BEGIN_SECONDS)
    found = region.wait_for_end(arn, RELEASE_SECONDS)
    return found, (found["stopDate"] - found["startDate"]).total_seconds()


def _said(execution: Mapping[str, Any]) -> str:
    """What the execution says of itself, in its first sentences."""
    text = execution.get("cause") or json.loads(execution.get("output") or "{}").get("text", "")
    return " ".join(str(text).split("\n")[:3])


def _rollouts(regions: Sequence[SandboxRegion]) -> list[Span]:
    """Of all Regions, in the order in which they began."""
    from sandbox import release_desk

    found = [region.execution(each["executionArn"]) for region in regions for each in release_desk.executions(region)]
    spans = [
        (str(json.loads(each["input"])["cluster_id"]), each["startDate"].timestamp(), each["stopDate"].timestamp())
        for each in found
    ]
    return sorted(spans, key=lambda span: span[1])


def _mixed(regions: Sequence[SandboxRegion], live: str) -> int:
    from sandbox import release_desk

    return sum(
        release_desk.mixed(region, cluster, live) for region in regions for cluster in (region.primary, region.standby)
    )


def _counts(records: Sequence[Record]) -> dict[str, int]:
    return {
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "streams_cut": sum(record.failure == "cut" for record in records),
    }


SCENARIO = Scenario(
    NAME, "a version for two Regions, wave after wave under load: a good one, then one that no engine loads", run
)
