"""Switchover and failback as they deploy: in stages, under judgement, with a person asked by a link.

Which way a move goes is in tests/unit/test_shift_machine.py, by the same handlers; bakes, links and a reconciler that
comes round take minutes here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from sandbox.fleet.load import Plan
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox
from standfast.fleet import Role
from tests.stories import PRIMARY, REGION, STANDBY, pages, run

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
PLANNED = {"mode": "switchover", "scope_id": REGION, "reason": "a test moves the traffic as planned", "bake_seconds": 0}
# For two minutes the guard remembers the load of the test before.
AFTER_A_LOAD = {**PLANNED, "accept_overload": True}


def asked_link(region: SandboxRegion, since: int) -> str:
    """The link in the notice that asks a person."""

    def found() -> str:
        texts = [message.text for message in region.messages()[since:] if "shall" in message.subject]
        return next((found[0] for text in texts if (found := re.search(r"http://127\S+", text))), "")

    link: str = region.wait_for("the question", found, 60.0)
    return link


def answer(link: str, decision: str | None = None) -> httpx.Response:
    """What a browser is shown; with a decision, after its button was pressed."""
    with httpx.Client(trust_env=False, timeout=30.0) as browser:
        return browser.post(link, data={"decision": decision}) if decision else browser.get(link)


def stands_at(region: SandboxRegion, weights: Mapping[str, int]) -> bool:
    return bool(region.view().scope.desired.weights == weights)


def assess_when(region: SandboxRegion, weights: Mapping[str, int]) -> None:
    """Let the schedule of the assessment fire once a stage is reached, which waits for what is found after it."""
    told = len(region.messages())

    def reached_or_told() -> bool:
        texts = [message.subject for message in region.messages()[told:]]
        assert not any("held back" in text or "given up" in text for text in texts), region.messages()[told:]
        return stands_at(region, weights)

    region.wait_for("the stage", reached_or_told, 90.0)
    region.cloud.ticker.fire("standfast-assess", region.name)


def test_what_aws_announces_moves_the_traffic_before_it_and_an_event_that_comes_twice_moves_once(
    sandbox: Sandbox, region: SandboxRegion
) -> None:
    told = len(region.messages())
    sandbox.apply_config(moves={"planned_events": "switchover", "stages": [100], "bake_seconds": 0})
    event = json.loads((ROOT / "docs/events/instance_retirement.json").read_text())
    gone = [{"entityValue": node.instance_id} for node in region.nodes.nodes(PRIMARY)]
    start = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 86_400))
    detail = json.dumps({**event["detail"], "affectedEntities": gone, "startTime": start})
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": detail}
    announced = f"{REGION}: AWS takes nodes of {PRIMARY}, the traffic is moved before it"

    def subjects() -> list[str]:
        return [message.subject for message in region.messages()[told:]]

    region.client("events").put_events(Entries=[entry])
    region.wait_for("the announcement", lambda: announced in subjects(), 90.0)
    region.client("events").put_events(Entries=[entry])
    assess_when(region, {PRIMARY: 0, STANDBY: 100})
    ended = region.wait_for("its end", lambda: [each for each in subjects() if "switchover" in each], 90.0)
    assert ended[0].endswith("is done"), region.messages()[told:]
    sandbox.apply_config()
    assert region.view().scope.desired.roles == {PRIMARY: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert subjects().count(announced) == 1
    assert len([each for each in region.executions() if each["name"].startswith(f"{REGION}-planned-")]) == 1


def test_a_switchover_asks_a_person_and_loses_no_request(region: SandboxRegion) -> None:
    told = len(region.messages())
    load = region.start_load(Plan(clients=8, rate_per_second=40.0, model=region.model.version))
    arn = region.start_execution({**PLANNED, "stages": [10, 100], "pause_before": [100], "pause_seconds": 600})
    assess_when(region, {PRIMARY: 90, STANDBY: 10})
    link = asked_link(region, told)
    assert stands_at(region, {PRIMARY: 90, STANDBY: 10})
    tampered = [link.replace("e=1", "e=2"), link[:-4] + "AAAA", link.replace("?q=", "?q=0"), link.split("?")[0]]
    assert {answer(wrong, "approve").status_code for wrong in tampered} == {403}
    shown = answer(link)
    assert (shown.status_code, "Go on" in shown.text, PRIMARY in shown.text) == (200, True, True)
    assert answer(link).status_code == 200  # a GET decides nothing, however often a mail scanner asks
    assert stands_at(region, {PRIMARY: 90, STANDBY: 10})
    assert answer(link, "perhaps").status_code == 400
    assert answer(link, "approve").status_code == 200
    assert (answer(link, "abort").status_code, answer(link).status_code) == (410, 410)
    assess_when(region, {PRIMARY: 0, STANDBY: 100})
    execution = region.wait_for_end(arn)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    time.sleep(1.0)  # some requests more, all at the new cluster
    records = load.stop()
    assert [record for record in records if not record.ok] == []
    assert len(records) > 100
    scope = region.view().scope
    assert scope.desired.weights == {PRIMARY: 0, STANDBY: 100}
    assert scope.desired.roles == {PRIMARY: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert (scope.desired.move, scope.lease.holder) == (None, None)
    assert pages(region, told) == []
    assert f"switchover from {PRIMARY} to {STANDBY} is done" in region.messages()[-1].subject


def test_a_person_who_says_stop_ends_a_move_before_it_began(region: SandboxRegion) -> None:
    told = len(region.messages())
    arn = region.start_execution({**AFTER_A_LOAD, "stages": [100], "pause_before": [100]})
    assert "stop and go back" in answer(asked_link(region, told), "abort").text
    execution = region.wait_for_end(arn)
    assert execution["error"] == "MoveDidNotSucceed"
    assert "a person said stop before stage 1 of 1" in execution["cause"]
    scope = region.view().scope
    assert scope.desired.weights == {PRIMARY: 100, STANDBY: 0}
    assert (scope.lease.holder, scope.attempts) == (None, 0)


def test_a_target_that_dies_under_its_first_traffic_gives_it_back(region: SandboxRegion) -> None:
    arn = region.start_execution({**AFTER_A_LOAD, "stages": [10, 100], "bake_seconds": 600})
    region.wait_for("the first stage", lambda: stands_at(region, {PRIMARY: 90, STANDBY: 10}), 30.0)
    region.nodes.kill(STANDBY)
    execution = region.wait_for_end(arn)
    assert execution["error"] == "MoveDidNotSucceed"
    assert f"the weights of before are restored ({PRIMARY} 100, {STANDBY} 0)" in execution["cause"]
    scope = region.view().scope
    assert scope.desired.weights == {PRIMARY: 100, STANDBY: 0}
    assert scope.desired.roles == {PRIMARY: Role.ACTIVE, STANDBY: Role.STANDBY}
    assert (scope.desired.move, scope.lease.holder, scope.attempts) == (None, None, 0)


def test_a_source_that_dies_in_a_planned_move_is_left_by_a_failover_that_takes_the_lease(region: SandboxRegion) -> None:
    arn = region.start_execution({**AFTER_A_LOAD, "stages": [50, 100], "bake_seconds": 600})
    region.wait_for("the first stage", lambda: stands_at(region, {PRIMARY: 50, STANDBY: 50}), 30.0)
    token = region.view().scope.lease.token
    region.nodes.kill(PRIMARY)
    execution = region.wait_for_end(arn)
    assert execution["error"] == "MoveDidNotSucceed"
    assert "A failover took over" in execution["cause"]

    def failed_over() -> bool:
        scope = region.view().scope
        return scope.lease.holder is None and scope.desired.roles.get(PRIMARY) is Role.QUARANTINED

    region.wait_for("the failover", failed_over, 60.0)
    scope = region.view().scope
    assert scope.lease.token > token
    assert (scope.desired.weights, scope.desired.move) == ({PRIMARY: 0, STANDBY: 100}, None)


def test_a_planned_move_that_is_stopped_is_undone_by_the_reconciler(region: SandboxRegion) -> None:
    arn = region.start_execution({**AFTER_A_LOAD, "stages": [10, 100], "bake_seconds": 600})
    region.wait_for("the first stage", lambda: stands_at(region, {PRIMARY: 90, STANDBY: 10}), 30.0)
    region.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="by a test")
    region.wait_for("the way back", lambda: stands_at(region, {PRIMARY: 100, STANDBY: 0}), 30.0)
    scope = region.wait_for("the lease to be free", lambda: (s := region.view().scope).lease.holder is None and s, 10)
    assert (scope.desired.move, scope.attempts) == (None, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to_cluster_id": PRIMARY}, "is active already; there is nothing to move"),
        ({"mode": "failback"}, f"{PRIMARY} is active already"),
        ({"stages": [50, 10, 100]}, "does not rise"),
        ({"stages": [10, 50]}, "does not end with 100"),
        ({"pause_before": [20]}, "is no stage"),
        ({"failed_cluster_id": PRIMARY}, "nothing failed in a planned move"),
        ({"bake_seconds": 3600, "stages": [10, 20, 50, 100]}, "add up to 14400 s"),
    ],
)
def test_a_planned_move_that_cannot_be_is_refused_in_words(
    region: SandboxRegion, change: Mapping[str, object], words: str
) -> None:
    before = region.view().scope
    execution = run(region, {**AFTER_A_LOAD, **change})
    assert execution["error"] == "FailoverRefused"
    assert words in execution["cause"]
    assert region.view().scope == before
