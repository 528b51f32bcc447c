"""What a recovery needs of the world: its record, the cluster's instances, and the remedies themselves.

Errors: see ports. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from standfast.recovery import Remedy  # noqa: TC001 - pydantic reads `Applied` as a part of a step's answer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from standfast.lease import HolderState
    from standfast.recovery_record import RecoveryRecord
    from standfast.scaling import FailedActivity


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a cluster: `urls` are the private addresses of its replicas.

    `registered`: it is in the target group, healthy or not, and not on its way out.
    """

    instance_id: str
    urls: tuple[str, ...]
    registered: bool
    launched_at: float


@dataclass(frozen=True, slots=True)
class Applied:
    """A remedy that is on its way. `command_id` is empty where there is nothing to wait for; `said` says why."""

    remedy: Remedy
    command_id: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Whether a remedy has ended, and what came of it in a sentence. Whether it helped, the node itself says.

    `failed`: it ended, and not as it should.
    """

    ended: bool
    said: str
    failed: bool = False


class RecoveryStore(Protocol):
    """The record of each cluster's recoveries."""

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        """The record, an empty one where there is none. Raises CorruptStateError."""
        ...

    def write_recovery(self, record: RecoveryRecord) -> None:
        """Write it with a version one higher than it was read with. Raises ConflictError when somebody wrote between.

        Repeating a write whose answer was lost raises ConflictError: read again and see that it is there.
        """
        ...


class ClusterNodes(Protocol):
    """The instances of a cluster, by their tag, and its target group."""

    def instances(self, cluster_id: str, target_group_arn: str) -> Sequence[Instance]:
        """Those that run or begin to."""
        ...

    def take_out(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        """No new request reaches them; those under way end. May be repeated."""
        ...

    def bring_back(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        """Requests reach them again, once the load balancer finds them healthy. May be repeated."""
        ...


class Remedies(Protocol):
    """The rungs of the ladder, done."""

    def apply(self, remedy: Remedy) -> Applied:
        """Begin it. Repeating it does it once: the remedy's id says that it is the same."""
        ...

    def progress(self, applied: Applied) -> Progress:
        """How far it is. May be repeated."""
        ...


class Scaling(Protocol):
    """Auto Scaling, as far as it says why a cluster lacks instances."""

    def failed_activities(self, cluster_id: str, since: float) -> Sequence[FailedActivity]:
        """What failed at or after `since`, of the cluster's groups that have fewer instances than they should.

        A group that has what it should have is refused nothing now, whatever was refused before.
        """
        ...


class Recoveries(Protocol):
    """Executions of `cluster_recovery`."""

    def holder_state(self, execution_arn: str) -> HolderState:
        """Whether an execution runs. Unknown when Step Functions cannot say."""
        ...

    def start_recovery(self, name: str, payload: Mapping[str, object]) -> str:
        """Start one and do not wait for it. Its ARN; empty when one of that name exists already, running or ended."""
        ...
