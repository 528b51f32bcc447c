"""What a restore puts back, what that changes, and where the traffic goes. Pure.

Traffic is no part of what is copied: it goes only to what is proven now, whatever a backup says (law 2). A cluster
that is quarantined now stays so: that it failed is newer than the backup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from standfast import config_versions, model_states, planned_move, restored_roles
from standfast.config_versions import difference
from standfast.deployments import with_placed
from standfast.errors import BackupRefusedError, InvalidInputError
from standfast.failover import FAILED, limitation
from standfast.fleet import FleetConfig, Role
from standfast.lease import Lease
from standfast.rule_weights import of_clusters
from standfast.stores import ScopeRecord
from standfast.traffic import Desired, all_to, describe, serves, shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.backup_ports import ControlState
    from standfast.capacity import Fit
    from standfast.config_adoption import Standing
    from standfast.failover import Proof
    from standfast.fleet import Region
    from standfast.model_states import ModelRecord
    from standfast.replication import Damage
    from standfast.traffic import Weights

LEAP: Final = 1_000_000
"""By how much a record that is made anew is ahead of the one that it is made from. Its tokens and versions were used
on after the backup: fencing tokens never go back, and an incident's execution is named by the version."""
RESTORED: Final = "restored from "
"""How the reason of a model's record begins that a restore wrote."""
PROOF_SECONDS: Final = 150.0
"""How long a restore waits for a proof: the watch is started every minute, and reads what was restored from then on."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is put back. `scope` is None in a Region that only watches. `came_from` says where from, for people."""

    region: str
    came_from: str
    scope: ScopeRecord | None
    standing: Standing
    config: FleetConfig
    models: tuple[ModelRecord, ...]

    @property
    def serves(self) -> bool:
        """Whether the Region has clusters."""
        return self.region in self.config.regions


def wanted(region: str, came_from: str, found: ControlState) -> Wanted:
    """What these items would put back. Raises BackupRefusedError where they do not make a whole."""
    if found.unreadable:
        said = "; ".join(f"{key}: {why}" for key, why in sorted(found.unreadable.items()))
        raise BackupRefusedError(f"{came_from} holds what cannot be understood: {said}; take an earlier moment")
    standing = found.standing
    if standing is None:
        raise BackupRefusedError(f"{came_from} holds no configuration of {region}")
    try:
        config = FleetConfig.parse(json.loads(standing.text))
    except (ValueError, InvalidInputError) as error:
        raise BackupRefusedError(f"{came_from}: its configuration is not valid in this release: {error}") from error
    if config_versions.sha256(standing.text) != standing.sha256:
        raise BackupRefusedError(f"{came_from}: its configuration does not have the SHA-256 that stands beside it")
    if region in config.regions and found.scope is None:
        raise BackupRefusedError(f"{came_from} holds no roles and weights of {region}")
    return Wanted(region, came_from, found.scope, standing, config, tuple(found.models))


def changes(goal: Wanted, present: ControlState) -> tuple[str, ...]:
    """What a restore would change, in words, a line each; empty when everything is as it is wanted."""
    lines = [f"{key} cannot be understood ({why}) and is made anew" for key, why in sorted(present.unreadable.items())]
    before = present.standing.document() if present.standing else None
    lines += [f"configuration: {each}" for each in difference(before, json.loads(goal.standing.text))]
    if present.standing and present.standing.synced != goal.standing.synced:
        was, will = (each.synced.wanted if each.synced else "no version" for each in (present.standing, goal.standing))
        lines.append(f"configuration: {was} becomes {will}")
    known = {(each.model, each.version): each for each in present.models}
    for record in goal.models:
        here = known.get((record.model, record.version))
        if here is None:
            lines.append(f"models: {_named(record)} is missing and is {record.state} again")
        elif here.state is not record.state:
            lines.append(f"models: {_named(record)} is {here.state} and becomes {record.state}")
    if goal.scope is not None:
        stands = present.scope.desired if present.scope else None
        lines += _traffic_changes(goal.scope.desired, stands, goal.config.region(goal.region))
    return tuple(lines)


