"""Whether an execution of `region_failover` may begin, by what is known when it does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.errors import AutomationOffError, InvalidInputError
from standfast.fleet import Automation

if TYPE_CHECKING:
    from standfast.brake import Brake
    from standfast.fleet import FleetConfig
    from standfast.region_ports import RegionRecord
    from standfast.region_steps import RegionMoveInput


@dataclass(frozen=True, slots=True)
class RegionAdmission:
    """`is_condemned`: the Region is condemned now. `held_back` says why nothing may be changed, empty where it may."""

    is_condemned: bool
    may_change: bool
    held_back: str


def admit(
    asked: RegionMoveInput, here: str, record: RegionRecord, brake: Brake, config: FleetConfig, now: float
) -> RegionAdmission:
    """Raises InvalidInputError for what makes no sense now, AutomationOffError where the switch is off."""
    region = asked.region
    config.region(region)
    condemned = record.condemned_now(now)
    if here == region:
        stay = ", ".join(sorted({*config.regions, *config.watchers} - {region, *condemned}))
        raise InvalidInputError(f"region: {region} cannot move itself; start it in a Region that stays: {stay}")
    if here in condemned:
        raise InvalidInputError(f"{here} is condemned itself; start it in a Region that is not")
    away = not record.weights.get(region, {region: 1}).get(region)
    if asked.mode == "return":
        _check_return(asked, record, region in condemned, away, config, now)
    elif region in condemned:
        raise InvalidInputError(f"region: {region} is condemned already ({record.condemned[region].reason})")
    elif asked.mode == "switchover" and away:
        raise InvalidInputError(f"region: the users of {region} are elsewhere already; mode return brings them back")
    if asked.break_glass is not None:
        return RegionAdmission(region in condemned, may_change=True, held_back="")
    switch = brake.of(region)
    if switch.automation is Automation.OFF:
        raise AutomationOffError(f"the switch says {switch}; nothing is changed")
    held_back = "" if switch.automation is Automation.RUN else f"the switch says {switch}"
    return RegionAdmission(region in condemned, not held_back, held_back)


def _check_return(
    asked: RegionMoveInput, record: RegionRecord, condemned: bool, away: bool, config: FleetConfig, now: float
) -> None:
    region, rules = asked.region, config.region_moves
    if not condemned and not away and not record.weights.get(region):
        raise InvalidInputError(f"region: {region} is neither condemned nor moved away; there is nothing to bring back")
    if not condemned or asked.break_glass is not None:
        return
    over = record.condemned[region].condemned_at + rules.hold_down_seconds
    if now < over:
        raise InvalidInputError(
            f"region: {region} is held down for {over - now:.0f} s more (region_moves.hold_down_seconds); wait, or say "
            "break_glass"
        )
