"""The part of FleetConfig that a failover goes by, once it has begun."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Failover(BaseModel):
    """How a failover ends. Seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drain_seconds: int = Field(default=30, ge=0, le=900, description="how long the failed cluster may finish requests")
    hold_down_seconds: int = Field(default=60, ge=5, le=3600, description="wait after a failed attempt; doubles")
    require_node_report: bool = Field(
        default=True, description="false only where no Systems Manager agent runs: then a canary alone proves a cluster"
    )
    node_report_seconds: float = Field(default=90, ge=60, le=600, description="an older node report proves nothing")
