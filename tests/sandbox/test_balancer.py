"""The front door chooses as an Application Load Balancer does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sandbox.fleet.balancer import Balancer, TargetHealth, TargetKey
from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup
from sandbox.fleet.wire import Head


def group(name: str, count: int = 2) -> TargetGroup:
    targets = tuple(Target(f"{name}-{number}", f"127.0.0.{number}", 8000) for number in range(count))
    return TargetGroup(name, targets, "/health", 5, 2, healthy_threshold=3, unhealthy_threshold=2)


def request(path: str = "/v1/completions", **headers: str) -> Head:
    return Head(("POST", path, "HTTP/1.1"), tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def routing(weights: dict[str, int], *groups: TargetGroup, more: tuple[Rule, ...] = ()) -> Routing:
    return Routing((Rule("service", 100, None, (), weights), *more), {group.arn: group for group in groups})


def health_of(*groups: TargetGroup) -> dict[TargetKey, TargetHealth]:
    return {
        (group.arn, target.target_id, target.port): TargetHealth(group, target, "healthy")
        for group in groups
        for target in group.targets
    }


def chosen(balancer: Balancer, count: int, head: Head | None = None) -> Counter[str]:
    choices = [balancer.choose(head or request()) for _ in range(count)]
    return Counter(choice.target.target_id if choice.target is not None else str(choice.status) for choice in choices)


def test_the_rule_with_the_smallest_priority_that_fits_wins() -> None:
    probe = Rule("probe", 10, ("x-standfast-probe", "green"), (), {"green": 1})
    balancer = Balancer(routing({"blue": 100}, group("blue", 1), group("green", 1), more=(probe,)), {})
    assert chosen(balancer, 1, request(X_Standfast_Probe="GREEN")) == {"green-0": 1}
    assert chosen(balancer, 1, request(x_standfast_probe="red")) == {"blue-0": 1}
    assert chosen(balancer, 1) == {"blue-0": 1}


def test_one_of_a_header_s_values_is_enough() -> None:
    low = Rule("low", 10, ("x-priority", "batch", "low"), (), {"green": 1})
    balancer = Balancer(routing({"blue": 100}, group("blue", 1), group("green", 1), more=(low,)), {})
    found = [chosen(balancer, 1, request(x_priority=value)).popitem()[0] for value in ("batch", "Low", "high")]
    assert found == ["green-0", "green-0", "blue-0"]


@pytest.mark.parametrize(
    ("path", "fits"),
    [("/v1/completions", True), ("/v1/models?x=/", True), ("/v1", False), ("/V1/models", False), ("/health", False)],
)
def test_paths_fit_by_pattern_without_their_query(path: str, fits: bool) -> None:
    rule = Rule("service", 1, None, ("/v1/*", "/metric?"), {"blue": 1})
    balancer = Balancer(Routing((rule,), {"blue": group("blue", 1)}), {})
    assert chosen(balancer, 1, request(path)) == {"blue-0" if fits else "404": 1}


def test_weights_share_the_requests_and_the_same_seed_gives_the_same_choices() -> None:
    blue, green = group("blue", 1), group("green", 1)
    one, two = (Balancer(routing({"blue": 90, "green": 10}, blue, green), {}, seed=7) for _ in range(2))
    first = [one.choose(request()).group for _ in range(1000)]
    assert first == [two.choose(request()).group for _ in range(1000)]
    assert 60 < first.count("green") < 140


def test_healthy_targets_take_turns_and_others_get_nothing() -> None:
    blue = group("blue", 3)
    health = health_of(blue)
    health["blue", "blue-1", 8000].state = "unhealthy"
    del health["blue", "blue-2", 8000]  # never checked yet
    assert chosen(Balancer(routing({"blue": 1}, blue), health), 4) == {"blue-0": 4}
    health["blue", "blue-1", 8000].state = "healthy"
    assert chosen(Balancer(routing({"blue": 1}, blue), health), 4) == {"blue-0": 2, "blue-1": 2}


def test_a_failed_group_keeps_its_share_and_fails_open_inside_itself() -> None:
    blue, green = group("blue"), group("green")
    health = health_of(blue, green)
    for target in blue.targets:
        health["blue", target.target_id, 8000].state = "unhealthy"
    assert chosen(Balancer(routing({"blue": 100, "green": 0}, blue, green), health), 4) == {"blue-0": 2, "blue-1": 2}


@pytest.mark.parametrize("weights", [{}, {"blue": 0, "green": 0}, {"empty": 1}, {"unknown": 1}])
def test_no_weight_or_no_target_is_answered_503(weights: dict[str, int]) -> None:
    balancer = Balancer(routing(weights, group("blue"), group("green"), group("empty", 0)), {})
    assert chosen(balancer, 1) == {"503": 1}


def test_a_new_routing_takes_effect_at_the_next_choice() -> None:
    blue, green = group("blue", 1), group("green", 1)
    balancer = Balancer(routing({"blue": 100, "green": 0}, blue, green), {})
    assert chosen(balancer, 3) == {"blue-0": 3}
    balancer.apply(routing({"blue": 0, "green": 100}, blue, green))
    assert chosen(balancer, 3) == {"green-0": 3}


def test_one_passed_check_makes_a_new_target_healthy_and_thresholds_hold_afterwards() -> None:
    blue = group("blue", 1)
    health = TargetHealth(blue, blue.targets[0])
    states = []
    for passed in (False, True, False, False, True, True, True, False, True):
        health.record(passed=passed)
        states.append(health.state)
    assert states == ["initial", "healthy", "healthy", "unhealthy", "unhealthy", "unhealthy", *["healthy"] * 3]


def test_a_new_target_that_fails_its_checks_becomes_unhealthy() -> None:
    blue = replace(group("blue", 1), unhealthy_threshold=2)
    health = TargetHealth(blue, blue.targets[0])
    health.record(passed=False)
    health.record(passed=False)
    assert health.state == "unhealthy"
