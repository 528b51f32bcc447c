"""What is missing of a model, in which batches it is copied, how far that is, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import replication
from standfast.replication import BATCH_BYTES, BATCH_OBJECTS, MOST_BATCHES, PART_BYTES, Damage, Stored
from standfast.replication_estimate import estimate, prices_as_of, transfer_price
from tests.unit.test_manifest import MANIFEST

FIRST, SECOND, INDEX = (each.path for each in MANIFEST.objects)
WHOLE = {key: Stored(each.size, each.crc64nvme) for key, each in MANIFEST.by_key().items()}
GIB = 1024**3


def key(path: str) -> str:
    return MANIFEST.prefix + path


def test_what_is_there_and_right_is_not_damaged() -> None:
    assert replication.damages(MANIFEST, {**WHOLE, key("something.else"): Stored(1, "x")}) == {}
    assert replication.in_words({}) == ""


def test_each_kind_of_damage_is_told_by_its_kind_and_paths() -> None:
    found = {key(SECOND): Stored(49, "x"), key(INDEX): Stored(7, "x")}
    wrong = replication.damages(MANIFEST, found)
    assert wrong == {FIRST: Damage.MISSING, SECOND: Damage.SIZE, INDEX: Damage.BYTES}
    assert replication.in_words(wrong) == (
        f"1 missing ({FIRST}), 1 of another size ({SECOND}), 1 with other bytes ({INDEX})"
    )
    assert replication.by_kind(wrong) == {"missing": 1, "size": 1, "bytes": 1}


def test_an_object_without_a_checksum_of_the_whole_is_not_believed() -> None:
    assert replication.damages(MANIFEST, {**WHOLE, key(FIRST): Stored(100, "")}) == {FIRST: Damage.BYTES}


def test_of_many_damaged_objects_the_first_are_named_and_the_rest_counted() -> None:
    said = replication.in_words({f"{number:03}": Damage.MISSING for number in range(12)})
    assert said == "12 missing (000, 001, 002, 003, 004 and 7 more)"


@given(st.lists(st.integers(0, 60_000_000_000), max_size=200))
def test_batches_hold_every_object_once_and_little_enough(sizes: list[int]) -> None:
    found = replication.batches(sizes)
    covered = [number for batch in found for number in range(batch.first, batch.first + batch.count)]
    assert covered == list(range(len(sizes)))
    most = max(BATCH_BYTES, sum(sizes) * 2 // MOST_BATCHES)
    for batch in found:
        held = sizes[batch.first : batch.first + batch.count]
        assert 0 < len(held) <= BATCH_OBJECTS
        assert len(held) == 1 or sum(held) <= most


@pytest.mark.parametrize("sizes", [[1] * 100_000, [15_000_000_000] * 2_000])
def test_the_results_of_all_batches_fit_into_one_state(sizes: list[int]) -> None:
    assert len(replication.batches(sizes)) <= MOST_BATCHES


@given(st.integers(1, 40 * GIB))
def test_parts_cover_an_object_without_a_gap(size: int) -> None:
    ranges = replication.part_ranges(size)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size - 1
    assert all(second[0] == first[1] + 1 for first, second in pairwise(ranges))
    assert all(end - begin < PART_BYTES for begin, end in ranges)


def test_the_largest_object_of_s3_has_no_more_parts_than_an_upload() -> None:
    assert len(replication.part_ranges(5_000_000_000_000)) <= 10_000


def test_progress_has_a_rate_and_a_time_that_is_left() -> None:
    found = replication.progress(MANIFEST, {key(FIRST): 100}, bytes_before=50, seconds=10)
    assert (found.objects, found.bytes, found.bytes_in_all, found.bytes_per_second) == (1, 100, 157, 5.0)
    assert found.eta_seconds == pytest.approx(57 / 5)
    stuck = replication.progress(MANIFEST, {key(FIRST): 99}, bytes_before=0, seconds=10)
    assert (stuck.objects, stuck.bytes, stuck.eta_seconds) == (0, 0, None)
    there = {name: stored.size for name, stored in WHOLE.items()}
    assert replication.progress(MANIFEST, there, bytes_before=157, seconds=0).eta_seconds == 0.0


def test_an_estimate_is_of_bytes_requests_and_months() -> None:
    sizes = [4_700_000_000] * 30  # 141 GB
    found = estimate("us-east-1", "us-west-2", sizes)
    assert found.bytes == 141_000_000_000
    assert found.transfer_usd == 2.82
    assert found.seconds == {"1": 1128, "10": 113}
    assert found.requests_usd < 0.01
    assert found.storage_usd_month == pytest.approx(3.67, abs=0.01)


def test_a_copy_within_a_region_transfers_nothing_and_an_untabled_region_costs_the_most() -> None:
    assert transfer_price("us-east-1", "us-east-1") == 0
    assert transfer_price("us-east-1", "us-east-2") == 0.01
    assert transfer_price("xx-nowhere-1", "us-east-1") == 0.147
    assert "https://aws.amazon.com/s3/pricing/" in prices_as_of()


def test_a_large_object_is_copied_by_more_requests() -> None:
    small, large = (estimate("us-east-1", "us-west-2", [size]).requests_usd for size in (5 * GIB, 50 * GIB))
    assert large > 10 * small


def test_a_manifest_of_another_prefix_is_another_place() -> None:
    moved = replace(MANIFEST, prefix="models/other/")
    assert set(replication.damages(moved, WHOLE).values()) == {Damage.MISSING}
