"""AWS in this process, by moto: no call leaves it, and no credentials of this machine are seen."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
