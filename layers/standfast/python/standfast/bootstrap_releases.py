"""The port of releases and its adapter: a cached factory, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import machines_elsewhere, settings

if TYPE_CHECKING:
    from standfast.release_ports import FleetRollouts


@cache
def fleet_rollouts() -> FleetRollouts:
    """Step Functions, in every Region."""
    from standfast.aws.fleet_rollouts import RegionalRollouts

    return RegionalRollouts(machines_elsewhere(), settings().machine_arn)
