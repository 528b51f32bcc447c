"""One stage of a planned move between Regions: desired weights under the token, then the records that follow them.

Route 53 has no conditional writes, so the actuator copies, as a cluster's does (docs/protocol.md): it writes what is
desired, reads the edge and the desired state again, until the two agree. May be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import region_record
from standfast.errors import NotConvergedError

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.region_moving import Made
    from standfast.region_ports import RegionRecord, RegionStore, RegionSwitch, RegionWeights
    from standfast.region_steps import PeersStep

ROUNDS = 4
"""How often the actuator writes and reads again before it gives up."""


def next_stage(step: PeersStep) -> tuple[int, int]:
    """The number of the stage that is next, from 0, and its share in per cent."""
    number = 0 if step.shift is None else step.shift.number + 1
    return number, step.stages[number]


def staged(step: PeersStep, stage: int, config: FleetConfig, now: float) -> Made:
    """What makes the record of a stage. `stage`: per cent of the users at the peers, in a return at home again."""

    def made(record: RegionRecord) -> RegionRecord:
        weights = region_record.staged(step.region, step.peers.proven, stage, home=step.mode == "return")
        if dict(record.weights.get(step.region, {})) == dict(weights):
            return record
        reason = f"{step.mode} of {step.region}, {stage} %: {step.reason}"
        return region_record.send(record, step.region, weights, serving=set(config.regions), reason=reason, now=now)

    return made


def apply(region: str, store: RegionStore, switch: RegionSwitch) -> str:
    """Bring the records of a Region to what is desired. Returns the last change's name, empty where nothing changed.

    Raises NotConvergedError after `ROUNDS` rounds, and what the switch raises.
    """
    change = ""
    for _ in range(ROUNDS):
        desired = _desired(region, store, switch)
        change = switch.write_weights(region, desired) or change
        if _agree(_desired(region, store, switch), switch.read_weights().get(region)):
            return change
    raise NotConvergedError(f"the records of {region} did not settle in {ROUNDS} rounds; somebody else writes them")


def _desired(region: str, store: RegionStore, switch: RegionSwitch) -> RegionWeights:
    """A Region of which nothing is desired serves its own users."""
    weights = store.read_regions().weights.get(region)
    return region_record.home(region, switch.read_weights().get(region, {})) if weights is None else weights


def _agree(desired: RegionWeights, actual: RegionWeights | None) -> bool:
    """A record that the desired weights do not name has none."""
    wanted, found = dict(desired), dict(actual or {})
    return {name: weight for name, weight in wanted.items() if weight} == {
        name: weight for name, weight in found.items() if weight
    }
