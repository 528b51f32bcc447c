"""Desired weights, the actuator that applies them, and what a difference between the two means.

Weights are shares of one weighted listener rule, cluster id -> 0..999 (the range that ELBv2 accepts for a target
group in a forward action). `shed` is the share that no cluster answers; rule_weights says what a rule for low priority
holds beside. The invariants stand in docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from standfast.errors import FencedError, InvalidInputError, NotConvergedError
from standfast.fleet import Role
from standfast.rule_weights import FULL, LOW_PRIORITY, MAXIMUM, by_rule, of_clusters, on_rules

if TYPE_CHECKING:
    from standfast.fleet import Entry
    from standfast.model_versions import ServedModel
    from standfast.ports import LoadBalancer
    from standfast.stores import ScopeStore

Weights: TypeAlias = Mapping[str, int]

REMEMBERED = 8
"""How many superseded weights a desired state remembers, to know a stale holder's write from a hand edit."""
NEVER_GRANTED = -1
"""Tokens begin at 1."""
ROUNDS = 4
"""How often the actuator applies and reads again before it gives up."""


def check_weights(weights: Weights) -> Weights:
    """Return the weights when a listener rule may hold them, else raise InvalidInputError.

    At least one cluster's is above zero: a rule whose weights are all zero answers every request with 503, and so does
    one that only sheds.
    """
    if not weights:
        raise InvalidInputError("weights: no cluster is named; give at least one cluster a weight from 1 to 999")
    for cluster_id, weight in weights.items():
        if not 0 <= weight <= MAXIMUM:
            raise InvalidInputError(f"weights.{cluster_id}: {weight} is outside 0 to {MAXIMUM}")
    if not serves(weights):
        raise InvalidInputError("weights: all are zero, which answers every request with 503; keep one above zero")
    return weights


def serves(weights: Weights) -> bool:
    """Whether any cluster has traffic, by the rule that serves all."""
    return any(of_clusters(by_rule(weights)[0]).values())


@dataclass(frozen=True, slots=True)
class Move:
    """A planned move under way, from a cluster that serves. `before` are the weights that an abort restores."""

    source: str
    target: str
    before: Weights


