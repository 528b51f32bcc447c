"""`fleet_release` with its own handlers: waves through two Regions, what is refused, and what an end leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from release import settle_release
from standfast import bootstrap, bootstrap_releases
from standfast.config_sync import Outcome
from standfast.errors import AccessDeniedError, FencedError
from standfast.fleet import Automation, FleetConfig
from standfast.lease import HolderState
from standfast.release_record import ReleaseRecord
from standfast.release_waves import Way
from tests import builders
from tests.builders import NOW
from tests.fakes import FakeClusterTable, FakeMessenger, FakeRegionTable
from tests.machine_walk import Context, Walk, bind
from tests.template import documents

EAST, WEST = "us-east-1", "us-west-2"
ORDER = ["use1-b", "use1-a", "usw2-b", "usw2-a"]
ROLES = {"use1-a": "active", "use1-b": "standby", "usw2-a": "active", "usw2-b": "standby"}
ARN = "arn:aws:states:us-east-1:111122223333:execution:standfast-fleet-release:r1"


class World(FakeRegionTable):
    """Two Regions whose rollouts end as `ends` says by cluster, good where it says nothing; None: never."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(builders.switch())
        self.record = ReleaseRecord()
        self.messenger, self.moment = FakeMessenger(), NOW
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.ends: dict[str, tuple[str, str] | None] = {}
        self.live: dict[str, str] = {}
        self.roles = dict(ROLES)
        self.fits = {"rolling": True, "blue/green": True}
        self.holder = HolderState.RUNNING
        config = FleetConfig.parse(_two_regions())
        parts = {
            "cluster_table": FakeClusterTable(builders.view()), "region_table": self, "clock": self,
            "messenger": self.messenger,
        }  # fmt: skip
        applied = type("Applied", (), {"config": config})
        monkeypatch.setattr(parts["cluster_table"], "read_config", lambda: applied)
        bind(monkeypatch, parts)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": EAST}))
        monkeypatch.setattr(bootstrap_releases, "fleet_rollouts", lambda: self)
        for name in ("plan_release", "check_plans", "begin_release", "start_wave", "check_wave", "give_up_release"):
            module = __import__(f"release.{name}", fromlist=["handler"])
            if hasattr(module, "fleet_rollouts"):
                monkeypatch.setattr(module, "fleet_rollouts", lambda: self)
        monkeypatch.setattr(settle_release, "fleet_rollouts", lambda: self)

    def now(self) -> float:
        return self.moment

    def wait(self, seconds: float) -> None:
        self.moment += float(seconds)

    def read_release(self) -> ReleaseRecord:
        return self.record

    def write_release(self, record: ReleaseRecord, *, seen: ReleaseRecord) -> None:
        if seen != self.record:
            raise FencedError("somebody else wrote")
        self.record = record

    def arn(self, region: str, way: Way, name: str) -> str:
        return f"arn:aws:states:{region}:111122223333:execution:standfast-{way.machine}:{name}"

    def start(self, region: str, way: Way, name: str, payload: Mapping[str, object]) -> str:
        self.faults.check("start")
        arn = self.arn(region, way, name)
        if arn not in self.started:
            self.started.append(arn)
        return arn

    def progress(self, execution_arn: str) -> Outcome:
        cluster = next(name for name in self.roles if execution_arn.endswith(name))
        if ":plan-" in execution_arn:
            options = [{"way": way, "fits": fits, "reason": "so it is"} for way, fits in self.fits.items()]
            said = {"planned": f"{cluster}: the plan", "options": options, "role": self.roles[cluster]}
            return Outcome(True, {**said, "live": self.live.get(cluster, "v7")}, "SUCCEEDED")
        end = self.ends.get(cluster, ("", ""))
        if end is None:
            return Outcome(False)
        return Outcome(True, None, *end) if end[0] else Outcome(True, {}, "SUCCEEDED")

    def stop(self, execution_arn: str, cause: str) -> None:
        self.stopped.append(execution_arn)

    def holder_state(self, execution_arn: str) -> HolderState:
        return self.holder

    def rollouts(self) -> list[str]:
        return [next(name for name in ROLES if arn.endswith(name)) for arn in self.started if ":release-" in arn]

    def release(self, arn: str = ARN, **asked: Any) -> Walk:
        walk = Walk("fleet_release", arn, wait=self.wait)
        given = asked if "ready" in asked else {"version": "v8", "by": "me", "reason": "a test", **asked}
        self.answer = walk.run(given)
        return walk


