"""`canary-load`: a verified version is loaded once on a standby's replica before anybody depends on it; a bad one too.

Users are asked all the time and meet neither. Afterwards every replica of the standby serves what it served before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "canary-load"
LOAD_SECONDS: Final = 240.0


def run(stage: Stage) -> Report:
    """A version that serves, then one whose file is whole and that no engine loads."""
    from sandbox import model_desk, release_desk
    from sandbox.fleet.load import Plan

    region, name = stage.region, stage.region.model.version
    good, bad = (release_desk.model_of(region.model.seed + more) for more in (100, 200))
    stage.say(f"{region.model.version}, {good.version} and {bad.version} are registered")
    for model in (region.model, good):
        release_desk.register(region, name, model)
    release_desk.register(region, name, bad, body=release_desk.unloadable(bad))
    release_desk.apply_version(stage, load_seconds=30)
    told, began = len(region.messages()), time.time()
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    timeline: list[Moment] = []
    faults: list[str] = []
    said: dict[str, str] = {}

    def loaded(version: str, *, serves: bool) -> float:
        stage.say(f"{version} is replicated, with a canary load")
        asked = {"model": name, "version": version, "regions": [region.name], "canary": True}
        started = time.time()
        execution = model_desk.run(region, "replicate-model", asked, LOAD_SECONDS)
        seconds = time.time() - started
        text = str(execution.get("cause") or model_desk.output(execution)["replication"]["text"])
        timeline.append(Moment(round(time.time() - began, 3), execution["status"], text))
        said[version] = text
        if (execution["status"] == "SUCCEEDED") is not serves:
            faults.append(f"{version}: {execution['status']}: {text}")
        return round(seconds, 1)

    figures: dict[str, Any] = {
        "seconds_of_a_good_version": loaded(good.version, serves=True),
        "seconds_of_a_bad_version": loaded(bad.version, serves=False),
    }
    time.sleep(2.0)
    records = load.stop()
    figures |= {
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "mixed_versions_left": sum(
            release_desk.mixed(region, cluster, region.model.version) for cluster in (region.primary, region.standby)
        ),
        "pages": sum(message.topic == "page" for message in region.messages()[told:]),
    }
    if "one replica loaded it" not in said[good.version]:
        faults.append(f"nothing is said of the canary load: {said[good.version]}")
    if "CanaryDidNotServe" not in said[bad.version]:
        faults.append(f"it failed for another reason: {said[bad.version]}")
    if served := region.view().scope.desired.models:
        faults.append(f"desired state still knows of {served}")
    faults += release_desk.faults_in(region, figures, "failed_requests", "mixed_versions_left", "pages")
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(
    NAME, "a verified version is loaded once on a standby's replica, and put back; a bad one is found", run
)
