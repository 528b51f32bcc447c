"""Service Quotas knows those of EC2 that count GPU instances.

moto has the quotas of VPC alone, as defaults and values in one, and no GetAWSDefaultServiceQuota. Here a quota of EC2
has a default, AWS's own, which is 0, and a value of the account where it was granted one ("GetServiceQuota" and
"GetAWSDefaultServiceQuota", Service Quotas API reference). The sandbox's account was granted some of each. moto's EC2
enforces none of them: what a launch says that is over one, `auto_scaling.NO_QUOTA` says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES: Final = {
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-417A185B": "Running On-Demand P instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
}
GRANTED: Final = 768.0
"""vCPUs that the account may run of each, where nobody says otherwise."""
_DEFAULT: Final = 0.0


class ServiceQuotas:
    """The account's quotas of EC2 in all Regions. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], float | None] = {}

    def grant(self, region: str, code: str, vcpus: float | None = GRANTED) -> None:
        """What the account may run in the Region; None takes away what it was granted, so that the default applies."""
        if code not in NAMES:
            raise KeyError(code)
        self._values[region, code] = vcpus

    def install(self) -> Callable[[], None]:
        """Put it in moto's place. The result takes it back."""
        original: Callable[..., dict[str, Any]] = ServiceQuotasBackend.get_service_quota

        def get_service_quota(backend: Any, service_code: str, quota_code: str) -> dict[str, Any]:
            if service_code != "ec2":
                return original(backend, service_code, quota_code)
            value = self._values.get((backend.region_name, quota_code), GRANTED)
            if quota_code not in NAMES or value is None:
                raise NoSuchResource
            return _described(backend.region_name, backend.account_id, quota_code, value)

        def get_aws_default_service_quota(response: Any) -> str:
            asked = json.loads(response.body)
            if asked["ServiceCode"] != "ec2" or asked["QuotaCode"] not in NAMES:
                raise NoSuchResource
            return json.dumps({"Quota": _described(response.region, "", asked["QuotaCode"], _DEFAULT)})

        ServiceQuotasBackend.get_service_quota = get_service_quota
        ServiceQuotasResponse.get_aws_default_service_quota = get_aws_default_service_quota

        def take_back() -> None:
            ServiceQuotasBackend.get_service_quota = original
            del ServiceQuotasResponse.get_aws_default_service_quota

        return take_back


def _described(region: str, account: str, code: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": NAMES[code],
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
