"""`split-brain`: two controllers with one scope, twice. One acts, and what the other writes is refused.

1. Two failovers are started in the same moment, by two people. One takes the lease; the other is refused.
2. A planned move is in mid-stage when its source dies. The failover outranks it and takes its lease. The old controller
   does not know: its functions go on writing, with what they were given and the token of before, while the failover is
   at work and after its end. Every one of these writes must be refused (FencedError).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.late import LateWrite
    from sandbox.region import RuleChange, SandboxRegion
    from sandbox.scenario import Stage
    from sandbox.witness import Witness

NAME: Final = "split-brain"
FIRST_STAGE: Final = 10
LIMIT_SECONDS: Final = 120.0
AFTER_SECONDS: Final = 10.0
"""Longer than the load balancer takes to show a write that came late."""


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    twins = _twins(region)
    say(f"two failovers in one moment: {' and '.join(_outcome(each) for each in twins)}")
    region.restore()
    witness = Witness(region)
    move, token, writes = _in_mid_stage(region)
    say(f"a planned move has {FIRST_STAGE} % at {region.standby}, under token {token}")
    region.nodes.kill(region.primary)
    region.wait_for("the failover to take the lease", lambda: region.view().scope.lease.token > token, LIMIT_SECONDS)
    taken_at = time.time()
    say(f"{region.primary} dies and a failover takes the lease; the old controller goes on writing")
    during = _during(region, witness, writes, token)
    ended = region.wait_for_end(move, LIMIT_SECONDS)
    region.wait_for("the lease to be free", lambda: region.view().scope.lease.holder is None, LIMIT_SECONDS)
    after = _after(region, writes)
    time.sleep(AFTER_SECONDS)
    scope = region.view().scope
    late = [*during, *after]
    stray = strays(witness.rule_changes(), taken_at, region.standby)
    found: dict[str, Any] = {
        "acted_of_two": sum(each["status"] == "SUCCEEDED" for each in twins),
        "refused_of_two": sum(each.get("error") == "FailoverRefused" for each in twins),
        "failovers": sum(each["status"] == "SUCCEEDED" for each in witness.failovers()),
        "failovers_started": len(witness.failovers()),
        "stale_writes_tried": len(late),
        "stale_writes_refused": sum(each.refused for each in late),
        "stale_writes_applied": sum(bool(each.changed) for each in late) + len(stray),
        "zero_weight_moments": sum(not any(change.weights.values()) for change in witness.rule_changes()),
        "failed_after_recovery": witness.outage().failed_after_recovery,
    }
    faults = problems(found) + [str(each) for each in late if not each.refused or each.changed]
    faults += [f"the entry followed {dict(change.weights)} after the failover had moved it" for change in stray]
    if ended.get("error") != "MoveDidNotSucceed":
        faults.append(f"the planned move {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    if scope.desired.move is not None or scope.desired.token <= token:
        faults.append(f"the desired state is the old controller's: token {scope.desired.token}, {scope.desired.reason}")
    timeline = [Moment(0.0, "a planned move", f"token {token}, {FIRST_STAGE} % at {region.standby}")]
    timeline.append(Moment(round(taken_at - witness.began_at, 3), "the failover has the lease"))
    timeline += witness.timeline()
    return Report(
        NAME, stage.region_name, found, sorted(timeline, key=lambda moment: moment.at), faults + witness.faults()
    )


def _twins(region: SandboxRegion) -> Sequence[Mapping[str, Any]]:
    """Two failovers in the same moment, by hand: each as it ended."""
    payloads = [
        {
            "mode": "failover",
            "scope_id": region.name,
            "failed_cluster_id": region.primary,
            "incident_id": f"{region.name}-twin-{number}",
            "reason": f"person {number} of two moves the traffic",
        }
        for number in (1, 2)
    ]
    with ThreadPoolExecutor(2) as pool:
        arns = list(pool.map(region.start_execution, payloads))
    return [region.wait_for_end(arn, LIMIT_SECONDS) for arn in arns]


def _in_mid_stage(region: SandboxRegion) -> tuple[str, int, list[tuple[str, dict[str, Any]]]]:
    """A planned move that bakes its first stage: its execution, its token, and what its functions may still write."""
    from sandbox import kills
    from sandbox.late import dead_writes

    payload = {
        "mode": "switchover",
        "scope_id": region.name,
        "to_cluster_id": region.standby,
        "reason": "a planned move, to be overtaken",
        "stages": [FIRST_STAGE, 100],
        "bake_seconds": 600,
        "accept_overload": True,
    }
    arn = region.start_execution(payload)
    child = kills.child_of(region, arn)
    kills.wait_for_state(region, child, "ShiftStage", is_over=True)
    parent_data = kills.last_data(kills.history(region, arn))
    writes = dead_writes(parent_data, kills.last_data(kills.history(region, child)), region.standby)
    return arn, int(parent_data["token"]), writes


def _during(
    region: SandboxRegion, witness: Witness, writes: Sequence[tuple[str, dict[str, Any]]], token: int
) -> list[LateWrite]:
    """The old controller's writes, again and again, until the failover has ended."""
    from sandbox.late import write_against

    tried: list[LateWrite] = []
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        tried += [write_against(region, function, payload, token) for function, payload in writes]
        if any(each["status"] != "RUNNING" for each in witness.failovers()):
            break
    return tried


def _after(region: SandboxRegion, writes: Sequence[tuple[str, dict[str, Any]]]) -> list[LateWrite]:
    from sandbox.late import write_late

    return [write_late(region, function, payload) for function, payload in writes]


def strays(changes: Sequence[RuleChange], taken_at: float, target: str) -> list[RuleChange]:
    """What the entry followed once the new controller had moved all traffic to `target`, and is something else."""
    since = [change for change in changes if change.at >= taken_at]
    whole = [[name for name, weight in change.weights.items() if weight] == [target] for change in since]
    first = whole.index(True) if True in whole else len(whole)
    return [change for change, is_whole in zip(since[first:], whole[first:], strict=True) if not is_whole]


def problems(found: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    wanted = {
        "acted_of_two": 1,
        "refused_of_two": 1,
        "failovers": 1,
        "stale_writes_applied": 0,
        "zero_weight_moments": 0,
        "failed_after_recovery": 0,
    }
    faults = [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    tried, refused = found["stale_writes_tried"], found["stale_writes_refused"]
    return faults + [f"{refused} of {tried} late writes were refused"] * (not tried or refused < tried)


def _outcome(execution: Mapping[str, Any]) -> str:
    return f"{execution['status']}{' (' + str(execution['error']) + ')' if execution.get('error') else ''}"


SCENARIO = Scenario(NAME, "two controllers with one scope: one acts, the other's writes are refused", run)
