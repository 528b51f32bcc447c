"""The scenarios, a module each.

To add one: write `sandbox/scenarios/<name>.py` with a `SCENARIO`, and name it below.

    SCENARIO = Scenario("false-alarm", "one slow probe: nothing moves", run)

    def run(stage: Stage) -> Report:
        region = stage.region            # SandboxRegion: nodes, door, load, view(), messages(), rule_changes, ...
        stage.say("one probe is slow")   # a line of progress
        ...
        return Report("false-alarm", stage.region_name, {"weight_changes": 0}, timeline, faults)

The sandbox is ready when `run` is called: all Regions healthy, under load, the switch at *run*. `stage.sandbox` has
the cloud (`cloud.isolate`, `cloud.latency`, `cloud.monitoring`, `cloud.denials`), all Regions, the watcher,
`apply_config(...)` and `set_switch`. `sandbox.runs` and `sandbox.trials` hold what the failovers share: a fault
followed to its recovery, repeated, its figures held against limits. `list` imports these modules: import what is heavy
(`sandbox.region`, `sandbox.aws`) for types only, or inside a function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.plan import REGIONS
from sandbox.scenarios import (
    backup_restore,
    bad_release_errors,
    bad_release_slow,
    bad_release_wont_start,
    bad_release_wrong_answers,
    blue_green,
    busy_not_dead,
    canary_load,
    cascade,
    cluster_failover,
    config_bad,
    config_drift,
    controller_dies,
    engine_wedged,
    failover_during_rollout,
    failover_fault,
    false_alarm,
    flapping,
    gpu_fault,
    gray_failure,
    healthy_traffic,
    lost_metrics,
    low_traffic_canary,
    monitor_blind,
    observe_mode,
    one_bad_replica,
    overload,
    planned_move,
    point_in_time,
    poisoned_backup,
    recovery_ladder,
    region_failover,
    region_gray,
    region_lost_requests,
    region_lost_restore,
    region_partition,
    region_return,
    region_unreachable,
    release_waves,
    replica_corrupt,
    replicate_model,
    restart_fragile,
    restore_crash,
    resume_requests,
    rolling_update,
    rolling_update_surge,
    rollout_crash,
    split_brain,
    standby_also_down,
    switchover,
    two_regions_no_witness,
    watcher_dies,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Scenario

SCENARIOS: Final[Mapping[str, Scenario]] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        cluster_failover,
        engine_wedged,
        standby_also_down,
        false_alarm,
        cascade,
        watcher_dies,
        lost_metrics,
        failover_fault,
        gpu_fault,
        restart_fragile,
        monitor_blind,
        gray_failure,
        busy_not_dead,
        healthy_traffic,
        planned_move,
        overload,
        recovery_ladder,
        one_bad_replica,
        controller_dies,
        split_brain,
        flapping,
        observe_mode,
        config_drift,
        config_bad,
        replicate_model,
        replica_corrupt,
        canary_load,
        region_failover,
        region_gray,
        region_partition,
        region_return,
        switchover,
        two_regions_no_witness,
        region_lost_requests,
        region_lost_restore,
        region_unreachable,
        resume_requests,
        rolling_update,
        rolling_update_surge,
        backup_restore,
        point_in_time,
        poisoned_backup,
        restore_crash,
        bad_release_wont_start,
        rollout_crash,
        release_waves,
        blue_green,
        bad_release_errors,
        bad_release_slow,
        bad_release_wrong_answers,
        failover_during_rollout,
        low_traffic_canary,
    )
}
TOUR: Final = "tour"
TOUR_STOPS: Final = (
    (cluster_failover.SCENARIO, REGIONS[0]),
    (engine_wedged.SCENARIO, REGIONS[1]),
)
"""Each stop in a Region of its own, so that nothing must be mended in between."""
TITLES: Final = {name: scenario.title for name, scenario in SCENARIOS.items()} | {
    TOUR: " then ".join(f"{scenario.name} in {region}" for scenario, region in TOUR_STOPS)
    + ", with a table of figures beside the original design's"
}
