"""Builders of what several Regions know of each other. The fleet: us-east-1 and us-west-2 serve, us-east-2 watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from standfast.fleet import FleetConfig
from tests import builders

EAST, WEST, WATCHER = "us-east-1", "us-west-2", "us-east-2"


def region_document(region: str) -> dict[str, Any]:
    """A Region of a FleetConfig, with two clusters `<region>-a` and `<region>-b`."""

    def here(text: str) -> str:
        return text.replace(builders.SCOPE, region)

    clusters = {
        f"{region}-{letter}": {
            **builders.cluster(f"{region}-{letter}", role),
            "target_group_arn": here(builders.target_group_arn(f"{region}-{letter}")),
        }
        for letter, role in (("a", "active"), ("b", "standby"))
    }
    return {
        "entry": {"url": f"http://{region}.entry.test", "listener_rule_arn": here(builders.RULE_ARN)},
        "clusters": clusters,
    }


def fleet_of(*regions: str, watchers: Sequence[str] = (), **changes: Any) -> FleetConfig:
    """A FleetConfig of these Regions. `changes` replace top-level fields."""
    found = {region: region_document(region) for region in regions}
    return builders.fleet(regions=found, watchers=list(watchers), **changes)
