"""The table's items as domain objects and back. A missing or impossible field raises CorruptStateError."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from standfast.checks import Check, Checked, CheckName, NodeFinding, NodeHealth
from standfast.damping import History
from standfast.errors import CorruptStateError, InvalidInputError
from standfast.fleet import Automation, FleetConfig, ReplicaAddress, Role
from standfast.golden import Golden
from standfast.health import Assessment, Verdict
from standfast.lease import Lease, Purpose
from standfast.stores import AppliedConfig, HealthChange, ScopeRecord, Sight, Switch
from standfast.traffic import Desired
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NEVER_SET = Switch(Automation.OBSERVE, "nobody has set the switch yet; a new fleet observes", "", 0.0)


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
        "attempts": record.attempts,
        "not_before": record.not_before,
    }
    if lease.holder:
        item |= {"holder": lease.holder, "purpose": str(lease.purpose)}
    return item


def scope_from_item(item: Mapping[str, Any]) -> ScopeRecord:
    """The record of a SCOPE item."""
    with reading("SCOPE"):
        purpose = item.get("purpose")
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


def switch_from_item(item: Mapping[str, Any] | None) -> Switch:
    """The switch of a SWITCH item; *observe* when there is none."""
    if item is None:
        return NEVER_SET
    with reading("SWITCH"):
        return Switch(Automation(item["automation"]), item["reason"], item["set_by"], float(item["set_at"]))


def sight_from_item(item: Mapping[str, Any]) -> Sight:
    """The sight of a SIGHTS item."""
    with reading("SIGHTS"):
        seen_at = float(item["seen_at"])
        return Sight(item["vantage"], item["region"], Verdict(item["verdict"]), item["reason"], seen_at)


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
    well_since = item.get("well_since")
    relapses = tuple(float(at) for at in item.get("relapses", ()))
    return History(relapses, None if well_since is None else float(well_since))


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
