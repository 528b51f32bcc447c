"""The live view: two Regions, a watcher and the last decisions in a terminal of 24 lines and 80 columns."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from sandbox import view
from sandbox.plan import PLANS, WATCHER
from standfast.brake import Switch
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.stores import Sight

LONG = "0 of 4 replicas pass; 3 of 3 probes failed: connection refused; through the entry 8 probes failed"


def seen() -> Any:
    """Two Regions, of which the first has lost its primary. Not typed: it stands for what a sandbox holds."""
    regions, states = {}, {}
    for plan in PLANS.values():
        roles = {plan.primary: Role.QUARANTINED, plan.standby: Role.ACTIVE}
        desired = SimpleNamespace(roles=roles, weights={plan.primary: 0, plan.standby: 100})
        scope = SimpleNamespace(lease=SimpleNamespace(token=1), desired=desired)
        lost = SimpleNamespace(verdict=Verdict.UNHEALTHY, reason=LONG)
        states[plan.name] = SimpleNamespace(scope=scope, assessments={plan.primary: lost})
        nodes = SimpleNamespace(nodes=lambda _: [])
        regions[plan.name] = SimpleNamespace(name=plan.name, nodes=nodes, rule_changes=[], load=None)
    sights = [Sight(WATCHER, "us-east-1", Verdict.DEGRADED, LONG, 1.0)]
    sandbox = SimpleNamespace(regions=regions, watcher=SimpleNamespace(name=WATCHER))
    return view.Seen(sandbox, states, Switch(Automation.RUN, "", "", 0.0), sights)  # type: ignore[arg-type]  # stand-ins


def drawn(lines: list[str]) -> str:
    written = io.StringIO()
    Console(file=written, width=80).print(view.drawing(seen(), lines))
    return written.getvalue()


def test_two_regions_fit_a_small_terminal_however_long_the_reasons_are() -> None:
    assert len(drawn([LONG * 3] * view.LINES).splitlines()) <= 24


def test_every_cluster_is_shown_with_its_role_and_the_watcher_with_what_it_sees() -> None:
    text = drawn([])
    for plan in PLANS.values():
        assert f"{plan.primary}    quarantined" in text
        assert f"{plan.standby}    active" in text
    assert f"switch: run   from {WATCHER}: us-east-1 degraded us-west-2 unknown" in text


def test_a_line_of_standfast_s_own_is_a_decision_and_no_other_is() -> None:
    assert view.decision_in(json.dumps({"logger": "standfast.watch", "message": "decided"})) == "decided"
    assert view.decision_in(json.dumps({"logger": "botocore", "message": "retrying"})) is None
    assert view.decision_in("START RequestId: 1") is None


def table(**changes: Any) -> str:
    right = {"verdict": "unhealthy", "reason": LONG, "seconds": 4.26, "action": "reboot", "wanted_action": "reboot"}
    written = io.StringIO()
    rows = [{"fault": "Xid 79", "plain_health": "200", **right, **changes}]
    Console(file=written, width=110).print(view.faults_table(rows))
    return " ".join(written.getvalue().split())


def test_a_fault_is_shown_with_what_plain_health_sees_what_we_see_and_after_how_long() -> None:
    assert "│ Xid 79 │ 200 │ unhealthy: 0 of 4 replicas pass;" in table()
    assert "│ reboot │ 4.3 │" in table()


def test_what_was_missed_or_calls_for_something_else_stands_out() -> None:
    assert "│ drain, not reboot │" in table(action="drain")
    assert "│ not found │" in table(action="", verdict="healthy", reason="", seconds=None)


def test_a_fault_that_is_no_node_s_calls_for_nothing() -> None:
    assert "│ - │ 4.3 │" in table(action="", wanted_action="")
