"""`point-in-time`: a change after the backup is not lost, and the script that came after it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "point-in-time"
DRAIN_SECONDS: Final = 47
SETTLE_SECONDS: Final = 12.0
LOSS_SECONDS: Final = 5.0


def run(stage: Stage) -> Report:
    """A backup, a change, the fault, and the state of the moment before it."""
    from sandbox import restores

    region, say = stage.region, stage.say
    began = time.time()
    restores.succeeded(region, "backup", {"reason": "the scenario"})
    stage.sandbox.apply_config(failover={"drain_seconds": DRAIN_SECONDS})
    say(f"after the backup somebody sets drain_seconds to {DRAIN_SECONDS}")
    time.sleep(SETTLE_SECONDS)
    before = restores.matters(region)
    fault_at = restores.ruin(region)
    say("a script ruins roles, weights and configuration")
    time.sleep(SETTLE_SECONDS)
    restored = restores.succeeded(region, "restore", {**restores.ASKED, "moment": restores.moment(fault_at - 1.0)})
    after = restores.matters(region)
    drain = region.view().applied.config.failover.drain_seconds
    figures = {
        "recovery_seconds": restored["recovery_seconds"],
        "data_loss_window_seconds": restored["data_loss_window_seconds"],
        "drain_seconds": drain,
    }
    faults = [f"{key} is {after[key]}, was {before[key]}" for key in before if after[key] != before[key]]
    if drain != DRAIN_SECONDS:
        faults.append(f"the change after the backup is lost: drain_seconds is {drain}")
    if restored["data_loss_window_seconds"] > LOSS_SECONDS:
        faults.append(f"{restored['data_loss_window_seconds']} s are lost, {LOSS_SECONDS:g} s are allowed")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    return Report(NAME, region.name, figures, [Moment(round(fault_at - began, 3), "fault")], faults)


SCENARIO = Scenario(NAME, "state put back to a moment between two backups, by the journal", run)
