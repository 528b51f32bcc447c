"""ModelLoads on Systems Manager Run Command: our own document, documents/update_model.yaml, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.aws.commands import DELIVERY_SECONDS, progress_on_one_node

if TYPE_CHECKING:
    from standfast.recovery_ports import Progress
    from standfast.rollout_ports import ModelLoad


class UpdateModelCommands:
    """Sends the document to one node at a time. `document` is its name."""

    def __init__(self, document: str, ssm: Any = None) -> None:
        self._document = document
        self._ssm = ssm or boto3.client("ssm", config=config(attempts=3))

    def send(self, load: ModelLoad) -> str:
        given = {
            "Load": load.name,
            "Bucket": load.bucket,
            "Prefix": load.prefix,
            "Manifest": load.manifest_key,
            "ManifestSha256": load.manifest_sha256,
        }
        with translated(f"SendCommand to {load.instance_id}"):
            try:
                answer = self._ssm.send_command(
                    DocumentName=self._document,
                    InstanceIds=[load.instance_id],
                    Parameters={name: [value] for name, value in given.items()},
                    TimeoutSeconds=DELIVERY_SECONDS,
                )
            except ClientError as error:
                if error_code(error) != "InvalidInstanceId":
                    raise
                return ""
        return str(answer["Command"]["CommandId"])

    def progress(self, command_id: str) -> Progress:
        return progress_on_one_node(self._ssm, command_id)
