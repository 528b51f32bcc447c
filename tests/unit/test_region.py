"""Whether a Region must not serve: what the vantage points say, weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.fleet import FleetConfig
from standfast.health import Verdict
from standfast.region import RegionAction, RegionDecision, decide, why_no_more
from standfast.region_ports import Condemnation, Heartbeat, RegionLease, RegionPurpose, RegionRecord
from standfast.region_views import RegionEvidence, opinions_of, peers_of
from standfast.stores import Sight
from tests.builders import NOW
from tests.region_builders import EAST, WATCHER, WEST, fleet_of

FLEET = fleet_of(EAST, WEST, watchers=[WATCHER])
WELL, FAILED, BLIND = Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNKNOWN
BAD = "through the entry 2 probes failed: an error status (502)"


def sight(vantage: str, region: str, verdict: Verdict, *, age: float = 1.0, failing: float = 20.0) -> Sight:
    reason = {WELL: "the entry answers for it", FAILED: BAD}.get(verdict, "this vantage point is blind")
    return Sight(vantage, region, verdict, reason, NOW - age, NOW - failing if verdict is FAILED else None)


def beat(region: str, *, age: float = 2.0, **changes: Any) -> Heartbeat:
    return replace(Heartbeat(region, NOW - age, True, "4 of 4 replicas pass", requests=10, room=30), **changes)


def evidence(
    east: Mapping[str, Verdict | Sight],
    *beats: Heartbeat,
    record: RegionRecord | None = None,
    vantage: str = WEST,
    west: Sequence[Sight] | None = None,
) -> RegionEvidence:
    """What is known where `east` says how us-east-1 looks by vantage point. us-west-2 looks well to all."""
    looks = [found if isinstance(found, Sight) else sight(name, EAST, found) for name, found in east.items()]
    if west is None:
        west = [sight(name, WEST, WELL) for name in (EAST, WEST, WATCHER)]
    heartbeats = {each.region: each for each in (beat(EAST), beat(WEST), beat(WATCHER), *beats)}
    return RegionEvidence(vantage, record or RegionRecord(), [*looks, *west], heartbeats)


def judged(found: RegionEvidence, config: FleetConfig = FLEET) -> RegionDecision:
    return decide(EAST, found, config, NOW)


SILENT = beat(EAST, age=13.0)
LOST = {WEST: FAILED, WATCHER: FAILED}


def test_a_region_that_two_others_see_fail_and_that_fell_silent_is_condemned() -> None:
    found = judged(evidence(LOST, SILENT))
    assert found.action is RegionAction.EVACUATE
    assert found.voices == (WATCHER, WEST)
    assert found.since == NOW - 20
    assert found.incident_id == "us-east-1-evacuation-0"
    assert found.reason == (
        f"us-east-1 fails its users and its heartbeat is 13 s old: us-east-2 sees it fail ({BAD}); "
        f"us-west-2 sees it fail ({BAD}); us-east-1 abstains (it never looked)"
    )


def test_one_that_lives_is_not_condemned_over_its_head() -> None:
    found = judged(evidence({**LOST, EAST: WELL}))
    assert found.action is RegionAction.WAIT
    longer = {name: sight(name, EAST, FAILED, failing=26) for name in LOST}
    found = judged(evidence({**longer, EAST: WELL}))
    assert found.action is RegionAction.PAGE
    assert found.reason.startswith("us-east-1 lives and does not see itself fail, while us-east-2 sees it fail")
    assert found.reason.endswith("us-east-1 sees it well. Nobody condemns a Region that lives")


def test_one_that_lives_gives_itself_up_when_another_one_agrees() -> None:
    found = judged(evidence({EAST: FAILED, WEST: FAILED, WATCHER: WELL}, beat(EAST, serving=False, says="0 of 4 pass")))
    assert found.action is RegionAction.EVACUATE
    assert found.voices == (EAST, WEST)
    assert found.reason.startswith("us-east-1 gives itself up: 0 of 4 pass: us-east-1 sees it fail")


def test_its_own_word_alone_moves_nothing() -> None:
    found = judged(evidence({EAST: FAILED, WEST: WELL, WATCHER: WELL}))
    assert found.action is RegionAction.WAIT
    assert found.reason.startswith("one view is not enough: us-east-1 sees it fail")


def test_it_gives_itself_up_only_to_a_peer_with_room() -> None:
    full = beat(WEST, room=4)
    found = judged(evidence({EAST: FAILED, WEST: FAILED}, full))
    assert found.action is RegionAction.PAGE
    assert found.reason.endswith(
        "It gives itself up only to a peer with room: us-west-2 had room for 4 more requests at once, us-east-1 had 10"
    )
    assert judged(evidence({EAST: FAILED, WEST: FAILED}, beat(WEST, room=None))).action is RegionAction.EVACUATE


def test_a_region_that_is_only_saturated_is_not_left_however_long_its_users_wait() -> None:
    busy = "4 of 4 replicas of use1-a work without a pause and answer too late"
    looks = {name: sight(name, EAST, FAILED, failing=300) for name in (EAST, WEST, WATCHER)}
    found = judged(evidence(looks, beat(EAST, saturated=busy)))
    assert found.action is RegionAction.WAIT
    assert found.reason.startswith(f"us-east-1 is saturated, not dead: {busy}. What is too much is shed")
    assert why_no_more(EAST, evidence(looks, beat(EAST, saturated=busy)), FLEET, NOW).endswith(busy)
    silent = evidence(looks, beat(EAST, saturated=busy, age=13))
    assert judged(silent).action is RegionAction.EVACUATE  # what it said before it fell silent says nothing


def test_from_a_dead_region_everything_moves_whatever_room_there_is() -> None:
    assert judged(evidence(LOST, SILENT, beat(WEST, room=4))).action is RegionAction.EVACUATE


@pytest.mark.parametrize(("mending", "failing"), [("", 11.0), ("a cluster failover runs", 24.0)])
def test_a_cluster_failover_gets_its_time(mending: str, failing: float) -> None:
    def after(seconds: float) -> RegionDecision:
        looks = {name: sight(name, EAST, FAILED, failing=seconds) for name in (EAST, WEST, WATCHER)}
        return judged(evidence(looks, beat(EAST, mending=mending)))

    early = after(failing)
    assert early.action is RegionAction.WAIT
    assert (mending or "its own failover may still help") in early.reason
    assert after(failing + 2).action is RegionAction.EVACUATE


def test_a_silent_region_gets_the_time_of_a_cluster_failover_too() -> None:
    looks = {name: sight(name, EAST, FAILED, failing=6) for name in (WEST, WATCHER)}
    found = judged(evidence(looks, beat(EAST, age=600)))
    assert found.action is RegionAction.WAIT
    assert found.reason.startswith("its heartbeat is 600 s old, and it fails for 6 s of 10 s")


def test_a_finished_cluster_failover_does_not_look_like_a_sick_region() -> None:
    found = judged(
        evidence({EAST: WELL, WEST: WELL, WATCHER: WELL}, beat(EAST, says="use1-b serves, use1-a is quarantined"))
    )
    assert (found.action, found.reason) == (RegionAction.NONE, "nobody sees us-east-1 fail")


def test_a_blind_vantage_point_abstains() -> None:
    found = judged(evidence({WEST: FAILED, WATCHER: BLIND}, SILENT))
    assert found.action is RegionAction.PAGE
    assert found.reason.startswith(
        "only us-west-2 sees us-east-1 fail and its heartbeat is 13 s old; without a third view nobody knows which of "
        "them is cut off"
    )
    assert "us-east-2 abstains (this vantage point is blind)" in found.reason


def test_a_sight_that_is_too_old_is_silence() -> None:
    found = judged(evidence({WEST: FAILED, WATCHER: sight(WATCHER, EAST, FAILED, age=16)}, SILENT))
    assert found.action is RegionAction.PAGE
    assert "us-east-2 abstains (it has said nothing for 16 s)" in found.reason


def test_one_that_is_silent_and_still_serves_its_users_stays() -> None:
    found = judged(evidence({WEST: FAILED, WATCHER: WELL}, SILENT))
    assert (found.action, found.reason.split(":")[0]) == (
        RegionAction.WAIT,
        "its heartbeat is 13 s old, but not two others see it fail",
    )


def test_with_two_regions_and_no_third_view_a_person_is_paged() -> None:
    pair = fleet_of(EAST, WEST)
    found = decide(EAST, evidence({WEST: FAILED}, SILENT), pair, NOW)
    assert found.action is RegionAction.PAGE
    assert found.reason.endswith("Nothing is done by itself")


def test_a_region_that_was_never_heard_of_cannot_have_fallen_silent() -> None:
    known = evidence(LOST)
    found = judged(replace(known, heartbeats={WEST: beat(WEST)}))
    assert found.action is RegionAction.PAGE
    assert found.reason.startswith("us-east-1 was never heard of")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"beats": [beat(WEST, age=20)]}, "us-west-2 has not said of late that it lives"),
        (
            {"beats": [beat(WEST, serving=False, says="0 of 4 pass")]},
            "us-west-2 says that it does not serve (0 of 4 pass)",
        ),
        ({"west": [sight(WATCHER, WEST, FAILED), sight(WEST, WEST, WELL)]}, "us-west-2 is seen to fail by us-east-2"),
        ({"west": []}, "nobody outside us-east-1 sees us-west-2 well"),
    ],
)
def test_with_nothing_proven_to_go_to_nothing_moves(changes: dict[str, Any], why: str) -> None:
    found = judged(evidence(LOST, SILENT, *changes.get("beats", []), west=changes.get("west")))
    assert found.action is RegionAction.PAGE
    assert found.reason.endswith(f"Nothing is proven to go to, so nothing moves: {why}")


def condemned(region: str, *, seconds: float = 60.0) -> RegionRecord:
    each = Condemnation(region, (WATCHER,), "it was lost", "one", NOW - 60, NOW + seconds, 3)
    return RegionRecord(lease=RegionLease(3), condemned={region: each})


def test_a_condemned_region_is_nowhere_to_go_to() -> None:
    found = judged(evidence(LOST, SILENT, record=condemned(WEST)))
    assert found.action is RegionAction.PAGE
    assert found.reason.endswith("us-west-2 is condemned")


def test_what_is_condemned_is_not_condemned_again_until_it_lapses() -> None:
    found = judged(evidence(LOST, SILENT, record=condemned(EAST)))
    assert (found.action, found.reason) == (RegionAction.NONE, "us-east-1 is condemned: it was lost")
    assert judged(evidence(LOST, SILENT, record=condemned(EAST, seconds=-1))).action is RegionAction.EVACUATE


def test_it_runs_from_a_region_that_stays() -> None:
    found = judged(evidence({EAST: FAILED, WEST: FAILED}, vantage=EAST))
    assert found.action is RegionAction.WAIT
    assert found.reason.startswith("a Region that stays does it: us-east-1 gives itself up")


def test_one_execution_at_a_time_and_a_pause_after_one_that_failed() -> None:
    lease = RegionLease(4, "arn:one", RegionPurpose.EVACUATE, NOW, NOW + 30)
    found = judged(evidence(LOST, SILENT, record=RegionRecord(lease)))
    assert found.reason.startswith("arn:one is at work")
    planned = replace(lease, purpose=RegionPurpose.SWITCHOVER)
    assert judged(evidence(LOST, SILENT, record=RegionRecord(planned))).incident_id == "us-east-1-evacuation-4"
    gone = replace(lease, expires_at=NOW - 1)
    assert judged(evidence(LOST, SILENT, record=RegionRecord(gone))).action is RegionAction.EVACUATE
    found = judged(evidence(LOST, SILENT, record=RegionRecord(not_before=NOW + 40)))
    assert found.reason == "the last evacuation did not succeed, the next may start in 40 s"


VERDICTS = st.sampled_from([WELL, FAILED, BLIND, Verdict.DEGRADED])
VANTAGES = (EAST, WEST, WATCHER)
LOOKS = st.fixed_dictionaries(
    {},
    optional={
        (vantage, region): st.tuples(VERDICTS, st.floats(0, 30), st.floats(0, 60))
        for vantage in VANTAGES
        for region in (EAST, WEST)
    },
)
BEATS = st.fixed_dictionaries(
    {},
    optional={
        region: st.builds(
            lambda region, age, serving, mending, room: Heartbeat(
                region, NOW - age, serving, "so it says", mending, 10, room
            ),
            st.just(region),
            st.floats(0, 40),
            st.booleans(),
            st.sampled_from(["", "a failover runs"]),
            st.sampled_from([None, 0, 100]),
        )
        for region in VANTAGES
    },
)


def known(
    looks: Mapping[tuple[str, str], tuple[Verdict, float, float]], beats: Mapping[str, Heartbeat]
) -> RegionEvidence:
    sights = [
        sight(vantage, region, verdict, age=age, failing=age + failing)
        for (vantage, region), (verdict, age, failing) in looks.items()
    ]
    return RegionEvidence(WATCHER, RegionRecord(), sights, beats)


@given(LOOKS, BEATS)
def test_never_without_two_voices_and_never_to_nowhere(looks: Any, beats: Any) -> None:
    found = known(looks, beats)
    for region in (EAST, WEST):
        decision = decide(region, found, FLEET, NOW)
        if decision.action is not RegionAction.EVACUATE:
            continue
        opinions = opinions_of(region, found, FLEET, NOW)
        assert len(decision.voices) >= 2
        assert set(decision.voices) <= set(opinions.failed)
        assert peers_of(region, found, FLEET, NOW).proven
        assert not set(opinions.abstain) & set(decision.voices)
        alive = NOW - beats[region].beat_at <= FLEET.region_moves.heartbeat_seconds
        assert region in decision.voices if alive else region not in decision.voices


@given(LOOKS, BEATS)
def test_the_same_evidence_never_condemns_both(looks: Any, beats: Any) -> None:
    found = known(looks, beats)
    actions = [decide(region, found, FLEET, NOW).action for region in (EAST, WEST)]
    assert actions.count(RegionAction.EVACUATE) <= 1


@given(LOOKS, BEATS)
def test_silence_is_never_a_voice(looks: Any, beats: Any) -> None:
    """What a vantage point does not say moves nothing: leaving a view away never makes an evacuation (law 3)."""
    for region in (EAST, WEST):
        if decide(region, known(looks, beats), FLEET, NOW).action is RegionAction.EVACUATE:
            continue
        for away in [each for each in looks if each[1] == region and looks[each][0] is not WELL]:
            fewer = {each: said for each, said in looks.items() if each != away}
            assert decide(region, known(fewer, beats), FLEET, NOW).action is not RegionAction.EVACUATE
