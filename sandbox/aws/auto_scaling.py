"""Auto Scaling replaces what it is told to terminate, after a while, and says so.

moto launches the replacement within the call and registers all instances of the group anew, those too that somebody has
deregistered. Here the new instance comes `instance_launch` seconds later and is the only one that is registered, as in
"Attach a load balancer to your Auto Scaling group" (Auto Scaling user guide). moto keeps no scaling activities: here
each launch is one, and one that is refused says why in AWS's own words ("EC2 instance launch failures", same guide).
"""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, TerminateInstanceActivity, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult

from sandbox.aws.latency import INSTANCE_LAUNCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.aws.latency import LatencyInjector

NO_CAPACITY: Final = (
    "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
    "g6.2xlarge capacity in the Availability Zone you requested. Our system will be working on provisioning additional "
    "capacity. Launching EC2 instance failed."
)
NO_QUOTA: Final = (
    "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the "
    "specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an "
    "adjustment to this limit. Launching EC2 instance failed."
)
logger: Final = logging.getLogger("sandbox.auto_scaling")


class AutoScaling:
    """The groups of all Regions. Safe to use from several threads."""

    def __init__(self, latency: LatencyInjector) -> None:
        self._latency = latency
        self._listeners: dict[str, Callable[[], object]] = {}
        self._out_of: dict[str, str] = {}
        self._activities: list[tuple[str, dict[str, Any]]] = []
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def on_change(self, region: str, changed: Callable[[], object]) -> None:
        """Calls `changed` after each instance that went or came in the Region, on a thread of this module."""
        self._listeners[region] = changed

    def run_out(self, region: str, said: str = NO_CAPACITY) -> None:
        """No instance can be had in the Region any more. `said` is what the activity of each launch says then."""
        self._out_of[region] = said

    def restock(self, region: str) -> None:
        """Instances can be had again, and each group that lacks some launches them."""
        if self._out_of.pop(region, None) is None:
            return
        backend = autoscaling_backends[DEFAULT_ACCOUNT_ID][region]
        for group in list(backend.autoscaling_groups.values()):
            missing = (group.desired_capacity or 0) - len(group.instance_states)
            if missing > 0:
                self._begin(self._launch, backend, group, missing)

    def close(self) -> None:
        """Launches nothing more. May be called again."""
        self._closed.set()
        for thread in self._threads:
            thread.join(10.0)

    def install(self) -> Callable[[], None]:
        """Put it in moto's place. The result takes it back."""
        original = AutoScalingBackend.terminate_instance
        describe = AutoScalingResponse.describe_scaling_activities

        def terminate_instance(backend: Any, instance_id: str, should_decrement: bool) -> Any:
            return self._terminate(backend, instance_id, should_decrement=should_decrement)

        def describe_scaling_activities(response: Any) -> Any:
            group = response._get_param("AutoScalingGroupName")
            found = [each for region, each in self._activities if region == response.region]
            wanted = [each for each in found if group in (None, each["AutoScalingGroupName"])]
            return ActionResult({"Activities": wanted[::-1][: int(response._get_param("MaxRecords") or 100)]})

        AutoScalingBackend.terminate_instance = terminate_instance
        AutoScalingResponse.describe_scaling_activities = describe_scaling_activities

        def take_back() -> None:
            AutoScalingBackend.terminate_instance = original
            AutoScalingResponse.describe_scaling_activities = describe
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
        self._begin(self._replace, backend, group, instance_id, not should_decrement)
        return TerminateInstanceActivity(state.instance, group.desired_capacity)

    def _begin(self, work: Callable[..., None], *about: Any) -> None:
        thread = threading.Thread(target=_logged, args=(work, *about), name="Auto Scaling", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _replace(self, backend: Any, group: Any, instance_id: str, launch: bool) -> None:
        """Deregister and terminate, then launch: as with a termination policy, capacity goes before it comes."""
        backend.elbv2_backend.notify_terminate_instances([instance_id])
        backend.ec2_backend.terminate_instances([instance_id])
        if launch and (refused := self._out_of.get(backend.region_name)):
            self._record(backend, group, "Failed", refused)
            launch = False
        self._tell(backend.region_name)
        if launch:
            self._launch(backend, group, 1)

    def _launch(self, backend: Any, group: Any, count: int) -> None:
        self._latency.sleep(INSTANCE_LAUNCH, caller="", detail=group.name, region=backend.region_name)
        if self._closed.is_set():
            return
        known = {state.instance.id for state in group.instance_states}
        group.replace_autoscaling_group_instances(count, group.get_propagated_tags())
        new = [state.instance.id for state in group.instance_states if state.instance.id not in known]
        self._register(group, new)
        self._record(backend, group, "Successful")
        self._tell(backend.region_name)

    def _record(self, backend: Any, group: Any, status: str, said: str = "") -> None:
        now, reason = datetime.now(UTC), f".  Status Reason: {said}" if said else ""
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": group.name,
            "Description": f"Launching a new EC2 instance{reason}",
            "Cause": "an instance was started in response to a difference between desired and actual capacity",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": status,
            "Progress": 100,
            **({"StatusMessage": said} if said else {}),
        }
        self._activities.append((backend.region_name, activity))

    def _register(self, group: Any, instance_ids: Iterable[str]) -> None:
        for arn in group.target_group_arns or ():
            elb = group.autoscaling_backend.elbv2_backend
            port = elb.target_groups[arn].port
            elb.register_targets(arn, [{"Id": name, "Port": port} for name in instance_ids])

    def _tell(self, region: str) -> None:
        if region in self._listeners and not self._closed.is_set():
            self._listeners[region]()


def _logged(work: Callable[..., None], *about: Any) -> None:
    """On a thread nobody else would see why it ended."""
    try:
        work(*about)
    except Exception:
        logger.exception("Auto Scaling's work failed")
        raise


def group_of(region: str, instance_id: str) -> Any:
    """The group that an instance belongs to, None where it is in none."""
    for group in autoscaling_backends[DEFAULT_ACCOUNT_ID][region].autoscaling_groups.values():
        if any(state.instance.id == instance_id for state in group.instance_states):
            return group
    return None
