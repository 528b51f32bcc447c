"""S3's own rule brings a model: how long a Region waits for it, and what it then copies itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.s3_rules import Action, Decision, Evidence, Limits, S3Status, counted, decide
from tests.builders import NOW

LIMITS = Limits()
PENDING, COMPLETED, FAILED, NONE = S3Status.PENDING, S3Status.COMPLETED, S3Status.FAILED, S3Status.NONE


def decided(missing: dict[str, S3Status], *, due: int = 8, waited: float = 10, idle: float = 10) -> Decision:
    return decide(Evidence(missing, due, NOW - waited, NOW - idle), LIMITS, NOW)


def test_when_all_has_come_nothing_is_waited_for_or_copied() -> None:
    assert decided({}) == Decision(Action.COPY, "S3 brought 8 of 8 objects")


def test_what_is_pending_is_waited_for_and_named_and_so_is_what_has_failed_meanwhile() -> None:
    found = decided({"b": PENDING, "a": PENDING, "c": FAILED})
    assert found.action is Action.WAIT
    assert found.reason == "S3 brought 5 of 8 objects; waiting, with 2 PENDING (a, b), 1 FAILED (c)"


def test_what_s3_failed_to_bring_is_copied_at_once_for_it_tries_no_object_again() -> None:
    found = decided({"c": FAILED}, waited=0, idle=0)
    assert found == Decision(Action.COPY, "S3 brought 7 of 8 objects; copied by us: 1 FAILED (c)")


def test_what_s3_brought_once_and_is_damaged_here_is_copied_at_once() -> None:
    found = decided({"a": COMPLETED}, due=1)
    assert found.action is Action.COPY
    assert found.reason == "S3 brought 0 of 1 objects; copied by us: 1 COMPLETED and not right here (a)"


def test_what_was_written_before_the_rule_is_copied_after_a_minute() -> None:
    assert decided({"a": NONE}, waited=59).action is Action.WAIT
    found = decided({"a": NONE}, waited=60)
    assert (found.action, found.reason) == (
        Action.COPY,
        "S3 brought 7 of 8 objects; copied by us: 1 not begun after 60 s (a)",
    )


def test_as_long_as_objects_come_a_pending_one_is_waited_for_however_long() -> None:
    assert decided({"a": PENDING}, waited=40_000, idle=899).action is Action.WAIT
    found = decided({"a": PENDING}, waited=40_000, idle=900)
    assert found.action is Action.COPY
    assert "1 PENDING with none coming for 900 s (a)" in found.reason


def test_many_objects_are_counted_and_the_first_few_named() -> None:
    found = decided({f"shard-{number:02}": FAILED for number in range(12)}, due=12)
    assert found.reason.endswith("12 FAILED (shard-00, shard-01, shard-02, shard-03, shard-04 and 7 more)")


@pytest.mark.parametrize(
    ("text", "status"),
    [("PENDING", PENDING), ("COMPLETED", COMPLETED), ("FAILED", FAILED), ("", NONE), ("REPLICA", NONE), ("new", NONE)],
)
def test_a_status_that_brings_nothing_on_is_none(text: str, status: S3Status) -> None:
    assert S3Status.read(text) is status


def test_statuses_are_counted_by_name() -> None:
    assert counted([PENDING, NONE, PENDING]) == {"pending": 2, "none": 1}


SECONDS = st.floats(0, 50_000)
MISSING = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.sampled_from(S3Status), max_size=12)


@given(MISSING, SECONDS, SECONDS)
def test_nothing_is_waited_for_longer_than_the_limits_and_never_without_hope(
    missing: dict[str, S3Status], waited: float, idle: float
) -> None:
    found = decided(missing, due=20, waited=waited, idle=idle)
    hopeful = {
        PENDING: NOW - (NOW - idle) < LIMITS.stalled,
        NONE: NOW - (NOW - waited) < LIMITS.unmarked,
        FAILED: False,
        COMPLETED: False,
    }
    assert (found.action is Action.WAIT) == any(hopeful[status] for status in missing.values())
    assert found.reason.startswith(f"S3 brought {20 - len(missing)} of 20 objects")


@given(MISSING, SECONDS)
def test_a_longer_wait_never_turns_copying_back_into_waiting(missing: dict[str, S3Status], waited: float) -> None:
    first: Any = decided(missing, due=20, waited=waited, idle=waited).action
    later: Any = decided(missing, due=20, waited=waited + 1, idle=waited + 1).action
    assert (first, later) != (Action.COPY, Action.WAIT)
