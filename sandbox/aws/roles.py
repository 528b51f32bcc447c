"""Clients with the credentials of a role: what AWS's own services use when they act for somebody."""

from __future__ import annotations

import threading
from typing import Any

from botocore.config import Config
from moto.sts.models import sts_backends

from sandbox.aws.sessions import new_session


class RoleClients:
    """A client per Region, service and role. boto3's default session is not safe to share by threads; this is."""

    def __init__(self, session_name: str) -> None:
        self._session_name = session_name
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, region: str, service: str, role_arn: str) -> Any:
        """The client; its calls are subject to the role's policies, and are never retried."""
        key = (region, service, role_arn)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(*key)
            return self._clients[key]

    def _make(self, region: str, service: str, role_arn: str) -> Any:
        assumed = sts_backends[role_arn.split(":")[4]]["aws"].assume_role(
            region_name=region,
            role_session_name=self._session_name,
            role_arn=role_arn,
            policy=None,
            duration=3600,
            external_id=None,
        )
        return new_session().client(
            service,
            region_name=region,
            aws_access_key_id=assumed.access_key_id,
            aws_secret_access_key=assumed.secret_access_key,
            aws_session_token=assumed.session_token,
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, max_pool_connections=50),
        )
