"""`traffic_shift` from its first state to its last, with the template's handlers, on servers that answer as told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from standfast import bootstrap
from standfast.errors import ConflictError
from standfast.fleet import Canary
from standfast.golden import NONCES, Golden
from standfast.health import Assessment, EndpointProbe, Outcome, Verdict
from standfast.judge import StageEvidence
from standfast.lease import Purpose
from standfast.questions import question_id
from standfast.rollout_rules import RolloutRules
from standfast.shifting import ShiftPlan
from standfast.stores import View
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.fakes import FakeClusterTable, FakeLoadBalancer, FakeRegionTable, FakeScopeStore
from tests.machine_walk import Walk, bind
from traffic_shift import judge_stage

PARENT = builders.EXECUTION
CHILD = "arn:aws:states:us-east-1:123456789012:execution:standfast-traffic-shift:one"
SHORT = {"rounds": 6, "cold_start_seconds": 10, "patience_seconds": 300}
GIVEN: dict[str, Any] = {
    "scope_id": SCOPE,
    "holder": PARENT,
    "token": 3,
    "incident_id": "one",
    "source": ACTIVE,
    "target": STANDBY,
    "reason": "a test releases v2",
    "stages": [10, 100],
    "bake_seconds": 60,
}
RELEASE = {**GIVEN, "release": {"version": "v2"}}


@dataclass
class Serving:
    """How a version answers: one request in `fails_one_in` fails (0: none), the others after so many seconds."""

    seconds: float = 0.2
    fails_one_in: int = 0
    token: str = "Paris"
    is_shed: bool = False
    asked: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


class Table(FakeClusterTable):
    """What the steps ask of ClusterTable. The watch has just judged both clusters, whenever it is asked."""

    def __init__(self, world: World, known: View, scopes: FakeScopeStore) -> None:
        super().__init__(known)
        self._world, self._scopes = world, scopes
        self.read, self.write_desired = scopes.read, scopes.write_desired

    def view(self) -> View:
        verdicts = {each: replace(found, assessed_at=self._world.now()) for each, found in self._world.watch.items()}
        return replace(self.known, scope=self._scopes.read(SCOPE), assessments=verdicts)

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        return self._world.golden.get(version, ())


class World:
    """Two clusters behind an entry, the stores, and a clock that the machine's Waits move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> None:
        config = builders.fleet(rollouts={**SHORT, **rules})
        scopes = FakeScopeStore(builders.record(builders.desired(), builders.lease(3, PARENT, Purpose.ROLLOUT)))
        self.scopes = scopes
        self.table = Table(self, builders.view(scopes.read(SCOPE), config=config), scopes)
        self.watch: dict[str, Assessment] = {each: builders.assessment(each) for each in (ACTIVE, STANDBY)}
        prompt = config.model.canary.prompt
        golden = tuple(Golden(nonce, prompt, "Paris", -0.1) for nonce in NONCES)
        self.golden: dict[str | None, Sequence[Golden]] = {None: golden, "v2": golden}
        self.serving = {ACTIVE: Serving(), STANDBY: Serving()}
        self.balancer = FakeLoadBalancer({ACTIVE: 100, STANDBY: 0})
        self.kept: dict[int, StageEvidence] = {}
        self.asked: list[ShiftPlan] = []
        self.approves = True
        self.moment, self.asks = NOW, 0
        self.on_wait: Callable[[], None] = lambda: None
        parts = {
            "cluster_table": self.table,
            "region_table": FakeRegionTable(builders.switch()),
            "load_balancer": self.balancer,
            "clock": self,
        }
        bind(monkeypatch, parts)
        monkeypatch.setattr(bootstrap, "prober", lambda _model: self)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": SCOPE}))
        monkeypatch.setattr(judge_stage, "judge_table", lambda: self)

    # Clock

    def now(self) -> float:
        return self.moment

    # Prober

    async def ask(
        self,
        url: str,
        model: str,
        canary: Canary,
        *,
        headers: Mapping[str, str] | None = None,
        nonce: str | None = None,
    ) -> EndpointProbe:
        self.asks += 1
        await asyncio.sleep(0)
        cluster_id = "".join((headers or {}).values()) or ACTIVE
        serving = self.serving[cluster_id]
        turn = next(serving.asked)
        if serving.is_shed and headers:
            return EndpointProbe(self.moment, self.moment, Outcome.SHED)
        if serving.fails_one_in and turn % serving.fails_one_in == 0:
            return EndpointProbe(self.moment, self.moment, Outcome.BAD_STATUS, "500")
        took = serving.seconds * (1 + (turn * 7919 % 101) / 400)
        token, between = serving.token, 0.03 * (1 + (turn * 104729 % 97) / 400)
        return EndpointProbe(self.moment, self.moment + took, Outcome.ANSWERED, "", took, None, token, -0.1, between)

    # JudgeStore

    def read_evidence(self, version: int) -> StageEvidence:
        return self.kept.get(version, StageEvidence())

    def write_evidence(self, version: int, evidence: StageEvidence, *, token: int, now: float) -> None:
        if evidence.looks != self.read_evidence(version).looks + 1:
            raise ConflictError("somebody looked between")
        self.kept[version] = evidence

    def shift(self, given: Mapping[str, Any]) -> Walk:
        def wait(seconds: float) -> None:
            self.moment += float(seconds) if str(seconds).isdigit() else 5.0
            self.on_wait()

        def person(data: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(ShiftPlan.model_validate(data))
            return {"approved": self.approves, "timed_out": False}

        walk = Walk("traffic_shift", CHILD, wait, instead={"AskWhileWatching": person})
        walk.run(dict(given))
        return walk

    def weights(self) -> dict[str, int]:
        return dict(self.scopes.read(SCOPE).desired.weights)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_release_that_is_no_worse_goes_through_all_stages_and_nobody_is_asked(world: World) -> None:
    walk = world.shift(RELEASE)
    assert (walk.error, walk.cause) == ("", "")
    assert walk.visited[-1] == "ShiftedTraffic"
    assert world.weights() == {ACTIVE: 0, STANDBY: 100}
    assert world.asked == []
    assert [found.looks > 3 for found in world.kept.values()] == [True, True]


@pytest.mark.parametrize(
    ("serving", "words"),
    [
        (Serving(fails_one_in=8), "failed requests"),
        (Serving(seconds=0.5), "first token (short)"),
        (Serving(token="Lyon"), "wrong golden answers"),
    ],
)
def test_a_bad_release_is_given_up_in_its_first_stage_and_the_cause_has_the_figures(
    world: World, serving: Serving, words: str
) -> None:
    world.serving[STANDBY] = serving
    walk = world.shift(RELEASE)
    assert walk.error == "ShiftAborted"
    assert "stage 1 of 2 (10 % at use1-b): the canary is worse: " in walk.cause
    assert words in walk.cause
    assert "the weights of before are restored" in walk.cause
    assert world.weights() == {ACTIVE: 100, STANDBY: 0}
    assert world.moment - NOW < 120


def test_where_the_judge_cannot_say_a_person_is_asked_before_the_next_stage_and_once_more_at_the_last(
    world: World,
) -> None:
    world.serving[STANDBY] = Serving(is_shed=True)  # both answer users, and nothing can be sampled
    walk = world.shift(RELEASE)
    assert walk.visited[-1] == "ShiftedTraffic"
    assert [(each.stage.number, each.stage.vouched) for each in world.asked] == [(2, False), (2, True)]
    assert all("after 0 samples" in each.stage.asked for each in world.asked)
    assert len({question_id(CHILD, each.stage.question) for each in world.asked}) == 2
    assert world.weights() == {ACTIVE: 0, STANDBY: 100}


def test_a_person_who_says_no_gives_the_release_up_and_the_cause_says_what_the_judge_lacked(world: World) -> None:
    world.serving[STANDBY] = Serving(is_shed=True)
    world.approves = False
    walk = world.shift(RELEASE)
    assert walk.error == "ShiftAborted"
    assert "a person said stop before stage 2 of 2" in walk.cause
    assert "the judge could not say: " in walk.cause
    assert world.weights() == {ACTIVE: 100, STANDBY: 0}


def test_a_release_without_golden_answers_is_a_person_s_to_decide(world: World) -> None:
    del world.golden["v2"]
    world.shift(RELEASE)
    assert len(world.asked) == 2
    assert "wrong golden answers: no sample" in world.asked[0].stage.asked


def test_a_canary_that_turns_bad_while_the_last_stage_is_vouched_for_is_given_up(world: World) -> None:
    world.serving[STANDBY] = Serving(is_shed=True)

    def turn_bad() -> None:
        if world.asked and world.asked[-1].stage.vouched:
            world.serving[STANDBY] = Serving(fails_one_in=1)

    world.on_wait = turn_bad
    walk = world.shift(RELEASE)
    assert walk.error == "ShiftAborted"
    assert "the canary is worse: failed requests" in walk.cause


def test_a_doubt_of_the_watch_after_the_bake_delays_a_release_and_does_not_give_it_up(world: World) -> None:
    """While samples are still gathered: a planned move would be given up a minute after its bake."""
    doubtful = replace(world.watch[STANDBY], verdict=Verdict.DEGRADED, reason="one of two is late")

    def turn() -> None:
        since = world.moment - NOW
        world.watch[STANDBY] = doubtful if 30 < since < 180 else builders.assessment(STANDBY)

    world.on_wait = turn
    walk = world.shift(RELEASE)
    assert walk.visited[-1] == "ShiftedTraffic"
    assert world.moment - NOW > 180


def test_a_step_that_runs_twice_counts_no_sample_twice(world: World) -> None:
    walk = world.shift(RELEASE)
    looks = walk.visited.count("JudgeStage")
    assert sum(found.looks for found in world.kept.values()) == looks
    (first, second) = world.kept.values()
    each = RolloutRules(**SHORT).rounds * 2
    assert (first.samples, second.samples) == (first.looks * each, second.looks * each)


def test_a_planned_move_that_does_not_bake_asks_what_it_always_asked_and_waits_for_no_sample(world: World) -> None:
    walk = world.shift({**GIVEN, "bake_seconds": 0})
    assert walk.visited[-1] == "ShiftedTraffic"
    assert walk.visited.count("JudgeStage") == 2
    assert (world.asks, world.kept) == (6, {})


def test_a_planned_move_takes_its_bakes_and_no_longer_whatever_the_judge_lacks(world: World) -> None:
    world.golden.clear()
    world.serving[STANDBY] = Serving(seconds=0.6)  # the other cluster is the slower one, within its objective
    walk = world.shift(GIVEN)
    assert walk.visited[-1] == "ShiftedTraffic"
    assert walk.visited.count("JudgeStage") == 2 * 60 // 5
    assert world.asked == []


def test_a_planned_move_to_a_cluster_that_fails_one_request_in_three_is_given_up(world: World) -> None:
    world.serving[STANDBY] = Serving(fails_one_in=3)
    walk = world.shift({**GIVEN, "bake_seconds": 600})
    assert walk.error == "ShiftAborted"
    assert "failed requests" in walk.cause
    assert world.moment - NOW < 600
