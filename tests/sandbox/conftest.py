"""What the seam tests share: functions and machines made by hand, small and quick."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies

ROOT = Path(__file__).resolve().parents[2]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def wait_for(what: str, found: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return result


class Bench:
    """A cloud with makers for roles, functions and machines."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.heard: list[tuple[str, str]] = []

    def role(self, name: str, *statements: dict[str, Any]) -> str:
        iam = self.cloud.client("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        return arn

    def function(self, name: str, source: str, *statements: dict[str, Any], timeout: int = 10, **more: Any) -> str:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as files:
            files.writestr("steps/one.py", source)
        answer = self.cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=self.role(f"{name}-role", *statements),
            Handler="steps.one.handler",
            Code={"ZipFile": buffer.getvalue()},
            Timeout=timeout,
            **more,
        )
        return str(answer["FunctionArn"])

    def invoke(self, name: str, payload: Any = None) -> tuple[str | None, Any]:
        answer = self.cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def queue(self, name: str) -> tuple[str, str]:
        sqs = self.cloud.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def received(self, url: str) -> list[str]:
        messages = self.cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [message["Body"] for message in messages]

    def machine(self, name: str, definition: dict[str, Any], *statements: dict[str, Any]) -> str:
        answer = self.cloud.client("stepfunctions").create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=self.role(f"{name}-role", *statements)
        )
        return str(answer["stateMachineArn"])

    def run(self, machine: str, payload: Any, **more: Any) -> dict[str, Any]:
        states = self.cloud.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(payload), **more)["executionArn"]
        wait_for("the end of the execution", lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    heard: list[tuple[str, str]] = []
    with Cloud(
        latencies=Latencies(
            elb_call=0.05, elb_propagation=0, elb_propagation_jitter=0, dynamodb=0.02, state_transition=0.01
        ),
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
        on_log=lambda _, function, line: heard.append((function, line)),
    ) as cloud:
        made = Bench(cloud)
        made.heard = heard
        yield made
