"""`observe-mode`: the switch says observe, and the active cluster dies. It is decided and told, and nothing is changed.

Then a person sets the switch to run, and the failover happens by itself.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.scenario import Stage

NAME: Final = "observe-mode"
OBSERVE_SECONDS: Final = 90.0
"""Longer than a minute: the next run of the watch finds the same cluster dead, and tells nobody again."""
LIMIT_SECONDS: Final = 90.0
SAID: Final = ("What would have been done: all traffic to", "Nothing was changed: the switch says observe")


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.figures import AFTER_SECONDS
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    stage.sandbox.set_switch("observe", "the first week of this fleet")
    witness = Witness(region)
    region.nodes.kill(region.primary)
    say(f"the switch says observe, and every replica of {region.primary} is killed")
    region.wait_for("a page", lambda: witness.messages("page"), LIMIT_SECONDS)
    time.sleep(max(0.0, witness.began_at + OBSERVE_SECONDS - time.time()))
    observed = {
        **witness.figures(),
        "decided_after_seconds": _decided_after(witness.failovers(), witness.began_at),
    }
    pages = [page.text for page in witness.messages("page")]
    say(f"{observed['weight_changes']} changes of weights, {observed['pages']} pages; now the switch is set to run")
    after = Witness(region)
    stage.sandbox.set_switch("run", "what it would have done was right")
    started = region.wait_for("the failover", lambda: [each for each in after.failovers() if _may_act(each)], 60.0)
    ended = region.wait_for_end(started[0]["executionArn"], LIMIT_SECONDS)
    region.wait_for("the service to answer", lambda: after.outage().recovered_at is not None, LIMIT_SECONDS)
    time.sleep(AFTER_SECONDS)
    seen = after.outage()
    found = {
        "weight_changes": observed["weight_changes"],
        "pages": observed["pages"],
        "decided_after_seconds": observed["decided_after_seconds"],
        "failovers": sum(each["status"] == "SUCCEEDED" for each in after.failovers() if _may_act(each)),
        "seconds_from_run_to_served": seen.seconds and round(seen.seconds, 3),
        "failed_after_recovery": seen.failed_after_recovery,
    }
    faults = problems(found, pages, region.view().scope.desired.weights, region.standby)
    if ended["status"] != "SUCCEEDED":
        faults.append(f"the failover {ended['status']}: {ended.get('cause')}")
    timeline = [Moment(0.0, "fault", f"every replica of {region.primary}, the switch says observe")]
    return Report(NAME, stage.region_name, found, timeline + witness.timeline(), faults + witness.faults())


def _decided_after(failovers: Sequence[Mapping[str, Any]], fault_at: float) -> float | None:
    """Seconds from the fault to the decision that would have been acted on."""
    return round(failovers[0]["startDate"].timestamp() - fault_at, 3) if failovers else None


def _may_act(execution: Mapping[str, Any]) -> bool:
    """Whether this execution was started to change something: an observed one has a name of its own."""
    return "-observed" not in str(execution["name"])


def problems(found: Mapping[str, Any], pages: Sequence[str], weights: Mapping[str, int], standby: str) -> list[str]:
    """What did not come out as it must. `weights`: those in the end."""
    wanted = {"weight_changes": 0, "pages": 1, "failovers": 1, "failed_after_recovery": 0}
    faults = [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    if found["seconds_from_run_to_served"] is None:
        faults.append("the service did not recover once the switch said run")
    missing = [words for words in SAID if not any(words in page for page in pages)]
    faults += [f"no page says: {words}" for words in missing]
    if [name for name, weight in weights.items() if weight] != [standby]:
        faults.append(f"the weights are {json.dumps(dict(weights))} in the end")
    return faults


SCENARIO = Scenario(NAME, "the switch says observe: decided, told, nothing changed; then run, and it fails over", run)
