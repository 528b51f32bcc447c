"""Signatures of links, by an HMAC key in KMS: it never leaves KMS, and who may sign is not who may verify."""

from __future__ import annotations

from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated

_ALGORITHM: Final = "HMAC_SHA_256"


class LinkSigner:
    """One HMAC key."""

    def __init__(self, key_id: str, client: Any = None) -> None:
        self._key_id = key_id
        self._client = client or boto3.client("kms", config=config(attempts=3))

    def sign(self, message: bytes) -> bytes:
        with translated("GenerateMac"):
            answer = self._client.generate_mac(KeyId=self._key_id, Message=message, MacAlgorithm=_ALGORITHM)
        return bytes(answer["Mac"])

    def verify(self, message: bytes, signature: bytes) -> bool:
        with translated("VerifyMac"):
            try:
                answer = self._client.verify_mac(
                    KeyId=self._key_id, Message=message, MacAlgorithm=_ALGORITHM, Mac=signature
                )
            except ClientError as error:
                if error_code(error) != "KMSInvalidMacException":
                    raise
                return False
        return bool(answer["MacValid"])
