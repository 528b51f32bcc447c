"""What AWS announces: read from the event, judged by cluster and by the time that is left, moved or told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import bootstrap, move_announcements
from standfast.announcements import Urgency
from standfast.brake import Brake
from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import InvalidInputError, UnavailableError
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.planned_events import PlannedAction, PlannedDecision, decide
from standfast.planned_notices import Notice, notice_in
from standfast.steps import ExecutionInput
from standfast.stores import View
from standfast.xids import Action
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY
from tests.fakes import FakeClusterTable, FakeExecutions, FakeMessenger, FakeRegionTable
from tests.machine_walk import bind

EVENTS = Path(__file__).resolve().parents[2] / "docs" / "events"
DAY = 86_400.0


def example(name: str, **detail: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return {**event, "detail": {**event["detail"], **detail}}


def nodes(cluster_id: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"i-{cluster_id}-{number}" for number in numbers)


def notice(*instance_ids: str, after: float = 5 * DAY, **changes: Any) -> Notice:
    made = Notice("arn:event/1", "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", NOW + after, SCOPE, instance_ids)
    return replace(made, **changes)


def known(planned_events: str = "switchover", *, standby: Verdict = Verdict.HEALTHY, **moves: Any) -> View:
    """Four active nodes, and a standby that the watch finds so."""
    config = builders.fleet(moves={"planned_events": planned_events, **moves})
    found = {ACTIVE: builders.assessment(), STANDBY: builders.assessment(STANDBY, standby, "by a test")}
    view = builders.view(config=config, assessments=found)
    report = NodeHealth(STANDBY, NOW - 20, (NodeFinding("i-1", Verdict.HEALTHY, "no fault", Action.IGNORE),))
    return replace(view, nodes={STANDBY: report})


def unjudged() -> View:
    """The watch has not said how the active cluster is."""
    view = known()
    return replace(view, assessments={STANDBY: view.assessments[STANDBY]})


def judged(said: Notice, view: View | None = None, brake: Brake | None = None, **scheduled: float) -> PlannedDecision:
    at = {name.replace("_", "-"): when for name, when in scheduled.items()}
    (decision,) = decide(said, said.instance_ids, at, view or known(), brake or builders.brake(), NOW)
    return decision


def test_a_retirement_is_read_from_the_health_event() -> None:
    found = notice_in(example("instance_retirement"))
    assert found == Notice(
        event_id=(
            "arn:aws:health:us-east-1::event/EC2/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED/"
            "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED_1a2b3c4d"
        ),
        what="AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
        deadline=NOW + DAY,  # Sat, 16 Jan 2027 08:00:00 GMT
        region=SCOPE,
        instance_ids=("i-0abcd1111efgh2222",),
    )
    assert notice_in(example("instance_retirement", statusCode="closed")).over
    assert notice_in(example("instance_retirement", affectedEntities=[])).instance_ids == ("i-0abcd1111efgh2222",)
    named = [{"entityValue": "arn:aws:ec2:us-east-1:111122223333:instance/i-1"}]
    assert notice_in(example("instance_retirement", affectedEntities=named)).instance_ids == ("i-1",)


def test_the_end_of_a_capacity_block_is_half_an_hour_before_its_end() -> None:
    found = notice_in(example("capacity_block_ends"))
    assert (found.reservation_id, found.instance_ids) == ("cr-0123456789abcdef0", ())
    assert found.deadline == NOW + 3 * 3600  # 11:00, of 11:30
    assert found.what == "Capacity Block cr-0123456789abcdef0 ends"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (example("instance_retirement", startTime="soon"), "the event's detail: startTime"),
        (example("capacity_block_ends", **{"end-date": None}), "the event's detail: end-date"),
        ({"source": "aws.health", "detail-type": "AWS Health Event"}, "the event's detail: eventArn"),
        (
            {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"},
            "no announcement that is known",
        ),
    ],
)
def test_an_event_that_cannot_be_read_is_refused_in_words(event: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        notice_in(event)


def test_more_than_the_active_cluster_can_spare_is_moved_away_from_in_time() -> None:
    found = judged(notice(*nodes(ACTIVE, 1, 2, 3)))
    assert (found.action, found.cluster_id) == (PlannedAction.MOVE, ACTIVE)
    assert found.reason == (
        "use1-a loses i-use1-a-1, i-use1-a-2, i-use1-a-3 (AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED): 1 of 4 replicas are "
        "left, which is too few; a switchover to use1-b is started, 10 → 50 → 100 %"
    )
    asked = ExecutionInput.model_validate(found.payload)
    assert (asked.mode, asked.stages, asked.to_cluster_id) == ("switchover", None, None)
    assert asked.reason is not None
    assert asked.reason.startswith("AWS announces that use1-a loses i-use1-a-1")


@pytest.mark.parametrize(
    ("said", "view", "words"),
    [
        pytest.param(notice(*nodes(ACTIVE, 1)), None, "3 of 4 replicas are left, which is enough", id="one of four"),
        pytest.param(notice(*nodes(ACTIVE, 1, 2)), None, "2 of 4 replicas are left, which is enough", id="half"),
        pytest.param(
            notice(*nodes(STANDBY, 1, 2)), None, "the Region may be without a standby", id="the whole standby"
        ),
        pytest.param(notice(*nodes(STANDBY, 1)), None, "It is not the active cluster: nothing is moved", id="standby"),
    ],
)
def test_what_can_be_spared_is_told_by_day_and_left_to_the_recovery(
    said: Notice, view: View | None, words: str
) -> None:
    found = judged(said, view)
    assert (found.action, dict(found.payload)) == (PlannedAction.TELL, {})
    assert words in found.reason
    announced = move_announcements.planned_event(SCOPE, said, found)
    assert (announced.urgency, "What is left to do" in announced.text) == (Urgency.NOTICE, False)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (notice("i-of-somebody-else"), "names no instance of ours"),
        (notice(*nodes(ACTIVE, 1, 2, 3), over=True), "is over, by AWS's own word"),
        (notice(*nodes(ACTIVE, 1, 2, 3), region="us-west-2"), "is of us-west-2"),
    ],
)
def test_what_is_not_ours_or_over_is_ignored(said: Notice, words: str) -> None:
    found = judged(said)
    assert found.action is PlannedAction.IGNORE
    assert words in found.reason


def test_nodes_that_are_announced_one_by_one_count_together_when_they_go_together() -> None:
    said = notice(*nodes(ACTIVE, 3))
    others = {"i_use1_a_1": said.deadline + 1800, "i_use1_a_2": said.deadline - 60}
    assert judged(said, None, None, **others).action is PlannedAction.MOVE
    later = {"i_use1_a_1": said.deadline + 3 * DAY, "i_use1_a_2": said.deadline + 3 * DAY}
    assert judged(said, None, None, **later).action is PlannedAction.TELL


BUSY = builders.record(held=builders.lease(4, EXECUTION, Purpose.ROLLOUT))


@pytest.mark.parametrize(
    ("view", "brake", "after", "action", "words"),
    [
        pytest.param(
            known("tell"), None, 5 * DAY, PlannedAction.ASK, "moves.planned_events is tell", id="a person moves"
        ),
        pytest.param(
            known(), builders.brake(Automation.OBSERVE), DAY, PlannedAction.ASK, "the switch says observe", id="brake"
        ),
        pytest.param(
            known(), builders.brake(use1_a=Automation.OFF), DAY, PlannedAction.ASK, "the switch says off", id="its own"
        ),
        pytest.param(
            known(standby=Verdict.UNHEALTHY), None, 5 * DAY, PlannedAction.CANNOT,
            "no standby is proven to take its traffic: the watch found use1-b unhealthy", id="no standby",
        ),
        pytest.param(
            unjudged(), None, DAY, PlannedAction.CANNOT, "use1-a has no fresh verdict of the watch", id="watch silent"
        ),
        pytest.param(known(), None, 200, PlannedAction.CANNOT, "200 s are left, too little", id="no time"),
        pytest.param(known(), None, -60, PlannedAction.CANNOT, "0 s are left, too little", id="too late"),
        pytest.param(
            replace(known(), scope=BUSY), None, DAY, PlannedAction.CANNOT, "is changing the traffic just now", id="busy"
        ),
    ],
)  # fmt: skip
def test_a_move_that_is_not_made_is_told_with_its_input(
    view: View, brake: Brake | None, after: float, action: PlannedAction, words: str
) -> None:
    said = notice(*nodes(ACTIVE, 1, 2, 3), after=after)
    found = judged(said, view, brake)
    assert found.action is action
    assert words in found.reason
    announced = move_announcements.planned_event(SCOPE, said, found)
    assert ExecutionInput.model_validate_json(announced.text.partition("with the input ")[2].partition("\n")[0])
    wakes = action is PlannedAction.CANNOT or after < 12 * 3600
    assert announced.urgency is (Urgency.PAGE if wakes else Urgency.NOTICE)


@pytest.mark.parametrize(("hours", "urgency"), [(11, Urgency.PAGE), (13, Urgency.NOTICE)])
def test_a_person_with_little_time_is_woken(hours: float, urgency: Urgency) -> None:
    said = notice(*nodes(ACTIVE, 1, 2, 3), after=3600 * hours)
    assert move_announcements.planned_event(SCOPE, said, judged(said, known("tell"))).urgency is urgency


@given(st.floats(0, 3000), st.integers(0, 600), st.integers(0, 600), st.sampled_from([[100], [50, 100], [10, 50, 100]]))
def test_a_move_is_begun_only_where_it_can_be_over_before_the_margin(
    after: float, bake: int, margin: int, stages: list[int]
) -> None:
    view = known(stages=stages, bake_seconds=bake, planned_event_margin_seconds=margin)
    found = judged(notice(*nodes(ACTIVE, 1, 2, 3), after=after), view)
    chosen = found.payload.get("stages", stages)
    assert isinstance(chosen, list)
    fits = after - margin >= len(chosen) * bake + 60
    assert (found.action is PlannedAction.MOVE) is fits
    assert chosen in (stages, [100])


def test_an_event_has_one_execution_whatever_becomes_of_its_date() -> None:
    gone = nodes(ACTIVE, 1, 2, 3)
    first, again, other = notice(*gone), notice(*gone, after=DAY), notice(*gone, event_id="arn:event/2")
    assert judged(first).execution_name == judged(again).execution_name != judged(other).execution_name
    assert len(judged(first).execution_name) <= 80


class Maintenance:
    """What EC2 says."""

    def __init__(self) -> None:
        self.block = nodes(ACTIVE, 1, 2, 3, 4)
        self.asked: list[set[str]] = []
        self.error: Exception | None = None

    def instances_of(self, reservation_id: str) -> tuple[str, ...]:
        return self.block if reservation_id == "cr-0123456789abcdef0" else ()

    def scheduled(self, instance_ids: set[str]) -> dict[str, float]:
        self.asked.append(instance_ids)
        if self.error:
            raise self.error
        return {}


class World:
    """The handler's ports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, view: View) -> None:
        self.table, self.executions, self.messenger = FakeClusterTable(view), FakeExecutions(), FakeMessenger()
        self.maintenance, self.at = Maintenance(), NOW
        factories = {
            "cluster_table": self.table, "region_table": FakeRegionTable(builders.switch()), "clock": self,
            "executions": self.executions, "messenger": self.messenger, "maintenance": self.maintenance,
        }  # fmt: skip
        bind(monkeypatch, factories)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": SCOPE}))

    def now(self) -> float:
        return self.at

    def handle(self, event: dict[str, Any]) -> dict[str, str]:
        from failover.handle_planned_event import handler

        return handler(event, None)


