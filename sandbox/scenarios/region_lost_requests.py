"""`region-lost-requests`: a Region goes at once with fifty streams under way. The next one answers them, each once.

What the Region's gateway wrote was copied as it was written. Once the Region is condemned, the next one goes on after
the text that it has; a client whose stream broke off is led there by the service's name, and asks by id.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.plan import REGIONS
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.patient import Outcome
    from sandbox.scenario import Stage

NAME: Final = "region-lost-requests"
STREAMS: Final = 50
TOKENS: Final = 800
BEGUN: Final = 8
SETTLE_SECONDS: Final = 25.0
PATIENCE_SECONDS: Final = 300.0
MOST_LOSS_SECONDS: Final = 5.0
"""What may be missing in the next Region: the last seconds before the fault."""


def run(stage: Stage) -> Report:
    """Fifty streams in the stage's Region, its loss, and what each client has in the end."""
    from sandbox import answers, edge
    from sandbox.fleet.patient import Asked, PatientClients

    sandbox, lost, say = stage.sandbox, stage.region, stage.say
    home = sandbox.regions[next(name for name in REGIONS if name != lost.name)]
    sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    for region in (lost, home):
        region.invoke("checkpoint", {})  # it says what is served; by its schedule it does so every minute
    if lost.load is not None:
        lost.load.stop()
    prompts = tuple(f"request {stage.seed}-{number}: once upon a time" for number in range(STREAMS))
    with lost.start_gateway() as gateway, home.start_gateway() as other:
        say(f"{STREAMS} clients stream {TOKENS} tokens each, through a gateway of {lost.name}")
        asked = Asked(gateway.url, lost.model.version, prompts, TOKENS, PATIENCE_SECONDS, by_id_url=other.url)
        clients = PatientClients(asked)
        try:
            lost.wait_for("all to be accepted", lambda: answers.heads(lost) >= STREAMS, 60.0)
            accepted_at = time.time()
            lost.wait_for("their copies", lambda: answers.heads(home) >= STREAMS, 30.0)
            copied = time.time() - accepted_at
            lost.wait_for("streams under way", lambda: clients.begun >= BEGUN, 60.0)
            time.sleep(1.0)  # so that some progress is in the journal
            begun, fault_at = clients.begun, time.time()
            sandbox.lose(lost.name)
            gateway.close()
            say(f"everything in {lost.name} is gone; {begun} of {STREAMS} answers had begun")
            outcomes = clients.wait(PATIENCE_SECONDS + 30.0)
        finally:
            clients.close()
    return _report(stage, outcomes, fault_at, copied)


def _report(stage: Stage, outcomes: Sequence[Outcome], fault_at: float, copied: float) -> Report:
    from sandbox import answers, edge

    sandbox, lost = stage.sandbox, stage.region
    figures, faults = answers.counted(outcomes, STREAMS, TOKENS, fault_at)
    figures["data_loss_window_seconds"] = round(copied, 2)
    if copied > MOST_LOSS_SECONDS:
        faults.append(f"data_loss_window_seconds: {copied:.1f}, {MOST_LOSS_SECONDS:g} at most is wanted")
    witness = next(stack for stack in sandbox.stacks if stack is not lost)
    condemned = edge.record(witness).condemned.get(lost.name)
    timeline = [Moment(0.0, "fault", f"everything in {lost.name} is gone"), *answers.ends(outcomes, fault_at)]
    if condemned is None:
        faults.append(f"{lost.name} is not condemned")
    else:
        timeline.append(Moment(round(condemned.condemned_at - fault_at, 3), "condemned", condemned.reason))
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    return Report(NAME, lost.name, figures, sorted(timeline, key=lambda moment: moment.at), faults)


SCENARIO = Scenario(NAME, "a Region goes with 50 streams under way: each client gets its answer elsewhere, once", run)
