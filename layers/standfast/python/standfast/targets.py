"""What the load balancer itself thinks of a cluster's targets, held against what the canary found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Targets:
    """What the load balancer thinks of a cluster's targets now.

    `shunned` is why -> the replicas to which it sends nothing because of their health. Those that are registered just
    now or are being drained are neither healthy nor shunned.
    """

    healthy: int
    shunned: dict[str, tuple[str, ...]] = field(default_factory=dict)


def find_shunned(targets: Targets | None, well: Collection[str]) -> str | None:
    """Which replicas get no requests though they answer the canary (`well`, replica ids), in a sentence.

    None where there is none, or nobody knows. One that fails the canary too is dead, which others say. With no healthy
    target at all an ALB sends to every one ("Health checks for Application Load Balancer target groups", fail open).
    """
    if targets is None:
        return None
    found = {replica: why for why, replicas in targets.shunned.items() for replica in replicas if replica in well}
    if not found:
        return None
    first = min(found)
    many = f"{len(found)} replicas that answer" if len(found) > 1 else f"{first}, which answers"
    said = f"{first}: {found[first]}" if len(found) > 1 else found[first]
    if not targets.healthy:
        return f"the load balancer finds no target healthy and sends to all alike, also to {many} our canary ({said})"
    return f"the load balancer sends nothing to {many} our canary ({said})"
