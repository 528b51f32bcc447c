"""The last release of the fleet, the same for all Regions: one at a time. Pure decisions, and their port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from standfast.errors import FencedError, LeaseHeldError
from standfast.lease import HolderState

if TYPE_CHECKING:
    from collections.abc import Sequence

EXECUTION_SECONDS = 604_800
"""The machine's time-out: a release that began longer ago is over, whatever can be asked of it."""


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """`token` grows by one with each release; `executions`: the rollouts of the wave that was begun last.

    `ended`: how it ended, `finished`, `aborted` or `stopped`; empty while it is under way.
    """

    token: int = 0
    execution_arn: str = ""
    version: str = ""
    event_id: str = ""
    began_at: float = 0.0
    executions: tuple[str, ...] = ()
    ended: str = ""
    reason: str = ""


class ReleaseStore(Protocol):
    """The record of the last release."""

    def read_release(self) -> ReleaseRecord:
        """The last one; token 0 where there was none. Strongly consistent."""
        ...

    def write_release(self, record: ReleaseRecord, *, seen: ReleaseRecord) -> None:
        """Raises FencedError unless the token, the executions and the end are those that were seen."""
        ...


def check_may_begin(
    last: ReleaseRecord, execution_arn: str, version: str, event_id: str, holder: HolderState, now: float
) -> None:
    """Raises LeaseHeldError while another release is under way, and for an event that was obeyed already.

    So it does for any event of a version that was given up last, whoever had begun it.
    `holder`: of the last one's execution. Unknown is not ended, but for one that is past the machine's time-out.
    """
    if last.execution_arn == execution_arn:
        return
    if event_id and last.version == version and last.ended not in ("", "finished"):
        raise LeaseHeldError(
            f"{version} was given up by {last.execution_arn} ({last.reason}); an event does not begin it again: start "
            "it by hand once the cause is mended"
        )
    if event_id and event_id == last.event_id:
        raise LeaseHeldError(f"this event was obeyed already, by {last.execution_arn}")
    over = bool(last.ended) or holder is HolderState.ENDED or now - last.began_at > EXECUTION_SECONDS
    if last.token and not over:
        raise LeaseHeldError(
            f"{last.version} is being released by {last.execution_arn}: one release at a time in the fleet"
        )


def check_ours(last: ReleaseRecord, execution_arn: str, token: int) -> None:
    """Raises FencedError where another release has begun, or this one was ended by somebody else."""
    if last.execution_arn != execution_arn or last.token != token:
        raise FencedError(f"another release has begun: {last.execution_arn}")
    if last.ended:
        raise FencedError(f"this release was {last.ended}: {last.reason}")


def under_way(last: ReleaseRecord, execution_arn: str) -> Sequence[str]:
    """What an execution that ended without a word has left behind; nothing where it said how it ended."""
    return last.executions if last.execution_arn == execution_arn and not last.ended else ()
