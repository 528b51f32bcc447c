"""How far a model version is in one Region, and the port to the table that keeps it.

Kept in each Region's own state table, not in the one that the Regions share: that a model is whole *here* is a fact of
this Region, found by its own functions, and must be readable when the others are cut off. And models go to Regions
that hold no replica of the shared table, whose three Regions must be of one set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModelState(StrEnum):
    """registered → replicating → verified → live. Found damaged, it is replicating again until it is verified."""

    REGISTERED = "registered"
    REPLICATING = "replicating"
    VERIFIED = "verified"
    LIVE = "live"


WHOLE = frozenset({ModelState.VERIFIED, ModelState.LIVE})
"""Every object was found to be the manifest's: a configuration may point at it."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model version in one Region. `revision` counts writes, 0 for one that was never written.

    `model` and `version` are FleetConfig's `model.name` and `model.version`. `manifest_sha256` says which manifest it
    was held against, `source_region` where it was copied from; `reason` says in words how it came to its state.
    """

    model: str
    version: str | None
    state: ModelState
    manifest_sha256: str
    source_region: str
    reason: str
    updated_at: float
    bytes: int = 0
    objects: int = 0
    verified_at: float | None = None
    live_since: float | None = None
    revision: int = 0

    def replicating(self, reason: str, now: float) -> ModelRecord:
        """Something of it is missing or wrong here: it is not whole until it is verified again."""
        return replace(self, state=ModelState.REPLICATING, reason=reason, updated_at=now)

    def verified(self, reason: str, now: float) -> ModelRecord:
        """Every object is the manifest's. What was live before it was mended is live again."""
        state = ModelState.LIVE if self.live_since is not None else ModelState.VERIFIED
        return replace(self, state=state, reason=reason, updated_at=now, verified_at=now)

    def live(self, reason: str, now: float) -> ModelRecord:
        """The Region's configuration points at it, as of now. The caller asked `refusal` before."""
        since = self.live_since if self.live_since is not None else now
        return replace(self, state=ModelState.LIVE, reason=reason, updated_at=now, live_since=since)

    def retired(self, reason: str, now: float) -> ModelRecord:
        """The Region's configuration points at another one. It stays as whole as it was found to be."""
        state = ModelState.VERIFIED if self.state is ModelState.LIVE else self.state
        return replace(self, state=state, reason=reason, updated_at=now, live_since=None)


def refusal(record: ModelRecord | None, model: str, version: str | None, region: str) -> str | None:
    """Why no configuration of this Region may point at this model version, in a sentence; None when it may."""
    name = f"{model} {version}" if version else model
    if record is None:
        return f"{name} is not known in {region}; run register_model, then replicate_model to {region}"
    if record.state not in WHOLE:
        return f"{name} is {record.state} in {region}, not verified there ({record.reason}); run replicate_model"
    return None


class ModelStates(Protocol):
    """How far each model version is in one Region. Reads are strongly consistent."""

    def read_model(self, model: str, version: str | None) -> ModelRecord | None:
        """The record; None where nothing is known of it in this Region. Raises CorruptStateError."""
        ...

    def models(self) -> Sequence[ModelRecord]:
        """All of this Region's. Raises CorruptStateError."""
        ...

    def write_model(self, record: ModelRecord) -> ModelRecord:
        """Write it, and answer it with a revision one higher than it was read with.

        Compare-and-set: raises ConflictError when somebody wrote between.
        """
        ...