@dataclass(frozen=True, slots=True)
class Desired:
    """What a scope's traffic and roles should be.

    `version` grows by one with every write. `token` is the fencing token that wrote it, 0 for the first state.
    `superseded` holds the weights of earlier versions, newest first, `REMEMBERED` at most. `move` is the planned move
    that these weights are a stage of: whoever finds it without a holder of the lease knows what was left half-way.
    `moved_at` is when another cluster became active. `models` is cluster id -> what it serves, of those clusters for
    which FleetConfig alone does not say it.
    """

    version: int
    token: int
    weights: Weights
    roles: Mapping[str, Role]
    reason: str
    updated_at: float
    superseded: tuple[Weights, ...] = ()
    move: Move | None = None
    moved_at: float = 0.0
    models: Mapping[str, ServedModel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def next(
        self,
        *,
        token: int,
        reason: str,
        now: float,
        weights: Weights | None = None,
        roles: Mapping[str, Role] | None = None,
        move: Move | None = None,
        ends_move: bool = False,
        models: Mapping[str, ServedModel | None] | None = None,
    ) -> Desired:
        """The state after this one. What is not given stays; `ends_move`: no planned move is under way any more.

        `models` holds the clusters whose record changes only; None: FleetConfig alone says what that one serves.
        """
        served = {**self.models, **(models or {})}
        changed = weights is not None and shares(weights) != shares(self.weights)
        roles = self.roles if roles is None else roles
        other = first_with(Role.ACTIVE, roles) != self.cluster_with(Role.ACTIVE)
        return Desired(
            version=self.version + 1,
            token=token,
            weights=self.weights if weights is None else weights,
            roles=roles,
            reason=reason,
            updated_at=now,
            superseded=((self.weights, *self.superseded)[:REMEMBERED] if changed else self.superseded),
            move=None if ends_move else move or self.move,
            moved_at=now if other else self.moved_at,
            models={name: each for name, each in served.items() if each is not None},
        )

    def cluster_with(self, role: Role) -> str | None:
        """The first cluster that has a role, by name, or None."""
        return first_with(role, self.roles)


def first_with(role: Role, roles: Mapping[str, Role]) -> str | None:
    """The first cluster that has a role, by name, or None."""
    return next((cluster_id for cluster_id, held in sorted(roles.items()) if held is role), None)


def all_to(cluster_id: str, cluster_ids: Iterable[str]) -> Weights:
    """The weights of these clusters with everything on one of them."""
    weights = dict.fromkeys(cluster_ids, 0)
    if cluster_id not in weights:
        raise InvalidInputError(f"{cluster_id} is not behind this rule; it knows {', '.join(sorted(weights))}")
    return weights | {cluster_id: FULL}


def shares(weights: Weights) -> Weights:
    """The weights above zero: what two sets of weights are compared by. A cluster not named has no traffic."""
    return {cluster_id: weight for cluster_id, weight in weights.items() if weight}


def apply_desired(scope_id: str, entry: Entry, store: ScopeStore, balancer: LoadBalancer) -> Desired:
    """The actuator: write the desired weights, then read desired and actual again, until the two agree.

    ELB has no conditional write, so a stale writer may land between; reading again finds it. The write comes before
    the first read because it is what saves traffic, and repeating it harms nobody. Holding the lease is not needed:
    whoever runs this copies what the lease's holder wrote.

    Returns the desired state that was found applied. Raises NotConvergedError after `ROUNDS` rounds.
    """
    desired = store.read(scope_id).desired
    for _ in range(ROUNDS):
        balancer.write_weights(entry, on_rules(desired.weights, entry))
        actual = balancer.read_weights(entry)
        again = store.read(scope_id).desired
        if shares(actual) == shares(on_rules(again.weights, entry)):
            return again
        desired = again
    raise NotConvergedError(
        f"the weights of {scope_id} did not settle in {ROUNDS} rounds: wanted {describe(desired.weights)}, "
        f"found {describe(actual)}; somebody else is writing to {entry.listener_rule_arn}"
    )


def check_writable(scope_id: str, desired: Desired, store: ScopeStore, *, now: float) -> None:
    """A dry call: whether desired state could be written. The write carries a token that was never granted.

    Raises AccessDeniedError and the TransientErrors, as the write itself would.
    """
    with suppress(FencedError):
        tried = desired.next(token=NEVER_GRANTED, reason="a dry call", now=now)
        store.write_desired(scope_id, token=NEVER_GRANTED, seen_version=desired.version, desired=tried)


def record_roles(
    scope_id: str,
    change: Callable[[Desired], Mapping[str, Role]],
    store: ScopeStore,
    *,
    token: int,
    reason: str,
    now: float,
    ends_move: bool = False,
) -> Mapping[str, Role]:
    """Write the roles that `change` makes of the present state, under the token. May be repeated.

    `ends_move`: the planned move of which they are the last step is over by that.

    Raises FencedError when the lease is held under another token by now, ConflictError when somebody wrote between.
    """
    record = store.read(scope_id)
    desired, stands = record.desired, record.lease.token
    if stands != token:  # also where there would be nothing to write: who is fenced must not go on and say it is done
        raise FencedError(f"token {token} of {scope_id} is stale; the lease is at token {stands}")
    roles = change(desired)
    if roles != desired.roles or (ends_move and desired.move is not None):
        recorded = desired.next(token=token, reason=reason, now=now, roles=roles, ends_move=ends_move)
        store.write_desired(scope_id, token=token, seen_version=desired.version, desired=recorded)
    return roles


class DriftAction(StrEnum):
    """What to do about a difference between desired and actual weights."""

    NONE = "none"
    REPAIR = "repair"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class DriftDecision:
    """What to do, and why in a sentence."""

    action: DriftAction
    reason: str


def decide_drift(desired: Desired, actual: Weights, entry: Entry) -> DriftDecision:
    """What a difference between desired and actual weights means.

    Read `actual` before `desired`, so that desired is never the older one. A stale holder's write is known by its
    weights, which are those of an earlier version; repairing it is right while a failover runs too, because it only
    copies what the lease's holder wrote. A hand edit is somebody's decision and is left alone, unless it serves
    nobody or sends traffic to a quarantined cluster. With a rule for low priority the two may be of two versions:
    whoever wrote them ended between.
    """
    wanted = on_rules(desired.weights, entry)
    if shares(actual) == shares(wanted):
        return DriftDecision(DriftAction.NONE, f"the weights are as version {desired.version} wants them")
    found = f"found {describe(actual)}, wanted {describe(wanted)} (version {desired.version})"
    if not serves(actual):
        return DriftDecision(DriftAction.REPAIR, f"every weight is zero, so nobody is served; {found}")
    if entry.low_priority_rule_arn and not shares(by_rule(actual)[1]):
        return DriftDecision(DriftAction.REPAIR, f"every weight of low priority is zero; {found}")
    for name, weight in sorted(actual.items()):
        cluster_id = name.removeprefix(LOW_PRIORITY)
        if weight and desired.roles.get(cluster_id) is Role.QUARANTINED:
            return DriftDecision(DriftAction.REPAIR, f"traffic goes to {cluster_id}, which is quarantined; {found}")
    if _is_earlier(desired, actual, entry):
        return DriftDecision(DriftAction.REPAIR, f"a stale write put back the weights of an earlier version; {found}")
    return DriftDecision(DriftAction.REPORT, f"somebody edited the weights by hand; left as they are; {found}")


def _is_earlier(desired: Desired, actual: Weights, entry: Entry) -> bool:
    """Whether each rule holds what some version wanted of it, the present one or one that is remembered."""
    versions = [by_rule(shares(on_rules(each, entry))) for each in (desired.weights, *desired.superseded)]
    service, low_priority = by_rule(shares(actual))
    return service in [each for each, _ in versions] and low_priority in [each for _, each in versions]


def describe(weights: Weights) -> str:
    """The weights in words: `use1-a 100, use1-b 0`."""
    return ", ".join(f"{cluster_id} {weight}" for cluster_id, weight in sorted(weights.items())) or "none"