def _traffic_changes(goal: Desired, present: Desired | None, configured: Region) -> list[str]:
    if present is None:
        roles = ", ".join(f"{name} {role}" for name, role in sorted(goal.roles.items()))
        return [f"roles: are missing and are made anew: {roles}"]
    region = with_placed(configured, present)
    lines = [f"roles: {each}" for each in restored_roles.gone(goal, region)]
    for name, role in sorted(goal.roles.items()):
        here = present.roles.get(name)
        if name in region.clusters and here is not role:
            kept = " and stays so: it failed since" if here in FAILED else f" and becomes {role}"
            lines.append(f"roles: {name} is {here or 'unknown'}{kept}")
    weights = planned_move.settled(goal)
    if shares(present.weights) != shares(weights):
        lines.append(f"weights: {describe(present.weights)} become {describe(weights)}, where that is proven")
    return lines


def scope_anew(goal: ScopeRecord, found: Weights, numbers: Sequence[int], reason: str, now: float) -> ScopeRecord:
    """The record of a scope whose own is gone or cannot be understood. Nothing moves by it: its weights are `found`.

    What a cluster serves and where deployments placed it, only this record says, and so the backup does now.
    `numbers`: tokens and versions that can still be read of what was there.
    """
    ahead = max(goal.lease.token, goal.desired.version, *numbers, 0) + LEAP
    clusters = {name: weight for name, weight in found.items() if name in goal.desired.roles}
    weights = clusters if serves(clusters) else planned_move.settled(goal.desired)
    roles = restored_roles.roles(goal.desired, None, largest(weights), goal.desired.roles)
    models, placed = goal.desired.models, goal.desired.placed
    desired = Desired(ahead, 0, weights, roles, reason, now, models=models, placed=placed)
    return ScopeRecord(goal.scope_id, desired, Lease(token=ahead))


def model_to_write(
    record: ModelRecord, here: ModelRecord | None, damage: str | None, came_from: str, now: float
) -> ModelRecord | None:
    """The record of a model to be written, None where the present one says it. `damage`: what its objects lack here."""
    if here is not None and (here.state is record.state or damage is not None):
        return None
    if here is None:
        made = replace(record, revision=0, reason=RESTORED + came_from, updated_at=now)
    else:
        made = replace(here, state=record.state, live_since=record.live_since, reason=RESTORED + came_from,
                       updated_at=now)  # fmt: skip
    if damage is not None and made.state in model_states.WHOLE:
        return made.replicating(f"{RESTORED}{came_from}, and not whole here: {damage}", now)
    return made


def artefact_refusal(goal: Wanted, damages: Mapping[str, Mapping[str, Damage] | None], in_words: str) -> str | None:
    """Why the Region may not be pointed at the model of the restored configuration; None when it may.

    `damages` is model in words -> what is wrong with its objects here, None where its manifest is not to be had. A
    model that was never registered has no artefacts that could be verified: its canary must do.
    """
    model = goal.config.model
    record = next((each for each in goal.models if (each.model, each.version) == (model.name, model.version)), None)
    if not goal.serves or record is None:
        return None
    name = _named(record)
    if damages.get(name) is None:
        return f"{name} has no manifest in {goal.region} and none in {goal.came_from}; run replicate_model first"
    lacks = f"{name} is not whole in {goal.region}: {in_words}; run replicate_model first"
    return lacks if damages[name] else None


class TrafficAction(StrEnum):
    """What becomes of the traffic."""

    KEEP = "keep"
    MOVE = "move"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class TrafficDecision:
    """The weights and roles to be written, and why in a sentence."""

    action: TrafficAction
    reason: str
    weights: Weights
    roles: Mapping[str, Role]


