"""What replication needs from the world: a Region's model bucket, and the executions that pull a model into a Region.

Every call may raise the TransientErrors (ThrottledError, UnavailableError) and AccessDeniedError; a docstring names
what else it raises and what may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from standfast.replication import Stored


class ModelStore(Protocol):
    """The model bucket of one Region."""

    @property
    def calls(self) -> int:
        """Requests that were sent to S3 so far, those that were sent again too."""
        ...

    def list_folder(self, prefix: str) -> Mapping[str, int]:
        """Key -> size of every object under a prefix."""
        ...

    def describe(self, key: str) -> Stored | None:
        """Size, checksum and replication status as S3 keeps them; None when there is no such object."""
        ...

    def replicates_to(self, bucket: str, prefix: str) -> bool:
        """Whether an enabled replication rule of S3 brings what lies under a prefix from here to that bucket."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes | None:
        """A part of an object, or all of it; None when there is no such object.

        Raises ModelDamagedError when it ends before `start`.
        """
        ...

    def chunks(self, key: str, etag: str) -> Iterator[bytes]:
        """An object from front to back. Raises ConflictError when it has another ETag by now."""
        ...

    def write(self, key: str, body: bytes) -> None:
        """Write an object, over the one that is there. May be repeated."""
        ...

    def write_once(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one. False when there is, which is left as it is."""
        ...

    def copy(self, source_bucket: str, key: str, size: int, crc64nvme: str = "") -> str:
        """Copy an object of another Region's bucket to the same key here, and answer its CRC64NVME.

        In parts above 5 GiB; the parts of an upload that was cut off are used on. May be repeated. `crc64nvme`: what it
        must come to. Raises ModelDamagedError when it does not, or the source is gone.
        """
        ...

    def abort_uploads(self, prefix: str, *, keep: Collection[str]) -> int:
        """Give up the uploads under a prefix that were cut off, but for those keys. Answers how many."""
        ...


@dataclass(frozen=True, slots=True)
class Pull:
    """An execution that a model needs. `output` is there when it succeeded, `error` and `cause` when it did not."""

    status: str
    output: Mapping[str, Any]
    error: str
    cause: str

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status == "RUNNING"

    @property
    def succeeded(self) -> bool:
        """Whether it came to its good end: a pull has verified the model in its Region."""
        return self.status == "SUCCEEDED"


class Pulls(Protocol):
    """`pull_model` of every Region's stack; `replicate_model`, `rolling_update` and `fleet_release` of this one's."""

    def start(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Start it there, unless one of that name was started; answers the execution's ARN. May be repeated.

        Raises InvalidInputError when there is no stack of this fleet in that Region.
        """
        ...

    def start_replication(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Start `replicate_model`, in this Region, as `start` does."""
        ...

    def start_canary(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Start `rolling_update`, in this Region, as `start` does."""
        ...

    def start_release(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Start `fleet_release`, in this Region, as `start` does."""
        ...

    def look(self, execution_arn: str) -> Pull:
        """How it is."""
        ...
