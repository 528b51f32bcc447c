"""ServiceQuotas on AWS Service Quotas.

GetServiceQuota tells the value that applies to the account, and has none where the account never had one of its own:
then the default applies ("GetServiceQuota", Service Quotas API reference).
"""

from __future__ import annotations

from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import StandfastError

_EC2: Final = "ec2"


class Ec2Quotas:
    """What this account may use of EC2 in this Region."""

    def __init__(self, client: Any = None) -> None:
        self._client = client or boto3.client("service-quotas", config=config(attempts=2))

    def value(self, code: str) -> float:
        quota = self._applied(code) or self._default(code)
        if "Value" not in quota:
            why = quota.get("ErrorReason", {})
            said = f"{why.get('ErrorCode', 'no code')}: {why.get('ErrorMessage', 'no reason was given')}"
            raise StandfastError(f"Service Quotas tells no value of {code}: {said}")
        return float(quota["Value"])

    def _applied(self, code: str) -> dict[str, Any] | None:
        """None where the account has no value of its own."""
        with translated(f"GetServiceQuota of {code}"):
            try:
                quota: dict[str, Any] = self._client.get_service_quota(ServiceCode=_EC2, QuotaCode=code)["Quota"]
            except ClientError as error:
                if error_code(error) == "NoSuchResourceException":
                    return None
                raise
        return quota

    def _default(self, code: str) -> dict[str, Any]:
        with translated(f"GetAWSDefaultServiceQuota of {code}"):
            quota: dict[str, Any] = self._client.get_aws_default_service_quota(ServiceCode=_EC2, QuotaCode=code)[
                "Quota"
            ]
        return quota
