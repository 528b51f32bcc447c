"""What the judge of a release found so far: the port to the table that keeps it from look to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from standfast.judge import StageEvidence


class JudgeStore(Protocol):
    """Evidence by stage. A stage is known by the version of desired state that it wrote: no two have the same."""

    def read_evidence(self, version: int) -> StageEvidence:
        """What was found in the stage; nothing where nobody looked yet. Raises CorruptStateError."""
        ...

    def write_evidence(self, version: int, evidence: StageEvidence, *, token: int, now: float) -> None:
        """Write the evidence with one look more than was read, under the fencing token that the stage was written with.

        Compare-and-set: raises ConflictError when somebody looked between, or under another token; nothing counts
        twice. So does a repeated write: read again, and look again.
        """
        ...
