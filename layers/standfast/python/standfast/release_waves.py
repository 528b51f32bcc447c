"""A release: one model version for several clusters of several Regions, wave after wave. Pure.

One wave has at most one cluster of a Region, so that a Region always has a cluster that nobody touches, and at most one
active cluster, so that what no check has found hurts the users of one Region alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.errors import InvalidInputError
from standfast.fleet import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

STOPPED = frozenset({"RolloutStopped", "DeploymentStopped"})
"""How a rollout ends that a failover, or the brake, has outrun."""
LEAST_SECONDS = 5
MOST_SECONDS = 300
ELAPSED_PER_LOOK = 20
"""A wave is looked at each twentieth of what it has taken: some 370 looks a day, of 9 of the 25,000 events each."""
SERVES = frozenset({Role.ACTIVE, Role.STANDBY})


class Way(StrEnum):
    """How a cluster gets the version; the same words as in an execution's input."""

    ROLLING = "rolling"
    SURGE = "surge"
    BLUE_GREEN = "blue_green"

    @property
    def machine(self) -> str:
        """The state machine that does it."""
        return "blue-green-deployment" if self is Way.BLUE_GREEN else "rolling-update"


class Action(StrEnum):
    """What follows a look at a wave."""

    WAIT = "wait"
    NEXT = "next"
    FINISH = "finish"
    ABORT = "abort"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cluster as its own Region describes it. `ways`: those that fit; `why_not`: what is against the others.

    `live`: the version that it serves; `refused`: why the Region gave no answer, empty where it did.
    """

    scope_id: str
    cluster_id: str
    role: Role = Role.STANDBY
    live: str | None = None
    ways: tuple[Way, ...] = ()
    why_not: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster of a wave, the way that it goes, and the version that it serves before."""

    scope_id: str
    cluster_id: str
    way: Way
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Waves:
    """Who goes when. `left_out` says in words which clusters do not go, and why."""

    waves: tuple[tuple[Target, ...], ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the rollout of one cluster stands."""

    cluster_id: str
    scope_id: str
    ended: bool
    succeeded: bool = False
    error: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows, why, and after how many seconds to look again."""

    action: Action
    reason: str
    seconds: int = 0
    bakes: bool = False


def check_waves(waves: Sequence[Sequence[tuple[str, str]]]) -> None:
    """Of (scope, cluster): raises InvalidInputError for a cluster twice, and for two of one Region in one wave."""
    seen = set[tuple[str, str]]()
    for number, wave in enumerate(waves, 1):
        scopes = [scope for scope, _ in wave]
        for scope, cluster in wave:
            if (scope, cluster) in seen:
                raise InvalidInputError(f"waves: {cluster} is named twice; a release changes each cluster once")
            seen.add((scope, cluster))
            if scopes.count(scope) > 1:
                raise InvalidInputError(
                    f"waves: wave {number} has two clusters of {scope}; give each a wave of its own, for one of them "
                    "must be there to fail over to"
                )


def plan(
    candidates: Sequence[Candidate], asked: Sequence[Sequence[tuple[str, str]]] | None, way: Way | None, version: str
) -> Waves:
    """The waves: as asked for, or one cluster after the other, Region by Region, its standbys first.

    Raises InvalidInputError with everything that is against it: nothing was begun.
    """
    known = {(each.scope_id, each.cluster_id): each for each in candidates}
    if faults := [f"{each.cluster_id}: {each.refused}" for each in candidates if each.refused]:
        raise InvalidInputError(f"version: {version} cannot be released: {'; '.join(faults)}")
    left_out = [f"{each.cluster_id} serves {version} already" for each in candidates if each.live == version]
    due = [each for each in candidates if each.live != version]
    idle = [each for each in due if each.role not in SERVES]
    if asked is not None and idle:
        raise InvalidInputError(
            f"waves: {idle[0].cluster_id} is {idle[0].role}; it has to be active or a standby, or leave it out"
        )
    left_out += [f"{each.cluster_id} is {each.role}" for each in idle]
    due = [each for each in due if each.role in SERVES]
    if not due:
        raise InvalidInputError(f"version: there is no cluster to release it to: {', '.join(left_out)}")
    if asked is None:
        order = sorted(due, key=lambda each: (each.scope_id, each.role is Role.ACTIVE, each.cluster_id))
        grouped = [[each] for each in order]
    else:
        grouped = [[known[key] for key in wave if known[key] in due] for wave in asked]
    for number, wave in enumerate(grouped, 1):
        active = [each.cluster_id for each in wave if each.role is Role.ACTIVE]
        if len(active) > 1:
            raise InvalidInputError(
                f"waves: wave {number} has the active clusters of two Regions, {' and '.join(active)}; give each a "
                "wave of its own"
            )
    waves = tuple(tuple(_target(each, way) for each in wave) for wave in grouped if wave)
    return Waves(waves, tuple(left_out))


def _target(candidate: Candidate, way: Way | None) -> Target:
    fits = way if way in candidate.ways else None
    if way is None:  # its way back is one write of weights
        fits = next((each for each in (Way.BLUE_GREEN, Way.ROLLING) if each in candidate.ways), None)
    if fits is None:
        raise InvalidInputError(f"way: {candidate.cluster_id}: {way or 'no way'} does not fit: {candidate.why_not}")
    return Target(candidate.scope_id, candidate.cluster_id, fits, candidate.live)


def decide(
    number: int,
    waves: int,
    standings: Sequence[Standing],
    *,
    began_at: float,
    baked_since: float | None,
    bake_seconds: int,
    against: str,
    now: float,
) -> Decision:
    """What follows a look at wave `number` (from 1) of `waves`. `against`: why the brake lets nothing go on.

    A rollout that a failover has outrun stops the release, and so does the brake; one that fails aborts it.
    """
    said = f"wave {number} of {waves}"
    for each in standings:
        if each.ended and not each.succeeded:
            action = Action.STOP if each.error in STOPPED else Action.ABORT
            verb = "was stopped" if action is Action.STOP else "failed"
            reason = f"{said}: {each.cluster_id} in {each.scope_id} {verb} ({each.error}): {each.cause}"
            return Decision(action, reason)
    left = [each.cluster_id for each in standings if not each.ended]
    if left:
        seconds = min(MOST_SECONDS, max(LEAST_SECONDS, int(now - began_at) // ELAPSED_PER_LOOK))
        return Decision(Action.WAIT, f"{said}: {', '.join(left)} under way", seconds)
    if number == waves:
        return Decision(Action.FINISH, f"{said}: all clusters serve the version")
    if against:
        return Decision(Action.STOP, f"{said} is done, and nothing further may start: {against}")
    baked = 0.0 if baked_since is None else now - baked_since
    if baked < bake_seconds:
        rest = int(bake_seconds - baked) + 1
        return Decision(Action.WAIT, f"{said} bakes, {rest} s are left", min(MOST_SECONDS, rest), bakes=True)
    return Decision(Action.NEXT, f"{said} has baked for {baked:.0f} s")
