"""How far a model version is in a Region, and whether a configuration may point at it."""

from __future__ import annotations

import pytest

from standfast.model_states import ModelRecord, ModelState, refusal
from tests.builders import NOW, SCOPE

RECORD = ModelRecord("llama", "v7", ModelState.REGISTERED, "0" * 64, SCOPE, "its manifest was written", NOW)


def test_a_model_that_was_verified_here_may_be_pointed_at() -> None:
    verified = RECORD.replicating("copying", NOW).verified("all 3 objects are whole", NOW + 5)
    assert (verified.state, verified.verified_at) == (ModelState.VERIFIED, NOW + 5)
    assert refusal(verified, "llama", "v7", SCOPE) is None
    assert refusal(verified.live("version 2 points at it", NOW + 6), "llama", "v7", SCOPE) is None


@pytest.mark.parametrize("record", [RECORD, RECORD.replicating("1 of 3 objects is missing", NOW)])
def test_a_model_that_is_not_whole_here_is_refused_with_its_state(record: ModelRecord) -> None:
    said = refusal(record, "llama", "v7", SCOPE)
    assert said is not None
    assert said.startswith(f"llama v7 is {record.state} in us-east-1, not verified there ({record.reason})")


def test_a_model_that_nobody_brought_here_is_refused_with_what_to_run() -> None:
    assert refusal(None, "llama", None, SCOPE) == (
        "llama is not known in us-east-1; run register_model, then replicate_model to us-east-1"
    )


def test_a_live_model_that_was_damaged_and_mended_is_live_again_since_the_same_moment() -> None:
    live = RECORD.verified("all is there", NOW).live("version 2 points at it", NOW + 1)
    damaged = live.replicating("a shard has other bytes", NOW + 100)
    assert refusal(damaged, "llama", "v7", SCOPE)
    mended = damaged.verified("all is there", NOW + 200)
    assert (mended.state, mended.live_since, mended.verified_at) == (ModelState.LIVE, NOW + 1, NOW + 200)


def test_a_model_that_no_configuration_points_at_any_more_stays_verified() -> None:
    retired = RECORD.verified("all is there", NOW).live("version 2", NOW + 1).retired("version 3", NOW + 2)
    assert (retired.state, retired.live_since) == (ModelState.VERIFIED, None)
    damaged = RECORD.verified("", NOW).live("version 2", NOW).replicating("a shard is missing", NOW)
    assert damaged.retired("version 3", NOW).state is ModelState.REPLICATING
