"""`blue-green`: another model version by a new cluster beside the one that serves, while clients stream all the time.

There with the first run and back with the second; 10,000 requests, and 200 over a drain, take `--runs 6`.
Nothing failed, so nothing may fail. What 0 of N proves: at 95 %, fewer than 3/N fail. Blue is held for 20 s, not for an
hour. The replicas are as slow as a large model, and serve as many at once, so that streams last and many are under way
at blue when green gets all of the traffic.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario
from sandbox.scenarios.rolling_update import SLOTS, TOKENS

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "blue-green"
RATE: Final = 12.0
SHARE: Final = 0.006
"""Of a processor, for each request that is under way: a stream lasts some three seconds."""
IDLE_REQUESTS: Final = 6
RULES: Final = {"rounds": 12, "buckets": [{"name": "short"}, {"name": "long", "characters": 400}]}
"""What a look asks: engines that are slow have no room for more, and for no longer ones, beside what users ask."""


def run(stage: Stage) -> Report:
    """A deployment, `runs` times, between two versions."""
    from sandbox import deployment_desk, kills, release_desk
    from sandbox.fleet.load import Plan
    from sandbox.fleet.slowness import Slowness

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    deployment_desk.prepare(stage, new, **RULES)
    before, told, began = deployment_desk.resources(region), len(region.messages()), time.time()
    changes = len(region.rule_changes)
    slowness = Slowness(
        (),
        SHARE,
        idle_requests=IDLE_REQUESTS,
        again=lambda: [node.replica for node in region.nodes.nodes()],
    )
    load = region.start_load(Plan(release_desk.CLIENTS, RATE, stage.seed, name, answer_tokens=TOKENS))
    time.sleep(3.0)
    timeline = [Moment(0.0, "begin", f"{RATE:g} requests a second of {release_desk.CLIENTS} clients")]
    faults: list[str] = []
    live, blue, seconds = old, region.primary, list[float]()
    for turn in range(stage.runs):
        wanted = new if turn % 2 == 0 else old
        stage.say(f"{blue} goes from {live.version} to {wanted.version}")
        started = time.time()
        arn = deployment_desk.start(region, blue, wanted.version)
        kills.wait_for_state(region, arn, "ProvisionGreen", is_over=False)
        green = deployment_desk.green_of(region)
        execution = region.wait_for_end(arn, deployment_desk.LIMIT_SECONDS)
        seconds.append(time.time() - started)
        timeline.append(
            Moment(round(time.time() - began, 3), execution["status"], f"{wanted.version}, {seconds[-1]:.0f} s")
        )
        if execution["status"] != "SUCCEEDED":
            faults.append(f"the deployment {execution['status']}: {execution.get('error')}: {execution.get('cause')}")
            break
        live, blue = wanted, green
        region.wait_until_ready()
    time.sleep(2.0)
    records = load.stop()
    slowness.close()
    failed = [record for record in records if record.failed]
    left = deployment_desk.leaked(before, deployment_desk.resources(region), {blue, region.standby})
    drains = deployment_desk.drains(region.rule_changes[changes:])
    figures: dict[str, Any] = {
        "deployments": len(seconds),
        "requests": len(records),
        "failed_requests": len(failed),
        "at_most_failing_95": round(3 / len(records), 6) if records and not failed else None,
        "streams_cut": sum(record.failure == "cut" for record in records),
        "requests_over_a_drain": release_desk.over(records, drains),
        "mixed_versions_left": release_desk.mixed(region, blue, live.version),
        "resources_leaked": len(left),
        "pages": sum(message.topic == "page" for message in region.messages()[told:]),
        "seconds": [round(each, 1) for each in seconds],
    }
    timeline += [
        Moment(round(change.at - began, 3), "weights", str(dict(change.weights)))
        for change in region.rule_changes[changes:]
    ]
    timeline += [
        Moment(round(record.sent_at - began, 3), "failed request", str(record.failure)) for record in failed[:20]
    ]
    faults += release_desk.faults_in(
        region, figures, "failed_requests", "streams_cut", "mixed_versions_left", "resources_leaked", "pages"
    )
    faults += [f"left: {each}" for each in left]
    serves = region.view().scope.desired
    if serves.weights.get(blue) != sum(serves.weights.values()):
        faults.append(f"{blue} should have all traffic: {dict(serves.weights)}")
    return Report(NAME, region.name, figures, sorted(timeline, key=lambda each: each.at), faults, stage.runs)


SCENARIO = Scenario(
    NAME,
    "another model version by a new cluster beside the one that serves: no request fails",
    run,
    slots=SLOTS,
    alone=True,
)
