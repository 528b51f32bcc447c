"""Where Lambda sends what became of an asynchronous event: destinations and dead-letter queues, as the function's role.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from sandbox.aws.roles import RoleClients
    from sandbox.aws.runtime_api import Answer


def deliver(function: Any, config: Any, payload: bytes, answer: Answer, *, attempts: int, roles: RoleClients) -> None:
    """Send the end of an event, whose last answer this is, to whoever is told of it. Needs `sqs:SendMessage`."""
    configured = config.get("DestinationConfig", {})
    destination = configured.get("OnFailure" if answer.is_error else "OnSuccess", {}).get("Destination")
    if destination:
        record = json.dumps(_record(function, payload, answer, attempts))
        send_as(function.role, destination, record, roles)
    dead_letters = (getattr(function, "dead_letter_config", None) or {}).get("TargetArn")
    if answer.is_error and dead_letters:
        send_as(function.role, dead_letters, payload.decode(), roles)


def send_to_queue(queue_arn: str, body: str) -> None:
    """Send a message to a queue by its ARN, as the administrator. Raises ValueError for what is no queue."""
    _administrator(queue_arn).send_message(QueueUrl=_url(queue_arn), MessageBody=body)


def send_as(role_arn: str, queue_arn: str, body: str, roles: RoleClients) -> None:
    """Send a message to a queue by its ARN, as a role. Needs `sqs:SendMessage`."""
    region = queue_arn.split(":")[3]
    roles.client(region, "sqs", role_arn).send_message(QueueUrl=_url(queue_arn), MessageBody=body)


def _administrator(queue_arn: str) -> Any:
    session: Any = boto3.session.Session()  # the default one is not safe to share by threads
    return session.client("sqs", region_name=queue_arn.split(":")[3])


def _url(queue_arn: str) -> str:
    service, _, account, name = queue_arn.split(":")[2:6]
    if service != "sqs":
        raise ValueError(f"the sandbox sends to queues only: {queue_arn}")
    found = _administrator(queue_arn).get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
    return str(found["QueueUrl"])


def _record(function: Any, payload: bytes, answer: Answer, attempts: int) -> dict[str, Any]:
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
    if answer.is_error:
        response["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": f"{function.function_arn}:$LATEST",
            "condition": "RetriesExhausted" if answer.is_error else "Success",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload or b"{}"),
        "responseContext": response,
        "responsePayload": json.loads(answer.payload or b"null"),
    }
