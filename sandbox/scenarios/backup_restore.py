"""`backup-restore`: a script ruins the control state and the active cluster dies while nobody can see; it is restored.

Roles, weights and the configuration cannot be read any more: the watch is blind and no failover can begin. A backup was
taken before. `restore` makes the state whole, waits until the watch sees again, moves the traffic to what is proven,
and ends when the entry answers. Before it, a dry run must change nothing; after it, a rehearsal must pass.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "backup-restore"
RECOVERY_SECONDS: Final = 252.0
"""The original design's 4.2 minutes."""
LOSS_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 12.0


def run(stage: Stage) -> Report:
    """Once."""
    from sandbox import restores
    from sandbox.figures import outage

    region, say = stage.region, stage.say
    began = time.time()
    taken = restores.succeeded(region, "backup", {"reason": "the scenario"})
    say(f"backup {taken['snapshot_id']} was read back: {taken['items']} items")
    before = restores.matters(region)
    time.sleep(SETTLE_SECONDS)  # so that the last piece of the journal is in the bucket
    fault_at = restores.ruin(region)
    region.nodes.kill(region.primary)
    say(f"a script ruins roles, weights and configuration, and every replica of {region.primary} is killed")
    ruined = restores.tables(region).read_decisive()
    asked = {**restores.ASKED, "moment": restores.moment(fault_at - 1.0)}
    planned = restores.succeeded(region, "restore", {**asked, "dryRun": True})
    unchanged = restores.tables(region).read_decisive() == ruined
    say(f"a dry run: {len(planned['changes'])} things would change")
    restored = restores.succeeded(region, "restore", asked)
    proven_at = time.time()
    say(f"restored in {restored['recovery_seconds']:.1f} s")
    time.sleep(SETTLE_SECONDS)
    seen = outage(stage.load.records(), fault_at)
    rehearsed = restores.succeeded(region, "restore-rehearsal", {})
    after = restores.matters(region)
    figures: dict[str, Any] = {
        "recovery_seconds": round(proven_at - fault_at, 3),
        "restore_seconds": restored["recovery_seconds"],
        "data_loss_window_seconds": restored["data_loss_window_seconds"],
        "outage_seconds": None if seen.seconds is None else round(seen.seconds, 3),
        "failed_after_recovery": seen.failed_after_recovery,
        "rehearsed_recovery_seconds": rehearsed["recovery_seconds"],
        "rehearsed_data_loss_window_seconds": rehearsed["data_loss_window_seconds"],
    }
    faults = [] if unchanged else ["the dry run changed the state"]
    if figures["recovery_seconds"] > RECOVERY_SECONDS:
        faults.append(f"it took {figures['recovery_seconds']} s, {RECOVERY_SECONDS:g} s are allowed")
    if figures["data_loss_window_seconds"] > LOSS_SECONDS:
        faults.append(f"{figures['data_loss_window_seconds']} s are lost, {LOSS_SECONDS:g} s are allowed")
    faults += [
        f"{key} is {after[key]}, was {before[key]}"
        for key in ("configuration", "models", "switch")
        if after[key] != before[key]
    ]
    if after["weights"] != {region.standby: 100}:
        faults.append(f"the traffic is on {after['weights']}, not on {region.standby}")
    if seen.seconds is None or seen.failed_after_recovery:
        faults.append("clients were not served afterwards")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    timeline = [
        Moment(round(fault_at - began, 3), "fault", "state ruined, the active cluster killed"),
        Moment(round(proven_at - began, 3), "restored", restored["text"]),
    ]
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "control state ruined and the active cluster dead: restored, proven, and rehearsed", run)
