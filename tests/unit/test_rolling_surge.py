"""A rolling update with one node more for as long as it takes: the cluster never has fewer than it is used to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rollout import add_node, remove_node
from standfast import rollout_surge
from standfast.errors import AccessDeniedError
from standfast.model_versions import ModelUpdate, ModelVersion, ReplicaPhase
from standfast.rollout import NextAction, Standing
from standfast.rollout_ports import GroupSize
from standfast.stores import View
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE
from tests.machine_walk import Walk
from tests.unit.test_rolling_machine import EXECUTION, GIVEN, REPLICAS, TOKENS, Replica, Table, World

SURGE = {**GIVEN, "surge": True}
FIFTH = builders.addresses(ACTIVE, 5)[4].replica_id


class Grown(Table):
    """The watch knows every replica that the target group has."""

    def view(self) -> View:
        found = super().view()
        there = [each for each in builders.addresses(ACTIVE, 5) if each.replica_id in self._world.replicas]
        return replace(found, replicas={**found.replicas, ACTIVE: there})


class Surging(World):
    """Its Auto Scaling group launches a node in 30 s, as far as it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.table = Grown(self, self.table.known, self.scopes)
        monkeypatch.setattr("standfast.bootstrap.cluster_table", lambda: self.table)
        self.wanted, self.most, self.said = 4, 5, ""
        self.launched_at: float | None = None
        self.launches = True
        self.ended: list[str] = []
        for module in (add_node, remove_node):
            monkeypatch.setattr(module, "group_sizes", lambda: self)
        monkeypatch.setattr(add_node, "replica_targets", lambda: self)

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        due = self.launched_at is not None and self.moment >= self.launched_at + 30
        if due and self.launches and FIFTH not in self.replicas and self.wanted > 4:
            self.replicas[FIFTH] = Replica(state="initial")

    def size(self, cluster_id: str, since: float) -> GroupSize | None:
        assert cluster_id == ACTIVE
        return GroupSize(self.wanted, self.most, self.said)

    def grow(self, cluster_id: str, nodes: int) -> None:
        if self.wanted < nodes:
            self.wanted, self.launched_at = nodes, self.moment

    def shrink(self, cluster_id: str, nodes: int, instance_id: str) -> None:
        self.faults.check("shrink")
        if self.wanted <= nodes:
            return
        self.wanted = nodes
        if instance_id:
            (gone,) = (name for name in self.replicas if name.startswith(f"{instance_id}:"))
            assert self.replicas[gone].state == "draining"
            del self.replicas[gone]
            self.ended.append(gone)

    @property
    def serving(self) -> Mapping[str, str]:
        return {name: each.version for name, each in self.replicas.items() if each.state == "healthy"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Surging:
    return Surging(monkeypatch)


def test_a_node_more_comes_first_all_are_updated_and_one_goes_at_the_end(world: Surging) -> None:
    walk = world.run(SURGE)
    assert walk.error == "", walk.cause
    assert world.fewest == 4
    assert list(world.serving.values()) == ["v8"] * 4
    assert len(world.sent) == 5
    assert len(world.ended) == 1
    assert world.wanted == 4
    assert world.mixed == set()
    assert world.is_settled()
    assert "with one node more meanwhile" in world.messenger.notices[0][1]


def test_what_is_given_up_goes_back_and_the_node_more_goes_too(world: Surging) -> None:
    world.answers = lambda name, version: "Rome" if name == REPLICAS[1] and version == "v8" else TOKENS[version]
    walk = world.run(SURGE)
    assert walk.error == "RolloutPutBack"
    assert list(world.serving.values()) == ["v7"] * 4
    assert world.wanted == 4
    assert world.is_settled()
    assert world.scopes.read(SCOPE).desired.models == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"most": 4}, "may have 4 nodes and has 4; raise MaxSize"),
        ({"said": "InsufficientInstanceCapacity"}, "no node more can be had: InsufficientInstanceCapacity"),
        ({"launches": False}, "no node more serves after"),
    ],
)
def test_where_no_node_can_be_had_nothing_is_touched_and_the_wish_is_taken_back(
    world: Surging, change: dict[str, Any], said: str
) -> None:
    for name, value in change.items():
        setattr(world, name, value)
    walk = world.run(SURGE)
    assert walk.error == "RolloutPutBack"
    assert said in walk.cause
    assert world.sent == []
    assert world.wanted == 4
    assert world.is_settled()


def test_a_node_that_cannot_be_removed_is_a_persons_and_the_version_is_live(world: Surging) -> None:
    world.faults.fail("shrink", AccessDeniedError("autoscaling:TerminateInstanceInAutoScalingGroup is denied"))
    walk = world.run(SURGE)
    assert walk.error == "", walk.cause
    assert "Set its DesiredCapacity to 4" in world.messenger.pages[-1][1]
    assert "is denied" in world.messenger.pages[-1][1]
    assert set(world.serving.values()) == {"v8"}


@pytest.mark.parametrize("state", ["AddNode", "ChooseReplica", "RemoveNode"])
def test_a_controller_that_dies_leaves_no_node_more_behind(world: Surging, state: str) -> None:
    walk = Walk("rolling_update", EXECUTION, world.pass_time, {}, stop_after=state)
    world.executions.running.add(EXECUTION)
    for each in world.replicas.values():
        each.starts_in = 0
    walk.run(dict(SURGE))
    world.executions.running.discard(EXECUTION)
    world.pass_time(60.0)
    world.put_back()
    assert list(world.serving.values()) == ["v7"] * 4
    assert world.wanted == 4
    assert world.is_settled()


@pytest.mark.parametrize("more", [{"canary": True}, {"put_back": True}])
def test_a_node_more_is_for_an_update_of_all(world: Surging, more: dict[str, Any]) -> None:
    given = {name: value for name, value in SURGE.items() if name != "version" or "put_back" not in more}
    walk = world.run({**given, **more})
    assert walk.error == "RolloutRefused"
    assert "surge: a node more is for an update of all replicas" in walk.cause


def test_several_replicas_on_a_node_or_no_group_are_no_ground_for_it() -> None:
    two = ["i-1:8000", "i-1:8001"]
    assert "2 replicas on 1 nodes" in rollout_surge.why_not("c", GroupSize(1, 5), two)
    assert "no Auto Scaling group" in rollout_surge.why_not("c", None, two[:1])
    assert rollout_surge.why_not("c", GroupSize(1, 5), two[:1]) == ""


def test_who_could_not_be_put_back_goes_first_then_who_is_not_healthy() -> None:
    update = ModelUpdate("roll-1", ModelVersion("tiny", "v8"), NOW, surge=4)
    registered = {each.replica_id: each.url for each in builders.addresses(ACTIVE, 5)}
    cluster = builders.fleet().region(SCOPE).cluster(ACTIVE)
    standing = Standing(cluster, registered, frozenset({*REPLICAS}), None, None)
    assert rollout_surge.surplus(update, standing, 4).replica_id == FIFTH
    left = update.with_replica(REPLICAS[2], ReplicaPhase.LEFT, "http://left")
    found = rollout_surge.surplus(left, standing, 4)
    assert (found.action, found.replica_id, found.url) == (NextAction.SURPLUS, REPLICAS[2], "http://left")
    none = rollout_surge.surplus(update, replace(standing, registered=dict(list(registered.items())[:4])), 4)
    assert (none.action, none.reason) == (NextAction.SHRINK, "4 of 4 nodes are there; no more are wanted")
