"""Checkpoint: every minute, what is in flight: say what this Region serves, count what is open, have it resumed.

A failover starts `resume_requests` by itself. This finds what a gateway left behind, what a run did not end, and what a
Region had begun that is condemned now.
"""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import bootstrap, bootstrap_journals, bootstrap_regions, in_flight
from standfast.served import served


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the requests in flight by id, as a backup keeps them, and how many of them wait for an owner."""
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    requests = bootstrap_journals.requests()
    config = bootstrap.cluster_table().read_config().config
    requests.write_serving(region, served(config.model, bootstrap.model_store(region)), now)
    scopes = in_flight.scopes_of(region, config, bootstrap_regions.region_states(), now)
    found = asyncio.run(in_flight.look(requests, region, scopes, now))
    bootstrap.metrics().put(found.figures(now), now)
    if found.waiting:
        bootstrap_journals.resumptions().start(f"requests that wait for an owner: {len(found.waiting)}")
    return found.document(now)
