"""`blue_green_deployment` from its first state to its last, with the template's handlers, on a world of dataclasses.

Whatever goes wrong, and wherever it is cut off: the traffic ends where something serves, and of green nothing is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from deployment import deploy_model, leave_green, plan_deployment, provision_green, remove_green, retire_blue
from standfast import bootstrap, bootstrap_quotas, failover, traffic
from standfast.deployment_ports import Provisioned
from standfast.deployments import Phase, in_force
from standfast.errors import FencedError, UnavailableError
from standfast.fleet import Automation, Canary, Entry, ReplicaAddress, Role
from standfast.golden import NONCES, Golden
from standfast.health import EndpointProbe, Verdict
from standfast.lease import Lease, Purpose
from standfast.manifest import Manifest, ModelObject, manifest_key
from standfast.model_states import ModelRecord, ModelState
from standfast.quotas import Launch, Launches
from standfast.reconcile import Reconciler
from standfast.recovery_ports import Progress
from standfast.recovery_record import RecoveryRecord
from standfast.rollout_plan import Group
from standfast.rollout_ports import ModelLoad
from standfast.stores import View
from standfast.traffic import Move
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeLoadBalancer,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
)
from tests.machine_walk import Walk, bind
from tests.model_fakes import FakeModelStates, FakeModelStore

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:standfast-blue-green-deployment:deploy-1"
SECOND = EXECUTION.replace("deploy-1", "settle-1")
GIVEN = {"scope_id": SCOPE, "cluster_id": ACTIVE, "version": "v8", "reason": "a test wants it", "hold_seconds": 100}
SETTLE = {"scope_id": SCOPE, "cluster_id": ACTIVE, "settle": True, "reason": "it was left half-way"}
GREEN = f"{ACTIVE}-g4"
GREEN_GROUP = builders.target_group_arn(GREEN)
BEFORE = {ACTIVE: 100, STANDBY: 0}


class Table(FakeClusterTable):
    """The watch has just judged every cluster that the Region has at this moment."""

    def __init__(self, world: World, known: View, scopes: FakeScopeStore) -> None:
        super().__init__(known)
        self._world, self._scopes = world, scopes
        self.read, self.write_desired = scopes.read, scopes.write_desired
        self.grant, self.release = scopes.grant, scopes.release

    def view(self) -> View:
        record, now = self._scopes.read(SCOPE), self._world.now()
        applied = in_force(self.known.applied, SCOPE, record.desired)
        verdicts = {
            each: builders.assessment(each, self._world.verdicts.get(each, Verdict.HEALTHY), assessed_at=now)
            for each in applied.config.region(SCOPE).clusters
        }
        return replace(self.known, scope=record, applied=applied, assessments=verdicts)

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        prompt = self.known.applied.config.model.canary.prompt
        return [Golden(nonce, prompt, {"v7": "Paris", "v8": "Lyon"}[str(version)], -0.1) for nonce in NONCES]


class World:
    """A Region, what AWS has of green, and every port that a deployment needs, on one clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has_traffic: bool = True) -> None:
        document = builders.document(rollouts={"load_seconds": 60, "patience_seconds": 60, "drain_seconds": 30})
        document["model"] |= {"version": "v7"}
        self.config = builders.fleet(**document)
        self.blue = ACTIVE if has_traffic else STANDBY
        self.scopes = FakeScopeStore(builders.record())
        self.table = Table(self, builders.view(config=self.config), self.scopes)
        self.balancer = FakeLoadBalancer(BEFORE)
        self.region = FakeRegionTable(builders.switch())
        self.executions = FakeExecutions(EXECUTION)
        self.messenger = FakeMessenger()
        self.models = FakeModelStates(*(self._whole(version) for version in ("v7", "v8")))
        self.store = FakeModelStore()
        self._register("v8")
        self.verdicts: dict[str, Verdict] = {}
        self.made: dict[str, set[str]] = {}
        self.emptied: set[str] = set()
        self.nodes_come = True
        self.loads: list[ModelLoad] = []
        self.load_fails = False
        self.word = "Lyon"
        self.shift: Callable[[dict[str, Any]], Any] = self.shifted
        self.moment = NOW
        self.started: dict[str, Mapping[str, object]] = {}
        parts = {
            "cluster_table": self.table,
            "region_table": self.region,
            "executions": self.executions,
            "messenger": self.messenger,
            "model_table": self.models,
            "recovery_table": self,
            "load_balancer": self.balancer,
            "inventory": self,
            "clock": self,
        }
        bind(monkeypatch, parts)
        monkeypatch.setattr(bootstrap, "prober", lambda _model: self)
        monkeypatch.setattr(bootstrap, "model_store", lambda _region: self.store)
        settings = {"region": SCOPE, "model_bucket": lambda _self, region: f"chat-models-123456789012-{region}"}
        monkeypatch.setattr(bootstrap, "settings", type("Settings", (), settings))
        for module in (plan_deployment, provision_green, remove_green, retire_blue):
            monkeypatch.setattr(module, "green_groups", lambda: self)
        monkeypatch.setattr(deploy_model, "model_loads", lambda: self)
        monkeypatch.setattr(bootstrap_quotas, "launching", lambda: self)
        monkeypatch.setattr(bootstrap_quotas, "service_quotas", lambda: self)

    def _whole(self, version: str) -> ModelRecord:
        return ModelRecord("tiny", version, ModelState.VERIFIED, "", SCOPE, "", NOW, bytes=1000)

    def _register(self, version: str) -> None:
        sha256 = hashlib.sha256(version.encode()).hexdigest()
        objects = (ModelObject("a.gguf", 1, sha256, "AAAAAAAAAAA="),)
        found = Manifest("tiny", version, f"models/tiny/{version}/", "gguf", objects)
        self.store.objects[manifest_key("tiny", version)] = found.canonical().encode()

    # Ports

    def now(self) -> float:
        return self.moment

    def wait(self, seconds: float) -> None:
        self.moment += seconds

    def launches(self, cluster_ids: Sequence[str]) -> Launches:
        return Launches(tuple(Launch(each, f"gpu-{each}", "g6.2xlarge", 2, 8) for each in cluster_ids))

    def value(self, code: str) -> float:
        return 96.0

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        return RecoveryRecord(cluster_id)

    def replicas(self, entry: Entry) -> Mapping[str, Sequence[ReplicaAddress]]:
        return {name: builders.addresses(name, 2) for name in entry.target_groups}

    def group(self, cluster_id: str, target_group_arn: str) -> Group | None:
        return Group(2, 8)

    def provision(self, blue: str, blue_group_arn: str, rule_arn: str, green: str) -> Provisioned:
        assert self.desired.deployment is not None  # it is written down before anything is made
        self.made.setdefault(green, set()).update({"target group", "probe rule", "group"})
        there = ("i-1", "i-2") if self.nodes_come and self.moment > NOW else ("i-1",)
        said = "" if self.nodes_come else "We currently do not have sufficient g6.2xlarge capacity"
        return Provisioned(builders.target_group_arn(green), there, 2, said)

    def remove(self, cluster_id: str) -> tuple[str, ...]:
        assert not self.desired.weights.get(cluster_id)
        assert cluster_id not in self.table.view().applied.config.region(SCOPE).clusters
        if cluster_id not in self.made:
            self.emptied |= {cluster_id} & {ACTIVE, STANDBY}
            return ()
        left = tuple(sorted(self.made[cluster_id]))
        self.made[cluster_id] = set(left[1:])  # one thing a call
        return left

    def send(self, load: ModelLoad) -> str:
        self.loads.append(load)
        return load.name

    def progress(self, command_id: str) -> Progress:
        return Progress(ended=True, said="no space left" if self.load_fails else "done", failed=self.load_fails)

    async def ask(
        self,
        url: str,
        model: str,
        canary: Canary,
        *,
        headers: Mapping[str, str] | None = None,
        logprobs: bool = False,
        nonce: str | None = None,
    ) -> EndpointProbe:
        return replace(builders.probe(at=self.now()), first_token=self.word, first_logprob=-0.1)

    def start_deployment(self, name: str, payload: Mapping[str, object]) -> str:
        if name in self.started:
            return ""
        self.started[name] = payload
        return name

    # The child

    def shifted(self, data: dict[str, Any]) -> dict[str, Any]:
        """What traffic_shift does to desired state when all goes well."""
        self.weigh(data["token"], {data["source"]: 0, data["target"]: 100}, data)
        return {"version": 1, "weights": {}}

    def weigh(self, token: int, weights: Mapping[str, int], data: dict[str, Any]) -> None:
        record = self.scopes.read(SCOPE)
        move = Move(data["source"], data["target"], dict(record.desired.weights))
        new = {**record.desired.weights, **weights}
        following = record.desired.next(token=token, reason="a stage", now=self.now(), weights=new, move=move)
        self.scopes.write_desired(SCOPE, token=token, seen_version=record.desired.version, desired=following)

    # What is looked at

    @property
    def desired(self) -> traffic.Desired:
        return self.scopes.read(SCOPE).desired

    def walk(self, given: Mapping[str, Any] = GIVEN, arn: str = EXECUTION, stop_after: str = "") -> Walk:
        self.executions.running.add(arn)
        instead: dict[str, Callable[[dict[str, Any]], Any]] = {"ShiftToGreen": lambda data: self.shift(data["Input"])}
        walk = Walk("blue_green_deployment", arn, self.wait, instead, stop_after=stop_after)
        walk.run({**given, "cluster_id": self.blue} if given is GIVEN else dict(given))
        self.executions.running.discard(arn)
        return walk

    def reconciler(self) -> Reconciler:
        table = self.table
        return Reconciler(SCOPE, table, self.region, self.scopes, table, self.balancer, self.executions, self.messenger)

    def check_as_before(self) -> None:
        """Nothing of green is left, and whoever served serves."""
        desired = self.desired
        assert desired.deployment is None
        assert desired.move is None
        assert dict(desired.placed) == {}
        assert traffic.shares(desired.weights) == {ACTIVE: 100} == traffic.shares(self.balancer.weights)
        assert desired.roles == {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}
        assert not any(self.made.values())
        assert not self.emptied
        assert self.scopes.read(SCOPE).lease.holder is None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_green_is_made_loaded_tested_given_the_traffic_and_put_in_blues_place(world: World) -> None:
    walk = world.walk()
    assert walk.error == "", walk.cause
    desired, region = world.desired, world.table.view().applied.config.region(SCOPE)
    assert traffic.shares(desired.weights) == {GREEN: 100} == traffic.shares(world.balancer.weights)
    assert desired.roles == {GREEN: Role.ACTIVE, STANDBY: Role.STANDBY}
    assert set(region.clusters) == {GREEN, STANDBY}
    assert (region.clusters[GREEN].target_group_arn, region.clusters[GREEN].replicas) == (GREEN_GROUP, 4)
    assert desired.models[GREEN].live.version == "v8"
    assert [load.instance_id for load in world.loads] == ["i-1", "i-2"]
    assert world.emptied == {ACTIVE}  # its group is the team's: the nodes go
    assert world.made[GREEN] == {"target group", "probe rule", "group"}
    assert desired.deployment is None
    assert world.moment - NOW >= 100  # blue was held
    assert len(world.messenger.notices) == 2


