"""The laws that a restore and its way back keep, whatever they find: nothing goes to what failed, nobody is readmitted,
and no backup stops the search for a good one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import backup, putting_back, restoring
from standfast.backup import Manifest
from standfast.errors import BackupRefusedError
from standfast.failover import FAILED, Proof
from standfast.fleet import Role
from standfast.health import Assessment, Verdict
from standfast.restoring import TrafficAction, TrafficDecision
from standfast.traffic import Desired, Move, serves
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY

REGION = builders.fleet().region(SCOPE)
AT_A = builders.desired()
AT_B = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
NAME = backup.snapshot_id(NOW, 1)

states = st.builds(
    lambda weights, roles: builders.desired(
        dict(zip((ACTIVE, STANDBY), weights, strict=True)), dict(zip((ACTIVE, STANDBY), roles, strict=True))
    ),
    st.sampled_from([(100, 0), (0, 100), (50, 50)]),
    st.tuples(st.sampled_from(list(Role)), st.sampled_from(list(Role))),
)
verdicts = st.dictionaries(st.sampled_from([ACTIVE, STANDBY]), st.sampled_from(list(Verdict)))
proofs = st.builds(
    lambda name, answered, verdict: Proof(name, answered, "", verdict, "", NOW - 1),
    st.sampled_from([ACTIVE, STANDBY]),
    st.integers(0, 4),
    st.sampled_from(list(Verdict)),
)


def proof(cluster_id: str, answered: int = 4) -> Proof:
    return Proof(cluster_id, answered, "" if answered else "refused", Verdict.HEALTHY, "", NOW - 1)


def decide(goal: Desired, present: Desired, known: list[Proof], waited: float = 0.0) -> TrafficDecision:
    return restoring.decide_traffic(goal, present, REGION, known, fresh_seconds=10.0, waited_seconds=waited, now=NOW)


def failed(desired: Desired, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Of those that failed: the roles that they have by `roles`."""
    return {name: roles[name] for name, role in desired.roles.items() if role in FAILED}


@given(before=states, present=states, found=verdicts)
def test_putting_back_sends_nothing_to_what_failed_and_readmits_nobody(
    before: Desired, present: Desired, found: Mapping[str, Verdict]
) -> None:
    assessments = {name: Assessment(name, verdict, "", 4, 4, NOW - 1) for name, verdict in found.items()}
    decision = putting_back.decide(before, present, assessments, 10.0, NOW)
    assert serves(decision.weights)
    for name, weight in decision.weights.items():
        if weight > present.weights[name]:
            assert present.roles[name] not in FAILED
    assert failed(present, decision.roles) == failed(present, present.roles)


def test_putting_back_says_what_failed_since() -> None:
    since = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    well = {ACTIVE: Assessment(ACTIVE, Verdict.HEALTHY, "", 4, 4, NOW - 1)}
    decision = putting_back.decide(AT_A, since, well, 10.0, NOW)
    assert decision.reason == "use1-a is quarantined since, so the weights stay as they are"
    assert decision.action is TrafficAction.KEEP


@given(
    goal=states,
    present=states,
    known=st.lists(proofs, max_size=2, unique_by=lambda each: each.cluster_id),
    waited=st.sampled_from([0.0, 900.0]),
)
def test_a_restore_readmits_nobody(goal: Desired, present: Desired, known: list[Proof], waited: float) -> None:
    decision = decide(goal, present, known, waited=waited)
    assert failed(present, decision.roles) == failed(present, present.roles)


def test_a_backup_of_the_middle_of_a_planned_move_puts_back_no_split() -> None:
    split = {ACTIVE: 50, STANDBY: 50}
    goal = AT_A.next(token=3, reason="a stage", now=NOW, weights=split, move=Move(ACTIVE, STANDBY, AT_A.weights))
    decision = decide(goal, AT_B, [proof(ACTIVE), proof(STANDBY, 2)])
    assert (decision.action, decision.weights) == (TrafficAction.MOVE, AT_A.weights)


def test_a_planned_move_that_had_all_traffic_at_its_target_is_put_back_as_it_was() -> None:
    move = Move(ACTIVE, STANDBY, AT_A.weights)
    goal = AT_A.next(token=3, reason="the last stage", now=NOW, weights=AT_B.weights, move=move)
    decision = decide(goal, AT_A, [proof(ACTIVE), proof(STANDBY, 2)])
    assert (decision.action, decision.weights) == (TrafficAction.MOVE, AT_B.weights)


def snapshot(**contents: object) -> dict[str, bytes]:
    """The objects of a snapshot that is sealed as it should be, whatever is in it."""
    whole: dict[str, object] = {part: {} for part in backup.PARTS}
    whole |= {"state": {"items": []}, "models": {"manifests": {}}, "configuration": {"texts": {}}, **contents}
    sealed = [backup.sealed_part(part, content) for part, content in whole.items()]  # type: ignore[arg-type]
    made = Manifest("chat", SCOPE, NAME, NOW, NOW + 1, tuple(part for part, _ in sealed))
    objects = {backup.part_key(SCOPE, NAME, part.name): body for part, body in sealed}
    return {**objects, backup.manifest_key(SCOPE, NAME): made.seal()}


def refusal(objects: Mapping[str, bytes]) -> str:
    with pytest.raises(BackupRefusedError) as refused:
        backup.open_snapshot(NAME, objects.get, fleet="chat", region=SCOPE, now=NOW + 60)
    return str(refused.value)


@pytest.mark.parametrize("field", ["began_at", "ended_at", "schema", "parts", "fleet", "region", "snapshot_id"])
@pytest.mark.parametrize("value", ["1" + "0" * 400, "NaN", "Infinity", "-Infinity", "null", "[]", "{}", "[[]]", '"x"'])
def test_nothing_in_a_sealed_manifest_stops_the_search_for_a_good_one(field: str, value: str) -> None:
    objects = snapshot()
    key = backup.manifest_key(SCOPE, NAME)
    body = {**json.loads(objects[key]), field: json.loads(value)}
    del body["sha256"]
    body["sha256"] = hashlib.sha256(_canonical(body)).hexdigest()
    assert refusal({**objects, key: _canonical(body)})


@pytest.mark.parametrize(
    "contents",
    [
        {"state": {}},
        {"state": {"items": 7}},
        {"state": {"items": [["cluster", "pk"]]}},
        {"state": {"items": [["cluster", "pk", "sk", "no item"]]}},
        {"state": {"items": [[["cluster"], "pk", "sk", {}]]}},
        {"models": {}},
        {"models": {"manifests": {"key": 7}}},
        {"configuration": {"texts": ["text"]}},
    ],
)
def test_a_sealed_part_that_lacks_what_it_is_for_is_refused(contents: dict[str, object]) -> None:
    assert refusal(snapshot(**contents)).startswith(f"{NAME} cannot be understood: ")


def _canonical(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