def _two_regions() -> dict[str, Any]:
    text = (documents.ROOT / "statemachines/examples/sync_config.json").read_text()
    config: dict[str, Any] = json.loads(text)["config"]
    config.pop("overlays")
    return config


def wave(*names: str) -> list[dict[str, str]]:
    return [{"scope_id": EAST if name.startswith("use1") else WEST, "cluster_id": name} for name in names]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_by_default_each_region_after_the_other_and_its_standby_first_with_a_bake_between(world: World) -> None:
    walk = world.release(bake_seconds=600)
    assert (walk.error, world.rollouts()) == ("", ORDER)
    assert world.moment - NOW > 3 * 600
    assert all(":standfast-rolling-update:" in arn for arn in world.started if ":release-" in arn)
    assert world.record.ended == "finished"
    assert [name for name, _ in world.messenger.events] == ["ReleaseStarted", "ReleaseCompleted"]


def test_a_dry_run_says_every_cluster_s_plan_and_changes_nothing(world: World) -> None:
    assert world.release(dryRun=True).visited[-1] == "PlannedRelease"
    text = world.answer["plans"]["text"]
    assert all(f"{name}: the plan" in text for name in ORDER)
    assert "wave 2: use1-a in us-east-1 by rolling" in text
    assert (world.rollouts(), world.record, world.messenger.notices) == ([], ReleaseRecord(), [])


def test_one_that_fails_stops_the_others_of_its_wave_and_nothing_further_starts(world: World) -> None:
    world.ends = {"use1-b": ("RolloutPutBack", "no engine starts"), "usw2-b": None}
    walk = world.release(waves=[wave("use1-b", "usw2-b"), wave("use1-a")], way="rolling")
    assert walk.error == "ReleaseAborted"
    assert "wave 1 of 2: use1-b in us-east-1 failed (RolloutPutBack): no engine starts" in walk.cause
    assert world.rollouts() == ["use1-b", "usw2-b"]
    assert any(arn.endswith("usw2-b") for arn in world.stopped)
    assert world.record.ended == "aborted"
    assert "wave 1 of 2: use1-b" in world.messenger.notices[-1][1]


@pytest.mark.parametrize("error", ["RolloutStopped", "DeploymentStopped"])
def test_a_failover_ends_the_release_and_it_does_not_go_on(world: World, error: str) -> None:
    world.ends = {"use1-a": (error, "a failover has the lease")}
    walk = world.release()
    assert (walk.error, world.rollouts(), world.record.ended) == ("ReleaseStopped", ORDER[:2], "stopped")
    assert "Released, and kept: use1-b." in walk.cause
    assert '"version": "v7", "waves": [[{"scope_id": "us-east-1", "cluster_id": "use1-b"}]]' in walk.cause


def test_the_brake_between_two_waves_stops_it(world: World) -> None:
    walk = Walk("fleet_release", ARN, wait=world.wait)
    world.ends["use1-b"] = None

    def pulled(seconds: float) -> None:
        world.wait(seconds)
        if world.rollouts():
            world.ends.clear()
            world.write_switch(builders.switch(Automation.OFF))

    walk.wait = pulled
    walk.run({"version": "v8", "by": "me", "reason": "a test"})
    assert (walk.error, world.rollouts()) == ("ReleaseStopped", ["use1-b"])
    assert "nothing further may start: the switch says off" in walk.cause


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"waves": [wave("use1-a", "use1-b")]}, "wave 1 has two clusters of us-east-1"),
        ({"waves": [wave("use1-a", "usw2-a")]}, "has the active clusters of two Regions, use1-a and usw2-a"),
        ({"waves": [wave("use1-a"), wave("use1-a")]}, "use1-a is named twice"),
        ({"model": "another"}, "the fleet serves meta-llama/Llama-3.1-8B-Instruct, not another"),
        ({"way": "sideways"}, "way"),
        ({"event_id": "e1", "ready": {"version": "v8"}}, "reason"),
    ],
)
def test_what_is_wrong_is_refused_in_words_and_nothing_is_begun(world: World, asked: Any, words: str) -> None:
    walk = world.release(**asked)
    assert walk.error == "ReleaseRefused"
    assert words in walk.cause
    assert (world.rollouts(), world.record) == ([], ReleaseRecord())


def test_the_planner_chooses_the_way_and_one_that_does_not_fit_is_refused(world: World) -> None:
    world.fits = {"rolling": True, "blue/green": False}
    assert "way: use1-b: blue_green does not fit: blue/green: so it is" in world.release(way="blue_green").cause
    assert world.release(way="auto").error == ""
    assert all(":standfast-rolling-update:" in arn for arn in world.started if ":release-" in arn)


