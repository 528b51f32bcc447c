"""ClusterTable on DynamoDB: every condition, fencing, and what is refused when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from standfast.aws.calls import config
from standfast.aws.cluster_table import ClusterTable
from standfast.aws.config_table import ConfigTable
from standfast.capacity import Load, Reading
from standfast.checks import Check, Checked, CheckName, NodeFinding, NodeHealth
from standfast.errors import (
    AccessDeniedError,
    ConflictError,
    CorruptStateError,
    FencedError,
    StandfastError,
    ThrottledError,
    UnavailableError,
    UnknownScopeError,
)
from standfast.fleet import FleetConfig, Role
from standfast.golden import Golden
from standfast.golden_store import GoldenAnswers
from standfast.health import Verdict
from standfast.lease import Lease, Purpose
from standfast.model_versions import CanaryLoad, ModelUpdate, ModelVersion, ReplicaPhase, ServedModel
from standfast.stores import HealthChange, Told
from standfast.traffic import Move
from standfast.xids import Action
from tests.builders import (
    ACTIVE,
    EXECUTION,
    NOW,
    SCOPE,
    STANDBY,
    addresses,
    assessment,
    desired,
    fleet,
    lease,
    record,
)

MOVE = Move(ACTIVE, STANDBY, {ACTIVE: 100, STANDBY: 0})
TABLE = "standfast-clusters"
GRANTED = Lease(4, EXECUTION, Purpose.FAILOVER, NOW)
OTHER = EXECUTION.replace(":one", ":two")


@pytest.fixture(scope="module")
def dynamodb(aws: str) -> Any:
    return boto3.client("dynamodb", region_name=aws)


@pytest.fixture
def client(dynamodb: Any) -> Iterator[Any]:
    """A DynamoDB client with the table, empty."""
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield dynamodb
    dynamodb.delete_table(TableName=TABLE)


@pytest.fixture
def table(client: Any) -> ClusterTable:
    return ClusterTable(TABLE, SCOPE, client)


@pytest.fixture
def held(table: ClusterTable) -> ClusterTable:
    """A table whose scope is held under token 4."""
    table.create(record())
    table.grant(SCOPE, seen=lease(), lease=GRANTED)
    return table


def put_attribute(client: Any, name: str, attribute: str, value: dict[str, Any] | None) -> None:
    """Change or remove one attribute of an item, as a person at the console does."""
    key = {"pk": {"S": SCOPE}, "sk": {"S": name}}
    client.update_item(
        TableName=TABLE,
        Key=key,
        ExpressionAttributeNames={"#a": attribute},
        **(
            {"UpdateExpression": "SET #a = :v", "ExpressionAttributeValues": {":v": value}}
            if value
            else {"UpdateExpression": "REMOVE #a"}
        ),
    )


# Lease and desired state


def test_a_record_is_read_as_it_was_created(table: ClusterTable) -> None:
    state = desired({ACTIVE: 60, STANDBY: 40}, superseded=({ACTIVE: 100}, {STANDBY: 100, ACTIVE: 0}))
    whole = record(state, lease(9, EXECUTION, Purpose.ROLLOUT), attempts=2, not_before=NOW + 0.123456)
    assert table.create(whole)
    assert table.read(SCOPE) == whole


def test_a_first_record_does_not_replace_one_that_is_there(table: ClusterTable) -> None:
    assert table.create(record())
    assert not table.create(record(desired(version=99)))
    assert table.read(SCOPE) == record()


def test_an_unknown_scope_is_said(table: ClusterTable) -> None:
    with pytest.raises(UnknownScopeError, match="nothing is known of us-east-1; apply a FleetConfig"):
        table.read(SCOPE)


def test_a_free_lease_is_granted_as_it_was_seen(held: ClusterTable) -> None:
    assert held.read(SCOPE) == record(held=GRANTED)


@pytest.mark.parametrize(
    "seen",
    [lease(3), lease(3, OTHER), lease(4), lease(4, OTHER), lease(5, EXECUTION)],
    ids=["older and free", "older", "it was free", "another holder", "later"],
)
def test_a_lease_that_changed_hands_is_not_granted(held: ClusterTable, seen: Lease) -> None:
    with pytest.raises(ConflictError, match=f"changed hands since token {seen.token} was read"):
        held.grant(SCOPE, seen=seen, lease=Lease(seen.token + 1, OTHER, Purpose.FAILOVER, NOW))
    assert held.read(SCOPE).lease == GRANTED


def test_a_held_lease_is_replaced_by_whoever_saw_it(held: ClusterTable) -> None:
    following = Lease(5, OTHER, Purpose.FAILOVER, NOW + 1)
    held.grant(SCOPE, seen=GRANTED, lease=following)
    assert held.read(SCOPE).lease == following


def test_no_lease_of_an_unknown_scope_is_granted(table: ClusterTable) -> None:
    with pytest.raises(ConflictError):
        table.grant(SCOPE, seen=lease(0), lease=GRANTED)


def test_a_release_keeps_the_token_and_may_be_repeated(held: ClusterTable) -> None:
    for _ in range(2):
        held.release(SCOPE, token=4, attempts=1, not_before=NOW + 60)
    found = held.read(SCOPE)
    assert (found.lease.token, found.lease.holder, found.lease.purpose) == (4, None, None)
    assert (found.attempts, found.not_before) == (1, NOW + 60)


def test_a_stale_token_releases_nothing(held: ClusterTable) -> None:
    with pytest.raises(FencedError, match="token 3 of us-east-1 is stale; the lease is at token 4"):
        held.release(SCOPE, token=3, attempts=9, not_before=0)
    assert held.read(SCOPE) == record(held=GRANTED)


def test_desired_state_is_written_under_the_lease(held: ClusterTable) -> None:
    following = desired().next(
        token=4,
        reason="moved",
        now=NOW,
        weights={ACTIVE: 0, STANDBY: 100},
        roles={ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE},
    )
    held.write_desired(SCOPE, token=4, seen_version=7, desired=following)
    assert held.read(SCOPE) == record(following, GRANTED)


def test_a_stale_token_writes_nothing(held: ClusterTable) -> None:
    with pytest.raises(FencedError, match="token 3 of us-east-1 is stale; the lease is at token 4"):
        held.write_desired(SCOPE, token=3, seen_version=7, desired=desired(version=8))
    assert held.read(SCOPE).desired == desired()


def test_a_token_whose_lease_was_released_writes_nothing(held: ClusterTable) -> None:
    held.release(SCOPE, token=4, attempts=0, not_before=0)
    with pytest.raises(FencedError):
        held.write_desired(SCOPE, token=4, seen_version=7, desired=desired(version=8))
    assert held.read(SCOPE).desired == desired()


def test_a_version_that_moved_on_is_a_conflict_and_not_a_fence(held: ClusterTable) -> None:
    """Also what a repeated write comes to when its first answer was lost."""
    held.write_desired(SCOPE, token=4, seen_version=7, desired=desired(version=8))
    with pytest.raises(ConflictError, match="is at version 8, not 7"):
        held.write_desired(SCOPE, token=4, seen_version=7, desired=desired(version=8))


def test_no_desired_state_of_an_unknown_scope_is_written(table: ClusterTable) -> None:
    with pytest.raises(FencedError):
        table.write_desired(SCOPE, token=0, seen_version=0, desired=desired())


# Configuration and switch


def apply(table: ClusterTable, config: FleetConfig | None = None) -> None:
    """Put a configuration in force."""
    ConfigTable(TABLE, SCOPE, table._client).write_standing(config or fleet(), seen_revision=0, synced=None)


def test_no_configuration_is_an_unknown_scope(table: ClusterTable) -> None:
    with pytest.raises(UnknownScopeError, match="start sync-config"):
        table.read_config()


# Evidence and the relay


def checked(at: float, verdict: Verdict = Verdict.HEALTHY) -> Checked:
    return Checked(ACTIVE, verdict, "as built by a test", tuple(Check(name, verdict, "so") for name in CheckName), at)


def ready(table: ClusterTable) -> ClusterTable:
    table.create(record())
    apply(table)
    return table


def test_an_older_assessment_never_replaces_a_newer_one(table: ClusterTable) -> None:
    newer = assessment(ACTIVE, Verdict.UNHEALTHY, "0 of 4", assessed_at=NOW, since=NOW - 3.5)
    ready(table).write_assessments([newer, assessment(STANDBY)])
    table.write_assessments([assessment(ACTIVE, assessed_at=NOW - 1), assessment(STANDBY, assessed_at=NOW + 1)])
    found = table.view().assessments
    assert found[ACTIVE] == newer
    assert found[STANDBY].assessed_at == NOW + 1


def test_an_assessment_counts_saturated_replicas_and_one_of_an_earlier_version_none(table: ClusterTable) -> None:
    busy = replace(assessment(), saturated=3, late=4)
    ready(table).write_assessments([busy])
    assert table.view().assessments == {ACTIVE: busy}
    table._client.update_item(
        TableName=table._table, Key=table._key(SCOPE, f"ASSESSMENT#{ACTIVE}"), UpdateExpression="REMOVE saturated, late"
    )
    assert table.view().assessments == {ACTIVE: assessment()}


def test_the_five_checks_and_what_the_nodes_reported_are_read_back(table: ClusterTable) -> None:
    nodes = NodeHealth(ACTIVE, NOW - 4.5, (NodeFinding("i-1", Verdict.DEGRADED, "a row is to be remapped"),))
    ready(table).write_checks(checked(NOW), nodes)
    table.write_checks(checked(NOW - 30, Verdict.UNHEALTHY), replace(nodes, reported_at=NOW - 40))  # comes late
    table.write_checks(checked(NOW + 30), None)  # the nodes gave no evidence: what they said last stands, and grows old
    view = table.view()
    assert view.checks == {ACTIVE: checked(NOW + 30)}
    assert view.nodes == {ACTIVE: nodes}


def test_writing_the_same_assessment_twice_is_no_error(table: ClusterTable) -> None:
    ready(table)
    for _ in range(2):
        table.write_assessments([assessment()])
    assert table.view().assessments == {ACTIVE: assessment()}


def test_everything_is_seen_at_once(table: ClusterTable) -> None:
    ready(table)
    registered = {ACTIVE: addresses(ACTIVE, 4), STANDBY: []}
    table.write_replicas(registered, now=NOW)
    table.record(Told("an-incident", SCOPE, ACTIVE, "it failed", "completed", NOW))
    view = table.view()
    assert view.scope == record()
    assert (view.applied.version, view.applied.config) == (1, fleet())
    assert view.replicas == registered
    assert (view.assessments, view.relay) == ({}, 0)


def test_a_view_of_nothing_is_an_unknown_scope(table: ClusterTable) -> None:
    with pytest.raises(UnknownScopeError, match="there is nothing to watch"):
        table.view()
    table.create(record())
    with pytest.raises(UnknownScopeError, match="no FleetConfig was applied"):
        table.view()


def test_a_view_larger_than_a_page_is_whole(table: ClusterTable) -> None:
    ready(table)
    table.write_replicas({ACTIVE: addresses(ACTIVE, 1000)}, now=NOW)
    many = [assessment(f"use1-{number:03}", reason="x" * 20_000) for number in range(60)]
    table.write_assessments(many)
    assert len(table.view().assessments) == 60


def test_generations_of_the_relay_grow_and_the_latest_that_took_over_has_it(table: ClusterTable) -> None:
    ready(table)
    assert [table.enter(), table.enter(), table.enter()] == [1, 2, 3]
    assert table.view().relay == 0
    table.take_over(2)
    table.take_over(2)
    assert table.view().relay == 2
    table.take_over(1)
    assert table.view().relay == 2
    table.take_over(3)
    assert table.view().relay == 3


def test_an_incident_is_told_once_of_each_outcome(table: ClusterTable) -> None:
    assert table.outcome("an-incident", since=0) is None
    for outcome in ("started", "completed", "completed"):
        table.record(Told("an-incident", SCOPE, ACTIVE, "it failed", outcome, NOW))
        assert table.outcome("an-incident", since=0) == outcome
    assert table.outcome("another", since=0) is None
    assert table.outcome("an-incident", since=NOW + 86400) is None


def test_an_acknowledged_incident_is_not_told_again_until_there_is_something_new(table: ClusterTable) -> None:
    assert not table.acknowledge("an-incident", by="ana", now=NOW)
    told = Told("an-incident", SCOPE, ACTIVE, "it failed", "failed", NOW)
    table.record(told)
    assert table.acknowledge("an-incident", by="ana", now=NOW)
    assert table.outcome("an-incident", since=NOW + 86400) == "failed"
    table.record(told)
    assert table.outcome("an-incident", since=NOW + 86400) is None


# What cannot be understood


READERS: list[tuple[str, Callable[[ClusterTable], object]]] = [
    ("SCOPE", lambda table: table.read(SCOPE)),
    ("SCOPE", lambda table: table.view()),
    ("CONFIG", lambda table: table.read_config()),
    ("CONFIG", lambda table: table.view()),
    ("REPLICAS", lambda table: table.view()),
    (f"ASSESSMENT#{ACTIVE}", lambda table: table.view()),
]


@pytest.mark.parametrize(("name", "read"), READERS)
@pytest.mark.parametrize("schema", [{"N": "2"}, {"S": "1"}, None], ids=["later", "text", "none"])
def test_an_item_of_another_schema_is_refused(
    table: ClusterTable, client: Any, name: str, read: Callable[[ClusterTable], object], schema: dict[str, Any] | None
) -> None:
    ready(table)
    table.write_replicas({}, now=NOW)
    table.write_assessments([assessment()])
    put_attribute(client, name, "schema", schema)
    with pytest.raises(CorruptStateError, match=f"{name} has schema version .*, this release knows 1; .*put the right"):
        read(table)


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("SCOPE", "version", None),
        ("SCOPE", "weights", {"M": {ACTIVE: {"N": "0"}}}),
        ("SCOPE", "roles", {"M": {ACTIVE: {"S": "primary"}}}),
        ("SCOPE", "purpose", {"S": "fun"}),
        ("SCOPE", "updated_at", {"S": "yesterday"}),
        ("REPLICAS", "clusters", {"L": []}),
        (f"ASSESSMENT#{ACTIVE}", "verdict", {"S": "fine"}),
        ("CONFIG", "document", {"S": "{"}),
        ("CONFIG", "document", {"S": "[]"}),
        ("CONFIG", "sha256", {"S": "0" * 64}),
    ],
)
def test_an_item_that_was_spoilt_by_hand_is_refused_by_name(
    table: ClusterTable, client: Any, name: str, attribute: str, value: dict[str, Any] | None
) -> None:
    ready(table)
    table.write_replicas({}, now=NOW)
    table.write_assessments([assessment()])
    put_attribute(client, name, attribute, value)
    with pytest.raises(CorruptStateError, match=f"the item {name} cannot be understood .*put the right one back"):
        table.view()


def test_a_configuration_that_was_changed_in_the_table_is_refused_by_its_hash(table: ClusterTable, client: Any) -> None:
    ready(table)
    poisoned = fleet(failover={"drain_seconds": 0}).canonical()
    put_attribute(client, "CONFIG", "document", {"S": poisoned})
    with pytest.raises(CorruptStateError, match="SHA-256 does not fit its text"):
        table.read_config()


# Errors of AWS


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, ThrottledError),
        ("ProvisionedThroughputExceededException", 400, ThrottledError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("InternalServerError", 500, UnavailableError),
        ("ValidationException", 400, StandfastError),
    ],
)
def test_errors_of_dynamodb_become_ours(code: str, status: int, error: type[StandfastError]) -> None:
    client = boto3.client(
        "dynamodb",
        region_name=SCOPE,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config(attempts=1),
    )
    with Stubber(client) as stubber:
        stubber.add_client_error("update_item", code, "as AWS says it", status)
        with pytest.raises(error, match=f"UpdateItem SCOPE: {code}: as AWS says it") as caught:
            ClusterTable(TABLE, SCOPE, client).release(SCOPE, token=1, attempts=0, not_before=0)
    assert type(caught.value) is error


def test_a_time_out_is_unavailable(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(**_arguments: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://dynamodb")

    monkeypatch.setattr(client, "get_item", no_answer)
    with pytest.raises(UnavailableError, match="GetItem SCOPE: no answer"):
        ClusterTable(TABLE, SCOPE, client).read(SCOPE)


def test_a_call_that_is_wrong_is_a_fault_and_not_worth_a_retry(client: Any) -> None:
    """botocore refuses it before it is sent: trying again cannot help."""
    with pytest.raises(StandfastError) as caught:
        ClusterTable("", SCOPE, client).read(SCOPE)
    assert type(caught.value) is StandfastError


# Golden answers

ANSWERS = (Golden("0f3a", "The capital of France is", " Paris", -0.123456789012), Golden("5c81", "…", "", -2.0))


def golden(version: str | None = "v7") -> GoldenAnswers:
    return GoldenAnswers("chat", version, ANSWERS, ACTIVE, "after the rollout", NOW)


def test_golden_answers_are_read_as_they_were_written_by_model_and_version(table: ClusterTable) -> None:
    table.write_golden(golden())
    table.write_golden(golden())
    assert table.read_golden("chat", "v7") == ANSWERS
    assert table.read_golden("chat", "v8") == table.read_golden("chat", None) == table.read_golden("chat2", "v7") == ()


def test_golden_answers_without_a_version_are_read_without_one(table: ClusterTable) -> None:
    table.write_golden(golden(None))
    assert table.read_golden("chat", None) == ANSWERS
    assert table.read_golden("chat", "None") == ()


def test_golden_answers_are_not_among_what_the_watch_reads(table: ClusterTable, client: Any) -> None:
    table.write_golden(golden())
    found = client.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": SCOPE}}
    )
    assert found["Items"] == []


def test_golden_answers_that_cannot_be_understood_are_refused(table: ClusterTable, client: Any) -> None:
    table.write_golden(golden())
    key = {"pk": {"S": f"{SCOPE}#GOLDEN"}, "sk": {"S": '["chat", "v7"]'}}
    client.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET answers = :v",
        ExpressionAttributeValues={":v": {"L": [{"M": {"nonce": {"S": "0f3a"}}}]}},
    )
    with pytest.raises(CorruptStateError, match="golden answers of chat"):
        table.read_golden("chat", "v7")


def test_a_configuration_of_an_earlier_release_is_read_with_todays_defaults(table: ClusterTable, client: Any) -> None:
    """Its text names fewer fields than ours would, and its hash is that of its text."""
    document = json.loads(fleet().canonical())
    del document["objectives"]["between_tokens_seconds"]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    apply(table)
    put_attribute(client, "CONFIG", "document", {"S": text})
    with pytest.raises(CorruptStateError):
        table.read_config()
    put_attribute(client, "CONFIG", "sha256", {"S": hashlib.sha256(text.encode()).hexdigest()})
    assert table.read_config().config == fleet()


def test_a_planned_move_under_way_is_remembered_and_forgotten(table: ClusterTable) -> None:
    table.create(record(desired(), GRANTED))
    begun = desired().next(token=4, reason="stage 1", now=NOW, weights={ACTIVE: 90, STANDBY: 10}, move=MOVE)
    table.write_desired(SCOPE, token=4, seen_version=7, desired=begun)
    assert table.read(SCOPE).desired == begun
    ended = begun.next(
        token=4, reason="done", now=NOW, roles={ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}, ends_move=True
    )
    table.write_desired(SCOPE, token=4, seen_version=8, desired=ended)
    found = table.read(SCOPE).desired
    assert (found.move, found.moved_at) == (None, NOW)


def test_a_first_record_may_hold_a_planned_move(table: ClusterTable) -> None:
    first = record(replace(desired({ACTIVE: 50, STANDBY: 50}), move=MOVE, moved_at=NOW - 60))
    table.create(first)
    assert table.read(SCOPE) == first


def test_what_clusters_serve_is_read_back_with_the_update_that_is_under_way(table: ClusterTable) -> None:
    first = record(replace(desired(), models={STANDBY: ServedModel(ModelVersion("tiny", "v8"), ModelVersion("tiny"))}))
    table.create(first)
    assert table.read(SCOPE) == first
    table.grant(SCOPE, seen=first.lease, lease=GRANTED)
    update = ModelUpdate("roll-1", ModelVersion("tiny", "v8"), NOW, canary=CanaryLoad.ASKED).with_replica(
        "i-1:8000", ReplicaPhase.OUT, "http://10.0.0.1:8000"
    )
    served = ServedModel(ModelVersion("tiny"), ModelVersion("tiny"), update.reverted("worse"))
    begun = first.desired.next(token=4, reason="update", now=NOW, models={ACTIVE: served})
    table.write_desired(SCOPE, token=4, seen_version=7, desired=begun)
    assert table.read(SCOPE).desired == begun
    ended = begun.next(token=4, reason="done", now=NOW, models={ACTIVE: None})
    table.write_desired(SCOPE, token=4, seen_version=8, desired=ended)
    assert table.read(SCOPE).desired.models == first.desired.models


def test_a_load_is_read_back_and_an_older_one_replaces_nothing(table: ClusterTable) -> None:
    table.create(record())
    apply(table)
    measured = Load(ACTIVE, NOW, Reading(4, 12, 3, 0.25, 4711.0, 4), (15, 9), 80.5, 4, 20.25)
    table.write_load(measured)
    table.write_load(replace(measured, measured_at=NOW - 30, running=()))
    table.write_load(Load(STANDBY, NOW, Reading(0)))
    assert table.view().loads == {ACTIVE: measured, STANDBY: Load(STANDBY, NOW, Reading(0))}


# HistoryStore


def test_changes_are_read_the_newest_first_and_of_one_cluster(table: ClusterTable, client: Any) -> None:
    for second in range(12):
        for cluster_id in (ACTIVE, f"{ACTIVE}2"):
            table.write_change(HealthChange(cluster_id, NOW + second, "healthy", "degraded", f"reason {second}"))
    found = table.changes(ACTIVE, 3)
    assert [(change.cluster_id, change.reason) for change in found] == [
        (ACTIVE, "reason 11"), (ACTIVE, "reason 10"), (ACTIVE, "reason 9")
    ]  # fmt: skip
    assert found[0] == HealthChange(ACTIVE, NOW + 11, "healthy", "degraded", "reason 11")
    (item,) = client.query(
        TableName=TABLE,
        Limit=1,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{SCOPE}#HISTORY"}},
    )["Items"]
    assert float(item["expires_at"]["N"]) == NOW + 30 * 86_400


def test_a_change_written_twice_is_one(table: ClusterTable) -> None:
    change = HealthChange(ACTIVE, NOW, "", "healthy", "4 of 4 replicas answered the canary")
    for _ in range(2):
        table.write_change(change)
    assert list(table.changes(ACTIVE, 5)) == [change]
    assert list(table.changes(STANDBY, 5)) == []


def test_a_thousand_nodes_at_fault_fit_an_item_however_much_is_said_of_each(table: ClusterTable) -> None:
    """DynamoDB refuses an item above 400 KB, and moto does."""
    nodes = tuple(
        NodeFinding(f"i-{number:017x}", Verdict.UNHEALTHY, "\N{SNOWMAN}" * 2_000, Action.REPLACE, ("xid", "ecc"))
        for number in range(1_000)
    )
    checks = tuple(Check(name, Verdict.UNHEALTHY, "all of them") for name in CheckName)
    table.create(record())
    apply(table)
    table.write_checks(Checked(ACTIVE, Verdict.UNHEALTHY, "", checks, NOW), NodeHealth(ACTIVE, NOW, nodes))
    found = table.view().nodes[ACTIVE]
    assert len(found.nodes) == 1_000
    assert found.nodes[0].reason == "\N{SNOWMAN}" * 100
    assert found.nodes[0].action is Action.REPLACE


def test_of_a_few_nodes_all_is_kept_that_is_said(table: ClusterTable) -> None:
    checks = tuple(Check(name, Verdict.UNHEALTHY, "all of them") for name in CheckName)
    table.create(record())
    apply(table)
    node = NodeFinding("i-1", Verdict.UNHEALTHY, "x" * 2_000)
    table.write_checks(Checked(ACTIVE, Verdict.UNHEALTHY, "", checks, NOW), NodeHealth(ACTIVE, NOW, (node,) * 8))
    assert table.view().nodes[ACTIVE].nodes[0].reason == "x" * 2_000
