"""The one record of the fleet's releases: who may begin, who may go on, and what an execution left under way."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import FencedError, LeaseHeldError
from standfast.lease import HolderState
from standfast.release_record import EXECUTION_SECONDS, ReleaseRecord, check_may_begin, check_ours, under_way

NOW = 1_000_000.0
LAST = ReleaseRecord(3, "arn:last", "v8", "e1", NOW, ("arn:rollout",))


def may_begin(
    last: ReleaseRecord,
    *,
    arn: str = "arn:mine",
    version: str = "v8",
    event: str = "",
    holder: HolderState = HolderState.RUNNING,
    now: float = NOW,
) -> None:
    check_may_begin(last, arn, version, event, holder, now)


@pytest.mark.parametrize("holder", [HolderState.RUNNING, HolderState.UNKNOWN])
def test_while_a_release_is_under_way_or_nobody_knows_no_other_begins(holder: HolderState) -> None:
    words = "v8 is being released by arn:last: one release at a time in the fleet"
    with pytest.raises(LeaseHeldError, match=f"^{words}$"):
        may_begin(LAST, version="v9", holder=holder)


def test_one_that_ended_is_gone_or_is_older_than_its_time_out_is_in_nobodys_way() -> None:
    may_begin(ReleaseRecord())
    may_begin(replace(LAST, ended="finished"), version="v9")
    may_begin(LAST, version="v9", holder=HolderState.ENDED)
    may_begin(LAST, version="v9", holder=HolderState.UNKNOWN, now=NOW + EXECUTION_SECONDS + 1)


@pytest.mark.parametrize("ended", ["finished", ""])
def test_an_event_is_obeyed_once(ended: str) -> None:
    with pytest.raises(LeaseHeldError, match=r"^this event was obeyed already, by arn:last$"):
        may_begin(replace(LAST, ended=ended), event="e1", holder=HolderState.ENDED)


@pytest.mark.parametrize("begun_by", ["e1", ""])
@pytest.mark.parametrize("ended", ["aborted", "stopped"])
def test_what_was_given_up_is_begun_again_by_a_person_and_by_no_event(ended: str, begun_by: str) -> None:
    last = replace(LAST, ended=ended, event_id=begun_by, reason="no engine starts")
    words = (
        "v8 was given up by arn:last (no engine starts); an event does not begin it again: start it by hand once the "
        "cause is mended"
    )
    with pytest.raises(LeaseHeldError, match=f"^{re.escape(words)}$"):
        may_begin(last, event="e2")
    may_begin(last, event="e2", version="v9")
    may_begin(last)


RECORDS = st.builds(
    ReleaseRecord,
    st.integers(0, 4),
    st.sampled_from(["", "arn:mine", "arn:last"]),
    st.sampled_from(["v7", "v8"]),
    st.sampled_from(["", "e1"]),
    st.just(NOW),
    st.sampled_from([(), ("arn:rollout",)]),
    st.sampled_from(["", "finished", "aborted", "stopped"]),
)


@given(RECORDS, st.integers(0, 4))
def test_a_release_that_ended_or_was_outrun_never_goes_on(last: ReleaseRecord, token: int) -> None:
    if last.execution_arn == "arn:mine" and last.token == token and not last.ended:
        check_ours(last, "arn:mine", token)
        assert under_way(last, "arn:mine") == last.executions
        return
    with pytest.raises(FencedError) as raised:
        check_ours(last, "arn:mine", token)
    mine = last.execution_arn == "arn:mine" and last.token == token
    assert str(raised.value).startswith(f"this release was {last.ended}: " if mine else "another release has begun: ")
    if last.execution_arn != "arn:mine" or last.ended:
        assert under_way(last, "arn:mine") == ()


@given(RECORDS, st.sampled_from(["", "e1", "e2"]), st.sampled_from(HolderState))
def test_a_step_of_the_release_itself_may_be_repeated_whatever_the_record_says(
    last: ReleaseRecord, event: str, holder: HolderState
) -> None:
    may_begin(replace(last, execution_arn="arn:mine"), event=event, holder=holder)
