"""AWS in this process, by moto: no call leaves it, and no credentials of this machine are seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

REGION = "us-east-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """moto with fake credentials, empty for each module. Yields the Region."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with mock_aws():
            yield REGION


@pytest.fixture(scope="module")
def dynamodb(aws: str) -> Any:
    """A DynamoDB client."""
    return boto3.client("dynamodb", region_name=aws)


@pytest.fixture
def state_table(dynamodb: Any) -> Iterator[str]:
    """The name of a state table, empty for each test."""
    name, keys = "standfast-state", {"pk": "HASH", "sk": "RANGE"}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
    )
    yield name
    dynamodb.delete_table(TableName=name)
