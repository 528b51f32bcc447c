"""Faults that were put in: what plain `/health` sees of each, what Standfast sees, and after how long."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_SECONDS = 2.0
"""A load balancer's check gives up after a few seconds; two are the least that a target group may have."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault. `seconds`: from the fault to the written verdict, None when it was not found in time.

    `plain_health` is what `plain_health` said meanwhile. `action` is what was found to be called for, `wanted_action`
    what NVIDIA or the engine's makers call for; both empty where the fault is no node's.
    """

    fault: str
    plain_health: str
    verdict: str
    reason: str
    seconds: float | None
    action: str = ""
    wanted_action: str = ""

    @property
    def found(self) -> bool:
        """Whether the verdict came."""
        return self.seconds is not None

    @property
    def is_right(self) -> bool:
        """Whether it came and calls for what it should."""
        return self.found and self.action == self.wanted_action


def plain_health(url: str) -> str:
    """What a load balancer sees of a replica: the status of `GET /health`, or why there is none."""
    try:
        return str(httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS, trust_env=False).status_code)
    except httpx.TimeoutException:
        return "no answer"
    except httpx.TransportError:
        return "no connection"


def figures(rows: Sequence[FaultRow], false_verdicts: Sequence[str]) -> dict[str, Any]:
    """The figures of a scenario. `false_verdicts`: each verdict, in words, on what had no fault."""
    return {
        "faults_injected": len(rows),
        "faults_found": sum(row.found for row in rows),
        "false_verdicts": len(false_verdicts),
        "wrong_action": sum(row.found and not row.is_right for row in rows),
        "seconds_to_verdict": {row.fault: None if row.seconds is None else round(row.seconds, 2) for row in rows},
        "table": [asdict(row) for row in rows],
    }


def complaints(rows: Sequence[FaultRow], false_verdicts: Sequence[str]) -> list[str]:
    """What is not as it should be, a sentence each; none when every fault was found with its action and no other."""
    missed = [f"{row.fault}: not found" for row in rows if not row.found]
    wrong = [
        f"{row.fault}: found to call for {row.action or 'nothing'}, not for {row.wanted_action or 'nothing'}"
        for row in rows
        if row.found and not row.is_right
    ]
    return missed + wrong + [f"false verdict: {said}" for said in false_verdicts]
