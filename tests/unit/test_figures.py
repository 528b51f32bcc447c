"""The figures are what they say they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.aws.latency import Injection
from sandbox.figures import injected_seconds, never_served, outage, shed_in_all, summaries, summary
from sandbox.fleet.load import Record


def record(client: int, sent_at: float, ended_at: float, *, ok: bool = True) -> Record:
    return Record(
        client, "r", sent_at, sent_at + 0.1 if ok else None, ended_at, ok, 200 if ok else 502, 1, None if ok else "x"
    )


def shed(client: int, sent_at: float, name: str = "r") -> Record:
    return Record(client, name, sent_at, None, sent_at + 0.1, False, 503, 0, "shed", 5.0)


def test_what_was_shed_has_not_failed_and_is_counted_apart() -> None:
    records = [record(0, 10.2, 10.3, ok=False), shed(0, 11), shed(1, 11), record(0, 12.0, 12.3)]
    seen = outage(records, fault_at=10)
    assert (seen.failed_requests, seen.shed_requests, seen.requests) == (1, 2, 4)
    assert seen.seconds == pytest.approx(12.1 - 10.2)
    assert outage([shed(0, 11)], fault_at=10).shed_requests == 1


def test_who_was_shed_and_never_served_is_counted_once() -> None:
    first, again = shed(0, 10, "a"), replace(record(0, 16, 16.3), request="a")
    lost, still = shed(1, 10, "b"), shed(1, 16, "b")
    records = [again, first, lost, still, record(2, 11, 11.2)]
    assert (shed_in_all(records), never_served(records)) == (2, 1)
    assert never_served([first, again]) == 0


def test_without_a_failure_there_is_no_outage() -> None:
    seen = outage([record(0, 10, 10.2), record(1, 11, 11.2)], fault_at=10.1)
    assert (seen.seconds, seen.requests, seen.failed_requests) == (None, 2, 0)


def test_the_last_client_to_recover_counts() -> None:
    records = [
        record(0, 10.2, 10.3, ok=False),
        record(1, 10.5, 10.6, ok=False),
        record(0, 12.0, 12.3),
        record(1, 14.0, 14.3),
    ]
    seen = outage(records, fault_at=10)
    assert seen.seconds == pytest.approx(14.1 - 10.2)
    assert seen.failed_requests == 2


def test_a_request_that_hangs_counts_from_its_sending() -> None:
    hung, good = record(0, 10.2, 13.2, ok=False), record(0, 13.5, 13.8)
    assert outage([hung, good], fault_at=10).seconds == pytest.approx(13.6 - 10.2)


def test_a_request_under_way_at_the_fault_counts_from_the_fault() -> None:
    cut, good = record(0, 9.5, 10.4, ok=False), record(0, 12.0, 12.3)
    assert outage([cut, good], fault_at=10).seconds == pytest.approx(12.1 - 10)


def test_a_client_that_never_recovers_leaves_no_figure() -> None:
    seen = outage([record(0, 10.2, 10.3, ok=False), record(1, 11, 11.2)], fault_at=10)
    assert (seen.seconds, seen.failed_after_recovery) == (None, 0)


def test_a_failure_after_all_had_recovered_moves_the_recovery() -> None:
    records = [record(0, 10.2, 10.3, ok=False), record(0, 11, 11.2), record(0, 15, 15.1, ok=False), record(0, 16, 16.2)]
    assert outage(records, fault_at=10).seconds == pytest.approx(16.1 - 10.2)


def test_waits_that_overlap_count_once_and_only_within_the_span() -> None:
    spans = [(0, 2), (1, 3), (5, 6), (9, 12)]
    injections = [Injection("dynamodb", "role", "GetItem", start, end) for start, end in spans]
    assert injected_seconds(injections, 1, 10) == pytest.approx(2 + 1 + 1)


def test_one_run_is_a_number_and_several_are_a_summary() -> None:
    assert summary([1.23456]) == 1.235
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "worst": 3.0, "all": [3.0, 1.0, 2.0]}


def test_a_run_without_the_figure_is_the_worst() -> None:
    assert summary([1.0, None]) == {"median": 1.0, "worst": None, "all": [1.0, None]}
    assert summaries([{"recovery_seconds": None}]) == {"recovery_seconds": None}
