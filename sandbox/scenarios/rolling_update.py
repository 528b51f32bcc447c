"""`rolling-update`: another model version for a cluster, replica by replica, while clients stream all the time.

There with the first run and back with the second; 10,000 requests take `--runs 6`. Nothing failed, so nothing may fail.
What 0 of N proves: at 95 %, fewer than 3/N fail. The replicas are as slow as a large model, and serve as many at once,
so that streams last, and many are under way whenever a replica is taken out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "rolling-update"
RATE: Final = 16.0
SHARE: Final = 0.01
"""Of a processor, for each request that is under way: a stream lasts some three seconds."""
SLOTS: Final = 24
TOKENS: Final = (40, 120)


def run(stage: Stage) -> Report:
    """An update, `runs` times, between two versions."""
    return update(NAME, stage, surge=False)


def update(scenario: str, stage: Stage, *, surge: bool) -> Report:
    """An update, `runs` times, each with one node more meanwhile where `surge` is wanted."""
    from sandbox import deployment_desk, release_desk
    from sandbox.fleet.load import Plan
    from sandbox.fleet.slowness import Slowness

    region, name = stage.region, stage.region.model.version
    old, new = region.model, release_desk.model_of(region.model.seed + 100)
    stage.say(f"{old.version} and {new.version} are registered")
    for model in (old, new):
        release_desk.register(region, name, model)
    release_desk.apply_version(stage)
    before, told, began = deployment_desk.resources(region), len(region.messages()), time.time()
    fewest = release_desk.Fewest(region, region.primary)
    plan = Plan(release_desk.CLIENTS, RATE, stage.seed, name, answer_tokens=TOKENS)
    slowness = Slowness(
        (), SHARE, idle_requests=1, again=lambda: [node.replica for node in region.nodes.nodes(region.primary)]
    )
    load = region.start_load(plan)
    time.sleep(3.0)
    timeline = [Moment(0.0, "begin", f"{RATE:g} requests a second of {release_desk.CLIENTS} clients")]
    faults: list[str] = []
    outs: list[float] = []
    live, seconds = old, list[float]()
    for turn in range(stage.runs):
        wanted = new if turn % 2 == 0 else old
        stage.say(f"{region.primary} goes from {live.version} to {wanted.version}")
        started = time.time()
        arn = release_desk.start(region, region.primary, wanted.version, surge=surge)
        execution = region.wait_for_end(arn, release_desk.UPDATE_SECONDS)
        seconds.append(time.time() - started)
        timeline.append(
            Moment(round(time.time() - began, 3), execution["status"], f"{wanted.version}, {seconds[-1]:.0f} s")
        )
        if execution["status"] != "SUCCEEDED":
            faults.append(f"the update {execution['status']}: {execution.get('error')}: {execution.get('cause')}")
            break
        outs += release_desk.taken_out(region, arn)
        live = wanted
        region.wait_until_ready()
    time.sleep(2.0)
    records = load.stop()
    slowness.close()
    failed = [record for record in records if record.failed]
    figures: dict[str, Any] = {
        "updates": len(seconds),
        "replicas_taken_out": len(outs),
        "requests": len(records),
        "failed_requests": len(failed),
        "at_most_failing_95": round(3 / len(records), 6) if records and not failed else None,
        "streams_cut": sum(record.failure == "cut" for record in records),
        "requests_over_a_drain": release_desk.over(records, outs),
        "mixed_versions_left": release_desk.mixed(region, region.primary, live.version),
        "fewest_replicas": fewest.close(),
        "resources_leaked": len(deployment_desk.resources(region)) - len(before),
        "pages": sum(message.topic == "page" for message in region.messages()[told:]),
        "seconds": [round(each, 1) for each in seconds],
    }
    timeline += [
        Moment(round(record.sent_at - began, 3), "failed request", str(record.failure)) for record in failed[:20]
    ]
    faults += release_desk.faults_in(
        region, figures, "failed_requests", "streams_cut", "mixed_versions_left", "resources_leaked", "pages"
    )
    if figures["fewest_replicas"] < (needed := region.replicas[region.primary] - (not surge)):
        faults.append(f"{figures['fewest_replicas']} replicas had traffic at the least, {needed} are wanted")
    served = region.view().scope.desired.models.get(region.primary)
    if (served.live.version if served else old.version) != live.version:
        faults.append(f"the pointer says {served}, {live.version} serves")
    return Report(scenario, region.name, figures, sorted(timeline, key=lambda each: each.at), faults, stage.runs)


SCENARIO = Scenario(NAME, "another model version, replica by replica under load: no request fails", run, slots=SLOTS)
