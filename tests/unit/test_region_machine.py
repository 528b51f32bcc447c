"""`region_failover` from its first state to its last, with the template's handlers, in a fleet that a test breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from region import announce_region_move, reconcile_regions
from sandbox.replicated_record import ReplicatedRecord
from standfast import bootstrap, bootstrap_regions, region_moving, region_record
from standfast.errors import UnavailableError
from standfast.fleet import Automation
from standfast.health import EndpointProbe, Outcome, Verdict
from standfast.incidents import Kind
from standfast.region_ports import Heartbeat, RegionPurpose, RegionRecord, Voice
from standfast.stores import AppliedConfig, Sight
from tests import builders
from tests.builders import NOW
from tests.fakes import FakeClusterTable, FakeIncidentLog, FakeMessenger, FakeRegionTable
from tests.machine_walk import Context, Walk, bind
from tests.region_builders import EAST, WATCHER, WEST, fleet_of
from tests.region_fakes import FakeRegionSwitch

EXECUTION = "arn:aws:states:us-west-2:123456789012:execution:standfast-region-failover:one"
GIVEN: dict[str, Any] = {
    "mode": "evacuate",
    "region": EAST,
    "reason": "us-east-1 fails its users",
    "voices": [WATCHER, WEST],
    "incident_id": "us-east-1-evacuation-0",
    "failed_since": NOW - 15,
    "detected_at": NOW - 1,
    "trigger": "watch of the Regions",
}
SWITCHOVER = {"mode": "switchover", "region": EAST, "reason": "a rebuild", "by": "ana", "bake_seconds": 60}
RETURN = {"mode": "return", "region": EAST, "reason": "mended", "by": "ana", "bake_seconds": 60}


class World:
    """Two Regions that serve and one that watches. Executions run in us-west-2. Its clock moves by the Waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> None:
        self.config = fleet_of(EAST, WEST, watchers=[WATCHER], region_moves={"hold_down_seconds": 60, **rules})
        self.table = ReplicatedRecord()
        self.store = self.table.at(WEST)
        self.down: set[str] = set()
        self.silent: set[str] = set()
        self.requests, self.room = 10, 30
        self.shared = FakeRegionTable(builders.switch())
        self.switch = FakeRegionSwitch(EAST, WEST)
        self.follows = True
        self.messenger, self.log = FakeMessenger(), FakeIncidentLog()
        view = replace(builders.view(), applied=AppliedConfig(1, self.config))
        self.clusters = FakeClusterTable(view)
        self.moment = NOW
        self.on_wait: Callable[[], None] = lambda: None
        parts = {"cluster_table": self.clusters, "region_table": self, "clock": self, "messenger": self.messenger}
        bind(monkeypatch, {**parts, "incident_log": self.log})
        monkeypatch.setattr(bootstrap, "prober", lambda _model: self)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": WEST}))
        monkeypatch.setattr(bootstrap_regions, "region_states", lambda: self.store)
        monkeypatch.setattr(bootstrap_regions, "region_switch", lambda _config: self.switch)
        self.read_brake = self.shared.read_brake
        self.glance_at_brake = self.shared.glance_at_brake
        self.sights = self.store.sights
        self.see()

    def see(self) -> None:
        """What the watches of all Regions would have written by this moment."""
        shared = self.table.shared
        for region in (EAST, WEST, WATCHER):
            if region not in self.silent:
                serving = region != WATCHER and region not in self.down
                shared.beats[region] = Heartbeat(
                    region, self.moment, serving, "as it is", requests=self.requests, room=self.room
                )
            for vantage in {EAST, WEST, WATCHER} - self.silent if region != WATCHER else ():
                verdict = Verdict.UNHEALTHY if region in self.down else Verdict.HEALTHY
                shared.sights[vantage, region] = Sight(vantage, region, verdict, "looked", self.moment, NOW - 15)
        condemned = shared.record.condemned_now(self.moment)
        told = Voice.CONDEMNS if condemned and self.follows else Voice.ABSTAINS
        self.switch.said = {WEST: told, WATCHER: told, EAST: Voice.SILENT if EAST in self.silent else told}

    def now(self) -> float:
        self.see()
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds
        await asyncio.sleep(0)

    async def ask(self, url: str, *_: Any, **__: Any) -> EndpointProbe:
        await asyncio.sleep(0)
        down = any(region in url for region in self.down)
        return EndpointProbe(self.moment, self.moment + 0.1, Outcome.TIMED_OUT if down else Outcome.ANSWERED)

    def lose(self, region: str) -> None:
        self.down.add(region)
        self.silent.add(region)

    def mend(self, region: str) -> None:
        self.down.discard(region)
        self.silent.discard(region)

    def move(self, given: dict[str, Any], execution: str = EXECUTION) -> Walk:
        def wait(seconds: float) -> None:
            self.moment += float(seconds)
            self.on_wait()

        walk = Walk("region_failover", execution, wait)
        walk.run(dict(given))
        return walk

    @property
    def record(self) -> RegionRecord:
        return self.table.shared.record

    def condemned(self) -> set[str]:
        return set(self.record.condemned_now(self.moment))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_lost_region_is_condemned_and_a_person_is_told(world: World) -> None:
    world.lose(EAST)
    walk = world.move(GIVEN)
    assert (walk.error, walk.visited) == (
        "",
        [
            "TakeRegionLease",
            "CheckPeerCapacity",
            "IsPlanned",
            "Condemn",
            "IsCondemned",
            "AskEdge",
            "IsAtEdge",
            "VerifyFromOutside",
            "AnnounceRegionMove",
            "MovedRegion",
        ],
    )
    found = world.record.condemned[EAST]
    assert (found.condemned_by, found.incident_id, found.token) == ((WATCHER, WEST), "us-east-1-evacuation-0", 1)
    assert (world.record.lease.holder, world.record.attempts) == (None, 0)
    ((subject, text),) = world.messenger.pages
    assert subject == "us-east-1 is evacuated, us-west-2 serves"
    assert "Who spoke for it: us-east-2, us-west-2." in text
    assert [event for event, _ in world.messenger.events] == ["IncidentOpened", "RegionEvacuated"]
    (incident,) = world.log.open.values()
    assert (incident.kind, incident.scope_id, incident.moved_at) == (Kind.REGION, EAST, NOW)


