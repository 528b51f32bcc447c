"""Incidents as intervals: opened with the first bad verdict, closed once the service is proven good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import UnavailableError
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.incident_keeping import IncidentKeeper, amend, gave_up, moved
from standfast.incidents import CLOSE_SECONDS, MOST_ACTIONS, Act, Change, Incident, decide, summary
from standfast.lease import Purpose
from standfast.steps import DrainStep, GiveUpStep
from standfast.stores import View
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY, assessment, desired, lease, record, view
from tests.fakes import FakeClusterTable, FakeIncidentLog, FakeMessenger, FakeMetrics

OPEN = Incident(
    incident_id=f"{SCOPE}-{ACTIVE}-v1",
    scope_id=SCOPE,
    cluster_id=ACTIVE,
    cause="0 of 4 replicas pass",
    opened_at=NOW - 30,
    detected_at=NOW - 28,
    affects_users=True,
    version=1,
)
MOVED = desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
PLAN: dict[str, Any] = {
    "mode": "failover",
    "scope_id": SCOPE,
    "execution_arn": EXECUTION,
    "incident_id": OPEN.incident_id,
    "failed_cluster_id": ACTIVE,
    "reason": "use1-a is dead",
    "failed_since": NOW - 30,
    "detected_at": NOW - 28,
    "trigger": "watch",
    "token": 4,
    "may_change": True,
    "held_back": "",
    "decided_at": NOW - 27,
}
DRAINED = DrainStep.model_validate(
    {
        **PLAN,
        "selection": {"cluster_id": STANDBY, "reason": "it is proven", "overload": "", "tried": [STANDBY]},
        "shift": {"version": 2, "weights": {STANDBY: 100}, "shifted_at": NOW - 26},
        "drain": {"drained": True, "reason": "no request is in flight", "at": NOW - 20},
    }
)


def seen(*verdicts: tuple[str, Verdict], moved_away: bool = False, age: float = 1.0, busy: bool = False) -> View:
    held = lease(4, EXECUTION, Purpose.FAILOVER) if busy else None
    known = view(record(MOVED if moved_away else None, held))
    found = {
        name: replace(
            assessment(name, verdict), assessed_at=NOW - age, since=None if verdict is Verdict.HEALTHY else NOW - 5
        )
        for name, verdict in verdicts
    }
    return replace(known, assessments=found)


WELL = seen((ACTIVE, Verdict.UNHEALTHY), (STANDBY, Verdict.HEALTHY), moved_away=True)


def test_the_first_bad_verdict_opens_an_incident_from_the_first_failed_probe_on() -> None:
    (found,) = decide(seen((ACTIVE, Verdict.UNHEALTHY), (STANDBY, Verdict.HEALTHY)), [], NOW)
    assert found.change is Change.OPENED
    incident = found.incident
    assert (incident.cluster_id, incident.opened_at, incident.detected_at) == (ACTIVE, NOW - 5, NOW - 1)
    assert incident.affects_users
    assert found.reason.startswith(f"{ACTIVE} is dead: ")


def test_a_standby_that_dies_is_an_incident_that_no_user_feels() -> None:
    (found,) = decide(seen((ACTIVE, Verdict.HEALTHY), (STANDBY, Verdict.UNHEALTHY)), [], NOW)
    assert (found.incident.cluster_id, found.incident.affects_users) == (STANDBY, False)


@pytest.mark.parametrize("verdict", [Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN])
def test_what_is_not_dead_is_no_incident(verdict: Verdict) -> None:
    assert decide(seen((ACTIVE, verdict)), [], NOW) == []


def test_an_old_verdict_opens_nothing() -> None:
    assert decide(seen((ACTIVE, Verdict.UNHEALTHY), age=60), [], NOW) == []


def test_a_cluster_that_has_failed_and_is_being_mended_is_no_new_incident() -> None:
    assert decide(WELL, [], NOW) == []


def test_one_failure_is_one_incident() -> None:
    assert decide(seen((ACTIVE, Verdict.UNHEALTHY)), [OPEN], NOW) == []


def test_an_incident_is_over_once_whatever_has_traffic_has_been_healthy_for_a_minute() -> None:
    (first,) = decide(WELL, [OPEN], NOW)
    assert (first.change, first.incident.well_since) == (Change.WELL, NOW)
    assert decide(WELL, [first.incident], NOW) == []
    since = replace(OPEN, well_since=NOW - CLOSE_SECONDS)
    (last,) = decide(WELL, [since], NOW)
    assert (last.change, last.incident.closed_at, last.incident.well_since) == (Change.CLOSED, NOW, NOW - 60)
    assert last.reason == "the service has been good for 60 s"


def test_a_relapse_begins_the_minute_anew() -> None:
    since = replace(OPEN, well_since=NOW - 59)
    (found,) = decide(seen((STANDBY, Verdict.UNHEALTHY), moved_away=True), [since], NOW)[1:]
    assert (found.change, found.incident.well_since) == (Change.RELAPSED, None)
    assert found.reason.startswith(f"{STANDBY} is unhealthy: ")


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (seen((STANDBY, Verdict.HEALTHY), moved_away=True, busy=True), "is at work on it"),
        (seen((STANDBY, Verdict.HEALTHY), moved_away=True, age=60), f"nobody has judged {STANDBY} of late"),
        (seen((STANDBY, Verdict.DEGRADED), moved_away=True), f"{STANDBY} is degraded"),
    ],
    ids=["a failover runs", "long ago", "saturated"],
)
def test_a_service_that_is_not_proven_good_keeps_it_open(known: View, why: str) -> None:
    (found,) = decide(known, [replace(OPEN, well_since=NOW - 70)], NOW)
    assert found.change is Change.RELAPSED
    assert why in found.reason


@given(st.lists(st.sampled_from(list(Verdict)), max_size=30))
def test_an_incident_closes_at_most_once_and_only_after_a_good_minute(verdicts: list[Verdict]) -> None:
    log, good, closed = FakeIncidentLog(OPEN), 0.0, 0
    for number, verdict in enumerate(verdicts):
        now = NOW + 10 * number
        known = seen((STANDBY, verdict), moved_away=True, age=-10 * number)
        for found in decide(known, log.open_incidents(), now):
            if found.incident.cluster_id == ACTIVE:
                log.write_incident(found.incident)
                closed += found.change is Change.CLOSED
                assert found.change is not Change.CLOSED or good >= CLOSE_SECONDS
        good = good + 10 if verdict is Verdict.HEALTHY else 0.0
    assert closed == len(log.closed) <= 1


def test_the_same_action_twice_is_one_and_the_latest_are_kept() -> None:
    once = OPEN.with_act(NOW, "moved").with_act(NOW + 1, "moved")
    assert once.actions == (Act(NOW, "moved"),)
    many = OPEN
    for number in range(MOST_ACTIONS + 5):
        many = many.with_act(NOW + number, f"act {number}")
    assert len(many.actions) == MOST_ACTIONS
    assert many.actions[-1].what == f"act {MOST_ACTIONS + 4}"


# Keeping


def keeper(known: View, *incidents: Incident) -> tuple[IncidentKeeper, FakeIncidentLog, FakeMessenger]:
    log, messenger = FakeIncidentLog(*incidents), FakeMessenger()
    return IncidentKeeper(SCOPE, FakeClusterTable(known), log, messenger, FakeMetrics()), log, messenger


def test_the_keeper_opens_and_puts_it_on_the_bus() -> None:
    keeping, log, messenger = keeper(seen((ACTIVE, Verdict.UNHEALTHY)))
    assert "opened" in keeping.look(NOW)
    assert keeping.look(NOW) == ""
    assert [incident.cluster_id for incident in log.open_incidents()] == [ACTIVE]
    assert [name for name, _ in messenger.events] == ["IncidentOpened"]
    assert messenger.notices == []


def test_the_keeper_closes_and_says_how_long_it_took() -> None:
    amended = moved(DRAINED, NOW)(replace(OPEN, well_since=NOW - 61))
    keeping, log, messenger = keeper(WELL, amended)
    assert "closed" in keeping.look(NOW)
    assert log.open_incidents() == []
    ((subject, text),) = messenger.notices
    assert subject == f"{SCOPE}: the incident of {ACTIVE} is over"
    assert "It took 2.0 s to detect, 1.0 s to decide, 1.0 s to move, 6.0 s to drain, 0.0 s to recover." in text
    assert f"- all traffic went to {STANDBY}, by {EXECUTION}" in text
    ((name, detail),) = messenger.events
    assert name == "IncidentClosed"
    assert detail["seconds"] == {"detect": 2.0, "decide": 1.0, "move": 1.0, "drain": 6.0, "recover": 0.0}


def test_what_somebody_else_wrote_first_is_left_alone() -> None:
    keeping, log, messenger = keeper(WELL, OPEN)
    log.open[OPEN.incident_id] = replace(OPEN, version=7)
    log.open_incidents = lambda: [OPEN]  # type: ignore[method-assign]  # as it was read before that write
    assert "was written by somebody else" in keeping.look(NOW)
    assert messenger.events == []


def test_a_failover_writes_down_what_it_did_where_the_keeper_has_opened_the_incident() -> None:
    log = FakeIncidentLog(replace(OPEN, incident_id="opened-a-moment-earlier"))
    amend(log, DRAINED, moved(DRAINED, NOW))
    (incident,) = log.open_incidents()
    assert incident.incident_id == "opened-a-moment-earlier"
    assert (incident.decided_at, incident.moved_at, incident.drained_at) == (NOW - 27, NOW - 26, NOW - 20)
    assert incident.actions[-1].what == f"{ACTIVE} is quarantined"


def test_a_failover_opens_the_incident_where_nobody_has() -> None:
    log = FakeIncidentLog()
    step = GiveUpStep.model_validate({**PLAN, "error": {"Error": "NoStandbyProvenError", "Cause": ""}})
    amend(log, step, gave_up(step, "nothing is proven", NOW))
    (incident,) = log.open_incidents()
    assert (incident.opened_at, incident.decided_at, incident.moved_at) == (NOW - 30, NOW - 27, None)
    assert incident.actions == (Act(NOW, f"the failover {EXECUTION} did not succeed: nothing is proven"),)


def test_a_log_that_is_away_keeps_nobody_from_being_told() -> None:
    log = FakeIncidentLog()
    log.faults.fail("open_incidents", UnavailableError("the table is away"))
    amend(log, DRAINED, moved(DRAINED, NOW))
    assert log.closed == []


def test_a_summary_says_cause_times_and_actions() -> None:
    closed = replace(OPEN.with_act(NOW, "the on-caller moved it"), well_since=NOW)
    assert summary(closed) == (
        f"{ACTIVE}: 0 of 4 replicas pass (users felt it).\n"
        "It took 2.0 s to detect, 30.0 s to recover.\n"
        "- the on-caller moved it"
    )
