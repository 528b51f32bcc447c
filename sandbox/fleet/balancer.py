"""How an Application Load Balancer chooses: rules, weights, target health. Pure: no sockets, no clock.

Source of the rules of health: "Health checks for Application Load Balancer target groups" in AWS's user guide. A newly
registered target is healthy after *one* passed check; the healthy threshold is for the way back from unhealthy. A group
with no healthy target sends requests to all its targets (fails open). A weight is drawn before health is looked at: the
share of a failed group does not move to another.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup
    from sandbox.fleet.wire import Head

HealthState = Literal["initial", "healthy", "unhealthy"]
TargetKey = tuple[str, str, int]  # target group ARN, target id, port
NO_RULE: Final = 404
NO_TARGET: Final = 503


@dataclass(slots=True)
class TargetHealth:
    """What the checks of one target have come to."""

    group: TargetGroup
    target: Target
    state: HealthState = "initial"
    passed: int = field(default=0, init=False)  # in a row
    failed: int = field(default=0, init=False)

    def record(self, *, passed: bool) -> None:
        """Takes one check's result."""
        self.passed = self.passed + 1 if passed else 0
        self.failed = 0 if passed else self.failed + 1
        enough = 1 if self.state == "initial" else self.group.healthy_threshold
        if self.passed >= enough:
            self.state = "healthy"
        elif self.failed >= self.group.unhealthy_threshold:
            self.state = "unhealthy"


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a request goes: to a target or to a Lambda function. Neither: the load balancer itself answers `status`."""

    group: str | None
    target: Target | None
    status: int = 200
    function: str | None = None


class Balancer:
    """Chooses a target for each request. `health` is read at every choice; a target that is not in it is initial."""

    def __init__(self, routing: Routing, health: Mapping[TargetKey, TargetHealth], *, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._health = health
        self._turns: dict[str, int] = {}
        self._routing = routing
        self._rules = sorted(routing.rules, key=_priority)

    def apply(self, routing: Routing) -> None:
        """Later choices follow this routing. Turns and the random sequence go on."""
        self._routing = routing
        self._rules = sorted(routing.rules, key=_priority)

    def choose(self, request: Head) -> Choice:
        """The first rule by priority that fits, a group by weight, a target by turns."""
        path = request.start[1].partition("?")[0]
        rule = next((rule for rule in self._rules if _fits(rule, request, path)), None)
        if rule is None:
            return Choice(None, None, NO_RULE)
        weights = {arn: weight for arn, weight in rule.weights.items() if weight > 0}
        if not weights:
            return Choice(None, None, NO_TARGET)
        (arn,) = self._random.choices(list(weights), list(weights.values()))
        group = self._routing.target_groups.get(arn)
        if group is not None and group.function is not None:
            return Choice(arn, None, function=group.function)
        target = self._next_target(arn)
        return Choice(arn, target, 200 if target is not None else NO_TARGET)

    def _next_target(self, arn: str) -> Target | None:
        group = self._routing.target_groups.get(arn)
        if group is None or not group.targets:
            return None
        healthy = [target for target in group.targets if self._state(arn, target) == "healthy"]
        candidates = healthy or group.targets
        turn = self._turns.get(arn, 0)
        self._turns[arn] = turn + 1
        return candidates[turn % len(candidates)]

    def _state(self, arn: str, target: Target) -> HealthState:
        health = self._health.get((arn, target.target_id, target.port))
        return "initial" if health is None else health.state


def _priority(rule: Rule) -> int:
    return rule.priority


def _fits(rule: Rule, request: Head, path: str) -> bool:
    if rule.header is not None:
        name, *values = rule.header
        value = request.get(name)
        # Header values compare without regard to case, paths with it: "Listener rule condition types" of the guide.
        if value is None or not any(_pattern(wanted.lower()).fullmatch(value.lower()) for wanted in values):
            return False
    return not rule.paths or any(_pattern(wanted).fullmatch(path) for wanted in rule.paths)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` stands for any characters, `?` for one."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."))