def test_a_standby_is_replaced_without_moving_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, has_traffic=False)
    walk = world.walk()
    assert walk.error == "", walk.cause
    assert "ShiftToGreen" not in walk.visited
    assert world.desired.roles == {ACTIVE: Role.ACTIVE, f"{STANDBY}-g4": Role.STANDBY}
    assert traffic.shares(world.desired.weights) == {ACTIVE: 100}


def test_a_dry_run_says_what_fits_and_changes_nothing(world: World) -> None:
    walk = world.walk({**GIVEN, "dryRun": True})
    assert walk.visited == ["PlanDeployment", "IsDryRun", "PlannedDeployment"]
    assert world.scopes.read(SCOPE) == builders.record()


def breaks_nodes(world: World) -> None:
    world.nodes_come = False


def breaks_load(world: World) -> None:
    world.load_fails = True


def breaks_answers(world: World) -> None:
    world.word = "Paris"


def breaks_watch(world: World) -> None:
    world.verdicts[GREEN] = Verdict.UNHEALTHY


class ChildError(Exception):
    """The child gave up."""


ChildError.__name__ = "States.TaskFailed"


def breaks_shift(world: World) -> None:
    def given_up(data: dict[str, Any]) -> Any:
        world.weigh(data["token"], {data["source"]: 90, data["target"]: 10}, data)
        raise ChildError("the canary is worse: failed requests 48 of 48")

    world.shift = given_up


