"""The record of the Regions from one state to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.replicated_record import ReplicatedRecord
from standfast import region_moving, region_record
from standfast.errors import (
    ConflictError,
    FencedError,
    InvalidInputError,
    LeaseHeldError,
    NoPeerProvenError,
    UnavailableError,
)
from standfast.region_ports import FULL_WEIGHT, VALID_SECONDS, RegionLease, RegionPurpose, RegionRecord
from tests.builders import NOW
from tests.region_builders import EAST, WATCHER, WEST

SERVING = (EAST, WEST)
EVACUATE, SWITCHOVER = RegionPurpose.EVACUATE, RegionPurpose.SWITCHOVER


def condemn(record: RegionRecord, region: str, now: float = NOW, incident: str = "one") -> RegionRecord:
    return region_record.condemn(
        record, region, serving=SERVING, by=(WATCHER, "another"), reason="it is lost", incident_id=incident, now=now
    )


def test_a_condemned_region_says_by_whom_and_until_when() -> None:
    record = condemn(RegionRecord(RegionLease(5, "arn:one", EVACUATE)), EAST)
    found = record.condemned[EAST]
    assert (found.condemned_by, found.token, record.version, record.written_by) == (("another", WATCHER), 5, 1, 5)
    assert found.holds(NOW + VALID_SECONDS - 0.1)
    assert not found.holds(NOW + VALID_SECONDS)


def test_condemning_twice_keeps_who_and_when_and_makes_it_fresh() -> None:
    once = condemn(RegionRecord(), EAST)
    again = condemn(once, EAST, NOW + 50, "two")
    found = again.condemned[EAST]
    assert (found.condemned_at, found.incident_id, found.valid_until) == (NOW, "one", NOW + 50 + VALID_SECONDS)


def test_the_last_region_is_never_condemned() -> None:
    record = condemn(RegionRecord(), EAST)
    with pytest.raises(
        NoPeerProvenError, match="us-west-2 is not condemned, for no Region would be left to serve: us-east-1"
    ):
        condemn(record, WEST)
    with pytest.raises(NoPeerProvenError, match="there is no other"):
        region_record.condemn(RegionRecord(), EAST, serving=(EAST,), by=(), reason="", incident_id="", now=NOW)


def test_one_that_lapsed_a_moment_ago_may_still_be_told_somewhere() -> None:
    record = condemn(RegionRecord(), EAST)
    with pytest.raises(NoPeerProvenError):
        condemn(record, WEST, NOW + VALID_SECONDS + 4)


def test_what_lapsed_is_forgotten_so_that_nobody_can_revive_it() -> None:
    late = NOW + VALID_SECONDS + 6
    record = condemn(condemn(RegionRecord(), EAST), WEST, late)
    assert set(record.condemned) == {WEST}
    table = ReplicatedRecord()
    table.shared.record = record
    assert not table.at(EAST).confirm(EAST, incident_id="one", valid_until=late + 99, now=late)


def test_what_is_lifted_is_remembered_as_returned() -> None:
    record = region_record.lift(condemn(RegionRecord(), EAST), EAST, reason="it is well", now=NOW + 9)
    assert (dict(record.condemned), dict(record.returned), record.reason) == ({}, {EAST: NOW + 9}, "it is well")


@given(
    st.lists(st.tuples(st.sampled_from(["condemn", "lift"]), st.sampled_from([EAST, WEST, WATCHER]), st.floats(0, 200)))
)
def test_some_region_is_left_after_any_history(moves: list[tuple[str, str, float]]) -> None:
    record, now, serving = RegionRecord(), NOW, {EAST, WEST, WATCHER}
    for move, region, after in moves:
        now += after
        if move == "lift":
            record = region_record.lift(record, region, reason="", now=now)
            continue
        try:
            record = region_record.condemn(
                record, region, serving=serving, by=("a",), reason="", incident_id=f"{now}", now=now
            )
        except NoPeerProvenError:
            continue
        assert record.condemned_now(now) < serving


def test_a_claim_waits_for_the_expiry_and_an_evacuation_does_not_wait_for_a_planned_move() -> None:
    held = RegionLease(4, "arn:one", SWITCHOVER, NOW, NOW + 60)
    assert region_record.claim(held, "arn:one", SWITCHOVER, NOW + 9) == held
    with pytest.raises(LeaseHeldError, match="held by arn:one for switchover, for 10 s more"):
        region_record.claim(held, "arn:two", SWITCHOVER, NOW + 50)
    assert region_record.claim(held, "arn:two", SWITCHOVER, NOW + 60).token == 5
    assert region_record.claim(held, "arn:two", EVACUATE, NOW + 1).token == 5
    with pytest.raises(LeaseHeldError):
        region_record.claim(replace(held, purpose=EVACUATE), "arn:two", EVACUATE, NOW + 1)


@pytest.mark.parametrize(
    ("stage", "home", "weights"),
    [
        (10, False, {EAST: 229, WEST: 26}),
        (100, False, {EAST: 0, WEST: 255}),
        (10, True, {EAST: 25, WEST: 230}),
        (100, True, {EAST: 255, WEST: 0}),
    ],
)
def test_a_stage_as_weights(stage: int, home: bool, weights: dict[str, int]) -> None:
    assert region_record.staged(EAST, [WEST], stage, home=home) == weights


@given(st.integers(1, 100), st.booleans(), st.integers(1, 4))
def test_every_stage_serves_somebody_and_fits_a_record(stage: int, home: bool, count: int) -> None:
    peers = [f"peer-{number}" for number in range(count)]
    weights = region_record.staged(EAST, peers, stage, home=home)
    region_record.check_weights(EAST, weights, [EAST, *peers], ())
    away = (100 - stage) if home else stage
    if away in (0, 100):
        assert sum(weights[peer] for peer in peers) == (0 if away == 0 else FULL_WEIGHT // count * count) or count > 1
        assert (weights[EAST] == 0) == (away == 100)


def test_a_planned_move_remembers_what_was_before_and_an_abort_restores_it() -> None:
    record = RegionRecord(weights={WEST: {WEST: 255, EAST: 0}})
    first = region_record.send(record, EAST, {EAST: 229, WEST: 26}, serving=SERVING, reason="one", now=NOW)
    second = region_record.send(first, EAST, {EAST: 0, WEST: 255}, serving=SERVING, reason="two", now=NOW)
    assert second.before == record.weights
    back = region_record.restored(second, reason="no", now=NOW)
    assert (back.weights, back.before, back.version) == (record.weights, None, 3)
    assert region_record.settle(second, reason="done", now=NOW).weights == second.weights


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({EAST: 0, WEST: 0}, "all are zero"),
        ({EAST: 300}, "us-east-1 has 300; a record takes 0 to 255"),
        ({"eu-west-1": 9}, "eu-west-1 is no Region with clusters"),
        ({EAST: 9, WEST: 9}, "us-west-2 is condemned and gets no users"),
    ],
)
def test_weights_that_must_not_be_written(weights: dict[str, int], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        region_record.send(condemn(RegionRecord(), WEST), EAST, weights, serving=SERVING, reason="", now=NOW)


def test_rollouts_freeze_while_a_region_is_out_or_on_its_way() -> None:
    assert region_record.why_frozen(RegionRecord(), NOW) == ""
    assert region_record.why_frozen(condemn(RegionRecord(), EAST), NOW) == (
        "us-east-1 is condemned (it is lost), and the others carry its users"
    )
    lease = RegionLease(1, "arn:one", SWITCHOVER, NOW, NOW + 60)
    assert region_record.why_frozen(RegionRecord(lease), NOW) == "arn:one moves users between Regions (switchover)"
    assert region_record.why_frozen(RegionRecord(lease), NOW + 60) == ""


def test_a_step_whose_answer_was_lost_is_done_again_and_stays_one_step() -> None:
    lost = iter([True, False, False, True, *[False] * 9])
    table = ReplicatedRecord(lambda: next(lost))
    store = table.at(WEST)
    with pytest.raises(UnavailableError):
        region_moving.take(store, "arn:one", EVACUATE, NOW)
    lease = region_moving.take(store, "arn:one", EVACUATE, NOW)
    assert lease.token == 1

    def made(record: RegionRecord) -> RegionRecord:
        return record if EAST in record.condemned_now(NOW) else condemn(record, EAST)

    with pytest.raises(UnavailableError):
        region_moving.change(store, lease.token, made, NOW)
    assert region_moving.change(store, lease.token, made, NOW).version == 1


def test_cut_off_it_reads_what_it_knew_and_writes_nothing() -> None:
    table = ReplicatedRecord()
    store = table.at(EAST)
    lease = region_moving.take(store, "arn:one", EVACUATE, NOW)
    region_moving.change(store, lease.token, lambda record: condemn(record, WEST), NOW)
    table.isolate(EAST)
    with pytest.raises(UnavailableError):
        region_moving.change(store, lease.token, lambda record: condemn(record, WEST), NOW + 1)
    assert region_moving.keep_fresh(store, NOW + 60) == ()
    other = region_moving.take(table.at(WATCHER), "arn:two", EVACUATE, NOW + 70)
    region_moving.change(
        table.at(WATCHER),
        other.token,
        lambda record: region_record.lift(record, WEST, reason="", now=NOW + 70),
        NOW + 70,
    )
    assert store.glance_at_regions().condemned_now(NOW + 70) == {WEST}
    assert store.glance_at_regions().condemned_now(NOW + VALID_SECONDS) == set()
    table.rejoin(EAST)
    with pytest.raises(FencedError):
        region_moving.change(store, lease.token, lambda record: condemn(record, WEST), NOW + 80)


def test_a_change_that_others_keep_overtaking_gives_up() -> None:
    store = ReplicatedRecord().at(WEST)
    lease = region_moving.take(store, "arn:one", EVACUATE, NOW)

    def overtaken(record: RegionRecord) -> RegionRecord:
        store.write_regions(condemn(record, EAST), token=lease.token, seen_version=record.version)
        return condemn(record, EAST)

    with pytest.raises(ConflictError, match="5 times"):
        region_moving.change(store, lease.token, overtaken, NOW)


def test_each_failed_evacuation_waits_longer_and_a_good_one_forgets() -> None:
    store = ReplicatedRecord().at(WEST)
    waits = []
    for number in range(3):
        lease = region_moving.take(store, f"arn:{number}", EVACUATE, NOW)
        until = region_moving.give_back(store, lease.token, failed=True, retry_seconds=60, now=NOW)
        waits.append((until or 0) - NOW)
    assert waits == [60, 120, 240]
    lease = region_moving.take(store, "arn:good", EVACUATE, NOW)
    region_moving.give_back(store, lease.token, failed=False, retry_seconds=60, now=NOW)
    assert store.read_regions().attempts == 0
    assert region_moving.give_back(store, lease.token - 1, failed=True, retry_seconds=60, now=NOW) is None
