"""The part of FleetConfig that a release is judged by, beside the version that it is to replace."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Metric(StrEnum):
    """What canary and stable are compared by. Shares of answers, then times by size of request."""

    ERRORS = "errors"
    WRONG = "wrong_answers"
    LATE = "late_answers"
    FIRST_TOKEN = "first_token"  # noqa: S105 - no password
    BETWEEN_TOKENS = "between_tokens"


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bucket(_Rules):
    """A size of request: both versions are asked it side by side, and compared by it alone."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")
    characters: int = Field(default=0, ge=0, le=100_000, description="of the prompt at least; 0: the canary's own")
    max_tokens: int = Field(default=8, ge=3, le=32, description="tokens asked for; a time between tokens needs three")


class Limits(_Rules):
    """How much worse a release may be. A difference that is not proven counts for nothing, however large."""

    errors: float = Field(default=0.02, gt=0, lt=1, description="share of requests that fail")
    wrong_answers: float = Field(default=0.05, gt=0, lt=1, description="share of golden questions answered otherwise")
    late_answers: float = Field(default=0.05, gt=0, lt=1, description="share of answers later than first_token_seconds")
    first_token: float = Field(default=1.5, gt=1, le=10, description="times the stable version's time to first token")
    between_tokens: float = Field(default=1.3, gt=1, le=10, description="times the stable version's time from token on")


class RolloutRules(_Rules):
    """How the judge of a release works. Chances hold for any number of looks."""

    limits: Limits = Limits()
    critical: list[Metric] = Field(
        default=[Metric.ERRORS, Metric.WRONG, Metric.FIRST_TOKEN, Metric.BETWEEN_TOKENS],
        description="worse in one of these gives a release up by itself; in another one, a person decides",
    )
    false_aborts: float = Field(default=0.01, gt=0, le=0.2, description="of releases no worse, at most, in all stages")
    missed: float = Field(default=0.05, gt=0, le=0.2, description="of releases as bad as a limit, that a stage passes")
    minimum_samples: int = Field(default=50, ge=10, le=10_000, description="of each metric before a stage is passed")
    cold_start_seconds: int = Field(
        default=60, ge=0, le=3600, description="after each shift a canary's times do not count: compiling, cold caches"
    )
    patience_seconds: int = Field(
        default=900, ge=0, le=3600, description="longer than its bake a stage may gather samples; then a person decides"
    )
    rounds: int = Field(default=6, ge=1, le=20, description="synthetic requests of each size to each version, a look")
    drain_seconds: int = Field(
        default=120, ge=5, le=3600, description="how long a replica's requests may take to end before it is updated"
    )
    load_seconds: int = Field(
        default=1800, ge=30, le=7200, description="how long a node may take to fetch a version, and again to serve it"
    )
    replica_bake_seconds: int = Field(
        default=60, ge=0, le=3600, description="an updated replica serves that long before the next one is taken"
    )
    hold_seconds: int = Field(
        default=3600, ge=0, le=86_400, description="blue stands as the way back so long after green has all traffic"
    )
    smoke_requests: int = Field(
        default=16, ge=1, le=200, description="asked of green at once, three times, before it gets traffic"
    )
    when_ready: Literal["tell", "start"] = Field(
        default="tell",
        description="once a model version is verified in every Region: tell a person, or start its release by itself",
    )
    wave_bake_seconds: int = Field(
        default=600, ge=0, le=86_400, description="a wave of a release serves that long before the next one begins"
    )
    buckets: list[Bucket] = Field(
        default=[Bucket(name="short"), Bucket(name="long", characters=1200)], min_length=1, max_length=4
    )

    @field_validator("buckets")
    @classmethod
    def _each_bucket_once(cls, buckets: list[Bucket]) -> list[Bucket]:
        names = [bucket.name for bucket in buckets]
        if len(set(names)) < len(names):
            raise ValueError("two buckets have one name; give each a name of its own")
        return buckets

    @property
    def tests(self) -> int:
        """How many comparisons share the chance of a false abort: the shares, and the times in each bucket."""
        times = (Metric.FIRST_TOKEN, Metric.BETWEEN_TOKENS)
        return len(Metric) - len(times) + len(times) * len(self.buckets)

    def alpha(self, stages: int) -> float:
        """The chance of one comparison in one of so many stages (Bonferroni)."""
        return self.false_aborts / (self.tests * stages)