def test_an_event_that_comes_twice_moves_once_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, known())
    for _ in range(2):
        answer = world.handle(example("capacity_block_ends"))
        assert answer[ACTIVE].startswith("move: use1-a loses i-use1-a-1, ")
    assert len(world.executions.started) == len(world.executions.refused) == 1
    ((subject, text),) = world.messenger.notices
    assert subject == f"{SCOPE}: AWS takes nodes of {ACTIVE}, the traffic is moved before it"
    assert "Capacity Block cr-0123456789abcdef0 ends, from 2027-01-15 11:00:00.0 UTC on" in text
    assert world.messenger.pages == []
    assert world.maintenance.asked == [{*nodes(ACTIVE, 1, 2, 3, 4), *nodes(STANDBY, 1, 2)}] * 2


def test_an_event_that_comes_again_while_its_own_move_is_made_is_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, known())
    world.handle(example("capacity_block_ends"))
    (name,) = world.executions.started
    held = builders.lease(4, f"arn:aws:states:us-east-1:123456789012:execution:failover:{name}", Purpose.ROLLOUT)
    world.table.known = replace(known(), scope=builders.record(held=held))
    assert world.handle(example("capacity_block_ends"))[ACTIVE].startswith("move: ")
    assert (len(world.messenger.notices), world.messenger.pages) == (1, [])


def test_another_date_is_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, known("tell"))
    entities = [{"entityValue": name} for name in nodes(ACTIVE, 1, 2, 3)]
    for start in ("Wed, 20 Jan 2027 08:00:00 GMT", "Wed, 20 Jan 2027 08:00:00 GMT", "Thu, 21 Jan 2027 08:00:00 GMT"):
        world.handle(example("instance_retirement", affectedEntities=entities, startTime=start))
    assert len(world.messenger.notices) == 2
    assert world.executions.started == {}


def test_what_is_not_ours_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, known())
    assert "names no instance of ours" in world.handle(example("instance_retirement"))["ignored"]
    assert (world.messenger.notices, world.messenger.pages, world.executions.started) == ([], [], {})


def test_where_the_schedule_cannot_be_read_the_events_own_instances_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, known())
    world.maintenance.error = UnavailableError("DescribeInstanceStatus: no answer")
    assert world.handle(example("capacity_block_ends"))[ACTIVE].startswith("move: ")


def test_a_cluster_that_stands_by_when_the_event_comes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    world = World(monkeypatch, replace(known(), scope=builders.record(moved)))
    assert world.handle(example("capacity_block_ends"))[ACTIVE].startswith("tell: ")
    assert world.executions.started == {}
