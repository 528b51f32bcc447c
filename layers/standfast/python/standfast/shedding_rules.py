"""The part of FleetConfig that shedding goes by."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Shedding(BaseModel):
    """How the overload of a saturated cluster is shed: a share of the requests is answered 503 with Retry-After."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step_percent: int = Field(default=20, ge=1, le=50, description="how much more, or less, is shed at a time")
    maximum_percent: int = Field(default=80, ge=1, le=90, description="never more than this")
    raise_seconds: float = Field(default=10, ge=5, le=300, description="from one step up to the next")
    calm_seconds: float = Field(default=60, ge=5, le=3600, description="without saturation before a step down")
    page_seconds: float = Field(default=180, ge=10, le=3600, description="at the maximum before somebody is woken")

    @model_validator(mode="after")
    def _return_is_slower(self) -> Shedding:
        if self.calm_seconds < self.raise_seconds:
            raise ValueError("calm_seconds is below raise_seconds; raise it, the share would swing")
        if self.maximum_percent < self.step_percent:
            raise ValueError("maximum_percent is below step_percent; raise it, or lower the step")
        return self
