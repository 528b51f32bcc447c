"""Whether a cluster's nodes are a proof that it may take traffic (law 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.health import Verdict

if TYPE_CHECKING:
    from standfast.checks import NodeHealth


def node_limitation(health: NodeHealth | None, fresh_seconds: float, now: float) -> str | None:
    """Why a cluster's nodes are no proof that it may take traffic (law 2), or None when they are."""
    if health is None or health.reported_at is None:
        return "no node report was taken yet"
    age = now - health.reported_at
    if age > fresh_seconds:
        return f"its last node report is {age:.0f} s old, more than {fresh_seconds:g} s"
    condemned = [node for node in health.nodes if node.verdict is Verdict.UNHEALTHY]
    if 2 * (len(health.nodes) - len(condemned)) < len(health.nodes):
        return f"{len(condemned)} of {len(health.nodes)} nodes are condemned: {condemned[0].reason}"
    return None
