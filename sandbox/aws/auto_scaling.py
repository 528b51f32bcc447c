"""Auto Scaling replaces what it is told to terminate, and launches what a group wants, after a while, and says so.

moto launches within the call and registers all instances of the group anew, those too that somebody has deregistered.
Here a new instance comes `instance_launch` seconds later and is the only one that is registered, as in "Attach a load
balancer to your Auto Scaling group" (Auto Scaling user guide). So it is for CreateAutoScalingGroup,
UpdateAutoScalingGroup and SetDesiredCapacity too; what a group does not want any more ends within the second, the
oldest first. A group that is deleted by force is there until its instances have gone. A stack that makes a group has
its instances at once (`stabilized`): CloudFormation waits for them, and nobody measures that. moto keeps no scaling
activities: here each launch is one, and one that is refused says why in AWS's own words ("EC2 instance launch
failures", same guide).
"""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import (
    AutoScalingBackend,
    FakeAutoScalingGroup,
    TerminateInstanceActivity,
    autoscaling_backends,
)
from moto.autoscaling.responses import AutoScalingResponse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, EmptyResult

from sandbox.aws.latency import INSTANCE_LAUNCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
_SIZED: Final = ("create_auto_scaling_group", "update_auto_scaling_group", "set_desired_capacity")
"""The calls that say how many instances a group wants."""


class _Call(threading.local):
    """What the call of this thread is. `sized`: it says how many are wanted; `at_once`: and they are there then."""

    sized = False
    at_once = False


_call: Final = _Call()


@contextmanager
def stabilized() -> Iterator[None]:
    """The calls of this thread return once their groups are as large as they want to be, as CloudFormation's do."""
    _call.at_once = True
    try:
        yield
    finally:
        _call.at_once = False


