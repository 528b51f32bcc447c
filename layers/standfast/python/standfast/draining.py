"""Whether a cluster that takes no traffic any more still holds requests that may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HUNG_SECONDS = 5.0
"""Silence after which an engine hangs: the server that does not say its figures is the one that writes the streams."""


@dataclass(frozen=True, slots=True)
class DrainDecision:
    """Whether the failed cluster may be taken for empty, and why.

    `silent_since` is replica id -> when it first did not say how many requests it holds, for the next look.
    """

    drained: bool
    reason: str
    silent_since: Mapping[str, float] = field(default_factory=dict)


def judge_drain(
    in_flight: Mapping[str, int | None], silent_since: Mapping[str, float], now: float, deadline: float
) -> DrainDecision:
    """Drained when no replica holds a request that may still end, or at the deadline.

    `in_flight` is replica id -> requests running or queued, 0 for a process that is gone, None when the engine does not
    say. What it does not say for `HUNG_SECONDS` hangs: its streams end when it is restarted, for the load balancer does
    not cut them, and waiting keeps their clients from trying again.
    """
    silent = {replica: silent_since.get(replica, now) for replica, count in sorted(in_flight.items()) if count is None}
    hung = [replica for replica, since in silent.items() if now - since >= HUNG_SECONDS]
    left = sum(count or 0 for count in in_flight.values())
    parts = [f"{left} requests are in flight"] if left else []
    parts += [f"{len(silent)} replicas do not say"] if silent else []
    if not parts:
        return DrainDecision(True, "no request is in flight")
    if now >= deadline:
        return DrainDecision(True, f"the time for draining is up: {' and '.join(parts)}", silent)
    if not left and len(hung) == len(silent):
        return DrainDecision(True, f"{len(hung)} replicas hang: waiting ends none of their requests", silent)
    return DrainDecision(False, " and ".join(parts), silent)