@pytest.mark.parametrize("broken", [breaks_nodes, breaks_load, breaks_answers, breaks_watch, breaks_shift])
def test_whatever_goes_wrong_nothing_of_green_is_left(world: World, broken: Callable[[World], None]) -> None:
    broken(world)
    walk = world.walk()
    assert walk.error == "DeploymentUndone"
    world.check_as_before()
    assert world.messenger.notices[-1][0].endswith("was given up")


def test_a_green_that_dies_while_blue_is_held_gives_the_traffic_back(world: World) -> None:
    world.shift = lambda data: (world.shifted(data), world.verdicts.update({GREEN: Verdict.UNHEALTHY}))[0]
    walk = world.walk()
    assert (walk.error, "HoldBlue" in walk.visited) == ("DeploymentUndone", True)
    world.check_as_before()


FORWARD = [
    "BeginDeployment", "ProvisionGreen", "DeployModel", "JoinFleet", "SmokeTestGreen", "ShiftToGreen", "PromoteGreen",
    "HoldBlue",
]  # fmt: skip


@pytest.mark.parametrize("state", FORWARD)
def test_killed_before_the_swap_it_is_undone_by_the_reconciler(world: World, state: str) -> None:
    world.walk(stop_after=state)
    settled(world)
    world.check_as_before()