def test_it_asks_no_control_plane(world: World) -> None:
    world.lose(EAST)
    for call in ("read_weights", "write_weights"):
        world.switch.faults.fail(call, UnavailableError("Route 53's control plane is in us-east-1"))
    assert world.move(GIVEN).error == ""
    assert world.condemned() == {EAST}


def test_with_nothing_proven_to_go_to_nothing_moves(world: World) -> None:
    world.lose(EAST)
    world.down.add(WEST)
    walk = world.move(GIVEN)
    assert walk.error == "RegionMoveFailed"
    assert "nothing is proven to go to, so nothing moves" in walk.cause
    assert world.condemned() == set()
    assert (world.record.attempts, world.record.not_before) == (1, NOW + 60)
    assert "nobody was condemned; the traffic stays as it is" in world.messenger.pages[0][1]


def test_what_is_over_by_then_condemns_nobody(world: World) -> None:
    walk = world.move(GIVEN)
    assert (walk.error, walk.visited[-2:]) == ("", ["AnnounceRegionMove", "MovedRegion"])
    assert world.condemned() == set()
    assert world.record.lease.holder is None
    assert "is not seen to fail by 2 vantage points any more" in world.messenger.notices[0][1]


def test_a_person_may_evacuate_a_region_that_looks_well(world: World) -> None:
    person = {"mode": "evacuate", "region": EAST, "reason": "power is going", "by": "ana"}
    assert world.move(person).error == ""
    assert world.record.condemned[EAST].condemned_by == ("person/ana",)


def test_the_overload_is_said(world: World) -> None:
    world.lose(EAST)
    world.room = 4
    assert world.move(GIVEN).error == ""
    assert "Mind: us-west-2 had room for 4 more requests at once, us-east-1 had 10." in world.messenger.pages[0][1]


