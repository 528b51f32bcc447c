"""Writes of a controller that is not it any more: its functions are run with what they were given, and must be refused.

So a worker would write that hung for a minute and wakes up: nobody told it that the lease has gone to somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.region import SandboxRegion


ANSWERED: Final = "it answered"


@dataclass(frozen=True, slots=True)
class LateWrite:
    """What came of it. `said`: the function's error, or that it answered. `changed`: what is different since."""

    function: str
    said: str
    changed: str = ""

    @property
    def refused(self) -> bool:
        """Whether the fencing token did its work."""
        return ": FencedError: " in self.said

    def __str__(self) -> str:
        return f"late {self.function}: {'refused' if self.refused else self.said}{self.changed and '; ' + self.changed}"


def dead_writes(parent: Mapping[str, Any], child: Mapping[str, Any], standby: str) -> list[tuple[str, dict[str, Any]]]:
    """What the dead controller would still write, function by payload, from the last known data of its executions.

    Nothing when it died before it had a token. Where no standby was chosen yet, the only one there is would have been.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    if "token" in parent:
        choice = {"cluster_id": standby, "reason": "the only one", "overload": "", "tried": [standby]}
        chosen = {**parent, "selection": parent.get("selection") or choice}
        found += [("record-roles", chosen)]
        found += [] if parent.get("planned") else [("shift-traffic", chosen), ("quarantine", chosen)]
    if "before" in child:
        found += [("shift-stage", dict(child)), ("abort-shift", {**child, "error": None, "judged": None})]
    return found


def write_late(region: SandboxRegion, function: str, payload: Mapping[str, Any]) -> LateWrite:
    """Run one of a dead controller's functions. Nobody else is at work, so whatever changes is its doing."""
    before = _state(region)
    said = attempt(region, function, payload)
    after = _state(region)
    changed = [f"{name} was {before[name]} and is {after[name]}" for name in before if before[name] != after[name]]
    return LateWrite(function, said, "; ".join(changed))


def write_against(region: SandboxRegion, function: str, payload: Mapping[str, Any], token: int) -> LateWrite:
    """The same while the lease's new holder is at work: known by its token in the desired state, which is older."""
    before = region.view().scope.desired.version
    said = attempt(region, function, payload)
    desired = region.view().scope.desired
    stale = desired.version > before and desired.token <= token
    return LateWrite(function, said, f"version {desired.version} is of token {desired.token}" if stale else "")


def attempt(region: SandboxRegion, function: str, payload: Mapping[str, Any]) -> str:
    """Run a function; its error in words, or "it answered"."""
    try:
        region.invoke(function, payload)
    except SandboxError as error:
        return str(error)
    return ANSWERED


def _state(region: SandboxRegion) -> dict[str, object]:
    from sandbox.ends import weights_on_the_rule

    scope = region.view().scope
    return {
        "version": scope.desired.version,
        "roles": dict(scope.desired.roles),
        "weights": dict(scope.desired.weights),
        "lease": scope.lease,
        "rule": dict(weights_on_the_rule(region)),
    }
