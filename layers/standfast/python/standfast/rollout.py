"""A rolling update: one replica after the other is taken out, changed, verified, and given traffic again. Pure.

The same steps put a replica back to the version of before; which way it goes, the update's record says
(model_versions). Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.answering import other_model
from standfast.engine import EngineState
from standfast.errors import InvalidInputError, NotConvergedError
from standfast.health import Outcome, Verdict
from standfast.model_versions import CanaryLoad, ModelVersion, ReplicaPhase, live
from standfast.rollout_admission import check_free

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.brake import Brake, Override
    from standfast.capacity import Fit
    from standfast.engine import EngineDescription
    from standfast.fleet import Cluster, Model
    from standfast.health import Assessment, EndpointProbe
    from standfast.model_versions import ModelUpdate, ServedModel
    from standfast.recovery_record import RecoveryRecord
    from standfast.stores import View

HELD_SECONDS = 3.0
"""A replica is drained when it held no request for so long: that it is deregistered reaches the load balancer late."""
IN_A_ROW = 3
"""Canaries that a changed replica has to answer, one after the other, before it gets traffic."""
TAKEN_UP_SECONDS = 120.0
"""The load balancer finds a registered replica healthy by then: two checks of 5 s each, and some patience."""
MOST_REPLICAS = 150
"""Of one execution: it may have 25,000 events, and a replica takes about 100 where its model loads slowly."""
MOST_ATTEMPTS = 3
"""Executions that put an update back without coming to its end; then it is a person's."""


class NextAction(StrEnum):
    """What a rolling update does next; the last but one are a surge's (rollout_surge)."""

    REPLICA = "replica"
    WAIT = "wait"
    SURPLUS = "surplus"
    SHRINK = "shrink"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Next:
    """What to do, and why in a sentence. `replica_id` and `url` where the action is *replica* or *surplus*."""

    action: NextAction
    reason: str
    replica_id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A cluster as it is now. `registered`: replica id -> url of those in the target group, not on their way out.

    `healthy`: those of them that the load balancer finds healthy. `fit`: whether one replica fewer than the healthy
    ones carries the cluster's traffic; None where it has none.
    """

    cluster: Cluster
    registered: Mapping[str, str]
    healthy: frozenset[str]
    assessment: Assessment | None
    fit: Fit | None


def check_may_begin(
    view: View,
    cluster_id: str,
    to: ModelVersion,
    brake: Brake,
    recovery: RecoveryRecord,
    override: Override | None = None,
) -> None:
    """Whether an update in place may begin. Raises what `check_free` raises.

    Both versions must answer to one name: while an update is under way a user's request meets either.
    """
    check_free(view, cluster_id, to, brake, recovery, override)
    cluster = view.applied.config.region(view.scope.scope_id).cluster(cluster_id)
    before = live(view.applied.config.model, view.scope.desired.models.get(cluster_id))
    if to.name != before.name:
        raise InvalidInputError(
            f"model: a rolling update keeps the name {before.name}, for requests meet both versions while it is under "
            f"way; {to.name} needs a deployment beside it (blue/green)"
        )
    if cluster.replicas < 2:
        raise InvalidInputError(f"cluster_id: {cluster_id} has one replica, and none would serve meanwhile")
    if cluster.replicas > MOST_REPLICAS:
        raise InvalidInputError(f"cluster_id: {cluster_id} has {cluster.replicas} replicas, more than {MOST_REPLICAS}")


def choose(update: ModelUpdate, standing: Standing, fresh_seconds: float, now: float, *, may_wait: bool = True) -> Next:
    """The next replica, or to wait until one can be spared, or that there is none any more.

    What is out already comes first: it is capacity that is missing. On the way back no replica is begun that was not
    touched; and one is taken though it cannot be spared when waiting is over (`may_wait` is False), for two versions
    side by side are no state to stay in.
    """
    out = update.in_phase(ReplicaPhase.OUT)
    away = [name for name in out if name not in standing.registered]
    if away:
        return Next(NextAction.REPLICA, f"{away[0]} is out of traffic", away[0], update.replicas[away[0]].url)
    left = out if update.reverting else out or sorted(set(standing.registered) - set(update.replicas))
    if not left:
        done = len(update.in_phase(ReplicaPhase.BACK))
        said = "all that was touched is put back" if update.reverting else f"all {done} replicas are on {update.to}"
        return Next(NextAction.DONE, said)
    # Who is not healthy carries nothing, so it costs nothing to take it.
    chosen = min(left, key=lambda name: (name in standing.healthy, name))
    must_go = bool(update.reverting) and not may_wait
    if chosen in standing.healthy and not must_go and (why_not := _why_not_spared(standing, fresh_seconds, now)):
        return Next(NextAction.WAIT, f"{chosen} cannot be spared: {why_not}")
    url = standing.registered[chosen]
    return Next(NextAction.REPLICA, f"{chosen} is next, {len(left) - 1} are left after it", chosen, url)


def canary_over(update: ModelUpdate) -> ModelUpdate:
    """A canary load whose replica has baked goes back from here on; any other update is left as it is."""
    done = update.in_phase(ReplicaPhase.BACK)
    if update.canary is None or update.reverting or not done or update.in_phase(ReplicaPhase.OUT):
        return update
    return replace(update.reverted(f"the canary load is over: {done[0]} served {update.to}"), canary=CanaryLoad.SERVED)


def _why_not_spared(standing: Standing, fresh_seconds: float, now: float) -> str:
    """Why one healthy replica fewer would be too few; empty when it would not."""
    left, expected, found = len(standing.healthy) - 1, standing.cluster.replicas, standing.assessment
    if 2 * left < expected or left < 1:  # a cluster with fewer than half is dead, and no failover would choose it
        return f"{left} healthy of {expected} replicas would be left"
    if found is None or now - found.assessed_at > fresh_seconds:
        return "the watch has not judged the cluster of late"
    if found.verdict not in (Verdict.HEALTHY, Verdict.DEGRADED):
        return f"the watch finds the cluster {found.verdict}: {found.reason}"
    if standing.fit is not None and not standing.fit.is_enough:
        return standing.fit.reason
    return ""


@dataclass(frozen=True, slots=True)
class Drained:
    """Whether a replica holds no request any more, and why it is taken for it. `cut`: requests that it still holds."""

    drained: bool
    reason: str
    empty_since: float | None = None
    cut: int = 0


def judge_drain(
    counts: Sequence[tuple[float, int | None]], empty_since: float | None, deadline: float, now: float
) -> Drained:
    """Drained when no request was in flight for HELD_SECONDS, or at the deadline.

    `counts` are (moment, requests in flight) of this look, oldest first; None where the engine does not say.
    `empty_since`: since when none was found, as of the look before.
    """
    for moment, count in counts:
        if count:
            empty_since = None
        elif count == 0 and empty_since is None:
            empty_since = moment
        elif count is None:
            empty_since = None
    if empty_since is not None and now - empty_since >= HELD_SECONDS:
        return Drained(True, f"no request was in flight for {now - empty_since:.1f} s", empty_since)
    last = counts[-1][1] if counts else None
    held = "it does not say how many requests it holds" if last is None else f"{last} requests are in flight"
    if now >= deadline:
        return Drained(True, f"the time for draining is up: {held}", empty_since, cut=last or 0)
    return Drained(False, held, empty_since)


def turned(update: ModelUpdate, failed: str | None, why: str) -> ModelUpdate:
    """The update after something went wrong: all that was touched goes back; what could not go back stays out.

    `failed`: the id of the replica that was being put back, None while the update went forward. May be repeated. Raises
    NotConvergedError when it was no replica that failed on the way back.
    """
    if failed is None:
        return update if update.reverting else update.reverted(why)
    known = update.replicas.get(failed)
    if known is None or known.phase is ReplicaPhase.BACK:
        raise NotConvergedError(f"what was touched cannot be put back: {why}")
    return update.with_replica(failed, ReplicaPhase.LEFT, known.url)


class Serves(StrEnum):
    """Whether a changed replica serves what it should."""

    YES = "yes"
    NOT_YET = "not yet"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a changed replica, in a sentence."""

    serves: Serves
    reason: str