def test_while_the_switch_says_observe_nothing_is_changed(world: World) -> None:
    world.lose(EAST)
    world.shared.brake = builders.brake(Automation.OBSERVE)
    assert world.move(GIVEN).error == ""
    assert (world.condemned(), world.record.lease.token) == (set(), 0)
    assert "Nothing was changed: the switch says observe" in world.messenger.pages[0][1]


def test_while_the_switch_is_off_nothing_starts_but_by_break_glass(world: World) -> None:
    world.lose(EAST)
    world.shared.brake = builders.brake(Automation.OFF)
    walk = world.move(GIVEN)
    assert (walk.error, walk.visited[-1]) == ("RefusedToStart", "RefuseToStart")
    person = {"mode": "evacuate", "region": EAST, "reason": "users wait", "by": "ana"}
    assert world.move({**person, "break_glass": {"by": "ana", "reason": "a migration hangs"}}).error == ""
    assert world.condemned() == {EAST}
    assert "ana broke the glass" in world.messenger.pages[0][1]


def test_a_brake_that_is_pulled_meanwhile_stops_it(world: World) -> None:
    world.lose(EAST)
    brakes = iter([builders.brake(Automation.RUN), builders.brake(Automation.OFF)])
    world.read_brake = lambda: next(brakes)
    walk = world.move(GIVEN)
    assert "it was set after this execution had begun" in walk.cause
    assert world.condemned() == set()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            {**GIVEN, "region": WEST},
            "us-west-2 cannot move itself; start it in a Region that stays: us-east-1, us-east-2",
        ),
        ({**GIVEN, "region": "eu-west-9"}, "is not in the FleetConfig"),
        (RETURN, "us-east-1 is neither condemned nor moved away"),
        ({"mode": "evacuate", "region": EAST, "reason": "why not"}, "by is missing"),
        ({**GIVEN, "stages": [100]}, "are for planned moves"),
    ],
)
def test_an_input_that_does_not_fit_changes_nothing(world: World, given: dict[str, Any], why: str) -> None:
    walk = world.move(given)
    assert walk.error == "RefusedToStart"
    assert why in walk.cause
    assert world.record == RegionRecord()


def test_two_executions_for_one_region_are_one_evacuation(world: World) -> None:
    world.lose(EAST)
    region_moving.take(world.table.at(WATCHER), "arn:another", RegionPurpose.EVACUATE, NOW)
    walk = world.move(GIVEN)
    assert (walk.error, "arn:another" in walk.cause) == ("LeftToAnother", True)
    assert world.condemned() == set()
    reconcile_regions.handler(ended("FAILED", "LeftToAnother"), Context())
    assert world.messenger.pages == []


def test_one_that_comes_after_it_was_done_is_left_to_it(world: World) -> None:
    world.lose(EAST)
    assert world.move(GIVEN).error == ""
    walk = world.move(GIVEN, EXECUTION + "2")
    assert (walk.error, "another Region's execution was quicker" in walk.cause) == ("LeftToAnother", True)


def test_the_edge_is_waited_for_until_the_users_name_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, global_url="http://llm.test")
    world.lose(EAST)
    world.down.add("llm.test")
    waits: list[float] = []

    def wait() -> None:
        waits.append(world.moment)
        if len(waits) == 10:
            world.down.discard("llm.test")

    world.on_wait = wait
    walk = world.move(GIVEN)
    assert (walk.error, len(waits)) == ("", 10)
    assert "Asked as users do: http://llm.test answered 3 canaries in a row" in world.messenger.pages[0][1]


def test_a_condemned_region_is_left_condemned_when_the_edge_does_not_follow(world: World) -> None:
    world.lose(EAST)
    world.follows = False
    walk = world.move(GIVEN)
    assert walk.error == "RegionMoveFailed"
    assert "the edge did not follow in 120 s: the endpoints say: us-east-1 silent, us-east-2 abstains" in walk.cause
    assert world.condemned() == {EAST} or world.record.condemned[EAST].valid_until > NOW + 100
    assert "us-east-1 stays condemned: users never go back to what failed" in world.messenger.pages[0][1]


