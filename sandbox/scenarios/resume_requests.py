"""`resume-requests`: the active cluster dies with fifty streams under way, and every client gets its answer once.

A gateway in front of the entry journals what it accepts. What had begun goes on on the standby after the text that was
written, what had not is answered anew; a client whose stream broke off asks by id until it has the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.patient import Outcome
    from sandbox.scenario import Stage

NAME: Final = "resume-requests"
STREAMS: Final = 50
TOKENS: Final = 800
BEGUN: Final = 8
"""Streams that have text before the fault: the others wait for a slot, so that both kinds are there."""
PATIENCE_SECONDS: Final = 150.0


def run(stage: Stage) -> Report:
    """Fifty streams, the fault, and what each client has in the end."""
    from sandbox import answers
    from sandbox.fleet.patient import Asked, PatientClients

    region = stage.region
    region.invoke("checkpoint", {})  # it says what is served; by its schedule it does so every minute
    stage.load.stop()
    prompts = tuple(f"request {stage.seed}-{number}: once upon a time" for number in range(STREAMS))
    with region.start_gateway() as gateway:
        stage.say(f"{STREAMS} clients stream {TOKENS} tokens each, through a gateway that journals them")
        clients = PatientClients(Asked(gateway.url, region.model.version, prompts, TOKENS, PATIENCE_SECONDS))
        try:
            region.wait_for("all to be accepted", lambda: answers.heads(region) >= STREAMS, 30.0)
            region.wait_for("streams under way", lambda: clients.begun >= BEGUN, 30.0)
            time.sleep(1.0)  # so that some progress is in the journal
            begun, fault_at = clients.begun, time.time()
            region.nodes.kill(region.primary)
            stage.say(f"every replica of {region.primary} is killed; {begun} of {STREAMS} answers had begun")
            outcomes = clients.wait(PATIENCE_SECONDS + 30.0)
        finally:
            clients.close()
    return _report(stage, outcomes, fault_at)


def _report(stage: Stage, outcomes: Sequence[Outcome], fault_at: float) -> Report:
    from sandbox import answers

    region = stage.region
    figures, faults = answers.counted(outcomes, STREAMS, TOKENS, fault_at)
    figures["data_loss_window_seconds"] = 0.0 if not figures["lost"] else None
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    timeline = [Moment(0.0, "fault", f"every replica of {region.primary} is killed"), *answers.ends(outcomes, fault_at)]
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "the active cluster dies with 50 streams under way: each client gets its answer once", run)
