"""The part of FleetConfig that probes and assessments are judged by."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Detection(_Rules):
    """M of N, in probes."""

    failures: int = Field(default=3, ge=2, le=10, description="direct probes in a row that make a replica unhealthy")
    entry_failures: int = Field(default=2, ge=1, le=10, description="probes through the entry that must agree")
    fresh_seconds: float = Field(default=10, ge=3, le=60, description="older evidence proves nothing")

    @model_validator(mode="after")
    def _failures_are_remembered(self) -> Detection:
        most = max(self.failures, self.entry_failures)
        if self.fresh_seconds < most:
            raise ValueError(
                f"fresh_seconds is below {most}: at a probe a second, failures would be too old before they are "
                "enough; raise it"
            )
        return self


class Objectives(_Rules):
    """What an assessment holds a cluster to, beside the canary's own deadlines."""

    error_rate: float = Field(default=0.05, gt=0, lt=1, description="share of answers 5xx above which it is degraded")
    window_seconds: int = Field(default=180, ge=60, le=900, description="over how long errors are counted")
    between_tokens_seconds: float = Field(default=0.2, gt=0, le=2, description="slower from token to token is degraded")
    min_requests: int = Field(default=20, ge=1, description="fewer requests in the window say nothing")
