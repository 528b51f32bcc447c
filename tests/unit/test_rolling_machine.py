"""`rolling_update` from its first state to its last, with the template's handlers, on replicas made of dataclasses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rollout import bake_replica, choose_replica, return_replica, update_replica
from standfast import bootstrap
from standfast.capacity import Load, Reading
from standfast.engine import EngineDescription, EngineState
from standfast.errors import AccessDeniedError, UnavailableError
from standfast.fleet import Automation, Canary, Role
from standfast.golden import NONCES, Golden
from standfast.health import EndpointProbe, Outcome
from standfast.lease import Lease, Purpose
from standfast.manifest import Manifest, ModelObject, manifest_key
from standfast.model_states import ModelRecord, ModelState
from standfast.model_versions import ModelVersion, ReplicaPhase, expected
from standfast.reconcile import Reconciler
from standfast.recovery_ports import Progress
from standfast.recovery_record import RecoveryRecord
from standfast.rollout_ports import ModelLoad
from standfast.stores import View
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeLoadBalancer,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
    Faults,
)
from tests.machine_walk import Walk, bind
from tests.model_fakes import FakeModelStates, FakeModelStore

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:standfast-rolling-update:roll-1"
SECOND = EXECUTION.replace("roll-1", "put-back-1")
OLD, NEW = ModelVersion("tiny", "v7"), ModelVersion("tiny", "v8")
GIVEN = {"scope_id": SCOPE, "cluster_id": ACTIVE, "version": "v8", "reason": "a test wants it"}
BACK = {"scope_id": SCOPE, "cluster_id": ACTIVE, "put_back": True, "reason": "it was left half-way"}
REPLICAS = [each.replica_id for each in builders.addresses(ACTIVE, 4)]
TOKENS = {"v7": "Paris", "v8": "Lyon"}


@dataclass
class Replica:
    """One replica: the version on its disk, its place in the target group, and requests that it still holds."""

    version: str = "v7"
    state: str = "healthy"
    holds: list[int] = field(default_factory=list)
    starts_in: int = 1


class Table(FakeClusterTable):
    """What the steps ask of ClusterTable: the watch has just judged both clusters, whenever it is asked."""

    def __init__(self, world: World, known: View, scopes: FakeScopeStore) -> None:
        super().__init__(known)
        self._world, self._scopes = world, scopes
        self.read, self.write_desired = scopes.read, scopes.write_desired
        self.grant, self.release = scopes.grant, scopes.release

    def view(self) -> View:
        self.faults.check("view")
        verdicts = {each: builders.assessment(each, assessed_at=self._world.now()) for each in (ACTIVE, STANDBY)}
        load = replace(self._world.load, measured_at=self._world.now())
        return replace(self.known, scope=self._scopes.read(SCOPE), assessments=verdicts, loads={ACTIVE: load})

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        prompt = self.known.applied.config.model.canary.prompt
        return [Golden(nonce, prompt, TOKENS[str(version)], -0.1) for nonce in NONCES]


class World:
    """A cluster, and every port that a rolling update needs, on one clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **model: Any) -> None:
        document = builders.document(rollouts={"replica_bake_seconds": 20, "load_seconds": 60, "patience_seconds": 60})
        document["model"] |= {"version": "v7", **model}
        self.config = builders.fleet(**document)
        self.scopes = FakeScopeStore(builders.record())
        self.table = Table(self, builders.view(config=self.config), self.scopes)
        self.region = FakeRegionTable(builders.switch())
        self.executions = FakeExecutions(EXECUTION)
        self.messenger = FakeMessenger()
        self.models = FakeModelStates(*(self._whole(version) for version in ("v7", "v8")))
        self.store = FakeModelStore()
        self.digests = {self._register(version): version for version in ("v7", "v8")}
        self.replicas = {name: Replica() for name in REPLICAS}
        self.loads: dict[str, tuple[str, int]] = {}
        self.sent: list[ModelLoad] = []
        self.breaks: Callable[[str, str], str] = lambda _replica, _version: ""
        self.answers: Callable[[str, str], str] = lambda _replica, version: TOKENS[version]
        self.loses = 0.0
        self.moment = NOW
        self.fewest = 4
        self.cuts = False
        self.mixed: set[tuple[str, str]] = set()
        self.faults = Faults()
        self.recovery = RecoveryRecord(ACTIVE)
        self.load = Load(ACTIVE, NOW, Reading(4, 8, 0), (8, 8))
        self.on_wait: Callable[[], None] = lambda: None
        parts = {
            "cluster_table": self.table,
            "region_table": self.region,
            "executions": self.executions,
            "messenger": self.messenger,
            "model_table": self.models,
            "recovery_table": self,
            "clock": self,
        }
        bind(monkeypatch, parts)
        monkeypatch.setattr(bootstrap, "prober", lambda _model: self)
        monkeypatch.setattr(bootstrap, "model_store", lambda _region: self.store)
        settings = {"region": SCOPE, "model_bucket": lambda _self, region: f"chat-models-123456789012-{region}"}
        monkeypatch.setattr(bootstrap, "settings", type("Settings", (), settings))
        for module in (bake_replica, choose_replica, return_replica):
            monkeypatch.setattr(module, "replica_targets", lambda: self)
        monkeypatch.setattr(update_replica, "model_loads", lambda: self)

    def _whole(self, version: str) -> ModelRecord:
        return ModelRecord("tiny", version, ModelState.VERIFIED, "", SCOPE, "", NOW)

    def _register(self, version: str) -> str:
        sha256 = hashlib.sha256(version.encode()).hexdigest()
        found = Manifest(
            "tiny", version, f"models/tiny/{version}/", "gguf", (ModelObject("a.gguf", 1, sha256, "AAAAAAAAAAA="),)
        )
        self.store.objects[manifest_key("tiny", version)] = found.canonical().encode()
        return found.digest()

    # Clock

    def now(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.moment += seconds
        for replica in self.replicas.values():
            if replica.state == "initial":
                replica.state = "healthy"
        self.on_wait()
        self.look()

    def look(self) -> None:
        """Law: never fewer than are needed, and whoever has traffic serves what it should."""
        serving = {name: each for name, each in self.replicas.items() if each.state in ("healthy", "initial")}
        self.fewest = min(self.fewest, len(serving))
        served = self.scopes.read(SCOPE).desired.models.get(ACTIVE)
        for name, each in serving.items():
            wanted = expected(self.config.model, served, name)
            if not wanted.changing and wanted.model.version != each.version:
                self.mixed.add((name, each.version))

    # RecoveryStore

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        return self.recovery

    # ReplicaTargets

    def states(self, target_group_arn: str) -> Mapping[str, str]:
        self.faults.check("states")
        return {name: each.state for name, each in self.replicas.items() if each.state != "gone"}

    def take_out(self, target_group_arn: str, replica_id: str) -> None:
        if self.replicas[replica_id].state != "gone":
            self.replicas[replica_id].state = "draining"

    def bring_back(self, target_group_arn: str, replica_id: str) -> None:
        assert self.replicas[replica_id].state != "healthy"
        self.replicas[replica_id].state = "initial"

    # ModelLoads

    def send(self, load: ModelLoad) -> str:
        self.faults.check("send")
        replica_id = next(name for name in self.replicas if name.startswith(load.instance_id + ":"))
        assert self.replicas[replica_id].state == "draining"
        assert not self.replicas[replica_id].holds or self.cuts
        self.sent.append(load)
        self.loads[load.name] = (replica_id, 1)
        return load.name

    def progress(self, command_id: str) -> Progress:
        replica_id, looks = self.loads[command_id]
        self.loads[command_id] = (replica_id, looks - 1)
        if looks > 0:
            return Progress(ended=False, said="it is on its way")
        load = next(each for each in self.sent if each.name == command_id)
        version = self.digests[load.manifest_sha256]
        if said := self.breaks(replica_id, version):
            return Progress(ended=True, said=said, failed=True)
        self.replicas[replica_id].version = version
        self.replicas[replica_id].starts_in = 2
        return Progress(ended=True, said="the engine was restarted with the version")

    # Prober

    def _replica(self, url: str) -> tuple[str, Replica]:
        name = next(each.replica_id for each in builders.addresses(ACTIVE, 5) if each.url == url)
        return name, self.replicas[name]

    async def in_flight(self, url: str) -> int | None:
        _, replica = self._replica(url)
        if not replica.holds:
            return 0
        return replica.holds.pop(0)

    async def describe(self, url: str) -> EngineDescription:
        name, replica = self._replica(url)
        if replica.starts_in > 0:
            replica.starts_in -= 1
            return EngineDescription(EngineState.STARTING, detail="it loads its model")
        if self.answers(name, replica.version) == "dead":
            return EngineDescription(EngineState.UNKNOWN, detail="refused")
        return EngineDescription(EngineState.READY, ("tiny",), f"/store/models/tiny/{replica.version}")

    async def ask(
        self, url: str, model: str, canary: Canary, *, logprobs: bool = False, nonce: str | None = None
    ) -> EndpointProbe:
        assert model == "tiny" and logprobs and nonce in NONCES  # noqa: PT018
        name, replica = self._replica(url)
        token = self.answers(name, replica.version)
        return EndpointProbe(self.moment, self.moment + 0.1, Outcome.ANSWERED, "", 0.1, None, token, -0.1, 0.03)

    def run(self, given: Mapping[str, Any] = GIVEN, execution: str = EXECUTION, **instead: Any) -> Walk:
        self.executions.running.add(execution)
        for each in self.replicas.values():
            each.starts_in = 0
        walk = Walk("rolling_update", execution, self.pass_time, instead)
        walk.run(dict(given))
        self.executions.running.discard(execution)
        return walk

    @property
    def versions(self) -> list[str]:
        return [each.version for each in self.replicas.values()]

    def is_settled(self) -> bool:
        """Nobody holds the lease, no update is under way, and every replica has traffic."""
        scope = self.scopes.read(SCOPE)
        return (
            scope.lease.holder is None
            and not any(each.update for each in scope.desired.models.values())
            and {each.state for each in self.replicas.values()} == {"healthy"}
        )

    def put_back(self) -> str:
        """A round of the reconciler; what it starts is run."""
        ports = (SCOPE, self.table, self.region, self.scopes, self.table, FakeLoadBalancer({}), self.executions)
        reconciler = Reconciler(*ports, self.messenger)
        reconciler.recover(self.moment)
        started: dict[str, Mapping[str, object]] = {}

        class Rollouts:
            def start_rolling_update(self, name: str, payload: Mapping[str, object]) -> str:
                started[name] = payload
                return name

        said = reconciler.put_back_updates(Rollouts(), self.moment)
        for name, payload in started.items():
            self.run(payload, EXECUTION.replace("roll-1", name))
        return said


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_every_replica_gets_the_new_version_one_after_the_other_and_the_pointer_flips(world: World) -> None:
    walk = world.run()
    assert walk.error == "", walk.cause
    assert walk.visited[-1] == "UpdatedCluster"
    assert world.versions == ["v8"] * 4
    assert world.fewest == 3
    assert world.mixed == set()
    assert [each.instance_id for each in world.sent] == [name.split(":")[0] for name in REPLICAS]
    assert world.is_settled()
    assert expected(world.config.model, world.scopes.read(SCOPE).desired.models[ACTIVE], REPLICAS[0]).version == NEW
    assert world.models.records["tiny", "v8"].state is ModelState.LIVE
    assert [each for each, _ in world.messenger.events] == ["RolloutStarted", "RolloutCompleted"]


def test_a_replica_is_not_updated_before_it_held_no_request_for_three_seconds(world: World) -> None:
    world.replicas[REPLICAS[0]].holds = [3, 2, 1, 0, 0, 1]  # the load balancer's last request comes late
    before: list[float] = []
    real = world.send

    def send(load: ModelLoad) -> str:
        before.append(world.moment)
        return real(load)

    world.send = send  # type: ignore[method-assign]
    assert world.run().error == ""
    assert before[0] - NOW >= 6 * 0.5 + 3.0


def test_a_request_that_does_not_end_is_waited_for_until_the_deadline_and_no_longer(world: World) -> None:
    world.config = world.config.model_copy(
        update={"rollouts": world.config.rollouts.model_copy(update={"drain_seconds": 30})}
    )
    world.table.known = replace(world.table.known, applied=replace(world.table.known.applied, config=world.config))
    replica = world.replicas[REPLICAS[0]]
    replica.holds = [1] * 1000
    world.cuts = True
    walk = world.run()
    assert walk.error == "", walk.cause
    assert world.versions == ["v8"] * 4
    assert 1000 - len(replica.holds) in range(30 * 2, 30 * 2 + 10)


def test_a_version_that_does_not_load_is_given_up_at_the_first_replica_which_goes_back(world: World) -> None:
    world.breaks = lambda _, version: "Failed: weights are damaged" if version == "v8" else ""
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert "weights are damaged" in walk.cause
    assert world.versions == ["v7"] * 4
    assert world.is_settled()
    assert world.scopes.read(SCOPE).desired.models == {}
    assert [each for each, _ in world.messenger.events] == ["RolloutStarted", "RolloutFailed"]
    assert not world.messenger.pages


def test_a_third_replica_that_answers_wrongly_brings_the_first_two_back_too(world: World) -> None:
    world.answers = lambda name, version: "Rome" if name == REPLICAS[2] and version == "v8" else TOKENS[version]
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert "its first token is not the golden one" in walk.cause
    assert world.versions == ["v7"] * 4
    assert world.is_settled()
    assert world.fewest == 3
    assert world.mixed == set()


def test_an_engine_that_never_starts_is_given_up_in_time(world: World) -> None:
    world.answers = lambda _, version: "dead" if version == "v8" else TOKENS[version]
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert "does not serve tiny v8" in walk.cause
    assert world.moment - NOW < 300
    assert world.versions == ["v7"] * 4
    assert world.is_settled()


def test_a_replica_that_cannot_go_back_stays_out_and_a_person_is_woken(world: World) -> None:
    world.breaks = lambda name, version: "Failed: no room" if version == "v8" or name == REPLICAS[0] else ""
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert world.replicas[REPLICAS[0]].state == "draining"
    assert [each.state for each in world.replicas.values()][1:] == ["healthy"] * 3
    assert REPLICAS[0] in world.messenger.pages[-1][1]
    assert world.scopes.read(SCOPE).lease.holder is None


def test_no_replica_is_taken_while_the_others_are_too_few(world: World) -> None:
    for name in REPLICAS[:2]:
        world.replicas[name].state = "gone"
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert "1 healthy of 4 replicas would be left" in walk.cause
    assert world.sent == []


def test_no_replica_is_taken_while_the_traffic_needs_all_of_them(world: World) -> None:
    world.load = Load(ACTIVE, NOW, Reading(4, 16, 2, full=4), (16, 16), most_requests=4)
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert "3 replicas of use1-a can carry 75 % of its traffic" in walk.cause
    assert world.sent == []


def test_traffic_that_needs_all_of_them_for_a_while_is_waited_for(world: World) -> None:
    world.load = Load(ACTIVE, NOW, Reading(4, 16, 2, full=4), (16, 16), most_requests=4)

    def calm() -> None:
        if world.moment > NOW + 30:
            world.load = Load(ACTIVE, NOW, Reading(4, 8, 0), (8, 8), most_requests=4)

    world.on_wait = calm
    assert world.run().error == ""
    assert world.moment > NOW + 30


STATES = (
    "ChooseReplica",
    "DrainReplica",
    "UpdateReplica",
    "VerifyReplica",
    "ReturnReplica",
    "AskReplica",
    "BakeReplica",
    "FinishRollout",
)


class Killed(Exception):  # noqa: N818 - it is no error of ours: the execution is gone
    """The controller ends here."""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("times", [1, 3])
def test_a_controller_that_is_killed_in_any_state_is_followed_by_one_that_puts_all_back(
    world: World, state: str, times: int
) -> None:
    left = [times]

    def killed(event: dict[str, Any]) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise Killed
        return walk._handler(state)(event)

    instead = {state: killed}
    walk = Walk("rolling_update", EXECUTION, world.pass_time, {})
    outer = Walk("rolling_update", EXECUTION, world.pass_time, instead)
    for each in world.replicas.values():
        each.starts_in = 0
    if state == "FinishRollout" and times > 1:
        pytest.skip("it is entered once")
    with pytest.raises(Killed):
        outer.run(dict(GIVEN))
    world.executions.running.discard(EXECUTION)
    assert "it is put back" in world.put_back()
    assert world.versions == ["v7"] * 4
    assert world.is_settled()
    assert world.mixed == set()
    assert world.put_back() == ""


def test_a_failover_takes_the_lease_the_rollout_stops_at_its_next_step_and_is_put_back_afterwards(world: World) -> None:
    failover = builders.EXECUTION

    def taken() -> None:
        record = world.scopes.read(SCOPE)
        if world.moment > NOW + 10 and record.lease.holder == EXECUTION:
            stands = record.lease
            world.scopes.grant(
                SCOPE, seen=stands, lease=Lease(stands.token + 1, failover, Purpose.FAILOVER, world.moment)
            )
            world.executions.running.add(failover)

    world.on_wait = taken
    walk = world.run()
    assert walk.error == "RolloutStopped"
    assert world.scopes.read(SCOPE).lease.holder == failover
    assert world.put_back() == ""  # not while the failover has the lease
    world.executions.running.discard(failover)
    world.on_wait = lambda: None
    world.put_back()
    assert world.versions == ["v7"] * 4
    assert world.is_settled()


def test_a_brake_that_is_pulled_stops_it_and_it_is_put_back_once_the_switch_says_run(world: World) -> None:
    world.on_wait = lambda: (
        world.region.write_switch(builders.switch(Automation.OFF)) if world.moment > NOW + 20 else None
    )
    walk = world.run()
    assert walk.error == "RolloutStopped"
    assert "the switch" in world.put_back()
    assert set(world.versions) == {"v7", "v8"}
    world.on_wait = lambda: None
    world.region.write_switch(builders.switch())
    world.put_back()
    assert world.versions == ["v7"] * 4
    assert world.is_settled()


def test_it_stops_while_a_region_is_out_and_is_put_back_all_the_same(world: World) -> None:
    world.on_wait = lambda: freeze(world) if world.moment > NOW + 20 else None
    walk = world.run()
    assert walk.error == "RolloutStopped"
    assert "rollouts are frozen: us-west-2 is condemned" in walk.cause
    world.put_back()
    assert world.versions == ["v7"] * 4
    assert world.is_settled()
    assert "rollouts are frozen" in world.run().cause


def freeze(world: World) -> None:
    world.region.brake = replace(world.region.brake, frozen="us-west-2 is condemned")


def test_what_cannot_be_put_back_in_three_executions_is_a_persons(world: World) -> None:
    world.faults.fail("states", AccessDeniedError("no"))
    assert world.run().error == "RolloutNotPutBack"
    for _ in range(3):
        world.put_back()
    assert "a person has to look" in world.put_back()
    assert world.messenger.pages


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "v9"}, "version: tiny v9 is not known in us-east-1"),
        ({"version": "v7"}, "version: use1-a serves tiny v7 already"),
        ({"cluster_id": "use1-z"}, "cluster 'use1-z' is unknown"),
        ({"scope_id": "us-west-2"}, "scope_id: this stack serves us-east-1"),
        ({"version": None}, "version: name the version to update to"),
        ({"speed": "fast"}, "speed"),
    ],
)
def test_a_wrong_input_is_refused_with_the_field_and_the_mend(world: World, change: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in {**GIVEN, **change}.items() if value is not None}
    before = world.scopes.read(SCOPE)
    walk = world.run(given)
    assert walk.error == "RolloutRefused"
    assert said in walk.cause
    assert world.scopes.read(SCOPE) == before


