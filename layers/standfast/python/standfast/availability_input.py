"""What the calculator is asked: a fleet's shape, and assumptions of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast.availability_report import AvailabilityReport, report
from standfast.errors import InvalidInputError
from standfast.fault_rates import with_given
from standfast.fleet import parse_input
from standfast.fleet_availability import DEFAULT_CLUSTERS, ClusterShape, FleetShape

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClusterInput(BaseModel):
    """One cluster of a Region."""

    model_config = ConfigDict(extra="forbid")

    gpus: int = Field(ge=1, le=10_000)
    gpus_per_replica: int = Field(default=1, ge=1, le=1000)
    gpus_per_node: int = Field(default=1, ge=1, le=1000)
    replicas_needed: int | None = Field(default=None, ge=1, le=1000)


class AvailabilityInput(BaseModel):
    """The fleet: its Regions, and the clusters of each, the active one first. Assumptions by their names."""

    model_config = ConfigDict(extra="forbid")

    regions: int = Field(default=2, ge=1, le=50)
    clusters: list[ClusterInput] | None = Field(default=None, min_length=1, max_length=10)
    assumptions: dict[str, float] = Field(default={})


def answer(event: Mapping[str, Any]) -> AvailabilityReport:
    """The report for what is asked; {} is the default fleet. Raises InvalidInputError with each field and its mend."""
    asked = parse_input(AvailabilityInput, event, "the input")
    clusters = DEFAULT_CLUSTERS
    if asked.clusters is not None:
        clusters = tuple(_shape(place, each) for place, each in enumerate(asked.clusters))
    try:
        rates = with_given(asked.assumptions)
    except InvalidInputError as error:
        raise InvalidInputError(f"the input: assumptions: {error}") from error
    return report(FleetShape(asked.regions, clusters), rates)


def _shape(place: int, cluster: ClusterInput) -> ClusterShape:
    try:
        return ClusterShape(**cluster.model_dump())
    except InvalidInputError as error:
        raise InvalidInputError(f"the input: clusters.{place}: {error}") from error
