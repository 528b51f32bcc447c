"""What a release needs of the world: rollouts of clusters, each in its own Region. Errors: see ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.config_sync import Outcome
    from standfast.lease import HolderState
    from standfast.release_waves import Way


class FleetRollouts(Protocol):
    """Executions of `rolling_update` and `blue_green_deployment` in every Region of the fleet."""

    def arn(self, region: str, way: Way, name: str) -> str:
        """What the execution of this name is called, whether or not it was started."""
        ...

    def start(self, region: str, way: Way, name: str, payload: Mapping[str, object]) -> str:
        """Start it there; its ARN. May be repeated. Raises InvalidInputError where no stack is."""
        ...

    def progress(self, execution_arn: str) -> Outcome:
        """How it stands."""
        ...

    def stop(self, execution_arn: str, cause: str) -> None:
        """Stop it; the reconciler there puts back what it touched. One that ended or never began stays so."""
        ...

    def holder_state(self, execution_arn: str) -> HolderState:
        """Whether a release runs, in whatever Region."""
        ...
