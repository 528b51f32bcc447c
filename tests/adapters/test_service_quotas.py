"""What an account may run: its own value where it has one, else AWS's default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.service_quotas import Ec2Quotas
from standfast.errors import AccessDeniedError, StandfastError, ThrottledError, UnavailableError

KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
CODE = "L-DB2E81BA"
ASKED = {"ServiceCode": "ec2", "QuotaCode": CODE}
NO_SUCH = "NoSuchResourceException"


@pytest.fixture
def stubbed() -> Iterator[tuple[Ec2Quotas, Stubber]]:
    client: Any = boto3.client("service-quotas", **KEYS)
    with Stubber(client) as service:
        yield Ec2Quotas(client), service
        service.assert_no_pending_responses()


def test_the_account_s_own_value_is_the_one_that_counts(stubbed: tuple[Ec2Quotas, Stubber]) -> None:
    quotas, service = stubbed
    service.add_response("get_service_quota", {"Quota": {"QuotaCode": CODE, "Value": 64.0}}, ASKED)
    assert quotas.value(CODE) == 64


def test_without_one_the_default_applies(stubbed: tuple[Ec2Quotas, Stubber]) -> None:
    quotas, service = stubbed
    service.add_client_error("get_service_quota", NO_SUCH, "none", 400, expected_params=ASKED)
    service.add_response("get_aws_default_service_quota", {"Quota": {"QuotaCode": CODE, "Value": 0.0}}, ASKED)
    assert quotas.value(CODE) == 0


def test_a_quota_that_aws_does_not_know_is_no_quota_of_zero(stubbed: tuple[Ec2Quotas, Stubber]) -> None:
    quotas, service = stubbed
    for method in ("get_service_quota", "get_aws_default_service_quota"):
        service.add_client_error(method, NO_SUCH, "none", 400)
    with pytest.raises(StandfastError, match=f"GetAWSDefaultServiceQuota of {CODE}: {NO_SUCH}"):
        quotas.value(CODE)


def test_a_quota_without_a_value_is_an_error_with_aws_s_reason(stubbed: tuple[Ec2Quotas, Stubber]) -> None:
    quotas, service = stubbed
    reason = {"ErrorCode": "DEPENDENCY_SERVICE_ERROR", "ErrorMessage": "EC2 does not answer"}
    service.add_response("get_service_quota", {"Quota": {"QuotaCode": CODE, "ErrorReason": reason}}, ASKED)
    with pytest.raises(StandfastError, match="no value of L-DB2E81BA: DEPENDENCY_SERVICE_ERROR: EC2 does not answer"):
        quotas.value(CODE)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDeniedException", 400, AccessDeniedError),
        ("TooManyRequestsException", 400, ThrottledError),
        ("ServiceException", 500, UnavailableError),
        ("IllegalArgumentException", 400, StandfastError),
    ],
)
@pytest.mark.parametrize("own", [True, False], ids=["own", "default"])
def test_each_error_is_translated(
    stubbed: tuple[Ec2Quotas, Stubber], code: str, status: int, error: type[StandfastError], own: bool
) -> None:
    quotas, service = stubbed
    if not own:
        service.add_client_error("get_service_quota", NO_SUCH, "none", 400)
    method = "get_service_quota" if own else "get_aws_default_service_quota"
    service.add_client_error(method, code, "said", status)
    with pytest.raises(error, match=f"of {CODE}: {code}: said") as raised:
        quotas.value(CODE)
    assert type(raised.value) is error
