"""The Service Quotas seam: what the account was granted, else no value of its own and AWS's default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.service_quotas import GRANTED, NAMES, ServiceQuotas
from standfast import quotas
from standfast.aws.service_quotas import Ec2Quotas

REGION = "us-east-1"
ON_DEMAND_G = {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}


@pytest.fixture
def seam(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceQuotas]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        made = ServiceQuotas()
        take_back = made.install()
        yield made
        take_back()


def client(region: str = REGION) -> Any:
    return boto3.client("service-quotas", region)


def test_the_account_has_what_it_was_granted_in_one_region(seam: ServiceQuotas) -> None:
    seam.grant(REGION, ON_DEMAND_G["QuotaCode"], 40)
    quota = client().get_service_quota(**ON_DEMAND_G)["Quota"]
    assert (quota["Value"], quota["QuotaName"]) == (40, "Running On-Demand G and VT instances")
    assert client("us-west-2").get_service_quota(**ON_DEMAND_G)["Quota"]["Value"] == GRANTED


def test_what_was_never_granted_has_the_default_alone(seam: ServiceQuotas) -> None:
    seam.grant(REGION, ON_DEMAND_G["QuotaCode"], None)
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        client().get_service_quota(**ON_DEMAND_G)
    assert client().get_aws_default_service_quota(**ON_DEMAND_G)["Quota"]["Value"] == 0


@pytest.mark.parametrize("asked", [{"ServiceCode": "ec2", "QuotaCode": "L-0"}, {**ON_DEMAND_G, "ServiceCode": "ecs"}])
@pytest.mark.parametrize("method", ["get_service_quota", "get_aws_default_service_quota"])
def test_a_quota_that_is_not_there_is_refused(seam: ServiceQuotas, method: str, asked: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        getattr(client(), method)(**asked)


@pytest.mark.parametrize(("granted", "applies"), [(40.0, 40.0), (None, 0.0)])
def test_it_answers_what_asks_for_it(seam: ServiceQuotas, granted: float | None, applies: float) -> None:
    seam.grant(REGION, ON_DEMAND_G["QuotaCode"], granted)
    assert Ec2Quotas(client()).value(ON_DEMAND_G["QuotaCode"]) == applies


def test_it_has_every_quota_of_the_catalogue(seam: ServiceQuotas) -> None:
    assert {quota.code: quota.name for quota in quotas.catalogue()} == NAMES
