"""What a move of a Region that did not succeed leaves in order. Compensation never sends users back to what failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from standfast import region_moving, region_record, region_shifting
from standfast.errors import FencedError, StandfastError
from standfast.region_views import opinions_of

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.region_ports import RegionRecord, RegionStore, RegionSwitch
    from standfast.region_steps import GiveUpRegionStep
    from standfast.region_views import RegionEvidence

logger = logging.getLogger("standfast.region_giving_up")


def compensate(
    step: GiveUpRegionStep,
    store: RegionStore,
    switch: RegionSwitch,
    evidence: RegionEvidence | None,
    config: FleetConfig,
    now: float,
) -> str:
    """Undo what must be undone; says where the users are then. May be repeated. Never raises.

    `evidence` is None where nothing could be read: then nothing is undone either.
    """
    if not step.may_change:
        return "nothing was changed"
    if not step.planned:
        if step.condemn is not None and step.condemn.condemned:
            return f"{step.region} stays condemned: users never go back to what failed"
        return "nobody was condemned; the traffic stays as it is"
    if step.shift is None:
        return "no stage was begun"
    try:
        return _planned(step, store, switch, evidence, config, now)
    except FencedError as error:
        return f"another hand has the Region lease ({error}); it goes on from here"
    except StandfastError as error:
        logger.exception("the move of %s could not be undone", step.region)
        return f"in the middle of a stage ({step.shift.stage} %), and it could not be undone: {error}"


def _planned(
    step: GiveUpRegionStep,
    store: RegionStore,
    switch: RegionSwitch,
    evidence: RegionEvidence | None,
    config: FleetConfig,
    now: float,
) -> str:
    if step.mode == "return":
        return _condemned_again(step, store, config, now)
    fails = evidence is None or bool(opinions_of(step.region, evidence, config, now).failed)
    if fails:
        region_moving.hold(store, step.token, now)
        share = step.shift.stage if step.shift else 0
        return f"{share} % of its users are at the others and stay there: {step.region} is not seen well enough"
    reason = f"the switchover was given up: {step.error.error}"
    region_moving.change(store, step.token, lambda record: region_record.restored(record, reason=reason, now=now), now)
    region_shifting.apply(step.region, store, switch)
    return "the weights of before are restored"


def _condemned_again(step: GiveUpRegionStep, store: RegionStore, config: FleetConfig, now: float) -> str:
    """Whatever the records say by now: a condemnation needs no control plane."""

    def made(record: RegionRecord) -> RegionRecord:
        return region_record.condemn(
            record,
            step.region,
            serving=set(config.regions),
            by=step.condemned_by,
            reason=f"its return was given up: {step.error.error}",
            incident_id=step.incident_id,
            now=now,
        )

    region_moving.change(store, step.token, made, now)
    return f"{step.region} is condemned again: its users stay at the others"
