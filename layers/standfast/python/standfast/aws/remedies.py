"""Remedies on Systems Manager Run Command and Auto Scaling.

The documents are our own, so no permission to run arbitrary commands is needed. An instance is terminated by its Auto
Scaling group, which launches another in its place: what the group looks like is the owner's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.aws.commands import DELIVERY_SECONDS, progress_on_one_node
from standfast.recovery_ports import Applied, Progress
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.recovery import Remedy

_DOCUMENTS: Final[Mapping[Action, str]] = {
    Action.RESTART_ENGINE: "restart-engine",
    Action.RESET_GPU: "reset-gpu",
    Action.REBOOT: "reboot-node",
}


class NodeRemedies:
    """The rungs of the ladder. `fleet` is the prefix of the documents' names."""

    def __init__(self, fleet: str, ssm: Any = None, autoscaling: Any = None) -> None:
        self._fleet = fleet
        self._ssm = ssm or boto3.client("ssm", config=config(attempts=3))
        self._autoscaling = autoscaling or boto3.client("autoscaling", config=config(attempts=3))

    def apply(self, remedy: Remedy) -> Applied:
        return self._replace(remedy) if remedy.rung is Action.REPLACE else self._send(remedy)

    def progress(self, applied: Applied) -> Progress:
        if not applied.command_id:
            return Progress(ended=True, said=applied.said)
        return progress_on_one_node(self._ssm, applied.command_id)

    def _send(self, remedy: Remedy) -> Applied:
        with translated(f"SendCommand to {remedy.instance_id}"):
            try:
                answer = self._ssm.send_command(
                    DocumentName=f"{self._fleet}-{_DOCUMENTS[remedy.rung]}",
                    InstanceIds=[remedy.instance_id],
                    Parameters={"Remedy": [remedy.remedy_id]},
                    TimeoutSeconds=DELIVERY_SECONDS,
                )
            except ClientError as error:
                if error_code(error) != "InvalidInstanceId":
                    raise
                return Applied(remedy, "", "Systems Manager does not reach the node")
        return Applied(remedy, str(answer["Command"]["CommandId"]))

    def _replace(self, remedy: Remedy) -> Applied:
        with translated(f"TerminateInstanceInAutoScalingGroup {remedy.instance_id}"):
            try:
                self._autoscaling.terminate_instance_in_auto_scaling_group(
                    InstanceId=remedy.instance_id, ShouldDecrementDesiredCapacity=False
                )
            except ClientError as error:
                if error_code(error) != "ValidationError":  # it is in no group, or was terminated already
                    raise
                words = error.response["Error"].get("Message", "no reason was given")
                return Applied(remedy, "", f"Auto Scaling does not replace it: {words}")
        return Applied(remedy, "", "Auto Scaling replaces it")
