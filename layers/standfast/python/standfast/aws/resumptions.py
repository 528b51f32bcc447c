"""Resumptions on Lambda: an asynchronous invocation of `answer_requests`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

from standfast.aws.calls import config, translated

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class AnsweringFunction:
    """`name` of the function, in this Region."""

    def __init__(self, name: str, client: LambdaClient | None = None) -> None:
        self._name = name
        self._client = client or boto3.client("lambda", config=config(attempts=3))

    def start(self, reason: str) -> None:
        with translated(f"Invoke {self._name}"):
            self._client.invoke(
                FunctionName=self._name, InvocationType="Event", Payload=json.dumps({"reason": reason}).encode()
            )
