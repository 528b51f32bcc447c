"""`backup`, `restore` and `restore_rehearsal` with their own handlers on tables and buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from standfast import backup
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.lease import Lease, Purpose
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.restore_world import ARN, OBJECT, REGIONS_TABLE, Killed, World

FROZEN = (
    "RestoreModels",
    "RestoreConfig",
    "ProveClusters",
    "RestoreTraffic",
    "ResumeRequests",
    "SmokeTest",
    "CommitRestore",
)


@pytest.fixture
def world(state_table: str, dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    keys = {"pk": "HASH", "sk": "RANGE"}
    dynamodb.create_table(
        TableName=REGIONS_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
    )
    yield World(monkeypatch, state_table)
    dynamodb.delete_table(TableName=REGIONS_TABLE)


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def drained(world: World, seconds: int) -> None:
    """Somebody changes the configuration by hand."""
    config = builders.fleet(failover={"require_node_report": False, "drain_seconds": seconds})
    found = world.table.standing()
    world.table.write_standing(config, seen_revision=found.revision, synced=found.synced)


def test_a_backup_is_read_back_before_it_is_pointed_at_and_says_so(world: World) -> None:
    walk = world.back_up()
    assert walk.visited == ["Checkpoint", "TakeSnapshot", "VerifySnapshot", "BackedUp"]
    assert world.log.last_backup().snapshot_id == world.answer["verified"]["snapshot_id"]
    assert [kind for kind, _ in world.messenger.events] == ["BackupCompleted"]
    assert world.metrics.values("BackupVerified") == [1.0]
    assert not world.messenger.pages


def test_what_could_not_be_restored_is_not_backed_up(world: World) -> None:
    world.back_up()
    good = world.log.last_backup()
    world.ruin()
    walk = world.back_up(later=3600)
    assert walk.error == "BackupFailed"
    assert "cannot be understood" in walk.cause
    assert world.log.last_backup() == good
    assert [kind for kind, _ in world.messenger.events] == ["BackupCompleted", "BackupFailed"]
    assert world.metrics.values("BackupVerified") == [1.0, 0.0]


def test_a_ruined_region_is_restored_to_what_it_was(world: World) -> None:
    before = world.matters()
    world.back_up()
    world.ruin()
    walk = world.restore()
    assert walk.visited[-1] == "Restored", walk.cause
    assert world.matters() == before
    assert world.resumed == 1
    assert world.log.read_undo() is None
    assert [kind for kind, _ in world.messenger.events][-1] == "RestoreCompleted"
    assert world.answer["committed"]["data_loss_window_seconds"] < 1


def test_tokens_and_versions_never_go_back(world: World) -> None:
    world.back_up()
    world.ruin()
    world.restore()
    found = world.known().scope
    assert found is not None
    assert found.lease.token > 1_000_000
    assert found.desired.version > 1_000_000


def test_a_dry_run_says_what_would_change_and_changes_nothing(world: World) -> None:
    world.back_up()
    drained(world, 77)
    before = world.matters()
    walk = world.restore(dryRun=True)
    assert walk.visited == ["PlanRestore", "IsDryRun", "Planned"]
    assert world.answer["changes"] == ["configuration: failover.drain_seconds: 77 becomes 30"]
    assert world.matters() == before
    assert world.log.read_undo() is None


def test_nothing_is_changed_twice_where_everything_is_as_it_is_wanted(world: World) -> None:
    world.back_up()
    revision = world.table.standing().revision
    walk = world.restore()
    assert walk.visited[-1] == "Restored"
    assert world.answer["changes"] == []
    assert world.table.standing().revision == revision
    assert world.balancer.writes == []


@pytest.mark.parametrize("killed_before", FROZEN)
def test_a_restore_that_is_killed_is_put_back(world: World, killed_before: str) -> None:
    world.back_up()
    drained(world, 77)
    before = world.matters()
    with pytest.raises(Killed):
        world.restore(killed_before=killed_before)
    assert world.switch_here() is Automation.OFF
    assert world.ended()["said"]
    assert world.matters() == before
    assert world.log.read_undo() is None
    assert [kind for kind, _ in world.messenger.events][-1] == "RestoreFailed"
    assert world.restore(ARN + "-again").visited[-1] == "Restored"


@pytest.mark.long
@pytest.mark.parametrize("killed_before", FROZEN)
def test_what_was_in_ruins_stays_restored_when_the_restore_is_killed(world: World, killed_before: str) -> None:
    world.back_up()
    world.ruin()
    with pytest.raises(Killed):
        world.restore(killed_before=killed_before)
    world.ended()
    assert world.switch_here() is Automation.RUN
    assert world.log.read_undo() is None
    assert world.restore(ARN + "-again").visited[-1] == "Restored"
    assert world.known().unreadable == {}


def test_a_service_that_does_not_answer_afterwards_puts_back_what_was(world: World) -> None:
    world.back_up()
    drained(world, 77)
    before = world.matters()
    world.servers.dead = {"entry"}
    walk = world.restore()
    assert walk.visited[-3:] == ["SmokeTest", "PutBackRestore", "RestoreFailed"]
    assert "NotServingError" in walk.cause
    assert world.matters() == before
    assert len(world.messenger.pages) == 1


def test_traffic_leaves_a_dead_cluster_for_a_proven_one_once_the_watch_sees_again(world: World) -> None:
    world.back_up()
    world.ruin()
    world.servers.dead = {ACTIVE}
    world.moment += 60  # the watch is blind since: nothing is fresh
    walk = world.restore()
    assert walk.visited.count("WaitForProof") == 1
    assert walk.visited[-1] == "Restored"
    assert world.balancer.weights == {ACTIVE: 0, STANDBY: 100}
    found = world.known().scope
    assert found is not None
    assert found.desired.roles == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}


def test_what_failed_since_the_backup_stays_quarantined_and_gets_no_traffic(world: World) -> None:
    world.back_up()
    state = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}, version=9)
    world.dynamodb.delete_item(TableName=world.name, Key={"pk": {"S": SCOPE}, "sk": {"S": "SCOPE"}})
    world.scopes.create(builders.record(replace(state, token=3)))
    world.balancer.weights = {ACTIVE: 0, STANDBY: 100}
    walk = world.restore()
    assert walk.visited[-1] == "Restored"
    assert world.balancer.writes == []
    assert world.matters()[1] == {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
    assert "roles: use1-a is quarantined and stays so: it failed since" in world.answer["changes"]


def test_a_damaged_model_is_not_pointed_at(world: World) -> None:
    world.back_up()
    drained(world, 77)
    world.store.objects[OBJECT] = b"other weights of the same name"
    walk = world.restore()
    assert walk.error == "RestoreRefused"
    assert "tiny is not whole in us-east-1" in walk.cause
    assert world.log.read_undo() is None
    assert world.switch_here() is Automation.RUN


def test_a_failover_at_work_is_not_disturbed(world: World) -> None:
    world.back_up()
    world.executions.running.add(builders.EXECUTION)
    found = world.scopes.read(SCOPE).lease
    world.scopes.grant(SCOPE, seen=found, lease=Lease(4, builders.EXECUTION, Purpose.FAILOVER, NOW))
    walk = world.restore()
    assert walk.error == "RestoreFailed"
    assert "is held by" in walk.cause
    assert world.scopes.read(SCOPE).lease.holder == builders.EXECUTION
    assert world.log.read_undo() is None
    assert world.switch_here() is Automation.RUN


def test_a_failover_that_takes_the_lease_stops_the_restore(world: World) -> None:
    world.back_up()
    drained(world, 77)
    with pytest.raises(Killed):
        world.restore(killed_before="RestoreConfig")
    world.executions.running.add(ARN)
    held = world.scopes.read(SCOPE).lease
    world.scopes.grant(SCOPE, seen=held, lease=Lease(held.token + 1, builders.EXECUTION, Purpose.FAILOVER, NOW))
    world.executions.running.add(builders.EXECUTION)
    walk = world.restore()
    assert walk.error == "RestoreFailed"
    assert world.scopes.read(SCOPE).lease.holder == builders.EXECUTION


def test_two_restores_do_not_meet(world: World) -> None:
    world.back_up()
    with pytest.raises(Killed):
        world.restore(killed_before="RestoreModels")
    walk = world.restore(ARN + "-other")
    assert walk.error == "RestoreFailed"
    assert "restores here, or ended and was not put back" in walk.cause
    undo = world.log.read_undo()
    assert undo is not None
    assert undo.execution_arn == ARN


def test_a_poisoned_newest_backup_is_passed_over_and_named(world: World) -> None:
    world.back_up()
    good = world.log.last_backup().snapshot_id
    drained(world, 77)
    world.back_up(later=3600)
    newest = world.log.last_backup().snapshot_id
    key = backup.part_key(SCOPE, newest, "state")
    body = world.bucket.read(key)
    assert body is not None
    world.s3.put_object(Bucket=world.settings.backup_bucket(SCOPE), Key=key, Body=body.replace(b"77", b"78"))
    world.restore(dryRun=True)
    assert world.answer["snapshot_id"] == good
    (refused,) = world.answer["refused"]
    assert refused == {
        "snapshot_id": newest,
        "reason": f"{newest} was tampered with: its part state is not what the manifest names",
    }
    assert world.restore(snapshot_id=newest).error == "RestoreRefused"


def test_no_good_backup_is_no_restore(world: World) -> None:
    walk = world.restore()
    assert walk.error == "RestoreRefused"
    assert "no backup of us-east-1 is good: there is none" in walk.cause


def test_state_is_put_back_to_a_moment_between_two_snapshots(world: World) -> None:
    world.back_up()
    start = world.tables.scan()
    world.moment += 30
    drained(world, 77)
    world.journalled(start, world.now(), 100)
    meant = world.matters()
    wanted, between = world.now() + 2, world.tables.scan()
    world.moment += 10
    world.ruin()
    world.journalled(between, world.now(), 900)
    world.moment += 5
    walk = world.restore(moment=moment(wanted))
    assert walk.visited[-1] == "Restored", walk.cause
    assert world.matters() == meant
    assert 0 < world.answer["committed"]["data_loss_window_seconds"] <= 5


def test_a_journal_with_a_gap_is_said_and_taken_only_where_it_is_accepted(world: World) -> None:
    world.back_up()
    world.moment += 1000
    walk = world.restore(moment=moment(world.now()), dryRun=True)
    assert walk.error == "RestoreRefused"
    assert "nothing was written for" in walk.cause
    world.restore(moment=moment(world.now()), dryRun=True, accept_gaps=True)
    assert len(world.answer["gaps"]) == 1


def test_a_moment_of_which_nothing_is_known_is_refused(world: World) -> None:
    world.back_up()
    assert "is in the future" in world.restore(moment=moment(world.now() + 60)).cause
    assert world.restore(moment=moment(NOW - 86_400)).error == "RestoreRefused"


def test_a_wrong_input_says_what_is_wrong(world: World) -> None:
    walk = world.restore(snapshot="newest")
    assert walk.error == "RestoreRefused"
    assert "snapshot" in walk.cause


def test_a_rehearsal_proves_the_newest_backup_and_leaves_nothing_behind(world: World) -> None:
    world.back_up()
    before = world.tables.decisive(world.tables.scan())
    walk = world.rehearse()
    assert walk.visited == ["RestoreToScratch", "ProveScratch", "ConcludeRehearsal", "HasSucceeded", "Rehearsed"]
    assert world.log.last_backup().rehearsed_at > NOW
    assert world.metrics.values("RestoreRehearsed") == [1.0]
    assert world.metrics.values("RehearsedRecoverySeconds")[0] > 0
    assert world.tables.decisive(world.tables.scan()) == before
    assert list(world.log.scratch().contents()) == []
    assert not world.messenger.pages
    assert world.balancer.writes == []


def test_a_rehearsal_that_fails_is_paged_and_counts_for_nothing(world: World) -> None:
    world.back_up()
    del world.store.objects[OBJECT]
    walk = world.rehearse()
    assert walk.error == "RehearsalFailed"
    assert world.log.last_backup().rehearsed_at == 0
    assert world.metrics.values("RestoreRehearsed") == [0.0]
    ((subject, text),) = world.messenger.pages
    assert subject == "us-east-1: the rehearsal of a restore failed"
    assert "1 missing (model.safetensors)" in text
    assert list(world.log.scratch().contents()) == []


def test_a_backup_that_was_never_rehearsed_grows_old(world: World) -> None:
    world.back_up()
    world.back_up(later=9 * 86_400)
    assert world.metrics.values("DaysSinceRehearsal")[-1] == pytest.approx(9, abs=0.01)


def test_a_restored_state_may_be_restored_again(world: World) -> None:
    world.back_up()
    world.ruin()
    world.restore()
    world.assess(use1_a=Verdict.HEALTHY)
    world.back_up(later=60)
    world.ruin()
    assert world.restore(ARN + "-2").visited[-1] == "Restored"
