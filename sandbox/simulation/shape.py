"""The fleet that is simulated: what a FleetConfig says of its Regions and clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.plan import ROOT
from standfast.config_reading import read_document
from standfast.fleet import FleetConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEFAULT_CONFIG: Final = ROOT / "infrastructure" / "fleet.example.yaml"


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """A cluster: a replica stands on a node of its own, with so many GPUs."""

    name: str
    replicas: int
    gpus: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class RegionShape:
    """A Region's clusters, the one first that is active at the beginning."""

    name: str
    clusters: tuple[ClusterShape, ...]

    @property
    def active(self) -> ClusterShape:
        """The cluster with the traffic of a quiet day, for which the traffic is measured."""
        return self.clusters[0]


def read_config(file: Path | None = None) -> FleetConfig:
    """The FleetConfig in a file, or the example's. Raises InvalidInputError with each wrong field and its mend."""
    return FleetConfig.parse(read_document((file or DEFAULT_CONFIG).read_text(encoding="utf-8")))


def regions(config: FleetConfig) -> Sequence[RegionShape]:
    """The Regions in the order of the document. Where a cluster does not say how many GPUs a node has, it has one."""
    return [
        RegionShape(
            name,
            tuple(
                ClusterShape(cluster_id, cluster.replicas, cluster.gpus_per_node or 1, cluster.role == "active")
                for cluster_id, cluster in sorted(region.clusters.items(), key=lambda each: each[1].role)
            ),
        )
        for name, region in config.regions.items()
    ]
