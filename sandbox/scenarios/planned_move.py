"""`planned-move`: a switchover and the failback after it, in stages, while clients ask all the time.

Nothing failed, so nothing may fail: not one request of thousands. Every replica is well throughout, each stage bakes
under judgement, and the source stands by afterwards.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Record
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "planned-move"
RATE: Final = 40.0
"""Requests a second: the standby, half the size, carries them too."""
CLIENTS: Final = 12
STAGES: Final = (10, 50, 100)
BAKE_SECONDS: Final = 12
MOVE_SECONDS: Final = 240.0


def run(stage: Stage) -> Report:
    """There and back, `runs` times."""
    from sandbox.fleet.load import Plan

    region = stage.region
    stage.sandbox.apply_config(moves={"failback_after_seconds": 0})
    told, changes, began = len(region.messages()), len(region.rule_changes), time.time()
    load = region.start_load(Plan(CLIENTS, RATE, stage.seed, region.model.version))
    moved: list[Moment] = []
    for _ in range(stage.runs):
        for mode, target in (("switchover", region.standby), ("failback", region.primary)):
            stage.say(f"{mode}: the traffic goes to {target} in stages {', '.join(map(str, STAGES))}")
            started = time.time()
            _move(region, mode)
            took = time.time() - started
            moved.append(Moment(round(started - began, 3), mode, f"to {target} in {took:.1f} s"))
            region.wait_until_ready()
    time.sleep(2.0)
    records = load.stop()
    followed = region.rule_changes[changes:]
    failed = [record for record in records if record.failed]
    found: dict[str, Any] = {
        "moves": len(moved),
        "requests": len(records),
        "failed_requests": len(failed),
        "shed_requests": sum(record.shed for record in records),
        "stages_followed": len(followed),
        "zero_weight_moments": sum(not any(change.weights.values()) for change in followed),
        "pages": sum(message.topic == "page" for message in region.messages()[told:]),
        "worst_first_token_seconds": _worst(records),
    }
    timeline = [Moment(0.0, "begin", f"{RATE:g} requests a second of {CLIENTS} clients"), *moved]
    timeline += [Moment(round(change.at - began, 3), "entry follows", _in_words(change.weights)) for change in followed]
    timeline += [
        Moment(round(record.sent_at - began, 3), "failed request", str(record.failure)) for record in failed[:20]
    ]
    faults = [
        f"{key}: {found[key]}, 0 is wanted"
        for key in ("failed_requests", "shed_requests", "zero_weight_moments", "pages")
        if found[key]
    ]
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    return Report(NAME, region.name, found, sorted(timeline, key=lambda moment: moment.at), faults, stage.runs)


def _move(region: SandboxRegion, mode: str) -> None:
    payload = {
        "mode": mode,
        "scope_id": region.name,
        "reason": "the scenario moves the traffic as planned",
        "stages": list(STAGES),
        "bake_seconds": BAKE_SECONDS,
    }
    execution = region.wait_for_end(region.start_execution(payload), MOVE_SECONDS)
    if execution["status"] != "SUCCEEDED":
        raise SandboxError(f"the {mode} {execution['status']}: {execution.get('cause')}")


def _worst(records: Sequence[Record]) -> float | None:
    waits = [record.first_token_at - record.sent_at for record in records if record.first_token_at is not None]
    return round(max(waits), 3) if waits else None


def _in_words(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()))


SCENARIO = Scenario(NAME, "a switchover and the failback, in stages under load: no request fails", run)
