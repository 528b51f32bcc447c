"""`region-lost-restore`: us-east-1 is gone and the other Region's state is ruined; it is restored from what lies there.

No call of the restore's functions to the lost Region is answered, and none is made: the bucket, the tables and the
models of the Region itself are enough.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from sandbox.plan import REGIONS
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "region-lost-restore"
RECOVERY_SECONDS: Final = 252.0
LOSS_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 12.0


def run(stage: Stage) -> Report:
    """Once. The Region that is asked for is lost; the other one restores."""
    from sandbox import restores
    from sandbox.aws.faults import FaultKind
    from sandbox.figures import outage

    lost = stage.region
    home = stage.sandbox.regions[next(name for name in REGIONS if name != lost.name)]
    say, cloud = stage.say, stage.sandbox.cloud
    began = time.time()
    taken = restores.succeeded(home, "backup", {"reason": "the scenario"})
    before = restores.matters(home)
    time.sleep(SETTLE_SECONDS)
    roles = [home.role_of(state) for state in ("PlanRestore", "VerifyArtefacts", *restores.STATES)]
    with ExitStack() as gone:
        for role in roles:
            gone.enter_context(cloud.faults.injected(role, FaultKind.TIME_OUT, region=lost.name))
        cloud.isolate(lost.name)
        gone.callback(cloud.rejoin, lost.name)
        for cluster in (lost.primary, lost.standby):
            lost.nodes.kill(cluster)
        say(f"{lost.name} is gone: its replicas are dead, its APIs answer nobody, and its table is cut off")
        fault_at = restores.ruin(home)
        home.nodes.kill(home.primary)
        say(f"a script ruins the state of {home.name}, and every replica of {home.primary} is killed")
        asked = {**restores.ASKED, "moment": restores.moment(fault_at - 1.0)}
        restored = restores.succeeded(home, "restore", asked)
        proven_at = time.time()
        say(f"restored in {restored['recovery_seconds']:.1f} s from {taken['snapshot_id']}")
        time.sleep(SETTLE_SECONDS)
        seen = outage(home.load.records() if home.load else (), fault_at)
        after = restores.matters(home)
    figures = {
        "recovery_seconds": round(proven_at - fault_at, 3),
        "data_loss_window_seconds": restored["data_loss_window_seconds"],
        "outage_seconds": None if seen.seconds is None else round(seen.seconds, 3),
        "failed_after_recovery": seen.failed_after_recovery,
    }
    faults = [
        f"{key} is {after[key]}, was {before[key]}" for key in ("configuration", "switch") if after[key] != before[key]
    ]
    if after["weights"] != {home.standby: 100}:
        faults.append(f"the traffic is on {after['weights']}, not on {home.standby}")
    if figures["recovery_seconds"] > RECOVERY_SECONDS or restored["data_loss_window_seconds"] > LOSS_SECONDS:
        faults.append(f"{RECOVERY_SECONDS:g} s to recover and {LOSS_SECONDS:g} s of loss are allowed: {figures}")
    if seen.seconds is None or seen.failed_after_recovery:
        faults.append("clients were not served afterwards")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in cloud.denials()]
    timeline = [
        Moment(round(fault_at - began, 3), "fault"),
        Moment(round(proven_at - began, 3), "restored", restored["text"]),
    ]
    return Report(NAME, home.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "a Region is gone and the other's state is ruined: restored from what lies there", run)
