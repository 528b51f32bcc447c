"""What the steps of an assessment hand to each other: nothing is lost, and a state machine can carry it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.assessing import EndpointEvidence, JudgeStep, NodeEvidence
from standfast.checks import Answer, NodeFinding, NodeHealth, Traffic
from standfast.engine import EngineState
from standfast.health import Outcome, Verdict
from standfast.shortening import LEFT_OUT, shortened
from standfast.xids import Action

STATE_BYTES = 262_144
"""What one state of Step Functions holds."""
CLUSTERS = [f"use1-{number:03}" for number in range(100)]
EACH = 10
XIDS = "Xid 79 on 0000:31:00.0: the GPU has fallen off the bus, for the 3rd time in a day; NVLink errors; " * 5


def replica(cluster: int, number: int, *, faulty: bool) -> Answer:
    replica_id = f"i-{cluster * EACH + number:017x}:8000"
    if not faulty:
        return Answer(replica_id, Outcome.ANSWERED, "", 0.051234567, 0.0123456, True, EngineState.READY)
    said = f"{replica_id} says \u201cno\u201d: {XIDS}"
    return Answer(replica_id, Outcome.NONSENSE, said, None, None, True, EngineState.UNKNOWN, said, said, saturated=True)


def node(cluster: int, number: int, *, faulty: bool) -> NodeFinding:
    instance_id = f"i-{cluster * EACH + number:017x}"
    if not faulty:
        return NodeFinding(instance_id, Verdict.HEALTHY, "8 GPUs answer without a fault")
    kinds = ("fallen-off-the-bus", "ecc-uncorrectable", "remap-failure")
    return NodeFinding(instance_id, Verdict.UNHEALTHY, f"reboot: {instance_id}: {XIDS}", Action.REBOOT, kinds)


def state(one_in: int) -> str:
    """What JudgeClusters is given, of a fleet of which one replica and node in so many is faulty."""
    answers: dict[str, list[Answer]] = {}
    nodes: list[NodeHealth] = []
    for cluster, name in enumerate(CLUSTERS):
        ill = [(cluster * EACH + number) % one_in == 0 for number in range(EACH)]
        answers[name] = [replica(cluster, number, faulty=faulty) for number, faulty in enumerate(ill)]
        found = tuple(node(cluster, number, faulty=faulty) for number, faulty in enumerate(ill))
        nodes.append(NodeHealth(name, 1760000000.123, found))
    evidence = [
        EndpointEvidence.of(answers).model_dump(mode="json", exclude_defaults=True),
        NodeEvidence.of(nodes, done=True).model_dump(mode="json", exclude_defaults=True),
        {"traffic": {name: {"requests": 123456.0, "failed": 12345.0} for name in CLUSTERS}, "missing": ""},
    ]
    plan = {"scope_id": "us-east-1", "cluster_ids": CLUSTERS, "trigger": "schedule", "rounds_left": 2}
    judged = {"rounds_left": 1, "clusters": dict.fromkeys(CLUSTERS, "x" * 170)}
    return json.dumps({**plan, "evidence": evidence, "judged": judged})


@pytest.mark.parametrize("one_in", [1000, 20, 2, 1])
def test_a_thousand_replicas_and_nodes_fit_into_a_state_however_many_are_faulty(one_in: int) -> None:
    said = state(one_in)
    assert len(said) < STATE_BYTES
    step = JudgeStep.model_validate_json(said)
    faulty = 0
    for name in CLUSTERS:
        seen = step.of(name, EACH)
        assert seen.nodes is not None
        assert (len(seen.answers or ()), len(seen.nodes.nodes)) == (EACH, EACH)
        faulty += sum(found.action is Action.REBOOT for found in seen.nodes.nodes)
    assert faulty == EACH * len(CLUSTERS) // one_in


def test_with_one_in_twenty_faulty_each_reason_still_says_what_is_wrong() -> None:
    step = JudgeStep.model_validate_json(state(20))
    found = step.of(CLUSTERS[0], EACH)
    assert found.nodes is not None
    assert "Xid 79 on 0000:31:00.0: the GPU has fallen off the bus" in found.nodes.nodes[0].reason
    assert found.nodes.nodes[1] == node(0, 1, faulty=False)


def test_what_is_handed_on_of_a_small_fleet_is_the_same_but_for_the_rounding_of_times() -> None:
    answers = [
        Answer("a:8000", Outcome.ANSWERED, "", 0.05, 0.01, True, EngineState.READY),
        Answer("b:8000", Outcome.TIMED_OUT, "1.5 s", saturated=True),
        Answer("c:8000", Outcome.ANSWERED, "", 0.0612, None, True, EngineState.READY),
    ]
    nodes = NodeHealth("one", 5.0, (node(0, 1, faulty=False), node(0, 2, faulty=True)))
    evidence = (
        EndpointEvidence.of({"one": answers}),
        NodeEvidence.of([nodes], done=True),
        {"traffic": {"one": Traffic(10.0, 1.0)}},
    )
    given = {"scope_id": "us-east-1", "cluster_ids": ["one"], "trigger": "console", "rounds_left": 1}
    found = JudgeStep.model_validate({**given, "evidence": evidence}).of("one", 3)
    assert sorted(found.answers or (), key=lambda answer: answer.replica_id) == answers
    assert (found.nodes, found.traffic, found.missing) == (nodes, Traffic(10.0, 1.0), {})


def test_a_side_without_evidence_says_why_and_is_nothing() -> None:
    given = {"scope_id": "us-east-1", "cluster_ids": ["one"], "trigger": "console", "rounds_left": 1}
    missing = [{"missing": f"why {side}"} for side in ("endpoints", "nodes", "traffic")]
    found = JudgeStep.model_validate({**given, "evidence": missing}).of("one", 3)
    assert (found.answers, found.nodes, found.traffic) == (None, None, None)
    assert found.missing == {side: f"why {side}" for side in ("endpoints", "nodes", "traffic")}


@given(st.lists(st.text(min_size=len(LEFT_OUT) + 1, max_size=300), max_size=30), st.integers(0, 5000))
def test_long_texts_share_the_room_and_are_whole_or_cut_or_left_out(texts: list[str], room: int) -> None:
    said = shortened(texts, room)
    assert sum(len(json.dumps(said[text])) - 2 for text in texts if said[text] != LEFT_OUT) <= room
    for text in texts:
        shorter = said[text].removesuffix("...")
        assert said[text] in (text, LEFT_OUT) or (text.startswith(shorter) and len(json.dumps(said[text])) > 90)


def test_short_texts_are_whole_though_there_is_no_room() -> None:
    assert shortened(["well", "", "well"], 0) == {"well": "well", "": ""}
