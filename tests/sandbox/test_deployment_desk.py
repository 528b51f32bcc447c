"""What is called leaked after a deployment: what is new and no live cluster's, and instances that are none's."""

from __future__ import annotations

from sandbox.deployment_desk import Resource, drains, leaked
from sandbox.region import RuleChange

GROUP = "Auto Scaling group"
BLUE, STANDBY = Resource(GROUP, "blue", "a"), Resource(GROUP, "standby", "b")
BEFORE = {BLUE, STANDBY, Resource("instance", "i-1", "a"), Resource("instance", "i-2", "b")}


def test_a_deployment_that_was_undone_leaves_everything_as_it_was() -> None:
    green = Resource("rule", "probe", "a-g5")
    assert leaked(BEFORE, BEFORE, {"a", "b"}) == []
    assert leaked(BEFORE, {*BEFORE, green}, {"a", "b"}) == [green]


def test_blue_may_keep_its_group_once_green_stands_in_its_place_and_none_of_its_nodes() -> None:
    green = {Resource(GROUP, "green", "a-g5"), Resource("instance", "i-3", "a-g5")}
    after = {BLUE, STANDBY, Resource("instance", "i-2", "b"), *green}
    assert leaked(BEFORE, after, {"a-g5", "b"}) == []
    stays = Resource("instance", "i-1", "a")
    assert leaked(BEFORE, {*after, stays}, {"a-g5", "b"}) == [stays]


def test_a_drain_is_where_a_cluster_loses_the_last_of_its_traffic() -> None:
    changes = [
        RuleChange(1.0, {"blue": 80, "green": 20}),
        RuleChange(2.0, {"blue": 0, "green": 100}),
        RuleChange(3.0, {"green": 100}),
        RuleChange(4.0, {"green": 80, "next": 20}),
        RuleChange(5.0, {"green": 100}),
    ]
    assert drains(changes) == [2.0, 5.0]
