"""replicate_model: what it costs, how far each Region is, and that no Region hides another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from standfast import replicating
from standfast.errors import InvalidInputError, UnavailableError
from standfast.fleet import parse_input
from standfast.model_ports import Pull
from standfast.model_states import ModelRecord, ModelState
from standfast.replicating import ConcludeStep
from standfast.replication_steps import PulledStep, RegionStatus, ReplicateInput, ReplicationPlan, Started
from tests.builders import NOW
from tests.model_fakes import FakeModelStore
from tests.unit.test_registering import FILES, PREFIX, bucket, register

EAST, WEST = "us-east-1", "us-west-2"
SOURCE = bucket()
MANIFEST = register(SOURCE)
GIVEN = {"model": "tiny", "version": "v1"}


def plan(stores: dict[str, FakeModelStore] | None = None, **given: Any) -> ReplicationPlan:
    asked = parse_input(ReplicateInput, {**GIVEN, **given}, "the input")
    return replicating.plan_replication(
        asked, MANIFEST, EAST, stores or {EAST: SOURCE, WEST: FakeModelStore()}, "x", NOW
    )


def step(**more: Any) -> PulledStep:
    pull = Started(execution_arn="arn:x", started_at=NOW, bytes_before=0)
    return PulledStep(plan=plan(), region=WEST, pull=pull, **more)


def verified(region: str, copied: int = 3) -> dict[str, Any]:
    status = RegionStatus(region=region, state="verified", objects=8, copied=copied, api_calls=9, seconds=4.0)
    return {"region": region, "look": {"ended": True, "wait_seconds": 0, "status": status.model_dump()}}


def failed(region: str) -> dict[str, Any]:
    cause = json.dumps({"errorMessage": f"StartExecution in {region}: no answer", "errorType": "UnavailableError"})
    return {"region": region, "error": {"Error": "UnavailableError", "Cause": cause}}


def conclude(*results: dict[str, Any], **given: Any) -> replicating.Conclusion:
    return replicating.conclude(ConcludeStep.model_validate({"plan": plan(**given).model_dump(), "results": results}))


def test_an_estimate_is_of_what_is_missing_in_each_region() -> None:
    found = plan(dryRun=True)
    assert found.dry_run
    here, there = found.estimates
    assert (here["region"], here["objects"], here["transfer_usd"]) == (EAST, 0, 0.0)
    assert (there["region"], there["objects"], there["bytes"]) == (WEST, len(FILES), MANIFEST.bytes)


def test_a_region_that_does_not_answer_is_estimated_as_empty_and_stops_no_plan() -> None:
    silent = FakeModelStore()
    silent.faults.fail("list_folder", UnavailableError("no answer"))
    assert plan({EAST: SOURCE, WEST: silent}).estimates[1]["objects"] == len(FILES)


def test_a_model_that_is_not_registered_is_refused_with_what_to_run() -> None:
    with pytest.raises(InvalidInputError, match=r"tiny v9 is not registered in us-east-1.*run register_model there"):
        replicating.read_manifest(SOURCE, "tiny", "v9", EAST)
    assert replicating.read_manifest(SOURCE, "tiny", "v1", EAST) == MANIFEST


@pytest.mark.parametrize("given", [{"regions": []}, {"regions": ["nowhere"]}, {"dry_run": True}, {"region": EAST}])
def test_an_input_with_a_typing_error_starts_nothing(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        parse_input(ReplicateInput, {**GIVEN, **given}, "the input")


def test_progress_says_bytes_rate_and_time_left_and_looks_again_accordingly() -> None:
    half = {PREFIX + path: len(body) for path, body in list(FILES.items())[:2]}
    look = replicating.under_way(step(), MANIFEST, half, NOW + 10)
    assert not look.ended
    assert look.status.state == "replicating"
    assert look.status.bytes == sum(half.values())
    assert look.status.eta_seconds is not None
    assert 1 <= look.wait_seconds <= 60
    nothing = replicating.under_way(step(look=look), MANIFEST, {}, NOW + 20)
    assert nothing.status.eta_seconds is None
    assert nothing.wait_seconds == 2 * look.wait_seconds


def test_a_pull_that_succeeded_tells_its_status_and_one_that_failed_why() -> None:
    good = Pull("SUCCEEDED", {"verified": verified(WEST)["look"]["status"]}, "", "")
    look = replicating.ended(step(), good, NOW + 7)
    assert (look.ended, look.status.state, look.status.seconds) == (True, "verified", 7.0)
    inner = json.dumps({"errorMessage": "tiny v1 is not whole in us-west-2: 1 missing (a)"})
    cause = json.dumps({"Error": "ModelDamagedError", "Cause": inner})
    bad = replicating.ended(step(), Pull("FAILED", {}, "ModelNotWhole", cause), NOW + 7)
    assert bad.status.reason == "pull_model FAILED with ModelNotWhole: tiny v1 is not whole in us-west-2: 1 missing (a)"
    stopped = replicating.ended(step(), Pull("TIMED_OUT", {}, "", ""), NOW + 7)
    assert stopped.status.reason.startswith("pull_model TIMED_OUT")
    odd = replicating.ended(step(), Pull("SUCCEEDED", {"else": 1}, "", ""), NOW + 7)
    assert (odd.status.state, "of this release" in odd.status.reason) == ("failed", True)


def test_every_region_is_named_and_one_that_failed_makes_the_whole_fail() -> None:
    found = conclude(verified(EAST, 0), failed(WEST))
    assert not found.succeeded
    assert found.is_news
    assert found.subject == "tiny v1 was not replicated to us-west-2"
    assert "- us-east-1: verified; 0 of 8 objects copied in 4 s" in found.text
    assert "- us-west-2: failed: UnavailableError: StartExecution in us-west-2: no answer" in found.text
    assert '"regions": ["us-west-2"]}: only what is missing is copied' in found.text
    assert found.answer()["failed_regions"] == ["us-west-2"]
    assert found.detail()["failed_regions"] == ["us-west-2"]


def test_what_went_well_is_news_only_when_a_schedule_mended_something() -> None:
    assert not conclude(verified(EAST), verified(WEST)).is_news
    assert not conclude(verified(EAST, 0), trigger="schedule").is_news
    assert conclude(verified(EAST, 1), trigger="schedule").is_news
    done = conclude(verified(EAST), verified(WEST))
    assert done.succeeded
    assert (done.answer()["copied"], done.answer()["api_calls"]) == (6, 18)


def test_the_text_fits_into_the_cause_of_a_failed_execution() -> None:
    long = json.dumps({"errorMessage": "x" * 40_000})
    results = [{"region": f"us-west-{n}", "error": {"Error": "StandfastError", "Cause": long}} for n in range(30)]
    assert len(conclude(*results).text) < 32_768


def test_a_result_that_says_nothing_is_a_failure() -> None:
    assert not conclude({"region": WEST}).succeeded


def test_the_days_look_at_a_model_has_one_name_a_day() -> None:
    record = ModelRecord("tiny", "v1", ModelState.VERIFIED, "0" * 64, WEST, "", NOW)
    name, payload = replicating.repair(record, EAST, NOW)
    assert payload == {**GIVEN, "regions": [EAST], "source_region": WEST, "trigger": "schedule"}
    parse_input(ReplicateInput, payload, "the input")
    assert replicating.repair(record, EAST, NOW + 60)[0] == name
    assert replicating.repair(record, EAST, NOW + 86_400)[0] != name
    assert len(name) <= 80
