"""Standfast's own stack in one Region, and the people who work with it: they invoke functions and read messages."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import FLEET, ROOT, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.aws.cloud import Cloud

ATTEMPTS: Final = 2
TIMED_OUT: Final = "Sandbox.Timedout"
"""What Lambda calls a function whose time was up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One page or notice that reached a person."""

    at: float
    topic: str
    subject: str
    text: str


class ControlStack:
    """`template.yaml` in one Region. `outputs` are there after `deploy`."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.outputs: dict[str, str] = {}
        self._messages: list[Message] = []
        self._queue = ""

    def client(self, service: str) -> Any:
        """An administrator's client in this Region."""
        return self.cloud.client(service, self.name)

    def deploy(self, parameters: Mapping[str, str]) -> None:
        """Deploy the template, and subscribe a person to pages and notices."""
        self.outputs = self.cloud.deploy(FLEET, ROOT / "template.yaml", parameters, region=self.name)
        if self._queue:
            return
        sqs, sns = self.client("sqs"), self.client("sns")
        self._queue = sqs.create_queue(QueueName="a-person")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for topic in ("PagesTopicArn", "NoticesTopicArn"):
            sns.subscribe(TopicArn=self.outputs[topic], Protocol="sqs", Endpoint=arn)

    def invoke(self, function: str, payload: Mapping[str, object]) -> Any:
        """Invoke a function as a person would, who tries once more when its time ran out: every one may run twice.

        Raises SandboxError with the function's own error.
        """
        name, body = f"{FLEET}-{function}", json.dumps(payload).encode()
        for _ in range(ATTEMPTS):
            answer = self.client("lambda").invoke(FunctionName=name, Payload=body)
            result = json.loads(answer["Payload"].read() or b"null")
            if not answer.get("FunctionError"):
                return result
            if result.get("errorType") != TIMED_OUT:
                break
        raise SandboxError(f"{function} in {self.name}: {result.get('errorType')}: {result.get('errorMessage')}")

    def credentials_of(self, role: str, actions: Sequence[str], resource: str) -> dict[str, str]:
        """The environment of a process that acts under a role of the team's own, with these actions on one resource."""
        iam, trust = self.client("iam"), {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        given = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=_document(given))
        assumed = self.client("sts").assume_role(RoleArn=arn, RoleSessionName=role)["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": assumed["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": assumed["SecretAccessKey"],
            "AWS_SESSION_TOKEN": assumed["SessionToken"],
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def function_arn(self, function: str) -> str:
        """The ARN of a function: of one name there is one in each Region."""
        found = self.client("lambda").get_function(FunctionName=f"{FLEET}-{function}")
        return str(found["Configuration"]["FunctionArn"])

    def role_of(self, state: str) -> str:
        """The role of the function that a state calls, by name. Of a nested stack's function the name is cut off."""
        function = re.sub(r"(?<!^)(?=[A-Z])", "-", state).lower()
        found = self.client("lambda").get_function(FunctionName=f"{FLEET}-{function}")
        return str(found["Configuration"]["Role"].rpartition("/")[2])

    def messages(self) -> tuple[Message, ...]:
        """Pages and notices that have arrived so far."""
        sqs = self.client("sqs")
        ask = {"QueueUrl": self._queue, "MaxNumberOfMessages": 10, "AttributeNames": ["SentTimestamp"]}
        while found := sqs.receive_message(**ask).get("Messages"):
            for message in found:
                body = json.loads(message["Body"])
                topic = "page" if body["TopicArn"] == self.outputs["PagesTopicArn"] else "notice"
                sent_at = int(message["Attributes"]["SentTimestamp"]) / 1000
                self._messages.append(Message(sent_at, topic, body.get("Subject", ""), body["Message"]))
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return tuple(self._messages)

    def wait_for(self, what: str, found: Callable[[], Any], seconds: float) -> Any:
        """Ask four times a second until there is something. Raises SandboxError when the time is up.

        Not more often: while a fleet begins, each asking takes the processors from what is waited for.
        """
        deadline = time.monotonic() + seconds
        while not (result := found()):
            if time.monotonic() > deadline:
                raise SandboxError(f"{self.name}: waited {seconds:g} s for {what}")
            time.sleep(0.25)
        return result


def _document(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
