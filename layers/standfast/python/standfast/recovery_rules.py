"""What a recovery may do: the part of FleetConfig that bounds it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standfast.xids import Action

RungName = Literal["restart_engine", "reset_gpu", "reboot", "replace"]


class RecoveryRules(BaseModel):
    """How nodes are mended. Durations are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: bool = Field(default=True, description="false: a recovery begins from the console only")
    remedies_per_day: int = Field(default=4, ge=1, le=20, description="of one node; the whole ladder has four rungs")
    replacements_per_day: int = Field(default=4, ge=0, le=100, description="of a cluster's instances")
    highest_remedy: RungName = Field(default="replace", description="`reboot` where no spare instance can be had")
    start_seconds: float = Field(
        default=1200, ge=5, le=3600, description="from the start of an engine, or of an instance, to its first answer"
    )
    deadline_seconds: float = Field(default=5400, ge=60, le=7200, description="a recovery that lasts longer gives up")
    suspect_seconds: float = Field(
        default=30, ge=5, le=3600, description="replicas that are down for less may come back by themselves"
    )
    redundancy_grace_seconds: float = Field(
        default=1800, ge=0, le=86_400, description="without a standby for as long, somebody is paged, once"
    )
    hold_down_seconds: float = Field(default=900, ge=10, le=86_400, description="wait after one that failed; doubles")

    @model_validator(mode="after")
    def _a_start_fits_in(self) -> RecoveryRules:
        if self.deadline_seconds < self.start_seconds:
            raise ValueError("deadline_seconds is below start_seconds; raise it, or no remedy could prove itself")
        return self

    @property
    def highest(self) -> Action:
        """The last rung of the ladder that may be climbed."""
        return Action[self.highest_remedy.upper()]