def test_steps_that_run_twice_are_one_step(world: World) -> None:
    world.lose(EAST)
    walk = Walk("region_failover", EXECUTION, lambda _: None)
    twice: dict[str, Callable[[dict[str, Any]], Any]] = {}
    for name in (
        "TakeRegionLease",
        "CheckPeerCapacity",
        "Condemn",
        "AskEdge",
        "VerifyFromOutside",
        "AnnounceRegionMove",
    ):
        handler = walk._handler(name)

        def run(event: dict[str, Any], handler: Callable[[dict[str, Any]], Any] = handler) -> Any:
            first, second = handler(event), handler(event)
            assert {**first, "at": 0} == {**second, "at": 0} or "told" in first
            return second

        twice[name] = run
    walk.instead = twice
    walk.run(dict(GIVEN))
    assert (walk.error, world.record.lease.token, len(world.messenger.pages)) == ("", 1, 1)
    assert len(world.log.open) == 1


def test_a_switchover_goes_in_stages_that_are_judged(world: World) -> None:
    walk = world.move(SWITCHOVER)
    assert walk.error == ""
    assert [weights for region, weights in world.switch.written if region == EAST] == [
        {EAST: 229, WEST: 26},
        {EAST: 127, WEST: 128},
        {EAST: 0, WEST: 255},
    ]
    assert walk.visited.count("JudgeRegion") == 3
    assert (world.record.before, world.condemned()) == (None, set())
    assert world.messenger.notices[0][0] == "the users of us-east-1 are at the others"


def test_a_switchover_whose_target_fails_goes_back(world: World) -> None:
    world.on_wait = lambda: world.down.add(WEST)
    walk = world.move(SWITCHOVER)
    assert "the stage is bad: us-west-2 says that it does not serve" in walk.cause
    assert world.switch.records[EAST] == {EAST: 255, WEST: 0}
    assert (world.record.weights, world.record.before, world.record.attempts) == ({}, None, 0)
    assert "the weights of before are restored" in world.messenger.pages[0][1]


def test_it_never_goes_back_to_what_failed(world: World) -> None:
    def both() -> None:
        world.down |= {EAST, WEST}

    world.on_wait = both
    assert world.move(SWITCHOVER).error == "RegionMoveFailed"
    assert world.switch.records[EAST] == {EAST: 229, WEST: 26}
    assert "10 % of its users are at the others and stay there" in world.messenger.pages[0][1]


def test_a_switchover_needs_room_or_a_word(world: World) -> None:
    world.room = 4
    walk = world.move(SWITCHOVER)
    assert "accept_overload in the input goes on all the same" in walk.cause
    assert world.switch.written == []
    assert world.move({**SWITCHOVER, "accept_overload": True}, EXECUTION + "2").error == ""


def test_an_evacuation_takes_the_lease_from_a_switchover(world: World) -> None:
    def lost() -> None:
        if EAST not in world.down:
            world.lose(EAST)
            other = world.table.at(WATCHER)
            lease = region_moving.take(other, "arn:evacuation", RegionPurpose.EVACUATE, world.moment)
            assert lease.token == 2

    world.on_wait = lost
    walk = world.move(SWITCHOVER)
    assert "is stale" in walk.cause
    assert "another hand has the Region lease" in world.messenger.pages[0][1]


def evacuate(world: World) -> None:
    world.lose(EAST)
    assert world.move(GIVEN).error == ""
    world.mend(EAST)


def test_a_return_waits_for_the_hold_down(world: World) -> None:
    evacuate(world)
    walk = world.move(RETURN, EXECUTION + "2")
    assert "us-east-1 is held down for 58 s more" in walk.cause
    assert world.condemned() == {EAST}


def test_a_return_lifts_the_condemnation_once_the_first_stage_is_at_the_name_servers(world: World) -> None:
    evacuate(world)
    world.moment += 61
    world.switch.settles_after = 3
    lifted_at: list[dict[str, int]] = []
    world.on_wait = lambda: lifted_at.append(dict(world.switch.records[EAST])) if not world.condemned() else None
    walk = world.move(RETURN, EXECUTION + "2")
    assert walk.error == ""
    assert lifted_at[0] == {EAST: 25, WEST: 230}
    assert walk.visited.count("WaitForEdge") == 3
    assert (world.condemned(), world.switch.records[EAST]) == (set(), {EAST: 255, WEST: 0})
    assert world.record.returned[EAST] > NOW
    assert (world.log.open, len(world.log.closed)) == ({}, 1)
    assert [event for event, _ in world.messenger.events][-2:] == ["IncidentClosed", "RegionReturned"]


