"""What Auto Scaling could not do for a cluster, and what a person can do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


class Refusal(StrEnum):
    """Why AWS gives no instance."""

    CAPACITY = "AWS has no such instance left"
    QUOTA = "the account's quota is used up"
    OTHER = "AWS refuses"


@dataclass(frozen=True, slots=True)
class FailedActivity:
    """One scaling activity that failed while its group was short of instances. `said` is AWS's own message."""

    group: str
    at: float
    refusal: Refusal
    said: str

    def __str__(self) -> str:
        """For a page."""
        return f"{self.refusal}, and Auto Scaling group {self.group} cannot launch: {self.said}"


ASK_FOR_MORE: Final = (
    "ask for a higher quota (Service Quotas, Amazon EC2, vCPUs of this instance family), or stop what else uses it"
)
_MENDS = {
    Refusal.CAPACITY: (
        "give the Auto Scaling group {group} another instance type or Availability Zone, or reserve capacity "
        "(On-Demand Capacity Reservation, Capacity Block); it goes on trying by itself, and what comes is taken in."
    ),
    Refusal.QUOTA: (f"{ASK_FOR_MORE}; the Auto Scaling group {{group}} goes on trying by itself."),
    Refusal.OTHER: "mend what AWS says above: it stands in the activity history of the Auto Scaling group {group}.",
}


def latest(failed: Sequence[FailedActivity]) -> FailedActivity | None:
    """The last one; None where nothing failed."""
    return max(failed, key=lambda each: each.at, default=None)


def mend(failed: FailedActivity) -> str:
    """What a person can do, as a step of a page."""
    return _MENDS[failed.refusal].format(group=failed.group)