def test_without_a_way_back_nothing_begins(world: World) -> None:
    del world.models.records["tiny", "v7"]
    walk = world.run()
    assert walk.error == "RolloutRefused"
    assert "the way back: tiny v7 is not known" in walk.cause


def test_one_rollout_at_a_time(world: World) -> None:
    world.executions.running.add(EXECUTION)
    record = world.scopes.read(SCOPE)
    world.scopes.grant(SCOPE, seen=record.lease, lease=Lease(4, EXECUTION, Purpose.ROLLOUT, NOW))
    walk = world.run(GIVEN, SECOND)
    assert walk.error == "RolloutRefused"
    assert "the lease is held by" in walk.cause


def test_a_step_that_runs_twice_changes_nothing_more(world: World) -> None:
    walk = Walk("rolling_update", EXECUTION, world.pass_time, {})

    def twice(name: str) -> Callable[[dict[str, Any]], Any]:
        def run(event: dict[str, Any]) -> Any:
            walk._handler(name)(event)
            return walk._handler(name)(event)

        return run

    names = [name for name in STATES if name not in ("UpdateReplica", "ReturnReplica")]
    found = world.run(GIVEN, EXECUTION, **{name: twice(name) for name in ("BeginRollout", *names)})
    assert found.error == "", found.cause
    assert world.versions == ["v8"] * 4
    assert world.is_settled()
    assert len(world.sent) == 4


