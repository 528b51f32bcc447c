"""`standby-also-down`: nothing is proven to go to. The weights stay, attempt after attempt; a person is paged once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "standby-also-down"
HOLD_DOWN_SECONDS: Final = 15
"""Shorter than by default (60 s), so that a second attempt falls into the time that is looked at."""
LOOK_SECONDS: Final = 45.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness
    from standfast.health import Verdict

    region, say = stage.region, stage.say
    stage.sandbox.apply_config(failover={"hold_down_seconds": HOLD_DOWN_SECONDS})
    region.nodes.kill(region.standby)
    say(f"every replica of {region.standby}, the standby, is killed")
    region.wait_for(
        "the watch to see it", lambda: region.view().assessments[region.standby].verdict is Verdict.UNHEALTHY, 30.0
    )
    witness = Witness(region)
    region.nodes.kill(region.primary)
    say(f"every replica of {region.primary} is killed: there is nothing to go to")
    region.wait_for("a second attempt", lambda: len(witness.failovers()) > 1, LOOK_SECONDS + 30.0)
    time.sleep(max(0.0, witness.began_at + LOOK_SECONDS - time.time()))
    for failover in witness.failovers():
        region.wait_for_end(failover["executionArn"])
    found = witness.figures()
    say(f"{found['failovers_started']} attempts, {found['weight_changes']} changes, {found['pages']} pages")
    faults = witness.faults()
    if found["weight_changes"]:
        faults.append(f"the weights changed {found['weight_changes']} times")
    if found["pages"] != 1:
        faults.append(f"{found['pages']} pages, one is wanted: {[page.subject for page in witness.messages('page')]}")
    succeeded = [each["name"] for each in witness.failovers() if each["status"] == "SUCCEEDED"]
    if succeeded:
        faults.append(f"{', '.join(succeeded)} succeeded")
    return Report(NAME, stage.region_name, found, witness.timeline(), faults)


SCENARIO = Scenario(NAME, "both clusters are killed: nothing is proven, the weights stay, one page", run)
