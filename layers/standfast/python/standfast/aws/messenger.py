"""Messenger on SNS and EventBridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

from standfast.aws.calls import config, translated
from standfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

SUBJECT_CHARACTERS = 100
"""SNS: a subject is ASCII and at most 100 characters."""
SOURCE = "standfast"


class Topics:
    """Pages and Notices by SNS, events on the standfast bus."""

    def __init__(
        self,
        pages_arn: str,
        notices_arn: str,
        event_bus: str,
        sns: SNSClient | None = None,
        events: EventBridgeClient | None = None,
    ) -> None:
        self._pages_arn = pages_arn
        self._notices_arn = notices_arn
        self._event_bus = event_bus
        self._sns = sns or boto3.client("sns", config=config(attempts=3))
        self._events = events or boto3.client("events", config=config(attempts=3))

    def page(self, subject: str, text: str) -> None:
        self._publish(self._pages_arn, subject, text)

    def notice(self, subject: str, text: str) -> None:
        self._publish(self._notices_arn, subject, text)

    def event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        with translated("PutEvents"):
            answer = self._events.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail, sort_keys=True),
                        "EventBusName": self._event_bus,
                    }
                ]
            )
        if answer.get("FailedEntryCount"):
            raise UnavailableError(f"PutEvents: {detail_type} was not taken: {answer['Entries']}")

    def _publish(self, topic: str, subject: str, text: str) -> None:
        ascii_subject = subject.encode("ascii", "replace").decode()[:SUBJECT_CHARACTERS]
        with translated("Publish"):
            self._sns.publish(TopicArn=topic, Subject=ascii_subject, Message=text)
