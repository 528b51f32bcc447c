"""Five checks of a cluster: what each says, what unknown means, and what the nodes' reports prove."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.checks import (
    Answer,
    Checked,
    CheckName,
    ClusterEvidence,
    NodeFinding,
    NodeHealth,
    Traffic,
    judge,
)
from standfast.damping import History
from standfast.engine import EngineState
from standfast.fault_memory import FaultMemory
from standfast.fleet import Canary
from standfast.health import Outcome, Verdict
from standfast.health_rules import Objectives
from standfast.node_health import NOT_ASKED, node_health
from standfast.node_proof import node_limitation
from standfast.node_reports import NodeAnswer
from standfast.targets import Targets
from tests.builders import ACTIVE, NOW

WELL = NodeFinding("i-1", Verdict.HEALTHY, "1 GPU answers without a fault")
LOST = NodeFinding("i-2", Verdict.UNHEALTHY, "GPU 0 has fallen off the bus")


def answers(*outcomes: Outcome, took: float = 0.1) -> list[Answer]:
    return [
        Answer(
            f"i-{number}:8000",
            outcome,
            first_token_seconds=took if outcome in (Outcome.ANSWERED, Outcome.SLOW) else None,
            golden=True,
            state=EngineState.READY,
        )
        for number, outcome in enumerate(outcomes, 1)
    ]


def one_of_four(**changes: Any) -> list[Answer]:
    """Four replicas that are well, but for what is changed of the last."""
    *well, last = answers(*[Outcome.ANSWERED] * 4)
    return [*well, replace(last, **changes)]


def nodes(*found: NodeFinding) -> NodeHealth:
    return NodeHealth(ACTIVE, NOW - 5, found)


GOOD = ClusterEvidence(
    ACTIVE, 4, answers(*[Outcome.ANSWERED] * 4), nodes(WELL, WELL), Traffic(requests=1000, failed=1), {}
)


LATE_BEFORE = History(late_since=NOW - 30)


def judged(evidence: ClusterEvidence, before: History = LATE_BEFORE) -> Checked:
    return judge(evidence, Canary(), Objectives(), NOW, before)


def check(evidence: ClusterEvidence, name: CheckName) -> tuple[Verdict, str]:
    (found,) = [each for each in judged(evidence).checks if each.name is name]
    return found.verdict, found.reason


def test_a_cluster_that_is_well_passes_all_five() -> None:
    found = judged(GOOD)
    assert [each.name for each in found.checks] == list(CheckName)
    assert {each.verdict for each in found.checks} == {Verdict.HEALTHY}
    assert (found.verdict, found.reason, found.failed) == (
        Verdict.HEALTHY,
        "4 of 4 replicas answered the canary",
        0,
    )


@pytest.mark.parametrize(
    ("change", "name", "verdict", "reason"),
    [
        (
            {"nodes": nodes(WELL, WELL, LOST)},
            CheckName.GPU,
            Verdict.DEGRADED,
            "1 of 3 nodes: i-2: GPU 0 has fallen off the bus",
        ),
        ({"nodes": nodes(WELL, LOST, LOST)}, CheckName.GPU, Verdict.UNHEALTHY, "2 of 3 nodes: i-2: GPU 0 has fallen"),
        (
            {"nodes": nodes(WELL, NodeFinding("i-3", Verdict.UNKNOWN, "no answer yet"))},
            CheckName.GPU,
            Verdict.UNKNOWN,
            "1 of 2 nodes cannot be judged: i-3: no answer yet",
        ),
        ({"nodes": None, "missing": {"nodes": "SSM is away"}}, CheckName.GPU, Verdict.UNKNOWN, "SSM is away"),
        (
            {"answers": answers(Outcome.ANSWERED, Outcome.ANSWERED, Outcome.ANSWERED, Outcome.WRONG_MODEL)},
            CheckName.MODEL,
            Verdict.DEGRADED,
            "1 of 4 replicas serve another model",
        ),
        (
            {"answers": answers(*[Outcome.WRONG_MODEL] * 3, Outcome.ANSWERED)},
            CheckName.MODEL,
            Verdict.UNHEALTHY,
            "3 of 4 replicas serve another model",
        ),
        (
            {"answers": answers(*[Outcome.REFUSED] * 4)},
            CheckName.MODEL,
            Verdict.UNKNOWN,
            "no replica answered as any model",
        ),
        (
            {"answers": answers(*[Outcome.ANSWERED] * 3, Outcome.TIMED_OUT)},
            CheckName.INFERENCE,
            Verdict.DEGRADED,
            "3 of 4 replicas answered the canary; i-4:8000: no whole answer in time",
        ),
        (
            {"answers": answers(Outcome.ANSWERED, *[Outcome.REFUSED] * 3)},
            CheckName.INFERENCE,
            Verdict.UNHEALTHY,
            "1 of 4 replicas answered the canary; i-2:8000: connection refused",
        ),
        (
            {"answers": answers(*[Outcome.SLOW] * 4, took=1.2)},
            CheckName.LATENCY,
            Verdict.DEGRADED,
            "4 of 4 first tokens came later than 1 s, the last after 1.20 s",
        ),
        (
            {"answers": [*answers(*[Outcome.ANSWERED] * 3), Answer("i-4:8000", Outcome.ANSWERED, "", 0.6)]},
            CheckName.LATENCY,
            Verdict.DEGRADED,
            "i-4:8000 is apart: its first token took 0.60 s, its siblings' 0.10 s",
        ),
        (
            {"answers": one_of_four(state=EngineState.STARTING, state_detail="it loads its model")},
            CheckName.MODEL,
            Verdict.DEGRADED,
            "1 of 4 replicas are not ready: i-4:8000 is starting (it loads its model)",
        ),
        (
            {"answers": [replace(each, state=EngineState.ASLEEP) for each in answers(*[Outcome.TIMED_OUT] * 4)]},
            CheckName.MODEL,
            Verdict.DEGRADED,
            "4 of 4 replicas are not ready: i-1:8000 is asleep",
        ),
        (
            {"answers": one_of_four(state=EngineState.DRAINING)},
            CheckName.MODEL,
            Verdict.DEGRADED,
            "1 of 4 replicas are not ready: i-4:8000 is draining",
        ),
        (
            {"answers": one_of_four(state=EngineState.UNKNOWN, state_detail="/health: cut off")},
            CheckName.MODEL,
            Verdict.HEALTHY,
            "4 of 4 replicas answer as the expected model",
        ),
        (
            {"answers": one_of_four(other_model="tiny in version v6")},
            CheckName.MODEL,
            Verdict.DEGRADED,
            "1 of 4 replicas serve another model (tiny in version v6)",
        ),
        (
            {"answers": one_of_four(outcome=Outcome.NONSENSE, detail="its first token is not the golden one")},
            CheckName.INFERENCE,
            Verdict.DEGRADED,
            "3 of 4 replicas answered the canary; i-4:8000: an answer that no healthy model gives (its first token",
        ),
        (
            {"answers": answers(Outcome.ANSWERED, Outcome.TIMED_OUT, *[Outcome.NONSENSE] * 2)},
            CheckName.INFERENCE,
            Verdict.UNHEALTHY,
            "1 of 4 replicas answered the canary; i-3:8000: an answer that no healthy model gives",
        ),
        (
            {"answers": answers(*[Outcome.DENIED] * 4)},
            CheckName.INFERENCE,
            Verdict.UNKNOWN,
            "0 of 4 replicas answered the canary; the others refuse our API key",
        ),
        (
            {"answers": one_of_four(golden=False)},
            CheckName.INFERENCE,
            Verdict.HEALTHY,
            "4 of 4 replicas answered the canary; no golden answer is recorded yet",
        ),
        (
            {"answers": one_of_four(between_tokens_seconds=0.31)},
            CheckName.LATENCY,
            Verdict.DEGRADED,
            "i-4:8000 takes 0.31 s from token to token, more than 0.2 s",
        ),
        ({"traffic": Traffic(100, 6)}, CheckName.ERRORS, Verdict.DEGRADED, "6.0% of 100 requests failed"),
        ({"traffic": Traffic(100, 51)}, CheckName.ERRORS, Verdict.UNHEALTHY, "51.0% of 100 requests failed"),
        ({"traffic": Traffic(19, 19)}, CheckName.ERRORS, Verdict.UNKNOWN, "19 requests in 180 s say nothing"),
        ({"traffic": None, "missing": {"traffic": "no metrics"}}, CheckName.ERRORS, Verdict.UNKNOWN, "no metrics"),
    ],
)
def test_a_check_says_what_it_found(change: dict[str, object], name: CheckName, verdict: Verdict, reason: str) -> None:
    found = check(replace(GOOD, **change), name)  # type: ignore[arg-type]  # each change fits its field
    assert found[0] is verdict
    assert found[1].startswith(reason)


def test_a_cluster_that_works_and_answers_too_late_is_never_called_dead() -> None:
    late = [replace(each, saturated=True) for each in answers(*[Outcome.TIMED_OUT] * 4)]
    found = check(replace(GOOD, answers=late), CheckName.INFERENCE)
    said = "0 of 4 replicas answered the canary; i-1:8000: no whole answer in time; 4 of them work without a pause"
    assert found == (Verdict.DEGRADED, f"{said}: saturated, not dead")
    wedged = [replace(each, saturated=number == 0) for number, each in enumerate(late)]
    assert check(replace(GOOD, answers=wedged), CheckName.INFERENCE)[0] is Verdict.UNHEALTHY


def test_tokens_that_are_late_for_the_first_time_are_told_and_not_yet_believed() -> None:
    late = replace(GOOD, answers=answers(*[Outcome.SLOW] * 4, took=1.2))
    first = judged(late, History())
    assert first.verdict is Verdict.HEALTHY
    (said,) = [each.reason for each in first.checks if each.name is CheckName.LATENCY]
    assert said == ("4 of 4 first tokens came later than 1 s, the last after 1.20 s: believed when it is found again")
    assert judged(late, first.history).verdict is Verdict.DEGRADED
    assert judged(GOOD, first.history).history.late_since is None


def test_a_small_difference_between_siblings_is_none() -> None:
    """Three times nothing is nothing: below a quarter of the objective nobody waits."""
    quick = [*answers(*[Outcome.ANSWERED] * 3, took=0.02), Answer("i-4:8000", Outcome.ANSWERED, "", 0.2)]
    assert check(replace(GOOD, answers=quick), CheckName.LATENCY)[0] is Verdict.HEALTHY


def test_the_verdict_is_the_worst_that_is_known_and_names_its_check() -> None:
    found = judged(replace(GOOD, nodes=nodes(WELL, LOST, LOST), traffic=Traffic(100, 6)))
    assert found.verdict is Verdict.UNHEALTHY
    assert found.reason == "gpu: 2 of 3 nodes: i-2: GPU 0 has fallen off the bus"
    assert found.failed == 2


def test_an_idle_standby_is_healthy_though_nothing_is_known_of_its_errors() -> None:
    assert judged(replace(GOOD, traffic=Traffic(0, 0))).verdict is Verdict.HEALTHY


def test_without_canaries_nobody_can_say_that_it_serves() -> None:
    found = judged(replace(GOOD, answers=None, missing={"endpoints": "the function was denied"}))
    assert (found.verdict, found.reason) == (
        Verdict.UNKNOWN,
        "model: the function was denied; inference: the function was denied; latency: the function was denied",
    )


@given(
    sides=st.fixed_dictionaries(
        {"answers": st.none(), "nodes": st.sampled_from([None, GOOD.nodes]), "traffic": st.none()}
    )
)
def test_missing_evidence_never_makes_a_cluster_unhealthy(sides: dict[str, object]) -> None:
    found = judged(replace(GOOD, **sides))  # type: ignore[arg-type]  # each fits its field
    assert found.verdict is Verdict.UNKNOWN
    assert found.failed == 0


# What the nodes prove


@pytest.mark.parametrize(
    ("health", "why_not"),
    [
        (None, "no node report was taken yet"),
        (NodeHealth(ACTIVE, None, (WELL,)), "no node report was taken yet"),
        (NodeHealth(ACTIVE, NOW - 91, (WELL,)), "its last node report is 91 s old, more than 90 s"),
        (nodes(WELL, LOST, LOST), "2 of 3 nodes are condemned: GPU 0 has fallen off the bus"),
        (nodes(WELL, LOST), None),
        (NodeHealth(ACTIVE, NOW - 90, (WELL,)), None),
    ],
)
def test_a_cluster_is_proven_by_a_fresh_report_that_does_not_condemn_most_of_it(
    health: NodeHealth | None, why_not: str | None
) -> None:
    assert node_limitation(health, 90, NOW) == why_not


def test_a_node_that_cannot_be_asked_is_unknown_and_the_others_count() -> None:
    cut = NodeAnswer("=== standfast-node-report 1\n=== boot\n")
    found = node_health(
        ACTIVE, {"i-1": cut, "i-2": NodeAnswer(None, "no answer yet")}, ["i-1", "i-3"], None, NOW, FaultMemory()
    ).health
    assert [(node.instance_id, node.verdict) for node in found.nodes] == [
        ("i-1", Verdict.UNKNOWN),
        ("i-2", Verdict.UNKNOWN),
        ("i-3", Verdict.UNKNOWN),
    ]
    assert found.nodes[0].reason.startswith("the report of i-1 is cut off")
    assert (found.nodes[1].reason, found.nodes[2].reason) == ("no answer yet", NOT_ASKED.reason)
    assert found.reported_at is None


# What the load balancer thinks of its targets

FAILED_CHECKS = "Target.FailedHealthChecks: Health checks failed"


def errors_of(targets: Targets | None, **changes: Any) -> tuple[Verdict, str]:
    checked = judged(replace(GOOD, targets=targets, **changes))
    (check,) = [check for check in checked.checks if check.name is CheckName.ERRORS]
    return check.verdict, check.reason


def test_a_replica_that_answers_us_and_gets_no_requests_is_a_finding_of_its_own() -> None:
    verdict, reason = errors_of(Targets(3, {FAILED_CHECKS: ("i-4:8000",)}))
    assert verdict is Verdict.DEGRADED
    assert reason == f"the load balancer sends nothing to i-4:8000, which answers our canary ({FAILED_CHECKS})"


def test_several_are_counted_and_one_is_named() -> None:
    _, reason = errors_of(Targets(2, {FAILED_CHECKS: ("i-4:8000",), "Target.Timeout": ("i-2:8000",)}))
    assert "sends nothing to 2 replicas that answer our canary (i-2:8000: Target.Timeout)" in reason


def test_with_no_healthy_target_an_alb_sends_to_all_and_that_is_said() -> None:
    everyone = tuple(f"i-{number}:8000" for number in range(1, 5))
    verdict, reason = errors_of(Targets(0, {FAILED_CHECKS: everyone}))
    assert verdict is Verdict.DEGRADED  # the canaries pass: nobody is dead
    assert "finds no target healthy and sends to all alike" in reason


def test_what_the_canary_finds_dead_too_is_no_second_finding() -> None:
    dead = one_of_four(outcome=Outcome.REFUSED)
    assert errors_of(Targets(3, {FAILED_CHECKS: ("i-4:8000",)}), answers=dead)[0] is Verdict.HEALTHY


def test_without_canaries_nobody_can_say_that_a_shunned_replica_would_answer() -> None:
    shunned = Targets(3, {FAILED_CHECKS: ("i-4:8000",)})
    assert errors_of(shunned, answers=None)[0] is Verdict.HEALTHY
    assert errors_of(None)[0] is Verdict.HEALTHY


def test_it_is_found_with_too_few_requests_and_beside_errors() -> None:
    shunned = Targets(3, {FAILED_CHECKS: ("i-4:8000",)})
    assert errors_of(shunned, traffic=None)[0] is Verdict.DEGRADED
    assert errors_of(shunned, traffic=Traffic(0, 0))[0] is Verdict.DEGRADED
    verdict, reason = errors_of(shunned, traffic=Traffic(100, 51))
    assert verdict is Verdict.UNHEALTHY
    assert reason.startswith("51.0% of 100 requests failed; the load balancer sends nothing to i-4:8000")
