"""Weights, the actuator, and what a difference between desired and actual weights means."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import ConflictError, FencedError, InvalidInputError, NotConvergedError
from standfast.fleet import SHED, Entry, Role
from standfast.rule_weights import FULL, LOW_PRIORITY, LOW_SHED, MAXIMUM, by_rule, of_clusters, on_rules
from standfast.traffic import (
    REMEMBERED,
    DriftAction,
    Weights,
    all_to,
    apply_desired,
    check_weights,
    decide_drift,
    describe,
    record_roles,
    shares,
)
from tests.builders import (
    ACTIVE,
    EXECUTION,
    LOW_PRIORITY_RULE_ARN,
    NOW,
    RULE_ARN,
    SCOPE,
    STANDBY,
    desired,
    lease,
    record,
    target_group_arn,
)
from tests.fakes import FakeLoadBalancer, FakeScopeStore

ENTRY = Entry(RULE_ARN, {name: target_group_arn(name) for name in (ACTIVE, STANDBY)})
names = st.sampled_from(["a", "b", "c", "d", SHED])
any_weights = st.dictionaries(names, st.integers(-5, MAXIMUM + 5))


@pytest.mark.parametrize("weight", [-1, 1000])
def test_a_weight_outside_the_range_of_elb_is_refused_by_name(weight: int) -> None:
    with pytest.raises(InvalidInputError, match=rf"weights.a: {weight} is outside 0 to 999"):
        check_weights({"a": weight, "b": 1})


@pytest.mark.parametrize("weights", [{"a": 0, "b": 0}, {"a": 0, SHED: 100}, {SHED: 1}])
def test_weights_by_which_no_cluster_serves_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="all are zero, which answers every request with 503"):
        check_weights(weights)


def test_no_weights_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no cluster is named"):
        check_weights({})


@given(any_weights)
def test_by_weights_that_pass_a_cluster_serves(weights: dict[str, int]) -> None:
    try:
        passed = check_weights(weights)
    except InvalidInputError:
        return
    assert any(weight for name, weight in passed.items() if name != SHED)
    assert all(0 <= weight <= MAXIMUM for weight in passed.values())


@given(any_weights)
def test_no_desired_state_is_dark(weights: dict[str, int]) -> None:
    try:
        following = desired().next(token=4, reason="drawn", now=NOW, weights=weights)
    except InvalidInputError:
        return
    assert any(weight for name, weight in following.weights.items() if name != SHED)


@given(st.sets(names, min_size=1), names)
def test_all_to_gives_everything_to_one_known_cluster(known: set[str], chosen: str) -> None:
    if chosen not in known:
        with pytest.raises(InvalidInputError, match=f"{chosen} is not behind this rule; it knows "):
            all_to(chosen, known)
        return
    weights = all_to(chosen, known)
    assert set(weights) == known
    assert shares(weights) == {chosen: FULL}


def test_shares_leave_out_what_has_no_traffic() -> None:
    assert shares({"a": 100, "b": 0}) == shares({"a": 100}) == {"a": 100}


def test_weights_in_words_are_in_order() -> None:
    assert describe({"b": 0, "a": 100}) == "a 100, b 0"
    assert describe({}) == "none"


# Desired state


def test_the_next_state_has_the_next_version_and_keeps_what_is_not_given() -> None:
    before = desired()
    after = before.next(token=4, reason="roles only", now=NOW, roles={ACTIVE: Role.DRAINING})
    assert (after.version, after.token, after.weights) == (before.version + 1, 4, before.weights)
    assert after.roles == {ACTIVE: Role.DRAINING}
    assert after.superseded == ()


def test_weights_that_change_are_remembered_newest_first_and_only_so_many() -> None:
    state = desired({ACTIVE: 1})
    for step in range(2, 15):
        state = state.next(token=4, reason="step", now=NOW, weights={ACTIVE: step})
    assert [weights[ACTIVE] for weights in state.superseded] == list(range(13, 13 - REMEMBERED, -1))


def test_writing_the_same_shares_again_remembers_nothing() -> None:
    state = desired().next(token=4, reason="the same", now=NOW, weights={ACTIVE: 100})
    assert state.superseded == ()


def test_the_cluster_with_a_role_is_found() -> None:
    assert desired().cluster_with(Role.ACTIVE) == ACTIVE
    assert desired().cluster_with(Role.QUARANTINED) is None


# The actuator


def test_the_actuator_writes_before_it_reads_and_is_done_when_both_agree() -> None:
    store, balancer = FakeScopeStore(record()), FakeLoadBalancer({STANDBY: 100})
    found = apply_desired(SCOPE, ENTRY, store, balancer)
    assert found == desired()
    assert balancer.writes == [{ACTIVE: 100, STANDBY: 0}]


def test_the_actuator_follows_a_desired_state_that_changes_under_it() -> None:
    store = FakeScopeStore(record(held=lease(3, EXECUTION)))
    later = desired().next(token=3, reason="moved meanwhile", now=NOW, weights={STANDBY: 100})

    class Moving(FakeLoadBalancer):
        def write_weights(self, entry: Entry, weights: Weights) -> None:
            super().write_weights(entry, weights)
            if len(self.writes) == 1:
                store.write_desired(SCOPE, token=3, seen_version=7, desired=later)

    balancer = Moving({ACTIVE: 100})
    assert apply_desired(SCOPE, ENTRY, store, balancer) == later
    assert shares(balancer.weights) == {STANDBY: 100}


def test_the_actuator_overwrites_a_stale_write_that_lands_after_its_own() -> None:
    class Late(FakeLoadBalancer):
        def write_weights(self, entry: Entry, weights: Weights) -> None:
            super().write_weights(entry, weights)
            if len(self.writes) == 1:
                self.weights = {STANDBY: 100}

    balancer = Late({ACTIVE: 100})
    apply_desired(SCOPE, ENTRY, FakeScopeStore(record()), balancer)
    assert shares(balancer.weights) == {ACTIVE: 100}


def test_an_actuator_that_never_finds_agreement_says_what_it_wanted_and_found() -> None:
    class Deaf(FakeLoadBalancer):
        def write_weights(self, entry: Entry, weights: Weights) -> None:
            self.writes.append(dict(weights))

    balancer = Deaf({STANDBY: 5})
    with pytest.raises(NotConvergedError, match="wanted use1-a 100, use1-b 0, found use1-b 5; somebody else") as error:
        apply_desired(SCOPE, ENTRY, FakeScopeStore(record()), balancer)
    assert RULE_ARN in str(error.value)
    assert len(balancer.writes) == 4


# Roles


def test_roles_are_recorded_under_the_token_and_once_only() -> None:
    store = FakeScopeStore(record(held=lease(3, EXECUTION)))

    def drain(state: object) -> Mapping[str, Role]:
        return {ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE}

    for _ in range(2):
        roles = record_roles(SCOPE, drain, store, token=3, reason="moved", now=NOW)
    after = store.read(SCOPE).desired
    assert after.roles == roles == {ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE}
    assert (after.version, after.token, after.reason) == (8, 3, "moved")


def test_a_stale_holder_records_no_roles() -> None:
    store = FakeScopeStore(record(held=lease(4, EXECUTION)))
    with pytest.raises(FencedError):
        record_roles(SCOPE, lambda _: {ACTIVE: Role.DRAINING}, store, token=3, reason="late", now=NOW)
    assert store.read(SCOPE).desired == desired()


def test_a_stale_holder_is_fenced_even_where_its_roles_are_recorded_already() -> None:
    """Else a planned move that a failover overtook would go on, and announce that it is done."""
    store = FakeScopeStore(record(held=lease(4, EXECUTION)))
    with pytest.raises(FencedError, match="token 3 of us-east-1 is stale; the lease is at token 4"):
        record_roles(SCOPE, lambda state: state.roles, store, token=3, reason="late", now=NOW)


def test_roles_written_between_are_a_conflict() -> None:
    store = FakeScopeStore(record(held=lease(3, EXECUTION)))

    def somebody_writes_first(state: object) -> Mapping[str, Role]:
        following = desired().next(token=3, reason="first", now=NOW)
        store.write_desired(SCOPE, token=3, seen_version=7, desired=following)
        return {ACTIVE: Role.DRAINING}

    with pytest.raises(ConflictError):
        record_roles(SCOPE, somebody_writes_first, store, token=3, reason="second", now=NOW)


# Drift


def test_the_same_shares_are_no_drift() -> None:
    decision = decide_drift(desired(), {ACTIVE: 100}, ENTRY)
    assert (decision.action, decision.reason) == (DriftAction.NONE, "the weights are as version 7 wants them")


@pytest.mark.parametrize("actual", [{ACTIVE: 0, STANDBY: 0}, {}, {ACTIVE: 0, SHED: 50}])
def test_a_dark_rule_is_repaired(actual: dict[str, int]) -> None:
    decision = decide_drift(desired(), actual, ENTRY)
    assert decision.action is DriftAction.REPAIR
    assert decision.reason.startswith("every weight is zero, so nobody is served; found ")


def test_traffic_to_a_quarantined_cluster_is_repaired() -> None:
    state = desired({STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    decision = decide_drift(state, {ACTIVE: 10, STANDBY: 90}, ENTRY)
    assert decision.action is DriftAction.REPAIR
    assert decision.reason == (
        "traffic goes to use1-a, which is quarantined; found use1-a 10, use1-b 90, wanted use1-b 100 (version 7)"
    )


def test_the_weights_of_an_earlier_version_are_a_stale_write() -> None:
    state = desired({STANDBY: 100}, superseded=({ACTIVE: 100, STANDBY: 0},))
    decision = decide_drift(state, {ACTIVE: 100}, ENTRY)
    assert decision.action is DriftAction.REPAIR
    assert decision.reason.startswith("a stale write put back the weights of an earlier version")


@pytest.mark.parametrize(
    "actual", [{ACTIVE: 50, STANDBY: 50}, {ACTIVE: 100, target_group_arn("theirs"): 1}], ids=["weights", "a new group"]
)
def test_a_hand_edit_is_reported_and_left_alone(actual: dict[str, int]) -> None:
    decision = decide_drift(desired(), actual, ENTRY)
    assert decision.action is DriftAction.REPORT
    assert decision.reason.startswith("somebody edited the weights by hand; left as they are; found ")


def test_shedding_as_desired_is_no_drift_and_by_hand_it_is_an_edit() -> None:
    shedding = desired({ACTIVE: 100, STANDBY: 0, SHED: 25}, superseded=({ACTIVE: 100, STANDBY: 0},))
    assert decide_drift(shedding, {ACTIVE: 100, STANDBY: 0, SHED: 25}, ENTRY).action is DriftAction.NONE
    assert decide_drift(shedding, {ACTIVE: 100, STANDBY: 0, SHED: 0}, ENTRY).action is DriftAction.REPAIR
    assert decide_drift(shedding, {ACTIVE: 100, STANDBY: 0, SHED: 30}, ENTRY).action is DriftAction.REPORT


# The rule for low priority

BOTH = replace(ENTRY, shed_target_group_arn=target_group_arn("shed"), low_priority_rule_arn=LOW_PRIORITY_RULE_ARN)


def low(weights: Weights) -> dict[str, int]:
    return {LOW_PRIORITY + name: weight for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("weights", "of_low_priority"),
    [
        ({ACTIVE: 100, STANDBY: 0}, {ACTIVE: 100}),
        ({ACTIVE: 90, STANDBY: 10, LOW_SHED: 50}, {ACTIVE: 90, STANDBY: 10, SHED: 100}),
        ({ACTIVE: 100, LOW_SHED: 100}, {SHED: 100}),
        ({ACTIVE: 100, SHED: 25, LOW_SHED: 100}, {SHED: 100}),
        ({ACTIVE: 100, SHED: 25}, {ACTIVE: 100, SHED: 25}),
    ],
    ids=["nothing is shed", "half", "all", "all, and some of the rest", "never less than of the rest"],
)
def test_low_priority_goes_where_the_rest_goes_but_for_what_is_shed(
    weights: dict[str, int], of_low_priority: dict[str, int]
) -> None:
    rules = shares(on_rules(weights, BOTH))
    rest = {name: weight for name, weight in shares(weights).items() if name != LOW_SHED}
    assert rules == rest | low(of_low_priority)
    assert shares(on_rules(weights, ENTRY)) == rest  # an entry without that rule knows nothing of it


@given(any_weights, st.integers(0, 100))
def test_low_priority_never_goes_to_a_cluster_that_the_rest_does_not_go_to(
    weights: dict[str, int], percent: int
) -> None:
    with suppress(InvalidInputError):
        check_weights(weights)
        service, low_priority = by_rule(on_rules({**weights, LOW_SHED: percent}, BOTH))
        assert of_clusters(shares(low_priority)).keys() <= of_clusters(shares(service)).keys()
        assert shares(low_priority)
        assert max(low_priority.values()) <= MAXIMUM


def test_both_rules_are_written_and_read_again() -> None:
    state = desired({ACTIVE: 100, STANDBY: 0, LOW_SHED: 100})
    balancer = FakeLoadBalancer({})
    apply_desired(SCOPE, BOTH, FakeScopeStore(record(state)), balancer)
    assert shares(balancer.weights) == {ACTIVE: 100, **low({SHED: 100})}


def drift(actual: dict[str, int]) -> DriftAction:
    """Of a scope whose traffic went to the standby, without what is of low priority."""
    state = desired({STANDBY: 100, LOW_SHED: 100}, superseded=({ACTIVE: 100},))
    return decide_drift(state, actual, BOTH).action


def test_a_rule_that_was_left_behind_is_repaired_and_a_hand_edit_of_it_is_not() -> None:
    assert drift({STANDBY: 100, **low({SHED: 100})}) is DriftAction.NONE
    assert drift({STANDBY: 100, **low({ACTIVE: 100})}) is DriftAction.REPAIR  # its writer ended between the two
    assert drift({ACTIVE: 100, **low({SHED: 100})}) is DriftAction.REPAIR  # a stale write to one of the two
    assert drift({STANDBY: 100, **low({STANDBY: 100})}) is DriftAction.REPORT
    assert drift({STANDBY: 100, **low({})}) is DriftAction.REPAIR


def test_low_priority_does_not_stay_with_a_quarantined_cluster() -> None:
    state = desired({STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    decision = decide_drift(state, {STANDBY: 100, **low({ACTIVE: 1, STANDBY: 99})}, BOTH)
    assert decision.action is DriftAction.REPAIR
    assert decision.reason.startswith("traffic goes to use1-a, which is quarantined; found low priority/use1-a 1, ")


@given(st.dictionaries(names, st.integers(0, MAXIMUM)), st.dictionaries(names, st.sampled_from(Role)))
def test_drift_is_never_left_dark_or_on_a_quarantined_cluster(actual: dict[str, int], roles: dict[str, Role]) -> None:
    decision = decide_drift(desired({"a": 100}, roles), actual, ENTRY)
    on_quarantined = any(weight and roles.get(name) is Role.QUARANTINED for name, weight in actual.items())
    serving = any(weight for name, weight in actual.items() if name != SHED)
    if not serving or (on_quarantined and shares(actual) != {"a": 100}):
        assert decision.action is DriftAction.REPAIR
    if decision.action is DriftAction.NONE:
        assert shares(actual) == {"a": 100}