def judge_replica(
    wanted: ModelVersion,
    model: Model,
    said: EngineDescription,
    probes: Sequence[EndpointProbe],
    *,
    is_golden: bool,
) -> Finding:
    """Whether a changed replica serves the wanted version: by its own word, by its answers, and in time.

    `probes`: canaries that were asked one after the other; `is_golden`: they were compared with golden answers. An
    answer of another model, or not the golden one, is no matter of time. `model` is FleetConfig's.
    """
    expected = model.model_copy(update={"name": wanted.name, "version": wanted.version})
    if said.state is not EngineState.READY:
        return Finding(Serves.NOT_YET, f"its engine is {said.state}: {said.detail}".rstrip(": "))
    if other := other_model(said, expected):
        return Finding(Serves.NOT_YET, f"it has loaded {other}, not {wanted}")
    bad = next((each for each in probes if each.outcome in (Outcome.NONSENSE, Outcome.WRONG_MODEL)), None)
    if bad is not None:
        return Finding(Serves.WRONG, f"it answers wrongly: {bad.outcome} {bad.detail}".rstrip())
    late = next((each for each in probes if not each.passed or each.outcome is Outcome.SLOW), None)
    if late is not None:
        return Finding(Serves.NOT_YET, f"a canary was {late.outcome} {late.detail}".rstrip())
    by = "as the golden answers" if is_golden else "with finite logprobs (no golden answer of it is recorded)"
    return Finding(Serves.YES, f"it serves {wanted}: {len(probes)} canaries answered in a row, {by}")


@dataclass(frozen=True, slots=True)
class Baked:
    """Whether a replica has served long enough to take the next one."""

    baked: bool
    reason: str


def judge_bake(healthy: bool, returned_at: float, bake_seconds: float, now: float) -> Baked:
    """Of a replica that answers: the load balancer has to find it healthy too, for the time of the bake.

    Raises nothing; a replica that the load balancer does not take up in time is the caller's to give up.
    """
    if not healthy:
        return Baked(False, "the load balancer has not found it healthy yet")
    left = returned_at + bake_seconds - now
    return Baked(False, f"it bakes for {left:.0f} s more") if left > 0 else Baked(True, "it has baked")


@dataclass(frozen=True, slots=True)
class PutBack:
    """What the reconciler does about an update that nobody is at work on. `name` is the execution to be started."""

    reason: str
    name: str = ""


def decide_put_back(cluster_id: str, served: ServedModel, token: int, why_not: str) -> PutBack | None:
    """Of an update that was left half-way: put it back, in a new execution under a new token. None where none was.

    `why_not`: what the switch says against it, empty where it says nothing.
    """
    update = served.update
    if update is None:
        return None
    found = f"the update of {cluster_id} to {update.to} was left half-way by {update.rollout_id}"
    if why_not:
        return PutBack(f"{found}; {why_not}")
    if update.attempts >= MOST_ATTEMPTS:
        return PutBack(f"{found}; {update.attempts} executions could not put it back: a person has to look")
    return PutBack(f"{found}; it is put back", f"{cluster_id[:40]}-put-back-t{token}")