class AutoScaling:
    """The groups of all Regions. Safe to use from several threads."""

    def __init__(self, latency: LatencyInjector) -> None:
        self._latency = latency
        self._listeners: dict[str, Callable[[], object]] = {}
        self._out_of: dict[str, str] = {}
        self._activities: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._coming: Counter[str] = Counter()
        self._going: set[str] = set()
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
            self._adjust(backend, group)

    def close(self) -> None:
        """Launches nothing more. May be called again."""
        self._closed.set()
        for thread in self._threads:
            thread.join(10.0)

    def install(self) -> Callable[[], None]:
        """Put it in moto's place. The result takes it back."""
        kept = [
            (owner, name, getattr(owner, name))
            for owner, name in (
                (AutoScalingBackend, "terminate_instance"),
                (FakeAutoScalingGroup, "set_desired_capacity"),
                (AutoScalingResponse, "describe_scaling_activities"),
                (AutoScalingResponse, "delete_auto_scaling_group"),
                *((AutoScalingResponse, name) for name in _SIZED),
            )
        ]
        delete = AutoScalingResponse.delete_auto_scaling_group

        def terminate_instance(backend: Any, instance_id: str, should_decrement: bool) -> Any:
            return self._terminate(backend, instance_id, should_decrement=should_decrement)

        def describe_scaling_activities(response: Any) -> Any:
            group = response._get_param("AutoScalingGroupName")
            found = [each for region, each in self._activities if region == response.region]
            wanted = [each for each in found if group in (None, each["AutoScalingGroupName"])]
            return ActionResult({"Activities": wanted[::-1][: int(response._get_param("MaxRecords") or 100)]})

        def delete_auto_scaling_group(response: Any) -> Any:
            if _call.at_once:
                return delete(response)
            return self._delete(response, by_force=response._get_bool_param("ForceDelete", False))

        AutoScalingBackend.terminate_instance = terminate_instance
        AutoScalingResponse.describe_scaling_activities = describe_scaling_activities
        AutoScalingResponse.delete_auto_scaling_group = delete_auto_scaling_group
        FakeAutoScalingGroup.set_desired_capacity = _wanting(FakeAutoScalingGroup.set_desired_capacity)
        for name in _SIZED:
            setattr(AutoScalingResponse, name, self._sized(getattr(AutoScalingResponse, name)))

        def take_back() -> None:
            for owner, name, original in kept:
                setattr(owner, name, original)
            self.close()

        return take_back

    def _sized(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(method)
        def called(response: Any) -> Any:
            backend, name = response.autoscaling_backend, response._get_param("AutoScalingGroupName")
            if method.__name__ == "create_auto_scaling_group" and name in backend.autoscaling_groups:
                words = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
                raise AutoscalingClientError("AlreadyExists", words)
            if _call.at_once:
                return method(response)
            _call.sized = True
            try:
                answer = method(response)
            finally:
                _call.sized = False
            self._adjust(backend, backend.autoscaling_groups[name])
            return answer

        return called

    def _adjust(self, backend: Any, group: Any) -> None:
        """Launch what is missing beside what is on its way, or end what is too much."""
        with self._lock:
            wanted, there = group.desired_capacity or 0, list(group.instance_states)
            missing = wanted - len(there) - self._coming[group.name]
            goes = there[: max(0, len(there) - wanted)]
            group.instance_states = there[len(goes) :]
        if missing > 0 and not self._is_refused(backend, group):
            self._begin_launch(backend, group, missing)
        if goes:
            self._begin(self._end, backend, [state.instance.id for state in goes])

    def _delete(self, response: Any, *, by_force: bool) -> Any:
        backend, name = response.autoscaling_backend, response._get_param("AutoScalingGroupName")
        with self._lock:
            group = backend.autoscaling_groups.get(name)
            if group is None:
                words = f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"
                raise ValidationError(words)
            if name in self._going:
                return EmptyResult()
            if group.instance_states and not by_force:
                words = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance"
                raise AutoscalingClientError("ResourceInUse", f"{words} request(s) still in the group.")
            self._going.add(name)
            goes, group.instance_states = list(group.instance_states), []
            group.min_size = group.desired_capacity = 0
        self._begin(self._remove, backend, name, [state.instance.id for state in goes])
        return EmptyResult()

    def _remove(self, backend: Any, name: str, instance_ids: list[str]) -> None:
        self._end(backend, instance_ids)
        with self._lock:
            backend.autoscaling_groups.pop(name, None)
            self._going.discard(name)

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
        launch = launch and not self._is_refused(backend, group)
        self._end(backend, [instance_id])
        if launch:
            self._begin_launch(backend, group, 1)

    def _end(self, backend: Any, instance_ids: list[str]) -> None:
        if instance_ids:
            backend.elbv2_backend.notify_terminate_instances(instance_ids)
            backend.ec2_backend.terminate_instances(instance_ids)
        self._tell(backend.region_name)

    def _is_refused(self, backend: Any, group: Any) -> bool:
        """Whether no instance can be had, which is told as an activity."""
        refused = self._out_of.get(backend.region_name)
        if refused:
            self._record(backend, group, "Failed", refused)
        return bool(refused)

    def _begin_launch(self, backend: Any, group: Any, count: int) -> None:
        with self._lock:
            self._coming[group.name] += count
        self._begin(self._launch, backend, group, count)

    def _launch(self, backend: Any, group: Any, count: int) -> None:
        self._latency.sleep(INSTANCE_LAUNCH, caller="", detail=group.name, region=backend.region_name)
        with self._lock:
            self._coming[group.name] -= count
            count = min(count, (group.desired_capacity or 0) - len(group.instance_states))
            if self._closed.is_set() or count <= 0 or backend.autoscaling_groups.get(group.name) is not group:
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


def _wanting(method: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """SetDesiredCapacity as it is called within one of the calls above: it says what is wanted; nothing is launched."""

    @functools.wraps(method)
    def wanted(group: Any, capacity: int | None) -> None:
        if not _call.sized:
            method(group, capacity)
            return
        number = group.min_size if capacity is None else capacity
        for wrong, limit in ((number < (group.min_size or 0), "min"), (number > group.max_size, "max")):
            if wrong:
                side = "below min" if limit == "min" else "above max"
                words = f"New SetDesiredCapacity value {number} is {side} value {getattr(group, limit + '_size')}"
                raise ValidationError(f"{words} for the AutoScalingGroup.")
        group.desired_capacity = number

    return wanted


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
