"""The brake: whose switch holds, and what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.brake import (
    FLEET,
    NEVER_SET,
    Brake,
    Switch,
    check_still_runs,
    cluster_scope,
    in_words,
    region_scope,
    scope_of,
)
from standfast.errors import AutomationOffError, InvalidInputError, UnknownClusterError
from standfast.fleet import Automation
from tests.builders import ACTIVE, SCOPE, STANDBY, brake, fleet, switch

ORDER = (Automation.OFF, Automation.OBSERVE, Automation.RUN)


def test_a_new_fleet_observes() -> None:
    assert Brake().of(SCOPE, ACTIVE) is NEVER_SET
    assert Brake().why_not(SCOPE) == (
        "the switch says observe for the fleet (nobody has set the switch yet; a new fleet observes)"
    )


def test_a_fleet_that_runs_runs_where_nobody_set_another_switch() -> None:
    assert brake().why_not(SCOPE, ACTIVE, STANDBY) == ""


def test_a_clusters_switch_holds_for_that_cluster_alone() -> None:
    held = brake(use1_b=Automation.OFF)
    assert held.why_not(SCOPE, ACTIVE) == ""
    assert held.why_not(SCOPE, ACTIVE, STANDBY).startswith("the switch says off for cluster use1-b (")
    assert set(held.held([ACTIVE, STANDBY])) == {STANDBY}


def test_a_regions_switch_holds_for_all_of_its_clusters() -> None:
    paused = Switch(Automation.OBSERVE, "a migration", "bo", 1.0, region_scope(SCOPE))
    held = Brake(switch(), {paused.scope: paused})
    assert held.of(SCOPE, ACTIVE) is paused
    assert held.of("us-west-2").automation is Automation.RUN
    assert str(paused) == f"observe for region {SCOPE} (a migration; set by bo)"


switches = st.sampled_from(list(Automation))


@given(whole=switches, region=st.none() | switches, cluster=st.none() | switches)
def test_the_strictest_holds(whole: Automation, region: Automation | None, cluster: Automation | None) -> None:
    others = {
        scope: Switch(automation, "why", "who", 1.0, scope)
        for scope, automation in ((region_scope(SCOPE), region), (cluster_scope(ACTIVE), cluster))
        if automation is not None
    }
    held = Brake(Switch(whole, "why", "who", 1.0), others).of(SCOPE, ACTIVE)
    assert held.automation is next(each for each in ORDER if each in (whole, region, cluster))


def test_a_brake_that_is_pulled_meanwhile_stops_the_change() -> None:
    check_still_runs(brake(), SCOPE, ACTIVE)
    with pytest.raises(AutomationOffError, match="it was set after this execution had begun"):
        check_still_runs(brake(Automation.OFF), SCOPE, ACTIVE)


def test_a_person_names_the_fleet_a_region_or_a_cluster() -> None:
    assert scope_of(fleet(), None, None) == FLEET
    assert in_words(scope_of(fleet(), SCOPE, None)) == f"region {SCOPE}"
    assert in_words(scope_of(fleet(), None, ACTIVE)) == f"cluster {ACTIVE}"


def test_what_is_not_there_has_no_switch() -> None:
    with pytest.raises(UnknownClusterError, match="cluster 'use1-x' is unknown; the fleet has use1-a, use1-b"):
        scope_of(fleet(), None, "use1-x")
    with pytest.raises(InvalidInputError, match="'eu-north-1' is not in the FleetConfig"):
        scope_of(fleet(), "eu-north-1", None)
    with pytest.raises(InvalidInputError, match="name one of them"):
        scope_of(fleet(), SCOPE, ACTIVE)
