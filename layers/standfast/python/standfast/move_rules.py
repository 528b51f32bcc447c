"""The part of FleetConfig that planned moves go by, and what a cluster can carry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

WHOLE = 100


def _rising(stages: list[int]) -> list[int]:
    if not stages:
        raise ValueError("is empty; write [100] for a move in one step")
    if any(not 1 <= stage <= WHOLE for stage in stages):
        raise ValueError(f"{stages} holds a stage outside 1 to 100; a stage is a share of the traffic in per cent")
    if sorted(set(stages)) != stages:
        raise ValueError(f"{stages} does not rise; write each stage once, the smallest first")
    return stages


def _whole(stages: list[int]) -> list[int]:
    if stages[-1] != WHOLE:
        raise ValueError(f"{stages} does not end with 100; a move ends with all traffic at its target")
    return stages


Stages = Annotated[list[int], AfterValidator(_rising)]
"""Shares of the traffic in per cent, rising."""
MoveStages = Annotated[Stages, AfterValidator(_whole)]
"""Stages that end with everything."""
BakeSeconds = Annotated[int, Field(ge=0, le=3600)]
PauseSeconds = Annotated[int, Field(ge=30, le=7200)]


class Capacity(BaseModel):
    """What one replica can carry, where it is known better than it can be learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int | None = Field(default=None, ge=1, description="requests at once that a replica serves in time")
    work_per_second: float | None = Field(
        default=None,
        gt=0,
        description="by the engine's counter: tokens with vLLM, decode steps with llama.cpp",
    )


class Moves(BaseModel):
    """How a planned move (switchover, failback) goes. An execution's input may say otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: MoveStages = Field(default=[10, 50, 100], description="shares of the traffic at the target, in per cent")
    bake_seconds: BakeSeconds = Field(default=120, description="under judgement after each stage")
    pause_seconds: PauseSeconds = Field(default=1800, description="how long a person may take to answer; then: abort")
    failback_after_seconds: int = Field(
        default=1800, ge=0, le=604800, description="hold-down since another cluster became active"
    )
    planned_events: Literal["tell", "switchover"] = Field(
        default="tell",
        description="where AWS announces that it takes more nodes than the active cluster can spare (retirement, "
        "maintenance, the end of a Capacity Block): tell a person, or switch over before it by itself",
    )
    planned_event_margin_seconds: int = Field(
        default=120, ge=0, le=86_400, description="so long before AWS's deadline such a move must be over"
    )
    automatic_failback: bool = Field(
        default=False, description="start the failback by itself once the hold-down is over and the cluster is healthy"
    )