def decide_traffic(
    goal: Desired,
    present: Desired,
    region: Region,
    proofs: Sequence[Proof],
    *,
    fresh_seconds: float,
    waited_seconds: float,
    now: float,
) -> TrafficDecision:
    """Where the traffic goes once models and configuration are restored.

    As the backup has it where each cluster that would have traffic is proven. Else it stays where it is, if what
    serves now answers. Else to whatever is proven; and where nothing is yet, it waits, `PROOF_SECONDS` at most.
    """
    against = {
        proof.cluster_id: limitation(
            proof,
            restored_roles.role(proof.cluster_id, goal, present),
            region.clusters[proof.cluster_id],
            fresh_seconds,
            now,
        )
        for proof in proofs
        if proof.cluster_id in region.clusters
    }
    answers = {each.cluster_id for each in proofs if 2 * each.answered >= _replicas(region, each.cluster_id)}
    wanted = of_clusters(planned_move.settled(goal))
    would = {name: weight for name, weight in wanted.items() if weight and name in region.clusters}
    has = {name: weight for name, weight in of_clusters(present.weights).items() if weight}
    unproven = [
        f"{name}: {against.get(name, 'nobody asked it')}" for name in would if against.get(name, "") is not None
    ]
    if would == has and set(has) <= answers:
        return _decided(
            TrafficAction.KEEP, "the traffic is where the backup has it", present.weights, goal, present, region
        )
    if would and not unproven:
        return _decided(
            TrafficAction.MOVE, f"{', '.join(would)} is proven", _over(region, would), goal, present, region
        )
    why = f"not moved to where the backup has it ({'; '.join(unproven) or 'no such cluster'})"
    if has and set(has) <= answers:
        return _decided(TrafficAction.KEEP, f"{why}: what serves now answers", present.weights, goal, present, region)
    fit = [(each.answered, each.cluster_id) for each in proofs if against.get(each.cluster_id, "") is None]
    if fit:
        _, chosen = max(fit)
        reason = f"{why}; what had the traffic does not answer, and {chosen} is proven{_overload(chosen, has, region)}"
        return _decided(TrafficAction.MOVE, reason, all_to(chosen, region.clusters), goal, present, region)
    if waited_seconds < PROOF_SECONDS:
        return _decided(
            TrafficAction.WAIT, f"{why}, and nothing else is proven yet", present.weights, goal, present, region
        )
    reason = f"{why}, and nothing else was proven in {PROOF_SECONDS:g} s: the weights stay as they are"
    return _decided(TrafficAction.KEEP, reason, present.weights, goal, present, region)


def with_headroom(
    decision: TrafficDecision, goal: Desired, present: Desired, region: Region, fit: Fit
) -> TrafficDecision:
    """The same, unless traffic would leave what serves for what was measured to be too small for it (law 5)."""
    if decision.action is not TrafficAction.MOVE or fit.is_enough:
        return decision
    reason = f"not moved to where the backup has it, for it does not fit: {fit.reason}"
    return _decided(TrafficAction.KEEP, reason, present.weights, goal, present, region)


def largest(weights: Weights) -> str:
    """The cluster with the most traffic."""
    clusters = of_clusters(weights)
    return max(sorted(clusters), key=lambda name: clusters[name])


def _overload(chosen: str, has: Weights, region: Region) -> str:
    there = region.clusters[chosen].replicas
    lost = sum(_replicas(region, name) for name in has if name in region.clusters)
    return f", with {there} replicas for the traffic of {lost}: expect queueing or shedding" if there < lost else ""


def _decided(
    action: TrafficAction, reason: str, weights: Weights, goal: Desired, present: Desired, region: Region
) -> TrafficDecision:
    """All roles stay where what failed, or what is no cluster here, still has traffic, for want of anything proven."""
    stays = any(weight and present.roles.get(name) in FAILED for name, weight in weights.items())
    if stays or largest(weights) not in region.clusters:
        return TrafficDecision(action, reason, weights, present.roles)
    said = "; ".join((reason, *restored_roles.gone(goal, region)))
    return TrafficDecision(
        action, said, weights, restored_roles.roles(goal, present, largest(weights), region.clusters)
    )


def _replicas(region: Region, cluster_id: str) -> int:
    return region.clusters[cluster_id].replicas if cluster_id in region.clusters else LEAP


def _over(region: Region, would: Weights) -> dict[str, int]:
    return dict.fromkeys(region.clusters, 0) | dict(would)


def _named(record: ModelRecord) -> str:
    return f"{record.model} {record.version}" if record.version else record.model
