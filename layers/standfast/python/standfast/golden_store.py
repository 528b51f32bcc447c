"""Golden answers as they are kept, and the port to the table that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.golden import Golden


@dataclass(frozen=True, slots=True)
class GoldenAnswers:
    """What a verified model answers, with the cluster that it was recorded from and why. `version` is FleetConfig's."""

    model: str
    version: str | None
    answers: Sequence[Golden]
    cluster_id: str
    reason: str
    recorded_at: float


class GoldenStore(Protocol):
    """Golden answers by model and version."""

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        """The golden answers; none where none were recorded. Raises CorruptStateError."""
        ...

    def write_golden(self, golden: GoldenAnswers) -> None:
        """Replace the golden answers of a model and version. May be repeated."""
        ...
