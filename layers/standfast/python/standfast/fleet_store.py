"""What the Regions share, as far as a watch asks: who may act, and what the others see."""

from __future__ import annotations

from typing import Protocol

from standfast.stores import SightStore, SwitchStore


class FleetStore(SwitchStore, SightStore, Protocol):
    """RegionTable, for a watch."""
