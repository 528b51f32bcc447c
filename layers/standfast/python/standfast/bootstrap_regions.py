"""The factories of what moves Regions: as `bootstrap`, apart because few functions need them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.aws.region_states import RegionStates


@cache
def region_states() -> RegionStates:
    """RegionStore and HeartbeatStore."""
    from standfast.aws.region_states import RegionStates

    return RegionStates(settings().region_table)
