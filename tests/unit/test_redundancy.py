"""A Region without a standby: who rebuilds it, why nobody does, one incident and one page a loss."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.brake import Brake
from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import ConflictError, UnavailableError
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.incident_keeping import IncidentKeeper, amend
from standfast.incidents import CLOSE_SECONDS, Change, Incident, Kind
from standfast.incidents import decide as decide_failures
from standfast.lease import HolderState, Lease, Purpose
from standfast.recovery import Remedy
from standfast.recovery_record import RecoveryRecord
from standfast.recovery_rules import RecoveryRules
from standfast.redundancy import Cause, Decision, Evidence, Standing, State, decide, decide_at_once, follow, standings
from standfast.redundancy_keeping import RedundancyKeeper
from standfast.scaling import FailedActivity, Refusal
from standfast.steps import Plan
from standfast.stores import View
from standfast.xids import Action
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY
from tests.fakes import FakeClusterTable, FakeExecutions, FakeIncidentLog, FakeMessenger, FakeMetrics, FakeRegionTable

RECOVERY = "arn:aws:states:us-east-1:123456789012:execution:cluster-recovery:one"
FAILED_OVER = {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
MOVED = builders.record(builders.desired({ACTIVE: 0, STANDBY: 100}, FAILED_OVER))
NONE_LEFT = FailedActivity("gpu", NOW - 60, Refusal.CAPACITY, "InsufficientInstanceCapacity - none left")
LOST = Standing(ACTIVE, f"{ACTIVE} is quarantined")


def nodes(cluster_id: str, *, age: float = 20.0, condemned: bool = False) -> NodeHealth:
    verdict = Verdict.UNHEALTHY if condemned else Verdict.HEALTHY
    return NodeHealth(cluster_id, NOW - age, (NodeFinding("i-1", verdict, "off the bus", Action.REBOOT),))


def known(
    verdict: Verdict = Verdict.HEALTHY, *, age: float = 1.0, report: NodeHealth | None = None, **config: Any
) -> View:
    """The Region with its standby judged so by the watch, and reported so by its node."""
    found = {STANDBY: builders.assessment(STANDBY, verdict, "by a test", assessed_at=NOW - age)}
    made = builders.view(assessments=found, config=builders.fleet(**config) if config else None)
    return replace(made, nodes={STANDBY: report or nodes(STANDBY)})


def at_once(view: View, brake: Brake | None = None) -> Decision | None:
    return decide_at_once(view, standings(view, brake or builders.brake(), NOW))


@pytest.mark.parametrize("verdict", [Verdict.HEALTHY, Verdict.DEGRADED])
def test_a_cluster_that_a_failover_would_take_is_a_standby(verdict: Verdict) -> None:
    assert at_once(known(verdict)) == Decision(State.STANDBY, f"{STANDBY} is proven to be a standby", (STANDBY,))


@pytest.mark.parametrize(
    ("view", "why"),
    [
        pytest.param(known(age=60), f"nobody has judged {STANDBY} of late", id="the watch is silent"),
        pytest.param(known(Verdict.UNKNOWN), f"nobody has judged {STANDBY} of late", id="the watch does not know"),
        pytest.param(known(report=nodes(STANDBY, age=91)), "its last node report is 91 s old", id="no report"),
        pytest.param(replace(known(), nodes={}), "no node report was taken yet", id="never a report"),
    ],
)
def test_missing_evidence_is_no_lost_standby(view: View, why: str) -> None:
    decision = at_once(view)
    assert decision is not None
    assert decision.state is State.UNKNOWN
    assert why in decision.reason


def test_without_node_reports_the_watch_alone_proves_a_standby() -> None:
    decision = at_once(replace(known(failover={"require_node_report": False}), nodes={}))
    assert decision is not None
    assert decision.state is State.STANDBY


def test_while_a_failover_changes_roles_nothing_is_said_of_them() -> None:
    view = replace(builders.view(MOVED), scope=replace(MOVED, lease=builders.lease(4, EXECUTION, Purpose.FAILOVER)))
    decision = at_once(view)
    assert decision is not None
    assert (decision.state, EXECUTION in decision.reason) == (State.UNKNOWN, True)


@pytest.mark.parametrize(
    ("view", "brake", "why"),
    [
        pytest.param(builders.view(MOVED), None, f"{ACTIVE} is quarantined", id="it failed"),
        pytest.param(known(Verdict.UNHEALTHY), None, "the watch found use1-b unhealthy: by a test", id="it is dead"),
        pytest.param(
            known(report=nodes(STANDBY, condemned=True)), None, "1 of 1 nodes are condemned: off the bus", id="sick"
        ),
        pytest.param(
            known(), builders.brake(use1_b=Automation.OFF), f"{STANDBY} is well, and the switch says off", id="held"
        ),
    ],
)
def test_what_is_known_to_be_no_standby_is_asked_after(view: View, brake: Brake | None, why: str) -> None:
    assert at_once(view, brake) is None
    (standing,) = standings(view, brake or builders.brake(), NOW)
    assert why in standing.why_not


def judged(
    record: RecoveryRecord | None = None,
    *,
    brake: Brake | None = None,
    rules: RecoveryRules | None = None,
    holder: HolderState = HolderState.ENDED,
    **more: Any,
) -> Decision:
    evidence = Evidence(LOST, record or RecoveryRecord(ACTIVE), holder, **more)
    return decide(SCOPE, [evidence], rules or RecoveryRules(), brake or builders.brake(), NOW)


def test_a_recovery_at_work_rebuilds_it_and_what_aws_refuses_it_is_said() -> None:
    record = RecoveryRecord(ACTIVE, lease=Lease(1, RECOVERY, Purpose.RECOVERY, NOW - 60))
    decision = judged(record, holder=HolderState.RUNNING)
    assert (decision.state, decision.causes) == (State.REBUILDING, ())
    assert decision.reason == f"{SCOPE} has no standby: {ACTIVE} is being rebuilt by {RECOVERY}"
    decision = judged(record, holder=HolderState.UNKNOWN, failed=[NONE_LEFT])
    assert decision.state is State.REBUILDING
    assert "AWS has no such instance left, and Auto Scaling group gpu cannot launch: Insuff" in decision.reason
    assert decision.mends[0].startswith("give the Auto Scaling group gpu another instance type")


def remedies(count: int, rung: Action = Action.RESTART_ENGINE) -> tuple[Remedy, ...]:
    return tuple(Remedy(f"r-{number}", "i-1", rung, NOW - 600, "sick") for number in range(count))


FAILED = RecoveryRecord(ACTIVE, attempts=2, not_before=NOW + 300, failure="i-1 is not mended by the whole ladder")


@pytest.mark.parametrize(
    ("given", "cause", "words", "mend"),
    [
        pytest.param(
            {"failed": [NONE_LEFT]},
            Cause.CAPACITY, "AWS has no such instance left", "reserve capacity", id="capacity",
        ),
        pytest.param(
            {"failed": [NONE_LEFT, replace(NONE_LEFT, at=NOW, refusal=Refusal.QUOTA, said="VcpuLimitExceeded")]},
            Cause.QUOTA, "quota is used up, and Auto Scaling group gpu cannot launch: VcpuLimit", "Service Quotas",
            id="quota, the latest word",
        ),
        pytest.param(
            {"failed": [replace(NONE_LEFT, refusal=Refusal.OTHER, said="no such key pair")]},
            Cause.LAUNCH, "AWS refuses, and Auto Scaling group gpu cannot launch: no such key", "activity history",
            id="another refusal",
        ),
        pytest.param(
            {"record": replace(FAILED, remedies=remedies(4))},
            Cause.SPENT, "i-1 had 4 remedies within a day, which are all that recovery.remedies_per_day allows",
            "The budgets are FleetConfig's", id="remedies spent",
        ),
        pytest.param(
            {"record": replace(FAILED, remedies=remedies(1, Action.REPLACE)),
             "rules": RecoveryRules(replacements_per_day=1)},
            Cause.SPENT, "1 replacements within a day are all that recovery.replacements_per_day allows",
            "mend use1-a by hand", id="replacements spent",
        ),
        pytest.param(
            {"record": FAILED},
            Cause.FAILED,
            "2 recoveries did not mend it: i-1 is not mended by the whole ladder; the next may begin in 300 s",
            "mend use1-a by hand", id="failed",
        ),
        pytest.param(
            {"brake": builders.brake(Automation.OBSERVE), "failed": [NONE_LEFT]},
            Cause.SWITCH, "nothing is changed: the switch says observe for the fleet", "set-switch", id="observe",
        ),
        pytest.param(
            {"rules": RecoveryRules(automatic=False)},
            Cause.BY_HAND, "recovery.automatic is false", "start cluster_recovery for use1-a", id="by hand",
        ),
        pytest.param(
            {"said": "its replicas may come back by themselves", "unasked": "Auto Scaling could not be asked: no"},
            Cause.NOT_BEGUN, "no recovery is at work: its replicas may come back by themselves (Auto Scaling could not",
            "mend use1-a by hand", id="nobody yet",
        ),
    ],
)  # fmt: skip
def test_where_nobody_rebuilds_it_the_cause_is_said_with_what_to_do(
    given: dict[str, Any], cause: Cause, words: str, mend: str
) -> None:
    decision = judged(**given)
    assert (decision.state, decision.causes) == (State.LOST, ((ACTIVE, cause),))
    assert decision.reason.startswith(f"{SCOPE} has no standby: {ACTIVE} is quarantined, and ")
    assert words in decision.reason
    assert mend in " ".join(decision.mends)


@dataclass
class World:
    """A Region with its keeper."""

    view: View = field(default_factory=lambda: builders.view(MOVED))
    record: RecoveryRecord = field(default_factory=lambda: RecoveryRecord(ACTIVE))
    failed: list[FailedActivity] = field(default_factory=list)
    error: Exception | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        self.log, self.messenger, self.metrics = FakeIncidentLog(), FakeMessenger(), FakeMetrics()
        self.table = FakeClusterTable(self.view)
        self.executions = FakeExecutions()
        incidents = IncidentKeeper(SCOPE, self.table, self.log, self.messenger, self.metrics)
        switches = FakeRegionTable(builders.switch())
        self.keeper = RedundancyKeeper(incidents, self, self, self, switches, self.table)  # type: ignore[arg-type]

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        return replace(self.record, cluster_id=cluster_id)

    def holder_state(self, execution_arn: str) -> HolderState:
        return self.executions.holder_state(execution_arn)

    def failed_activities(self, cluster_id: str, since: float) -> list[FailedActivity]:
        self.asked += 1
        if self.error:
            raise self.error
        return self.failed

    def look(self, now: float, view: View | None = None) -> str:
        fresh = view or self.view
        assessments = {name: replace(each, assessed_at=now) for name, each in fresh.assessments.items()}
        reports = {name: replace(each, reported_at=now) for name, each in fresh.nodes.items()}
        self.table.known = replace(fresh, assessments=assessments, nodes=reports)
        return self.keeper.look({ACTIVE: "nothing was begun"}, now)


def test_one_loss_is_one_incident_and_one_page_after_the_grace() -> None:
    world = World(failed=[NONE_LEFT])
    for minute in range(150):
        world.look(NOW + 60 * minute)
        assert len(world.messenger.pages) == (minute >= 30)
    (incident,) = world.log.open_incidents()
    assert (incident.kind, incident.cluster_id, incident.affects_users) == (Kind.REDUNDANCY, ACTIVE, False)
    assert [act.what for act in incident.actions] == [f"nobody rebuilds {ACTIVE}: capacity"]
    ((subject, text),) = world.messenger.pages
    assert subject == f"{SCOPE}: no standby for 30 min"
    assert "AWS has no such instance left, and Auto Scaling group gpu cannot launch: InsufficientInstance" in text
    assert f"Incident: {incident.incident_id}" in text
    assert [name for name, _ in world.messenger.events] == ["IncidentOpened", "RedundancyLost"]


def test_a_rebuilding_within_its_grace_wakes_nobody_and_its_end_closes_the_incident() -> None:
    world = World(record=RecoveryRecord(ACTIVE, lease=Lease(1, RECOVERY, Purpose.RECOVERY, NOW)))
    world.executions.running.add(RECOVERY)
    assert f"being rebuilt by {RECOVERY}" in world.look(NOW)
    well = known()
    for second in (600, 600 + CLOSE_SECONDS):
        world.look(NOW + second, well)
    assert (world.messenger.pages, world.log.open_incidents()) == ([], [])
    (closed,) = world.log.closed
    assert (closed.well_since, closed.closed_at) == (NOW + 600, NOW + 660)
    ((subject, text),) = world.messenger.notices
    assert subject == f"{SCOPE} has a standby again"
    assert f"{ACTIVE} is being rebuilt by {RECOVERY}" in text
    assert world.metrics.put_at == []  # the figures of failures know nothing of it


def test_a_second_loss_is_paged_anew() -> None:
    world = World()
    for begin in (NOW, NOW + 4000):
        for second in (0, 1800):
            world.look(begin + second)
        for second in (1900, 1960):
            world.look(begin + second, known())
    assert len(world.messenger.pages) == len(world.log.closed) == 2


def test_a_relapse_before_the_minute_is_over_keeps_the_incident_open() -> None:
    world = World()
    world.look(NOW)
    world.look(NOW + 60, known())
    world.look(NOW + 61)
    (incident,) = world.log.open_incidents()
    assert (incident.opened_at, incident.well_since) == (NOW, None)


def test_what_is_not_known_opens_nothing_and_closes_nothing() -> None:
    silent = known(Verdict.UNKNOWN)
    world = World()
    world.look(NOW, silent)
    assert world.log.open_incidents() == []
    world.look(NOW + 60)
    for second in (120, 600):
        world.look(NOW + second, silent)
    assert len(world.log.open_incidents()) == 1


def test_while_a_standby_is_proven_nobody_is_asked_for_more() -> None:
    world = World()
    assert world.look(NOW, known()) == f"{STANDBY} is proven to be a standby"
    assert (world.asked, world.log.open_incidents()) == (0, [])


def test_auto_scaling_that_cannot_be_asked_keeps_nobody_from_being_told() -> None:
    world = World(error=UnavailableError("DescribeScalingActivities: no answer"))
    assert "(Auto Scaling could not be asked: DescribeScalingActivities: no answer)" in world.look(NOW)
    world.look(NOW + 1800)
    assert len(world.messenger.pages) == 1


def test_two_looks_at_once_open_one_incident() -> None:
    world = World()
    world.log.faults.fail("write_incident", ConflictError("somebody was first"), times=1)
    assert "was written by somebody else" in world.look(NOW)
    world.look(NOW + 60)
    assert len(world.log.open_incidents()) == 1


LONG_LOST = Incident(
    f"{SCOPE}-no-standby-v7", SCOPE, ACTIVE, "no standby", NOW - 60, NOW - 60, affects_users=False,
    kind=Kind.REDUNDANCY, version=1,
)  # fmt: skip


def test_a_lost_standby_hides_no_failure_and_is_not_closed_like_one() -> None:
    dead = builders.view(assessments={ACTIVE: builders.assessment(ACTIVE, Verdict.UNHEALTHY, since=NOW - 5)})
    (opened,) = decide_failures(dead, [LONG_LOST], NOW)
    assert (opened.change, opened.incident.kind) == (Change.OPENED, Kind.FAILURE)
    healthy = builders.view(assessments={ACTIVE: builders.assessment(ACTIVE)})
    assert decide_failures(healthy, [LONG_LOST], NOW) == []


def test_what_a_failover_did_is_not_written_into_the_loss_that_it_leaves_behind() -> None:
    log = FakeIncidentLog(LONG_LOST)
    plan = Plan.model_validate(
        {
            "mode": "failover", "scope_id": SCOPE, "execution_arn": EXECUTION, "incident_id": "one", "reason": "dead",
            "failed_cluster_id": ACTIVE, "failed_since": NOW, "detected_at": NOW, "trigger": "watch", "token": 4,
            "may_change": True, "held_back": "",
        }
    )  # fmt: skip
    amend(log, plan, lambda incident: incident.with_act(NOW, "moved"))
    assert log.open[LONG_LOST.incident_id] == LONG_LOST
    assert [act.what for act in log.open["one"].actions] == ["moved"]


@given(st.lists(st.sampled_from([State.STANDBY, State.UNKNOWN, State.REBUILDING, State.LOST]), max_size=40))
def test_an_incident_of_a_loss_closes_only_after_a_minute_with_a_standby(states: list[State]) -> None:
    view, open_, good = builders.view(MOVED), None, 0.0
    for number, state in enumerate(states):
        now = NOW + 20.0 * number
        change = follow(view, Decision(state, "as a test has it", (ACTIVE,)), open_, now)
        good = good + 20.0 if state is State.STANDBY else 0.0
        if change is not None and change.change is Change.CLOSED:
            assert good >= CLOSE_SECONDS
            open_ = None
        elif change is not None:
            open_ = change.incident
        if state in (State.LOST, State.REBUILDING):
            assert open_ is not None
