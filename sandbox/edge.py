"""A Region that its users leave: followed from the fault until the last of them is served, and where the seconds go.

| from | to | is |
|---|---|---|
| the fault | both others see it fail | detect: our probes |
| | it is condemned | quorum: our evidence, decision, write |
| | Route 53 takes it for one that does not serve | health check: AWS's checkers and name servers |
| | the last client is served elsewhere | TTL: what clients believe |

Where nobody condemned it the front-door check alone did it, and its time begins with the fault.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox import figures
from sandbox.plan import FLEET, SandboxError
from sandbox.scenario import Moment
from standfast.aws.region_states import RegionStates
from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sandbox.aws.name_service import StatusChange
    from sandbox.control import ControlStack
    from sandbox.fleet.load import Record
    from sandbox.global_name import GlobalName
    from sandbox.region import SandboxRegion
    from sandbox.world import Sandbox
    from standfast.region_ports import Condemnation, RegionRecord

SETTLED_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.25


@dataclass(slots=True)
class Departure:
    """What was seen. Moments are seconds since the epoch, None for what did not happen."""

    region: str
    fault_at: float
    seen_at: float | None = None
    condemnation: Condemnation | None = None
    left_at: float | None = None
    outage: figures.Outage = field(default_factory=lambda: figures.Outage(None, None, 0, 0, 0))
    served: dict[str, int] = field(default_factory=dict)

    @property
    def condemned_at(self) -> float | None:
        """When it was condemned."""
        return None if self.condemnation is None else self.condemnation.condemned_at

    def figures(self) -> dict[str, Any]:
        """As the report has them."""
        condemned_at, recovered_at = self.condemned_at, self.outage.recovered_at
        return {
            "recovery_seconds": _rounded(self.outage.seconds),
            "own_seconds": _between(self.fault_at, condemned_at),
            "detect_seconds": _between(self.fault_at, self.seen_at),
            "quorum_seconds": _between(self.seen_at, condemned_at),
            "health_check_seconds": _between(condemned_at or self.fault_at, self.left_at),
            "ttl_seconds": _between(self.left_at, recovered_at),
            "requests": self.outage.requests,
            "failed_requests": self.outage.failed_requests,
            "failed_after_recovery": self.outage.failed_after_recovery,
        }

    def timeline(self, fault: str) -> list[Moment]:
        """The same as moments since the fault."""
        moments = [Moment(0.0, "fault", fault)]
        because = "by the front-door check alone" if self.condemnation is None else "two voices condemn it"
        reason = "" if self.condemnation is None else self.condemnation.reason
        for at, event, detail in (
            (self.outage.first_failed_at, "first failed request", ""),
            (self.seen_at, "both others see it fail", ""),
            (self.condemned_at, "condemned", reason),
            (self.left_at, "Route 53 leaves it", because),
            (self.outage.recovered_at, "last client served", "elsewhere"),
        ):
            if at is not None:
                moments.append(Moment(round(at - self.fault_at, 3), event, detail))
        return moments


def refuse_failures(regions: Iterable[SandboxRegion]) -> None:
    """Raises SandboxError when users fail before the fault: it would be counted for it."""
    for region in regions:
        since = time.time() - SETTLED_SECONDS
        recent = [record for record in records_of(region) if record.ended_at > since]
        failed = [record.failure for record in recent if record.failed]
        if failed or not recent:
            raise SandboxError(f"{region.name} was not healthy before: {len(recent)} requests, failed: {failed[:3]}")


def follow(
    sandbox: Sandbox,
    name: GlobalName,
    lost: SandboxRegion,
    fault_at: float,
    limit_seconds: float,
    say: Callable[[str], None],
) -> Departure:
    """Until every client of the Region has been served elsewhere for a while, or the limit."""
    found = Departure(lost.name, fault_at)
    witness = next(stack for stack in sandbox.stacks if stack is not lost)
    while time.time() < fault_at + limit_seconds:
        time.sleep(_POLL_SECONDS)
        _look(found, sandbox, name, witness, say)
        found.outage = figures.outage(records_of(lost), fault_at)
        recovered_at = found.outage.recovered_at
        if found.left_at and recovered_at and time.time() > recovered_at + figures.AFTER_SECONDS:
            break
    after = [record for record in records_of(lost) if record.sent_at > fault_at and record.ok]
    found.served = {place: sum(record.region == place for record in after) for place in {each.region for each in after}}
    return found


def _look(
    found: Departure, sandbox: Sandbox, name: GlobalName, witness: ControlStack, say: Callable[[str], None]
) -> None:
    if found.seen_at is None:
        seen = [
            sight.seen_at
            for sight in sandbox.sights()
            if sight.region == found.region != sight.vantage and sight.verdict is Verdict.UNHEALTHY
            if sight.seen_at > found.fault_at
        ]
        found.seen_at = max(seen) if len(seen) >= len(sandbox.stacks) - 1 else None
    if found.condemnation is None:
        condemnation = record(witness).condemned.get(found.region)
        if condemnation is not None and condemnation.condemned_at > found.fault_at:
            found.condemnation = condemnation
            say(f"{found.region} is condemned by {', '.join(condemnation.condemned_by)}")
    if found.left_at is None:
        left = first_end(sandbox.cloud.names.status_changes(), name.checks[found.region], found.fault_at)
        if left is not None:
            found.left_at = left
            say(f"Route 53 answers with other Regions than {found.region}")


def record(stack: ControlStack) -> RegionRecord:
    """What is decided of the Regions, as this one knows it."""
    return RegionStates(f"{FLEET}-regions", stack.client("dynamodb")).glance_at_regions()


def records_of(region: SandboxRegion) -> Sequence[Record]:
    """The requests of a Region's users."""
    return () if region.load is None else region.load.records()


def first_end(changes: Sequence[StatusChange], check: str, since: float) -> float | None:
    """When a check first turned unhealthy after a moment."""
    return next((each.at for each in changes if each.check == check and not each.healthy and each.at > since), None)


def _between(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(other - one, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
