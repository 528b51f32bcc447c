"""What a preflight says beside that a failover would work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from standfast import announcements, traffic
from standfast.checks import Check, Checked, CheckName
from standfast.errors import AccessDeniedError
from standfast.fleet import Automation
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.preflight import Obstacle, obstacles
from standfast.stores import View
from standfast.traffic import Desired
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY, brake, desired, lease, record, view
from tests.fakes import FakeScopeStore
from tests.unit.test_incidents import DRAINED

WEIGHTS = {ACTIVE: 100, STANDBY: 0}


def kinds(known: View, automation: Automation = Automation.RUN, actual: traffic.Weights = WEIGHTS) -> list[str]:
    return [found.kind for found in obstacles(known, brake(automation), actual, STANDBY, NOW)]


def test_a_fleet_that_is_ready_has_none() -> None:
    assert kinds(view()) == []


def test_a_failover_that_holds_the_lease_is_one_and_a_rollout_is_none() -> None:
    assert kinds(view(record(held=lease(4, EXECUTION)))) == ["lease"]
    assert kinds(view(record(held=lease(4, EXECUTION, Purpose.ROLLOUT)))) == []


def test_a_hold_down_is_one_while_it_lasts() -> None:
    (found,) = obstacles(view(record(attempts=2, not_before=NOW + 90)), brake(), WEIGHTS, STANDBY, NOW)
    assert found == Obstacle("hold-down", "after 2 failed attempts the next may start in 90 s")
    assert kinds(view(record(attempts=2, not_before=NOW))) == []


@pytest.mark.parametrize("automation", [Automation.OFF, Automation.OBSERVE])
def test_a_switch_that_does_not_say_run_is_one(automation: Automation) -> None:
    assert kinds(view(), automation) == ["switch"]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Verdict.HEALTHY, []), (Verdict.UNKNOWN, []), (Verdict.DEGRADED, ["model"]), (Verdict.UNHEALTHY, ["model"])],
)
def test_a_standby_that_serves_another_model_is_one(verdict: Verdict, expected: list[str]) -> None:
    checks = tuple(Check(name, verdict, "2 of 2 replicas serve another model (old)") for name in CheckName)
    assert kinds(replace(view(), checks={STANDBY: Checked(STANDBY, verdict, "", checks, NOW)})) == expected


def test_a_rule_that_is_not_as_desired_is_one() -> None:
    (found,) = obstacles(view(), brake(), {ACTIVE: 50, STANDBY: 50}, STANDBY, NOW)
    assert found.reason == "the rule has use1-a 50, use1-b 50, wanted is use1-a 100, use1-b 0"


def test_people_are_told_anew_when_something_else_stands_in_the_way() -> None:
    ready = announcements.preflight_passed(DRAINED)
    held = announcements.preflight_passed(DRAINED, [Obstacle("switch", "the switch says off for the fleet")])
    assert (ready.outcome, held.outcome) == (f"would work: {STANDBY}", f"would work: {STANDBY}; mind the switch")
    assert held.text.endswith("Mind:\n- the switch says off for the fleet")


def test_the_dry_call_is_refused_and_changes_nothing() -> None:
    store = FakeScopeStore(record(held=lease(4, EXECUTION)))
    traffic.check_writable(SCOPE, desired(), store, now=NOW)
    assert store.read(SCOPE) == record(held=lease(4, EXECUTION))


class Denied(FakeScopeStore):
    """A store that the role may not write to."""

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        raise AccessDeniedError("the role lacks dynamodb:UpdateItem")


def test_a_state_table_that_cannot_be_written_fails_the_preflight() -> None:
    with pytest.raises(AccessDeniedError):
        traffic.check_writable(SCOPE, desired(), Denied(record()), now=NOW)
