"""Pages and notices by SNS, events on the standfast bus."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.messenger import Topics
from standfast.errors import AccessDeniedError, UnavailableError


class People:
    """Two topics and a bus, each read through a queue."""

    def __init__(self, region: str) -> None:
        self.sqs: Any = boto3.client("sqs", region_name=region)
        self.sns: Any = boto3.client("sns", region_name=region)
        self.events: Any = boto3.client("events", region_name=region)
        self.queues = {name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("pages", "notices", "bus")}
        topics = {name: self.subscribe(name) for name in ("pages", "notices")}
        self.events.create_event_bus(Name="standfast")
        pattern = json.dumps({"source": ["standfast"]})
        self.events.put_rule(Name="all", EventBusName="standfast", EventPattern=pattern)
        targets: Any = [{"Id": "queue", "Arn": self.arn("bus")}]
        self.events.put_targets(Rule="all", EventBusName="standfast", Targets=targets)
        self.messenger = Topics(topics["pages"], topics["notices"], "standfast", self.sns, self.events)

    def arn(self, queue: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def subscribe(self, name: str) -> str:
        topic = str(self.sns.create_topic(Name=name)["TopicArn"])
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn(name))
        return topic

    def received(self, name: str) -> list[dict[str, Any]]:
        """What came. It does not come again."""
        url = self.queues[name]
        messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture(scope="module")
def people(aws: str) -> People:
    return People(aws)


def test_a_page_goes_to_the_pages_and_a_notice_to_the_notices(people: People) -> None:
    people.messenger.page("use1-a failed", "Traffic moved to use1-b \u2013 4.2 s")
    people.messenger.notice("use1-a is back", "Ready as standby")
    (page,) = people.received("pages")
    (notice,) = people.received("notices")
    assert (page["Subject"], page["Message"]) == ("use1-a failed", "Traffic moved to use1-b \u2013 4.2 s")
    assert (notice["Subject"], notice["Message"]) == ("use1-a is back", "Ready as standby")


def test_a_subject_that_sns_would_refuse_is_made_fit(people: People) -> None:
    people.messenger.page("é" + "x" * 200, "text")
    (page,) = people.received("pages")
    assert page["Subject"] == "?" + "x" * 99


def test_an_event_is_put_on_the_bus_with_its_source(people: People) -> None:
    people.messenger.event("FailoverCompleted", {"incident_id": "one", "seconds": 4.2})
    (event,) = people.received("bus")
    assert (event["source"], event["detail-type"]) == ("standfast", "FailoverCompleted")
    assert event["detail"] == {"incident_id": "one", "seconds": 4.2}


def test_an_event_that_was_not_taken_is_an_error() -> None:
    events: Any = boto3.client(
        "events", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    sns: Any = boto3.client(
        "sns", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    messenger = Topics("arn:pages", "arn:notices", "standfast", sns, events)
    with Stubber(events) as stubber:
        entries = [{"ErrorCode": "InternalFailure", "ErrorMessage": "later"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})
        with pytest.raises(UnavailableError, match=r"FailoverStarted was not taken: .*InternalFailure"):
            messenger.event("FailoverStarted", {})
    with Stubber(sns) as stubber:
        stubber.add_client_error("publish", "AuthorizationError", "not allowed", 403)
        with pytest.raises(AccessDeniedError, match="Publish: AuthorizationError: not allowed"):
            messenger.page("subject", "text")
