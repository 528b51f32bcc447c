"""What differs from row to row: the policies of one table, and what buys the next nine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.simulation.peers import PEERS
from sandbox.simulation.year import STANDFAST, Setting
from standfast.fleet import FleetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Final = "as it is"


def policies(base: Setting) -> dict[str, Setting]:
    """Standfast, and what a team would use instead."""
    return {STANDFAST: base} | {name: replace(base, policy=name) for name in PEERS}


def variants(base: Setting) -> dict[str, Setting]:
    """The default, and one thing otherwise at a time."""
    found = {DEFAULT: base}
    for seconds in (5.0, 10.0):  # evidence must stay fresh for as many failures as are wanted
        fresh = max(base.config.detection.fresh_seconds, (base.config.detection.failures + 2) * seconds)
        slower = _with(base, detection={"fresh_seconds": min(fresh, 60.0)})
        found[f"a canary every {seconds:g} s, not each second"] = replace(slower, pass_seconds=seconds)
    for failures in (2, 5, 10):
        found[f"detection.failures: {failures}"] = _with(base, detection={"failures": failures})
    for failures in (1, 5):
        found[f"detection.entry_failures: {failures}"] = _with(base, detection={"entry_failures": failures})
    for suspect in (10, 60, 600):
        found[f"recovery.suspect_seconds: {suspect}"] = _with(base, recovery={"suspect_seconds": suspect})
    found["recovery.start_seconds: 1800"] = _with(base, recovery={"start_seconds": 1800})
    found["failover.hold_down_seconds: 600"] = _with(base, failover={"hold_down_seconds": 600})
    found["moves.automatic_failback: true"] = _with(base, moves={"automatic_failback": True})
    found["moves.stages: [100]"] = _with(base, moves={"stages": [100]})
    for size in (1, 4):
        found[f"standbys of {size} replicas"] = _standbys(base, size)
    for factor in (0.5, 2.0):
        found[f"engines load in {factor:g} x the time"] = _rates(base, factor, "engine_mttr_hours")
        found[f"persons take {factor:g} x the time"] = _rates(base, factor, "person_minutes")
    for beta in (0.0, 0.02, 0.2):
        found[f"beta {beta:g}"] = replace(base, rates={**base.rates, "beta": beta})
    found["no bad release is stopped"] = replace(base, rates={**base.rates, "change_escape_share": 1.0})
    found["no blips of the watch's sight"] = replace(base, rates={**base.rates, "blip_mtbf_hours": 1e12})
    found["every hang shows in /health"] = replace(base, rates={**base.rates, "hang_seen_share": 1.0})
    found["engines fail a fourth as often"] = _rates(base, 4.0, "engine_mtbf_hours")
    return found


def _rates(base: Setting, factor: float, name: str) -> Setting:
    return replace(base, rates={**base.rates, name: base.rates[name] * factor})


def _with(base: Setting, **changes: Mapping[str, object]) -> Setting:
    document = base.config.model_dump(mode="json")
    for section, fields in changes.items():
        document[section] = {**document[section], **fields}
    return replace(base, config=FleetConfig.parse(document))


def _standbys(base: Setting, size: int) -> Setting:
    document: dict[str, Any] = base.config.model_dump(mode="json")
    for region in document["regions"].values():
        for cluster in region["clusters"].values():
            if cluster["role"] == "standby":
                cluster["replicas"] = size
    return replace(base, config=FleetConfig.parse(document))
