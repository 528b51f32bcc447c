"""What of a request journal is copied, and which Region answers for which."""

from __future__ import annotations

from typing import Any

import pytest

from standfast import in_flight, request_copies
from standfast.errors import CorruptStateError, UnavailableError
from standfast.journal import COMPLETIONS, COPY_SECONDS, Head, State, claimable
from standfast.region_ports import Condemnation, RegionRecord
from tests import builders
from tests.adapters.test_request_copies import record

NOW = 1_800_000_000.0
THREE = ["us-east-1", "us-west-2", "eu-west-1"]


def condemned(*names: str, until: float = NOW + 60) -> RegionRecord:
    return RegionRecord(condemned={name: Condemnation(name, (), "why", "i", NOW - 5, until, 3) for name in names})


def test_the_next_region_is_the_one_behind_it_and_the_last_ones_is_the_first() -> None:
    assert [request_copies.next_region(name, THREE) for name in THREE] == ["us-west-2", "eu-west-1", "us-east-1"]
    assert request_copies.next_region("us-east-1", ["us-east-1"]) == ""
    assert request_copies.next_region("ap-south-1", THREE) == ""


@pytest.mark.parametrize(
    ("record", "own", "answered"),
    [
        (RegionRecord(), "us-west-2", ["us-west-2"]),
        (condemned("us-east-1"), "us-west-2", ["us-west-2", "us-east-1"]),
        (condemned("us-east-1"), "eu-west-1", ["eu-west-1"]),
        (condemned("us-east-1"), "us-east-1", []),
        (condemned("us-east-1", until=NOW - 1), "us-west-2", ["us-west-2"]),
        (RegionRecord(returned={"us-west-2": NOW - 100}), "us-west-2", []),
        (RegionRecord(returned={"us-west-2": NOW - 1000}), "us-west-2", ["us-west-2"]),
    ],
)
def test_a_region_answers_its_own_requests_and_those_of_a_condemned_one_before_it(
    record: RegionRecord, own: str, answered: list[str]
) -> None:
    assert request_copies.answered_by(own, THREE, record, NOW) == answered


def test_a_region_that_cannot_read_the_record_answers_nobody() -> None:
    class CutOff:
        def read_regions(self) -> RegionRecord:
            raise UnavailableError("it reaches no other Region")

    assert in_flight.scopes_of("us-east-1", builders.fleet(), CutOff(), NOW) == []  # type: ignore[arg-type]


def test_a_gateway_of_another_region_is_given_the_time_that_its_sign_of_life_takes() -> None:
    mine = Head("a", State.ACCEPTED, 1, "gateway", "us-west-2", COMPLETIONS, "", NOW - 30, NOW + 3000)
    theirs = Head("b", State.ACCEPTED, 1, "gateway", "us-east-1", COMPLETIONS, "", NOW - 30, NOW + 3000)
    found = claimable([mine, theirs], {"gateway": NOW - 1}, "us-west-2", NOW)
    assert [head.request_id for head in found] == ["a"]
    later = claimable([mine, theirs], {"gateway": NOW - COPY_SECONDS - 1}, "us-west-2", NOW)
    assert [head.request_id for head in later] == ["a", "b"]


def head_of(state: str = "accepted", **more: str) -> dict[str, Any]:
    return {
        "pk": {"S": "REQUEST#1"},
        "sk": {"S": "HEAD"},
        "state": {"S": state},
        **{k: {"S": v} for k, v in more.items()},
    }


KEY = ("REQUEST#1", "HEAD")


def test_of_a_batch_each_item_is_copied_as_it_is_last_and_says_whose_it_is() -> None:
    body = {"pk": {"S": "REQUEST#1"}, "sk": {"S": "BODY"}}
    beat = {"pk": {"S": "GATEWAY#g"}, "sk": {"S": "BEAT"}}
    serving = {"pk": {"S": "SERVING#us-east-1"}, "sk": {"S": "NOW"}}
    records = [
        record("INSERT", KEY, head_of()),
        record("INSERT", ("REQUEST#1", "BODY"), body),
        record("INSERT", ("GATEWAY#g", "BEAT"), beat),
        record("INSERT", ("SERVING#us-east-1", "NOW"), serving),
        record("MODIFY", KEY, head_of("ended")),
    ]
    found = request_copies.copies_of({"Records": records}, "us-east-1")
    mark = {"copy_of": {"S": "us-east-1"}}
    assert list(found.heads) == [head_of("ended") | mark]
    assert list(found.parts) == [body | mark, beat | mark]
    assert (found.settled, found.forgotten, found.oldest_at) == ({}, [], NOW)


def test_a_copy_is_copied_no_further_and_comes_back_only_once_it_has_ended_here() -> None:
    taken = {"copy_of": "us-east-1", "taken_by": "us-west-2"}
    for item in (head_of(copy_of="us-east-1"), head_of("claimed", **taken), head_of("ended", copy_of="us-east-1")):
        found = request_copies.copies_of({"Records": [record("MODIFY", KEY, item)]}, "us-west-2")
        assert (list(found.heads), list(found.parts), found.settled) == ([], [], {})
    ended = head_of("incomplete", **taken)
    found = request_copies.copies_of({"Records": [record("MODIFY", KEY, ended)]}, "us-west-2")
    assert found.settled == {"us-east-1": [ended]}


def test_what_was_never_accepted_is_forgotten_and_what_expired_is_left_to_its_own_time() -> None:
    gone = record("REMOVE", KEY)
    expired = record("REMOVE", ("REQUEST#2", "HEAD"), userIdentity={"principalId": "dynamodb.amazonaws.com"})
    found = request_copies.copies_of({"Records": [record("INSERT", KEY, head_of()), gone, expired]}, "us-east-1")
    assert (list(found.heads), found.forgotten) == ([], ["REQUEST#1"])
    again = request_copies.copies_of({"Records": [gone, record("INSERT", KEY, head_of())]}, "us-east-1")
    assert (len(again.heads), again.forgotten) == (1, [])


@pytest.mark.parametrize("event", [{}, {"Records": [{"eventName": "INSERT", "dynamodb": {}}]}, {"Records": []}])
def test_what_is_no_event_of_the_stream_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(CorruptStateError, match="no record of a DynamoDB stream"):
        request_copies.copies_of(event, "us-east-1")
