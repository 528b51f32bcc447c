"""The part of FleetConfig that the ledger holds the service to."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AvailabilityRules(BaseModel):
    """The objective of the service, whose rest is the error budget."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: float = Field(default=0.999, ge=0.9, le=0.99999, description="share of the requests that is to be good")
    window_days: int = Field(default=30, ge=7, le=90, description="the error budget is that of so many days")
    min_requests_per_hour: int = Field(
        default=1000, ge=1, description="at a lower rate a window says nothing, and no burn-rate alarm goes off"
    )
