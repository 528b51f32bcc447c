"""ConfigPointer on Parameter Store: one parameter a Region, with version, hash and key of what is in force there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.config_adoption import pointer_text

if TYPE_CHECKING:
    from standfast.config_versions import ConfigVersion


class ConfigParameter:
    """The stack owns the parameter; whoever finds it gone makes it anew."""

    def __init__(self, name: str, client: Any = None) -> None:
        self._name = name
        self._client = client or boto3.client("ssm", config=config(attempts=3))

    def read_pointer(self) -> str | None:
        with translated(f"GetParameter {self._name}"):
            try:
                return str(self._client.get_parameter(Name=self._name)["Parameter"]["Value"])
            except ClientError as error:
                if error_code(error) == "ParameterNotFound":
                    return None
                raise

    def write_pointer(self, version: ConfigVersion) -> None:
        with translated(f"PutParameter {self._name}"):
            self._client.put_parameter(Name=self._name, Value=pointer_text(version), Type="String", Overwrite=True)
