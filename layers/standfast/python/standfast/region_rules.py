"""The part of FleetConfig that Regions are judged and moved by."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from standfast.move_rules import BakeSeconds, MoveStages

BEAT_SECONDS = 4.0
"""How often a Region says that it lives. A write to three Regions takes 0.1 s."""
VOICES = 2
"""So many vantage points must agree before a Region moves (DESIGN.md, 7: two voices move a Region)."""


def _name(value: str) -> str:
    if not value.startswith(("http://", "https://")) or value.endswith("//"):
        raise ValueError("is not a URL; write it as https://host, the name that users ask")
    return value.rstrip("/")


class RegionRules(BaseModel):
    """When a Region is given up, and how one comes back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    global_url: Annotated[str, AfterValidator(_name)] | None = Field(
        default=None, description="the name that users of all Regions ask; moves are verified through it"
    )
    heartbeat_seconds: float = Field(
        default=10, ge=9, le=120, description="an older heartbeat has expired; so long a silent Region must fail, too"
    )
    sight_seconds: float = Field(default=15, ge=12, le=120, description="an older sight says nothing")
    failing_seconds: float = Field(
        default=12, ge=5, le=300, description="so long a Region that lives must fail before it is given up"
    )
    mending_seconds: float = Field(
        default=25, ge=10, le=600, description="so long it may fail while a cluster failover is at work in it"
    )
    edge_seconds: int = Field(default=120, ge=30, le=600, description="how long the edge may take to follow")
    hold_down_seconds: int = Field(default=900, ge=0, le=604_800, description="since it was condemned, before a return")
    retry_seconds: int = Field(default=60, ge=10, le=3600, description="after an evacuation that did not succeed")
    stages: MoveStages = Field(default=[10, 50, 100], description="of a planned move, shares of the users in per cent")
    bake_seconds: BakeSeconds = Field(default=120, description="under judgement after each stage")

    @property
    def least_failing_seconds(self) -> float:
        """Nobody is evacuated that fails for less, whatever else is so."""
        return min(self.failing_seconds, self.heartbeat_seconds)

    @model_validator(mode="after")
    def _mending_is_longer(self) -> RegionRules:
        if self.mending_seconds < self.failing_seconds:
            raise ValueError("mending_seconds is below failing_seconds; raise it, a cluster failover needs its time")
        return self
