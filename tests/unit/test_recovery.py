"""Which remedy comes next: the ladder, the budgets, and the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standfast.checks import NodeFinding
from standfast.faults import FaultKind
from standfast.health import Verdict
from standfast.recovery import (
    LADDER,
    Decision,
    Evidence,
    Member,
    RecoveryAction,
    Remedy,
    decide,
)
from standfast.recovery_rules import RecoveryRules
from standfast.xids import Action
from tests.builders import NOW

RULES = RecoveryRules()
LONG_AGO = NOW - 30 * 86_400


def finding(action: Action = Action.IGNORE, *faults: str, name: str = "i-1") -> NodeFinding:
    verdict = Verdict.UNHEALTHY if action >= Action.RESET_GPU else Verdict.DEGRADED if action else Verdict.HEALTHY
    return NodeFinding(name, verdict, f"as built: {action}", action, faults)


def silent(name: str = "i-1") -> NodeFinding:
    return NodeFinding(name, Verdict.UNKNOWN, "no answer yet")


def member(name: str = "i-1", action: Action = Action.IGNORE, *faults: str, **changes: Any) -> Member:
    """A node that answers and is registered."""
    built = Member(name, finding(action, *faults, name=name), answers=True, registered=True, launched_at=LONG_AGO)
    return replace(built, **changes)


def dead(name: str = "i-1", **changes: Any) -> Member:
    return member(name, **{"answers": False, "detail": "connection refused", **changes})


def remedy(rung: Action, *, ago: float, name: str = "i-1") -> Remedy:
    return Remedy(f"{name}-{rung}-{ago}", name, rung, NOW - ago, "as built by a test")


def evidence(*members: Member, serves: bool = False, **changes: Any) -> Evidence:
    built = Evidence("use1-a", len(members), serves, members, (), frozenset(), NOW - 60)
    return replace(built, **changes)


def only(decision: Decision) -> Action:
    assert decision.action is RecoveryAction.TREAT, decision
    (treatment,) = decision.treatments
    assert treatment.instance_id == "i-1"
    return treatment.rung


@pytest.mark.parametrize(
    ("sick", "rung"),
    [
        pytest.param(dead(), Action.RESTART_ENGINE, id="an engine that does not answer"),
        pytest.param(member("i-1", Action.RESTART_ENGINE), Action.RESTART_ENGINE, id="an Xid that wants a restart"),
        pytest.param(member("i-1", Action.RESET_GPU), Action.RESET_GPU, id="a fault that wants a reset"),
        pytest.param(member("i-1", Action.REBOOT), Action.REBOOT, id="a fault that wants a reboot"),
        pytest.param(member("i-1", Action.REPLACE), Action.REPLACE, id="a fault that wants a replacement"),
        pytest.param(member("i-1", Action.DRAIN, FaultKind.NO_CUDA), Action.REBOOT, id="nothing new can start there"),
        pytest.param(member("i-1", Action.RESET_GPU, FaultKind.NO_CUDA), Action.REBOOT, id="a reset could not restart"),
        pytest.param(dead(finding=silent()), Action.REPLACE, id="neither answers nor reports"),
    ],
)
def test_a_fault_enters_the_ladder_at_the_rung_that_its_action_calls_for(sick: Member, rung: Action) -> None:
    assert only(decide(evidence(sick, member("i-2")), RULES, NOW)) is rung


def test_a_remedy_that_did_not_help_leads_to_the_next_rung() -> None:
    tried: list[Remedy] = []
    for number, rung in enumerate(LADDER):
        found = decide(evidence(dead(), member("i-2"), remedies=tuple(tried)), RULES, NOW)
        assert only(found) is rung
        assert ("did not help" in found.reason) is (number > 0)
        tried.append(remedy(rung, ago=1500 - 100 * number))
    found = decide(evidence(dead(), member("i-2"), remedies=tuple(tried)), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "i-1 is not mended by the whole ladder (no answer: connection refused)" in found.reason


def test_what_was_mended_hours_ago_is_a_new_illness() -> None:
    assert only(decide(evidence(dead(), remedies=(remedy(Action.REBOOT, ago=7200),)), RULES, NOW)) is LADDER[0]


def test_a_node_has_so_many_remedies_within_a_day() -> None:
    tried = tuple(remedy(Action.RESTART_ENGINE, ago=hours * 3600) for hours in (23, 16, 9, 2))
    found = decide(evidence(dead(), remedies=tried), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "i-1 had 4 remedies within a day, which are all that it may have" in found.reason


def test_a_cluster_has_so_many_replacements_within_a_day() -> None:
    tried = tuple(remedy(Action.REPLACE, ago=hours * 3600, name=f"i-{hours}") for hours in (23, 16, 9, 2))
    found = decide(evidence(member("i-1", Action.REPLACE), remedies=tried), RULES, NOW)
    assert "i-1 needs a replacement, and 4 were made within a day" in found.reason


def test_the_ladder_ends_at_the_highest_remedy_that_is_allowed() -> None:
    found = decide(evidence(member("i-1", Action.REPLACE)), RecoveryRules(highest_remedy="reboot"), NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "i-1 needs replace, and recovery.highest_remedy is reboot" in found.reason


def test_a_replacement_that_is_sick_too_is_not_replaced_again() -> None:
    heir = member("i-1", Action.REBOOT, launched_at=NOW - 900)
    found = decide(evidence(heir, remedies=(remedy(Action.REPLACE, ago=1000, name="i-0"),)), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "took the place of a node that was replaced, and is sick too: not the hardware" in found.reason


def test_an_engine_that_was_just_started_is_given_its_time() -> None:
    found = decide(evidence(dead(), remedies=(remedy(Action.RESTART_ENGINE, ago=30),)), RULES, NOW)
    assert (found.action, found.reason, found.wait_seconds) == (RecoveryAction.WAIT, "i-1 is starting", 5)


def test_a_fault_that_stands_after_its_remedy_is_not_waited_for() -> None:
    tried = (remedy(Action.RESET_GPU, ago=30),)
    assert only(decide(evidence(member("i-1", Action.RESET_GPU), remedies=tried), RULES, NOW)) is Action.REBOOT


def test_a_missing_node_is_waited_for_while_auto_scaling_launches_it_and_then_told() -> None:
    tried = (remedy(Action.REPLACE, ago=30, name="i-0"),)
    found = decide(evidence(member("i-1"), expected=2, remedies=tried), RULES, NOW)
    assert (found.action, found.reason) == (RecoveryAction.WAIT, "Auto Scaling launches 1 node")
    found = decide(evidence(member("i-1"), expected=2), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "use1-a has 1 of 2 nodes: look at the activity of its Auto Scaling group" in found.reason


def test_while_it_serves_one_node_is_mended_at_a_time_and_the_dead_one_first() -> None:
    found = decide(
        evidence(member("i-0", Action.REBOOT), dead(), member("i-2"), member("i-3"), serves=True), RULES, NOW
    )
    assert only(found) is Action.RESTART_ENGINE


def test_while_one_node_is_away_no_other_is_taken_out_of_a_cluster_that_serves() -> None:
    tried = (remedy(Action.RESTART_ENGINE, ago=30),)
    sick = member("i-0", Action.REBOOT)
    found = decide(evidence(sick, dead(), member("i-2"), member("i-3"), serves=True, remedies=tried), RULES, NOW)
    assert found.action is RecoveryAction.WAIT


def test_a_node_that_answers_is_kept_where_half_of_the_replicas_would_not_be_left() -> None:
    found = decide(evidence(member("i-1", Action.REBOOT), expected=1, serves=True), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "i-1 needs reboot and cannot be spared" in found.reason


def test_a_node_that_answers_is_kept_while_its_cluster_is_saturated_and_a_dead_one_is_mended() -> None:
    nodes = (member("i-1", Action.REBOOT), member("i-2"), member("i-3"), member("i-4"))
    found = decide(evidence(*nodes, serves=True, saturated=3), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "i-1 needs reboot and cannot be spared while 3 replicas are saturated" in found.reason
    assert only(decide(evidence(dead(), *nodes[1:], serves=True, saturated=3), RULES, NOW)) is Action.RESTART_ENGINE


def test_out_of_traffic_half_of_the_nodes_are_mended_at_once_and_one_is_replaced_at_a_time() -> None:
    found = decide(evidence(*(member(f"i-{number}", Action.REBOOT) for number in range(4))), RULES, NOW)
    assert [each.instance_id for each in found.treatments] == ["i-0", "i-1"]
    found = decide(evidence(*(member(f"i-{number}", Action.REPLACE) for number in range(4))), RULES, NOW)
    assert [each.rung for each in found.treatments] == [Action.REPLACE]


def test_what_is_well_and_was_taken_out_by_us_comes_back_first() -> None:
    back = member("i-1", registered=False)
    found = decide(evidence(back, dead("i-2"), taken_out=frozenset({"i-1"})), RULES, NOW)
    assert (found.action, found.bring_back) == (RecoveryAction.BRING_BACK, ("i-1",))


def test_what_somebody_took_out_by_hand_is_left_alone() -> None:
    hand = dead("i-1", registered=False)
    found = decide(evidence(hand, member("i-2"), member("i-3"), serves=True), RULES, NOW)
    assert found.action is RecoveryAction.DONE
    assert "i-1 is out of its target group by somebody's hand and is left alone" in found.reason


def test_a_node_that_answers_and_does_not_report_is_waited_for_and_never_treated() -> None:
    found = decide(evidence(member("i-1", finding=silent()), member("i-2")), RULES, NOW)
    assert (found.action, found.reason) == (RecoveryAction.WAIT, "no report comes from i-1")
    found = decide(evidence(member("i-1", finding=silent()), member("i-2"), began_at=NOW - 1300), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "look at Systems Manager there" in found.reason


def test_where_no_node_reports_nothing_is_replaced() -> None:
    found = decide(evidence(dead("i-1", finding=silent()), dead("i-2", finding=None)), RULES, NOW)
    assert found.action is RecoveryAction.WAIT


def test_it_is_done_when_every_node_answers_and_reports_no_fault() -> None:
    found = decide(evidence(member("i-1"), member("i-2", Action.WATCH)), RULES, NOW)
    assert (found.action, found.reason) == (
        RecoveryAction.DONE,
        "2 of 2 nodes of use1-a answer and report no fault",
    )


def test_a_recovery_that_lasts_too_long_gives_up_and_says_what_is_left() -> None:
    found = decide(evidence(dead(), member("i-2"), began_at=NOW - 5400), RULES, NOW)
    assert found.action is RecoveryAction.GIVE_UP
    assert "use1-a is not mended after 5400 s; i-1 is sick" in found.reason


def test_a_deadline_below_the_time_of_a_start_is_refused() -> None:
    with pytest.raises(ValueError, match="deadline_seconds is below start_seconds"):
        RecoveryRules(start_seconds=900, deadline_seconds=600)


def test_out_of_traffic_every_dead_engine_is_restarted_at_once() -> None:
    """That costs nothing, where half of the nodes at a time would take twice as long."""
    nodes = [*(dead(f"i-{number}") for number in range(3)), member("i-3", Action.REBOOT)]
    found = decide(evidence(*nodes), RULES, NOW)
    assert [each.rung for each in found.treatments] == [*[Action.RESTART_ENGINE] * 3, Action.REBOOT]
    found = decide(evidence(*nodes, serves=True), RULES, NOW)
    assert [each.instance_id for each in found.treatments] == ["i-0"]


# A world in which each node has an illness that a rung mends, or none does.

ILLS = (Action.RESTART_ENGINE, Action.DRAIN, Action.RESET_GPU, Action.REBOOT, Action.REPLACE)


class World:
    """Nodes with what each looks like, and the rung that really mends it: None for one that nothing does."""

    def __init__(self, ills: list[tuple[Action, Action | None, bool]], *, serves: bool, lemons: bool) -> None:
        self.now, self.serves, self.expected, self.lemons = NOW, serves, len(ills), lemons
        self.nodes = {f"i-{number}": ill for number, ill in enumerate(ills)}
        self.launched = dict.fromkeys(self.nodes, LONG_AGO)
        self.well = {name for name, (looks, _, _) in self.nodes.items() if looks is Action.IGNORE}
        self.out: set[str] = set()
        self.remedies: list[Remedy] = []

    def member(self, name: str) -> Member:
        looks, _, answers = self.nodes[name]
        known = looks if name not in self.well else Action.IGNORE
        up = answers or name in self.well
        built = member(name, known, answers=up, registered=name not in self.out, launched_at=self.launched[name])
        return built if up or known > Action.WATCH else replace(built, detail="connection refused")

    def evidence(self) -> Evidence:
        members = tuple(self.member(name) for name in sorted(self.nodes))
        return Evidence(
            "use1-a", self.expected, self.serves, members, tuple(self.remedies), frozenset(self.out), NOW
        )  # fmt: skip

    def apply(self, decision: Decision) -> None:
        for treatment in decision.treatments:
            name, rung = treatment.instance_id, treatment.rung
            self.remedies.append(Remedy(str(len(self.remedies)), name, rung, self.now, treatment.reason))
            if self.serves and rung is not Action.REPLACE:
                self.out.add(name)
            mended_by = self.nodes[name][1]
            if rung is Action.REPLACE:
                looks, _, answers = self.nodes.pop(name)
                self.well.discard(name)
                self.out.discard(name)
                heir = f"i-{len(self.remedies)}-new"
                self.nodes[heir] = (looks, None, answers)
                self.launched[heir] = self.now + 1
                if not self.lemons:
                    self.well.add(heir)
            elif mended_by is not None and rung >= mended_by:
                self.well.add(name)
        self.out -= set(decision.bring_back)
        self.now += max(1, decision.wait_seconds)


ill = st.tuples(
    st.sampled_from((Action.IGNORE, *ILLS)), st.sampled_from((*LADDER, None)), st.booleans()
)  # looks, really, answers


@settings(max_examples=300)
@given(
    ills=st.lists(ill, min_size=1, max_size=6),
    serves=st.booleans(),
    lemons=st.booleans(),
    budget=st.integers(1, 5),
    replacements=st.integers(0, 3),
)
def test_it_ends_within_its_budgets_and_never_touches_what_is_well(
    ills: list[tuple[Action, Action | None, bool]], serves: bool, lemons: bool, budget: int, replacements: int
) -> None:
    world = World(ills, serves=serves, lemons=lemons)
    rules = RecoveryRules(remedies_per_day=budget, replacements_per_day=replacements)
    for _ in range(3000):
        known = world.evidence()
        found = decide(known, rules, world.now)
        assert found.reason
        if found.action in (RecoveryAction.DONE, RecoveryAction.GIVE_UP):
            break
        assert not {each.instance_id for each in found.treatments} & world.well
        answering = [each for each in known.members if each.answers and each.registered]
        taken = [each for each in found.treatments if each.answers]
        if serves:
            assert len(found.treatments) <= 1
            assert not taken or 2 * (len(answering) - len(taken)) >= world.expected
        costly = [each for each in found.treatments if serves or each.answers or each.rung is not LADDER[0]]
        assert len(costly) <= max(1, world.expected // 2)
        assert sum(each.rung is Action.REPLACE for each in found.treatments) <= 1
        world.apply(found)
    else:
        pytest.fail("it did not come to an end")
    per_node = {name: [each for each in world.remedies if each.instance_id == name] for name in world.nodes}
    assert max(map(len, per_node.values())) <= budget
    assert sum(each.rung is Action.REPLACE for each in world.remedies) <= replacements
    if found.action is RecoveryAction.DONE:
        assert set(world.nodes) == world.well
        assert not world.out
