"""How far S3's replication rule is with a model: what the states of `pull_model` hand on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LeftToS3(BaseModel):
    """`ended`: nobody waits for S3 any longer, or there is no rule. `due`: objects that were left to it.

    `left`: what S3 says of those that are not right here, its status in lower case -> objects. Times in seconds since
    the epoch.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    ended: bool = True
    wait_seconds: int = 0
    due: int = 0
    left: dict[str, int] = {}
    progressed_at: float = 0.0
    reason: str = ""

    @property
    def missing(self) -> int:
        """Objects that are not right here yet."""
        return sum(self.left.values())
