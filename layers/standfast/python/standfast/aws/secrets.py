"""Secrets on AWS Secrets Manager. A secret is never logged, and never part of an error."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import InvalidInputError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH_SECONDS = 300.0
"""How long a secret is used before it is read again: a rotated key is known within this time."""

logger = logging.getLogger("standfast.secrets")


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str
    text: str
    read_at: float


class SecretsManager:
    """Secrets of one Region, kept for five minutes. `clock` is any that counts seconds and never goes back."""

    def __init__(self, region: str, client: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._client = client or boto3.client("secretsmanager", config=config(attempts=2))
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def read(self, arn: str) -> str:
        """The secret's present text, of its replica in this Region: a replica has the same name and suffix.

        While Secrets Manager does not answer, the last text is used on. Raises InvalidInputError when there is no such
        secret or it is no key.
        """
        parts = arn.split(":")
        arn = ":".join([*parts[:3], self._region, *parts[4:]])
        kept = self._kept.get(arn)
        if kept is not None and self._clock() - kept.read_at < FRESH_SECONDS:
            return kept.text
        try:
            fresh = self._read(arn)
        except TransientError:
            if kept is None:
                raise
            logger.warning("the API key cannot be read anew; version %s is used on", kept.version)
            return kept.text
        if kept is not None and kept.version != fresh.version:
            logger.info("the API key is now version %s", fresh.version)
        self._kept[arn] = fresh
        return fresh.text

    def _read(self, arn: str) -> _Kept:
        with translated("GetSecretValue"):
            try:
                answer = self._client.get_secret_value(SecretId=arn)
            except ClientError as error:
                if error_code(error) != "ResourceNotFoundException":
                    raise
                raise InvalidInputError(f"model.api_key_secret_arn: there is no secret {arn} in this Region") from error
        text = str(answer.get("SecretString", "")).strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text or text.startswith("{"):
            raise InvalidInputError(
                f"the secret {arn} is no API key; store the key itself as plain text, not as JSON and not as binary"
            )
        return _Kept(answer.get("VersionId", ""), text, self._clock())
