"""`bad-release-wont-start`: a version that is whole, and that no engine can load. The first replica tells, and goes back.

The file is the manifest's to the byte, so that only the engine itself can say it: it ends at each start. It has traffic
at no moment, so no request is hurt.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "bad-release-wont-start"
LOAD_SECONDS: Final = 30
BROKEN: Final = "tiny-broken"


def run(stage: Stage) -> Report:
    """One update, which must be given up."""
    from sandbox import release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    release_desk.register(region, name, old)
    release_desk.register(region, name, replace(old, version=BROKEN), body=release_desk.unloadable(old))
    release_desk.apply_version(stage, load_seconds=LOAD_SECONDS)
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    time.sleep(3.0)
    began = time.time()
    stage.say(f"{region.primary} is to go to a version that does not start")
    execution = region.wait_for_end(release_desk.start(region, region.primary, BROKEN), release_desk.UPDATE_SECONDS)
    aborted = time.time() - began
    region.wait_until_ready()
    records = load.stop()
    failed = [record for record in records if record.failed]
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": len(failed),
        "requests_hurt": len(failed),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "seconds_to_abort": round(aborted, 1),
        "mixed_versions_left": release_desk.mixed(region, region.primary, old.version),
    }
    faults = release_desk.faults_in(region, figures, "failed_requests", "mixed_versions_left")
    if (execution["status"], execution.get("error")) != ("FAILED", "RolloutPutBack"):
        faults.append(f"the update {execution['status']}: {execution.get('error')}: {execution.get('cause')}")
    if region.view().scope.desired.models:
        faults.append(f"the record says {region.view().scope.desired.models}")
    timeline = [
        Moment(0.0, "begin", f"an update to {BROKEN}"),
        Moment(round(aborted, 3), str(execution.get("error")), str(execution.get("cause"))),
    ]
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "a version that no engine can load: the first replica tells, and goes back", run)
