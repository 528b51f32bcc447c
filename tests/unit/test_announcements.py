"""What people are told: what failed, since when, what was done, what is left to do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from standfast import announcements, evidence
from standfast.announcements import Announcement, Urgency
from standfast.errors import UnavailableError
from standfast.health import Verdict
from standfast.steps import DrainStep, GiveUpStep
from standfast.stores import Sight
from standfast.telling import tell
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY
from tests.fakes import FakeClusterTable, FakeMessenger, FakeRegionTable

PLAN = {
    "mode": "failover",
    "scope_id": SCOPE,
    "execution_arn": EXECUTION,
    "incident_id": "us-east-1-use1-a-v7",
    "failed_cluster_id": ACTIVE,
    "reason": "use1-a is dead: 0 of 4 replicas pass",
    "failed_since": NOW - 2,
    "detected_at": NOW,
    "trigger": "watch",
    "token": 4,
    "may_change": True,
    "held_back": "",
}
SELECTION = {"cluster_id": STANDBY, "reason": "use1-b is proven", "overload": "too small", "tried": [STANDBY]}
SHIFT = {"version": 8, "weights": {ACTIVE: 0, STANDBY: 100}, "shifted_at": NOW + 1.25}


def drained(**changes: object) -> DrainStep:
    return DrainStep.model_validate({**PLAN, "selection": SELECTION, "shift": SHIFT, **changes})


def given_up(**changes: object) -> GiveUpStep:
    cause = json.dumps({"errorMessage": "nothing is proven", "errorType": "NoStandbyProvenError"})
    error = {"Error": "NoStandbyProvenError", "Cause": cause}
    return GiveUpStep.model_validate({**PLAN, "error": error, **changes})


@pytest.mark.parametrize(
    ("recovery", "words"),
    [
        (
            {"execution_arn": EXECUTION, "reason": "quarantined"},
            f"{ACTIVE} is quarantined and is being mended: {EXECUTION}",
        ),
        ({"execution_arn": "", "reason": "the switch is off"}, f"Nobody mends {ACTIVE} yet: the switch is off."),
        (None, f"Nobody mends {ACTIVE} yet: UnavailableError: StartExecution: no answer"),
    ],
)
def test_a_completed_failover_says_who_mends_what_failed(recovery: dict[str, str] | None, words: str) -> None:
    error = {"Error": "UnavailableError", "Cause": '{"errorMessage": "StartExecution: no answer"}'}
    step = DrainStep.model_validate({**drained().model_dump(), "recovery": recovery, "error": error})
    assert words in announcements.completed(step).text


def test_a_completed_failover_says_what_an_on_caller_needs() -> None:
    said = announcements.completed(drained())
    assert said.urgency is Urgency.PAGE
    assert said.subject == f"{SCOPE}: {ACTIVE} failed, {STANDBY} serves"
    for words in (
        "What failed: use1-a is dead: 0 of 4 replicas pass",
        "Since: 2027-01-15 07:59:58.0 UTC, detected 2027-01-15 08:00:00.0 UTC by watch.",
        f"all traffic of {SCOPE} went to {STANDBY} at 2027-01-15 08:00:01.2 UTC, 1.2 s after detection",
        "Mind: too small.",
        f"1. mend {ACTIVE}: it is quarantined and takes no traffic.\n2. invoke the readmit-cluster function",
        f"Execution: {EXECUTION}",
    ):
        assert words in said.text


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "us-east-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_a_page_links_to_the_execution_in_the_console(partition: str, region: str, host: str) -> None:
    arn = EXECUTION.replace("arn:aws:", f"arn:{partition}:").replace("us-east-1", region)
    said = announcements.completed(drained(execution_arn=arn))
    assert f"In the console: https://{host}/states/home?region={region}#/v2/executions/details/{arn}" in said.text


@pytest.mark.parametrize(
    "announcement",
    [
        lambda seen: announcements.completed(drained(), seen),
        lambda seen: announcements.held_back(drained(may_change=False, held_back="why"), seen),
        lambda seen: announcements.gave_up(given_up(), NOW + 60, seen),
    ],
    ids=["completed", "held back", "gave up"],
)
def test_a_page_lists_the_evidence(announcement: Callable[[list[str]], Announcement]) -> None:
    assert (
        "The evidence:\n- use1-a is dead\n- use1-b is well\n" in announcement(["use1-a is dead", "use1-b is well"]).text
    )
    assert "The evidence" not in announcement([]).text


def test_evidence_is_what_the_watch_found_and_how_it_looks_from_outside() -> None:
    dead = builders.assessment(ACTIVE, Verdict.UNHEALTHY, "0 of 4 replicas pass", assessed_at=NOW - 3)
    table = FakeClusterTable(builders.view(assessments={ACTIVE: dead}))
    regions = FakeRegionTable(builders.switch())
    regions.write_sight(Sight("us-east-2", SCOPE, Verdict.UNHEALTHY, "2 probes failed", NOW - 1))
    regions.write_sight(Sight("us-west-2", SCOPE, Verdict.HEALTHY, "it was, once", NOW - 3600))
    regions.write_sight(Sight("us-east-2", "eu-west-1", Verdict.HEALTHY, "another Region", NOW))
    assert evidence.gather(SCOPE, table, regions, NOW) == [
        "use1-a is unhealthy, 3 s ago: 0 of 4 replicas pass",
        "from us-east-2 us-east-1 looks unhealthy, 1 s ago: 2 probes failed",
    ]


def test_evidence_that_cannot_be_read_keeps_nobody_from_being_told() -> None:
    table, regions = FakeClusterTable(builders.view()), FakeRegionTable(builders.switch())
    table.faults.fail("view", UnavailableError("no answer"))
    regions.faults.fail("sights", UnavailableError("cut off"))
    assert evidence.gather(SCOPE, table, regions, NOW) == [
        "what the watch found cannot be read: no answer",
        "how us-east-1 looks from other Regions cannot be read: cut off",
    ]


def test_what_was_held_back_says_that_nothing_was_changed_and_why() -> None:
    said = announcements.held_back(drained(may_change=False, held_back="the switch says observe (new)"))
    assert said.urgency is Urgency.PAGE
    assert "Nothing was changed: the switch says observe (new)." in said.text
    assert f"What would have been done: all traffic to {STANDBY}" in said.text


def test_a_preflight_that_passes_is_a_notice_whose_outcome_names_the_candidate() -> None:
    said = announcements.preflight_passed(drained(mode="preflight", may_change=False))
    assert (said.urgency, said.outcome) == (Urgency.NOTICE, f"would work: {STANDBY}")


def test_giving_up_before_the_shift_says_that_the_traffic_stays() -> None:
    said = announcements.gave_up(given_up(), NOW + 60)
    assert said.urgency is Urgency.PAGE
    assert "NoStandbyProvenError: nothing is proven" in said.text
    assert f"The traffic stays where it was, on {ACTIVE}" in said.text
    assert "the next attempt may start at 2027-01-15 08:01:00.0 UTC" in said.text


def test_giving_up_after_the_shift_says_where_the_traffic_is() -> None:
    said = announcements.gave_up(given_up(selection=SELECTION, shift=SHIFT), None)
    assert f"was moved to {STANDBY} and stays there: it never goes back to what failed" in said.text


def test_a_time_out_has_no_cause_and_is_told_all_the_same() -> None:
    said = announcements.gave_up(given_up(error={"Error": "States.Timeout"}), None)
    assert "States.Timeout: no cause was given" in said.text


def test_a_preflight_that_fails_is_a_notice() -> None:
    said = announcements.gave_up(given_up(mode="preflight", may_change=False), None)
    assert said.urgency is Urgency.NOTICE
    assert "would NOT work now" in said.text


@pytest.mark.parametrize(("urgency", "pages", "notices"), [(Urgency.PAGE, 1, 0), (Urgency.NOTICE, 0, 1)])
def test_each_outcome_is_told_once_and_put_on_the_bus(urgency: Urgency, pages: int, notices: int) -> None:
    table, messenger = FakeClusterTable(builders.view()), FakeMessenger()

    def say(outcome: str) -> bool:
        return tell(
            Announcement(urgency, "subject", "text", "FailoverFailed", outcome),
            incident_id="incident",
            scope_id=SCOPE,
            failed_cluster_id=ACTIVE,
            incidents=table,
            messenger=messenger,
            switches=FakeRegionTable(builders.switch()),
            now=NOW,
        )

    assert [say("failed"), say("failed")] == [True, False]
    assert (len(messenger.pages), len(messenger.notices)) == (pages, notices)
    assert messenger.events[0][0] == "FailoverFailed"
    assert say("completed") is True
    assert len(messenger.events) == 2


def test_a_page_says_what_the_switch_says_and_is_sent_when_it_cannot_be_read() -> None:
    table, messenger, switches = FakeClusterTable(builders.view()), FakeMessenger(), FakeRegionTable(builders.switch())
    for outcome in ("failed", "failed again"):
        tell(
            Announcement(Urgency.PAGE, "subject", "text", "FailoverFailed", outcome),
            incident_id="incident",
            scope_id=SCOPE,
            failed_cluster_id=ACTIVE,
            incidents=table,
            messenger=messenger,
            switches=switches,
            now=NOW,
        )
        switches.faults.fail("glance_at_brake", UnavailableError("the table is away"))
    assert [text for _, text in messenger.pages] == [
        "text\nThe switch: run for the fleet (proven in the game day; set by ada).\nIncident: incident",
        "text\nWhat the switch says cannot be read: the table is away\nIncident: incident",
    ]


@pytest.mark.parametrize(("urgency", "again"), [(Urgency.PAGE, True), (Urgency.NOTICE, False)])
def test_a_page_is_sent_again_after_an_hour_and_a_notice_is_not(urgency: Urgency, *, again: bool) -> None:
    table, messenger = FakeClusterTable(builders.view()), FakeMessenger()

    def say(now: float) -> bool:
        return tell(
            Announcement(urgency, "subject", "text", "FailoverFailed", "failed"),
            incident_id="incident",
            scope_id=SCOPE,
            failed_cluster_id=ACTIVE,
            incidents=table,
            messenger=messenger,
            switches=FakeRegionTable(builders.switch()),
            now=now,
        )

    assert [say(NOW), say(NOW + 3599), say(NOW + 3601)] == [True, False, again]
