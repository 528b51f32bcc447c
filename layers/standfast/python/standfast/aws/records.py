"""The table's items as domain objects and back. A missing or impossible field raises CorruptStateError."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast.brake import FLEET, NEVER_SET, Brake, Switch
from standfast.capacity import Load, Reading
from standfast.checks import Check, Checked, CheckName, NodeFinding, NodeHealth
from standfast.damping import History
from standfast.deployments import Deployment, Phase, Placed
from standfast.errors import CorruptStateError, InvalidInputError
from standfast.fleet import Automation, FleetConfig, ReplicaAddress, Role
from standfast.golden import Golden
from standfast.health import Assessment, Verdict
from standfast.lease import Lease, Purpose
from standfast.model_versions import CanaryLoad, ModelUpdate, ModelVersion, ReplicaChange, ReplicaPhase, ServedModel
from standfast.stores import AppliedConfig, HealthChange, ScopeRecord, Sight
from standfast.traffic import Desired, Move
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever goes wrong inside is CorruptStateError, with the item's name."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInputError) as error:
        raise CorruptStateError(f"the item {what} cannot be understood ({error!r}); put the right one back") from error


def scope_to_item(record: ScopeRecord) -> dict[str, object]:
    """The SCOPE item of a record."""
    desired, lease = record.desired, record.lease
    item: dict[str, object] = {
        "scope_id": record.scope_id,
        "token": lease.token,
        "acquired_at": lease.acquired_at,
        "version": desired.version,
        "written_by": desired.token,
        "weights": dict(desired.weights),
        "roles": {name: str(role) for name, role in desired.roles.items()},
        "reason": desired.reason,
        "updated_at": desired.updated_at,
        "superseded": [dict(weights) for weights in desired.superseded],
        "moved_at": desired.moved_at,
        "models": models_to_item(desired.models),
        "deployment": deployment_to_item(desired.deployment),
        "placed": placed_to_item(desired.placed),
        "attempts": record.attempts,
        "not_before": record.not_before,
    }
    if desired.move is not None:
        item["move"] = move_to_item(desired.move)
    if lease.holder:
        item |= {"holder": lease.holder, "purpose": str(lease.purpose)}
    return item


def move_to_item(move: Move | None) -> dict[str, object] | None:
    """A planned move as the SCOPE item has it."""
    return None if move is None else {"source": move.source, "target": move.target, "before": dict(move.before)}


def models_to_item(models: Mapping[str, ServedModel]) -> dict[str, object]:
    """What clusters serve as the SCOPE item has it."""
    return {name: asdict(each) for name, each in models.items()}


def deployment_to_item(deployment: Deployment | None) -> dict[str, object] | None:
    """The deployment under way as the SCOPE item has it."""
    return None if deployment is None else {**asdict(deployment), "phase": str(deployment.phase)}


def placed_to_item(placed: Mapping[str, Placed]) -> dict[str, object]:
    """The clusters that deployments made as the SCOPE item has them."""
    return {name: asdict(each) for name, each in placed.items()}


def _deployment_from_item(item: Mapping[str, Any]) -> Deployment:
    more = {"to": ModelVersion(**item["to"]), "phase": Phase(item["phase"]), "started_at": float(item["started_at"])}
    return Deployment(**{**item, **more})


def _served_from_item(item: Mapping[str, Any]) -> ServedModel:
    update = item["update"]
    return ServedModel(
        live=ModelVersion(**item["live"]),
        instead_of=ModelVersion(**item["instead_of"]),
        update=update
        and ModelUpdate(
            rollout_id=update["rollout_id"],
            to=ModelVersion(**update["to"]),
            started_at=float(update["started_at"]),
            replicas={
                name: ReplicaChange(ReplicaPhase(each["phase"]), each["url"])
                for name, each in update["replicas"].items()
            },
            reverting=update["reverting"],
            attempts=update["attempts"],
            canary=CanaryLoad(update["canary"]) if update.get("canary") else None,  # not in items of earlier versions
            surge=update.get("surge"),  # nor this
        ),
    )


def scope_from_item(item: Mapping[str, Any]) -> ScopeRecord:
    """The record of a SCOPE item."""
    with reading("SCOPE"):
        purpose, move = item.get("purpose"), item.get("move")
        return ScopeRecord(
            scope_id=item["scope_id"],
            desired=Desired(
                version=item["version"],
                token=item["written_by"],
                weights=dict(item["weights"]),
                roles={name: Role(role) for name, role in item["roles"].items()},
                reason=item["reason"],
                updated_at=float(item["updated_at"]),
                superseded=tuple(dict(weights) for weights in item["superseded"]),
                move=Move(move["source"], move["target"], dict(move["before"])) if move else None,
                moved_at=float(item.get("moved_at", 0)),  # not in items of earlier versions
                models={name: _served_from_item(each) for name, each in item.get("models", {}).items()},
                deployment=_deployment_from_item(item["deployment"]) if item.get("deployment") else None,
                placed={name: Placed(**each) for name, each in item.get("placed", {}).items()},
            ),
            lease=Lease(
                token=item["token"],
                holder=item.get("holder"),
                purpose=Purpose(purpose) if purpose else None,
                acquired_at=float(item["acquired_at"]),
            ),
            attempts=item["attempts"],
            not_before=float(item["not_before"]),
        )


def applied_from_item(item: Mapping[str, Any]) -> AppliedConfig:
    """The configuration of a CONFIG item; its hash is checked."""
    with reading("CONFIG"):
        # Of the text as it was written: a later release writes out defaults that this text does not name.
        if hashlib.sha256(item["document"].encode()).hexdigest() != item["sha256"]:
            raise ValueError("its SHA-256 does not fit its text")
        return AppliedConfig(version=item["version"], config=FleetConfig.parse(json.loads(item["document"])))


def brake_from_items(items: Sequence[Mapping[str, Any]]) -> Brake:
    """The switches of SWITCH items; the fleet's says *observe* when there is none."""
    found = {switch.scope: switch for switch in map(_switch_from_item, items)}
    return Brake(found.pop(FLEET, NEVER_SET), found)


