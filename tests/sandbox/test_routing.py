"""Routing travels between processes as JSON and comes back equal."""

from __future__ import annotations

import pytest

from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup

GROUP = TargetGroup("arn:blue", (Target("i-1", "127.11.1.4", 8000),), "/health", 5.0, 2.0, 2, 3)


@pytest.mark.parametrize("header", [None, ("x-standfast-probe", "blue"), ("x-priority", "batch", "low")])
def test_routing_survives_json(header: tuple[str, ...] | None) -> None:
    routing = Routing((Rule("arn:rule", 10, header, ("/v1/*",), {"arn:blue": 100}),), {"arn:blue": GROUP})
    assert Routing.from_json(routing.to_json()) == routing
    assert "\n" not in routing.to_json()


def test_an_unknown_field_is_refused() -> None:
    text = Routing(target_groups={"arn:blue": GROUP}).to_json().replace('"arn":', '"colour":1,"arn":')
    with pytest.raises(TypeError, match="colour"):
        Routing.from_json(text)
