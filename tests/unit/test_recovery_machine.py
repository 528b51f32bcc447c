"""`cluster_recovery` from its first state to its last, with the template's handlers, on nodes made of dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from standfast import bootstrap
from standfast.assessing import NodeEvidence
from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import AccessDeniedError, ConflictError
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.incidents import Incident
from standfast.lease import HolderState, Lease, Purpose
from standfast.recovery import Remedy
from standfast.recovery_ports import Applied, Instance, Progress
from standfast.recovery_record import RecoveryRecord
from standfast.scaling import FailedActivity, Refusal
from standfast.stores import ScopeRecord
from standfast.xids import Action
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeIncidentLog,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
)
from tests.machine_walk import Walk, bind

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:standfast-cluster-recovery:one"
OTHER = EXECUTION.replace(":one", ":other")
GIVEN = {"scope_id": SCOPE, "cluster_id": ACTIVE, "reason": "a test has it mended"}
QUARANTINED = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})


@dataclass
class Node:
    """A node, what it looks like until its illness is mended, and the rung that mends it."""

    looks: Action = Action.IGNORE
    mended_by: Action | None = None
    answers: bool = True
    registered: bool = True
    launched_at: float = NOW - 1e6


@dataclass
class World:
    """A cluster, and every port that a recovery needs, on one clock."""

    table: FakeClusterTable
    scopes: FakeScopeStore
    region: FakeRegionTable
    nodes: dict[str, Node]
    lemons: bool = False
    comes: bool = True
    now_: float = NOW
    records: dict[str, RecoveryRecord] = field(default_factory=dict)
    applied: list[tuple[str, Action]] = field(default_factory=list)
    on_apply: Callable[[], None] = lambda: None
    messenger: FakeMessenger = field(default_factory=FakeMessenger)
    incidents: FakeIncidentLog = field(default_factory=FakeIncidentLog)
    executions: FakeExecutions = field(default_factory=FakeExecutions)
    least_answering: int = 99
    refused: list[FailedActivity] = field(default_factory=list)

    # Clock

    def now(self) -> float:
        return self.now_

    def pass_time(self, seconds: float) -> None:
        self.now_ += seconds
        answering = sum(node.answers and node.registered for node in self.nodes.values())
        self.least_answering = min(self.least_answering, answering)

    # RecoveryStore

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        return self.records.get(cluster_id, RecoveryRecord(cluster_id))

    def write_recovery(self, record: RecoveryRecord) -> None:
        if record.version != self.read_recovery(record.cluster_id).version:
            raise ConflictError("somebody wrote between")
        self.records[record.cluster_id] = replace(record, version=record.version + 1)

    # ClusterNodes

    def instances(self, cluster_id: str, target_group_arn: str) -> Sequence[Instance]:
        assert target_group_arn == builders.target_group_arn(cluster_id)
        return [
            Instance(name, (f"http://{name}.test",), node.registered, node.launched_at)
            for name, node in sorted(self.nodes.items())
        ]

    def take_out(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        for name in instance_ids:
            self.nodes[name].registered = False

    def bring_back(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        for name in instance_ids:
            self.nodes[name].registered = True

    # Scaling

    def failed_activities(self, cluster_id: str, since: float) -> Sequence[FailedActivity]:
        self.executions.faults.check("failed_activities")
        return [each for each in self.refused if each.at >= since]

    # Remedies

    def apply(self, remedy: Remedy) -> Applied:
        self.on_apply()
        self.applied.append((remedy.instance_id, remedy.rung))
        node = self.nodes[remedy.instance_id]
        if remedy.rung is Action.REPLACE:
            del self.nodes[remedy.instance_id]
            heir = Node(launched_at=self.now_ + 1)
            if self.lemons:
                heir = replace(node, launched_at=self.now_ + 1, registered=True)
            if self.comes:
                self.nodes[f"{remedy.instance_id}-new"] = heir
        elif node.mended_by is not None and remedy.rung >= node.mended_by:
            self.nodes[remedy.instance_id] = replace(node, looks=Action.IGNORE, answers=True)
        return Applied(remedy, "" if remedy.rung is Action.REPLACE else "command-1", "as a test has it")

    def progress(self, applied: Applied) -> Progress:
        return Progress(ended=True, said="done")

    # What the steps of `assess` and the probe answer

    def collected(self, _event: dict[str, Any]) -> dict[str, Any]:
        found = tuple(_finding(name, node) for name, node in sorted(self.nodes.items()))
        return NodeEvidence.of([NodeHealth(ACTIVE, self.now_, found)], done=True).model_dump(mode="json")

    def probed(self, _event: dict[str, Any]) -> dict[str, Any]:
        return {name: {"answers": node.answers, "detail": "connection refused"} for name, node in self.nodes.items()}

    def commanded(self, _event: dict[str, Any]) -> dict[str, Any]:
        return {"asked_at": self.now_, "commands": {ACTIVE: "command-0"}}

    def walk(self, given: Mapping[str, object] = GIVEN, **instead: Callable[[dict[str, Any]], Any]) -> Walk:
        steps = {"RequestNodeReports": self.commanded, "CollectNodeReports": self.collected, "ProbeNodes": self.probed}
        walked = Walk("cluster_recovery", EXECUTION, self.pass_time, {**steps, **instead})
        walked.run(dict(given))
        return walked

    def roles(self) -> dict[str, Role]:
        return dict(self.scopes.read(SCOPE).desired.roles)


def _finding(name: str, node: Node) -> NodeFinding:
    verdict = Verdict.UNHEALTHY if node.looks > Action.DRAIN else Verdict.HEALTHY
    return NodeFinding(name, verdict, str(node.looks), node.looks)


class Store:
    """A FakeClusterTable and a FakeScopeStore in one, as the state table is; the view shows the scope as it is."""

    def __init__(self, world: World) -> None:
        self._world = world

    def view(self) -> Any:
        return replace(self._world.table.known, scope=self._world.scopes.read(SCOPE))

    def __getattr__(self, name: str) -> Any:
        scopes = self._world.scopes
        return getattr(scopes if hasattr(scopes, name) else self._world.table, name)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """A world with four well nodes, of which some are replaced."""

    def made(
        *sick: Node, scope: ScopeRecord | None = None, switch: Automation = Automation.RUN, **recovery: Any
    ) -> World:
        rules = {"start_seconds": 60, **recovery}
        known = builders.view(scope, config=builders.fleet(recovery=rules))
        world = World(
            FakeClusterTable(known), FakeScopeStore(known.scope), FakeRegionTable(builders.switch(switch)), {}
        )
        world.nodes = {f"i-{number}": node for number, node in enumerate([*sick, *(Node() for _ in range(4))][:4])}
        monkeypatch.setenv("AWS_REGION", SCOPE)
        factories = {
            "cluster_table": Store(world), "region_table": world.region, "recovery_table": world, "clock": world,
            "cluster_nodes": world, "remedies": world, "messenger": world.messenger, "executions": world.executions,
            "recoveries": world.executions, "incident_log": world.incidents, "scaling": world,
        }  # fmt: skip
        bind(monkeypatch, factories)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": SCOPE}))
        return world

    return made


def quarantined() -> ScopeRecord:
    return builders.record(QUARANTINED)


def test_a_dead_replica_of_a_cluster_that_serves_is_taken_out_mended_and_brought_back(
    make: Callable[..., World],
) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False))
    walked = world.walk()
    assert walked.visited[-1] == "Recovered"
    assert world.applied == [("i-0", Action.RESTART_ENGINE)]
    order = [walked.visited.index(name) for name in ("TakeOut", "ApplyRemedy", "BringBack", "Readmit")]
    assert order == sorted(order)
    assert world.nodes["i-0"].registered
    record = world.read_recovery(ACTIVE)
    assert (record.lease.holder, record.taken_out, record.attempts) == (None, frozenset(), 0)
    assert world.scopes.read(SCOPE) == builders.record()  # neither weights nor roles, and nobody took the lease
    assert [subject for subject, _ in world.messenger.notices] == [f"{SCOPE}: {ACTIVE} is mended"]
    assert not world.messenger.pages


def test_several_sick_nodes_of_a_cluster_that_serves_are_mended_one_by_one(make: Callable[..., World]) -> None:
    world = make(
        Node(mended_by=Action.RESTART_ENGINE, answers=False),
        Node(looks=Action.REBOOT, mended_by=Action.REBOOT),
        Node(looks=Action.REPLACE),
    )
    assert world.walk().visited[-1] == "Recovered"
    assert world.applied == [("i-0", Action.RESTART_ENGINE), ("i-1", Action.REBOOT), ("i-2", Action.REPLACE)]
    assert world.least_answering >= 2


def test_a_remedy_that_does_not_help_leads_up_the_whole_ladder(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=None, answers=False), scope=quarantined())
    assert world.walk().visited[-1] == "Recovered"
    assert [rung for _, rung in world.applied] == [
        Action.RESTART_ENGINE, Action.RESET_GPU, Action.REBOOT, Action.REPLACE,
    ]  # fmt: skip


def test_a_quarantined_cluster_that_is_mended_is_standby_and_its_weight_stays(make: Callable[..., World]) -> None:
    world = make(Node(looks=Action.RESET_GPU, mended_by=Action.RESET_GPU), scope=quarantined())
    walked = world.walk()
    assert world.roles() == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert world.scopes.read(SCOPE).desired.weights == {ACTIVE: 0, STANDBY: 100}
    assert world.scopes.read(SCOPE).lease.holder is None
    assert "TakeOut" in walked.visited
    assert world.nodes["i-0"].registered  # it has no traffic to be taken out of
    assert "use1-a is standby again" in world.messenger.notices[0][1]


def test_what_is_never_mended_stays_quarantined_and_somebody_is_woken(make: Callable[..., World]) -> None:
    world = make(Node(looks=Action.REPLACE), scope=quarantined())
    world.lemons = True
    walked = world.walk()
    assert (walked.visited[-1], walked.error) == ("RecoveryDidNotSucceed", "RecoveryDidNotSucceed")
    assert world.applied == [("i-0", Action.REPLACE)]
    assert world.roles()[ACTIVE] is Role.QUARANTINED
    record = world.read_recovery(ACTIVE)
    assert (record.lease.holder, record.attempts, record.not_before > world.now_) == (None, 1, True)
    ((subject, text),) = world.messenger.pages
    assert subject == f"{SCOPE}: {ACTIVE} is not mended"
    assert "is sick too: not the hardware" in text
    assert "is sick too: not the hardware" in record.failure


@pytest.mark.parametrize("known", [True, False])
def test_a_replacement_that_never_comes_is_told_with_what_aws_says_and_without_it_all_the_same(
    make: Callable[..., World], known: bool
) -> None:
    world = make(Node(looks=Action.REPLACE), scope=quarantined())
    world.refused = [FailedActivity("gpu", NOW + 5, Refusal.CAPACITY, "InsufficientInstanceCapacity - none left")]
    world.on_apply = lambda: setattr(world, "comes", False)
    if not known:
        world.executions.faults.fail("failed_activities", AccessDeniedError("not allowed"))
    assert world.walk().error == "RecoveryDidNotSucceed"
    ((_, text),) = world.messenger.pages
    assert f"{ACTIVE} has 3 of 4 nodes: look at the activity" in text
    assert ("and Auto Scaling group gpu cannot launch: InsufficientInstanceCapacity - none left" in text) is known
    assert ("1. give the Auto Scaling group gpu another instance type" in text) is known


def failed(*, closed: bool = False) -> Incident:
    """What the failover away from the cluster left: its service has long been good, where it is closed."""
    name = f"{SCOPE}-{ACTIVE}-v1"
    opened = Incident(name, SCOPE, ACTIVE, "0 of 4 replicas pass", NOW - 300, NOW - 298, affects_users=True, version=3)
    return replace(opened, well_since=NOW - 280, closed_at=NOW - 200) if closed else opened


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_each_remedy_stands_in_the_incident_with_what_came_of_it(make: Callable[..., World], closed: bool) -> None:
    world = make(Node(mended_by=Action.REBOOT, answers=False), scope=quarantined())
    incident = failed(closed=closed)
    if closed:
        world.incidents.closed.append(incident)
    else:
        world.incidents.open[incident.incident_id] = incident
    assert world.walk().visited[-1] == "Recovered"
    (found,) = world.incidents.closed if closed else world.incidents.open_incidents()
    *remedies, last = found.actions
    assert [(act.what.split(":")[0], act.outcome) for act in remedies] == [
        ("restart engine on i-0", "it did not help"),
        ("reset GPU on i-0", "it did not help"),
        ("reboot on i-0", "it helped"),
    ]
    assert last.what.startswith(f"{ACTIVE} is mended and standby again: 4 of 4 nodes")
    assert found.durations()["mend"] == pytest.approx(world.now_ - incident.opened_at, abs=60)
    assert found.closed_at == incident.closed_at


def test_a_remedy_under_way_stands_in_the_incident_before_anybody_knows_whether_it_helps(
    make: Callable[..., World],
) -> None:
    world = make(Node(mended_by=Action.REBOOT, looks=Action.REBOOT), scope=quarantined())
    world.incidents.open[failed().incident_id] = failed()
    seen: list[list[str]] = []

    def look(_event: dict[str, Any]) -> dict[str, Any]:
        seen.append([act.outcome for act in world.incidents.open_incidents()[0].actions])
        return {"ended": True, "said": {}}

    world.walk(CheckRemedy=look)
    assert seen == [["under way"]]


def test_what_is_not_mended_says_so_in_the_incident_and_has_no_time_to_mend(make: Callable[..., World]) -> None:
    world = make(Node(looks=Action.REPLACE), scope=quarantined())
    world.lemons = True
    world.incidents.open[failed().incident_id] = failed()
    world.walk()
    (found,) = world.incidents.open_incidents()
    assert [act.outcome for act in found.actions] == ["it is not known to have helped", ""]
    assert found.actions[-1].what.startswith(f"{ACTIVE} was not mended: ")
    assert "mend" not in found.durations()


def test_a_node_that_is_mended_while_its_cluster_serves_opens_no_incident(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False))
    world.incidents.open["i-9"] = replace(failed(), incident_id="i-9", cluster_id=STANDBY)
    assert world.walk().visited[-1] == "Recovered"
    (other,) = world.incidents.open_incidents()
    assert (other.actions, world.incidents.closed) == ((), [])


def test_a_log_of_incidents_that_fails_keeps_nobody_from_being_mended(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False), scope=quarantined())
    world.incidents.faults.fail("open_incidents", AccessDeniedError("Query: denied"))
    assert world.walk().visited[-1] == "Recovered"
    assert world.roles()[ACTIVE] is Role.STANDBY


def test_while_the_switch_observes_one_look_is_told_and_nothing_is_written(make: Callable[..., World]) -> None:
    world = make(Node(answers=False), switch=Automation.OBSERVE)
    walked = world.walk()
    assert (walked.visited[-1], world.applied, world.records) == ("Recovered", [], {})
    ((subject, text),) = world.messenger.notices
    assert subject == f"{SCOPE}: {ACTIVE} is sick, nothing was changed"
    assert "What would have been done: treat: restart engine on i-0: no answer: connection refused." in text


def test_a_brake_that_is_pulled_on_the_way_stops_it_before_the_next_rung(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.REBOOT, answers=False))
    world.on_apply = lambda: setattr(world.region, "brake", builders.brake(Automation.OFF))
    walked = world.walk()
    assert walked.error == "RecoveryDidNotSucceed"
    assert [rung for _, rung in world.applied] == [Action.RESTART_ENGINE]
    assert "the switch says off" in walked.cause


def test_a_brake_that_is_pulled_between_decision_and_remedy_is_asked_again(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.REBOOT, answers=False))
    waits: list[float] = []

    def pull(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # while requests end
            world.region.brake = builders.brake(Automation.OFF)
        world.now_ += seconds

    steps = {"RequestNodeReports": world.commanded, "CollectNodeReports": world.collected, "ProbeNodes": world.probed}
    walked = Walk("cluster_recovery", EXECUTION, pull, steps)
    walked.run(dict(GIVEN))
    assert world.applied == []
    assert "it was set after this execution had begun" in walked.cause


def test_break_glass_overrides_the_switch_under_a_name(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False), switch=Automation.OFF)
    walked = world.walk({**GIVEN, "break_glass": {"by": "ada", "reason": "now"}})
    assert (walked.visited[-1], len(world.applied)) == ("Recovered", 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**GIVEN, "cluster_id": "use1-z"}, "cluster 'use1-z' is unknown"),
        ({**GIVEN, "scope_id": "eu-west-1"}, "start it there"),
        ({"scope_id": SCOPE, "cluster_id": ACTIVE}, "reason is missing; add it"),
        ({**GIVEN, "node": "i-1"}, "node is not a known field"),
    ],
)
def test_a_wrong_input_is_refused_in_words(make: Callable[..., World], given: dict[str, Any], words: str) -> None:
    world = make()
    walked = world.walk(given)
    assert (walked.error, words in walked.cause) == ("RecoveryRefused", True)
    assert world.records == {}


def test_the_switch_off_refuses_and_so_does_a_recovery_at_work(make: Callable[..., World]) -> None:
    assert "the switch is off" in make(switch=Automation.OFF).walk().cause
    world = make()
    world.executions.running.add(OTHER)
    world.records[ACTIVE] = RecoveryRecord(ACTIVE, 1, Lease(1, OTHER, Purpose.RECOVERY, NOW))
    walked = world.walk()
    assert (walked.error, f"{OTHER}, which runs" in walked.cause) == ("RecoveryRefused", True)
    world.executions.running.clear()
    assert world.executions.holder_state(OTHER) is HolderState.ENDED
    assert world.walk().visited[-1] == "Recovered"  # it ended half-way: what it left is taken over


def test_a_node_that_an_earlier_recovery_left_out_of_traffic_is_brought_back(make: Callable[..., World]) -> None:
    world = make(Node(registered=False))
    world.records[ACTIVE] = RecoveryRecord(ACTIVE, 3, Lease(1, OTHER, Purpose.RECOVERY, NOW), (), frozenset({"i-0"}))
    assert world.walk().visited[-1] == "Recovered"
    assert world.nodes["i-0"].registered
    assert world.applied == []


def test_a_cluster_that_gets_traffic_before_the_remedy_is_looked_at_anew(make: Callable[..., World]) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False), scope=quarantined())
    waits: list[float] = []

    def readmit(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # between decision and remedy a person readmits it
            world.scopes.records[SCOPE] = builders.record()
        world.now_ += seconds

    steps = {"RequestNodeReports": world.commanded, "CollectNodeReports": world.collected, "ProbeNodes": world.probed}
    walked = Walk("cluster_recovery", EXECUTION, readmit, steps)
    walked.run(dict(GIVEN))
    assert walked.visited[-1] == "Recovered"
    assert walked.visited.count("ApplyRemedy") == 2
    assert world.applied == [("i-0", Action.RESTART_ENGINE)]
    assert "BringBack" in walked.visited  # the second time it was taken out of traffic


def test_while_a_failover_is_at_work_the_role_waits(make: Callable[..., World]) -> None:
    held = builders.lease(4, builders.EXECUTION)
    world = make(scope=builders.record(QUARANTINED, held))
    world.executions.running.add(builders.EXECUTION)
    waits: list[float] = []

    def end(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            world.scopes.release(SCOPE, token=4, attempts=0, not_before=0.0)
        world.now_ += seconds

    steps = {"RequestNodeReports": world.commanded, "CollectNodeReports": world.collected, "ProbeNodes": world.probed}
    walked = Walk("cluster_recovery", EXECUTION, end, steps)
    walked.run(dict(GIVEN))
    assert walked.visited[-1] == "Recovered"
    assert "WaitForLease" in walked.visited
    assert world.roles()[ACTIVE] is Role.STANDBY


def test_with_no_report_at_all_nothing_is_treated_and_it_is_told(make: Callable[..., World]) -> None:
    world = make(Node(answers=False))

    def denied(_event: dict[str, Any]) -> Any:
        raise AccessDeniedError("SendCommand: not allowed")

    walked = world.walk(RequestNodeReports=denied)
    assert (walked.error, world.applied) == ("RecoveryDidNotSucceed", [])
    assert "NodesUnknown" in walked.visited
    assert "no report comes from i-0, i-1, i-2, i-3" in walked.cause


@pytest.mark.parametrize(
    "step", ["ListNodes", "ProbeNodes", "PlanRemedy", "TakeOut", "ApplyRemedy", "CheckRemedy", "BringBack", "Readmit"]
)
def test_a_step_that_fails_lets_the_cluster_go_and_tells(make: Callable[..., World], step: str) -> None:
    world = make(Node(mended_by=Action.RESTART_ENGINE, answers=False))

    def denied(_event: dict[str, Any]) -> Any:
        raise AccessDeniedError(f"{step}: not allowed")

    walked = world.walk(GIVEN, **{step: denied})
    assert walked.error == "RecoveryDidNotSucceed"
    assert f"{step}: not allowed" in walked.cause
    assert world.read_recovery(ACTIVE).lease.holder is None
    assert len(world.messenger.notices) == 1  # it serves: nobody is woken
