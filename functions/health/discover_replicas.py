"""Which replicas are registered, written down for those who probe: in the VPC they can ask neither ELB nor EC2."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Answer the number of replicas by cluster id."""
    table = bootstrap.cluster_table()
    entry = table.read_config().config.region(bootstrap.settings().region).bound_entry()
    replicas = bootstrap.inventory().replicas(entry)
    table.write_replicas(replicas, now=bootstrap.clock().now())
    return {cluster_id: len(addresses) for cluster_id, addresses in sorted(replicas.items())}