def test_a_transient_error_on_the_way_is_no_reason_to_keep_half_of_it(world: World) -> None:
    world.faults.fail("send", UnavailableError("away"), times=1)  # the walk plays no Retry
    walk = world.run()
    assert walk.error == "RolloutPutBack"
    assert world.versions == ["v7"] * 4
    assert world.is_settled()


def test_phases_of_replicas_are_told_by_the_record(world: World) -> None:
    seen: set[tuple[ReplicaPhase, ...]] = set()

    def note() -> None:
        served = world.scopes.read(SCOPE).desired.models.get(ACTIVE)
        if served and served.update:
            seen.add(tuple(each.phase for _, each in sorted(served.update.replicas.items())))

    world.on_wait = note
    world.run()
    out, back = ReplicaPhase.OUT, ReplicaPhase.BACK
    assert seen == {turn for done in range(4) for turn in ((back,) * done + (out,), (back,) * (done + 1))}


def as_standby(world: World) -> World:
    """The cluster that the test updates has no traffic."""
    state = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    world.scopes.records[SCOPE] = builders.record(state)
    return world


def test_a_canary_load_takes_one_replica_of_a_standby_and_puts_it_back_once_it_has_served(world: World) -> None:
    walk = as_standby(world).run({**GIVEN, "canary": True})
    assert walk.error == "", walk.cause
    assert world.versions == ["v7"] * 4
    assert [world.digests[each.manifest_sha256] for each in world.sent] == ["v8", "v7"]
    assert {each.instance_id for each in world.sent} == {REPLICAS[0].split(":")[0]}
    assert world.is_settled()
    assert world.scopes.read(SCOPE).desired.models == {}
    assert world.models.records["tiny", "v8"].state is ModelState.VERIFIED
    assert [each for each, _ in world.messenger.events] == ["RolloutStarted", "CanaryServed"]
    assert "answered as it should" in world.messenger.notices[-1][1]


def test_a_canary_that_does_not_load_fails_and_is_put_back(world: World) -> None:
    as_standby(world).breaks = lambda _, version: "Failed: weights are damaged" if version == "v8" else ""
    walk = world.run({**GIVEN, "canary": True})
    assert walk.error == "RolloutPutBack"
    assert "weights are damaged" in walk.cause
    assert world.versions == ["v7"] * 4
    assert world.is_settled()


def test_users_do_not_meet_a_canary_load(world: World) -> None:
    walk = world.run({**GIVEN, "canary": True})
    assert walk.error == "RolloutRefused"
    assert "is active; a canary load takes a standby without traffic" in walk.cause
    assert world.sent == []


def test_a_canary_load_puts_nothing_back_that_was_left(world: World) -> None:
    walk = world.run({**BACK, "canary": True})
    assert walk.error == "RolloutRefused"
    assert "leave one of the two out" in walk.cause