def test_a_return_that_goes_wrong_condemns_again(world: World) -> None:
    evacuate(world)
    world.moment += 61
    world.on_wait = lambda: world.down.add(EAST)
    walk = world.move(RETURN, EXECUTION + "2")
    assert "the stage is bad: us-east-1 says that it does not serve" in walk.cause
    assert world.condemned() == {EAST}
    assert "us-east-1 is condemned again" in world.messenger.pages[-1][1]


def test_nobody_comes_back_to_a_region_that_is_not_proven(world: World) -> None:
    evacuate(world)
    world.down.add(EAST)
    world.moment += 61
    walk = world.move(RETURN, EXECUTION + "2")
    assert "us-east-1 is not proven, so nobody comes back" in walk.cause
    assert world.condemned() == {EAST}


def ended(status: str, error: str = "") -> dict[str, Any]:
    return {"source": "aws.states", "detail": {"executionArn": EXECUTION, "status": status, "error": error or None}}


def test_a_planned_move_that_was_stopped_is_undone_and_told(world: World) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    world.on_wait = stop
    with pytest.raises(KeyboardInterrupt):
        world.move(SWITCHOVER)
    assert world.switch.records[EAST] == {EAST: 229, WEST: 26}
    answer = reconcile_regions.handler(ended("ABORTED"), Context())
    assert answer == {"found": "the users of us-east-1 are sent as before", "done": True}
    assert [subject for subject, _ in world.messenger.pages] == [
        "region-failover ended as ABORTED",
        "us-east-1: a planned move was left half-way",
    ]
    assert world.switch.records[EAST] == {EAST: 255, WEST: 0}
    assert reconcile_regions.handler({}, Context()) == {"found": "", "done": False}


def test_nobody_touches_a_move_that_somebody_is_at_work_on(world: World) -> None:
    found: list[dict[str, Any]] = []
    world.on_wait = lambda: found.append(reconcile_regions.handler({}, Context()))
    assert world.move(SWITCHOVER).error == ""
    assert found == [{"found": "", "done": False}] * 3


def test_one_that_told_by_itself_is_not_told_again(world: World) -> None:
    reconcile_regions.handler(ended("FAILED", "RegionMoveFailed"), Context())
    assert world.messenger.pages == []


def test_what_was_stopped_is_not_sent_back_to_what_fails(world: World) -> None:
    lease = region_moving.take(world.store, "arn:gone", RegionPurpose.SWITCHOVER, NOW)
    region_moving.change(
        world.store,
        lease.token,
        lambda record: region_record.send(record, EAST, {EAST: 0, WEST: 255}, serving=(EAST, WEST), reason="", now=NOW),
        NOW,
    )
    world.switch.records[EAST] = {EAST: 0, WEST: 255}
    world.down.add(EAST)
    world.moment += 100
    answer = reconcile_regions.handler({}, Context())
    assert answer["done"]
    assert "us-east-1 is seen to fail, so the users of us-east-1 stay where they are" in answer["found"]
    assert world.switch.records[EAST] == {EAST: 0, WEST: 255}


def test_who_was_overtaken_does_not_say_that_it_is_done(world: World) -> None:
    world.lose(EAST)
    taken: list[bool] = []
    real = announce_region_move.handler

    def overtaken(event: dict[str, Any]) -> Any:
        world.moment += 100
        taken.append(bool(region_moving.take(world.store, "arn:two", RegionPurpose.EVACUATE, world.moment)))
        return real(event, Context())

    walk = Walk("region_failover", EXECUTION, lambda _: None, instead={"AnnounceRegionMove": overtaken})
    walk.run(dict(GIVEN))
    assert (walk.error, taken) == ("EndedWithoutWord", [True])
    assert world.messenger.pages == []
