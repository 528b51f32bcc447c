"""Faults of a sandbox node: what is wanted of each is the catalogue's word, and what was found is not mended to fit."""

from __future__ import annotations

import re

import pytest

from sandbox.fault_table import complaints, figures
from sandbox.node_faults import FRAGILE, GPU_FAULTS, NodeFault, is_settled, row, wrong_verdicts
from standfast.checks import NodeFinding
from standfast.health import Verdict
from standfast.xids import Action, entry

BY_XID = {int(found[1]): fault for fault in GPU_FAULTS if (found := re.match(r"Xid (\d+)", fault.name))}
OFF_THE_BUS = BY_XID[79]


def finding(verdict: Verdict, action: Action = Action.IGNORE) -> NodeFinding:
    return NodeFinding("i-1", verdict, f"{action}: why", action)


@pytest.mark.parametrize("code", [code for code in BY_XID if code != 154])
def test_what_is_wanted_of_an_xid_is_the_catalogues_action(code: int) -> None:
    known = entry(code)
    assert known is not None
    assert BY_XID[code].wanted is known.action


def test_every_fault_that_is_asked_for_is_there_under_a_name_of_its_own() -> None:
    assert set(BY_XID) == {79, 48, 63, 94, 119, 154}
    names = [fault.name for fault in (*GPU_FAULTS, *FRAGILE)]
    assert len(GPU_FAULTS) == 10
    assert len(set(names)) == len(names)


def test_no_fragile_node_is_to_be_restarted() -> None:
    assert {fault.wanted for fault in FRAGILE} == {Action.DRAIN}


@pytest.mark.parametrize(
    ("found", "wanted", "settled"),
    [
        (None, Action.DRAIN, False),
        (finding(Verdict.HEALTHY), Action.DRAIN, False),
        (finding(Verdict.DEGRADED, Action.WATCH), Action.DRAIN, False),
        (finding(Verdict.DEGRADED, Action.WATCH), Action.WATCH, True),
        (finding(Verdict.DEGRADED, Action.DRAIN), Action.DRAIN, True),
        (finding(Verdict.UNHEALTHY, Action.REBOOT), Action.DRAIN, True),
        (finding(Verdict.HEALTHY), Action.IGNORE, False),
    ],
    ids=str,
)
def test_a_finding_is_settled_when_it_calls_for_more_than_a_look_or_a_look_is_wanted(
    found: NodeFinding | None, wanted: Action, settled: bool
) -> None:
    assert is_settled(found, wanted) is settled


def test_a_node_that_is_still_found_well_has_a_fault_that_was_missed() -> None:
    for seen in (None, finding(Verdict.HEALTHY)):
        missed = row(OFF_THE_BUS, seen, "200", 30.0)
        assert (missed.found, missed.plain_health) == (False, "200")
        assert complaints([missed], []) == [f"{OFF_THE_BUS.name}: not found"]


def test_a_fault_with_another_action_or_verdict_is_found_and_wrong() -> None:
    other = row(OFF_THE_BUS, finding(Verdict.DEGRADED, Action.DRAIN), "200", 5.0)
    assert complaints([other], []) == [f"{OFF_THE_BUS.name}: found to call for drain, not for reboot"]
    assert wrong_verdicts([OFF_THE_BUS], [other]) == [f"{OFF_THE_BUS.name}: the node is degraded, not unhealthy"]
    assert figures([other], [])["wrong_action"] == 1


def test_a_fault_with_its_action_and_verdict_is_right() -> None:
    right = row(OFF_THE_BUS, finding(Verdict.UNHEALTHY, Action.REBOOT), "200", 5.0)
    assert complaints([right], []) == wrong_verdicts([OFF_THE_BUS], [right]) == []
    assert figures([right], [])["seconds_to_verdict"] == {OFF_THE_BUS.name: 5.0}


def test_a_mend_is_a_reboot_where_one_is_wanted() -> None:
    class Told:
        def __init__(self) -> None:
            self.did: list[str] = []

        def reboot(self) -> None:
            self.did.append("reboot")

        def clear(self) -> None:
            self.did.append("clear")

    node = Told()
    for wanted in (Action.REBOOT, Action.REPLACE):
        NodeFault("x", lambda _: None, Verdict.UNHEALTHY, wanted).mend(node)  # type: ignore[arg-type]  # stands for it
    assert node.did == ["reboot", "clear"]