@pytest.mark.parametrize("state", ["SwapPointers", "RetireBlue"])
def test_killed_after_the_swap_it_is_finished(world: World, state: str) -> None:
    world.walk(stop_after=state)
    settled(world)
    assert world.desired.deployment is None
    assert set(world.table.view().applied.config.region(SCOPE).clusters) == {GREEN, STANDBY}
    assert world.emptied == {ACTIVE}


@pytest.mark.parametrize("state", ["LeaveGreen", "RemoveGreen"])
def test_killed_while_it_is_undone_it_is_undone_all_the_same(world: World, state: str) -> None:
    breaks_shift(world)
    world.walk(stop_after=state)
    settled(world)
    world.check_as_before()


def settled(world: World) -> None:
    """The reconciler finds it, and the execution that it starts runs."""
    reconciler = world.reconciler()
    reconciler.recover(world.now())
    assert reconciler.settle_move(world.now()) == ""
    said = reconciler.settle_deployment(world, world.now())
    ((name, payload),) = world.started.items()
    assert "left half-way" in said
    world.walk(dict(payload), SECOND.replace("settle-1", name))


def test_a_failover_takes_the_lease_and_never_promotes_what_still_bakes(world: World) -> None:
    def outrun(data: dict[str, Any]) -> Any:
        world.weigh(data["token"], {data["source"]: 50, data["target"]: 50}, data)
        record = world.scopes.read(SCOPE)
        proofs = [
            failover.proof(each, [builders.probe()] * 4, world.table.view().assessments[each])
            for each in (GREEN, STANDBY)
        ]
        clusters = world.table.view().applied.config.region(SCOPE).clusters
        chosen = failover.select(ACTIVE, proofs, record.desired, clusters, 10, world.now())
        assert chosen.cluster_id == STANDBY
        assert "on trial" in chosen.reason
        lease = Lease(record.lease.token + 1, "a failover", Purpose.FAILOVER, world.now())
        moved = replace(
            record.desired, weights={ACTIVE: 0, STANDBY: 100, GREEN: 0}, move=None, version=record.desired.version + 1
        )
        roles = {**moved.roles, ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
        world.scopes.records[SCOPE] = replace(record, desired=replace(moved, roles=roles), lease=lease)
        raise ChildError("the lease was lost")

    world.shift = outrun
    walk = world.walk()
    assert walk.error == "DeploymentStopped"
    assert world.reconciler().settle_deployment(world, world.now()) == ""  # the failover is at work
    world.scopes.release(SCOPE, token=world.scopes.read(SCOPE).lease.token, attempts=0, not_before=0.0)
    settled(world)
    assert world.desired.deployment is None
    assert traffic.shares(world.desired.weights) == {STANDBY: 100}
    assert world.desired.roles == {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
    assert not any(world.made.values())


def test_traffic_is_not_given_back_to_what_does_not_serve(world: World) -> None:
    breaks_shift(world)
    world.verdicts[ACTIVE] = Verdict.UNHEALTHY
    walk = world.walk()
    assert walk.error == "DeploymentNotEnded"
    assert traffic.shares(world.desired.weights) == {ACTIVE: 90, GREEN: 10}
    assert world.desired.deployment is not None
    assert world.desired.deployment.phase is Phase.CANARY


def test_the_brake_stops_it_and_nothing_is_begun_half_way(world: World) -> None:
    world.region.brake = builders.brake(Automation.OFF)
    walk = world.walk()
    assert walk.error == "DeploymentRefused"
    assert world.scopes.read(SCOPE) == builders.record()


def test_one_rollout_at_a_time(world: World) -> None:
    world.walk(stop_after="ProvisionGreen")
    world.executions.running.add(EXECUTION)
    walk = world.walk(arn=SECOND)
    assert walk.error == "DeploymentRefused"
    assert "one rollout at a time" in walk.cause


def test_a_step_that_cannot_reach_the_table_is_no_reason_to_leave_anything(world: World, monkeypatch: Any) -> None:
    calls = []

    def once(*_: object) -> tuple[str, ...]:
        calls.append(1)
        if len(calls) == 1:
            raise UnavailableError("no answer")
        return World.remove(world, GREEN)

    breaks_answers(world)
    monkeypatch.setattr(world, "remove", once)
    assert world.walk().error == "DeploymentNotEnded"
    settled(world)
    world.check_as_before()


def test_a_stale_execution_changes_nothing(world: World) -> None:
    walk = world.walk(stop_after="JoinFleet")
    record = world.scopes.read(SCOPE)
    stolen = replace(record, lease=Lease(record.lease.token + 1, "another", Purpose.FAILOVER, NOW))
    world.scopes.records[SCOPE] = stolen
    with pytest.raises(FencedError):
        leave_green.handler({**walk.state, "error": {"Error": "X", "Cause": "x"}}, None)
    assert world.scopes.read(SCOPE) == stolen
