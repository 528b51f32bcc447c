"""`resume-requests`: the active cluster dies with fifty streams under way, and every client gets its answer once.

A gateway in front of the entry journals what it accepts. What had begun goes on on the standby after the text that was
written, what had not is answered anew; a client whose stream broke off asks by id until it has the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.patient import Outcome
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "resume-requests"
STREAMS: Final = 50
TOKENS: Final = 800
BEGUN: Final = 8
"""Streams that have text before the fault: the others wait for a slot, so that both kinds are there."""
PATIENCE_SECONDS: Final = 150.0
WHOLE: Final = ("streamed", "polled")


def run(stage: Stage) -> Report:
    """Fifty streams, the fault, and what each client has in the end."""
    from sandbox.fleet.patient import Asked, PatientClients

    region = stage.region
    region.invoke("checkpoint", {})  # it says what is served; by its schedule it does so every minute
    stage.load.stop()
    prompts = tuple(f"request {stage.seed}-{number}: once upon a time" for number in range(STREAMS))
    with region.start_gateway() as gateway:
        stage.say(f"{STREAMS} clients stream {TOKENS} tokens each, through a gateway that journals them")
        clients = PatientClients(Asked(gateway.url, region.model.version, prompts, TOKENS, PATIENCE_SECONDS))
        try:
            region.wait_for("all to be accepted", lambda: _accepted(region) >= STREAMS, 30.0)
            region.wait_for("streams under way", lambda: clients.begun >= BEGUN, 30.0)
            time.sleep(1.0)  # so that some progress is in the journal
            begun, fault_at = clients.begun, time.time()
            region.nodes.kill(region.primary)
            stage.say(f"every replica of {region.primary} is killed; {begun} of {STREAMS} answers had begun")
            outcomes = clients.wait(PATIENCE_SECONDS + 30.0)
        finally:
            clients.close()
    return _report(stage, outcomes, fault_at)


def _accepted(region: SandboxRegion) -> int:
    """Heads in the table of requests."""
    pages = region.client("dynamodb").get_paginator("scan").paginate(TableName=region.outputs["RequestTableName"])
    return sum(item["sk"]["S"] == "HEAD" for page in pages for item in page["Items"])


def _report(stage: Stage, outcomes: Sequence[Outcome], fault_at: float) -> Report:
    region = stage.region
    states = Counter(each.state for each in outcomes)
    whole = [each for each in outcomes if each.state in WHOLE and len(each.text) == TOKENS]
    duplicated = [each for each in outcomes if each.again or len(each.text) > TOKENS]
    not_whole = [each for each in outcomes if each.state in WHOLE and each not in whole and each not in duplicated]
    accepted = [each for each in outcomes if each.request_id]
    if len(outcomes) != STREAMS:
        raise SandboxError(f"{len(outcomes)} of {STREAMS} clients came to an end")
    polled = [each for each in outcomes if each.state == "polled"]
    figures: dict[str, Any] = {
        "accepted": len(accepted),
        "delivered_once": len(whole),
        "incomplete": states["incomplete"],
        "lost": len(accepted) - len(whole) - states["incomplete"] - len(duplicated),
        "duplicated": len(duplicated),
        "by_stream": states["streamed"],
        "by_id": states["polled"],
        "went_on": sum(each.streamed > 0 for each in polled),
        "replayed": sum(each.streamed == 0 for each in polled),
        "restated": sum(each.restated for each in outcomes),
        "recovery_seconds": round(max(each.ended_at for each in outcomes) - fault_at, 1),
        "data_loss_window_seconds": 0.0 if not not_whole else None,
    }
    faults = [f"{key}: {figures[key]}, 0 is wanted" for key in ("lost", "duplicated", "incomplete") if figures[key]]
    if figures["delivered_once"] != STREAMS:
        faults.append(f"delivered_once: {figures['delivered_once']}, {STREAMS} is wanted")
    faults += [f"{each.prompt}: {len(each.text)} of {TOKENS} tokens" for each in not_whole[:5]]
    if not figures["by_id"]:
        faults.append("no stream was cut: nothing was proven")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    timeline = [Moment(0.0, "fault", f"every replica of {region.primary} is killed")]
    timeline += [
        Moment(round(each.ended_at - fault_at, 3), each.state, f"{each.prompt}: {each.streamed} by the stream")
        for each in sorted(outcomes, key=lambda each: each.ended_at)
        if each.ended_at > fault_at
    ]
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "the active cluster dies with 50 streams under way: each client gets its answer once", run)
