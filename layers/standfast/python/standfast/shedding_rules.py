"""The part of FleetConfig that shedding goes by."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

HeaderValue = Annotated[str, Field(min_length=1, max_length=128)]


class LowPriority(BaseModel):
    """What is shed before anything else, by a rule of its own. Header and values are those of the rule's condition.

    The limits are Elastic Load Balancing's: 40 characters of a header's name, 128 of a value, and five values in all
    the conditions of a rule, of which its path is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str = Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$", description="by which clients say it")
    values: list[HeaderValue] = Field(min_length=1, max_length=4, description="of that header, in any case of letters")
    step_percent: int = Field(default=50, ge=1, le=100, description="how much more, or less, is shed of it at a time")

    def __str__(self) -> str:
        return f"{self.header}: {' or '.join(self.values)}"


class Shedding(BaseModel):
    """How the overload of a saturated cluster is shed: a share of the requests is answered 503 with Retry-After."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step_percent: int = Field(
        default=20,
        ge=1,
        le=50,
        description="how much more, or less, at a time; twice as much more while every replica is late",
    )
    maximum_percent: int = Field(default=80, ge=1, le=90, description="never more than this")
    raise_seconds: float = Field(default=10, ge=5, le=300, description="from one step up to the next")
    calm_seconds: float = Field(default=60, ge=5, le=3600, description="without saturation before a step down")
    page_seconds: float = Field(default=180, ge=10, le=3600, description="at the maximum before somebody is woken")
    low_priority: LowPriority | None = Field(default=None, description="shed first, all of it before any of the rest")

    @model_validator(mode="after")
    def _return_is_slower(self) -> Shedding:
        if self.calm_seconds < self.raise_seconds:
            raise ValueError("calm_seconds is below raise_seconds; raise it, the share would swing")
        if self.maximum_percent < self.step_percent:
            raise ValueError("maximum_percent is below step_percent; raise it, or lower the step")
        return self
