"""Drift: what a hand changed is found and told, and repaired where the configuration and the switch let it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import config_drift, config_versions
from standfast.announcements import Urgency
from standfast.config_adoption import Standing, Synced, pointer_text
from standfast.config_drift import OUTCOME_NONE, SETTLE_SECONDS, Action, Evidence, Where, decide
from standfast.config_versions import ConfigVersion
from tests.builders import NOW, SCOPE, document, fleet

TEXT = config_versions.canonical_text(document())
V7 = ConfigVersion(7, config_versions.sha256(TEXT))
SYNCED = Synced(V7, 5, fleet().digest(), "somebody", NOW)
STANDING = Standing(3, fleet().canonical(), fleet().digest(), SYNCED)
LATER = fleet(failover={"drain_seconds": 60})
SETTLED = NOW + SETTLE_SECONDS
SWITCH = "the switch says off for the fleet (a test)"


def evidence(**changes: Any) -> Evidence:
    """A Region whose configuration is as it was synced."""
    return replace(Evidence(STANDING, pointer_text(V7), TEXT, fleet().model_dump(mode="json")), **changes)


def applied(text: str, sha256: str | None = None) -> Standing:
    return replace(STANDING, text=text, sha256=sha256 or config_versions.sha256(text))


HAND_EDITS = {
    "parameter": (evidence(pointer='{"version": 6}'), Where.PARAMETER, 'the parameter says {"version": 6}'),
    "no parameter": (evidence(pointer=None), Where.PARAMETER, "the parameter is gone"),
    "object": (evidence(kept=TEXT + " "), Where.OBJECT, "the text of the version was changed in the bucket"),
    "no object": (evidence(kept=None), Where.OBJECT, "the text of the version is gone from the bucket"),
    "applied": (
        evidence(standing=applied(LATER.canonical())),
        Where.TABLE,
        "in force is otherwise - failover.drain_seconds: 30 becomes 60",
    ),
    "item": (
        evidence(standing=applied(LATER.canonical(), fleet().digest())),
        Where.TABLE,
        "it was edited in the table itself: its hash does not fit its text",
    ),
    "nonsense": (evidence(standing=applied("nonsense")), Where.TABLE, "what is in force cannot be read"),
    "hash": (
        evidence(standing=applied(fleet().canonical(), "0" * 64)),
        Where.TABLE,
        "it was edited in the table itself: its hash does not fit its text",
    ),
    "nothing to compare with": (
        evidence(standing=applied(LATER.canonical()), meant=None),
        Where.TABLE,
        "in force is another text than the version's",
    ),
}


def test_what_is_as_it_was_synced_is_no_drift() -> None:
    found = decide(evidence(), "repair", "", SETTLED)
    assert (found.action, found.reason) == (Action.NONE, f"{V7} is in force as it was synced")
    assert found.outcome == OUTCOME_NONE


def test_a_region_to_which_nothing_was_synced_has_no_drift() -> None:
    found = decide(evidence(standing=replace(STANDING, synced=None)), "repair", "", SETTLED)
    assert found.action is Action.NONE
    assert "applied by hand" in found.reason


@pytest.mark.parametrize("edit", HAND_EDITS)
def test_every_hand_edit_is_found_and_left_alone_where_the_configuration_says_tell(edit: str) -> None:
    given_evidence, where, words = HAND_EDITS[edit]
    found = decide(given_evidence, "tell", "", SETTLED)
    assert (found.action, found.reason) == (Action.TELL, "configuration.drift says tell, so it is left as it is")
    assert found.found(where)
    assert any(each.where is where and each.text.startswith(words) for each in found.findings)


@pytest.mark.parametrize("edit", HAND_EDITS)
def test_every_hand_edit_is_put_back_where_it_says_repair(edit: str) -> None:
    found = decide(HAND_EDITS[edit][0], "repair", "", SETTLED)
    assert (found.action, found.reason) == (Action.REPAIR, f"configuration.drift says repair: {V7} is put back")


@pytest.mark.parametrize("edit", HAND_EDITS)
def test_with_the_switch_not_at_run_a_hand_edit_is_told_and_not_put_back(edit: str) -> None:
    found = decide(HAND_EDITS[edit][0], "repair", SWITCH, SETTLED)
    assert (found.action, found.reason) == (Action.TELL, f"it is not repaired: {SWITCH}")


def test_a_sync_that_has_written_the_table_only_is_no_drift_yet() -> None:
    behind = evidence(pointer=pointer_text(ConfigVersion(6, "6" * 64)))
    assert decide(behind, "repair", "", SETTLED - 1).action is Action.NONE
    assert decide(behind, "repair", "", SETTLED).action is Action.REPAIR


def test_what_was_applied_by_hand_right_after_a_sync_is_drift_at_once() -> None:
    found = decide(HAND_EDITS["applied"][0], "repair", "", NOW)
    assert found.action is Action.REPAIR


def test_two_edits_are_both_told() -> None:
    both = evidence(pointer=None, standing=applied(LATER.canonical()))
    assert {each.where for each in decide(both, "tell", "", SETTLED).findings} == {Where.PARAMETER, Where.TABLE}


@given(st.sampled_from(sorted(HAND_EDITS)), st.sampled_from(sorted(HAND_EDITS)), st.sampled_from(["tell", "repair"]))
def test_another_drift_has_another_outcome_and_the_same_one_the_same(one: str, other: str, policy: Any) -> None:
    first, second = (decide(HAND_EDITS[each][0], policy, "", SETTLED) for each in (one, other))
    said = [[each.text for each in drift.findings] for drift in (first, second)]
    assert (first.outcome == second.outcome) is (said[0] == said[1])
    assert first.outcome != OUTCOME_NONE


def test_one_repair_begins_in_five_minutes_and_its_name_is_one_that_step_functions_takes() -> None:
    drift = decide(HAND_EDITS["applied"][0], "repair", "", SETTLED)
    name = config_drift.repair_name(drift, STANDING, NOW)
    assert name == config_drift.repair_name(drift, STANDING, NOW + 60)
    assert name != config_drift.repair_name(drift, STANDING, NOW + 300)
    assert len(name) <= 80
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_same_edit_once_more_is_repaired_at_once() -> None:
    drift = decide(HAND_EDITS["applied"][0], "repair", "", SETTLED)
    again = replace(STANDING, revision=STANDING.revision + 2)
    assert config_drift.repair_name(drift, STANDING, NOW) != config_drift.repair_name(drift, again, NOW)


def test_that_a_repair_begins_is_no_news_to_who_was_told_that_it_failed() -> None:
    drift = decide(HAND_EDITS["applied"][0], "repair", "", SETTLED)
    failed = config_drift.not_repaired(drift, "no model")
    assert drift.is_told_by(failed.outcome)
    assert not failed.is_told_by(drift.outcome)
    assert not drift.is_told_by(decide(HAND_EDITS["parameter"][0], "repair", "", SETTLED).outcome)
    assert "tried again every 5 minutes: no model" in failed.reason


# What a person reads


def test_drift_is_told_by_day_with_what_changed_what_is_done_and_both_ways_out() -> None:
    drift = decide(HAND_EDITS["applied"][0], "tell", "", SETTLED)
    said = config_drift.announcement(SCOPE, drift, HAND_EDITS["applied"][0])
    assert (said.urgency, said.detail_type) == (Urgency.NOTICE, "ConfigDrifted")
    assert said.text.splitlines() == [
        f"The configuration of {SCOPE} is not {V7}, which was synced there:",
        "- in force is otherwise - failover.drain_seconds: 30 becomes 60",
        "What is done: configuration.drift says tell, so it is left as it is.",
        'To put it back: start sync-config with {"version": 7, "reason": …, "by": …}.',
        "To keep it: sync a document that says the same. Until then the other Regions do not have it.",
    ]


@pytest.mark.parametrize("edit", ["item", "nonsense", "hash"])
def test_a_configuration_that_nothing_can_read_wakes_somebody(edit: str) -> None:
    """The watch reads it each second, and stands still."""
    drift = decide(HAND_EDITS[edit][0], "tell", "", SETTLED)
    assert config_drift.announcement(SCOPE, drift, HAND_EDITS[edit][0]).urgency is Urgency.PAGE


def test_the_end_of_drift_is_told() -> None:
    said = config_drift.announcement(SCOPE, decide(evidence(), "tell", "", SETTLED), evidence())
    assert (said.urgency, said.detail_type) == (Urgency.NOTICE, "ConfigDriftEnded")
    assert said.text == f"The configuration of {SCOPE} is as it was synced again: {V7} is in force as it was synced."
