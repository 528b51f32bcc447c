"""ClusterTable: one partition per scope (Region), every item with a schema version.

| sk | item |
|---|---|
| SCOPE | lease and desired state: all that is fenced |
| CONFIG | FleetConfig as applied, and the version that was last synced (config_table) |
| REPLICAS | the addresses of the registered replicas |
| ASSESSMENT#<cluster id> | the watch's last assessment |
| CHECKS#, NODES#<cluster id> | the last assessment's five checks; what the nodes reported |
| LOAD#<cluster id> | the load that the last assessment measured, and what was learned of its limits |
| WATCH | the relay's generations |

Incidents, golden answers, changes of verdicts and what is remembered of faults have partitions of their own,
`<scope>#INCIDENTS`, `<scope>#GOLDEN` (by model and version), `<scope>#HISTORY` (by cluster and time, forgotten after
thirty days), `<scope>#FAULTS` (fault_table), `<scope>#OPEN` and `#CLOSED` (incident_table), `<scope>#LEDGER`
(ledger_table), `<scope>#JUDGE` (judge_table), so that the watch's query stays small.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.items import encode
from standfast.aws.records import (
    applied_from_item,
    assessment_from_item,
    change_from_item,
    checked_from_item,
    golden_from_item,
    load_from_item,
    models_to_item,
    move_to_item,
    nodes_from_item,
    replicas_from_item,
    scope_from_item,
    scope_to_item,
)
from standfast.aws.table import Table
from standfast.errors import ConflictError, FencedError, UnknownScopeError
from standfast.stores import AppliedConfig, ScopeRecord, Told, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.capacity import Load
    from standfast.checks import Checked, NodeHealth
    from standfast.fleet import ReplicaAddress
    from standfast.golden import Golden
    from standfast.golden_store import GoldenAnswers
    from standfast.health import Assessment
    from standfast.lease import Lease
    from standfast.stores import HealthChange
    from standfast.traffic import Desired

HISTORY_SECONDS: Final = 30 * 86_400
REASONS_BYTES: Final = 240_000
"""Room for the reasons of a cluster's nodes; the rest of a thousand nodes' item is their names, actions and faults."""


class ClusterTable(Table):
    """All stores of a scope but FaultStore, on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._region = region

    # ScopeStore

    def read(self, scope_id: str) -> ScopeRecord:
        item = self._get(scope_id, "SCOPE")
        if item is None:
            raise UnknownScopeError(f"nothing is known of {scope_id}; apply a FleetConfig in that Region first")
        return scope_from_item(item)

    def create(self, record: ScopeRecord) -> bool:
        return self._put_new(record.scope_id, "SCOPE", scope_to_item(record))

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        holder = "holder = :seen_holder" if seen.holder else "attribute_not_exists(holder)"
        values = {":seen": seen.token, ":token": lease.token, ":holder": lease.holder, ":at": lease.acquired_at}
        if seen.holder:
            values[":seen_holder"] = seen.holder
        refused = self._update(
            scope_id,
            "SCOPE",
            "SET #token = :token, holder = :holder, purpose = :purpose, acquired_at = :at",
            {**values, ":purpose": str(lease.purpose)},
            condition=f"#token = :seen AND {holder}",
            names={"#token": "token"},
        )
        if refused is not None:
            raise ConflictError(f"the lease of {scope_id} changed hands since token {seen.token} was read")

    def release(self, scope_id: str, *, token: int, attempts: int, not_before: float) -> None:
        refused = self._update(
            scope_id,
            "SCOPE",
            "SET attempts = :attempts, not_before = :not_before REMOVE holder, purpose",
            {":token": token, ":attempts": attempts, ":not_before": not_before},
            condition="#token = :token",
            names={"#token": "token"},
        )
        if refused is not None:
            raise FencedError(f"token {token} of {scope_id} is stale; the lease is at token {refused.get('token')}")

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        refused = self._update(
            scope_id,
            "SCOPE",
            "SET version = :version, written_by = :token, weights = :weights, #roles = :roles, reason = :reason, "
            "updated_at = :at, superseded = :superseded, moved_at = :moved_at, #move = :move, models = :models",
            {
                ":version": desired.version,
                ":token": token,
                ":weights": dict(desired.weights),
                ":roles": {name: str(role) for name, role in desired.roles.items()},
                ":reason": desired.reason,
                ":at": desired.updated_at,
                ":superseded": [dict(weights) for weights in desired.superseded],
                ":moved_at": desired.moved_at,
                ":move": move_to_item(desired.move),
                ":models": models_to_item(desired.models),
                ":seen": seen_version,
            },
            condition="#token = :token AND attribute_exists(holder) AND version = :seen",
            names={"#token": "token", "#roles": "roles", "#move": "move"},
        )
        if refused is None:
            return
        if refused.get("token") != token or not refused.get("holder"):
            raise FencedError(f"token {token} of {scope_id} is stale; the lease is at token {refused.get('token')}")
        raise ConflictError(f"desired state of {scope_id} is at version {refused.get('version')}, not {seen_version}")

    # ConfigStore

    def read_config(self) -> AppliedConfig:
        item = self._get(self._region, "CONFIG")
        if item is None:
            raise UnknownScopeError(
                f"no FleetConfig was applied in {self._region}; start sync-config, or invoke apply-config"
            )
        return applied_from_item(item)

    # EvidenceStore

    def write_assessments(self, assessments: Sequence[Assessment]) -> None:
        for assessment in assessments:
            item = {**asdict(assessment), "verdict": str(assessment.verdict)}
            newer = "attribute_not_exists(pk) OR assessed_at < :at"
            name = f"ASSESSMENT#{assessment.cluster_id}"
            self._put_if(self._region, name, item, newer, {":at": assessment.assessed_at})

    def write_checks(self, checked: Checked, nodes: NodeHealth | None) -> None:
        found = {check.name: {"verdict": str(check.verdict), "reason": check.reason} for check in checked.checks}
        item = {**asdict(checked), "verdict": str(checked.verdict), "checks": found}
        newer = "attribute_not_exists(pk) OR checked_at < :at"
        self._put_if(self._region, f"CHECKS#{checked.cluster_id}", item, newer, {":at": checked.checked_at})
        if nodes is None or nodes.reported_at is None:
            return
        longest = max(100, REASONS_BYTES // (4 * max(1, len(nodes.nodes))))  # an item holds 400 KB, a character up to 4
        judged = {
            node.instance_id: {
                "verdict": str(node.verdict),
                "reason": node.reason[:longest],
                "action": int(node.action),
                "faults": list(node.faults),
            }
            for node in nodes.nodes
        }
        item = {"cluster_id": nodes.cluster_id, "reported_at": nodes.reported_at, "nodes": judged}
        newer = "attribute_not_exists(pk) OR reported_at < :at"
        self._put_if(self._region, f"NODES#{nodes.cluster_id}", item, newer, {":at": nodes.reported_at})

    def write_load(self, load: Load) -> None:
        newer = "attribute_not_exists(pk) OR measured_at < :at"
        self._put_if(self._region, f"LOAD#{load.cluster_id}", asdict(load), newer, {":at": load.measured_at})

    def write_replicas(self, replicas: Mapping[str, Sequence[ReplicaAddress]], *, now: float) -> None:
        clusters = {
            cluster_id: [{"replica_id": address.replica_id, "url": address.url} for address in addresses]
            for cluster_id, addresses in replicas.items()
        }
        self._put(self._region, "REPLICAS", {"clusters": clusters, "updated_at": now})

    # GoldenStore

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        return golden_from_item(self._get(f"{self._region}#GOLDEN", _golden_name(model, version)))

    def write_golden(self, golden: GoldenAnswers) -> None:
        item = {**asdict(golden), "answers": [asdict(answer) for answer in golden.answers]}
        self._put(f"{self._region}#GOLDEN", _golden_name(golden.model, golden.version), item)

    # WatchStore

    def view(self) -> View:
        items = {item["sk"]: item for item in self._query(self._region)}
        for needed in ("SCOPE", "CONFIG"):
            if needed not in items:
                raise UnknownScopeError(f"no FleetConfig was applied in {self._region}; there is nothing to watch")
        return View(
            scope=scope_from_item(items["SCOPE"]),
            applied=applied_from_item(items["CONFIG"]),
            replicas=replicas_from_item(items.get("REPLICAS")),
            assessments={
                item["cluster_id"]: assessment_from_item(item)
                for name, item in items.items()
                if name.startswith("ASSESSMENT#")
            },
            relay=int(items.get("WATCH", {}).get("active", 0)),
            nodes={
                item["cluster_id"]: nodes_from_item(item) for name, item in items.items() if name.startswith("NODES#")
            },
            loads={
                item["cluster_id"]: load_from_item(item) for name, item in items.items() if name.startswith("LOAD#")
            },
            checks={
                item["cluster_id"]: checked_from_item(item)
                for name, item in items.items()
                if name.startswith("CHECKS#")
            },
        )

    def relay(self) -> int:
        item = self._get(self._region, "WATCH")
        return int(item.get("active", 0)) if item else 0

    def enter(self) -> int:
        with translated("UpdateItem WATCH"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=self._key(self._region, "WATCH"),
                UpdateExpression="ADD generation :one SET #schema = :schema",
                ExpressionAttributeNames={"#schema": "schema"},
                ExpressionAttributeValues={":one": {"N": "1"}, ":schema": encode(1)},
                ReturnValues="UPDATED_NEW",
            )
        return int(answer["Attributes"]["generation"]["N"])

    def take_over(self, generation: int) -> None:
        """A refusal means that a later run has the watch, which is as good."""
        self._update(
            self._region,
            "WATCH",
            "SET active = :generation",
            {":generation": generation},
            condition="attribute_not_exists(active) OR active < :generation",
        )

    # HistoryStore

    def write_change(self, change: HealthChange) -> None:
        item = {**asdict(change), "expires_at": int(change.at + HISTORY_SECONDS)}
        moment = datetime.fromtimestamp(change.at, UTC).isoformat(timespec="milliseconds")
        self._put(f"{self._region}#HISTORY", f"{change.cluster_id}#{moment}", item)

    def changes(self, cluster_id: str, most: int) -> Sequence[HealthChange]:
        return [change_from_item(item) for item in self._newest(f"{self._region}#HISTORY", f"{cluster_id}#", most)]

    # IncidentStore

    def outcome(self, incident_id: str, *, since: float) -> str | None:
        item = self._get(f"{self._region}#INCIDENTS", incident_id)
        if item is None or (item["told_at"] < since and "acknowledged_at" not in item):
            return None
        return str(item["outcome"])

    def record(self, told: Told) -> None:
        self._put(f"{self._region}#INCIDENTS", told.incident_id, asdict(told))

    def acknowledge(self, incident_id: str, *, by: str, now: float) -> bool:
        refused = self._update(
            f"{self._region}#INCIDENTS",
            incident_id,
            "SET acknowledged_by = :by, acknowledged_at = :at",
            {":by": by, ":at": now},
            condition="attribute_exists(pk)",
        )
        return refused is None


def _golden_name(model: str, version: str | None) -> str:
    """As JSON, so that no model's name and version can look like another's."""
    return json.dumps([model, version])
