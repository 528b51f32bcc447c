"""What an assessment tells: a node at fault once and by day, and a page when monitoring itself is blind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.checks import Check, Checked, CheckName, ClusterEvidence, NodeFinding, NodeHealth, Traffic, blindness
from standfast.health import Verdict
from standfast.health_news import HealthNews
from standfast.xids import Action
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY, switch, view
from tests.fakes import FakeClusterTable, FakeMessenger, FakeRegionTable

SILENT = NodeFinding("i-1", Verdict.UNKNOWN, "no answer yet")


def news() -> tuple[HealthNews, FakeMessenger]:
    messenger = FakeMessenger()
    table = FakeClusterTable(view())
    return HealthNews(SCOPE, table, table, messenger, FakeRegionTable(switch()), NOW), messenger


def checked(*unknown: CheckName, verdict: Verdict = Verdict.HEALTHY) -> Checked:
    checks = tuple(Check(name, Verdict.UNKNOWN if name in unknown else Verdict.HEALTHY, "") for name in CheckName)
    return Checked(ACTIVE, verdict, "as it was found", checks, NOW)


def evidence(node: NodeFinding, traffic: Traffic | None) -> ClusterEvidence:
    missing = {} if traffic else {"traffic": "CloudWatch does not answer"}
    return ClusterEvidence(ACTIVE, 4, None, NodeHealth(ACTIVE, None, (node,)), traffic, missing)


@pytest.mark.parametrize("action", [action for action in Action if action > Action.WATCH])
def test_a_node_at_fault_is_told_once_by_day_with_what_to_do(action: Action) -> None:
    told, messenger = news()
    node = NodeFinding("i-1", Verdict.UNHEALTHY, "it is not well (in 1 of 3 reports)", action, ("xid",))
    told.of_nodes(NodeHealth(ACTIVE, NOW, (node,)))
    told.of_nodes(NodeHealth(ACTIVE, NOW, (NodeFinding("i-1", node.verdict, "otherwise said", action, ("xid",)),)))
    ((subject, text),) = messenger.notices
    assert subject == f"{SCOPE}: node i-1 of {ACTIVE}: {action}"
    assert "it is not well" in text
    assert "i-1" in text.partition("What is left to do")[2]


def test_a_node_that_is_watched_is_told_to_nobody() -> None:
    told, messenger = news()
    told.of_nodes(NodeHealth(ACTIVE, NOW, (NodeFinding("i-1", Verdict.DEGRADED, "warm", Action.WATCH, ("slowed",)),)))
    assert messenger.notices == messenger.pages == []


def test_a_restart_is_never_what_is_advised_for_a_node_that_is_to_be_drained() -> None:
    told, messenger = news()
    node = NodeFinding("i-1", Verdict.DEGRADED, "CUDA cannot start", Action.DRAIN, ("no new process",))
    told.of_nodes(NodeHealth(ACTIVE, NOW, (node,)))
    assert "do not restart its engine" in messenger.notices[0][1]


def test_only_when_no_node_answers_and_nothing_is_counted_monitoring_is_blind() -> None:
    well = NodeFinding("i-1", Verdict.HEALTHY, "")
    said = "no node answers (no answer yet) and nothing is counted (CloudWatch does not answer)"
    assert blindness([evidence(SILENT, None)]) == said
    assert blindness([evidence(SILENT, Traffic(100, 0))]) is None
    assert blindness([evidence(well, None)]) is None
    assert blindness([evidence(SILENT, None), evidence(well, None)]) is None


def test_blindness_pages_the_second_time_in_a_row_and_once() -> None:
    told, messenger = news()
    seeing, blind = checked(), checked(CheckName.GPU, CheckName.ERRORS)
    told.of_blindness("nothing answers", {})
    told.of_blindness("nothing answers", {ACTIVE: seeing, STANDBY: blind})
    assert messenger.pages == []
    for _ in range(2):
        told.of_blindness("nothing answers", {ACTIVE: blind, STANDBY: blind})
    ((subject, text),) = messenger.pages
    assert subject == f"{SCOPE}: monitoring is blind"
    assert "Missing evidence moves nothing" in text


def test_a_change_of_verdict_is_an_event_and_the_same_verdict_is_none() -> None:
    told, messenger = news()
    told.of_change(None, checked())
    told.of_change(checked(), checked(verdict=Verdict.DEGRADED))
    told.of_change(checked(), checked())
    assert [detail["verdict"] for _, detail in messenger.events] == ["healthy", "degraded"]


def test_an_event_says_the_last_changes_so_that_one_who_comes_and_goes_looks_like_it() -> None:
    told, messenger = news()
    verdicts = [Verdict.HEALTHY, Verdict.DEGRADED] * 4
    before: Checked | None = None
    for second, verdict in enumerate(verdicts):
        after = replace(checked(verdict=verdict), checked_at=NOW + second)
        told.of_change(before, after)
        before = after
    first, *_, last = [detail for _, detail in messenger.events]
    assert first["lately"] == []
    lately: Any = last["lately"]
    assert [(change["before"], change["verdict"]) for change in lately[:2]] == [
        ("degraded", "healthy"),
        ("healthy", "degraded"),
    ]
    assert [change["at"] for change in lately] == [NOW + second for second in (6, 5, 4, 3, 2)]


def test_a_change_that_is_told_again_is_kept_once() -> None:
    told, messenger = news()
    for _ in range(2):
        told.of_change(None, checked())
    assert [detail["lately"] for _, detail in messenger.events] == [[], []]
