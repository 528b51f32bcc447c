"""Making a restore: freeze, models, configuration, traffic, commit. Each step may run twice.

The scope's lease fences all of it: whoever takes it (a failover with break-glass) stops the restore at its next step.
Models and the configuration are items of their own, which the lease's condition does not reach: they are written by
compare-and-set, after a look that the lease is still held.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from standfast import capacity, config_adoption, config_versions, lease, restoring, traffic
from standfast.backup_ports import Undo
from standfast.brake import Switch, region_scope
from standfast.config_adoption import Standing
from standfast.errors import ConflictError, CorruptStateError, FencedError, TransientError, UnknownScopeError
from standfast.fleet import Automation, FleetConfig
from standfast.lease import Claim, Purpose
from standfast.restoring import TrafficAction, TrafficDecision
from standfast.stores import ScopeStore, ViewStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.backup_ports import ControlState, Items, RestoreLog, StateTables
    from standfast.config_adoption import ConfigBucket, ConfigPointer, SyncedStore
    from standfast.config_versions import ConfigVersion
    from standfast.failover import Proof
    from standfast.model_states import ModelRecord, ModelStates
    from standfast.ports import Executions, LoadBalancer
    from standfast.restore_planning import Kept
    from standfast.restore_steps import FrozenStep, RestorePlan
    from standfast.restoring import Wanted
    from standfast.stores import SwitchStore


SCOPE: Final = "SCOPE"
"""The name of the item that holds lease, roles and weights."""


class Scopes(ScopeStore, ViewStore, Protocol):
    """The scope's record, and everything at once."""


def write_down(step: RestorePlan, goal: Wanted, items: Items, tables: StateTables, switches: SwitchStore,
               log: RestoreLog, now: float) -> Undo:  # fmt: skip
    """Before anything is changed: what was. Raises ConflictError while another restore is not over."""
    switch = switches.read_brake().others.get(region_scope(step.region))
    undo = log.write_undo(Undo(step.execution_arn, now, switch, tables.decisive(items), goal.config.canonical()))
    if undo.execution_arn != step.execution_arn:
        raise ConflictError(
            f"{undo.execution_arn} restores here, or ended and was not put back: invoke put-back-restore with {{}} then"
        )
    return undo


def make_scope(
    goal: Wanted, items: Items, present: ControlState, tables: StateTables, scopes: ScopeStore,
    balancer: LoadBalancer, now: float,
) -> None:  # fmt: skip
    """A scope that is gone or that nobody can understand is made anew, with the weights that the rule has.

    Without a scope there is no lease, so this is done before one is held; whatever else there is waits for it.
    """
    if goal.scope is None or present.scope is not None:
        return
    damaged = [key for key in present.unreadable if key.sk == SCOPE]
    for key in damaged:
        tables.discard(key, items[key])
    found = balancer.read_weights(goal.config.region(goal.region).bound_entry())
    numbers = [number for key in damaged for number in _numbers(items[key])]
    reason = f"made anew from {goal.came_from}: what was there was gone or could not be understood"
    scopes.create(restoring.scope_anew(goal.scope, found, numbers, reason, now))


def make_room(items: Items, present: ControlState, tables: StateTables) -> None:
    """What else nobody can understand makes room. Under the lease. Raises ConflictError where it changed since."""
    for key in present.unreadable:
        if key.sk != SCOPE:
            tables.discard(key, items[key])


def freeze(
    step: RestorePlan, goal: Wanted, scopes: ScopeStore, executions: Executions, switches: SwitchStore,
    log: RestoreLog, now: float,
) -> tuple[int, bool]:  # fmt: skip
    """The lease's token, and whether the Region's switch says off: a Region that is cut off from all others cannot
    write it, and is restored under its lease alone. Raises LeaseHeldError while a failover or a move is at work.
    """
    token = 0
    if goal.scope is not None:
        claim = Claim(step.execution_arn, Purpose.RESTORE)
        token = lease.take(step.region, claim, scopes, executions, now).token
        log.note_token(step.execution_arn, token)
    switch = Switch(Automation.OFF, f"{step.execution_name} restores", "restore", now, region_scope(step.region))
    try:
        switches.write_switch(switch)
    except TransientError:
        return token, False
    return token, True


def check_held(step: FrozenStep, scopes: ScopeStore) -> None:
    """Raises FencedError when somebody else was granted the lease."""
    if not step.freeze.token:
        return
    held = scopes.read(step.region).lease
    if (held.token, held.holder) != (step.freeze.token, step.execution_arn):
        raise FencedError(f"token {step.freeze.token} of {step.region} is stale; {held.holder} has {held.token}")


def restore_models(goal: Wanted, damages: Mapping[str, str], models: ModelStates, now: float) -> list[str]:
    """Write the models' records; answers what was written, in words."""
    written = []
    for record in goal.models:
        name = f"{record.model} {record.version}" if record.version else record.model
        here = models.read_model(record.model, record.version)
        made = restoring.model_to_write(record, here, damages.get(name), goal.came_from, now)
        if made is not None:
            models.write_model(made)
            written.append(f"{name} {made.state}")
    return written


def restore_config(kept: Kept, table: SyncedStore, bucket: ConfigBucket, pointer: ConfigPointer) -> int:
    """Put the configuration in force, by compare-and-set, and read it back; answers the table's revision.

    Raises ConflictError where somebody else wrote between.
    """
    goal = kept.goal.standing
    if goal.synced is not None and (text := kept.texts.get(goal.synced.wanted.key)) is not None:
        _keep_text(goal.synced.wanted, text, bucket)
    found = table.standing()
    if not _is(found, replace(goal, text=kept.goal.config.canonical())):
        found = table.write_standing(kept.goal.config, seen_revision=found.revision, synced=goal.synced)
    if not _is(table.standing(), Standing(found.revision, found.text, found.sha256, goal.synced)):
        raise ConflictError("the configuration was written, and another one is found")
    if goal.synced is not None:
        config_adoption.point(table, pointer)
    return found.revision


