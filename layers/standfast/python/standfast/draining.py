"""Whether a cluster that takes no traffic any more still holds requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class DrainDecision:
    """Whether the failed cluster may be taken for empty, and why."""

    drained: bool
    reason: str


def judge_drain(in_flight: Mapping[str, int | None], now: float, deadline: float) -> DrainDecision:
    """Drained when every replica says that it holds no request (a process that is gone holds none), or at the deadline.

    `in_flight` is replica id -> requests running or queued, None when the engine does not say.
    """
    silent = sorted(replica for replica, count in in_flight.items() if count is None)
    left = sum(count or 0 for count in in_flight.values())
    if not silent and not left:
        return DrainDecision(True, "no request is in flight")
    parts = [f"{left} requests are in flight"] if left else []
    parts += [f"{len(silent)} replicas do not say"] if silent else []
    if now >= deadline:
        return DrainDecision(True, f"the time for draining is up: {' and '.join(parts)}")
    return DrainDecision(False, " and ".join(parts))
