"""A Region with tables and buckets in moto, and the handlers of backup and restore on the real adapters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
import pytest

from backup import put_back_restore
from standfast import bootstrap, bootstrap_backup, bootstrap_journals, config_versions, manifest
from standfast.aws.backup_store import BackupBucket
from standfast.aws.cluster_table import ClusterTable
from standfast.aws.config_bucket import S3ConfigBucket
from standfast.aws.config_table import ConfigTable
from standfast.aws.journal_bucket import JournalBucket
from standfast.aws.model_table import ModelTable
from standfast.aws.region_table import RegionTable
from standfast.aws.restore_table import RestoreTable
from standfast.aws.state_tables import RegionalTables
from standfast.backup_ports import ControlState
from standfast.config_adoption import Synced, pointer_text
from standfast.config_versions import ConfigVersion
from standfast.fleet import Automation, Canary
from standfast.health import Assessment, EndpointProbe, Outcome, Verdict
from standfast.manifest import Manifest, ModelObject
from standfast.model_states import ModelRecord, ModelState
from standfast.settings import Settings
from standfast.state_journal import Change, ItemKey
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.fakes import FakeConfigPointer, FakeExecutions, FakeInventory, FakeLoadBalancer, FakeMessenger, FakeMetrics
from tests.machine_walk import Context, Walk
from tests.model_fakes import FakeModelStore, checksum

ARN = "arn:aws:states:us-east-1:123456789012:execution:chat-restore:one"
REGIONS_TABLE = "chat-regions"
OBJECT = "models/tiny/v1/model.safetensors"
WEIGHTS = b"the weights of a tiny model"
CHOSEN = {"by": "ada", "reason": "a script wrote over the state table"}


class Killed(Exception):  # noqa: N818 - no error of ours: nothing catches it
    """The execution was stopped here."""


class Servers:
    """Prober of one answer a URL: `dead` do not."""

    def __init__(self, clock: World) -> None:
        self.dead: set[str] = set()
        self._clock = clock

    async def ask(self, url: str, _model: str, _canary: Canary, **_: Any) -> EndpointProbe:
        failed = any(part in url for part in self.dead)
        return builders.probe(Outcome.REFUSED if failed else Outcome.ANSWERED, at=self._clock.now())


@cache
def clients() -> tuple[Any, Any]:
    """One of each: making one takes longer than a test."""
    return boto3.client("dynamodb"), boto3.client("s3")


class World:
    """Version 7 in force, its model whole, all traffic on the active cluster; everything is assessed just now."""

    def __init__(self, patch: pytest.MonkeyPatch, table: str) -> None:
        self.moment = NOW
        db, s3 = clients()
        self.dynamodb, self.s3, self.name = db, s3, table
        machine = f"arn:aws:states:{SCOPE}:123456789012:stateMachine:chat-cluster-failover"
        self.settings = Settings(SCOPE, "chat", table, REGIONS_TABLE, machine, "", "", "", "")
        for bucket in (self.settings.backup_bucket(SCOPE), self.settings.config_bucket(SCOPE)):
            self._empty(bucket)
        self.regions, self.scopes = RegionTable(REGIONS_TABLE, db), ClusterTable(table, SCOPE, db)
        self.table, self.models = ConfigTable(table, SCOPE, db), ModelTable(table, SCOPE, db)
        self.texts = S3ConfigBucket(self.settings.config_bucket, SCOPE, lambda _: s3)
        self.tables, self.log = RegionalTables(table, REGIONS_TABLE, SCOPE, db), RestoreTable(table, SCOPE, db)
        self.bucket = BackupBucket(self.settings.backup_bucket(SCOPE), SCOPE, s3)
        self.journal = JournalBucket(self.settings.backup_bucket(SCOPE), "chat", SCOPE, client=s3)
        self.balancer, self.executions = FakeLoadBalancer({ACTIVE: 100, STANDBY: 0}), FakeExecutions(ARN)
        self.messenger, self.metrics, self.pointer = FakeMessenger(), FakeMetrics(), FakeConfigPointer()
        self.store, self.servers, self.resumed = FakeModelStore(), Servers(self), 0
        replicas = {ACTIVE: builders.addresses(ACTIVE, 4), STANDBY: builders.addresses(STANDBY, 2)}
        self._begin(replicas)
        parts: dict[str, Any] = {
            "cluster_table": self.scopes, "region_table": self.regions, "config_table": self.table,
            "config_bucket": self.texts, "config_pointer": self.pointer, "model_table": self.models,
            "load_balancer": self.balancer, "executions": self.executions, "messenger": self.messenger,
            "metrics": self.metrics, "clock": self, "inventory": FakeInventory(replicas), "settings": self.settings,
        }  # fmt: skip
        for name, part in parts.items():
            patch.setattr(bootstrap, name, lambda part=part: part)
        patch.setattr(bootstrap, "model_store", lambda _region: self.store)
        patch.setattr(bootstrap, "prober", lambda _model: self.servers)
        patch.setattr(bootstrap_backup, "settings", lambda: self.settings)
        patch.setattr(bootstrap_backup, "backups", lambda: self.bucket)
        patch.setattr(bootstrap_backup, "state_tables", lambda: self.tables)
        patch.setattr(bootstrap_backup, "restore_log", lambda: self.log)
        patch.setattr(bootstrap_journals, "state_journal", lambda: self.journal)

    def now(self) -> float:
        self.moment += 0.001  # so that what is done later is later
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds

    def _empty(self, bucket: str) -> None:
        self.s3.create_bucket(Bucket=bucket)
        for each in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            self.s3.delete_object(Bucket=bucket, Key=each["Key"])

    def _begin(self, replicas: Mapping[str, Any]) -> None:
        text = config_versions.canonical_text(self.document())
        self.version = ConfigVersion(7, config_versions.sha256(text))
        self.texts.put_version(self.version, text)
        config = builders.fleet(**self.changes)
        self.table.write_standing(config, seen_revision=0, synced=Synced(self.version, 5, config.digest(), "ada", NOW))
        self.pointer.value = pointer_text(self.version)
        kept = ModelObject("model.safetensors", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest(), checksum(WEIGHTS), 1)
        meant = Manifest("tiny", None, "models/tiny/v1/", "safetensors", (kept,))
        self.store.objects = {OBJECT: WEIGHTS, manifest.manifest_key("tiny", None): meant.canonical().encode()}
        self.models.write_model(
            ModelRecord("tiny", None, ModelState.LIVE, meant.digest(), SCOPE, "", NOW, live_since=NOW)
        )
        self.scopes.create(builders.record())
        self.regions.write_switch(builders.switch())
        self.scopes.write_replicas(replicas, now=NOW)
        self.assess()

    changes: Mapping[str, Any] = {"failover": {"require_node_report": False}}

    def document(self) -> dict[str, Any]:
        return builders.document(**self.changes)

    def assess(self, **verdicts: Verdict) -> None:
        """The watch judges both clusters now. By the clusters' ids with `_` for `-`."""
        for name, expected in ((ACTIVE, 4), (STANDBY, 2)):
            verdict = verdicts.get(name.replace("-", "_"), Verdict.HEALTHY)
            passing = expected if verdict is Verdict.HEALTHY else 0
            self.scopes.write_assessments([Assessment(name, verdict, "as a test says", passing, expected, self.now())])

    def back_up(self, later: float = 0.0) -> Walk:
        self.moment += later
        walk = Walk("backup", "arn", wait=lambda _: None, instead={"Checkpoint": lambda _: {"open": [], "waiting": 0}})
        self.answer = walk.run({})
        return walk

    def rehearse(self) -> Walk:
        walk = Walk("restore_rehearsal", "arn", wait=lambda _: None)
        self.answer = walk.run({})
        return walk

    def restore(self, arn: str = ARN, *, killed_before: str = "", **asked: Any) -> Walk:
        def wait(seconds: float) -> None:
            self.moment += seconds
            self.assess(**({"use1_a": Verdict.UNHEALTHY} if ACTIVE in self.servers.dead else {}))

        def resume(_: object) -> dict[str, bool]:
            self.resumed += 1
            return {"started": True}

        def kill(_: object) -> None:
            raise Killed

        instead: dict[str, Any] = {"ResumeRequests": resume}
        if killed_before:
            instead[killed_before] = kill
        self.executions.running.add(arn)
        walk = Walk("restore", arn, wait=wait, instead=instead)
        try:
            self.answer = walk.run({**CHOSEN, **asked})
        finally:
            self.executions.running.discard(arn)
        return walk

    def ended(self, arn: str = ARN) -> dict[str, Any]:
        """What EventBridge does when an execution was stopped."""
        detail = {"executionArn": arn, "status": "ABORTED"}
        return put_back_restore.handler({"source": "aws.states", "detail": detail}, Context())

    def known(self) -> ControlState:
        return self.tables.understood(self.tables.read_decisive())

    def matters(self) -> tuple[Any, ...]:
        """What a restore puts back, without the numbers that only grow."""
        found = self.known()
        assert found.scope is not None
        assert found.standing is not None
        desired = found.scope.desired
        return (
            dict(desired.weights), dict(desired.roles), found.standing.text, found.standing.synced,
            [(each.model, each.state) for each in found.models],
            self.regions.read_brake().of(SCOPE).automation, found.scope.lease.holder,
        )  # fmt: skip

    def switch_here(self) -> Automation:
        return self.regions.read_brake().of(SCOPE).automation

    def overwrite(self, name: str, item: Mapping[str, Any], partition: str = SCOPE) -> None:
        """What a script does that nobody checked."""
        self.dynamodb.put_item(TableName=self.name, Item={"pk": {"S": partition}, "sk": {"S": name}, **item})

    def ruin(self) -> None:
        """Roles, weights and configuration are overwritten, and the model's record is gone."""
        self.overwrite("SCOPE", {"token": {"N": "4"}, "weights": {"S": "oops"}})
        self.overwrite("CONFIG", {"document": {"S": "oops"}})
        name = json.dumps(["tiny", None])
        self.dynamodb.delete_item(TableName=self.name, Key={"pk": {"S": f"{SCOPE}#MODELS"}, "sk": {"S": name}})

    def journalled(self, before: Mapping[ItemKey, Mapping[str, Any]], at: float, sequence: int) -> None:
        """What the table's stream would have brought to the bucket since `before`."""
        after = self.tables.scan()
        changes = [
            Change(key, sequence + number, float(int(at)), before.get(key), after.get(key))
            for number, key in enumerate(sorted({*before, *after}))
            if before.get(key) != after.get(key)
        ]
        for table in ("cluster", "regions"):
            if own := [each for each in changes if each.key.table == table]:
                self.journal.write(table, own)
