"""Auto Scaling replaces what it is told to terminate, after a while, and says so.

moto launches the replacement within the call and registers all instances of the group anew, those too that somebody has
deregistered. Here the new instance comes `instance_launch` seconds later and is the only one that is registered, as in
"Attach a load balancer to your Auto Scaling group" (Auto Scaling user guide).
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, TerminateInstanceActivity, autoscaling_backends
from moto.core import DEFAULT_ACCOUNT_ID

from sandbox.aws.latency import INSTANCE_LAUNCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.aws.latency import LatencyInjector

logger: Final = logging.getLogger("sandbox.auto_scaling")


class AutoScaling:
    """The groups of all Regions. Safe to use from several threads."""

    def __init__(self, latency: LatencyInjector) -> None:
        self._latency = latency
        self._listeners: dict[str, Callable[[], object]] = {}
        self._out_of: set[str] = set()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def on_change(self, region: str, changed: Callable[[], object]) -> None:
        """Calls `changed` after each instance that went or came in the Region, on a thread of this module."""
        self._listeners[region] = changed

    def run_out(self, region: str) -> None:
        """No instance can be had in the Region any more (InsufficientInstanceCapacity)."""
        self._out_of.add(region)

    def close(self) -> None:
        """Launches nothing more. May be called again."""
        self._closed.set()
        for thread in self._threads:
            thread.join(10.0)

    def install(self) -> Callable[[], None]:
        """Put it in moto's place. The result takes it back."""
        original = AutoScalingBackend.terminate_instance

        def terminate_instance(backend: Any, instance_id: str, should_decrement: bool) -> Any:
            return self._terminate(backend, instance_id, should_decrement=should_decrement)

        AutoScalingBackend.terminate_instance = terminate_instance

        def take_back() -> None:
            AutoScalingBackend.terminate_instance = original
            self.close()

        return take_back

    def _terminate(self, backend: Any, instance_id: str, *, should_decrement: bool) -> Any:
        found: list[tuple[Any, Any]] = [
            (group, state)
            for group in backend.autoscaling_groups.values()
            for state in group.instance_states
            if state.instance.id == instance_id
        ]
        if not found:
            words = f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
            raise ValidationError(words)
        group, state = found[0]
        group.instance_states = [each for each in group.instance_states if each is not state]
        if should_decrement:
            group.desired_capacity -= 1
        thread = threading.Thread(
            target=self._replace, args=(backend, group, instance_id), kwargs={"launch": not should_decrement},
            name="Auto Scaling", daemon=True,
        )  # fmt: skip
        self._threads.append(thread)
        thread.start()
        return TerminateInstanceActivity(state.instance, group.desired_capacity)

    def _replace(self, backend: Any, group: Any, instance_id: str, *, launch: bool) -> None:
        """Deregister and terminate, then launch: as with a termination policy, capacity goes before it comes."""
        try:
            backend.elbv2_backend.notify_terminate_instances([instance_id])
            backend.ec2_backend.terminate_instances([instance_id])
            self._tell(backend.region_name)
            if not launch or backend.region_name in self._out_of:
                return
            self._latency.sleep(INSTANCE_LAUNCH, caller="", detail=group.name, region=backend.region_name)
            if self._closed.is_set():
                return
            known = {state.instance.id for state in group.instance_states}
            group.replace_autoscaling_group_instances(1, group.get_propagated_tags())
            new = [state.instance.id for state in group.instance_states if state.instance.id not in known]
            self._register(group, new)
            self._tell(backend.region_name)
        except Exception:
            logger.exception("the replacement of %s failed", instance_id)
            raise

    def _register(self, group: Any, instance_ids: Iterable[str]) -> None:
        for arn in group.target_group_arns or ():
            elb = group.autoscaling_backend.elbv2_backend
            port = elb.target_groups[arn].port
            elb.register_targets(arn, [{"Id": name, "Port": port} for name in instance_ids])

    def _tell(self, region: str) -> None:
        if region in self._listeners and not self._closed.is_set():
            self._listeners[region]()


def group_of(region: str, instance_id: str) -> Any:
    """The group that an instance belongs to, None where it is in none."""
    for group in autoscaling_backends[DEFAULT_ACCOUNT_ID][region].autoscaling_groups.values():
        if any(state.instance.id == instance_id for state in group.instance_states):
            return group
    return None