def test_clusters_that_serve_it_or_are_quarantined_are_left_out_and_named(world: World) -> None:
    world.live, world.roles["usw2-b"] = {"use1-a": "v8", "use1-b": "v8"}, "quarantined"
    world.release()
    assert world.rollouts() == ["usw2-a"]
    assert "left out: usw2-b is quarantined" in world.answer["plans"]["text"]
    world.live = dict.fromkeys(ORDER, "v8")
    assert "use1-a serves v8 already" in world.release(f"{ARN}2").cause


def test_one_release_at_a_time_until_its_execution_is_gone(world: World) -> None:
    world.record = ReleaseRecord(4, f"{ARN}0", "v7", began_at=NOW)
    assert f"v7 is being released by {ARN}0: one release at a time" in world.release().cause
    world.holder = HolderState.ENDED
    assert world.release().error == ""
    assert world.record.token == 5


def test_the_same_event_is_one_release_and_what_was_given_up_is_not_begun_again_by_an_event(world: World) -> None:
    ready = {"version": "v8", "by": "CI", "reason": "evaluated"}
    world.ends = {"use1-b": ("RolloutPutBack", "it does not start")}
    assert world.release(event_id="e1", ready=ready).error == "ReleaseAborted"
    for number, event in enumerate(("e1", "e2")):
        assert "an event does not begin it again" in world.release(f"{ARN}{number}", event_id=event, ready=ready).cause
    world.ends = {}
    assert world.release(f"{ARN}9").error == ""


def test_a_wave_that_was_started_by_half_is_stopped(world: World) -> None:
    world.faults.fail("start", AccessDeniedError("states:StartExecution"), times=1)
    walk = Walk("fleet_release", ARN, wait=world.wait, instead={"PlanRelease": _planned})
    walk.run({"version": "v8", "by": "me", "reason": "a test"})
    assert walk.error == "ReleaseAborted"
    assert [arn.rpartition("-")[0][-4:] for arn in world.stopped] == ["use1"]


def test_steps_that_run_twice_start_each_rollout_once_and_tell_people_once(world: World) -> None:
    walk = Walk("fleet_release", ARN, wait=world.wait)

    def twice(name: str) -> Any:
        def run(event: dict[str, Any]) -> Any:
            handler = Walk("fleet_release", ARN, wait=world.wait)._handler(name)
            handler(event)
            return handler(event)

        return run

    names = ("PlanRelease", "CheckPlans", "BeginRelease", "StartWave", "CheckWave", "ConcludeRelease")
    walk.instead = {name: twice(name) for name in names}
    walk.run({"version": "v8", "by": "me", "reason": "a test"})
    assert (walk.error, world.rollouts(), world.record.token) == ("", ORDER, 1)
    assert [name for name, _ in world.messenger.events] == ["ReleaseStarted", "ReleaseCompleted"]


def test_without_a_word_of_the_input_a_wave_bakes_as_fleet_config_says(world: World) -> None:
    world.release()
    assert "v8 goes out in 4 waves, 600 s between two" in world.messenger.notices[0][1]
    assert world.moment - NOW > 3 * 600


def _planned(event: Mapping[str, Any]) -> dict[str, Any]:
    asked = [
        {**each, "execution_arn": f"arn:aws:states:{each['scope_id']}:1:execution:m:plan-{each['cluster_id']}"}
        for each in wave(*ORDER)
    ]
    return {
        "execution_arn": event["execution_arn"],
        "input": event["input"],
        "asked": asked,
        "dry_run": False,
        "bake_seconds": 0,
    }


def test_an_execution_that_was_stopped_leaves_nothing_under_way_and_blocks_nobody(world: World) -> None:
    Walk("fleet_release", ARN, wait=world.wait, stop_after="StartWave").run(
        {"version": "v8", "by": "me", "reason": "a test"}
    )
    event = {"source": "aws.states", "detail": {"executionArn": ARN, "status": "ABORTED"}}
    answer = settle_release.handler(event, Context())
    assert (answer["stopped"], world.record.ended) == (list(world.record.executions), "stopped")
    assert world.stopped == list(world.record.executions)
    told = len(world.messenger.notices)
    assert settle_release.handler(event, Context()) == {"stopped": []}
    assert len(world.messenger.notices) == told
    assert world.release(f"{ARN}2").error == ""
