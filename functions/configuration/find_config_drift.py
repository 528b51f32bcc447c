"""Every minute: is this Region's configuration the version that was synced here? What a hand changed is told.

It is put back where `configuration.drift` says repair and the switch lets it, by this Region's own `adopt_config`.
"""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.drift_keeping import DriftKeeper


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was found and done. May be repeated."""
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    keeper = DriftKeeper(
        region=bootstrap.settings().region,
        store=bootstrap.config_table(),
        pointer=bootstrap.config_pointer(),
        bucket=bootstrap.config_bucket(),
        adoptions=bootstrap.adoptions(),
        switches=bootstrap.region_table(),
        incidents=table,
        messenger=bootstrap.messenger(),
    )
    found = keeper.look(now)
    if found.version:
        bootstrap.metrics().put({"ConfigVersion": found.version, "ConfigDrift": min(1, len(found.found))}, now)
    return found.answer()