def _switch_from_item(item: Mapping[str, Any]) -> Switch:
    with reading(str(item.get("sk", "SWITCH"))):
        scope = str(item.get("scope", FLEET))  # not in items of earlier versions
        return Switch(Automation(item["automation"]), item["reason"], item["set_by"], float(item["set_at"]), scope)


def sight_from_item(item: Mapping[str, Any]) -> Sight:
    """The sight of a SIGHTS item."""
    with reading("SIGHTS"):
        seen_at, since = float(item["seen_at"]), item.get("since")
        verdict, began = Verdict(item["verdict"]), None if since is None else float(since)
        return Sight(item["vantage"], item["region"], verdict, item["reason"], seen_at, began)


def assessment_from_item(item: Mapping[str, Any]) -> Assessment:
    """The assessment of an ASSESSMENT item."""
    with reading(f"ASSESSMENT#{item.get('cluster_id')}"):
        since = item.get("since")
        return Assessment(
            cluster_id=item["cluster_id"],
            verdict=Verdict(item["verdict"]),
            reason=item["reason"],
            passing=item["passing"],
            expected=item["expected"],
            assessed_at=float(item["assessed_at"]),
            since=None if since is None else float(since),
            saturated=int(item.get("saturated", 0)),  # not in items of earlier versions
            late=int(item.get("late", 0)),
        )


def nodes_from_item(item: Mapping[str, Any]) -> NodeHealth:
    """The findings of a NODES item."""
    with reading(f"NODES#{item.get('cluster_id')}"):
        reported_at = item.get("reported_at")
        return NodeHealth(
            cluster_id=item["cluster_id"],
            reported_at=None if reported_at is None else float(reported_at),
            nodes=tuple(
                NodeFinding(
                    instance_id,
                    Verdict(found["verdict"]),
                    found["reason"],
                    Action(int(found.get("action", 0))),  # not in items of earlier versions
                    tuple(found.get("faults", ())),
                )
                for instance_id, found in sorted(item["nodes"].items())
            ),
        )


def load_from_item(item: Mapping[str, Any]) -> Load:
    """The load of a LOAD item."""
    with reading(f"LOAD#{item.get('cluster_id')}"):
        return Load(
            cluster_id=item["cluster_id"],
            measured_at=float(item["measured_at"]),
            reading=Reading(**item["reading"]),
            running=tuple(int(count) for count in item["running"]),
            work_per_second=item["work_per_second"],
            most_requests=item["most_requests"],
            most_work_per_second=item["most_work_per_second"],
        )


def checked_from_item(item: Mapping[str, Any]) -> Checked:
    """The five checks of a CHECKS item."""
    with reading(f"CHECKS#{item.get('cluster_id')}"):
        return Checked(
            cluster_id=item["cluster_id"],
            verdict=Verdict(item["verdict"]),
            reason=item["reason"],
            checks=tuple(
                Check(name, Verdict(item["checks"][name]["verdict"]), item["checks"][name]["reason"])
                for name in CheckName
            ),
            checked_at=float(item["checked_at"]),
            history=_history(item.get("history", {})),  # not in items of earlier versions
        )


def change_from_item(item: Mapping[str, Any]) -> HealthChange:
    """A change of a verdict."""
    with reading(f"HISTORY of {item.get('cluster_id')}"):
        return HealthChange(item["cluster_id"], float(item["at"]), item["before"], item["verdict"], item["reason"])


def _history(item: Mapping[str, Any]) -> History:
    well_since, late_since = (
        None if item.get(key) is None else float(item[key]) for key in ("well_since", "late_since")
    )
    return History(tuple(float(at) for at in item.get("relapses", ())), well_since, late_since)


def replicas_from_item(item: Mapping[str, Any] | None) -> dict[str, Sequence[ReplicaAddress]]:
    """The addresses of a REPLICAS item; none when nobody has looked yet."""
    if item is None:
        return {}
    with reading("REPLICAS"):
        return {
            cluster_id: [ReplicaAddress(entry["replica_id"], cluster_id, entry["url"]) for entry in entries]
            for cluster_id, entries in item["clusters"].items()
        }


def golden_from_item(item: Mapping[str, Any] | None) -> tuple[Golden, ...]:
    """The golden answers of an item of the golden partition; none when there is no item."""
    if item is None:
        return ()
    with reading(f"golden answers of {item.get('model')}"):
        return tuple(
            Golden(each["nonce"], each["prompt"], each["first_token"], float(each["logprob"]))
            for each in item["answers"]
        )
