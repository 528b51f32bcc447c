"""What a restore puts back, and where the traffic goes: only to what is proven, whatever the backup says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import putting_back, restoring
from standfast.backup_ports import ControlState
from standfast.capacity import Fit
from standfast.config_adoption import Standing
from standfast.deployments import Placed, with_placed
from standfast.errors import BackupRefusedError
from standfast.failover import Proof
from standfast.fleet import Role
from standfast.health import Assessment, Verdict
from standfast.model_states import ModelRecord, ModelState
from standfast.restoring import LEAP, PROOF_SECONDS, TrafficAction, TrafficDecision, Wanted
from standfast.state_journal import ItemKey
from standfast.traffic import Desired, serves
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY

CONFIG = builders.fleet()
REGION = CONFIG.region(SCOPE)
RECORD = ModelRecord("tiny", None, ModelState.VERIFIED, "a" * 64, SCOPE, "", NOW, revision=3)


def standing(**changes: Any) -> Standing:
    config = builders.fleet(**changes)
    return Standing(4, config.canonical(), config.digest())


def control(**changes: Any) -> ControlState:
    return replace(ControlState(builders.record(), standing(), (RECORD,), {}), **changes)


def goal(**changes: Any) -> Wanted:
    return restoring.wanted(SCOPE, "backup one", control(**changes))


def proof(cluster_id: str, *, answers: bool = True, age: float = 1.0, verdict: Verdict = Verdict.HEALTHY) -> Proof:
    replicas = REGION.clusters[cluster_id].replicas
    return Proof(cluster_id, replicas if answers else 0, "" if answers else "refused", verdict, "", NOW - age)


def decide(
    wanted: Desired, present: Desired, *proofs: Proof, waited: float = 0.0, config: Mapping[str, Any] | None = None
) -> TrafficDecision:
    region = builders.fleet(**(config or {})).region(SCOPE)
    return restoring.decide_traffic(wanted, present, region, proofs, fresh_seconds=10.0, waited_seconds=waited, now=NOW)


AT_A = builders.desired()
AT_B = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})


def test_what_cannot_be_understood_is_put_back_by_nobody() -> None:
    key = ItemKey("cluster", SCOPE, "SCOPE")
    with pytest.raises(BackupRefusedError, match="holds what cannot be understood: cluster us-east-1 SCOPE: oops"):
        goal(unreadable={key: "oops"})
    with pytest.raises(BackupRefusedError, match="holds no configuration of us-east-1"):
        goal(standing=None)
    with pytest.raises(BackupRefusedError, match="holds no roles and weights of us-east-1"):
        goal(scope=None)
    with pytest.raises(BackupRefusedError, match="is not valid in this release"):
        goal(standing=Standing(4, "{}", "0"))
    with pytest.raises(BackupRefusedError, match="does not have the SHA-256 that stands beside it"):
        goal(standing=replace(standing(), sha256="0" * 64))


def test_a_region_that_only_watches_has_no_roles_to_put_back() -> None:
    found = restoring.wanted("eu-west-1", "backup one", control(scope=None))
    assert not found.serves
    assert found.scope is None


def test_the_diff_says_what_would_change_in_words() -> None:
    present = control(scope=builders.record(AT_B), standing=standing(failover={"drain_seconds": 77}), models=())
    assert restoring.changes(goal(), present) == (
        "configuration: failover.drain_seconds: 77 becomes 30",
        "models: tiny is missing and is verified again",
        "roles: use1-a is standby and becomes active",
        "roles: use1-b is active and becomes standby",
        "weights: use1-a 0, use1-b 100 become use1-a 100, use1-b 0, where that is proven",
    )
    assert restoring.changes(goal(), control()) == ()


def test_what_is_gone_or_unreadable_is_in_the_diff() -> None:
    key = ItemKey("cluster", SCOPE, "SCOPE")
    lines = restoring.changes(goal(), control(scope=None, unreadable={key: "oops"}))
    assert lines[0] == "cluster us-east-1 SCOPE cannot be understood (oops) and is made anew"
    assert lines[-1] == "roles: are missing and are made anew: use1-a active, use1-b standby"


def test_traffic_that_is_where_the_backup_has_it_stays() -> None:
    found = decide(AT_A, AT_A, proof(ACTIVE), proof(STANDBY))
    assert (found.action, found.reason) == (TrafficAction.KEEP, "the traffic is where the backup has it")


def test_traffic_moves_to_where_the_backup_has_it_when_that_is_proven() -> None:
    found = decide(AT_A, AT_B, proof(ACTIVE), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.MOVE, {ACTIVE: 100, STANDBY: 0})
    assert found.roles == {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}


@pytest.mark.parametrize(
    "unproven",
    [proof(ACTIVE, answers=False), proof(ACTIVE, age=11.0), proof(ACTIVE, verdict=Verdict.UNHEALTHY)],
)
def test_traffic_stays_with_what_serves_while_the_other_is_not_proven(unproven: Proof) -> None:
    found = decide(AT_A, AT_B, unproven, proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.KEEP, AT_B.weights)
    assert found.reason.endswith("what serves now answers")
    assert found.roles[STANDBY] is Role.ACTIVE


def test_traffic_leaves_what_does_not_answer_for_what_is_proven() -> None:
    found = decide(AT_A, AT_A, proof(ACTIVE, answers=False), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.MOVE, {ACTIVE: 0, STANDBY: 100})


def test_where_nothing_is_proven_it_waits_and_then_leaves_the_weights_alone() -> None:
    silent = proof(ACTIVE, answers=False), proof(STANDBY, age=90.0)
    assert decide(AT_A, AT_A, *silent).action is TrafficAction.WAIT
    late = decide(AT_A, AT_A, *silent, waited=PROOF_SECONDS)
    assert (late.action, late.weights) == (TrafficAction.KEEP, AT_A.weights)
    assert "the weights stay as they are" in late.reason


def test_what_failed_since_the_backup_gets_nothing() -> None:
    failed = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    found = decide(AT_A, failed, proof(ACTIVE), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.KEEP, failed.weights)
    assert found.roles == failed.roles


def test_traffic_does_not_leave_what_serves_for_what_is_too_small() -> None:
    moved = decide(AT_B, AT_A, proof(ACTIVE), proof(STANDBY))
    assert moved.action is TrafficAction.MOVE
    assert restoring.with_headroom(moved, AT_B, AT_A, REGION, Fit(None, "nobody measured it")) == moved
    kept = restoring.with_headroom(moved, AT_B, AT_A, REGION, Fit(0.6, "use1-b carries 60 % of it"))
    assert (kept.action, kept.weights) == (TrafficAction.KEEP, AT_A.weights)
    assert kept.reason == "not moved to where the backup has it, for it does not fit: use1-b carries 60 % of it"


def test_a_smaller_cluster_that_must_take_it_all_is_said_to_be_smaller() -> None:
    found = decide(AT_A, AT_A, proof(ACTIVE, answers=False), proof(STANDBY))
    assert found.reason.endswith("with 2 replicas for the traffic of 4: expect queueing or shedding")


GREEN = "use1-a-g41"
SWAPPED = replace(
    builders.desired({GREEN: 100, STANDBY: 0}, {GREEN: Role.ACTIVE, STANDBY: Role.STANDBY}),
    placed={GREEN: Placed(ACTIVE, REGION.clusters[ACTIVE].target_group_arn, "arn:green", 4)},
)
"""After a blue/green deployment: green stands where FleetConfig, and a backup from before, name blue."""
SWAPPED_REGION = with_placed(REGION, SWAPPED)
GONE = "use1-a is no cluster of this Region any more and gets no role"


def after_swap(wanted: Desired, present: Desired, *proofs: Proof, waited: float = 0.0) -> TrafficDecision:
    return restoring.decide_traffic(
        wanted, present, SWAPPED_REGION, proofs, fresh_seconds=10.0, waited_seconds=waited, now=NOW
    )


def green(*, answers: bool = True) -> Proof:
    return replace(proof(ACTIVE, answers=answers), cluster_id=GREEN)


def test_a_cluster_that_blue_green_replaced_gets_no_role_back() -> None:
    found = after_swap(AT_A, SWAPPED, green(), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.KEEP, SWAPPED.weights)
    assert found.roles == {GREEN: Role.ACTIVE, STANDBY: Role.STANDBY}
    assert found.reason == (f"not moved to where the backup has it (no such cluster): what serves now answers; {GONE}")


def test_traffic_that_leaves_green_gives_the_replaced_cluster_no_role_either() -> None:
    found = after_swap(AT_A, SWAPPED, green(answers=False), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.MOVE, {GREEN: 0, STANDBY: 100})
    assert found.roles == {GREEN: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert found.reason.endswith(GONE)


@pytest.mark.parametrize("role", [Role.QUARANTINED, Role.DRAINING, Role.CANARY])
def test_what_the_backup_does_not_know_keeps_its_role(role: Role) -> None:
    present = replace(SWAPPED, weights={GREEN: 0, STANDBY: 100}, roles={GREEN: role, STANDBY: Role.ACTIVE})
    found = after_swap(AT_B, present, green(), proof(STANDBY))
    assert (found.action, found.weights) == (TrafficAction.KEEP, present.weights)
    assert found.roles == present.roles


def test_roles_stay_while_all_traffic_is_on_what_the_region_has_no_more() -> None:
    found = after_swap(AT_A, AT_A, proof(STANDBY, answers=False), waited=PROOF_SECONDS)
    assert (found.action, found.weights, found.roles) == (TrafficAction.KEEP, AT_A.weights, AT_A.roles)


def test_the_diff_promises_no_role_to_a_cluster_that_is_gone() -> None:
    assert restoring.changes(goal(), control(scope=builders.record(SWAPPED))) == (
        f"roles: {GONE}",
        "weights: use1-a-g41 100, use1-b 0 become use1-a 100, use1-b 0, where that is proven",
    )


states = st.builds(
    lambda weights, roles: builders.desired(
        dict(zip((ACTIVE, STANDBY), weights, strict=True)), dict(zip((ACTIVE, STANDBY), roles, strict=True))
    ),
    st.sampled_from([(100, 0), (0, 100), (50, 50)]),
    st.tuples(st.sampled_from(list(Role)), st.sampled_from(list(Role))),
)
proofs = st.builds(
    proof,
    st.sampled_from([ACTIVE, STANDBY]),
    answers=st.booleans(),
    age=st.sampled_from([1.0, 60.0]),
    verdict=st.sampled_from(list(Verdict)),
)


@given(
    states, states, st.lists(proofs, max_size=2, unique_by=lambda each: each.cluster_id), st.sampled_from([0.0, 900.0])
)
def test_no_cluster_gets_traffic_that_it_is_not_proven_for(
    wanted: Desired, present: Desired, known: list[Proof], waited: float
) -> None:
    found = decide(wanted, present, *known, waited=waited)
    assert serves(found.weights)
    by_name = {each.cluster_id: each for each in known}
    for name, weight in found.weights.items():
        if found.action is TrafficAction.MOVE and weight:
            assert by_name[name].answered
            assert by_name[name].verdict in (Verdict.HEALTHY, Verdict.DEGRADED)
            assert NOW - (by_name[name].assessed_at or 0.0) <= 10.0
            assert present.roles[name] not in (Role.QUARANTINED, Role.DRAINING)
    if found.action is not TrafficAction.MOVE:
        assert found.weights == present.weights


def assessed(cluster_id: str, verdict: Verdict = Verdict.HEALTHY) -> dict[str, Assessment]:
    return {cluster_id: Assessment(cluster_id, verdict, "", 4, 4, NOW - 1)}


def test_a_restore_that_fails_takes_the_traffic_back_while_its_source_serves() -> None:
    found = putting_back.decide(AT_A, AT_B, assessed(ACTIVE), 10.0, NOW)
    assert (found.action, found.weights, found.roles) == (TrafficAction.MOVE, AT_A.weights, AT_A.roles)


@pytest.mark.parametrize("known", [{}, assessed(ACTIVE, Verdict.UNHEALTHY), assessed(ACTIVE, Verdict.UNKNOWN)])
def test_traffic_never_goes_back_to_what_is_not_found_to_serve(known: dict[str, Assessment]) -> None:
    found = putting_back.decide(AT_A, AT_B, known, 10.0, NOW)
    assert (found.action, found.weights) == (TrafficAction.KEEP, AT_B.weights)
    assert found.reason == "use1-a is not found to serve, so the weights stay as they are"


def test_a_scope_made_anew_moves_nothing_and_is_ahead_of_all_that_was() -> None:
    record = builders.record(builders.desired(version=7, token=3))
    made = restoring.scope_anew(record, {ACTIVE: 0, STANDBY: 100}, [40], "anew", NOW)
    assert made.desired.weights == {ACTIVE: 0, STANDBY: 100}
    assert made.desired.roles == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert made.desired.version == made.lease.token == 40 + LEAP
    assert made.lease.holder is None


def test_a_scope_made_anew_knows_what_a_deployment_placed_and_what_clusters_serve() -> None:
    assert SWAPPED.placed
    made = restoring.scope_anew(builders.record(SWAPPED), SWAPPED.weights, [], "anew", NOW)
    assert (made.desired.placed, made.desired.models) == (SWAPPED.placed, SWAPPED.models)


def test_a_scope_made_anew_under_a_rule_that_serves_nobody_has_the_backups_weights() -> None:
    made = restoring.scope_anew(builders.record(), {ACTIVE: 0, STANDBY: 0}, [], "anew", NOW)
    assert made.desired.weights == {ACTIVE: 100, STANDBY: 0}


def test_a_model_is_whole_only_where_its_objects_are() -> None:
    missing = restoring.model_to_write(RECORD, None, None, "backup one", NOW)
    assert missing is not None
    assert (missing.state, missing.revision, missing.reason) == (ModelState.VERIFIED, 0, "restored from backup one")
    damaged = restoring.model_to_write(RECORD, None, "1 missing (a)", "backup one", NOW)
    assert damaged is not None
    assert damaged.state is ModelState.REPLICATING
    assert restoring.model_to_write(RECORD, RECORD, None, "backup one", NOW) is None
    live = replace(RECORD, state=ModelState.LIVE, live_since=NOW, revision=9)
    back = restoring.model_to_write(RECORD, live, None, "backup one", NOW)
    assert back is not None
    assert (back.state, back.live_since, back.revision) == (ModelState.VERIFIED, None, 9)


def test_the_region_is_pointed_at_no_model_that_is_not_whole_there() -> None:
    assert restoring.artefact_refusal(goal(), {"tiny": {}}, "") is None
    nowhere = restoring.artefact_refusal(goal(), {"tiny": None}, "")
    assert nowhere == "tiny has no manifest in us-east-1 and none in backup one; run replicate_model first"
    assert restoring.artefact_refusal(goal(models=()), {}, "") is None  # never registered: its canary must do