def restore_traffic(
    step: FrozenStep, goal: Wanted, proofs: Sequence[Proof], scopes: Scopes, balancer: LoadBalancer,
    now: float,
) -> TrafficDecision:  # fmt: skip
    """Write roles and weights under the token, and apply them where they are to move.

    Raises FencedError, ConflictError, NotConvergedError.
    """
    if goal.scope is None:
        return TrafficDecision(TrafficAction.KEEP, "this Region only watches: it has no traffic", {}, {})
    view = scopes.view()
    config, desired = view.applied.config, view.scope.desired
    region = config.region(step.region)
    decision = restoring.decide_traffic(
        goal.scope.desired,
        desired,
        region,
        proofs,
        fresh_seconds=config.detection.fresh_seconds,
        waited_seconds=now - step.freeze.at,
        now=now,
    )
    answering = {each.cluster_id for each in proofs if each.answered}
    source, target = restoring.largest(desired.weights), restoring.largest(decision.weights)
    if source in answering and source in region.clusters and source != target:
        fit = capacity.fit(source, target, region.clusters, view.loads, now)
        decision = restoring.with_headroom(decision, goal.scope.desired, desired, region, fit)
    if decision.action is not TrafficAction.WAIT:
        write_traffic(step.region, decision, step.freeze.token, step.reason, scopes, now)
        if decision.action is TrafficAction.MOVE:
            traffic.apply_desired(step.region, region.bound_entry(), scopes, balancer)
    return decision


def write_traffic(
    scope_id: str, decision: TrafficDecision, token: int, reason: str, scopes: ScopeStore, now: float
) -> None:
    """Desired weights and roles, where they are others than those that stand. May be repeated."""
    desired = scopes.read(scope_id).desired
    moves = traffic.shares(desired.weights) != traffic.shares(decision.weights)
    if not moves and dict(desired.roles) == dict(decision.roles):
        return
    said = f"{reason}; {decision.reason}"
    following = desired.next(
        token=token, reason=said, now=now, weights=decision.weights if moves else None, roles=decision.roles,
        ends_move=True,
    )  # fmt: skip
    scopes.write_desired(scope_id, token=token, seen_version=desired.version, desired=following)


def thaw(region: str, undo: Undo, switches: SwitchStore, said: str, now: float) -> None:
    """The Region's switch as it was; *run*, which leaves it to the fleet's switch, where nobody had set one.

    What a person set meanwhile stays.
    """
    stands = switches.read_brake().others.get(region_scope(region))
    if stands is None or stands.set_by != "restore":
        return
    before = undo.switch or Switch(Automation.RUN, said, "restore", now, region_scope(region))
    switches.write_switch(before)


def release(region: str, token: int, scopes: ScopeStore) -> None:
    """Let the lease go. May be repeated; a lease that is somebody else's by now is left alone."""
    try:
        stands = scopes.read(region)
        scopes.release(region, token=token, attempts=stands.attempts, not_before=stands.not_before)
    except (FencedError, UnknownScopeError):
        return


def put_back_records(before: ControlState, undo: Undo, table: SyncedStore, models: ModelStates) -> list[str]:
    """Configuration and models as they were before, where nobody else wrote since; answers what became of each.

    What could not be understood before is not put back. What cannot be understood now was not restored yet. Of models
    only what the restore wrote: that one was found damaged or whole meanwhile is newer than what was before.
    """
    said = [_put_back_config(before.standing, undo, table)]
    for record in before.models:
        here = _readable(models, record)
        if here is not None and here.state is not record.state and _restored(here, undo.at):
            models.write_model(replace(record, revision=here.revision))
            said.append(f"{record.model} is {record.state} again")
    return [each for each in said if each]


def _put_back_config(before: Standing | None, undo: Undo, table: SyncedStore) -> str:
    try:
        found = table.standing()
    except CorruptStateError as error:
        return f"the configuration is left as it was found: {error}"
    if before is None or before.document() is None or not _fits(before):
        return "the configuration stays as it is: what was before could not be understood, or was not there"
    if found.text != undo.wanted_text or _is(found, before):
        return ""
    config = FleetConfig.parse(json.loads(before.text))
    table.write_standing(config, seen_revision=found.revision, synced=before.synced)
    return "the configuration is as it was"


def _restored(record: ModelRecord, since: float) -> bool:
    """Whether this is as a restore wrote it, then or later."""
    return record.reason.startswith(restoring.RESTORED) and record.updated_at >= since


def _readable(models: ModelStates, record: ModelRecord) -> ModelRecord | None:
    try:
        return models.read_model(record.model, record.version)
    except CorruptStateError:
        return None


def _is(found: Standing, goal: Standing) -> bool:
    return _fits(found) and (found.text, found.synced) == (goal.text, goal.synced)


def _fits(found: Standing) -> bool:
    return config_versions.sha256(found.text) == found.sha256


def _keep_text(version: ConfigVersion, text: str, bucket: ConfigBucket) -> None:
    config_versions.read_text(text, version)  # what a backup has is the version, or nothing of it is kept
    bucket.put_version(version, text)


def _numbers(item: Mapping[str, Any]) -> list[int]:
    """Tokens and versions that can still be read of a SCOPE item that cannot be understood."""
    found = []
    for name in ("token", "version", "written_by"):
        try:
            found.append(int(item[name]["N"]))
        except (KeyError, TypeError, ValueError):
            continue
    return found
