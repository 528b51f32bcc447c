"""Whether to fail over, where to, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.brake import Override
from standfast.draining import judge_drain
from standfast.errors import (
    AutomationOffError,
    InvalidInputError,
    NoStandbyProvenError,
    UnknownClusterError,
)
from standfast.failover import (
    Proof,
    StartAction,
    admit,
    decide_start,
    execution_name,
    hold_down_seconds,
    incident_id,
    limitation,
    proof,
    roles_after,
    roles_with_readmitted,
    select,
)
from standfast.fleet import Automation, Cluster, Role
from standfast.health import Outcome, Verdict
from standfast.lease import Purpose
from tests.builders import (
    ACTIVE,
    EXECUTION,
    NOW,
    SCOPE,
    STANDBY,
    assessment,
    brake,
    desired,
    fleet,
    lease,
    probe,
    record,
    target_group_arn,
    view,
)

DEAD = {ACTIVE: assessment(ACTIVE, Verdict.UNHEALTHY, "0 of 4 replicas pass")}
REGION = fleet().region(SCOPE)
FRESH = 10.0


# Whether to start


def test_a_dead_active_cluster_starts_a_failover() -> None:
    decision = decide_start(SCOPE, record(), DEAD, brake(), NOW)
    assert decision.action is StartAction.START
    assert decision.reason == "use1-a is dead: 0 of 4 replicas pass"
    assert decision.incident_id == "us-east-1-use1-a-v7"
    assert decision.execution_name == "us-east-1-use1-a-v7-a0"
    assert decision.failed_cluster_id == ACTIVE


@pytest.mark.parametrize("verdict", [Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN])
def test_nothing_but_unhealthy_starts_a_failover(verdict: Verdict) -> None:
    found = {ACTIVE: assessment(ACTIVE, verdict, "as it is")}
    decision = decide_start(SCOPE, record(), found, brake(), NOW)
    assert (decision.action, decision.reason) == (StartAction.NONE, f"use1-a is {verdict}: as it is")


def test_a_dead_standby_starts_nothing() -> None:
    found = {ACTIVE: assessment(), STANDBY: assessment(STANDBY, Verdict.UNHEALTHY)}
    assert decide_start(SCOPE, record(), found, brake(), NOW).action is StartAction.NONE


@pytest.mark.parametrize("roles", [{ACTIVE: Role.QUARANTINED}, {STANDBY: Role.ACTIVE}], ids=["no active", "not judged"])
def test_nothing_starts_without_an_assessed_active_cluster(roles: dict[str, Role]) -> None:
    decision = decide_start(SCOPE, record(desired(roles=roles)), DEAD, brake(), NOW)
    assert (decision.action, decision.reason) == (StartAction.NONE, "no cluster is active and assessed")


def test_the_switch_set_to_off_holds() -> None:
    decision = decide_start(SCOPE, record(), DEAD, brake(Automation.OFF), NOW)
    assert decision.action is StartAction.HOLD
    switched = "the switch is off for the fleet (proven in the game day; set by ada), so nothing is started"
    assert decision.reason == f"use1-a is dead: 0 of 4 replicas pass; {switched}"


def test_a_failover_at_work_holds() -> None:
    decision = decide_start(SCOPE, record(held=lease(4, EXECUTION)), DEAD, brake(), NOW)
    assert decision.action is StartAction.HOLD
    assert decision.reason.endswith(f"{EXECUTION} is at work on it")


def test_a_rollout_does_not_hold_a_failover() -> None:
    held = lease(4, EXECUTION, Purpose.ROLLOUT)
    assert decide_start(SCOPE, record(held=held), DEAD, brake(), NOW).action is StartAction.START


def test_a_failed_attempt_holds_the_next_down_and_then_it_has_a_name_of_its_own() -> None:
    scope = record(attempts=2, not_before=NOW + 45)
    held = decide_start(SCOPE, scope, DEAD, brake(), NOW)
    assert held.action is StartAction.HOLD
    assert held.reason.endswith("attempt 2 did not succeed; the next may start in 45 s")
    assert held.next_change_at == NOW + 45
    later = decide_start(SCOPE, scope, DEAD, brake(), NOW + 45)
    assert (later.action, later.execution_name) == (StartAction.START, "us-east-1-use1-a-v7-a2")
    assert later.incident_id == "us-east-1-use1-a-v7"


def test_an_observed_failover_has_a_name_of_its_own() -> None:
    """The name is taken for 90 days: acting on the incident later must not be refused."""
    decision = decide_start(SCOPE, record(), DEAD, brake(Automation.OBSERVE), NOW)
    assert (decision.action, decision.execution_name) == (StartAction.START, "us-east-1-use1-a-v7-a0-observed")
    assert decision.incident_id == "us-east-1-use1-a-v7"


@given(st.integers(1, 999_999), st.integers(0, 999), st.sampled_from(Automation))
def test_the_longest_execution_name_is_accepted_by_step_functions(
    version: int, attempts: int, automation: Automation
) -> None:
    incident = incident_id("ap-southeast-3", "a" * 32, desired(version=version))
    assert len(execution_name(incident, attempts, automation)) <= 80


def test_the_hold_down_doubles_up_to_sixteen_times() -> None:
    assert [hold_down_seconds(attempts, 60) for attempts in range(8)] == [60, 60, 120, 240, 480, 960, 960, 960]


# Admission


def test_an_execution_for_the_active_cluster_may_change() -> None:
    admission = admit(ACTIVE, view(), brake(), REGION)
    assert (admission.failed_cluster_id, admission.may_change, admission.held_back) == (ACTIVE, True, "")


def test_a_preflight_pretends_that_the_active_cluster_failed_and_changes_nothing() -> None:
    admission = admit(None, view(), brake(), REGION)
    assert (admission.failed_cluster_id, admission.may_change) == (ACTIVE, False)
    assert admission.held_back == "this is a preflight"


def test_observe_decides_and_changes_nothing() -> None:
    admission = admit(ACTIVE, view(), brake(Automation.OBSERVE), REGION)
    assert not admission.may_change
    assert admission.held_back == "the switch says observe for the fleet (proven in the game day; set by ada)"


@pytest.mark.parametrize("failed", [ACTIVE, None], ids=["failover", "preflight"])
def test_the_switch_set_to_off_admits_nobody(failed: str | None) -> None:
    with pytest.raises(
        AutomationOffError,
        match=r"the switch is off for the fleet \(proven in the game day; set by ada\); set it to run",
    ):
        admit(failed, view(), brake(Automation.OFF), REGION)


def test_a_clusters_own_switch_keeps_its_traffic_where_it_is() -> None:
    with pytest.raises(AutomationOffError, match="the switch is off for cluster use1-a"):
        admit(ACTIVE, view(), brake(use1_a=Automation.OFF), REGION)
    decision = decide_start(SCOPE, record(), DEAD, brake(use1_a=Automation.OFF), NOW)
    assert decision.action is StartAction.HOLD
    assert "the switch is off for cluster use1-a (proven in the game day; set by ada)" in decision.reason
    assert admit(ACTIVE, view(), brake(use1_b=Automation.OFF), REGION).may_change


@pytest.mark.parametrize("automation", [Automation.OFF, Automation.OBSERVE])
def test_break_glass_overrides_every_switch(automation: Automation) -> None:
    override = Override("ana", "nobody else can")
    assert admit(ACTIVE, view(), brake(automation), REGION, override).may_change


def test_break_glass_makes_no_change_of_a_preflight() -> None:
    assert not admit(None, view(), brake(), REGION, Override("ana", "nobody else can")).may_change


def test_a_candidate_whose_own_switch_says_so_is_not_chosen() -> None:
    held = brake(use1_b=Automation.OBSERVE).held([ACTIVE, STANDBY])
    with pytest.raises(NoStandbyProvenError, match="use1-b: the switch says observe for cluster use1-b"):
        select(ACTIVE, [good()], desired(), REGION.clusters, FRESH, NOW, held=held)


def test_an_unknown_cluster_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(UnknownClusterError, match="cluster 'use1-x' is unknown; this Region has use1-a, use1-b"):
        admit("use1-x", view(), brake(), REGION)


def test_a_cluster_that_carries_nothing_has_nothing_to_move() -> None:
    with pytest.raises(InvalidInputError, match="failed_cluster_id: use1-b is standby, the active cluster is use1-a"):
        admit(STANDBY, view(), brake(), REGION)


def test_without_an_active_cluster_there_is_nothing_to_move() -> None:
    nobody = view(record(desired(roles={ACTIVE: Role.QUARANTINED})))
    with pytest.raises(InvalidInputError, match="no cluster is active"):
        admit(None, nobody, brake(), REGION)


# Proof


def test_a_cluster_whose_nodes_are_no_proof_takes_no_traffic() -> None:
    """Law 2: a live canary now and a node report that is young enough."""
    canaries = [probe(), probe()]
    stale = proof(STANDBY, canaries, assessment(STANDBY), nodes="its last node report is 91 s old, more than 90 s")
    fine = proof(STANDBY, canaries, assessment(STANDBY), nodes=None)
    cluster = REGION.cluster(STANDBY)
    assert limitation(stale, Role.STANDBY, cluster, FRESH, NOW) == "its last node report is 91 s old, more than 90 s"
    assert limitation(fine, Role.STANDBY, cluster, FRESH, NOW) is None


def test_a_proof_counts_the_answers_and_quotes_a_failure() -> None:
    canaries = [probe(), probe(Outcome.SLOW), probe(Outcome.REFUSED)]
    found = proof(STANDBY, canaries, assessment(STANDBY, Verdict.DEGRADED, "one is slow"))
    assert found == Proof(STANDBY, 2, "connection refused", Verdict.DEGRADED, "one is slow", NOW)


def test_a_proof_without_an_assessment_says_so() -> None:
    assert proof(STANDBY, [probe()], None) == Proof(STANDBY, 1)


# Selection


def good(cluster_id: str = STANDBY, answered: int = 2, *, assessed_at: float = NOW) -> Proof:
    return Proof(cluster_id, answered, "", Verdict.HEALTHY, "all pass", assessed_at)


def clusters(**sizes: int) -> dict[str, Cluster]:
    return {
        name: Cluster(role="standby", replicas=size, target_group_arn=target_group_arn(name))
        for name, size in sizes.items()
    }


def test_the_proven_standby_is_chosen_and_its_overload_is_said() -> None:
    chosen = select(ACTIVE, [good()], desired(), REGION.clusters, FRESH, NOW)
    assert chosen.cluster_id == STANDBY
    assert chosen.reason == "use1-b is proven: 2 of 2 replicas answered a canary just now"
    said = "use1-b has 2 replicas for the traffic of 4: expect queueing until capacity is back, for nothing is shed"
    assert chosen.overload == said
    shedding = select(ACTIVE, [good()], desired(), REGION.clusters, FRESH, NOW, sheds=True)
    assert shedding.overload.endswith(
        "what saturates it is shed, answered 503 with Retry-After, until capacity is back"
    )


def test_a_standby_as_large_as_the_failed_one_is_not_overloaded() -> None:
    assert select("a", [good("b")], desired(), clusters(a=2, b=2), FRESH, NOW).overload == ""


@pytest.mark.parametrize(
    ("candidate", "role", "reason"),
    [
        (good(), Role.QUARANTINED, "it is quarantined: it failed, and takes no traffic until a person says"),
        (good(), Role.DRAINING, "it is draining: it failed, and takes no traffic until a person says"),
        (Proof(STANDBY, 0, "connection refused"), Role.STANDBY, "0 of 2 replicas answered a canary just now: connec"),
        (Proof(STANDBY, 0), Role.STANDBY, "0 of 2 replicas answered a canary just now"),
        (Proof(STANDBY, 2), Role.STANDBY, "the watch has not assessed it yet"),
        (good(assessed_at=NOW - 31), Role.STANDBY, "its last assessment is 31 s old, more than 10 s"),
        (
            Proof(STANDBY, 2, "", Verdict.UNHEALTHY, "0 of 2 replicas pass", NOW),
            Role.STANDBY,
            "the watch found it unhealthy: 0 of 2 replicas pass",
        ),
        (
            Proof(STANDBY, 2, "", Verdict.UNKNOWN, "this vantage point is blind", NOW),
            Role.STANDBY,
            "the watch found it unknown: this vantage point is blind",
        ),
    ],
    ids=["quarantined", "draining", "refusing", "not registered", "not assessed", "stale", "unhealthy", "unknown"],
)
def test_what_limits_a_candidate_is_said(candidate: Proof, role: Role, reason: str) -> None:
    said = limitation(candidate, role, REGION.cluster(STANDBY), FRESH, NOW)
    assert said is not None
    assert said.startswith(reason)
    with pytest.raises(NoStandbyProvenError, match="nothing is proven to take the traffic of use1-a: use1-b: "):
        select(ACTIVE, [candidate], desired(roles={STANDBY: role}), REGION.clusters, FRESH, NOW)


def test_half_of_a_standby_and_a_degraded_one_may_take_the_traffic() -> None:
    half = Proof(STANDBY, 1, "connection refused", Verdict.DEGRADED, "1 of 2 replicas pass", NOW)
    assert limitation(half, Role.STANDBY, REGION.cluster(STANDBY), FRESH, NOW) is None


def test_a_candidate_that_was_tried_is_not_tried_again() -> None:
    with pytest.raises(NoStandbyProvenError, match="use1-b: it was tried in this failover and did not serve"):
        select(ACTIVE, [good()], desired(), REGION.clusters, FRESH, NOW, tried=[STANDBY])


def test_nothing_to_choose_from_is_said() -> None:
    with pytest.raises(NoStandbyProvenError, match="there is no other cluster"):
        select(ACTIVE, [good(ACTIVE)], desired(), REGION.clusters, FRESH, NOW)


def test_the_candidate_with_the_most_answers_is_chosen_and_the_refused_are_named() -> None:
    proofs = [good("b", 2), good("c", 3), Proof("d", 0, "connection refused")]
    chosen = select("a", proofs, desired({"a": 100}), clusters(a=4, b=3, c=3, d=3), FRESH, NOW)
    assert chosen.cluster_id == "c"
    assert chosen.reason == (
        "c is proven: 3 of 3 replicas answered a canary just now; "
        "d: 0 of 3 replicas answered a canary just now: connection refused"
    )


def test_a_candidate_that_carries_the_traffic_already_comes_first() -> None:
    moved = desired({"a": 0, "b": 100})
    chosen = select("a", [good("b", 2), good("c", 3)], moved, clusters(a=4, b=3, c=3), FRESH, NOW)
    assert chosen.cluster_id == "b"


@st.composite
def proofs_and_roles(draw: st.DrawFn) -> tuple[list[Proof], dict[str, Role], list[str]]:
    names = ["a", "b", "c", "d"]
    proofs = [
        Proof(
            name,
            draw(st.integers(0, 4)),
            draw(st.sampled_from(["", "connection refused"])),
            draw(st.sampled_from(Verdict)),
            "as seen",
            draw(st.none() | st.floats(NOW - 30, NOW)),
        )
        for name in draw(st.permutations(names))
    ]
    roles = {name: draw(st.sampled_from(Role)) for name in names}
    return proofs, roles, draw(st.lists(st.sampled_from(names), max_size=2))


@given(proofs_and_roles())
def test_selection_never_chooses_what_is_failed_quarantined_tried_stale_or_unproven(
    drawn: tuple[list[Proof], dict[str, Role], list[str]],
) -> None:
    proofs, roles, tried = drawn
    sizes = clusters(a=4, b=3, c=2, d=1)
    state = desired({"a": 100, "b": 0, "c": 0, "d": 0}, roles)
    chosen, reasons = "", ""
    try:
        chosen = select("a", proofs, state, sizes, FRESH, NOW, tried=tried).cluster_id
    except NoStandbyProvenError as refusal:
        reasons = str(refusal)
    if not chosen:
        assert all(f"{name}: " in reasons for name in "bcd")
        return
    found = next(proof for proof in proofs if proof.cluster_id == chosen)
    assert chosen != "a"
    assert roles[chosen] is not Role.QUARANTINED
    assert chosen not in tried
    assert found.assessed_at is not None
    assert NOW - found.assessed_at <= FRESH
    assert found.verdict in (Verdict.HEALTHY, Verdict.DEGRADED)
    assert 2 * found.answered >= sizes[chosen].replicas


@given(proofs_and_roles())
def test_selection_does_not_depend_on_the_order_of_the_proofs(
    drawn: tuple[list[Proof], dict[str, Role], list[str]],
) -> None:
    proofs, roles, tried = drawn
    state = desired({"a": 100, "b": 0, "c": 0, "d": 0}, roles)
    answers = set()
    for order in (proofs, list(reversed(proofs)), sorted(proofs, key=lambda found: found.cluster_id)):
        try:
            answers.add(str(select("a", order, state, clusters(a=4, b=3, c=2, d=1), FRESH, NOW, tried=tried)))
        except NoStandbyProvenError as refusal:
            answers.add(str(refusal))
    assert len(answers) == 1


# Roles and the drain


def test_the_failed_cluster_drains_and_the_chosen_one_is_active() -> None:
    assert roles_after(desired(), ACTIVE, STANDBY) == {ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE}


def test_recording_the_roles_twice_is_recording_them_once() -> None:
    once = roles_after(desired(), ACTIVE, STANDBY)
    assert roles_after(desired(roles=once), ACTIVE, STANDBY) == once


def test_a_drain_ends_when_nothing_is_in_flight() -> None:
    decision = judge_drain({"r0": 0, "r1": 0}, {}, NOW, NOW + 30)
    assert (decision.drained, decision.reason) == (True, "no request is in flight")


def test_a_drain_waits_for_requests_and_for_replicas_that_do_not_say() -> None:
    decision = judge_drain({"r0": 3, "r1": 2, "r2": None}, {}, NOW, NOW + 30)
    assert (decision.drained, decision.reason) == (False, "5 requests are in flight and 1 replicas do not say")


def test_a_drain_ends_at_its_deadline_and_says_what_was_left() -> None:
    decision = judge_drain({"r0": 1, "r1": None}, {}, NOW, NOW)
    assert decision.drained
    assert decision.reason == ("the time for draining is up: 1 requests are in flight and 1 replicas do not say")


def test_a_drain_does_not_wait_for_engines_that_hang() -> None:
    first = judge_drain({"r0": 0, "r1": None}, {}, NOW, NOW + 30)
    assert not first.drained
    later = judge_drain({"r0": 0, "r1": None}, first.silent_since, NOW + 5, NOW + 30)
    assert (later.drained, later.reason) == (True, "1 replicas hang: waiting ends none of their requests")


@pytest.mark.parametrize(
    "in_flight",
    [{"r0": 2, "r1": None}, {"r0": None, "r1": None}],
    ids=["another works", "another fell silent just now"],
)
def test_a_drain_waits_beside_an_engine_that_hangs(in_flight: dict[str, int | None]) -> None:
    assert not judge_drain(in_flight, {"r1": NOW - 60}, NOW, NOW + 30).drained


def test_an_engine_that_speaks_again_does_not_hang() -> None:
    spoke = judge_drain({"r0": 1}, {"r0": NOW - 60}, NOW, NOW + 30)
    assert not judge_drain({"r0": None}, spoke.silent_since, NOW + 2, NOW + 30).drained


def test_a_quarantined_cluster_comes_back_as_standby() -> None:
    quarantined = desired(roles={ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    assert roles_with_readmitted(ACTIVE, quarantined) == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}


def test_only_a_quarantined_cluster_is_readmitted() -> None:
    with pytest.raises(InvalidInputError, match="cluster_id: use1-b is standby, not quarantined"):
        roles_with_readmitted(STANDBY, desired())
