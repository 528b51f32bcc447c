"""What a load balancer really does with its rules: after a delay, and with the health that it finds itself.

moto's ELBv2 keeps rules and target groups, but routes nothing and calls every target healthy. This seam

- tells whoever listens the whole routing of a Region after each change, one propagation delay later, in the order of
  the changes (`on_change`): the front door is told so;
- answers DescribeTargetHealth from what the front door has found (`set_health_source`);
- takes the deregistration of a target that is not registered for done, as AWS does (ELB API reference,
  DeregisterTargets: "If the specified target does not exist, the action returns successfully");
- refuses weights that AWS refuses, and a Lambda function as a target that Elastic Load Balancing may not invoke.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Final

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from sandbox.aws import function_targets
from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.latency import LatencyInjector

    HealthSource = Callable[[], Mapping[tuple[str, str, int], str]]

WEIGHTS: Final = range(1000)  # ELB API reference, TargetGroupTuple: "The range is 0 to 999"
MOST_TARGET_GROUPS: Final = 5  # ELB quotas: target groups of one forward action
_DEFAULT_PRIORITY: Final = 50_001  # a rule's own priority is at most 50,000; the default rule comes last

# Every method of moto's backend that changes what the load balancer does with a request.
_MUTATIONS: Final = (
    "create_rule", "modify_rule", "delete_rule", "set_rule_priorities", "create_listener", "modify_listener",
    "delete_listener", "delete_load_balancer", "create_target_group", "modify_target_group", "delete_target_group",
    "register_targets", "deregister_targets", "notify_terminate_instances",
)  # fmt: skip

# DescribeTargetHealth's reason and words for each state that the front door knows.
_REASONS: Final = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "healthy": (None, None),
}


class UnsupportedRuleError(ValueError):
    """A rule that the front door could not obey: the sandbox refuses it where AWS would take it."""


class _Seam:
    """The state behind the wrapped methods: who listens, what is on its way, who knows the targets' health."""

    def __init__(self) -> None:
        self.injector: LatencyInjector | None = None
        self.health: dict[str, HealthSource] = {}
        self._listeners: dict[str, list[Callable[[Routing], None]]] = {}
        self._latest: dict[str, Routing] = {}
        self._under_way: dict[str, deque[tuple[float, Routing]]] = {}
        self._condition = Condition()
        self._thread: Thread | None = None

    def listen(self, region: str, callback: Callable[[Routing], None]) -> Callable[[], None]:
        with self._condition:
            self._listeners.setdefault(region, []).append(callback)

        def stop() -> None:
            with self._condition:
                self._listeners[region].remove(callback)

        return stop

    def changed(self, region: str) -> None:
        """Takes the routing as it is now and sends it on its way, unless nothing has changed."""
        with self._condition:
            routing = snapshot(region)
            if routing == self._latest.get(region):
                return
            self._latest[region] = routing
            if not self._listeners.get(region):
                return
            due = time.monotonic() + (self.injector.propagation(region) if self.injector else 0.0)
            under_way = self._under_way.setdefault(region, deque())
            if under_way:  # a later write never arrives before an earlier one
                due = max(due, under_way[-1][0])
            under_way.append((due, routing))
            if self._thread is None:
                self._thread = Thread(target=self._deliver, name="ELB propagation", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def reset(self) -> None:
        with self._condition:
            self.health.clear()
            self._listeners.clear()
            self._latest.clear()
            self._under_way.clear()

    def _deliver(self) -> None:
        while True:
            with self._condition:
                while (due := self._earliest()) is None or (wait := due[0] - time.monotonic()) > 0:
                    self._condition.wait(None if due is None else wait)
                region = due[1]
                _, routing = self._under_way[region].popleft()
                listeners = tuple(self._listeners.get(region, ()))
            for callback in listeners:
                callback(routing)

    def _earliest(self) -> tuple[float, str] | None:
        """When the next routing arrives, and in which Region."""
        first = [(under_way[0][0], region) for region, under_way in self._under_way.items() if under_way]
        return min(first, default=None)


_seam: Final = _Seam()


def install(*, injector: LatencyInjector | None = None) -> None:
    """Wraps moto's ELBv2. `injector` draws the propagation delays; None means at once. May be called again."""
    _seam.injector = injector
    if hasattr(ELBv2Backend.modify_rule, "tells_of_changes"):
        return
    for name in _MUTATIONS:
        setattr(ELBv2Backend, name, _telling(getattr(ELBv2Backend, name)))
    ELBv2Backend._validate_actions = _validating(ELBv2Backend._validate_actions)
    FakeTargetGroup.health_for = _with_real_health(FakeTargetGroup.health_for)
    FakeTargetGroup.register = _permitted(FakeTargetGroup.register)
    FakeTargetGroup.deregister = _repeatable(FakeTargetGroup.deregister)


def reset() -> None:
    """Forgets listeners, health source and what is on its way. For the end of a sandbox."""
    _seam.reset()


def on_change(callback: Callable[[Routing], None], *, region: str = "us-east-1") -> Callable[[], None]:
    """Calls `callback` with each new routing of the Region, one propagation delay after the change, in order.

    It is called on a thread of this module and must not block for long. The result ends the calls.
    """
    return _seam.listen(region, callback)


def set_health_source(source: HealthSource, *, region: str = "us-east-1") -> None:
    """`source()` maps (target group ARN, target id, port) to initial, healthy or unhealthy; absent: initial."""
    _seam.health[region] = source


def snapshot(region: str) -> Routing:
    """The routing of all load balancers of the Region, as the API would describe it now: no delay.

    Raises UnsupportedRuleError for a condition that the front door does not know. Fixed answers are left out: what no
    rule forwards, the front door answers with 404.
    """
    backend = elbv2_backends[DEFAULT_ACCOUNT_ID][region]
    rules: list[Rule] = []
    for load_balancer in tuple(backend.load_balancers.values()):
        for listener in tuple(load_balancer.listeners.values()):
            rules.extend(rule for found in tuple(listener.rules.values()) if (rule := _rule(found)) is not None)
    groups = {arn: _target_group(group, region) for arn, group in tuple(backend.target_groups.items())}
    return Routing(rules=tuple(sorted(rules, key=lambda rule: rule.priority)), target_groups=groups)


def _rule(found: Any) -> Rule | None:
    weights = _weights(found.actions)
    if not weights:
        return None
    header: tuple[str, ...] | None = None
    paths: tuple[str, ...] = ()
    for condition in found.conditions:
        match condition["Field"]:
            case "path-pattern":
                paths = tuple(condition.get("Values") or condition["PathPatternConfig"]["Values"])
            case "http-header" if header is None:
                config = condition["HttpHeaderConfig"]
                header = (config["HttpHeaderName"], *config["Values"])
            case field:
                raise UnsupportedRuleError(f"The sandbox's front door cannot obey this {field} condition: {condition}")
    priority = _DEFAULT_PRIORITY if found.is_default else int(found.priority)
    return Rule(arn=found.arn, priority=priority, header=header, paths=paths, weights=weights)


def _weights(actions: Any) -> dict[str, int]:
    for action in actions:
        if action.type == "forward":
            if "ForwardConfig" in action.data:
                groups = action.data["ForwardConfig"]["TargetGroups"]
                return {group["TargetGroupArn"]: int(group["Weight"]) for group in groups}
            return {action.data["TargetGroupArn"]: 1}
    return {}


def _target_group(group: Any, region: str) -> TargetGroup:
    registered = tuple(group.targets.values())
    by_function = group.target_type == "lambda"
    return TargetGroup(
        arn=group.arn,
        targets=()
        if by_function
        else tuple(Target(target["Id"], _address(target["Id"], region), int(target["Port"])) for target in registered),
        health_path=group.health_check_path or "/",
        interval_seconds=float(group.health_check_interval_seconds),
        timeout_seconds=float(group.health_check_timeout_seconds),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        function=registered[0]["Id"] if by_function and registered else None,
    )


def _address(target_id: str, region: str) -> str:
    """An instance's private address; a target by address is its own."""
    if not target_id.startswith("i-"):
        return target_id
    instance = ec2_backends[DEFAULT_ACCOUNT_ID][region].get_instance_by_id(target_id)
    return str(instance.private_ip)


def _telling(method: Any) -> Any:
    @functools.wraps(method)
    def told(self: Any, *arguments: Any, **named: Any) -> Any:
        result = method(self, *arguments, **named)
        _seam.changed(self.region_name)
        return result

    told.tells_of_changes = True  # type: ignore[attr-defined]  # marks the wrapper, so that it is put on once
    return told


def _validating(method: Any) -> Any:
    @functools.wraps(method)
    def validated(self: Any, actions: Any) -> None:
        method(self, actions)
        for action in actions:
            groups = action.data.get("ForwardConfig", {}).get("TargetGroups", [])
            if len(groups) > MOST_TARGET_GROUPS:
                raise ELBClientError("TooManyTargetGroups", "An action can have at most 5 target groups")
            for group in groups:
                if int(group["Weight"]) not in WEIGHTS:
                    raise ELBClientError(
                        "ValidationError", f"Target group weight '{group['Weight']}' must be between 0 and 999"
                    )

    return validated


def _with_real_health(method: Any) -> Any:
    @functools.wraps(method)
    def health_for(self: Any, target: dict[str, Any], ec2_backend: Any) -> Any:
        if self.target_type == "lambda":
            words = "Health checks are not enabled for this target"
            return FakeHealthStatus(
                target["Id"], None, None, "unavailable", reason="Target.HealthCheckDisabled", description=words
            )
        found = method(self, target, ec2_backend)
        source = _seam.health.get(self.arn.split(":")[3])
        if source is None or found.status != "healthy":  # stopped, draining or unused: moto knows better
            return found
        state = source().get((self.arn, found.instance_id, int(found.port)), "initial")
        reason, description = _REASONS[state]
        return FakeHealthStatus(
            found.instance_id, found.port, found.health_check_port, state, reason=reason, description=description
        )

    return health_for


def _permitted(method: Any) -> Any:
    @functools.wraps(method)
    def register(self: Any, targets: list[dict[str, Any]]) -> None:
        if self.target_type == "lambda":
            for target in targets:
                function_targets.check_registration(self.arn, target["Id"])
        method(self, targets)

    return register


def _repeatable(method: Any) -> Any:
    @functools.wraps(method)
    def deregister(self: Any, targets: list[dict[str, Any]]) -> None:
        method(self, [target for target in targets if target["Id"] in self.targets])

    return deregister
